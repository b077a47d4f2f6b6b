#!/bin/sh
# Follows one message through the cluster, with times: ROOM=lobby [WAIT=30s]. It is a real message: whoever is in the room sees
# it. What the instances log of it is shown, too, where LOG_LEVEL is debug.
. "$(dirname "$0")/env.sh"

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
# In this order, where the times are the same.
{ say "$sent" && cat "$scratch/logs" && tail -n +2 "$scratch/trace"; } |
  driver filter logs --from "$(printf '%s\n' "$sent" | sed 's/.*"time":\([0-9]*\).*/\1/')" ${BOLD:+--color}
[ -s "$scratch/logs" ] || note "The instances say nothing of it: LOG_LEVEL=debug (make rolling-restart LOG_LEVEL=debug)"
exit "$code"
