#!/bin/sh
# Publishes a message through the server API: ROOM=lobby CONTENT=hello [ID=...]. Prints its position.
. "$(dirname "$0")/../lib/env.sh"

[ -n "${ROOM:-}" ] || fail 'Which room? make publish ROOM=lobby CONTENT=hello'
[ -n "${CONTENT:-}" ] || fail 'Which message? make publish ROOM=lobby CONTENT=hello'
[ -n "$(running_instances)" ] || fail 'The cluster is not running: make up'
driver tool publish "$(driver api-url)" --room "$ROOM" --content "$CONTENT" ${ID:+--id "$ID"}
