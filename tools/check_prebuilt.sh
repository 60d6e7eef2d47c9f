#!/usr/bin/env bash
# The build option for machines without NVRTC: embeds kernels for one architecture, made by the simulator's compiler, and answers on a simulated card
# of it with no NVRTC to be found, in the same words. A card of another architecture is refused in one line.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
simulator="$PWD/build/tests/cudasim/libcudasim.so"
export GEMMACORE_CUDASIM_CHECKS=off GEMMACORE_CUDA_LIBRARY="$simulator" GEMMACORE_NVRTC_LIBRARY="$simulator" GEMMACORE_KERNEL_CACHE="$work/cache"
tools/prebuild_kernels.sh "$work/prebuilt" 80
dotnet publish src/GemmaCore.Cli -c Release -v q --artifacts-path "$work/artifacts" -o "$work/program" -p:PrebuiltKernels="$work/prebuilt"
# DEVICE, then variables.
answer() {
  env "${@:2}" dotnet exec "$work/program/gemmacore.dll" generate demo --prompt "How many cells?" --max-tokens 3 --temperature 0 --device "$1"
}
compiled=$(answer cuda GEMMACORE_CUDASIM_DEVICE=a100)
built=$(answer cuda GEMMACORE_CUDASIM_DEVICE=a100 GEMMACORE_NVRTC_LIBRARY=/nowhere.so GEMMACORE_KERNEL_CACHE="$work/unused")
[ "$compiled" = "$built" ] && [ ! -e "$work/unused" ] || { echo "check_prebuilt: '$built' from built kernels, '$compiled' from compiled ones" >&2; exit 1; }
if answer cuda GEMMACORE_CUDASIM_DEVICE=t4 GEMMACORE_NVRTC_LIBRARY=/nowhere.so 2>"$work/complaint"; then
  echo "check_prebuilt: a T4 ran kernels of 8.0" >&2
  exit 1
fi
grep -q "^gemmacore: .*NVRTC" "$work/complaint" || { cat "$work/complaint" >&2; exit 1; }
# auto then means the CPU.
answer auto GEMMACORE_CUDASIM_DEVICE=t4 GEMMACORE_NVRTC_LIBRARY=/nowhere.so >/dev/null
GEMMACORE_CUDASIM_DEVICE=a100 GEMMACORE_NVRTC_LIBRARY=/nowhere.so dotnet exec "$work/program/gemmacore.dll" doctor | grep "built into this program for sm_80"
