#!/usr/bin/env bash
# Tests and measures on a real card, on a machine that has neither .NET nor a network.
#   tools/gpu/run.sh pack [--nvrtc] [--only tests|bench]   here: puts what it takes into build/gpu/pack.tar.xz (tools/gpu/README.md)
#   tools/gpu/run.sh run PACK         there: unpacks it into $GPU_WORK or a new temporary folder and leaves tables and logs in $OUT
# --nvrtc takes along the compiler of .nvrtc for a machine without one. It is NVIDIA's, carried for the run and never committed.
# For a rehearsal on the simulator: GPU_TINY=1, GPU_TESTS="class class" (only these test classes), GPU_SECONDS, and the variables of tests/cudasim.
set -uo pipefail

tests=(Ops Cuda Models Generation Training)
# Of the runtime what neither tests nor command line load: debuggers, tracing, other collectors, other languages, data tables.
unused='libmscordaccore.so|libmscordbi.so|libclrgc.so|libclrgcexp.so|libcoreclrtraceptprovider.so|Microsoft.VisualBasic.Core.dll|Microsoft.VisualBasic.dll'
unused+='|System.Private.DataContractSerialization.dll|System.Linq.AsyncEnumerable.dll|System.Data.Common.dll|createdump'

pack() {
  set -e
  cd "$(dirname "$0")/../.."
  local stage=build/gpu/pack sdk version name only="" nvrtc=""
  while [ $# -gt 0 ]; do
    case "$1" in
      --nvrtc) nvrtc=yes ;;
      --only) only=${2:?--only tests or --only bench}; shift ;;
      *) echo "run.sh: pack knows no $1" >&2; exit 2 ;;
    esac
    shift
  done
  rm -rf "$stage"
  mkdir -p "$stage/app" "$stage/dotnet" "$stage/tests" "$stage/tools"
  if [ "$only" != bench ]; then
    for name in "${tests[@]}"; do copy_app "tests/GemmaCore.$name.Tests" "$stage/app"; done
    cp -r tests/goldens "$stage/tests/goldens"
    mkdir "$stage/docs" && cp docs/*.md "$stage/docs/"
  fi
  # One runtime for all of them, started by its own `dotnet`.
  sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")
  version=$(basename "$(find "$sdk/shared/Microsoft.NETCore.App" -mindepth 1 -maxdepth 1 -name '10.*' | sort -V | tail -n 1)")
  cp "$sdk/dotnet" "$stage/dotnet/"
  mkdir -p "$stage/dotnet/host/fxr"
  cp -r "$sdk/host/fxr/$version" "$stage/dotnet/host/fxr/"
  copy_framework Microsoft.NETCore.App
  if [ "$only" != tests ]; then
    copy_app src/GemmaCore.Cli "$stage/app"
    copy_framework Microsoft.AspNetCore.App # serve is a verb of the command line
  fi
  find "$stage/dotnet/shared" -type f | grep -E "/($unused)\$" | xargs -r rm
  # The host refuses to start when its list names a file that is not there.
  perl -0pi -e 's/"(?:[^"\s]*\/)?(?:'"${unused//./\\.}"')": \{[^{}]*\},?//g; s/,(\s*\})/$1/g' "$stage"/dotnet/shared/Microsoft.NETCore.App/*/Microsoft.NETCore.App.deps.json
  # Tests look for the root of the repository, and in it for these.
  cp GemmaCore.sln "$stage/"
  cp -r demo configs "$stage/"
  mkdir "$stage/kernels" && cp kernels/*.csv "$stage/kernels/"
  ln -s ../demo "$stage/app/demo"
  cp bench/peers/torch/peer.py tools/gpu/run.sh "$stage/tools/"
  { git rev-parse --short=12 HEAD; git status --porcelain | head -n 1; } | tr '\n' ' ' > "$stage/commit"
  if [ -n "$nvrtc" ]; then
    mkdir "$stage/nvrtc"
    cp -L .nvrtc/usr/lib/x86_64-linux-gnu/libnvrtc.so.12 .nvrtc/usr/lib/x86_64-linux-gnu/libnvrtc-builtins.so.12.4 "$stage/nvrtc/"
  fi
  # Files of one kind side by side compress best.
  (cd "$stage" && find . ! -type d | sed -E 's/.*\.([^.\/]*)$/\1 &/; t; s/^/- /' | LC_ALL=C sort | cut -d ' ' -f 2- |
    tar -c --no-recursion --owner=0 --group=0 -T - | xz -T2 "${GPU_XZ:--6}" > ../pack.tar.xz)
  echo "build/gpu/pack.tar.xz: $(stat -c %s build/gpu/pack.tar.xz) bytes; the limit of what is carried, the working tree included, is $((64 << 20))"
}

copy_framework() { # name; `sdk`, `version` and `stage` are pack's
  mkdir -p "$stage/dotnet/shared/$1"
  cp -r "$sdk/shared/$1/$version" "$stage/dotnet/shared/$1/"
}

copy_app() { # project folder, destination
  local from="$1/bin/Release/net10.0"
  [ -d "$from" ] || { echo "run.sh: $1 is not built: dotnet build -c Release" >&2; exit 1; }
  find "$from" -maxdepth 1 -type f \( -name '*.dll' -o -name '*.deps.json' -o -name '*.runtimeconfig.json' \) -exec cp {} "$2/" \;
  local folder
  for folder in kernels Fonts; do
    if [ -d "$from/$folder" ]; then cp -r "$from/$folder" "$2/"; fi
  done
  if [ -d "$from/runtimes/linux-x64" ]; then mkdir -p "$2/runtimes" && cp -r "$from/runtimes/linux-x64" "$2/runtimes/"; fi
}

run() {
  local archive=$1 out=${OUT:?is where results go} name began
  began=$(date +%s)
  deadline=$((began + ${GPU_SECONDS:-570}))
  work=${GPU_WORK:-$(mktemp -d)}
  mkdir -p "$work" "$out"
  tar -xJf "$archive" -C "$work" || exit 1
  export DOTNET_ROOT="$work/dotnet" DOTNET_CLI_TELEMETRY_OPTOUT=1 TESTINGPLATFORM_TELEMETRY_OPTOUT=1 GEMMACORE_TEST_GPU=1
  export GEMMACORE_KERNEL_CACHE="$work/build/kernel-cache"
  mkdir -p "$GEMMACORE_KERNEL_CACHE"
  find_nvrtc
  tiny=() smoke=() # peer.py's word and ours
  if [ -n "${GPU_TINY:-}" ]; then tiny=(--tiny) smoke=(--smoke); fi
  echo "unpacked after $(($(date +%s) - began)) s"

  packed gemmacore && step 60 doctor app gemmacore doctor > "$out/doctor.txt" 2>&1
  { nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || echo "no nvidia-smi"; } >> "$out/doctor.txt" 2>&1
  cat "$out/doctor.txt"
  table "$out"

  # The suites at once: each waits for the compiler most of the time, and they share its cache.
  local pids=() filters=()
  for name in ${GPU_TESTS:-}; do filters+=(-class "*.$name"); done
  for name in "${tests[@]}"; do
    packed "GemmaCore.$name.Tests" || continue
    step ${GPU_TEST_SECONDS:-240} "tests of $name" app "GemmaCore.$name.Tests" -noColor -noLogo "${filters[@]}" > "$work/tests-$name.txt" 2>&1 &
    pids+=($!)
  done
  wait "${pids[@]}"
  for name in "${tests[@]}"; do
    [ -f "$work/tests-$name.txt" ] || continue
    echo "== $name"
    grep -A 12 -E '\[FAIL\]' "$work/tests-$name.txt" | head -n 400
    tail -n 4 "$work/tests-$name.txt"
  done > "$out/tests.txt"
  grep -E '^==|Total:' "$out/tests.txt"
  table "$out"

  packed gemmacore || { echo "done after $(($(date +%s) - began)) s"; return; }
  # An operation's figures are read to their end before the next library has the card.
  step 120 "bench of operations" app gemmacore bench --device cuda --json "${smoke[@]}" > "$out/bench.jsonl" 2> "$out/bench.err"
  table "$out"
  step 60 "torch operations" python3 "$work/tools/peer.py" ops "${tiny[@]}" > "$out/torch.jsonl" 2>> "$out/bench.err"
  table "$out"
  name=medgemma-4b
  if [ -n "${GPU_TINY:-}" ]; then name=tiny; fi
  step 120 "bench of $name" app gemmacore bench --device cuda --json "${smoke[@]}" "$name" "$name:nf4" "$name:int8" 2>> "$out/bench.err" | grep '"shape"' >> "$out/bench.jsonl"
  table "$out"
  step 90 "torch models" python3 "$work/tools/peer.py" models "${tiny[@]}" >> "$out/torch.jsonl" 2>> "$out/bench.err"
  table "$out"
  if [ -z "${GPU_TINY:-}" ]; then step 90 demo app gemmacore demo --device cuda --out "$work/demo-out" > "$out/demo.txt" 2>&1; fi
  table "$out"
  echo "done after $(($(date +%s) - began)) s"
}

# The engine looks in the usual places itself; a Python environment with torch has one, too, and the pack may.
find_nvrtc() {
  if [ -n "${GEMMACORE_NVRTC_LIBRARY:-}" ]; then return; fi
  local found python
  python=$(command -v python3 || true)
  found=$(find -H /usr/local/cuda/lib64 "${python%/bin/*}/lib" "$work/nvrtc" -name 'libnvrtc.so.1[23]' 2>/dev/null | head -n 1)
  if [ -n "$found" ]; then export GEMMACORE_NVRTC_LIBRARY="$found" LD_LIBRARY_PATH="$(dirname "$found"):${LD_LIBRARY_PATH:-}"; fi
}

packed() { [ -f "$work/app/$1.dll" ]; }

app() { timeout -k 5 "$limit" "$work/dotnet/dotnet" "$work/app/$1.dll" "${@:2}"; }

python3() { timeout -k 5 "$limit" "$(type -P python3 || echo false)" "$@"; }

# step SECONDS NAME COMMAND...: at most so long, and not beyond the end of all.
step() {
  local left=$((deadline - $(date +%s))) status=0 start=$SECONDS
  limit=$1
  if [ "$left" -lt "$limit" ]; then limit=$left; fi
  if [ "$limit" -lt 5 ]; then echo "$2: no time left" >> "$work/steps.txt"; return; fi
  "${@:3}" || status=$?
  echo "$2: exit $status after $((SECONDS - start)) s of $limit" >> "$work/steps.txt"
}

table() {
  {
    echo "# On a card"
    echo
    echo "$(date -u '+%Y-%m-%d %H:%M') UTC, commit $(cat "$work/commit")"
    echo
    sed 's/^/    /' "$out/doctor.txt"
    echo
    sed 's/^/- /' "$work/steps.txt"
    if [ -f "$out/tests.txt" ]; then echo; grep -E '^==|Total:' "$out/tests.txt" | sed 's/^/    /'; fi
    if [ -f "$out/bench.jsonl" ]; then echo; limit=20; python3 "$work/tools/peer.py" join "$out/bench.jsonl" "$out/torch.jsonl"; fi
  } > "$out/cuda.md" 2>> "$work/table.err"
}

case "${1:-}" in
  pack) pack "${@:2}" ;;
  run) run "${2:?run.sh run PACK}" ;;
  *) sed -n '2,7s/^# *//p' "$0"; exit 2 ;;
esac
