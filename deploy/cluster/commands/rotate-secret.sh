#!/bin/sh
# Replaces JWT_SECRET on a live cluster, in two rolling restarts. First every instance learns to verify with the next secret;
# only then do they sign with it. The old one stays in JWT_SECRETS, so tokens that were signed with it stay good. Run again
# after a failed roll, it goes on with the next secret that is already there.
#
# It does not read the settings: each roll reads them anew.
set -eu
cd "$(dirname "$0")/../../.."
. deploy/cluster/lib/output.sh

ENV_FILE=${ENV_FILE:-.env}
[ -z "${JWT_SECRET+given}${JWT_SECRETS+given}" ] ||
  fail 'JWT_SECRET and JWT_SECRETS must not be in the environment: it would override .env'
old='' others=''
setting() { # dotenv.awk prints these calls
  case $1 in
    JWT_SECRET) old=$2 ;;
    JWT_SECRETS) others=$2 ;;
  esac
}
setting_error() { fail "$ENV_FILE, $1"; }
[ ! -f "$ENV_FILE" ] || eval "$(awk -f deploy/cluster/lib/dotenv.awk "$ENV_FILE")"
[ -n "$old" ] || fail "There is no JWT_SECRET in $ENV_FILE. Run make up first"

# Writes NAME=VALUE lines in place of those that there are.
write() { # write JWT_SECRET JWT_SECRETS
  (
    umask 077
    {
      grep -v '^JWT_SECRETS\{0,1\}=' "$ENV_FILE" || :
      say "JWT_SECRET=$1"
      say "JWT_SECRETS=$2"
    } >"$ENV_FILE.new"
    mv "$ENV_FILE.new" "$ENV_FILE"
  )
}
roll() {
  sh deploy/cluster/commands/rolling-restart.sh ||
    fail "The roll failed, and nobody is logged out. Repair the cluster (make up), then run make rotate-secret again"
}

# A next secret is marked by its kid until it signs.
next=$(printf '%s' "$others" | tr , '\n' | sed -n 's/^next://p' | head -n 1)
if [ -z "$next" ]; then
  next=$(random_hex)
  others=next:$next${others:+,$others}
  write "$old" "$others"
fi
say '1 of 2: every instance verifies with the next secret too'
roll
write "$next" "$old$(printf ',%s' "$others" | sed "s/,next:$next//")"
say '2 of 2: every instance signs with it'
roll
say "JWT_SECRET is new. The old one still verifies: remove it from JWT_SECRETS in $ENV_FILE when its last token has expired"
