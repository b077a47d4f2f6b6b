#!/bin/sh
# Is this machine set up for so many connections? CONNECTIONS=10000. A table: what there is, what is wanted, and what to type where it is too low.
# Exits 1 when something is too low. docs/capacity.md says where the figures come from. Needs nothing but a POSIX shell and awk.
. "$(dirname "$0")/../lib/env.sh"

CONNECTIONS=${CONNECTIONS:-10000}
case $CONNECTIONS in '' | *[!0-9]* | 0* | ?????????*) fail "CONNECTIONS=$CONNECTIONS: expected a number from 1 to 99999999" ;; esac
ROOT_OF_PROC=${DOCTOR_ROOT:-} # the tests bring a /proc and a /sys of their own
SYSTEM=$(uname -s)
scratch=$(mktemp -d)
at_exit "rm -rf '$scratch'"

# --- what one connection takes, and what is there anyway (docs/capacity.md)
KIB_APP=13
KIB_NGINX=18
KIB_KERNEL=19
MIB_INSTANCE=180
MIB_BASE=1024 # Redis with its 512 MB and what a fork copies of them, Prometheus, NGINX

# What the kit itself sets.
worker_connections=$(sed -n 's/^ *worker_connections \([0-9]*\);.*/\1/p' deploy/nginx/nginx.conf.template)
backlog=$(sed -n 's/.* backlog=\([0-9]*\);.*/\1/p' deploy/nginx/tls/false.conf.template)
MAX_CONNECTIONS=${MAX_CONNECTIONS:-$(sed -n 's/^MAX_CONNECTIONS=//p' .env.example)}

# An instance's share while one of the others restarts.
others=$((INSTANCES > 1 ? INSTANCES - 1 : 1))
share=$(((CONNECTIONS + others - 1) / others))

# One line a check: STATE(ok, low, better, info) NAME VALUE WANTED FIX
row() { printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$scratch/rows"; }
# A value that has to be at least so much; nothing is said of one that this system does not have.
at_least() { # at_least NAME VALUE WANTED FIX
  [ -n "$2" ] || return 0
  awk -v value="$2" -v wanted="$3" 'BEGIN { exit !(value == "unlimited" || value + 0 >= wanted + 0) }' && state=ok || state=low
  row "$state" "$1" "$2" "$3" "$4"
}
info() { row info "$1" "${2:--}" - "${3:-}"; }

# A value of the kernel by its Linux name, or by its macOS name; empty where there is none.
kernel() { # kernel LINUX [MACOS]
  if [ "$SYSTEM" = Darwin ]; then
    [ -z "${2:-}" ] || sysctl -n "$2" 2>/dev/null || :
  else
    cat "$ROOT_OF_PROC/proc/sys/$(printf '%s' "$1" | tr . /)" 2>/dev/null || :
  fi
}
set_kernel() { # set_kernel LINUX MACOS VALUE
  value=$3
  case $value in *' '*) value="'$value'" ;; esac
  if [ "$SYSTEM" = Darwin ]; then say "sudo sysctl $2=$value"; else say "sudo sysctl -w $1=$value"; fi
}
kernel_at_least() { # kernel_at_least WANTED LINUX [MACOS]
  name=$2
  [ "$SYSTEM" != Darwin ] || name=${3:-}
  at_least "$name" "$(kernel "$2" "${3:-}")" "$1" "$(set_kernel "$2" "${3:-}" "$1")"
}

# --- open files: NGINX holds two for each connection, and one worker may get nearly all of them
check_files() {
  files=$((2 * CONNECTIONS + 1000))
  # shellcheck disable=SC3045 # not in POSIX, but in every sh that there is
  soft=$(ulimit -Sn) hard=$(ulimit -Hn)
  info 'open files, soft' "$soft" # all parts raise it to the hard limit themselves
  if [ "$SYSTEM" = Darwin ]; then
    fix="sudo launchctl limit maxfiles $files $files"
  else
    fix="sudo prlimit --pid \$\$ --nofile=$files:$files   (in the shell that runs make up)"
  fi
  if [ "$DRIVER" = native ]; then
    at_least 'open files, hard' "$hard" "$files" "$fix"
  elif [ -s "$CLUSTER_DIR/compose/open-files" ]; then
    at_least 'open files, in a container' "$(cat "$CLUSTER_DIR/compose/open-files")" "$files" \
      "LimitNOFILE=$files below [Service]: sudo systemctl edit docker, then sudo systemctl restart docker"
  fi
  kernel_at_least "$files" fs.nr_open kern.maxfilesperproc
  # Two in NGINX, one in the app, one in a load test's client on the same machine.
  kernel_at_least $((4 * CONNECTIONS + 10000)) fs.file-max kern.maxfiles
}

# --- what the kit's own files say
check_settings() {
  at_least 'worker_connections of NGINX' "$worker_connections" $((2 * CONNECTIONS)) \
    "set worker_connections and worker_rlimit_nofile to $((2 * CONNECTIONS + 1000)) in deploy/nginx/nginx.conf.template"
  at_least 'MAX_CONNECTIONS of an instance' "$MAX_CONNECTIONS" "$share" "MAX_CONNECTIONS=$share in .env, or more instances: make scale N=..."
}

check_network() {
  kernel_at_least "$backlog" net.core.somaxconn kern.ipc.somaxconn
  # With SYN cookies, a full queue turns nobody away.
  [ "$(kernel net.ipv4.tcp_syncookies)" = 1 ] || kernel_at_least "$backlog" net.ipv4.tcp_max_syn_backlog

  if [ "$SYSTEM" = Darwin ]; then
    first=$(kernel - net.inet.ip.portrange.first) last=$(kernel - net.inet.ip.portrange.last)
    widen='sudo sysctl net.inet.ip.portrange.first=1024'
  elif [ "$DRIVER" = compose ]; then
    first=1024 last=65535 # docker-compose.yml sets it for NGINX
  else
    first=$(kernel net.ipv4.ip_local_port_range | awk '{ print $1 }') last=$(kernel net.ipv4.ip_local_port_range | awk '{ print $2 }')
    widen=$(set_kernel net.ipv4.ip_local_port_range - '1024 65535')
  fi
  # One port of NGINX for each connection of an instance, which are an instance's share while another one restarts.
  wanted=$((share + 500))
  [ "$wanted" -le 64512 ] || widen="more instances: make scale N=$((CONNECTIONS / 64000 + 2))"
  [ -z "$first" ] || at_least 'ports toward one instance' "$((last - first + 1))" "$wanted" "${widen:-}"
  # Clients to NGINX, and NGINX to the app.
  kernel_at_least $((2 * CONNECTIONS + 10000)) net.netfilter.nf_conntrack_max
}

check_memory() {
  wanted=$((CONNECTIONS * (KIB_APP + KIB_NGINX + KIB_KERNEL) / 1024 + INSTANCES * MIB_INSTANCE + MIB_BASE))
  if [ "$SYSTEM" = Darwin ]; then
    memory=$(sysctl -n hw.memsize 2>/dev/null | awk '{ printf "%d", $1 / 1048576 }')
  else
    memory=$(awk '$1 == "MemAvailable:" { printf "%d", $2 / 1024 }' "$ROOT_OF_PROC/proc/meminfo")
  fi
  at_least 'memory to be had, MB' "$memory" "$wanted" 'free some, or take a larger machine'
}

# --- Redis starts without these; it warns, and a rewrite of its file may fail when memory is short.
check_redis() {
  overcommit=$(kernel vm.overcommit_memory)
  case $overcommit in
    '') ;;
    1) row ok vm.overcommit_memory 1 1 '' ;;
    *) row better vm.overcommit_memory "$overcommit" 1 "$(set_kernel vm.overcommit_memory - 1)" ;;
  esac
  pages=$(sed -n 's/.*\[\(.*\)\].*/\1/p' "$ROOT_OF_PROC/sys/kernel/mm/transparent_hugepage/enabled" 2>/dev/null || :)
  case $pages in
    '') ;;
    always) row better 'transparent huge pages' always madvise \
      'echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled' ;;
    *) row ok 'transparent huge pages' "$pages" madvise '' ;;
  esac
}

version_of() { { "$@" 2>&1 || :; } | sed -n 's/^[^0-9]*\([0-9][0-9.]*[0-9]\).*/\1/p' | head -n 1; }
check_programs() {
  if [ "$DRIVER" = compose ]; then
    info 'Docker engine' "$(docker version --format '{{.Server.Version}}' 2>/dev/null || :)"
    version=$(version_of docker compose version --short)
    # 2.24 is the first that knows an env_file which may be missing.
    if printf '%s\n' "${version:-0}" | awk -F . '{ exit !($1 > 2 || $1 == 2 && $2 >= 24) }'; then state=ok; else state=low; fi
    row "$state" 'Docker Compose' "${version:--}" 2.24 'https://docs.docker.com/compose/install'
    return 0
  fi
  for program in nginx redis-server prometheus; do
    flag=--version
    [ "$program" != nginx ] || flag=-v
    version=$(PATH=$PATH:/usr/local/sbin:/usr/sbin:/opt/homebrew/bin version_of "$program" "$flag")
    info "$program" "${version:-not there}" "${version:+-}"
  done
}

if [ "$SYSTEM" = Darwin ]; then cores=$(sysctl -n hw.ncpu); else cores=$(grep -c '^processor' "$ROOT_OF_PROC/proc/cpuinfo" || :); fi
[ "${cores:-0}" -gt 0 ] || cores=1
info cores "$cores"
check_memory
if [ "$SYSTEM:$DRIVER" = Darwin:compose ]; then
  note "The kernel's values are those of Docker's own machine, which cannot be seen from here"
else
  check_files
  check_network
  check_redis
fi
check_settings
check_programs

awk -F '\t' -v bold="$BOLD" -v green="$GREEN" -v red="$RED" -v yellow="$YELLOW" -v dim="$DIM" -v reset="$RESET" '
  function grouped(text) {
    if (text ~ /^[0-9]+$/) while (text ~ /[0-9][0-9][0-9][0-9](,|$)/) sub(/[0-9][0-9][0-9](,|$)/, ",&", text)
    return text
  }
  BEGIN {
    sign["ok"] = green "ok      "
    sign["low"] = red "too low "
    sign["better"] = yellow "advice  "
    sign["info"] = dim "-       "
    printf "\n" bold "          %-31s%22s%12s" reset "\n", "CHECK", "VALUE", "WANTED"
  }
  {
    printf "%s" reset "  %-31s%22s%12s\n", sign[$1], $2, grouped($3), grouped($4)
    if ($1 == "low" || $1 == "better") printf "          %s\n", $5
  }
  END { print "" }' "$scratch/rows"

low=$(grep -c '^low' "$scratch/rows" || :)
if [ "$low" = 0 ]; then
  say "Set up for $CONNECTIONS connections on $INSTANCES instances ($DRIVER)"
  exit 0
fi
say "$low too low for $CONNECTIONS connections on $INSTANCES instances ($DRIVER): type what stands below each."
[ "$SYSTEM" = Darwin ] || say 'sysctl changes last until the next boot; to keep them, put them into a file in /etc/sysctl.d'
exit 1
