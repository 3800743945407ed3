#!/usr/bin/env bash
# Runs Envoy alone, before a server that `telefuser serve --no-gateway` runs on the same loopback.
# Arguments go to `telefuser gateway render`.
set -euo pipefail

folder="${GATEWAY_FOLDER:-/run/gateway}"
telefuser gateway render --out "$folder" --upstream "${UPSTREAM:-127.0.0.1:50051}" \
  --host 0.0.0.0 --port "${PORT:-8000}" "$@"
cd "$folder"
exec envoy -c envoy.yaml --disable-hot-restart --concurrency "${CONCURRENCY:-1}" \
  --drain-strategy immediate --component-log-level misc:error
