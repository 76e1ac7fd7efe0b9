# shellcheck shell=bash
# PostgreSQL with logical replication. It refuses to run as root: then an unprivileged user runs it.

postgres_port_names() { echo port; }
postgres_marker() { postgres_data; }

postgres_env() {
  printf '%s\n' \
    "DATABASE_URL=postgres://postgres@127.0.0.1:$(port_of postgres)/postgres" \
    "PG_BIN=$(postgres_bin)" \
    "PG_SOCKET_DIR=$(postgres_tmp_dir)"
}

# The folder of the server's programs.
postgres_bin() {
  local major
  major=$(setting PG_MAJOR postgres '')
  if [[ -n $major ]]; then postgres_package_bin "$major"; else postgres_installed_bin; fi
}

# The folder of the installed server's programs; fails if there is none that is new enough.
postgres_installed_bin() {
  local bin installed
  mapfile -t installed < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
  for bin in "$(pg_config --bindir 2>/dev/null || true)" "${installed[@]}"; do
    [[ -x $bin/initdb && -x $bin/postgres ]] || continue
    (($(postgres_major "$bin") >= POSTGRES_MIN_MAJOR)) || continue
    printf '%s\n' "$bin"
    return
  done
  return 1
}

postgres_major() { "$1/postgres" --version | sed -E 's/[^0-9]*([0-9]+).*/\1/'; } # BIN

postgres_user() {
  if id -u postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

# What stands before a command so that the server's user runs it; in the same process, so its pid is the server's.
as_postgres=()
postgres_choose_user() {
  ((EUID == 0)) || return 0
  local user
  user=$(postgres_user)
  as_postgres=(setpriv "--reuid=$user" "--regid=$(id -gn "$user")" --clear-groups --)
}

postgres_own() { ((EUID != 0)) || chown "$(postgres_user)" "$1"; } # DIR

# Sockets need a short path (107 bytes at most), so they are not in the state directory. The folder names its owner: a
# state directory that was copied with its checkout must not lead to the servers of the original.
postgres_known_tmp_dir() {
  local dir
  dir=$(cat "$STATE/postgres/tmp_dir" 2>/dev/null) || return 1
  [[ $(cat "$dir/owner" 2>/dev/null) == "$STATE" ]] || return 1
  printf '%s\n' "$dir"
}

postgres_tmp_dir() {
  local dir
  postgres_known_tmp_dir && return
  dir=$(mktemp -d /tmp/cdc-relay-pg.XXXXXX)
  put "$dir/owner" "$STATE"
  postgres_own "$dir"
  put "$STATE/postgres/tmp_dir" "$dir"
  printf '%s\n' "$dir"
}

# In the state directory, if the server's user can get there (a checkout in somebody's home may be closed to it).
postgres_data() {
  local tmp
  if [[ -f $STATE/postgres/data_in_tmp ]] && tmp=$(postgres_known_tmp_dir); then
    printf '%s\n' "$tmp/data"
  else
    printf '%s\n' "$STATE/postgres/data"
  fi
}

postgres_choose_data_dir() {
  postgres_tmp_dir >/dev/null
  if "${as_postgres[@]}" test -x "$STATE/postgres"; then
    rm -f "$STATE/postgres/data_in_tmp"
  elif [[ ! -f $STATE/postgres/data_in_tmp ]]; then
    touch "$STATE/postgres/data_in_tmp"
    say postgres "$(postgres_user) may not enter $STATE: data is in $(postgres_data)"
  fi
}

postgres_initialise() {
  local data new major
  data=$(postgres_data)
  if [[ -f $data/PG_VERSION ]]; then
    major=$(cat "$data/PG_VERSION")
    [[ $major == "$(postgres_major "$(postgres_bin)")" ]] ||
      die "the data in $data is of PostgreSQL $major: PG_MAJOR=$major, or remove it with scripts/services destroy"
    # The server refuses a folder that is not its user's, as after a copy of the checkout.
    ((EUID != 0)) || chown -R "$(postgres_user)" "$data"
    return
  fi
  new=$data.new
  say postgres "creating the cluster in $data"
  rm -rf "$new"
  mkdir -m 700 "$new"
  postgres_own "$new"
  # --no-sync: nothing is in it yet that a power cut could take; fsync is on from the first start.
  attempt "${as_postgres[@]}" "$(postgres_bin)/initdb" -D "$new" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
    >"$STATE/postgres/initdb.log" 2>&1 || {
    rm -rf "$new"
    give_up_if_interrupted
    fail_with_log postgres initdb.log
  }
  printf "\ninclude 'services.conf'\n" >>"$new/postgresql.conf"
  mv "$new" "$data"
}

postgres_configure() {
  # max_wal_size: no checkpoint storm in the middle of a measurement.
  cat >"$(postgres_data)/services.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $(port_of postgres)
unix_socket_directories = '$(postgres_tmp_dir)'
wal_level = logical
max_connections = 300
max_replication_slots = 100
max_wal_senders = 100
shared_buffers = '256MB'
max_wal_size = '4GB'
$(setting PG_CONF postgres '' | tr ';' '\n')
CONF
}

# Every process of this cluster: they all sit in its data folder, also those whose postmaster has died.
postgres_processes() {
  "${as_postgres[@]}" find /proc -maxdepth 2 -name cwd -lname "$(postgres_data)" 2>/dev/null | cut -d/ -f3
}

# The pid in a left-over lock file may be a zombie's or, after a reboot, any program's: the server would refuse to start.
# Without processes the files mean nothing; before, they protect the data from children of a crashed server.
postgres_remove_stale_locks() {
  local deadline=$((SECONDS + 20))
  while [[ -n $(postgres_processes) ]]; do
    ((SECONDS < deadline)) || die "processes of a crashed PostgreSQL do not end: $(postgres_processes | xargs)"
    give_up_if_interrupted
    sleep 0.1
  done
  rm -f "$(postgres_data)/postmaster.pid" "$(postgres_tmp_dir)"/.s.PGSQL.*
}

postgres_is_ready() {
  # Not of PG_MAJOR: a fetched server comes without clients.
  running_pid postgres >/dev/null && "$(postgres_installed_bin)/pg_isready" -q -U postgres -d postgres -h 127.0.0.1 -p "$(port_of postgres)" -t 2
}

postgres_start() {
  local major
  major=$(setting PG_MAJOR postgres '')
  [[ -z $major ]] || postgres_fetch "$major"
  postgres_choose_user
  postgres_choose_data_dir
  postgres_initialise
  postgres_configure
  if ! running_pid postgres >/dev/null; then
    postgres_remove_stale_locks
    spawn postgres "${as_postgres[@]}" "$(postgres_bin)/postgres" -D "$(postgres_data)"
  fi
  await_ready postgres 180 "PostgreSQL to accept connections" postgres_is_ready || fail_with_log postgres stdout.log
}

postgres_stop() {
  local pid
  if ! pid=$(running_pid postgres); then
    say postgres "is down"
    return
  fi
  # INT is a fast shutdown; it waits for replication clients, which need not read. QUIT does not: recovery follows.
  end_process postgres "$pid" INT 20 QUIT 10 KILL 10
  say postgres "stopped"
}

# With its children, as when the machine fails.
postgres_kill() { # PID
  local child
  postgres_choose_user
  end_process postgres "$1" KILL 10
  for child in $(postgres_processes); do
    kill -s KILL "$child" 2>/dev/null || true
    await_gone "$child" 10
  done
}

postgres_remove_outside_state() {
  local dir
  dir=$(postgres_known_tmp_dir) || return 0
  rm -rf "$dir"
}
