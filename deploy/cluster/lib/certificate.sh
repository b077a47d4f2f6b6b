#!/bin/sh
# Puts cert.pem and key.pem into a folder:  certificate.sh FOLDER
# TLS_CERT and TLS_KEY, or a self-signed pair for localhost; an existing pair is kept. Prints a line when it changed
# something. The files are world-readable, since NGINX may run as another user: protect the folder.
set -eu
to=$1

if [ -n "${TLS_CERT:-}${TLS_KEY:-}" ]; then
  for name in TLS_CERT TLS_KEY; do
    eval "file=\${$name:-}"
    # shellcheck disable=SC2154 # set by eval
    [ -r "$file" ] || { echo "$name=$file: TLS_CERT and TLS_KEY must be readable files" >&2 && exit 1; }
  done
  if cmp -s "$TLS_CERT" "$to/cert.pem" && cmp -s "$TLS_KEY" "$to/key.pem"; then exit 0; fi
  cp "$TLS_CERT" "$to/cert.pem"
  cp "$TLS_KEY" "$to/key.pem"
  rm -f "$to/self-signed"
  echo "Using the certificate $TLS_CERT"
elif [ ! -f "$to/self-signed" ]; then
  set -- req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=localhost
  set -- "$@" -addext subjectAltName=DNS:localhost,IP:127.0.0.1
  if command -v openssl >/dev/null; then
    openssl "$@" -keyout "$to/key.pem" -out "$to/cert.pem" 2>/dev/null
  elif [ -n "${OPENSSL_IMAGE:-}" ] && pair=$(docker run --rm --network none --entrypoint openssl "$OPENSSL_IMAGE" \
    "$@" -keyout - 2>/dev/null); then
    printf '%s\n' "$pair" | sed -n '/BEGIN PRIVATE/,/END PRIVATE/p' >"$to/key.pem"
    printf '%s\n' "$pair" | sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' >"$to/cert.pem"
  else
    echo 'Install openssl, or set TLS_CERT and TLS_KEY' >&2
    exit 1
  fi
  touch "$to/self-signed"
  echo 'Created a self-signed certificate for localhost, valid for one year; browsers will warn'
else
  exit 0
fi
chmod 644 "$to/cert.pem" "$to/key.pem"
