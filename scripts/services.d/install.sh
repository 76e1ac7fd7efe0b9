# shellcheck shell=bash
# Installs what is missing, where apt-get may; says what is missing, where it may not.

# Debian packages, one a line.
missing_packages() { # COMPONENT...
  local component program header
  for component in "$@"; do
    case $component in
      postgres) postgres_installed_bin >/dev/null || echo postgresql ;;
      browser) { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || echo chromium ;;
      npm) command -v npm >/dev/null || echo npm ;;
      redis) command -v redis-server >/dev/null || echo redis-server ;;
      kafka)
        kafka_java >/dev/null || echo "openjdk-$JAVA_MIN_MAJOR-jre-headless"
        [[ -d $(kafka_jars) ]] || command -v mvn >/dev/null || echo maven
        ;;
      build)
        { command -v cc && command -v make; } >/dev/null || echo build-essential
        for program in git pkg-config python3; do
          command -v "$program" >/dev/null || echo "$program"
        done
        for header in openssl/ssl.h:libssl-dev zlib.h:zlib1g-dev curl/curl.h:libcurl4-openssl-dev; do
          compgen -G "/usr/include/${header%:*}" >/dev/null || compgen -G "/usr/include/*-linux-*/${header%:*}" >/dev/null ||
            echo "${header#*:}"
        done
        ;;
    esac
  done
}

install_missing() { # COMPONENT...
  local packages
  mapfile -t packages < <(missing_packages "$@")
  ((${#packages[@]})) || return 0
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    die "missing: ${packages[*]} (names of Debian's packages). Install them, then run this again."
  fi
  say install "apt-get install ${packages[*]}"
  mkdir -p "$CACHE"
  # In a session of its own: an interrupt in the middle of dpkg would leave packages half-configured.
  setsid --wait bash -euo pipefail -c "$(declare -f apt_install); apt_install \"\$@\"" apt_install \
    "$CACHE" "${packages[@]}" >"$CACHE/apt.log" 2>&1 </dev/null ||
    { tail -n 20 "$CACHE/apt.log" >&2; die "apt-get failed; everything it said is in $CACHE/apt.log"; }
}

apt_install() { # CACHE PACKAGE...
  exec 3>"$1/apt.lock"
  flock 3
  shift
  export DEBIAN_FRONTEND=noninteractive
  # Debian's packages create a cluster and start servers by themselves: we want the programs only.
  if [[ " $* " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  fi
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
  fi
  apt-get -o DPkg::Lock::Timeout=300 update
  apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install -y --no-install-recommends "$@"
}
