#!/bin/sh
# Makes what an environment needs once and must keep: its keys, and the month that its budget begins with.
set -eu

random() {
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

# Where the environment is not kept, new keys would lock out every application at each run.
if [ -n "${CI:-}" ] && { [ -z "${PERSONALIZER_KEYS:-}" ] || [ -z "${PERSONALIZER_ADMIN_KEY:-}" ]; }; then
  echo "Set the secrets PERSONALIZER_KEYS and PERSONALIZER_ADMIN_KEY: keys made here would not be kept." >&2
  exit 1
fi
if [ -z "${PERSONALIZER_KEYS:-}" ]; then
  azd env set PERSONALIZER_KEYS "$(random)"
  echo "Made a subscription key: azd env get-value PERSONALIZER_KEYS"
fi
if [ -z "${PERSONALIZER_ADMIN_KEY:-}" ]; then
  azd env set PERSONALIZER_ADMIN_KEY "$(random)"
  echo "Made an administrator's key: azd env get-value PERSONALIZER_ADMIN_KEY"
fi
if [ "${PERSONALIZER_MONTHLY_BUDGET:-0}" != 0 ] && [ -z "${PERSONALIZER_BUDGET_START_DATE:-}" ]; then
  if [ -n "${CI:-}" ]; then
    echo "Set the variable PERSONALIZER_BUDGET_START_DATE to the first day of a month: it must stay the same." >&2
    exit 1
  fi
  azd env set PERSONALIZER_BUDGET_START_DATE "$(date -u +%Y-%m-01)"
fi
