#!/usr/bin/env bash
# Stops the MinIO that minio-start.sh started from this checkout, and nothing else. Its data stay in local/minio/data.
set -euo pipefail

# MinIO ends what it is doing first; after this long it is killed.
readonly STOP_WITHIN_SECONDS=20

root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=scripts/minio.sh
. "$root/scripts/minio.sh"

running="$(minio_running)"
if [ -z "$running" ]; then
  rm -f "$minio_state"
  echo "minio-stop.sh: MinIO does not run" >&2
  exit 0
fi

read -r kind name _ <<<"$running"
if [ "$kind" = container ]; then
  docker stop --time "$STOP_WITHIN_SECONDS" "$name" >/dev/null
else
  kill -TERM "$name" 2>/dev/null || true
  deadline=$((SECONDS + STOP_WITHIN_SECONDS))
  while [ -n "$(minio_running)" ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      kill -KILL "$name" 2>/dev/null || true
    fi
    sleep 0.1
  done
fi
rm -f "$minio_state"
echo "minio-stop.sh: stopped MinIO ($kind $name)" >&2
