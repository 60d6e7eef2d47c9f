#!/usr/bin/env bash
# One name, seven places (style: an operation is found by one name): contract, CPU and CUDA code, kernels, tests, reference, benchmark.
# A kernel file belongs to the operation whose name in snake case it bears, alone or followed by _what_it_does (matmul.cu, matmul_mma.cu).
set -euo pipefail
cd "$(dirname "$0")/.."
missing=0
complain() {
    echo "$1"
    missing=1
}
need() { [ -f "$1" ] || complain "missing: $1"; }

declare -A operations
for folder in src/GemmaCore.Ops/*/; do
    name=$(basename "$folder")
    case $name in bin | obj) continue ;; esac
    operations[$(sed -E 's/([a-z0-9])([A-Z])/\1_\2/g' <<<"$name" | tr '[:upper:]' '[:lower:]')]=$name
    need "$folder$name.cs"
    need "$folder$name.Cuda.cs"
    need "tests/GemmaCore.Ops.Tests/${name}Tests.cs"
    need "tests/GemmaCore.Testing.References/${name}Reference.cs"
    need "bench/GemmaCore.Bench/${name}Bench.cs"
done

# The operation of a kernel file: the longest name that it begins with.
owner() {
    local stem=$1
    until [ -z "$stem" ] || [ -n "${operations[$stem]:-}" ]; do
        case $stem in *_*) stem=${stem%_*} ;; *) stem= ;; esac
    done
    echo "$stem"
}

for path in kernels/*.cu; do
    file=${path#kernels/}
    operation=$(owner "${file%.cu}")
    if [ -z "$operation" ]; then
        # What the benchmark or the engine measures the card with is no operation.
        grep -qF "\"$file\"" bench/GemmaCore.Bench/*.cs src/GemmaCore.Cuda/*.cs || complain "$path belongs to no operation of src/GemmaCore.Ops"
        continue
    fi
    need "kernels/$operation.cu"
    grep -qF "\"$file\"" src/GemmaCore.Ops/"${operations[$operation]}"/*.cs || complain "$path is not launched by src/GemmaCore.Ops/${operations[$operation]}"
    grep -q "^$file," kernels/specialisations.csv || complain "$path is not in kernels/specialisations.csv"
done

while read -r file; do
    need "kernels/$file"
done < <(tail -n +2 kernels/specialisations.csv | cut -d, -f1 | sort -u)

# An operation launches its own kernels and no other's; without kernels of its own it is made of other operations.
for operation in "${!operations[@]}"; do
    name=${operations[$operation]}
    while read -r file; do
        need "kernels/$file"
        [ "$(owner "${file%.cu}")" = "$operation" ] || complain "src/GemmaCore.Ops/$name launches $file, which is not named after it"
    done < <(cat src/GemmaCore.Ops/"$name"/*.cs | grep -o '"[a-z0-9_]*\.cu"' | tr -d '"' | sort -u)
    [ -f "kernels/$operation.cu" ] || ! grep -q 'Launch(' src/GemmaCore.Ops/"$name"/*.Cuda.cs || complain "missing: kernels/$operation.cu"
done
exit $missing
