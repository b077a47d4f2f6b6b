#!/bin/sh
# Shows what the parts write, the app's lines made readable: [INSTANCE=app2]. On a terminal it goes on until ctrl-c;
# FOLLOW=1 or FOLLOW=0 says otherwise.
. "$(dirname "$0")/env.sh"

follow=
if [ "${FOLLOW:-$([ ! -t 1 ] || echo 1)}" = 1 ]; then follow=-f; fi
# shellcheck disable=SC2086 # an option or nothing
driver logs $follow ${INSTANCE:+"$INSTANCE"} | driver pretty
