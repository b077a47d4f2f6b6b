#!/bin/sh
# Prints the URL of the demo page, and opens it on a desktop.
. "$(dirname "$0")/../lib/env.sh"

say "$PUBLIC_URL"
if [ "$(uname -s)" = Darwin ]; then
  open "$PUBLIC_URL"
elif [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then
  xdg-open "$PUBLIC_URL" >/dev/null 2>&1
fi
