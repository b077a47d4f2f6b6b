#!/bin/sh
# Runs one service of the cluster and keeps its books:  keep.sh FILES PROGRAM ARGS...
# FILES.pid holds "PID START" as soon as the service runs, FILES.exit its exit code as soon as it has ended.
# START is when the kernel says the process began: with it a pid that is used again is not taken for the service.
files=$1
shift
# shellcheck disable=SC3045 # not in POSIX, but in every sh of Linux and macOS
limit=$(ulimit -Hn)
# shellcheck disable=SC3045
ulimit -Sn "$limit" 2>/dev/null || ulimit -Sn 10240 2>/dev/null
trap : HUP INT QUIT TERM # are meant for the service; a handler, unlike '', is not inherited

rm -f "$files.exit"
# shellcheck disable=SC2016 # expanded by the inner shell, whose pid the service takes over
sh -c '
  start=$({ read -r stat <"/proc/$$/stat" && set -- ${stat##*) } && echo "${20}"; } 2>/dev/null ||
    LC_ALL=C ps -o lstart= -p $$)
  echo $$ $start >"$0.pid.new" && mv "$0.pid.new" "$0.pid"
  exec "$@"
' "$files" "$@"
echo $? >"$files.exit.new"
mv "$files.exit.new" "$files.exit"
# What the service left behind (the workers of an nginx whose master was killed) goes with it, and so does this shell.
kill -KILL 0
