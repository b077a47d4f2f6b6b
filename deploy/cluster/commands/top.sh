#!/bin/sh
# Shows the instances live: state, load, latency, drains, and the latest events. `q` quits. Without a terminal it prints one
# table. This shell owns the terminal and always restores it; app/tools/top.ts draws what the driver reports.
. "$(dirname "$0")/../lib/env.sh"

STATES_EVERY=5 # seconds, about

states() { printf 'states %s\n' "$(driver states | tr '\t\n' ', ')"; }
names() { say "$1" | tr ' ' '\n' | sed -n 's/^\(app[0-9]*\),.*/\1/p'; }

now=$(states)
case $now in *,running,* | *,unhealthy,*) ;; *) fail 'The cluster is not running: make up' ;; esac

if [ ! -t 0 ] || [ ! -t 1 ]; then
  # shellcheck disable=SC2046 # a list of names
  { say "$now" && driver logs $(names "$now"); } | driver filter top --once ${BOLD:+--color}
  exit
fi

scratch=$(mktemp -d)
settings=$(stty -g)
top='' logs=''
leave() {
  [ -z "$logs" ] || kill "$logs" 2>/dev/null || :
  exec 3>&-
  [ -z "$top" ] || wait "$top" || :
  stty "$settings"
  printf '\033[?7h\033[?25h\033[?1049l'
  cat "$scratch/errors" >&2 || :
  rm -rf "$scratch"
}
at_exit leave
# The reader of the feed may end first.
trap '' PIPE

mkfifo "$scratch/feed"
: >"$scratch/errors"
driver filter top ${BOLD:+--color} <"$scratch/feed" 2>"$scratch/errors" &
top=$!
exec 3>"$scratch/feed"
# The alternate screen without cursor and line wrap; single keys, with a timeout of one second.
printf '\033[?1049h\033[?25l\033[?7l'
stty -icanon -echo min 0 time 10

followed='' round=0
while kill -0 "$top" 2>/dev/null; do
  if [ $((round % STATES_EVERY)) = 0 ]; then
    now=$(states 2>/dev/null)
    # Following ends with the last instance.
    kill -0 "$logs" 2>/dev/null || followed=
  fi
  round=$((round + 1))
  printf 'size %s\n%s\n' "$(stty size)" "$now" >&3
  # Follow the logs of new instances too.
  if [ "$followed" != "$(names "$now")" ]; then
    followed=$(names "$now")
    [ -z "$logs" ] || kill "$logs" 2>/dev/null || :
    # shellcheck disable=SC2034,SC2086 # read by the driver; a list of names
    (EXEC='exec' && driver logs -f $followed) >&3 3>&- 2>/dev/null &
    logs=$!
  fi
  case $(dd bs=1 count=1 2>/dev/null) in q | Q) exit ;; esac
done
wait "$top"
