#!/bin/sh
# Runs one instance with the memory broker, restarts it on change, and prints a token. Needs neither Redis nor Docker.
DRIVER=native
. "$(dirname "$0")/../lib/env.sh"

ensure_env_file
install_packages
exec node deploy/cluster/commands/dev.ts
