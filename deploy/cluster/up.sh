#!/bin/sh
# Starts the cluster, or repairs it: what runs well is left alone. Running instances keep their version; deploying
# a new one is roll.sh's.
. "$(dirname "$0")/env.sh"

begin=$(date +%s)
alone
ensure_env_file
driver prepare
remember driver "$DRIVER"
wanted=$(instances "$INSTANCES")
dashboards=$([ "$DASHBOARDS" = false ] || echo grafana)
surplus=$(for name in $(running_parts); do
  case " ${wanted}nginx redis $WATCHERS $dashboards " in *" $name "*) ;; *) echo "$name" ;; esac
done)

# shellcheck disable=SC2086 # lists of names
{
  driver start redis
  driver start $wanted
  remember instances "$INSTANCES"
  driver configure "$INSTANCES"
  driver start nginx $WATCHERS
  [ "$DASHBOARDS" = false ] || driver dashboards
  [ -z "$surplus" ] || driver stop $surplus | sed -n '/^app/s/ / drained, exit code /p'
}
say "Up in $(($(date +%s) - begin)) s"
sh deploy/cluster/status.sh
