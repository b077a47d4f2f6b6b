#!/bin/sh
# A deploy that nobody notices: the instances are replaced one at a time. Each is told to drain, has to end with
# code 0, is started anew, has to be ready, and has to answer a real WebSocket handshake through NGINX before the next
# one's turn. NGINX is not reloaded meanwhile. At the end the connections are spread evenly again.
# A probe chats through NGINX all the while and checks every message: the report says for each instance what it saw. A gate that fails stops the roll with exit code
# 1; so does, at the end, a message that was lost, doubled or out of order.
. "$(dirname "$0")/env.sh"

PROBE_DEADLINE=30 # seconds until the probe chats

alone
scratch=$(mktemp -d)
at_exit "rm -rf '$scratch'"
: >"$scratch/summary"

gate() { # gate INSTANCE WHAT-HAPPENED WHAT-TO-DO
  progress_end
  summary
  note "${RED}The roll stopped at $1: $2${RESET}"
  note "$3"
  exit 1
}

# A table: what was done to each instance, and what the probe saw meanwhile.
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

all_well 'Not rolling'
[ "$INSTANCES" -gt 1 ] || note 'One instance alone has nobody to take over: handshakes are refused while it restarts.'
begin=$(date +%s)
driver prepare deploy
ws_url=$(driver ws-url)

# It goes on for as long as the file is there, and so ends with this command however that ends. It names the
# instance that was replaced last, which ends a period of the probe.
touch "$scratch/rolling"
told=
while last=$(cat "$scratch/rolling" 2>/dev/null); do
  [ "$last" = "$told" ] || say "$last"
  told=$last
  sleep 0.2
done | driver probe >"$scratch/probe" 2>"$scratch/probe-log" &
probe=$!
until grep -q '^probing' "$scratch/probe-log"; do
  { kill -0 "$probe" 2>/dev/null && [ "$(date +%s)" -lt $((begin + PROBE_DEADLINE)) ]; } ||
    fail "Not rolling: the probe does not get through NGINX
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
  wait "$stopping" || gate "$name" 'it could not be stopped' 'What it is doing: make status, make logs'
  code=$(sed -n "s/^$name //p" "$scratch/stop")
  [ "$code" = 0 ] || gate "$name" "it ended with exit code ${code:-unknown} instead of 0" \
    "137 is the kill after $STOP_GRACE s, 1 an error or a missed SHUTDOWN_DEADLINE: make logs INSTANCE=$name
The others serve on. make up starts it again; then begin anew: make rolling-restart"
  drained=$(date +%s)

  progress "$name: starting"
  driver start "$name" >"$scratch/start" 2>&1 || gate "$name" "it did not become ready
$(cat "$scratch/start")" "The others serve on. When the reason is put right: make up, then make rolling-restart"
  progress "$name: waiting for a handshake through NGINX"
  driver tool handshake "$ws_url" --until "$name" >"$scratch/handshake" 2>&1 ||
    gate "$name" "NGINX does not reach it: $(cat "$scratch/handshake")" \
      "The others serve on. More: make logs INSTANCE=nginx. Then: make up, and make rolling-restart"

  end=$(date +%s)
  moved=$((moved + before))
  progress_end
  say "  ready, and reached through NGINX, after $((end - start)) s"
  say "$name $((end - start)) $((drained - start)) $before $code" >>"$scratch/summary"
  say "$name" >"$scratch/replaced"
  mv "$scratch/replaced" "$scratch/rolling"
done

if [ "$INSTANCES" -gt 1 ]; then
  sh deploy/cluster/rebalance.sh >"$scratch/rebalance" 2>&1 || note "$(cat "$scratch/rebalance")"
fi

rm "$scratch/rolling"
if wait "$probe"; then sound=yes; else sound=; fi
report=$(grep '"period":"all"' "$scratch/probe" || :)
seen() { field "$1" "$report"; }

say
if [ -n "$sound" ]; then colour=$GREEN; else colour=$RED; fi
say "${colour}Rolled $INSTANCES instances in $(($(date +%s) - begin)) s; $moved connections moved${RESET}"
summary
[ ! -s "$scratch/rebalance" ] || sed 's/^/  /' "$scratch/rebalance"
[ -n "$report" ] || fail "${RED}The probe ended without a report:${RESET}
$(cat "$scratch/probe-log")"
say "  The probe: $(seen published) messages, $(seen delivered) deliveries;" \
  "lost $(seen lost), doubled $(seen doubled), out of order $(seen disordered); refused handshakes $(seen refused)"
say "  Delivery gap, the longest of each member: p50 $(seen gapP50Ms) ms, p99 $(seen gapP99Ms) ms, longest $(seen gapMaxMs) ms"
[ -n "$sound" ] || fail "${RED}Something that was acknowledged did not arrive once and in order${RESET}"
