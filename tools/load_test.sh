#!/usr/bin/env bash
# tools/load_test.sh [SECONDS [CLIENTS [SEED]]]: the server under CLIENTS clients (64) for SECONDS (300): questions with and without pictures, answers of a form, calls of
# tools, label scores, addresses of images that are refused, clients that leave, damaged bodies. Prints Markdown; ends with 1 when an answer was not the one that its request gets alone, on an unhandled error, or when memory grows.
set -euo pipefail
cd "$(dirname "$0")/.."
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
tools/GemmaCore.Proof/bin/Release/net10.0/proof load "${1:-300}" "${2:-64}" "${3:-2026}"
