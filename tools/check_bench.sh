#!/usr/bin/env bash
# Runs every benchmark once with the smallest shapes, results verified, on two simulated cards, and a small model's prefill, decoding and training step.
# Its figures mean nothing; it keeps the benchmarks from rotting between the days that a card is lent.
set -euo pipefail
cd "$(dirname "$0")/.."
simulator="$PWD/build/tests/cudasim"
export GEMMACORE_CUDA_LIBRARY="$simulator/libcudasim.so" GEMMACORE_NVRTC_LIBRARY="$simulator/libcudasim.so" GEMMACORE_CUDASIM_CHECKS=off
export GEMMACORE_KERNEL_CACHE="$PWD/build/kernel-cache"
bench=(dotnet src/GemmaCore.Cli/bin/Release/net10.0/gemmacore.dll bench --device cuda --smoke --json)
for card in gtx1650 a100; do
    lines=$(GEMMACORE_CUDASIM_DEVICE=$card "${bench[@]}" | grep -c '"shape"')
    echo "$card: $lines cases"
    [ "$lines" -ge 25 ]
done
GEMMACORE_CUDASIM_DEVICE=a100 "${bench[@]}" tiny
tools/gpu/static_table.sh | grep -c '^| attention_mma.cu' >/dev/null || { echo "tools/gpu/static_table.sh prints no table"; exit 1; }
