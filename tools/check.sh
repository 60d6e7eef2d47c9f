#!/usr/bin/env bash
# Everything CI checks, in the order that fails fastest. Run it from anywhere in a clone.
set -euo pipefail
cd "$(dirname "$0")/.."
# Nothing here runs long enough to win back what profiles for the second compilation cost, and methods are compiled faster where their pages may be written in place.
export DOTNET_TieredPGO=0 DOTNET_EnableWriteXorExecute=0

echo "== names"
bash tools/check_names.sh
echo "== restore and build, warnings as errors"
dotnet restore GemmaCore.sln --locked-mode
dotnet build GemmaCore.sln -c Release --no-restore
echo "== format"
bash tools/check_format.sh
echo "== kernels in the simulator, and their compile gate"
bash tools/test_kernels.sh
echo "== tests"
bash tools/test.sh
echo "== page, in Chromium"
bash tools/check_page.sh
echo "== benchmarks, on simulated cards"
bash tools/check_bench.sh
echo "== demo"
bash tools/check_demo.sh
echo "== dotnet tool"
bash tools/check_tool.sh
