# shellcheck shell=bash
# Redis without persistence: the examples keep nothing in it that a restart may not forget.

redis_port_names() { echo port; }
redis_marker() { printf '%s\n' "$STATE/redis/redis.conf"; }
redis_env() { printf 'REDIS_URL=redis://127.0.0.1:%s\n' "$(port_of redis)"; }

redis_is_ready() {
  local reply
  running_pid redis >/dev/null || return 1
  # Spoken by hand: redis-cli is a package of its own in some distributions.
  { exec 7<>"/dev/tcp/127.0.0.1/$(port_of redis)"; } 2>/dev/null || return 1
  printf 'PING\r\n' >&7
  read -r -t 1 reply <&7 || reply=
  exec 7>&-
  [[ $reply == +PONG* ]]
}

redis_start() {
  local version
  version=$(redis-server --version | sed -E 's/.* v=([0-9.]+).*/\1/')
  [[ $(printf '%s\n' "$REDIS_MIN_VERSION" "$version" | sort -V | head -1) == "$REDIS_MIN_VERSION" ]] ||
    die "redis $version is too old: $REDIS_MIN_VERSION or newer is needed"
  mkdir -p "$STATE/redis/data"
  # set-proc-title off: the command line is how the server is recognised as ours.
  put "$STATE/redis/redis.conf" "bind 127.0.0.1
port $(port_of redis)
dir \"$STATE/redis/data\"
save \"\"
appendonly no
set-proc-title no"
  if ! running_pid redis >/dev/null; then
    spawn redis redis-server "$STATE/redis/redis.conf"
  fi
  await_ready redis 30 "redis $version to answer PING" redis_is_ready || fail_with_log redis stdout.log
}

redis_stop() {
  local pid
  if ! pid=$(running_pid redis); then
    say redis "is down"
    return
  fi
  end_process redis "$pid" TERM 10 KILL 10
  say redis "stopped"
}

redis_kill() { end_process redis "$1" KILL 10; } # PID
redis_remove_outside_state() { :; }
