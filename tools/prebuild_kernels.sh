#!/usr/bin/env bash
# Compiles every kernel for the given architectures with NVRTC (no GPU needed) into FOLDER, and says how to embed them into a program that then runs
# on such cards without NVRTC:
#   tools/prebuild_kernels.sh build/prebuilt 75 86
#   dotnet publish src/GemmaCore.Cli -c Release -p:PrebuiltKernels="$PWD/build/prebuilt"
# They belong to exactly this text of kernels/: after a change, build them again. NVRTC: GEMMACORE_NVRTC_LIBRARY, else as the engine finds it.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { echo "prebuild_kernels: expected FOLDER ARCH..." >&2; exit 2; }
folder=$1
shift
rm -rf -- "${folder:?}"/{75,80,86,89,90}
dotnet run --project tools/GemmaCore.Prebuild -c Release -- kernels/specialisations.csv "$folder" "$@"
echo "embed them with -p:PrebuiltKernels=$(cd "$folder" && pwd)"
