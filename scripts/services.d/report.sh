# shellcheck shell=bash
# What the user sees: one line a step, with the time since the command began.

STARTED_AT=$EPOCHREALTIME

elapsed() { # [SINCE], seconds with one decimal
  local us=$((${EPOCHREALTIME/[.,]/} - ${STARTED_AT/[.,]/}))
  printf '%d.%d' $((us / 1000000)) $((us % 1000000 / 100000))
}

say() { # WHO WORDS...
  local who=$1
  shift
  printf '[%6ss] %-8s %s\n' "$(elapsed)" "$who" "$*"
}

die() { # WORDS...
  printf 'scripts/%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
