#!/usr/bin/env bash
# Our LoRA step of the mini shape and TorchSharp's, by turns in one run: three rounds of each, then ours / theirs by the rounds' medians (min, median, max of the ratios).
set -euo pipefail
cd "$(dirname "$0")"
dotnet build -c Release -v q -clp:ErrorsOnly ../../../src/GemmaCore.Cli
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
for round in 1 2 3; do
    bash run.sh 10 | awk '/^T /{gsub(/[:,]/, ""); print "theirs", $2, $7, $(NF-1)}' | tee -a "$figures"
    dotnet run --no-build -c Release --project ../../../src/GemmaCore.Cli -- bench mini --device cpu | awk -F'|' '/LoRA step/{split($2, name, /[ ,]+/); split($6, memory, " "); print "ours", name[4], $4+0, memory[4]}' | tee -a "$figures"
done
for length in 128 512; do
    paste <(awk -v t=$length '$1=="ours" && $2==t{print $3, $4}' "$figures") <(awk -v t=$length '$1=="theirs" && $2==t{print $3, $4}' "$figures") |
        awk '{print $1/$3, $2/$4}' | sort -n | awk -v t=$length '{time[NR]=$1; memory[NR]=$2} END{printf "T %d: time ours / TorchSharp %.2f, %.2f, %.2f (min, median, max); peak memory %.2f\n", t, time[1], time[2], time[3], memory[2]}'
done
