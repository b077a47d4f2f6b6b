#!/bin/sh
# Shows the logs of all services, readable and merged by time: [INSTANCE=app2] [LEVEL=warn] [SINCE=10m]. On a terminal it
# follows them until ctrl-c; FOLLOW=1 or FOLLOW=0 overrides that.
. "$(dirname "$0")/../lib/env.sh"

LEVEL=${LEVEL:-trace}
one_of LEVEL trace debug info warn error fatal
if [ -t 1 ]; then FOLLOW=${FOLLOW:-1}; else FOLLOW=${FOLLOW:-0}; fi
one_of FOLLOW 0 1
since=
[ -z "${SINCE:-}" ] || since=$(seconds SINCE "$SINCE")
if [ -n "${INSTANCE:-}" ]; then
  known=$(driver states | cut -f 1)
  printf '%s\n' "$known" | grep -qxF "$INSTANCE" ||
    fail "INSTANCE=$INSTANCE: expected one of: $(printf '%s' "$known" | tr '\n' ' ')"
fi

if [ "$FOLLOW" = 1 ]; then set -- -f; else set --; fi
driver logs "$@" ${since:+-s "$since"} ${INSTANCE:+"$INSTANCE"} |
  driver filter logs --level "$LEVEL" ${since:+--since "$since"} ${BOLD:+--color}
