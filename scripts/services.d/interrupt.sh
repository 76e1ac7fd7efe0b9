# shellcheck shell=bash
# Ctrl-C must leave nothing half-made. Workers are deaf to signals and look at a flag at the points where they can give
# up in good order; the main process raises it. (Not a trap in the workers: bash may run one inside a `$(…)`.)

interrupt_flag=/tmp/cdc-relay-interrupt.$$
rm -f "$interrupt_flag"

interrupted() { [[ -e $interrupt_flag ]]; }

give_up_if_interrupted() {
  if interrupted; then exit 130; fi
}

# Runs a program with ordinary signals, without our locks. In a process of its own, so `&` gives the program's pid.
run_apart() { # PROGRAM...
  trap - INT TERM HUP
  exec "$@" 3>&- 4>&- 5>&- 6>&- 8>&-
}

# Runs a program so that an interrupt ends it at once; the caller's own clean-up follows.
attempt() { # PROGRAM...
  local child
  run_apart "$@" &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    if interrupted; then
      kill -TERM "$child" 2>/dev/null || true
      wait "$child" || true
      return 130
    fi
    sleep 0.05
  done
  wait "$child"
}

# Runs FUNCTION for each component at the same time. Ends the script if one of them fails: a result for the caller to
# test would switch `set -e` off in the workers.
in_parallel() { # FUNCTION COMPONENT...
  local function=$1 component worker failed=no code
  local -A workers=()
  shift
  trap 'touch "$interrupt_flag"' INT TERM HUP
  trap 'rm -f "$interrupt_flag"' EXIT
  for component in "$@"; do
    (
      trap '' INT TERM HUP
      "$function" "$component"
    ) &
    workers[$component]=$!
  done
  for worker in "${workers[@]}"; do
    # A signal ends `wait` early: the worker is still busy with its clean-up.
    while code=0; wait "$worker" || code=$?; ((code > 128)) && kill -0 "$worker" 2>/dev/null; do :; done
    ((code == 0)) || failed=yes
  done
  trap - INT TERM HUP
  if interrupted; then
    say services "interrupted"
    exit 130
  fi
  [[ $failed == no ]] || exit 1
}
