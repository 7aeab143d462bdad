#!/bin/sh
# Says where the service is and tries it: one Rank call and its reward, which nothing is learned from.
set -eu

echo "Endpoint: $PERSONALIZER_ENDPOINT"
echo "Key:      azd env get-value PERSONALIZER_KEYS"
if [ -n "${PERSONALIZER_AUTH_CLIENT_ID:-}" ]; then
  echo "Callers need a Microsoft Entra token, so the service was not tried." >&2
  exit 0
fi
for python in python3 python; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    exec "$python" "$(dirname "$0")/smoke.py" "$PERSONALIZER_ENDPOINT"
  fi
done
echo "There is no Python here, so the service was not tried: ask $PERSONALIZER_ENDPOINT/status" >&2
