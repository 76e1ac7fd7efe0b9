# shellcheck shell=bash
# Ports are chosen at the first start and kept in the state directory.

# Below the range that the kernel takes for outgoing connections, so that no client of ours can sit on a stopped server's port.
FIRST_PORT=20000
PORTS=12000

port_of() { cat "$STATE/$1/port"; } # COMPONENT

# Nobody listens there.
port_is_free() { # PORT
  local hex
  printf -v hex '%04X' "$1"
  ! grep -qE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

becomes_free() { # PORT
  local deadline=$((SECONDS + 3))
  until port_is_free "$1"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

choose_port() {
  local port
  while :; do
    port=$((FIRST_PORT + RANDOM % PORTS))
    port_is_free "$port" && ! grep -qsx "$port" "$STATE"/*/*port && break
  done
  printf '%s\n' "$port"
}

# Makes sure that a component which is down has ports that nobody else holds.
settle_ports() { with_instance_lock settle_ports_locked "$1"; } # COMPONENT

settle_ports_locked() {
  local name file
  running_pid "$1" >/dev/null && return
  for name in $("${1}_port_names"); do
    file="$STATE/$1/$name"
    # A server that was killed a moment ago may still be letting go of it.
    if [[ -f $file ]] && ! becomes_free "$(cat "$file")"; then
      say "$1" "port $(cat "$file") is taken by another program: choosing a new one"
      rm "$file"
    fi
    [[ -f $file ]] || put "$file" "$(choose_port)"
  done
}
