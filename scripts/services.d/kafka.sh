# shellcheck shell=bash
# One Apache Kafka node (KRaft): broker and controller, or a broker more for the controller of another instance.

kafka_port_names() { echo port controller_port "$(kafka_secured_port_names)"; }
kafka_marker() { printf '%s\n' "$STATE/kafka/server.properties"; }

kafka_env() {
  printf '%s\n' \
    "KAFKA_BROKERS=127.0.0.1:$(port_of kafka)" \
    "JAVA=$(kafka_java)" \
    "KAFKA_CLASSPATH=$(kafka_jars)/*"
  kafka_secured_env
}

kafka_java() {
  local java major
  for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)"; do
    [[ -x $java ]] || continue
    major=$("$java" -XshowSettings:properties -version 2>&1 | sed -nE 's/ *java\.specification\.version = ([0-9]+).*/\1/p')
    ((${major:-0} >= JAVA_MIN_MAJOR)) || continue
    printf '%s\n' "$java"
    return
  done
  return 1
}

# The state directory of the node's controller.
kafka_controller_state() {
  local join
  join=$(setting KAFKA_JOIN kafka '')
  realpath -m -- "${join:-$STATE}"
}

kafka_configure() {
  local port controller roles=broker,controller id=1 own_controller=
  port=$(port_of kafka)
  controller=127.0.0.1:$(cat "$(kafka_controller_state)/kafka/controller_port")
  if [[ $(kafka_controller_state) == "$STATE" ]]; then
    own_controller=,CONTROLLER://$controller
  else
    roles=broker
    # A number that no other node has.
    id=$port
  fi
  # The session: after a crash the controller refuses the node until its old session has ended, 9 s by default.
  # A fixed quorum, not one that the log keeps: so that the controller's port may change.
  put "$STATE/kafka/server.properties" "process.roles=$roles
node.id=$id
controller.quorum.voters=1@$controller
listeners=PLAINTEXT://127.0.0.1:$port$own_controller$(kafka_secured_listeners 127.0.0.1)
advertised.listeners=PLAINTEXT://127.0.0.1:$port$(kafka_secured_listeners localhost)
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
log.dirs=$STATE/kafka/data
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=100
num.partitions=1
auto.create.topics.enable=false
delete.topic.enable=true
log.retention.hours=168
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
$(kafka_secured_properties)
$(setting KAFKA_CONF kafka '' | tr ';' '\n')"
}

kafka_cluster_id() {
  if [[ $(kafka_controller_state) == "$STATE" ]]; then
    head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =
  else
    sed -n 's/^cluster\.id=//p' "$(kafka_controller_state)/kafka/data/meta.properties"
  fi
}

kafka_format() {
  local data=$STATE/kafka/data users
  [[ ! -f $data/meta.properties ]] || return 0
  say kafka "formatting the log folder"
  rm -rf "$data"
  mapfile -t users < <(kafka_user_options)
  attempt "$(kafka_java)" -XX:TieredStopAtLevel=1 -cp "$(kafka_class_path)" \
    "-Dlog4j2.configurationFile=$SCRIPTS/services.d/kafka.log4j2.properties" \
    kafka.tools.StorageTool format "--cluster-id=$(kafka_cluster_id)" \
    -c "$STATE/kafka/server.properties" "${users[@]}" >"$STATE/kafka/format.log" 2>&1 || {
    rm -rf "$data"
    give_up_if_interrupted
    fail_with_log kafka format.log
  }
}

# Class-data sharing halves the time to start. The archive is written by the first broker that stops in good order.
kafka_class_archive() {
  printf '%s/%s.jsa\n' "$(kafka_jars)" "$("$(kafka_java)" -version 2>&1 | sha256sum | cut -c1-12)"
}

kafka_is_ready() {
  running_pid kafka >/dev/null || return 1
  tail -c "+$(($(cat "$STATE/kafka/log_offset") + 1))" "$STATE/kafka/server.log" 2>/dev/null |
    grep "Kafka Server started" >/dev/null || return 1
  { exec 7<>"/dev/tcp/127.0.0.1/$(port_of kafka)"; } 2>/dev/null || return 1
  exec 7>&-
}

kafka_launch() {
  local archive share heap
  archive=$(kafka_class_archive)
  if [[ -f $archive ]]; then
    share=(-Xshare:auto "-XX:SharedArchiveFile=$archive")
  else
    share=("-XX:ArchiveClassesAtExit=$STATE/kafka/classes.jsa")
  fi
  read -ra heap <<<"$(setting KAFKA_HEAP kafka '-Xms256m -Xmx512m')"
  # Where the log of this start begins.
  put "$STATE/kafka/log_offset" "$(stat -c %s "$STATE/kafka/server.log" 2>/dev/null || echo 0)"
  spawn kafka "$(kafka_java)" "${heap[@]}" -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
    "${share[@]}" "-Dlog4j2.configurationFile=$SCRIPTS/services.d/kafka.log4j2.properties" \
    "-Dkafka.log.file=$STATE/kafka/server.log" -cp "$(kafka_class_path)" kafka.Kafka "$(kafka_marker)"
}

kafka_start() {
  kafka_fetch_jars
  kafka_configure
  kafka_format
  running_pid kafka >/dev/null || kafka_launch
  await_ready kafka 90 "the broker to register with its controller" kafka_is_ready ||
    fail_with_log kafka "$([[ -s $STATE/kafka/server.log ]] && echo server.log || echo stdout.log)"
}

kafka_stop() {
  local pid
  if ! pid=$(running_pid kafka); then
    say kafka "is down"
    return
  fi
  end_process kafka "$pid" TERM 40 KILL 10
  # Moved in one step: other instances may start from it at this moment.
  [[ ! -f $STATE/kafka/classes.jsa ]] || mv "$STATE/kafka/classes.jsa" "$(kafka_class_archive)"
  say kafka "stopped"
}

kafka_kill() { end_process kafka "$1" KILL 10; } # PID
kafka_remove_outside_state() { :; }
