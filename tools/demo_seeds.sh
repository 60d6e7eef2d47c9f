#!/usr/bin/env bash
# Runs the demo once for each seed (default: 42 to 46) and prints the table that docs/parity.md keeps. Ends with 1 when a bar of demo/README.md
# is missed: the default seed's tuned mean at least 0.65, every seed's at least 0.62. About two minutes a seed.
# Usage: tools/demo_seeds.sh [--quantize nf4|int8|int8-128] [SEED ...]
set -euo pipefail
cd "$(dirname "$0")/.."
weights=none
if [ "${1:-}" = --quantize ]; then
    weights=${2:?a kind of weights}
    shift 2
fi
seeds=("$@")
[ $# -gt 0 ] || seeds=(42 43 44 45 46)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
dotnet build src/GemmaCore.Cli -c Release -v quiet 1>&2
program=src/GemmaCore.Cli/bin/Release/net10.0/gemmacore
echo "| seed, --quantize $weights | phantom_cells before | after | phantom_breast before | after | mean before | after | bar | seconds of training | peak memory MB | |"
echo "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"
missed=0
for seed in "${seeds[@]}"; do
    "$program" demo --seed "$seed" --quantize "$weights" --out "$out" --json --device cpu >/dev/null
    bar=0.62
    [ "$seed" = 42 ] && bar=0.65
    awk -v seed="$seed" -v bar="$bar" '
        { value = $0; gsub(/[^0-9.]/, "", value) }
        /"train":/ { seconds = value }
        /"peak_memory_bytes"/ { peak = value }
        /"dataset"/ { name = $0; sub(/.*: "/, "", name); sub(/".*/, "", name) }
        /"before"/ { before[name] = value }
        /"after"/ { after[name] = value }
        END {
            first = (before["phantom_cells"] + before["phantom_breast"]) / 2
            last = (after["phantom_cells"] + after["phantom_breast"]) / 2
            printf "| %d | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f | %.2f | %.1f | %.0f | %s |\n", seed, before["phantom_cells"], after["phantom_cells"],
                before["phantom_breast"], after["phantom_breast"], first, last, bar, seconds, peak / 1e6, (last >= bar ? "pass" : "**below**")
            exit (last < bar)
        }' "$out/report.json" || missed=1
    rm -rf "${out:?}"/*
done
exit $missed
