#!/usr/bin/env bash
# tools/plan_4b.sh [FOLDER]: the presets for 4 GB and 16 GB with the whole MedGemma-4B shape on simulated cards, planned peak beside what the driver counted.
# Writes 8.6 GB of weights (init formula) to FOLDER and deletes them. Needs the simulator (tools/test_kernels.sh builds it), minutes of CPU and about 12 GB of memory; CI does not run it.
set -euo pipefail
cd "$(dirname "$0")/.."
parent=${1:-$(mktemp -d)}
folder=$parent/medgemma-4b
[ ! -e "$folder" ] || { echo "plan_4b: $folder exists; name another folder" >&2; exit 1; }
trap 'rm -rf "$folder"; rmdir --ignore-fail-on-non-empty "$parent"' EXIT
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
dotnet run -c Release --project src/GemmaCore.Cli -- init --preset medgemma-4b --seed 2026 --dtype bf16 --out "$folder" 1>&2
tools/GemmaCore.Proof/bin/Release/net10.0/proof planned "$folder" 34
