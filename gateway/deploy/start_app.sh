#!/usr/bin/env bash
# Serves the page that makes videos on port 7860, beside the API that it calls; see start_api.sh.
set -euo pipefail

export TELEFUSER_UI_PORT="${TELEFUSER_UI_PORT:-7860}"
exec bash "$(dirname "$0")/start_api.sh" "$@"
