#!/bin/sh
# Evens out connections across instances: those with more than their share drain the difference, oldest connections first,
# and NGINX places these again. It works in rounds until the fullest instance is at most 20 % above the average. Nothing
# is lost: it is a drain of some connections.
. "$(dirname "$0")/../lib/env.sh"

MOST_ROUNDS=8
ROUND_DEADLINE=60 # seconds
# Rounds without progress: NGINX puts these clients back where they were.
MOST_IDLE_ROUNDS=2

alone
require_all_well 'Not rebalancing'

# Sets `counts` (INSTANCE=CONNECTIONS ...), `fullest`, `average` (rounded up) and `even`.
measure() {
  counts='' total=0 fullest=0
  for name in $(instances "$INSTANCES"); do
    count=$(connections_of "$name")
    counts="$counts $name=${count:=0}"
    total=$((total + count))
    [ "$count" -le "$fullest" ] || fullest=$count
  done
  average=$(((total + INSTANCES - 1) / INSTANCES))
  if [ $((fullest * 5)) -le $((average * 6)) ] || [ "$fullest" -le $((average + 1)) ]; then even=yes; else even=; fi
}

# Waits until all draining connections have closed.
settled() {
  until=$(($(date +%s) + ROUND_DEADLINE))
  for name in $(instances "$INSTANCES"); do
    while
      leaving=$(field leaving "$(driver fetch "$name" /status 2>/dev/null </dev/null || :)")
      [ "${leaving:-0}" -gt 0 ]
    do
      [ "$(date +%s)" -lt "$until" ] || return 1
      progress "rebalancing: $leaving connections draining on $name"
      sleep 0.5
    done
  done
}

moved=0 round=0 idle=0
measure
while [ -z "$even" ] && [ "$round" -lt "$MOST_ROUNDS" ] && [ "$idle" -lt "$MOST_IDLE_ROUNDS" ]; do
  round=$((round + 1)) before=$fullest
  for pair in $counts; do
    excess=$((${pair#*=} - average))
    [ "$excess" -gt 0 ] || continue
    driver fetch "${pair%%=*}" /rebalance "{\"connections\":$excess}" >/dev/null </dev/null ||
      fail "${pair%%=*} failed to rebalance: make logs INSTANCE=${pair%%=*}"
    moved=$((moved + excess))
  done
  settled || fail "Some connections did not drain within $ROUND_DEADLINE s: make status"
  measure
  if [ "$fullest" -lt "$before" ]; then idle=0; else idle=$((idle + 1)); fi
done

progress_end
say "Balance:$counts connections; the fullest holds $(ratio "$fullest" "$total" "$INSTANCES") times the average ($moved moved)"
if [ -z "$even" ]; then
  note "STICKY_MODE=$STICKY_MODE maps these clients to the same instances, by the address that NGINX sees (README, Operations)"
fi
