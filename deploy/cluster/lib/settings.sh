# shellcheck shell=sh
# shellcheck disable=SC2034 # its variables are for the commands
# The settings of the cluster. The environment (and so `make NAME=VALUE`) overrides .env, which overrides the defaults below.
#
# A command that starts something calls `require_settings`, and ends when a setting is wrong. What stops, shows and repairs
# does not: it goes on with the value that the cluster was started with, or the default.

MAX_INSTANCES=16

# The app's settings that were given for this one command: in the instances they have to override .env too.
APP_SETTINGS=$(sed -n '/^# --- app/,/^# --- cluster/s/^\([A-Z_]*\)=.*/\1/p' .env.example | tr '\n' ' ')
GIVEN=
for name in $APP_SETTINGS; do
  if eval "[ -n \"\${$name+given}\" ]"; then GIVEN="$GIVEN $name"; fi
done
given_instances=${INSTANCES-}

# What is wrong, a line each.
wrong_settings=
wrong_setting() { # wrong_setting NAME EXPECTED
  eval "value=\$$1"
  wrong_settings="$wrong_settings$1=$value: expected $2
"
  eval "$1=\$(remembered settings/$1)"
  eval "[ -n \"\$$1\" ] || $1=\$default_$1"
}
# For an option of a command. env.sh turns to it when the settings are read.
wrong_option() { eval "value=\$$1" && fail "$1=$value: expected $2"; }
on_wrong=wrong_setting

remembered() { [ ! -f "$CLUSTER_DIR/$1" ] || cat "$CLUSTER_DIR/$1"; }
remember() { # remember NAME VALUE
  mkdir -p "$(dirname "$CLUSTER_DIR/$1")"
  printf '%s\n' "$2" >"$CLUSTER_DIR/$1.$$" && mv "$CLUSTER_DIR/$1.$$" "$CLUSTER_DIR/$1"
}

# Sets what a .env file says and the environment does not; dotenv.awk prints these calls.
setting() { eval "[ -n \"\${$1+set}\" ]" || export "$1=$2"; }
setting_error() {
  wrong_settings="$wrong_settings${ENV_FILE#"$ROOT"/}, $1
"
}
read_settings() { eval "$(awk -f deploy/cluster/lib/dotenv.awk "$1")"; }

# Ends a command that would act on a wrong setting.
require_settings() {
  [ -z "$wrong_settings" ] || fail "${wrong_settings%?}"
  # up and scale remember INSTANCES, once NGINX uses that many.
  for name in $CLUSTER_SETTINGS; do
    [ "$name" = INSTANCES ] || eval "remember \"settings/\$name\" \"\$$name\""
  done
}

ENV_FILE=${ENV_FILE:-.env}
case $ENV_FILE in /*) ;; *) ENV_FILE=$ROOT/$ENV_FILE ;; esac
[ ! -f "$ENV_FILE" ] || read_settings "$ENV_FILE"

# --- defaults; .env.example says what they mean
default_DRIVER=''
default_INSTANCES=3
default_PUBLIC_PORT=8080
default_PUBLIC_BIND=127.0.0.1
default_TLS=false
default_TLS_PORT=8443
default_TLS_CERT=''
default_TLS_KEY=''
default_STICKY_MODE=ip_hash
default_TRUSTED_PROXIES=''
default_API_PUBLIC=false
default_DEMO_PUBLIC=false
default_HANDSHAKE_RATE=100
default_PROMETHEUS_PORT=9090
default_ALERTS=false
default_ALERT_WEBHOOK=''
default_ALERTMANAGER_PORT=9093
default_DASHBOARDS=true
default_GRAFANA_PORT=3001
default_CLUSTER_DIR=.cluster
default_NATIVE_PORT_BASE=18100
default_COMPOSE_PROJECT_NAME=wsfleet
# --- end of defaults
CLUSTER_SETTINGS=$(set | sed -n 's/^default_\([A-Z_]*\)=.*/\1/p' | tr '\n' ' ')
for name in $CLUSTER_SETTINGS; do eval "$name=\${$name:-\$default_$name}"; done

case $CLUSTER_DIR in /*) ;; *) CLUSTER_DIR=$ROOT/$CLUSTER_DIR ;; esac
mkdir -p "$CLUSTER_DIR"
chmod 700 "$CLUSTER_DIR" # it holds secrets; some of its files have to be readable by a container's user

one_of() { # one_of NAME CHOICE...
  name=$1
  eval "value=\$$1"
  shift
  for choice in "$@"; do [ "$value" != "$choice" ] || return 0; done
  $on_wrong "$name" "one of: $*"
}
whole_number() { # whole_number NAME MIN MAX
  eval "value=\$$1"
  case $value in
    '' | *[!0-9]* | ??????*) ;;
    *) if [ "$value" -ge "$2" ] && [ "$value" -le "$3" ]; then return 0; fi ;;
  esac
  $on_wrong "$1" "a number from $2 to $3"
}

# A cluster that is running keeps its size until another one is given.
if [ -z "$given_instances" ]; then INSTANCES=$(remembered settings/INSTANCES | grep . || echo "$INSTANCES"); fi
whole_number INSTANCES 1 "$MAX_INSTANCES"
one_of TLS true false
one_of DASHBOARDS true false
one_of API_PUBLIC true false
one_of DEMO_PUBLIC true false
whole_number HANDSHAKE_RATE 1 99999
one_of STICKY_MODE ip_hash hash off
one_of ALERTS true false
for name in PUBLIC_PORT TLS_PORT PROMETHEUS_PORT ALERTMANAGER_PORT GRAFANA_PORT; do whole_number "$name" 1 65535; done
whole_number NATIVE_PORT_BASE 1024 65435
case $TRUSTED_PROXIES in
  *[!0-9a-fA-F.:/,]*) wrong_setting TRUSTED_PROXIES 'CIDRs, comma-separated' ;;
esac
case $ALERT_WEBHOOK in
  '') ;;
  http://?* | https://?*)
    case $ALERT_WEBHOOK in
      *[!A-Za-z0-9._~:/?#@!\&\(\)*+,\;=%-]*) wrong_setting ALERT_WEBHOOK 'a URL without blanks and quotes' ;;
    esac
    ;;
  *) wrong_setting ALERT_WEBHOOK 'a URL that begins with http:// or https://' ;;
esac
case $COMPOSE_PROJECT_NAME in
  [a-z0-9]*) case $COMPOSE_PROJECT_NAME in *[!a-z0-9_-]*) wrong_setting COMPOSE_PROJECT_NAME 'a-z, 0-9, _ and -' ;; esac ;;
  *) wrong_setting COMPOSE_PROJECT_NAME 'a-z, 0-9, _ and -' ;;
esac

# A duration (500ms, 1.5s, 10m, 2h, 1d) plus some seconds, in whole seconds.
whole_seconds() { # whole_seconds DURATION [MORE]
  printf '%s\n' "$1" | awk -v more="${2:-0}" '
    { n = $0 + 0 }
    /[0-9]ms$/ { n /= 1000 } /[0-9]m$/ { n *= 60 } /[0-9]h$/ { n *= 3600 } /[0-9]d$/ { n *= 86400 }
    END { printf "%d", n + more }'
}
# The same for an option of a command.
seconds() { # seconds NAME DURATION
  printf '%s\n' "$2" | awk '!/^[0-9]+[smhd]$/ || length > 7 { exit 1 }' ||
    fail "$1=$2: expected a time like 30s, 10m, 2h or 1d"
  whole_seconds "$2"
}

# In Alertmanager's syntax.
ALERT_WEBHOOKS=[${ALERT_WEBHOOK:+{ url: \"$ALERT_WEBHOOK\" \}}]

# In NGINX' syntax.
NGINX_REALIP=$(printf '%s\n' "$TRUSTED_PROXIES" | tr ',' '\n' | sed -n 's/..*/set_real_ip_from &;/p' | tr '\n' ' ')

# A reconnect wave of an office behind one address: each of its clients comes within a second or two.
HANDSHAKE_BURST=$((HANDSHAKE_RATE * 10))

# How long a service may take to stop, in seconds: SHUTDOWN_DEADLINE, and some more until it is killed.
STOP_GRACE=$(whole_seconds "${SHUTDOWN_DEADLINE:-20s}" 10.999)

# The services that only monitor the others.
MONITORING='prometheus redis-exporter nginx-exporter'
[ "$ALERTS" = false ] || MONITORING="$MONITORING alertmanager"

# shellcheck disable=SC2086 # a list of names
export $CLUSTER_SETTINGS ENV_FILE APP_SETTINGS ALERT_WEBHOOKS NGINX_REALIP HANDSHAKE_BURST STOP_GRACE

# Where people find the services.
case $PUBLIC_BIND in 127.0.0.1 | 0.0.0.0) public_host=localhost ;; *) public_host=$PUBLIC_BIND ;; esac
if [ "$TLS" = true ]; then
  PUBLIC_URL=https://$public_host:$TLS_PORT WEBSOCKET_URL=wss://$public_host:$TLS_PORT/ws
else
  PUBLIC_URL=http://$public_host:$PUBLIC_PORT WEBSOCKET_URL=ws://$public_host:$PUBLIC_PORT/ws
fi
PROMETHEUS_URL=http://localhost:$PROMETHEUS_PORT ALERTMANAGER_URL=http://localhost:$ALERTMANAGER_PORT
CONSOLE_URL=$PROMETHEUS_URL/consoles/wsfleet.html
GRAFANA_URL=http://localhost:$GRAFANA_PORT

# Whether the public listener is reached from this machine alone.
is_private() { case $PUBLIC_BIND in 127.* | ::1 | localhost) ;; *) return 1 ;; esac; }

# DEMO gives anyone a token, which is for this machine alone unless it is said twice.
refuse_public_demo() {
  if is_private || [ "${DEMO:-}" != true ] || [ "$DEMO_PUBLIC" = true ]; then return 0; fi
  fail "PUBLIC_BIND=$PUBLIC_BIND with DEMO=true: anyone who reaches the page would get a token. Set DEMO=false in .env, or DEMO_PUBLIC=true if that is meant"
}

# Creates .env with the secrets on first use, or completes it.
ensure_env_file() {
  missing=
  for name in JWT_SECRET REDIS_PASSWORD API_KEYS DEMO; do
    # Of the file alone: what is given for one command is not written down.
    (
      unset "$name"
      [ ! -f "$ENV_FILE" ] || read_settings "$ENV_FILE"
      eval "[ -n \"\${$name:-}\" ]"
    ) || missing="$missing $name"
  done
  [ -n "$missing" ] || return 0
  (
    umask 077
    {
      # Without the lines that leave a secret empty. awk also ends the last line.
      [ ! -f "$ENV_FILE" ] || awk -F = -v missing="$missing " '
        !($2 ~ /^[[:space:]]*$/ && index(missing, " " $1 " ")) { print }' "$ENV_FILE"
      for name in $missing; do
        case $name in
          DEMO) say "DEMO=$(is_private && echo true || echo false)" ;;
          API_KEYS) say "API_KEYS=local:publish+presence+history+manage:$(random_hex)" ;;
          *) say "$name=$(random_hex)" ;;
        esac
      done
    } >"$ENV_FILE.new"
    mv "$ENV_FILE.new" "$ENV_FILE"
  )
  note "Wrote$missing into ${ENV_FILE#"$ROOT"/} (mode 600)"
  for name in $missing; do eval "[ -n \"\${$name:-}\" ] || unset $name"; done
  read_settings "$ENV_FILE"
}
