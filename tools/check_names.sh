#!/usr/bin/env bash
# One name, four places (style: an operation is found by one name): contract and CPU code, tests, reference, benchmark.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=0
need() {
    if [ ! -f "$1" ]; then
        echo "missing: $1"
        missing=1
    fi
}
for folder in src/GemmaCore.Ops/*/; do
    name=$(basename "$folder")
    case $name in bin | obj) continue ;; esac
    need "$folder$name.cs"
    need "tests/GemmaCore.Ops.Tests/${name}Tests.cs"
    need "tests/GemmaCore.Testing/References/${name}Reference.cs"
    need "bench/GemmaCore.Bench/${name}Bench.cs"
done
exit $missing
