# shellcheck shell=bash
# The state directory of one instance: everything that it owns is in here (or named by a file in here).

COMPONENTS=(postgres kafka redis)
CHECKOUT=$(dirname "$SCRIPTS")
STATE=$(realpath -m -- "${SERVICES_DIR:-$CHECKOUT/.services}")
CACHE=$(realpath -m -- "${SERVICES_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cdc-relay}")

# Locks are file descriptors, fixed so that a server that is started can be kept from inheriting them.
declare -A LOCK_FD=([postgres]=4 [kafka]=5 [redis]=6 [instance]=8)

known_component() { # NAME
  [[ " ${COMPONENTS[*]} " == *" $1 "* ]] || die "unknown component: $1 (there are ${COMPONENTS[*]})"
}

create_state() {
  local component
  for component in "${COMPONENTS[@]}"; do mkdir -p "$STATE/$component"; done
}

# Takes the lock until this process ends. A lock file that `destroy` removed while we waited is not the lock any more.
lock() { # NAME FILE
  local fd=${LOCK_FD[$1]} waiting=no
  while :; do
    mkdir -p "$(dirname "$2")"
    eval "exec $fd>\"\$2\""
    until flock -w 1 "$fd"; do
      [[ $waiting == yes ]] || say "$1" "waiting for another scripts/services at $STATE"
      waiting=yes
      give_up_if_interrupted
    done
    [[ $(stat -Lc %i "/proc/self/fd/$fd") == "$(stat -c %i "$2" 2>/dev/null)" ]] && return
  done
}

lock_component() { lock "$1" "$STATE/$1/lock"; }

# Runs a command alone among all that work on this instance.
with_instance_lock() { # COMMAND...
  (
    lock instance "$STATE/lock"
    "$@"
  )
}

put() { # FILE CONTENT, so that a reader sees the old file or the new one
  printf '%s\n' "$2" >"$1.$BASHPID"
  mv "$1.$BASHPID" "$1"
}

# A setting that the caller gives is remembered for the starts to come, so that a restart after a crash has it too.
setting() { # VARIABLE COMPONENT DEFAULT
  local file="$STATE/$2/$1"
  if [[ -n ${!1+given} ]]; then put "$file" "${!1}"; fi
  if [[ -f $file ]]; then cat "$file"; else printf '%s\n' "$3"; fi
}

warn_of_pending_settings() { # COMPONENT
  local variable
  for variable in "${!SETTING_OF[@]}"; do
    [[ -n ${!variable+given} && $1 == "${SETTING_OF[$variable]}" ]] || continue
    [[ ${!variable} == "$(cat "$STATE/$1/$variable" 2>/dev/null)" ]] ||
      say "$1" "runs without this $variable: scripts/services restart $1 applies it"
  done
}
declare -A SETTING_OF=(
  [PG_CONF]=postgres [PG_MAJOR]=postgres
  [KAFKA_CONF]=kafka [KAFKA_HEAP]=kafka [KAFKA_TLS]=kafka [KAFKA_USERS]=kafka [KAFKA_JOIN]=kafka
)

write_env() { with_instance_lock write_env_locked; }

write_env_locked() {
  local component lines=()
  for component in "${COMPONENTS[@]}"; do
    [[ -f $STATE/$component/port ]] || continue
    mapfile -t -O "${#lines[@]}" lines < <("${component}_env")
  done
  put "$STATE/env" "$(printf '%s\n' "${lines[@]}")"
}

remove_state() {
  # Only what this script makes: a SERVICES_DIR that was aimed at the wrong place must not be emptied.
  rm -rf "${COMPONENTS[@]/#/$STATE/}" "$STATE/env" "$STATE/lock"
  if rmdir "$STATE" 2>/dev/null; then
    say services "removed $STATE"
  else
    say services "removed all data; $STATE itself has files of others"
  fi
}
