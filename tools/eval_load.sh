#!/usr/bin/env bash
# tools/eval_load.sh [ROWS [RESAMPLES]]: seconds and memory of scoring ROWS (60,000) made-up answers, then with RESAMPLES (1,000) of the bootstrap.
# Prints a Markdown table.
set -euo pipefail
cd "$(dirname "$0")/.."
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
tools/GemmaCore.Proof/bin/Release/net10.0/proof eval-load "${1:-60000}" "${2:-1000}"
