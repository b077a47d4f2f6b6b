# shellcheck shell=sh
# The Compose driver: the operations of driver.sh over docker and docker compose. Services are always named, so that
# nothing else is touched.

export COMPOSE_PROFILES=scaled,dashboards,alerts # every service is known
COMPOSE_STATE=$CLUSTER_DIR/compose
IMAGE=$COMPOSE_PROJECT_NAME-app
READY_DEADLINE=60 # seconds
MOST_OPEN_FILES=65536

# In a subshell: what an operation sets ends with it.
driver() { if [ -n "${EXEC:-}" ]; then operate "$@"; else (operate "$@"); fi; }
operate() {
  operation=compose_$(printf '%s' "$1" | tr - _)
  shift
  "$operation" "$@"
}

compose() { compose_with_input "$@" </dev/null; }
compose_with_input() {
  # The settings are in the environment: .env has one reader.
  set -- --env-file /dev/null "$@"
  if [ "$TLS" = true ]; then set -- -f deploy/nginx/tls/compose.yml "$@"; fi
  [ -z "${JWKS_URL:-}${AUTH_URL:-}${WEBHOOK_URL:-}" ] || set -- -f deploy/cluster/drivers/outside.compose.yml "$@"
  ${EXEC:-} docker compose -f docker-compose.yml "$@"
}

container() { printf '%s-%s-1' "$COMPOSE_PROJECT_NAME" "$1"; }
runs() { [ "$(docker inspect -f '{{.State.Running}}' "$(container "$1")" 2>/dev/null)" = true ]; }

# Runs a command whose output matters only when it fails, which ends the operation.
quietly() {
  "$@" >"$COMPOSE_STATE/output" 2>&1 || { tail -n 40 "$COMPOSE_STATE/output" >&2 && exit 1; }
}

compose_prepare() {
  docker info >/dev/null 2>&1 || fail 'No Docker engine answers'
  docker compose version >/dev/null 2>&1 || fail 'Docker has no Compose plugin: https://docs.docker.com/compose/install'
  mkdir -p "$COMPOSE_STATE"
  if ! runs nginx; then
    free_port PUBLIC_PORT "$PUBLIC_PORT" "$PUBLIC_BIND"
    [ "$TLS" = false ] || free_port TLS_PORT "$TLS_PORT" "$PUBLIC_BIND"
  fi
  runs prometheus || free_port PROMETHEUS_PORT "$PROMETHEUS_PORT" 127.0.0.1
  [ "$ALERTS" = false ] || runs alertmanager || free_port ALERTMANAGER_PORT "$ALERTMANAGER_PORT" 127.0.0.1
  [ "$DASHBOARDS" = false ] || runs grafana || free_port GRAFANA_PORT "$GRAFANA_PORT" 127.0.0.1
  write_files

  # shellcheck disable=SC2086 # a list of names
  images=$(compose config --images nginx redis $MONITORING | grep -vx "$IMAGE")
  for image in $images; do
    docker image inspect "$image" >/dev/null 2>&1 || { say "Pulling $image" && quietly docker pull "$image"; }
  done
  # Only a deploy changes the version. A repair and a larger cluster use the running version: that of the last instance,
  # which a failed rolling restart has not reached.
  last=$(running_instances | awk '{ print $NF }')
  if [ -n "$last" ] && [ "${1:-}" != deploy ]; then
    docker tag "$(docker inspect -f '{{.Image}}' "$(container "$last")")" "$IMAGE"
  else
    say "Building the image $IMAGE"
    quietly compose build app1
    [ -z "$last" ] || try_start
  fi
  [ "$TLS" = false ] || OPENSSL_IMAGE=$(printf '%s\n' "$images" | grep nginx) \
    sh deploy/cluster/lib/certificate.sh "$COMPOSE_STATE/nginx/certificate"
  write_certificate_end
  # Engines that run under a limit themselves refuse a container more than that.
  [ -s "$COMPOSE_STATE/open-files" ] ||
    docker run --rm --network none "$IMAGE" sh -c 'ulimit -Hn' >"$COMPOSE_STATE/open-files"
}

# Starts the new image once, apart from the cluster. Code that does not start must not cost what runs.
try_start() {
  fill_in
  compose --progress quiet run --rm -T --no-deps probe node app/tools/try-start.ts ||
    { docker tag "$(docker inspect -f '{{.Image}}' "$(container "$last")")" "$IMAGE" && exit 1; }
}

# The files that the containers read, each as its own user, however strict the umask of this clone is. CLUSTER_DIR keeps
# others out.
write_files() {
  cp -R deploy/nginx deploy/redis deploy/prometheus deploy/alertmanager "$COMPOSE_STATE"
  mkdir -p "$COMPOSE_STATE/prometheus/consoles" "$COMPOSE_STATE/grafana/dashboards"
  cp deploy/dashboards/generated/console/* "$COMPOSE_STATE/prometheus/consoles"
  cp deploy/dashboards/generated/grafana/* "$COMPOSE_STATE/grafana/dashboards"
  cp -R deploy/dashboards/provisioning "$COMPOSE_STATE/grafana"
  mkdir -p "$COMPOSE_STATE/nginx/certificate"
  webhooks=$(printf '%s' "$ALERT_WEBHOOKS" | sed 's/[&|\\]/\\&/g')
  sed "s|\${ALERT_WEBHOOKS}|$webhooks|" deploy/alertmanager/alertmanager.yml.template \
    >"$COMPOSE_STATE/alertmanager/alertmanager.yml"
  for service in nginx redis prometheus alertmanager grafana; do chmod -R a+rX "$COMPOSE_STATE/$service"; done
  (
    umask 077
    # shellcheck disable=SC2154 # name is set here
    for name in $GIVEN; do eval "printf \"%s='%s'\\n\" $name \"\$$name\""; done >"$COMPOSE_STATE/app.env"
  )
}

# For an alert: NGINX does not expose the expiry of its certificate.
write_certificate_end() {
  rule=
  if [ "$TLS" = true ]; then
    end=$(docker run --rm -i --network none "$IMAGE" node app/tools/certificate-end.ts \
      <"$COMPOSE_STATE/nginx/certificate/cert.pem")
    rule="{\"record\":\"cluster:certificate_end:timestamp_seconds\",\"expr\":\"vector($end)\"}"
    rule="{\"name\":\"certificate\",\"rules\":[$rule]}"
  fi
  say "{\"groups\":[$rule]}" >"$COMPOSE_STATE/prometheus/rules/certificate.yml"
  chmod a+r "$COMPOSE_STATE/prometheus/rules/certificate.yml"
}

# Fails with the name of the owner when a port is taken.
free_port() { # free_port NAME PORT ADDRESS
  owner=$(docker ps --filter "publish=$2" --format 'the container {{.Names}}' | head -n 1)
  if [ -z "$owner" ] && command -v ss >/dev/null; then
    owner=$(ss -Hltnp "sport = :$2" 2>/dev/null | awk -v address="$3" '
      { local = $4; sub(/:[0-9]+$/, "", local) }
      local == address || local ~ /^(0\.0\.0\.0|\*|\[::\])$/ || address == "0.0.0.0" {
        print match($0, /"[^"]*",pid=[0-9]+/) ? substr($0, RSTART, RLENGTH) : "a process that cannot be seen"
        exit
      }' | sed 's/^"\(.*\)",pid=\(.*\)/\1 (pid \2)/')
  elif [ -z "$owner" ] && command -v lsof >/dev/null; then
    owner=$(lsof -nP -iTCP:"$2" -sTCP:LISTEN 2>/dev/null | awk 'NR == 2 { print $1 " (pid " $2 ")" }')
  fi
  [ -z "$owner" ] || fail "$1: port $2 is taken by $owner. Choose another: make up $1=$(($2 + 1))"
}

compose_start() {
  fresh='' running=''
  for service in "$@"; do
    case $service:$(! runs "$service" || echo running) in
      app*:running) running="$running $service" ;;
      app*) fresh="$fresh $service" ;;
      # Recreated only if its settings or files have changed.
      *) up "$service" ;;
    esac
  done
  # shellcheck disable=SC2086 # a list of names
  [ -z "$fresh" ] || up --force-recreate $fresh
  for service in $running; do
    # An instance that only waits for Redis recovers by itself and keeps its connections.
    ready "$service" 15 || { note "$service is running but not ready: restarting it" && up --force-recreate "$service"; }
  done
  for service in "$@"; do
    ready "$service" "$READY_DEADLINE" || {
      docker logs --tail 10 "$(container "$service")" >&2 || :
      fail "$service did not become ready; the end of its log is above"
    }
  done
}

up() {
  fill_in
  quietly compose up --detach --no-deps --no-build "$@"
}

# What docker-compose.yml needs to know about this machine and its files. A change recreates the network or service.
fill_in() {
  find_subnet
  OPEN_FILES=$(awk -v most="$MOST_OPEN_FILES" '{ print $1 ~ /^[0-9]+$/ && $1 < most ? $1 : most }' \
    "$COMPOSE_STATE/open-files")
  CONFIG_NGINX=$(find deploy/nginx -type f | sort | xargs cat | cksum)
  CONFIG_REDIS=$(cksum <deploy/redis/redis.conf)
  CONFIG_PROMETHEUS=$(find "$COMPOSE_STATE/prometheus" -name '*.yml' | sort | xargs cat | cksum)
  CONFIG_ALERTMANAGER=$(cksum <"$COMPOSE_STATE/alertmanager/alertmanager.yml")
  CONFIG_GRAFANA=$(find deploy/dashboards/provisioning deploy/dashboards/generated/grafana -type f | sort | xargs cat | cksum)
  export OPEN_FILES CONFIG_NGINX CONFIG_REDIS CONFIG_PROMETHEUS CONFIG_ALERTMANAGER CONFIG_GRAFANA
}

# Grafana is optional: the console page shows the same.
compose_dashboards() {
  image=$(compose config --images grafana)
  docker image inspect "$image" >/dev/null 2>&1 || {
    say "Pulling $image"
    docker pull "$image" >"$COMPOSE_STATE/output" 2>&1 || {
      note "Continuing without Grafana: $image cannot be pulled. The same panels are at $CONSOLE_URL"
      return 0
    }
  }
  (compose_start grafana) || note "Continuing without Grafana. The same panels are at $CONSOLE_URL"
}

# The first three octets of the backend network: as it is, or as the engine would choose it.
find_subnet() {
  network=${COMPOSE_PROJECT_NAME}_backend
  if ! SUBNET=$(subnet_of "$network"); then
    docker network create --internal "$network.choice" >/dev/null
    SUBNET=$(subnet_of "$network.choice")
    docker network rm "$network.choice" >/dev/null
  fi
  export SUBNET="${SUBNET%.*}"
}
subnet_of() { docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' "$1" 2>/dev/null; }

# Waits until a service passes its health check, if it has one. 1 when it has ended or did not pass in time.
ready() { # ready SERVICE SECONDS
  check=$(docker inspect -f '{{with .Config.Healthcheck}}{{join .Test " "}}{{end}}' "$(container "$1")")
  [ -n "$check" ] || { runs "$1" && return 0; } || return 1
  check=${check#CMD-SHELL } check=${check#CMD }
  until=$(($(date +%s) + $2))
  until docker exec "$(container "$1")" sh -c "$check" >/dev/null 2>&1; do
    { runs "$1" && [ "$(date +%s)" -lt "$until" ]; } || return 1
    sleep 0.2
  done
}

compose_stop() {
  for service in "$@"; do docker stop "$(container "$service")" >/dev/null 2>&1 & done
  wait
  for service in "$@"; do
    docker inspect -f "$service {{.State.ExitCode}}" "$(container "$service")" 2>/dev/null || :
  done
}

compose_signal() { # compose_signal SERVICE SIGNAL
  runs "$1" || fail "$1 is not running"
  docker kill -s "$2" "$(container "$1")" >/dev/null
}

compose_states() {
  format='{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{.State.ExitCode}}'
  format="$format {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.State.StartedAt}} {{.ID}}"
  ids=$(docker ps -aq --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" \
    --filter label=com.docker.compose.oneoff=False)
  # shellcheck disable=SC2086 # a list of ids
  { [ -z "$ids" ] || docker inspect -f "$format" $ids; } |
    awk -v now="$(date +%s)" -v instances="$INSTANCES" -v most="$MAX_INSTANCES" -v alerts="$ALERTS" -v dashboards="$DASHBOARDS" '
      # Seconds since the epoch of 2026-01-31T12:34:56Z.
      function epoch(t,   y, m, d) {
        y = substr(t, 1, 4) + 0; m = substr(t, 6, 2) + 0; d = substr(t, 9, 2) + 0
        if (m <= 2) { y -= 1; m += 12 }
        d += 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m - 457) / 5) - 719469
        return d * 86400 + substr(t, 12, 2) * 3600 + substr(t, 15, 2) * 60 + substr(t, 18, 2)
      }
      {
        if ($2 == "running") state[$1] = $4 == "unhealthy" ? "unhealthy" : "running"
        else if ($2 == "paused") state[$1] = "unhealthy"
        else state[$1] = $2 == "created" ? "stopped" : "exited:" $3
        uptime[$1] = $2 == "running" ? now - epoch($5) : "-"
        id[$1] = substr($6, 1, 12)
      }
      function row(name, url) {
        if (name in state) print name "\t" state[name] "\t" id[name] "\t" uptime[name] "\t" url
        else print name "\tstopped\t-\t-\t" url
      }
      function lives(name) { return name in state && (state[name] == "running" || state[name] == "unhealthy") }
      END {
        for (i = 1; i <= most; i++) if (i <= instances || lives("app" i)) row("app" i, "http://app" i ":9100")
        row("nginx", "http://nginx:8081")
        row("redis", "redis://redis:6379")
        row("prometheus", "http://prometheus:9090")
        row("redis-exporter", "http://redis-exporter:9121")
        row("nginx-exporter", "http://nginx-exporter:9113")
        if (alerts == "true" || lives("alertmanager")) row("alertmanager", "http://alertmanager:9093")
        if (dashboards == "true" && "grafana" in state || lives("grafana")) row("grafana", "http://grafana:3000")
      }'
}

compose_fetch() { # compose_fetch INSTANCE PATH [JSON]
  docker exec "$(container "$1")" node app/tools/fetch.ts "http://127.0.0.1:9100$2" ${3:+"$3"}
}

# In a running instance, or else in a container without network.
compose_tool() {
  tool=$1
  shift
  at=$(running_instances)
  if [ -n "$at" ]; then
    docker exec "$(container "${at%% *}")" node "app/tools/$tool.ts" "$@"
  else
    docker run --rm --network none -e JWT_SECRET -e JWT_ISSUER -e JWT_AUDIENCE "$IMAGE" node "app/tools/$tool.ts" "$@"
  fi
}

# In its own container, which outlives the instances.
compose_probe() {
  fill_in
  compose_with_input --progress quiet run --rm -T --no-deps probe
}

# Addresses, not names: NGINX can resolve names while it runs (`resolve`), but a request that is being retried while a
# lookup changes the list gets a 502.
compose_configure() {
  find_subnet
  servers "$1" 3000 >"$COMPOSE_STATE/nginx/upstream.conf.new"
  servers "$1" 9200 >"$COMPOSE_STATE/nginx/api-upstream.conf.new"
  {
    say '['
    for name in $(instances "$1"); do
      say "  {\"targets\":[\"$name:9100\"],\"labels\":{\"instance\":\"$name\"}},"
    done
    [ "$ALERTS" = false ] || say "  $(target_of alertmanager:9093),"
    say "  $(target_of redis-exporter:9121 redis),"
    say "  $(target_of nginx-exporter:9113 nginx),"
    say "  $(target_of localhost:9090 prometheus)"
    say ']'
  } >"$COMPOSE_STATE/prometheus/targets.json.new"
  say "[$([ "$ALERTS" = false ] || target_of alertmanager:9093)]" >"$COMPOSE_STATE/prometheus/alertmanagers.json.new"
  for file in nginx/upstream.conf nginx/api-upstream.conf prometheus/targets.json prometheus/alertmanagers.json; do
    chmod a+r "$COMPOSE_STATE/$file.new"
    mv "$COMPOSE_STATE/$file.new" "$COMPOSE_STATE/$file"
  done

  # The files that a reload reads; templates are rendered when the container starts.
  now=$(cat "$COMPOSE_STATE/nginx/upstream.conf" "$COMPOSE_STATE"/nginx/certificate/*.pem 2>/dev/null | cksum)
  [ "$now" != "$(cat "$COMPOSE_STATE/nginx-read" 2>/dev/null)" ] || return 0
  ! runs nginx || compose_signal nginx HUP
  say "$now" >"$COMPOSE_STATE/nginx-read"
}

servers() { # servers INSTANCES PORT
  say '# Written by deploy/cluster.'
  for name in $(instances "$1"); do say "server $SUBNET.$((100 + ${name#app})):$2 max_fails=0; # $name"; done
}

target_of() { # target_of ADDRESS [JOB]
  job=${2:-${1%:*}}
  printf '{"targets":["%s"],"labels":{"instance":"%s","job":"%s"}}' "$1" "$job" "$job"
}

compose_logs() {
  follow='' from='--tail 200'
  while [ $# -gt 0 ]; do
    case $1 in
      -f) follow=--follow && shift ;;
      -s) from="--since ${2}s" && shift 2 ;;
      *) break ;;
    esac
  done
  mkdir -p "$COMPOSE_STATE"
  cd "$COMPOSE_STATE" || exit
  # shellcheck disable=SC2086 # options
  ${EXEC:-} docker compose -p "$COMPOSE_PROJECT_NAME" logs --no-color $follow $from "$@" </dev/null
}

compose_filter() {
  network=$(docker network inspect -f '{{.Name}}' "${COMPOSE_PROJECT_NAME}_backend" 2>/dev/null || say none)
  tool=$1
  shift
  docker run --rm -i --init --network "$network" --read-only --log-driver none "$IMAGE" node "app/tools/$tool.ts" "$@"
}

compose_api_url() { say http://127.0.0.1:9200; }
compose_ws_url() { say ws://nginx:8081/ws; }

# By the project's name alone, so that it needs no settings.
compose_remove() { # compose_remove [data]
  mkdir -p "$COMPOSE_STATE"
  cd "$COMPOSE_STATE" || exit
  quietly docker compose -p "$COMPOSE_PROJECT_NAME" down --remove-orphans ${1:+--volumes}
  [ -z "${1:-}" ] || docker image rm -f "$IMAGE" >/dev/null 2>&1 || :
}
