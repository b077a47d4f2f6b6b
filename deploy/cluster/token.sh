#!/bin/sh
# Prints a token and nothing else: NAME=alice [ROOMS=a,b] [TTL=1h].
. "$(dirname "$0")/env.sh"

[ -n "${JWT_SECRET:-}" ] || fail 'There is no secret yet: make up'
driver tool token --name "${NAME:-guest}" ${ROOMS:+--rooms "$ROOMS"} ${TTL:+--ttl "$TTL"}
