#!/bin/sh
# Follows one message through the cluster, with times: ROOM=lobby [WAIT=30s]. It is a real message: everyone in the room sees
# it. With LOG_LEVEL=debug the log lines of the instances are shown too.
. "$(dirname "$0")/../lib/env.sh"

[ -n "${ROOM:-}" ] || fail 'Which room? make trace ROOM=lobby [WAIT=30s]'
case $ROOM in *[!A-Za-z0-9_.:-]*) fail "ROOM=$ROOM: expected letters, digits and _ . : -" ;; esac
wait=$(seconds WAIT "${WAIT:-30s}")
instances=$(running_instances)
[ -n "$instances" ] || fail 'The cluster is not running: make up'

scratch=$(mktemp -d)
at_exit "rm -rf '$scratch'"
code=0
driver tool trace "$(driver ws-url)" --room "$ROOM" --wait "$wait" \
  --instances "$(printf '%s' "$instances" | tr ' ' ,)" >"$scratch/trace" || code=1
[ -s "$scratch/trace" ] || exit 1

sent=$(head -n 1 "$scratch/trace")
position=$(printf '%s\n' "$sent" | sed 's/.*"position":\({[^}]*}\).*/\1/')
# shellcheck disable=SC2086 # a list of names
driver logs -s $((wait + 5)) $instances | grep -F "\"position\":$position" >"$scratch/logs" || :
# In this order where times are equal.
{ say "$sent" && cat "$scratch/logs" && tail -n +2 "$scratch/trace"; } |
  driver filter logs --from "$(printf '%s\n' "$sent" | sed 's/.*"time":\([0-9]*\).*/\1/')" ${BOLD:+--color}
[ -s "$scratch/logs" ] || note "The instances log single messages only with LOG_LEVEL=debug: make rolling-restart LOG_LEVEL=debug"
exit "$code"
