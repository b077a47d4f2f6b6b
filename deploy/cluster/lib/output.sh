# shellcheck shell=sh
# shellcheck disable=SC2034 # the colours are for the commands
# What commands print: results on standard output, notes and errors on standard error.

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }
random_hex() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; } # a secret: 64 characters
fail() { note "$@" && exit 1; }

# Colours, on a terminal only.
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$(printf '\033[1m') DIM=$(printf '\033[2m') GREEN=$(printf '\033[32m') RED=$(printf '\033[31m')
  YELLOW=$(printf '\033[33m') RESET=$(printf '\033[0m')
else
  BOLD='' DIM='' GREEN='' RED='' YELLOW='' RESET=''
fi

# Progress: one line that is rewritten on a terminal, otherwise a line every few seconds.
PROGRESS_EVERY=5 # seconds
last_line=0
progress() {
  if [ -t 1 ]; then
    printf '\r\033[K  %s' "$*"
  elif [ $(($(date +%s) - last_line)) -ge "$PROGRESS_EVERY" ]; then
    say "  $*"
    last_line=$(date +%s)
  fi
}
progress_end() { if [ -t 1 ]; then printf '\r\033[K'; fi; }
