#!/usr/bin/env bash
# tools/parity_4b.sh [FOLDER]: the whole MedGemma-4B shape against its golden. Writes 8.6 GB of weights (init formula) to FOLDER, compares, deletes it.
# Needs the real Gemma 3 tokenizer in ../shared, minutes of CPU and about 10 GB of memory; CI does not run it.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/with_4b.sh "${1:-}" tokenizer
tools/GemmaCore.Proof/bin/Release/net10.0/proof medgemma-4b "$folder"
