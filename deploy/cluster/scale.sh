#!/bin/sh
# Changes the number of instances: N=1..16. Connections on those that stay are not touched.
N=${N-}
. "$(dirname "$0")/env.sh"

[ -n "$N" ] || fail 'How many instances? make scale N=5'
whole_number N "$N" 1 "$MAX_INSTANCES"
alone
running=$(running_instances)
[ -n "$running" ] || fail 'The cluster is not running: make up'

# shellcheck disable=SC2046,SC2086 # lists of names
{
  driver prepare
  # New instances are ready before NGINX knows them; the others drain after NGINX has forgotten them.
  driver start $(instances "$N")
  driver configure "$N"
  remember instances "$N"
  surplus=$(for name in $running; do [ "${name#app}" -le "$N" ] || echo "$name"; done)
  [ -z "$surplus" ] || driver stop $surplus | sed 's/ / drained, exit code /'
}
INSTANCES=$N sh deploy/cluster/status.sh
