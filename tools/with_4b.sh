#!/usr/bin/env bash
# tools/with_4b.sh FOLDER COMMAND...: writes the 8.6 GB of the MedGemma-4B shape (init formula) below FOLDER (empty: a temporary one), runs COMMAND with their path
# behind it, and deletes them. tools/parity_4b.sh and tools/plan_4b.sh use it.
set -euo pipefail
cd "$(dirname "$0")/.."
parent=${1:-$(mktemp -d)}
shift
folder=$parent/medgemma-4b
[ ! -e "$folder" ] || { echo "with_4b: $folder exists; name another folder" >&2; exit 1; }
trap 'rm -rf "$folder"; rmdir --ignore-fail-on-non-empty "$parent"' EXIT
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
dotnet run -c Release --project src/GemmaCore.Cli -- init --preset medgemma-4b --seed 2026 --dtype bf16 --out "$folder" 1>&2
"$@" "$folder"
