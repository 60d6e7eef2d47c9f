#!/usr/bin/env bash
# tools/plan_4b.sh [FOLDER]: the presets for 4 GB and 16 GB with the whole MedGemma-4B shape on simulated cards, planned peak beside what the driver counted.
# Writes 8.6 GB of weights (init formula) to FOLDER and deletes them. Needs the simulator (tools/test_kernels.sh builds it), minutes of CPU and about 12 GB of memory; CI does not run it.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/with_4b.sh "${1:-}"
tools/GemmaCore.Proof/bin/Release/net10.0/proof planned "$folder" 34
