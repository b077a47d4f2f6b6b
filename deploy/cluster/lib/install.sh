#!/bin/sh
# Makes sure that programs are installed:  install.sh nginx redis-server prometheus chromium npm node
# As root on Debian or Ubuntu it installs the missing packages, without starting their services. Otherwise it prints the
# command to run, and exits with 1.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/bin:/usr/local/bin
root=$(cd "$(dirname "$0")/../../.." && pwd)

has() { command -v "$1" >/dev/null 2>&1; }

# The project's Node (an npm package) needs libatomic, which a minimal Debian lacks. npm runs it during the installation, so
# the library has to be there first.
node_starts() {
  if [ -x "$root/node_modules/.bin/node" ]; then
    "$root/node_modules/.bin/node" --version >/dev/null 2>&1
  elif has apt-get && has ldconfig; then
    ldconfig -p | grep -q 'libatomic\.so\.1'
  fi
}

missing=
for program in "$@"; do
  case $program in
    node) node_starts || missing="$missing libatomic1" ;;
    firefox-esr) has firefox-esr || has firefox || missing="$missing firefox-esr" ;;
    python3-websockets)
      python3 -c 'import websockets' 2>/dev/null || /usr/bin/python3 -c 'import websockets' 2>/dev/null ||
        missing="$missing python3-websockets"
      ;;
    chromium) has chromium || has chromium-browser || has google-chrome || missing="$missing chromium" ;;
    *) has "$program" || missing="$missing $program" ;;
  esac
done
missing=${missing# }
[ -n "$missing" ] || exit 0

if ! has apt-get || [ "$(id -u)" != 0 ]; then
  echo "Missing: $missing. Install with:" >&2
  if has apt-get; then
    echo "  sudo apt-get install --no-install-recommends $missing" >&2
  elif has brew; then
    formulas=
    for package in $missing; do
      case $package in
        redis-server) formulas="$formulas redis" ;;
        firefox-esr) formulas="$formulas firefox" ;;
        python3-websockets) echo '  pip3 install websockets' >&2 ;;
        npm) formulas="$formulas node" ;;
        *) formulas="$formulas $package" ;;
      esac
    done
    echo "  brew install$formulas" >&2
  else
    echo "  your system's package manager (on Debian: apt-get install $missing)" >&2
  fi
  exit 1
fi

# invoke-rc.d asks this file whether a package may start its service; 101 means no.
policy=/usr/sbin/policy-rc.d
scratch=$(mktemp -d)
[ ! -e "$policy" ] || cp -p "$policy" "$scratch/policy"
restore() {
  if [ -e "$scratch/policy" ]; then cp -p "$scratch/policy" "$policy"; else rm -f "$policy"; fi
  rm -rf "$scratch"
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

install() {
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
    install --no-install-recommends $missing >"$scratch/log" 2>&1
}
echo "Installing $missing (apt-get)" >&2
# A missing or old package list shows as a failure, and is updated only then.
if ! install && ! { apt-get -qq update >/dev/null && install; }; then
  tail -n 20 "$scratch/log" >&2
  echo "Could not install $missing; see above" >&2
  exit 1
fi

# They must not start at the next boot either.
if [ -d /run/systemd/system ]; then
  services="nginx redis-server prometheus prometheus-redis-exporter prometheus-nginx-exporter prometheus-alertmanager"
  for service in $services; do
    case " $missing " in *" $service "*) systemctl disable --quiet "$service" ;; esac
  done
fi
