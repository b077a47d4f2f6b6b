#!/bin/sh
# Stops all services. The data stays; with CLEAN=1 it is removed, with the cluster's state folder.
. "$(dirname "$0")/../lib/env.sh"

alone
# NGINX first: without clients the instances stop at once.
driver stop nginx prometheus redis-exporter nginx-exporter alertmanager >/dev/null
# shellcheck disable=SC2046 # a list of names
driver stop $(instances "$MAX_INSTANCES") >/dev/null
driver stop redis >/dev/null
if [ "${CLEAN:-}" = 1 ]; then
  driver remove data
  rm -rf "$CLUSTER_DIR"
  say 'Stopped; removed data, logs and state'
else
  driver remove
  rm -f "$CLUSTER_DIR/driver" "$CLUSTER_DIR/instances"
  say 'Stopped; the data is kept (make clean removes it)'
fi
