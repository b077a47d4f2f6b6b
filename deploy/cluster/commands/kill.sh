#!/bin/sh
# Sends a signal to one service: INSTANCE=app2 [SIGNAL=KILL].
. "$(dirname "$0")/../lib/env.sh"

[ -n "${INSTANCE:-}" ] || fail 'Which instance? make kill INSTANCE=app2 [SIGNAL=KILL]'
driver signal "$INSTANCE" "${SIGNAL:-KILL}"
say "Sent ${SIGNAL:-KILL} to $INSTANCE"
