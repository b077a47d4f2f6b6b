#!/bin/sh
# Sends a signal to one part: INSTANCE=app2 [SIGNAL=KILL].
. "$(dirname "$0")/env.sh"

[ -n "${INSTANCE:-}" ] || fail 'Which one? make kill INSTANCE=app2 [SIGNAL=KILL]'
driver signal "$INSTANCE" "${SIGNAL:-KILL}"
say "Sent ${SIGNAL:-KILL} to $INSTANCE"
