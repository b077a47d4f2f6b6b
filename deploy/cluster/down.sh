#!/bin/sh
# Stops all parts. The data stays; with CLEAN=1 it goes, and so does the cluster's state folder.
. "$(dirname "$0")/env.sh"

alone
# NGINX first: with their clients gone the instances end at once.
driver stop nginx prometheus redis-exporter nginx-exporter alertmanager >/dev/null
# shellcheck disable=SC2046 # a list of names
driver stop $(instances "$MAX_INSTANCES") >/dev/null
driver stop redis >/dev/null
if [ "${CLEAN:-}" = 1 ]; then
  driver remove data
  rm -rf "$CLUSTER_DIR"
  say 'Stopped; data, logs and state are removed'
else
  driver remove
  rm -f "$CLUSTER_DIR/driver" "$CLUSTER_DIR/instances"
  say 'Stopped; the data stays (make clean removes it)'
fi
