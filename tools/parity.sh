#!/usr/bin/env bash
# Runs the golden tests and prints the parity table (Markdown): what docs/parity.md keeps. Ends with 1 when a comparison is outside its tolerance
# or a golden file has no result. Try DOTNET_EnableAVX512=0, DOTNET_EnableAVX2=0 or DOTNET_EnableHWIntrinsic=0 in front of it.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
touch "$log/lines"
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2 || exit 1
for project in Inputs Ops Models Generation Training; do
    filters=(--filter-class '*GoldenTests')
    [ "$project" = Ops ] && filters=(--filter-class '*.Nf4Tests' --filter-class '*.MatmulInt8Tests')
    [ "$project" = Generation ] && filters+=(--filter-class '*SamplingFilterTests')
    # A failed test is a line of the table, or the absence of one; its message goes to the error stream.
    GEMMACORE_PARITY_LOG="$log/lines" dotnet test --project "tests/GemmaCore.$project.Tests" -c Release --no-progress "${filters[@]}" 1>&2
done
tools/GemmaCore.Proof/bin/Release/net10.0/proof parity "$log/lines"
