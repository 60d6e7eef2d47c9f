#!/usr/bin/env bash
# The server's page in real Chromium: tests/page, against `gemmacore serve demo`. Expects a Release build. Installs Chromium, Node.js and playwright-core where they are missing.
set -euo pipefail
cd "$(dirname "$0")/../tests/page"
if [ ! -x "${CHROMIUM:=/usr/bin/chromium}" ]; then
    apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium >/dev/null \
        || { echo "check_page: there is no Chromium at $CHROMIUM, and it cannot be installed; set CHROMIUM to one"; exit 1; }
fi
export CHROMIUM
if ! command -v npm >/dev/null; then
    apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends nodejs npm >/dev/null \
        || { echo "check_page: there is no npm, and it cannot be installed"; exit 1; }
fi
npm ci --no-audit --no-fund --loglevel=error >/dev/null
node --test --test-reporter=spec .
