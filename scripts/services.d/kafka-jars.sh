# shellcheck shell=bash
# The broker's jars, from Maven's repository, once for all instances; their checksums are in scripts/kafka.sha256.
# To write that file anew after a change of versions.env: empty it, run `scripts/services up kafka`, which fails and
# says where the jars are, look at what changed, and in that folder: sha256sum *.jar > …/scripts/kafka.sha256

KAFKA_CHECKSUMS=$SCRIPTS/kafka.sha256

# A list that changed is a new folder, so an instance of another checkout keeps what it runs with.
kafka_jars() { printf '%s/kafka-%s-%s\n' "$CACHE" "$KAFKA_VERSION" "$(sha256sum "$KAFKA_CHECKSUMS" | cut -c1-12)"; }

# In a fixed order: an archive of classes is only valid for the class path that it was made with.
kafka_class_path() {
  local jars
  jars=$(kafka_jars)
  sed -E "s|^[0-9a-f]+ [ *]|$jars/|" "$KAFKA_CHECKSUMS" | paste -sd:
}

kafka_fetch_jars() {
  local jars new
  jars=$(kafka_jars)
  [[ ! -d $jars ]] || return 0
  mkdir -p "$CACHE"
  exec 3>"$CACHE/lock"
  until flock -w 1 3; do give_up_if_interrupted; done
  if [[ ! -d $jars ]]; then
    new=$jars.new
    rm -rf "$new"
    say kafka "downloading Apache Kafka $KAFKA_VERSION (55 MB)"
    attempt mvn -B -q -f "$SCRIPTS/services.d/kafka.pom.xml" \
      "-Dkafka.version=$KAFKA_VERSION" "-Dlog4j.version=$LOG4J_VERSION" \
      "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_DEPENDENCY_PLUGIN_VERSION:copy-dependencies" \
      -DincludeScope=runtime "-DoutputDirectory=$new" >"$STATE/kafka/download.log" 2>&1 || {
      rm -rf "$new"
      give_up_if_interrupted
      fail_with_log kafka download.log
    }
    kafka_verify_jars "$new"
    mv "$new" "$jars"
  fi
  exec 3>&-
}

kafka_verify_jars() { # DIR
  (
    cd "$1"
    # Both ways: every jar is listed with this checksum, and every listed jar is there.
    sha256sum -- *.jar | cmp -s - "$KAFKA_CHECKSUMS"
  ) || die "the jars in $1 are not those of scripts/kafka.sha256"
}
