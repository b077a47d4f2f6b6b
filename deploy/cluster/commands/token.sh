#!/bin/sh
# Prints a token: NAME=alice [ROOMS=a,b] [TTL=1h].
. "$(dirname "$0")/../lib/env.sh"

[ -n "${JWT_SECRET:-}" ] || fail 'There is no secret yet. Run make up first'
driver tool token --name "${NAME:-guest}" ${ROOMS:+--rooms "$ROOMS"} ${TTL:+--ttl "$TTL"}
