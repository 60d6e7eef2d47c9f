#!/usr/bin/env bash
# tools/parity_4b.sh [FOLDER]: the whole MedGemma-4B shape against its golden. Writes 8.6 GB of weights (init formula) to FOLDER, compares, deletes it.
# Needs the real Gemma 3 tokenizer in ../shared, minutes of CPU and about 10 GB of memory; CI does not run it.
set -euo pipefail
cd "$(dirname "$0")/.."
tokenizer=../shared/fixtures/gemma3-tokenizer
[ -f "$tokenizer/tokenizer.json" ] || { echo "parity_4b: $tokenizer/tokenizer.json is not there; the golden prompt needs the real Gemma 3 tokenizer" >&2; exit 1; }
source tools/with_4b.sh "${1:-}"
cp "$tokenizer"/*.json "$folder"/
cat >"$folder/preprocessor_config.json" <<'JSON'
{"size": {"height": 896, "width": 896}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_seq_length": 256}
JSON
tools/GemmaCore.Proof/bin/Release/net10.0/proof medgemma-4b "$folder"
