#!/bin/sh
# Deploys: replaces one instance after the other. Each has to drain, exit with code 0, start, become ready, and answer a real
# WebSocket handshake through NGINX before the next one's turn. NGINX is not reloaded meanwhile. At the end the connections
# are rebalanced.
# A probe chats through NGINX all the time and verifies every message; the report shows what it saw per instance. The
# rolling restart stops with exit code 1 at a step that fails, and at the end if a message was lost, duplicated or out of order.
. "$(dirname "$0")/../lib/env.sh"
require_settings

PROBE_DEADLINE=30 # seconds

alone
scratch=$(mktemp -d)
at_exit "rm -rf '$scratch'"
: >"$scratch/summary"

abort() { # abort INSTANCE REASON WHAT-TO-DO
  progress_end
  summary
  note "${RED}The rolling restart stopped at $1: $2${RESET}"
  note "$3"
  exit 1
}

# A table: what happened to each instance, and what the probe saw meanwhile.
summary() {
  row='  %-9s %7s %8s %6s %8s %12s %12s %5s\n'
  # shellcheck disable=SC2059 # a row like the others
  [ ! -s "$scratch/summary" ] ||
    printf "$row" INSTANCE SECONDS DRAINING MOVED REFUSED 'GAP P50 MS' 'GAP P99 MS' EXIT
  while read -r name seconds draining moved code; do
    saw=$(grep "\"period\":\"$name\"" "$scratch/probe" || :)
    # shellcheck disable=SC2059
    printf "$row" "$name" "$seconds" "$draining" "$moved" "$(field refused "$saw")" "$(field gapP50Ms "$saw")" \
      "$(field gapP99Ms "$saw")" "$code"
  done <"$scratch/summary"
}

require_all_well 'Not restarting'
[ "$INSTANCES" -gt 1 ] || note 'With a single instance, handshakes are refused while it restarts.'
begin=$(date +%s)
driver prepare deploy
ws_url=$(driver ws-url)

probe_begin=$(date +%s)
# The probe runs as long as this file exists, so it ends with this command. The file names the instance that was replaced
# last, which ends a period of the report.
touch "$scratch/rolling"
told=
while last=$(cat "$scratch/rolling" 2>/dev/null); do
  [ "$last" = "$told" ] || say "$last"
  told=$last
  sleep 0.2
done | driver probe >"$scratch/probe" 2>"$scratch/probe-log" &
probe=$!
until grep -q '^probing' "$scratch/probe-log"; do
  { kill -0 "$probe" 2>/dev/null && [ "$(date +%s)" -lt $((probe_begin + PROBE_DEADLINE)) ]; } ||
    fail "Not restarting: the probe cannot connect through NGINX
$(cat "$scratch/probe-log")"
  sleep 0.1
done

number=0
moved=0
for name in $(instances "$INSTANCES"); do
  number=$((number + 1))
  start=$(date +%s)
  last_line=$start
  before=$(connections_of "$name")
  say "${BOLD}$name${RESET} ($number of $INSTANCES): draining ${before:=0} connections"

  driver stop "$name" >"$scratch/stop" &
  stopping=$!
  while sleep 0.5 && kill -0 "$stopping" 2>/dev/null; do
    left=$(connections_of "$name")
    [ -z "$left" ] || progress "$name: $left connections left after $(($(date +%s) - start)) s"
  done
  wait "$stopping" || abort "$name" 'it could not be stopped' 'See make status and make logs'
  code=$(sed -n "s/^$name //p" "$scratch/stop")
  [ "$code" = 0 ] || abort "$name" "it exited with code ${code:-unknown} instead of 0" \
    "137: killed after $STOP_GRACE s; 1: an error, or SHUTDOWN_DEADLINE was exceeded. See make logs INSTANCE=$name
The other instances are not affected. make up starts it again; then run make rolling-restart"
  drained=$(date +%s)

  progress "$name: starting"
  driver start "$name" >"$scratch/start" 2>&1 || abort "$name" "it did not become ready
$(cat "$scratch/start")" "The other instances are not affected. Fix the reason, then run make up and make rolling-restart"
  progress "$name: waiting for a handshake through NGINX"
  driver tool handshake "$ws_url" --until "$name" >"$scratch/handshake" 2>&1 ||
    gate "$name" "NGINX cannot reach it: $(cat "$scratch/handshake")" \
      "The other instances are not affected. See make logs INSTANCE=nginx, then run make up and make rolling-restart"

  end=$(date +%s)
  moved=$((moved + before))
  progress_end
  say "  ready, and reachable through NGINX, after $((end - start)) s"
  say "$name $((end - start)) $((drained - start)) $before $code" >>"$scratch/summary"
  say "$name" >"$scratch/replaced"
  mv "$scratch/replaced" "$scratch/rolling"
done

if [ "$INSTANCES" -gt 1 ]; then
  sh deploy/cluster/commands/rebalance.sh >"$scratch/rebalance" 2>&1 || note "$(cat "$scratch/rebalance")"
fi

rm "$scratch/rolling"
if wait "$probe"; then sound=yes; else sound=; fi
report=$(grep '"period":"all"' "$scratch/probe" || :)
seen() { field "$1" "$report"; }

say
if [ -n "$sound" ]; then colour=$GREEN; else colour=$RED; fi
say "${colour}Replaced $INSTANCES instances in $(($(date +%s) - begin)) s; $moved connections moved${RESET}"
summary
[ ! -s "$scratch/rebalance" ] || sed 's/^/  /' "$scratch/rebalance"
[ -n "$report" ] || fail "${RED}The probe ended without a report:${RESET}
$(cat "$scratch/probe-log")"
say "  The probe: $(seen published) messages, $(seen delivered) deliveries;" \
  "lost $(seen lost), duplicated $(seen doubled), out of order $(seen disordered); refused handshakes $(seen refused)"
say "  Delivery gap, the longest of each member: p50 $(seen gapP50Ms) ms, p99 $(seen gapP99Ms) ms, longest $(seen gapMaxMs) ms"
[ -n "$sound" ] || fail "${RED}An acknowledged message did not arrive exactly once and in order${RESET}"
