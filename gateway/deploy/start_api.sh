#!/usr/bin/env bash
# Serves the API on port 8000; results go to outputs/, log lines to logs/app_<day>.log and stderr.
# Arguments go to `telefuser serve`: a pipeline file, for example. Settings of the environment win.
set -euo pipefail

export TELEFUSER_HOST="${TELEFUSER_HOST:-0.0.0.0}"
export TELEFUSER_PORT="${TELEFUSER_PORT:-8000}"
export TELEFUSER_CACHE_DIR="${TELEFUSER_CACHE_DIR:-outputs}"
export TELEFUSER_LOG_FORMAT="${TELEFUSER_LOG_FORMAT:-json}"
export TELEFUSER_LOG_SINK="${TELEFUSER_LOG_SINK:-both}"
export TELEFUSER_LOG_FILE="${TELEFUSER_LOG_FILE:-logs/app_$(date +%Y%m%d).log}"

mkdir -p "$TELEFUSER_CACHE_DIR" "$(dirname "$TELEFUSER_LOG_FILE")"
exec telefuser serve "$@"
