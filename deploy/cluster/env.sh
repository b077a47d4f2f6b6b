# shellcheck shell=sh
# shellcheck disable=SC2034 # its variables are for the commands that read it
# The settings of the cluster, and what all its commands share; each begins with:  . "$(dirname "$0")/env.sh"
#
# What is given to make or stands in the environment wins over .env, and that over the defaults below.
# The commands are written over a driver, compose.sh or native.ts, which knows these verbs:
#   prepare [deploy]     see to all that is needed (image, packages, free ports); for a deploy, build anew
#   start PART...        start these and wait until each is ready; what runs well is left as it is
#   stop PART...         SIGTERM, then SIGKILL after STOP_GRACE seconds; prints `PART EXITCODE` for each
#   signal PART SIGNAL   send a signal
#   states               a line a known part, tab-separated: NAME STATE ID UPTIME_SECONDS URL
#                        (STATE: running, unhealthy, exited:CODE or stopped; ID: pid or container)
#   fetch INSTANCE PATH [JSON]
#                        GET from the instance's internal listener, or POST the JSON; the body on standard output
#   tool NAME ARGS...    run app/tools/NAME.ts with the cluster's environment
#   probe                run app/tools/probe.ts against NGINX, apart from the instances, until standard input ends
#   dashboards           start Grafana where it can be had, or say where the same panels are; never fails for it
#   configure N          point NGINX and Prometheus at app1..appN; NGINX reloads if that is a change
#   logs [-f] [-s SECONDS] [PART...]
#                        what the parts wrote, as lines `PART | LINE`: the last of each, or all of the last SECONDS
#   filter NAME ARGS...  run app/tools/NAME.ts over standard input, apart from the instances but where it reaches them
#   ws-url               the WebSocket on NGINX's internal listener, which lets a probe choose its address
#   remove [data]        after all is stopped: what the driver made besides (networks, containers); the data, too
# With EXEC=exec a verb takes the place of the shell that calls it, so that it can be ended by that one's pid.
set -eu

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
cd "$ROOT"

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }
fail() { note "$@" && exit 1; }

# Colours for people only.
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  BOLD=$(printf '\033[1m') DIM=$(printf '\033[2m') GREEN=$(printf '\033[32m') RED=$(printf '\033[31m')
  YELLOW=$(printf '\033[33m') RESET=$(printf '\033[0m')
else
  BOLD='' DIM='' GREEN='' RED='' YELLOW='' RESET=''
fi

# The app's variables that were given for this one command: they have to win over .env in the instances, too.
app_settings() { sed -n '/^# --- app/,/^# --- cluster/s/^\([A-Z_]*\)=.*/\1/p' .env.example; }
GIVEN=
for name in $(app_settings); do
  if eval "[ -n \"\${$name+given}\" ]"; then GIVEN="$GIVEN $name"; fi
done
given_instances=${INSTANCES-}

# Sets what a file of NAME=VALUE lines says and the environment does not.
read_settings() {
  while IFS= read -r line || [ -n "$line" ]; do
    name=${line%%=*} value=${line#*=}
    case $name in '' | *[!A-Za-z0-9_]* | [0-9]* | "$line") continue ;; esac
    case $value in
      \"*\") value=${value#\"} value=${value%\"} ;;
      \'*\') value=${value#\'} value=${value%\'} ;;
    esac
    eval "[ -n \"\${$name+set}\" ] || export $name=\"\$value\""
  done <"$1"
}
ENV_FILE=${ENV_FILE:-.env}
[ ! -f "$ENV_FILE" ] || read_settings "$ENV_FILE"

# --- defaults; .env.example says what they mean
DRIVER=${DRIVER:-}
INSTANCES=${INSTANCES:-3}
PUBLIC_PORT=${PUBLIC_PORT:-8080}
PUBLIC_BIND=${PUBLIC_BIND:-127.0.0.1}
TLS=${TLS:-false}
TLS_PORT=${TLS_PORT:-8443}
TLS_CERT=${TLS_CERT:-}
TLS_KEY=${TLS_KEY:-}
STICKY_MODE=${STICKY_MODE:-ip_hash}
TRUSTED_PROXIES=${TRUSTED_PROXIES:-}
PROMETHEUS_PORT=${PROMETHEUS_PORT:-9090}
ALERTS=${ALERTS:-false}
ALERT_WEBHOOK=${ALERT_WEBHOOK:-}
ALERTMANAGER_PORT=${ALERTMANAGER_PORT:-9093}
DASHBOARDS=${DASHBOARDS:-true}
GRAFANA_PORT=${GRAFANA_PORT:-3001}
CLUSTER_DIR=${CLUSTER_DIR:-.cluster}
NATIVE_PORT_BASE=${NATIVE_PORT_BASE:-18100}
COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-wsfleet}
# --- end of defaults

MAX_INSTANCES=16
case $CLUSTER_DIR in /*) ;; *) CLUSTER_DIR=$ROOT/$CLUSTER_DIR ;; esac
case $ENV_FILE in /*) ;; *) ENV_FILE=$ROOT/$ENV_FILE ;; esac
mkdir -p "$CLUSTER_DIR"
chmod 700 "$CLUSTER_DIR" # it holds secrets; what is in it may have to be readable by a container's user

one_of() { # one_of NAME CHOICE...
  chosen=$1
  eval "value=\$$1"
  shift
  for choice in "$@"; do [ "$value" != "$choice" ] || return 0; done
  fail "$chosen=$value: expected one of: $*"
}
whole_number() { # whole_number NAME VALUE MIN MAX
  case $2 in '' | *[!0-9]* | ??????*) fail "$1=$2: expected a number from $3 to $4" ;; esac
  { [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; } || fail "$1=$2: expected a number from $3 to $4"
}
# A span of time as the app's settings have it (500ms, 1.5s, 10m, 2h, 1d), and some seconds more, in whole seconds.
whole_seconds() { # whole_seconds SPAN [MORE]
  printf '%s\n' "$1" | awk -v more="${2:-0}" '
    { n = $0 + 0 }
    /[0-9]ms$/ { n /= 1000 } /[0-9]m$/ { n *= 60 } /[0-9]h$/ { n *= 3600 } /[0-9]d$/ { n *= 86400 }
    END { printf "%d", n + more }'
}
# The same of what a person gave for one command.
seconds() { # seconds NAME SPAN
  printf '%s\n' "$2" | awk '!/^[0-9]+[smhd]$/ || length > 7 { exit 1 }' ||
    fail "$1=$2: expected a time like 30s, 10m, 2h or 1d"
  whole_seconds "$2"
}
one_of TLS true false
one_of DASHBOARDS true false
one_of STICKY_MODE ip_hash hash off
one_of ALERTS true false
whole_number PUBLIC_PORT "$PUBLIC_PORT" 1 65535
whole_number TLS_PORT "$TLS_PORT" 1 65535
whole_number PROMETHEUS_PORT "$PROMETHEUS_PORT" 1 65535
whole_number ALERTMANAGER_PORT "$ALERTMANAGER_PORT" 1 65535
whole_number GRAFANA_PORT "$GRAFANA_PORT" 1 65535
whole_number NATIVE_PORT_BASE "$NATIVE_PORT_BASE" 1024 65435
case $TRUSTED_PROXIES in
  *[!0-9a-fA-F.:/,]*) fail "TRUSTED_PROXIES=$TRUSTED_PROXIES: expected CIDRs, comma-separated" ;;
esac

case $ALERT_WEBHOOK in
  '' | http://?* | https://?*) ;;
  *) fail "ALERT_WEBHOOK=$ALERT_WEBHOOK: expected http:// or https:// and the rest of a URL" ;;
esac
case $ALERT_WEBHOOK in
  *[!A-Za-z0-9._~:/?#@!\&\(\)*+,\;=%-]*) fail "ALERT_WEBHOOK=$ALERT_WEBHOOK: expected a URL, and in it no blank or quote" ;;
esac

# As Alertmanager reads it.
ALERT_WEBHOOKS=[${ALERT_WEBHOOK:+{ url: \"$ALERT_WEBHOOK\" \}}]

# The parts that serve nobody, but watch.
WATCHERS='prometheus redis-exporter nginx-exporter'
[ "$ALERTS" = false ] || WATCHERS="$WATCHERS alertmanager"

# As NGINX reads it.
NGINX_REALIP=$(printf '%s\n' "$TRUSTED_PROXIES" | tr ',' '\n' | sed -n 's/..*/set_real_ip_from &;/p' | tr '\n' ' ')

# How long a part may take to end, in seconds: an instance has its SHUTDOWN_DEADLINE, and somewhat more until it is
# killed.
STOP_GRACE=$(whole_seconds "${SHUTDOWN_DEADLINE:-20s}" 10.999)

export DRIVER PUBLIC_PORT PUBLIC_BIND TLS TLS_PORT TLS_CERT TLS_KEY STICKY_MODE TRUSTED_PROXIES PROMETHEUS_PORT
export ALERTS ALERT_WEBHOOKS ALERTMANAGER_PORT
export DASHBOARDS GRAFANA_PORT CLUSTER_DIR ENV_FILE NATIVE_PORT_BASE COMPOSE_PROJECT_NAME NGINX_REALIP STOP_GRACE

# A cluster that is there keeps its driver and its size, until it is told otherwise.
remembered() { [ ! -f "$CLUSTER_DIR/$1" ] || cat "$CLUSTER_DIR/$1"; }
remember() { # remember NAME VALUE
  printf '%s\n' "$2" >"$CLUSTER_DIR/$1.new" && mv "$CLUSTER_DIR/$1.new" "$CLUSTER_DIR/$1"
}
if [ -z "$given_instances" ]; then INSTANCES=$(remembered instances | grep . || echo "$INSTANCES"); fi
whole_number INSTANCES "$INSTANCES" 1 "$MAX_INSTANCES"
export INSTANCES
[ -n "$DRIVER" ] || DRIVER=$(remembered driver)
if [ -z "$DRIVER" ]; then
  if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then DRIVER=compose; else DRIVER=native; fi
fi
one_of DRIVER compose native
export DRIVER

# Commands that change the cluster do so one at a time. The lock is a link to the holder's pid; that of one that was
# killed is not waited for, and what the holder itself calls is not held up.
LOCK=$CLUSTER_DIR/lock
alone() {
  [ "${LOCK_HELD:-}" != "$LOCK" ] || return 0
  told=
  until ln -s $$ "$LOCK" 2>/dev/null; do
    holder=$(readlink "$LOCK" || :)
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
      rm -f "$LOCK"
    else
      [ -n "$told" ] || told=$(note 'Waiting for another command that changes this cluster' && echo yes)
      sleep 0.5
    fi
  done
  at_exit "rm -f '$LOCK'"
  export LOCK_HELD="$LOCK"
}

# Adds to what is done when the command ends, however it ends: last added, first done.
at_exit() {
  at_exit_all="$1; ${at_exit_all:-}"
  # shellcheck disable=SC2064 # as it is now
  trap "$at_exit_all" EXIT
  trap 'exit 130' HUP INT TERM
}

# The names of the instances 1..N.
instances() {
  i=1
  while [ "$i" -le "$1" ]; do
    printf 'app%s ' "$i"
    i=$((i + 1))
  done
}
# The parts that run, or may: all that are known and were not stopped, whatever the settings say.
running_parts() { # running_parts [BEGINNING OF THEIR NAMES]
  driver states | awk -F '\t' -v begin="${1:-}" '
    index($1, begin) == 1 && ($2 == "running" || $2 == "unhealthy") { printf "%s ", $1 }'
}
running_instances() { running_parts app; }

# A value out of one line of flat JSON.
field() { # field NAME JSON
  printf '%s\n' "$2" | sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p'
}

connections_of() { field connections "$(driver fetch "$1" /status 2>/dev/null </dev/null || :)"; }

# How many times its even share a part of a whole is, with two digits.
ratio() { # ratio PART WHOLE SHARES
  awk -v part="$1" -v whole="$2" -v shares="$3" 'BEGIN { printf "%.2f", (whole > 0 ? part * shares / whole : 1) }'
}

# Ends unless every part is as it should be.
all_well() { # all_well WHAT-IS-NOT-DONE-OTHERWISE
  wrong=$(JSON=1 sh deploy/cluster/status.sh | tr '{' '\n' |
    sed -n 's/^"name":"\([^"]*\)","state":"\([^"]*\)".*/\1 is \2/p' | grep -vE ' is (ready|running)$' || :)
  [ -z "$wrong" ] || fail "$1: $(printf '%s' "$wrong" | tr '\n' ',' | sed 's/,/, /g'). First: make up"
}

# Progress is one line, rewritten, on a terminal; elsewhere a line now and then.
PROGRESS_EVERY=5 # seconds
last_line=0
progress() {
  if [ -t 1 ]; then
    printf '\r\033[K  %s' "$*"
  elif [ $(($(date +%s) - last_line)) -ge "$PROGRESS_EVERY" ]; then
    say "  $*"
    last_line=$(date +%s)
  fi
}
progress_end() { if [ -t 1 ]; then printf '\r\033[K'; fi; }

# Where people find the parts.
case $PUBLIC_BIND in 127.0.0.1 | 0.0.0.0) public_host=localhost ;; *) public_host=$PUBLIC_BIND ;; esac
if [ "$TLS" = true ]; then
  PUBLIC_URL=https://$public_host:$TLS_PORT WEBSOCKET_URL=wss://$public_host:$TLS_PORT/ws
else
  PUBLIC_URL=http://$public_host:$PUBLIC_PORT WEBSOCKET_URL=ws://$public_host:$PUBLIC_PORT/ws
fi
PROMETHEUS_URL=http://localhost:$PROMETHEUS_PORT ALERTMANAGER_URL=http://localhost:$ALERTMANAGER_PORT
CONSOLE_URL=$PROMETHEUS_URL/consoles/wsfleet.html
GRAFANA_URL=http://localhost:$GRAFANA_PORT

# .env with the secrets, made on first use; one that is there is kept, and completed.
ensure_env_file() {
  missing=
  for name in JWT_SECRET REDIS_PASSWORD DEMO; do
    grep -q "^$name=." "$ENV_FILE" 2>/dev/null || missing="$missing $name"
  done
  [ -n "$missing" ] || return 0
  (
    umask 077
    {
      [ ! -f "$ENV_FILE" ] || grep -vE "^($(echo "${missing# }" | tr ' ' '|'))=" "$ENV_FILE" || :
      for name in $missing; do
        case $name in
          DEMO) say DEMO=true ;;
          *) say "$name=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" ;;
        esac
      done
    } >"$ENV_FILE.new"
    mv "$ENV_FILE.new" "$ENV_FILE"
  )
  note "Wrote$missing into ${ENV_FILE#"$ROOT"/} (mode 600)"
  for name in $missing; do eval "[ -n \"\${$name:-}\" ] || unset $name"; done
  read_settings "$ENV_FILE"
}

# The native driver runs with the project's own Node, an npm package.
install_packages() {
  [ "${PACKAGES_READY:-}" != "$ROOT" ] || return 0
  sh deploy/cluster/packages.sh >&2
  export PACKAGES_READY="$ROOT" PATH="$ROOT/node_modules/.bin:$PATH"
}

if [ "$DRIVER" = compose ]; then
  . deploy/cluster/compose.sh
else
  driver() {
    install_packages
    ${EXEC:-} node deploy/cluster/native.ts "$@"
  }
fi
