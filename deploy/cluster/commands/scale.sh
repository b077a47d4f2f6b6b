#!/bin/sh
# Changes the number of instances: N=1..16. Connections on the remaining instances are not affected.
N=${N-}
. "$(dirname "$0")/../lib/env.sh"
require_settings

[ -n "$N" ] || fail 'How many instances? make scale N=5'
whole_number N 1 "$MAX_INSTANCES"
alone
running=$(running_instances)
[ -n "$running" ] || fail 'The cluster is not running: make up'

# shellcheck disable=SC2046,SC2086 # lists of names
{
  driver prepare
  # New instances are ready before NGINX uses them; surplus ones drain after NGINX has dropped them.
  driver start $(instances "$N")
  driver configure "$N"
  remember settings/INSTANCES "$N"
  surplus=$(for name in $running; do [ "${name#app}" -le "$N" ] || echo "$name"; done)
  [ -z "$surplus" ] || driver stop $surplus | sed 's/ / drained, exit code /'
}
INSTANCES=$N sh deploy/cluster/commands/status.sh
