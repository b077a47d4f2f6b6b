# shellcheck shell=sh
# Commands that change the cluster run one at a time. The lock is a link to the holder's pid: the lock of a process that
# was killed is ignored, and commands that the holder itself runs do not wait.
LOCK=$CLUSTER_DIR/lock
alone() {
  [ "${LOCK_HELD:-}" != "$LOCK" ] || return 0
  told=
  until ln -s $$ "$LOCK" 2>/dev/null; do
    holder=$(readlink "$LOCK" || :)
    if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null; then
      rm -f "$LOCK"
    else
      [ -n "$told" ] || told=$(note 'Waiting for another command that is changing this cluster' && echo yes)
      sleep 0.5
    fi
  done
  at_exit "rm -f '$LOCK'"
  export LOCK_HELD="$LOCK"
}

# Adds a cleanup that runs when the command ends, however it ends. The last one added runs first.
at_exit() {
  at_exit_all="$1; ${at_exit_all:-}"
  # shellcheck disable=SC2064 # as it is now
  trap "$at_exit_all" EXIT
  trap 'exit 130' HUP INT TERM
}
