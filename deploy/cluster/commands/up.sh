#!/bin/sh
# Starts the cluster, or repairs it. What runs well is left alone, and running instances keep their version: deploying a new
# one is the job of rolling-restart.sh.
. "$(dirname "$0")/../lib/env.sh"
require_settings

begin=$(date +%s)
alone
ensure_env_file
refuse_public_demo
driver prepare
remember driver "$DRIVER"
wanted=$(instances "$INSTANCES")
dashboards=$([ "$DASHBOARDS" = false ] || echo grafana)
surplus=$(for name in $(running_services); do
  case " ${wanted}nginx redis $MONITORING $dashboards " in *" $name "*) ;; *) echo "$name" ;; esac
done)

# shellcheck disable=SC2086 # lists of names
{
  driver start redis
  driver start $wanted
  remember settings/INSTANCES "$INSTANCES"
  driver configure "$INSTANCES"
  driver start nginx $MONITORING
  [ "$DASHBOARDS" = false ] || driver dashboards
  [ -z "$surplus" ] || driver stop $surplus | sed -n '/^app/s/ / drained, exit code /p'
}
say "Up in $(($(date +%s) - begin)) s"
sh deploy/cluster/commands/status.sh
