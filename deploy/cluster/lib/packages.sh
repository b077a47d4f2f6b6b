#!/bin/sh
# Makes sure that the npm packages match the lockfile. The machine's own Node only has to start npm.
set -eu
cd "$(dirname "$0")/../../.."

sh deploy/cluster/lib/install.sh npm node
# find, since test's -nt is not in POSIX
if [ -z "$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ]; then
  echo 'Installing the npm packages (npm ci)'
  npm ci --loglevel=error
  touch node_modules/.package-lock.json
fi
