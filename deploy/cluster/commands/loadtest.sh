#!/bin/sh
# Runs a load test against the cluster, or against any (URL=wss://...): SCRIPT=rolling [CLIENTS=300 ...] [JUNIT=1].
# HELP=1 lists the options. The script runs in k6 or in the kit's Node runner (TOOL=k6|image|node, else what is there), while
# the restarts that belong to it are done from here. Exits as k6 does: 0, 99 when a threshold broke, 107 on an exception.
. "$(dirname "$0")/../lib/env.sh"
require_settings

SCRIPT=${SCRIPT:-rolling}
K6_IMAGE=${K6_IMAGE:-grafana/k6:1.8.0}
K6_LEAST=1.8
OPTIONS=loadtest/lib/options.ts
FOLDER=loadtest/out
BOOT=10 # seconds until the tool has loaded the script

option_names() { sed -n "s/^  \([A-Z_0-9]*\): \['.*/\1/p" "$OPTIONS"; }
# An option's value: given, the script's default, or the table's.
option() {
  eval "value=\${$1:-}"
  [ -n "$value" ] || value=$(sed -n "s/.*loadOptions({.*$1: '\([^']*\)'.*/\1/p" "loadtest/$SCRIPT.ts")
  [ -n "$value" ] || value=$(sed -n "s/^  $1: \['\([^']*\)'.*/\1/p" "$OPTIONS")
  say "$value"
}
scripts() { for file in loadtest/*.ts; do basename "$file" .ts; done; }

if [ "${HELP:-}" = 1 ]; then
  say 'make loadtest-SCRIPT, or make loadtest SCRIPT=... [OPTION=VALUE]...'
  printf '\n%s\n' Scripts
  for name in $(scripts); do
    # Its first comment, which may have several lines.
    awk -v name="$name" '
      { last = /\*\/$/; gsub(/^\/\*\* ?|^ \* ?| ?\*\/$/, ""); text = text (text && $0 ? " " : "") $0 }
      last { print "  " name ": " text; exit }' "loadtest/$name.ts"
    sed -n "s/.*loadOptions({ \(.*\) }).*/      its defaults: \1/p" "loadtest/$name.ts" | tr -d "'"
  done
  printf '\n%s\n' Options
  {
    sed -n "s/^  \([A-Z_0-9]*\): \['\(.*\)', '\(.*\)'\],/\1|\2|\3/p" "$OPTIONS"
    say 'RESTART_AT||rolling, crash: seconds of load before the first restart; empty: a sixth of DURATION'
    say "TOOL||k6, image (k6 in a container) or node (the kit's own runner); empty: the first of them that is there"
    say "K6_IMAGE|$K6_IMAGE|the image"
    say 'JUNIT||1: also write a JUnit file'
  } | awk -F '|' '$3 != "" { printf "  %-12s %-24s %s\n", $1, $2, $3 }'
  exit 0
fi
[ -f "loadtest/$SCRIPT.ts" ] || fail "There is no script $SCRIPT. There are: $(scripts | tr '\n' ' ')"

# --- where to
external=${URL:+yes}
if [ -z "$external" ]; then
  running=$(running_instances)
  [ -n "$running" ] || fail 'The cluster is not running: make up'
  LOAD_INSTANCES=$(say "$running" | wc -w | tr -d ' ')
fi
[ -n "${JWT_SECRET:-}" ] || fail 'JWT_SECRET has to be the one that the cluster checks tokens with'

# --- by what
k6_version() { k6 version 2>/dev/null | sed -n 's/^k6[^0-9]*\([0-9.]*\).*/\1/p'; }
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -t . -k 1,1n -k 2,2n | head -n 1)" = "$2" ]; }
docker_runs() { docker info >/dev/null 2>&1; }
image_is_there() { docker image inspect "$K6_IMAGE" >/dev/null 2>&1 || docker pull -q "$K6_IMAGE" >/dev/null 2>&1; }
# The host of Docker Desktop does not reach the containers' network.
host_reaches() { [ -n "$external" ] || [ "$DRIVER" = native ] || [ "$(uname)" = Linux ]; }
if [ "$SCRIPT" = slow ]; then
  note 'slow runs in the Node runner: in k6 a socket goes on reading while its virtual user sleeps, so that nobody is slow'
  TOOL=node
elif [ -z "${TOOL:-}" ]; then
  version=$(k6_version)
  if [ -n "$version" ] && at_least "$version" "$K6_LEAST" && host_reaches; then
    TOOL=k6
  elif docker_runs && image_is_there; then
    TOOL=image
  else
    TOOL=node
  fi
fi
one_of TOOL k6 image node
case $TOOL in
  k6) tool_name="k6 $(k6_version)" ;;
  image) tool_name="k6 ${K6_IMAGE##*:}" ;;
  node) tool_name='Node runner, not k6' ;;
esac

# --- client addresses: ip_hash maps a /24 to one instance, so each virtual user gets its own /24
network=host local_ips=
if [ -n "$external" ]; then
  DRIVER=external
elif [ "$DRIVER" = compose ]; then
  network=${COMPOSE_PROJECT_NAME}_backend
  URL=$(driver ws-url) FORWARDED=true
  # A local k6 reaches Prometheus from outside, the comparison at the end from within.
  inner_prometheus=${PROMETHEUS:-http://prometheus:9090}
  if [ "$TOOL" = k6 ]; then
    address=$(docker inspect -f "{{(index .NetworkSettings.Networks \"$network\").IPAddress}}" "$(container nginx)")
    URL=ws://$address:8081/ws PROMETHEUS=${PROMETHEUS:-$PROMETHEUS_URL}
  else
    PROMETHEUS=$inner_prometheus
  fi
elif [ "$(uname)" = Linux ] && [ "$TLS" = false ] && [ "$PUBLIC_BIND" = 127.0.0.1 ]; then
  URL=ws://127.0.0.1:$PUBLIC_PORT/ws PROMETHEUS=${PROMETHEUS:-$PROMETHEUS_URL}
  local_ips=$(i=1 && while [ $i -le 250 ]; do printf '127.0.%s.1,' $i && i=$((i + 1)); done | sed 's/,$//')
else
  URL=$(driver ws-url) FORWARDED=true PROMETHEUS=${PROMETHEUS:-$PROMETHEUS_URL}
fi

# --- the run
mkdir -p "$FOLDER"
run=$FOLDER/$SCRIPT-$(date +%Y%m%d-%H%M%S)
scratch=$FOLDER/.run-$$
mkdir "$scratch"
at_exit "rm -rf '$scratch'"
: >"$scratch/events"
clients=$(option CLIENTS)
duration=$(whole_seconds "$(option DURATION)")
CONNECT=$(option CONNECT)
CONNECT=${CONNECT:-$((5 + clients / 400))s}
begin=$(date +%s)
load_begin=$((begin + BOOT + clients / 500 + $(whole_seconds "$CONNECT")))
START_AT=${load_begin}000
SUMMARY=$scratch/summary.json
export URL FORWARDED PROMETHEUS CONNECT START_AT SUMMARY JWT_SECRET JWT_ISSUER JWT_AUDIENCE
ulimit -n "$(ulimit -Hn)" 2>/dev/null || :

# A container that sees loadtest/ where the host has it: relative paths hold on both sides.
in_container() { # in_container FOLDER IMAGE COMMAND...
  folder=$1
  shift
  # Engines that run under a limit themselves refuse a container more than that; the driver has found it out.
  files=$(grep -x "[0-9]*" "$CLUSTER_DIR/compose/open-files" 2>/dev/null || :)
  # The progress of a run is one line where a person looks on.
  terminal=
  [ ! -t 1 ] || terminal=--tty
  # shellcheck disable=SC2046 # options
  ${EXEC:-} docker run --rm ${terminal:+"$terminal"} --network "$network" --user "$(id -u):$(id -g)" \
    ${files:+--ulimit "nofile=$files"} --volume "$ROOT/loadtest:$folder/loadtest" --workdir "$folder" \
    --name "${COMPOSE_PROJECT_NAME}-loadtest-$$" \
    $(for name in $(option_names); do printf -- '-e %s ' "$name"; done) "$@"
}
# Node as the kit's runner needs it: the project's own, or the app's image, since a host with Docker may have none.
run_node() {
  if [ "$DRIVER" = compose ]; then
    in_container /srv "$IMAGE" node "$@"
  else
    install_packages
    ${EXEC:-} node "$@"
  fi
}
run_tool() {
  EXEC=exec # so that it is this tool that a kill reaches
  # shellcheck disable=SC2086 # an option or nothing
  case $TOOL in
    k6) exec k6 run ${local_ips:+--local-ips "$local_ips"} "loadtest/$SCRIPT.ts" ;;
    image) in_container /kit "$K6_IMAGE" run ${local_ips:+--local-ips "$local_ips"} "loadtest/$SCRIPT.ts" ;;
    node)
      run_node loadtest/runner/main.ts ${local_ips:+--local-ips "$local_ips"} --share \
        --timeline "$scratch/timeline.json" --events "$scratch/events" "loadtest/$SCRIPT.ts"
      ;;
  esac
}

# --- what happens meanwhile
# 1 when the run ends before. In short sleeps: one that is under way survives a kill.
wait_until() { # wait_until UNIX-TIME
  while [ "$(date +%s)" -lt "$1" ]; do
    kill -0 "$tool" 2>/dev/null || return 1
    sleep 0.5
  done
}
event() { say "$(date +%s) $1 $2" >>"$scratch/events"; }
roll() {
  { sh deploy/cluster/commands/rolling-restart.sh 2>&1 || touch "$scratch/failed"; } | while IFS= read -r line; do
    say "$line" >>"$scratch/roll"
    case $line in
      app*' ('*) name=${line%% *} && event "$name" begin ;;
      '  ready, '*) event "$name" end ;;
    esac
  done
  [ ! -e "$scratch/failed" ] || { cat "$scratch/roll" >&2 && return 1; }
}
crash() {
  for name in $running; do
    driver signal "$name" KILL || { touch "$scratch/failed" && return 1; }
    event "$name" begin
    wait_until $(($(date +%s) + duration / 10 + 1)) || : # it is repaired in any case
    sh deploy/cluster/commands/up.sh >"$scratch/up" 2>&1 || { cat "$scratch/up" >&2 && touch "$scratch/failed" && return 1; }
    event "$name" end
    wait_until $(($(date +%s) + duration / 10 + 1)) || return 1
  done
}
# Writes down when all was done as it should be, and else nothing. On somebody else's cluster there is nothing to do.
meanwhile() {
  first=$((load_begin + ${RESTART_AT:-$((duration / 6))}))
  case ${external:-$SCRIPT} in
    rolling) wait_until $first && roll ;;
    crash) wait_until $first && crash ;;
    soak) wait_until $((load_begin + duration / 4)) && roll && wait_until $((load_begin + duration / 2)) && roll ;;
  esac && date +%s >"$scratch/restarted"
}

say "${BOLD}$SCRIPT${RESET} by ${BOLD}$tool_name${RESET}: $clients clients, $(option DURATION), $URL"
run_tool &
tool=$!
at_exit "kill $tool 2>/dev/null && wait $tool || :"
[ "$network" = host ] || at_exit "docker kill ${COMPOSE_PROJECT_NAME}-loadtest-$$ >/dev/null 2>&1 || :"
meanwhile &
during=$!
at_exit "kill $during 2>/dev/null || :"
code=0
wait "$tool" || code=$?
wait "$during" || :
problem=
if [ -e "$scratch/failed" ]; then
  problem='A restart failed'
elif [ ! -e "$scratch/restarted" ]; then
  problem='The run ended before all restarts were done'
elif [ "$(cat "$scratch/restarted")" -gt $((load_begin + duration)) ]; then
  problem='The restarts took longer than the load: DURATION has to be longer'
fi
[ -z "$problem" ] || note "$problem"

# --- the result
cat >"$scratch/run.json" <<EOF
{"script":"$SCRIPT","tool":"$tool_name","driver":"$DRIVER","url":"$URL","exitCode":$code,"problem":"$problem",
"prometheus":"${inner_prometheus:-${PROMETHEUS:-}}",
"summary":"$SUMMARY","timeline":"$scratch/timeline.json","events":"$scratch/events","instances":${LOAD_INSTANCES:-1},
"kit":"$(git rev-parse --short HEAD 2>/dev/null || say unknown)","result":"$run.json"}
EOF
code=$(run_node loadtest/runner/assemble.ts "$scratch/run.json")
if [ -f "$run.json" ]; then
  say "Result: $run.json"
  run_node loadtest/report/main.ts "$run.json" ${JUNIT:+--junit}
fi
if [ "$code" = 0 ]; then say "${GREEN}PASS${RESET}"; else say "${RED}FAIL${RESET} (exit code $code)"; fi
exit "$code"
