# shellcheck shell=sh
# What all commands share. Each begins with:  . "$(dirname "$0")/../lib/env.sh"
set -eu

ROOT=$(cd "$(dirname "$0")/../../.." && pwd)
cd "$ROOT"

. deploy/cluster/lib/output.sh
. deploy/cluster/lib/settings.sh
. deploy/cluster/lib/lock.sh
. deploy/cluster/drivers/driver.sh
on_wrong=wrong_option

# The names of the instances 1..N.
instances() {
  i=1
  while [ "$i" -le "$1" ]; do
    printf 'app%s ' "$i"
    i=$((i + 1))
  done
}
# The services that run, whatever the settings say.
running_services() { # running_services [BEGINNING OF THEIR NAMES]
  driver states | awk -F '\t' -v begin="${1:-}" '
    index($1, begin) == 1 && ($2 == "running" || $2 == "unhealthy") { printf "%s ", $1 }'
}
running_instances() { running_services app; }

# A value from one line of flat JSON.
field() { # field NAME JSON
  printf '%s\n' "$2" | sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p'
}

connections_of() { field connections "$(driver fetch "$1" /status 2>/dev/null </dev/null || :)"; }

# How many times an even share something is, with two digits.
ratio() { # ratio AMOUNT TOTAL SHARES
  awk -v part="$1" -v whole="$2" -v shares="$3" 'BEGIN { printf "%.2f", (whole > 0 ? part * shares / whole : 1) }'
}

# Ends unless every service is well.
require_all_well() { # require_all_well CONSEQUENCE
  wrong=$(JSON=1 sh deploy/cluster/commands/status.sh | tr '{' '\n' |
    sed -n 's/^"name":"\([^"]*\)","state":"\([^"]*\)".*/\1 is \2/p' | grep -vE ' is (ready|running)$' || :)
  [ -z "$wrong" ] || fail "$1: $(printf '%s' "$wrong" | tr '\n' ',' | sed 's/,/, /g'). Run make up first"
}
