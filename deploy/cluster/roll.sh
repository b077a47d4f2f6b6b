#!/bin/sh
# A deploy without a refused handshake: the instances are replaced one at a time. Each is told to drain, has to end
# with code 0, is started anew, has to be ready, and has to answer a real WebSocket handshake through NGINX before
# the next one's turn. NGINX is not reloaded meanwhile. A gate that fails stops the roll with exit code 1.
. "$(dirname "$0")/env.sh"

alone
scratch=$(mktemp -d)
at_exit "rm -rf '$scratch'"
: >"$scratch/summary"

# Progress is one line, rewritten, on a terminal; elsewhere a line now and then.
PROGRESS_EVERY=5 # seconds
progress() {
  if [ -t 1 ]; then
    printf '\r\033[K  %s' "$*"
  elif [ $(($(date +%s) - last_line)) -ge "$PROGRESS_EVERY" ]; then
    say "  $*"
    last_line=$(date +%s)
  fi
}
progress_end() { if [ -t 1 ]; then printf '\r\033[K'; fi; }

gate() { # gate INSTANCE WHAT-HAPPENED WHAT-TO-DO
  progress_end
  cat "$scratch/summary"
  note "${RED}The roll stopped at $1: $2${RESET}"
  note "$3"
  exit 1
}

connections_of() { field connections "$(driver fetch "$1" /status 2>/dev/null </dev/null || :)"; }

wrong=$(JSON=1 sh deploy/cluster/status.sh | tr '{' '\n' |
  sed -n 's/^"name":"\([^"]*\)","state":"\([^"]*\)".*/\1 is \2/p' | grep -vE ' is (ready|running)$' || :)
[ -z "$wrong" ] || fail "Not rolling: $(printf '%s' "$wrong" | tr '\n' ',' | sed 's/,/, /g'). First: make up"
[ "$INSTANCES" -gt 1 ] || note 'One instance alone has nobody to take over: handshakes are refused while it restarts.'

begin=$(date +%s)
driver prepare deploy
ws_url=$(driver ws-url)
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
  printf '  %-6s %5s s, of them %s s draining   %7s connections moved   exit code %s\n' \
    "$name" "$((end - start))" "$((drained - start))" "$before" "$code" >>"$scratch/summary"
done

say
say "${GREEN}Rolled $INSTANCES instances in $(($(date +%s) - begin)) s; $moved connections moved${RESET}"
cat "$scratch/summary"
