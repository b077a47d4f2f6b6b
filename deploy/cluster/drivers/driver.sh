# shellcheck shell=sh
# A driver runs the services of the cluster on some engine: compose.sh on Docker Compose, native.ts as local processes. The
# commands are written over these operations. To add a driver, write them and name it below.
#
#   prepare [deploy]     get what is needed (image, packages, free ports); for a deploy, build again and check that it starts
#   start SERVICE...     start these and wait until each is ready; leave alone what is
#   stop SERVICE...      SIGTERM, then SIGKILL after STOP_GRACE seconds; print `SERVICE EXITCODE` for each
#   signal SERVICE SIGNAL
#   states               a line per known service, tab-separated: NAME STATE ID UPTIME_SECONDS URL
#                        (STATE: running, unhealthy, exited:CODE or stopped; ID: pid or container)
#   fetch INSTANCE PATH [JSON]
#                        GET from the instance's internal listener, or POST the JSON; print the body
#   configure N          point NGINX and Prometheus at app1..appN; NGINX reloads if that is a change
#   dashboards           start Grafana where it is available; never fails
#   logs [-f] [-s SECONDS] [SERVICE...]
#                        print lines `SERVICE | LINE`: the last of each, or those of the last SECONDS
#   tool NAME ARGS...    run app/tools/NAME.ts with the cluster's environment
#   filter NAME ARGS...  run app/tools/NAME.ts over standard input; it reaches the instances, and does not depend on one
#   probe                run app/tools/probe.ts against NGINX until standard input ends; it does not depend on an instance
#   ws-url               the WebSocket on NGINX' internal listener, where a probe chooses its address
#   api-url              the server API, as a tool reaches it
#   remove [data]        after everything is stopped: remove what the driver created (networks, containers), and the data
#
# With EXEC=exec an operation replaces the calling shell, so that the caller can end it by its pid.

# A cluster that is running keeps its driver.
[ -z "$DRIVER" ] || one_of DRIVER compose native
[ -n "$DRIVER" ] || DRIVER=$(remembered driver)
if [ -z "$DRIVER" ]; then
  if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then DRIVER=compose; else DRIVER=native; fi
fi
export DRIVER

# The native driver runs on the project's own Node, an npm package.
install_packages() {
  [ "${PACKAGES_READY:-}" != "$ROOT" ] || return 0
  sh deploy/cluster/lib/packages.sh >&2
  export PACKAGES_READY="$ROOT" PATH="$ROOT/node_modules/.bin:$PATH"
}

if [ "$DRIVER" = compose ]; then
  . deploy/cluster/drivers/compose.sh
else
  driver() {
    install_packages
    # Node starts twice as fast from it.
    export NODE_COMPILE_CACHE="$ROOT/node_modules/.cache/node"
    ${EXEC:-} node deploy/cluster/drivers/native.ts "$@"
  }
fi
