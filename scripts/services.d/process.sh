# shellcheck shell=bash
# Starting, recognising and ending servers. A process is only ever signalled after its command line has shown that this
# instance started it: its pid may belong to somebody else by now.

# The pid of the component's server, if it runs.
running_pid() { # COMPONENT
  local pid
  pid=$(cat "$STATE/$1/pid" 2>/dev/null) || return 1
  [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 1
  # Not grep -q: it would end the pipe early, which pipefail takes for a failure.
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -xF -- "$("${1}_marker")" >/dev/null || return 1
  printf '%s\n' "$pid"
}

# Starts a server that outlives this script and hears nothing of its terminal.
spawn() { # COMPONENT COMMAND...
  local component=$1
  shift
  run_apart setsid "$@" >>"$STATE/$component/stdout.log" 2>&1 </dev/null &
  put "$STATE/$component/pid" "$!"
  disown "$!"
}

# Waits until READY succeeds. Fails if the server ends first; an interrupt takes it down again.
await_ready() { # COMPONENT SECONDS WHAT READY...
  local component=$1 deadline=$((SECONDS + $2)) what=$3 pid
  shift 3
  pid=$(cat "$STATE/$component/pid")
  say "$component" "waiting for $what"
  until "$@"; do
    if interrupted; then
      "${component}_kill" "$pid"
      exit 130
    fi
    kill -0 "$pid" 2>/dev/null || return 1
    if ((SECONDS >= deadline)); then
      say "$component" "no answer in time"
      return 1
    fi
    sleep 0.05
  done
}

# A zombie is as good as gone once its other threads are: only then its ports are free.
is_gone() { # PID
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} == Z && ${stat[17]} -le 1 ]]
}

await_gone() { # PID SECONDS
  local deadline=$((SECONDS + $2))
  until is_gone "$1"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# Sends each signal in turn until one has ended the server.
end_process() { # COMPONENT PID [SIGNAL SECONDS]...
  local component=$1 pid=$2 signal
  shift 2
  while (($#)); do
    signal=$1
    kill -s "$signal" "$pid" 2>/dev/null || true
    if await_gone "$pid" "$2"; then
      rm -f "$STATE/$component/pid"
      return
    fi
    shift 2
    say "$component" "pid $pid is still there after SIG$signal"
  done
  die "$component: pid $pid could not be stopped"
}

resident_mib() { awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$1/status"; } # PID

# Ends the script with the end of a log of the component.
fail_with_log() { # COMPONENT LOG
  say "$1" "failed; the end of $STATE/$1/$2:" >&2
  tail -n 20 "$STATE/$1/$2" >&2 || true
  exit 1
}
