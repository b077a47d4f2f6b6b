#!/bin/sh
# Publishes a message to a room with curl: API=http://127.0.0.1:9200 SECRET=... sh publish.sh lobby hello order-7
# The text must be without quotes and backslashes. After a lost answer, 429 or 503 curl sends it again, with the same id. The secret goes through a file descriptor, so
# that it is not among the arguments.
set -eu

printf 'header = "Authorization: Bearer %s"\n' "$SECRET" |
  curl --silent --show-error --fail-with-body --max-time 5 --retry 5 --retry-connrefused --config - \
    --header 'Content-Type: application/json' --header "Idempotency-Key: $3" \
    --data "{\"room\":\"$1\",\"content\":\"$2\"}" "$API/v1/publish"
