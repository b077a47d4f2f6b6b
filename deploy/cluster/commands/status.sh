#!/bin/sh
# Shows the services: a table, or with JSON=1 one JSON document. Exits 1 when something is not well.
. "$(dirname "$0")/../lib/env.sh"

scratch=$(mktemp -d)
at_exit "rm -rf '$scratch'"
tab=$(printf '\t')

[ -z "$wrong_settings" ] || note "make up would refuse: $(printf %s "$wrong_settings" | head -n 1)"
driver states >"$scratch/states"
while IFS=$tab read -r name state _; do
  case $name:$state in
    app*:running | app*:unhealthy) driver fetch "$name" /status >"$scratch/$name" 2>/dev/null </dev/null & ;;
  esac
done <"$scratch/states"
wait

# One line per service: NAME STATE UPTIME CONNECTIONS MESSAGES/S BYTES ID URL, with - for no value.
wanted=" $(instances "$INSTANCES")nginx redis $MONITORING grafana "
while IFS=$tab read -r name state id uptime url; do
  connections=- messages=- bytes=-
  case $name in
    app*)
      status=$(cat "$scratch/$name" 2>/dev/null || :)
      if [ -n "$status" ]; then
        state=$(field state "$status") uptime=$(field uptimeSeconds "$status")
        connections=$(field connections "$status") messages=$(field messagesPerSecond "$status")
        bytes=$(field rssBytes "$status")
      elif [ "$state" = running ]; then
        state=unreachable
      fi
      ;;
  esac
  case "$wanted:$state" in
    *" $name "*:ready | *" $name "*:running) ;;
    *) echo "$name" >>"$scratch/wrong" ;;
  esac
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' \
    "$name" "${state:--}" "${uptime:--}" "$connections" "$messages" "$bytes" "${id:--}" "${url:--}"
done <"$scratch/states" >"$scratch/rows"

grafana=-
! grep -q '^grafana' "$scratch/rows" || grafana=$GRAFANA_URL

if [ "${JSON:-}" = 1 ]; then
  awk -F '\t' -v driver="$DRIVER" -v ok="$([ -s "$scratch/wrong" ] && echo false || echo true)" \
    -v page="$PUBLIC_URL" -v websocket="$WEBSOCKET_URL" -v prometheus="$PROMETHEUS_URL" \
    -v dashboards="$CONSOLE_URL" -v grafana="$grafana" '
    function number(name, value) { return "\"" name "\":" (value == "-" ? "null" : value) }
    function text(name, value) { return number(name, value == "-" ? value : "\"" value "\"") }
    function list(items, item) { return items (items == "" ? "" : ",") "{" item "}" }
    {
      id = driver == "native" ? number("pid", $7) : text("container", $7)
      common = text("name", $1) "," text("state", $2) "," id "," text("url", $8) "," number("uptimeSeconds", $3)
      counts = number("connections", $4) "," number("messagesPerSecond", $5) "," number("rssBytes", $6)
      if ($1 ~ /^app/) instances = list(instances, common "," counts)
      else parts = list(parts, common)
    }
    END {
      urls = text("page", page) "," text("websocket", websocket) "," text("prometheus", prometheus) \
        "," text("dashboards", dashboards) "," text("grafana", grafana)
      printf "{%s,\"ok\":%s,\"instances\":[%s],\"parts\":[%s],\"urls\":{%s}}\n", \
        text("driver", driver), ok, instances, parts, urls
    }' "$scratch/rows"
  if [ -s "$scratch/wrong" ]; then exit 1; else exit 0; fi
fi

awk -F '\t' -v bold="$BOLD" -v green="$GREEN" -v red="$RED" -v yellow="$YELLOW" -v reset="$RESET" '
  function span(s) {
    if (s == "-") return s
    if (s < 60) return int(s) "s"
    if (s < 3600) return int(s / 60) "m " int(s % 60) "s"
    if (s < 86400) return int(s / 3600) "h " int(s % 3600 / 60) "m"
    return int(s / 86400) "d " int(s % 86400 / 3600) "h"
  }
  function rounded(format, value) { return value == "-" ? value : sprintf(format, value) }
  BEGIN {
    columns = "%-16s%-14s%9s%13s%13s%11s"
    printf "\n" bold "  " columns reset "\n", "SERVICE", "STATE", "UPTIME", "CONNECTIONS", "MESSAGES/S", "MEMORY"
  }
  {
    colour = $2 == "ready" || $2 == "running" ? green : $2 == "draining" ? yellow : red
    memory = $6 == "-" ? $6 : $6 / 1048576
    printf colour "● " columns reset "\n", $1, $2, span($3), $4, rounded("%.1f", $5), rounded("%.0f MB", memory)
  }' "$scratch/rows"
printf '\n'
printf '  %-16s%s\n' Page "$PUBLIC_URL" WebSocket "$WEBSOCKET_URL" Prometheus "$PROMETHEUS_URL" Dashboards "$CONSOLE_URL"
[ "$grafana" = - ] || printf '  %-16s%s\n' Grafana "$grafana"
[ "$ALERTS" = false ] || printf '  %-16s%s\n' Alerts "$ALERTMANAGER_URL"
printf '\n'

[ -s "$scratch/wrong" ] || exit 0
if grep -qv "${tab}stopped${tab}" "$scratch/rows"; then
  note "Not well: $(paste -s -d , "$scratch/wrong" | sed 's/,/, /g'). make up repairs it; make logs shows more"
else
  note 'The cluster is not running: make up'
fi
exit 1
