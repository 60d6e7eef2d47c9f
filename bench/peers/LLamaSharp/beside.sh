#!/usr/bin/env bash
# beside.sh [SHAPE [ROUNDS [FORMATS]]]: prefill of 512 tokens and decoding behind them, ours and llama.cpp's by turns in one run (default gemma-3-1b, three rounds), for weights in bf16,
# 8 bits and 4 bits ("bf16 q8_0 q4_0", or some of them); then ours / theirs by the rounds' medians (min, median, max of the ratios). 4 bits: NF4 beside Q4_0, embeddings and head in 8 bits in both.
set -euo pipefail
cd "$(dirname "$0")"
shape=${1:-gemma-3-1b} rounds=${2:-3} formats=${3:-bf16 q8_0 q4_0}
declare -A ours=([bf16]=$shape [q8_0]=$shape:int8:head8 [q4_0]=$shape:nf4:head8)
for format in $formats; do [ -n "${ours[$format]:-}" ] || { echo "beside: no format is called $format: ${!ours[*]}" >&2; exit 2; }; done
dotnet build -c Release -v q -clp:ErrorsOnly
dotnet build -c Release -v q -clp:ErrorsOnly ../../../src/GemmaCore.Cli
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
uptime
for ((round = 1; round <= rounds; round++)); do
    for format in $formats; do
        dotnet bin/Release/net10.0/LLamaSharpPeer.dll "$shape" "$format" | tee -a /dev/stderr |
            awk -v f="$format" '/^(prefill|decode)/{gsub(/,/, ""); print "theirs", f, $1, $(NF-3)}' >>"$figures"
        dotnet ../../../src/GemmaCore.Cli/bin/Release/net10.0/gemmacore.dll bench --no-training "${ours[$format]}" --device cpu | grep -E 'peak [0-9]|^\| (prefill|decode)' | tee -a /dev/stderr |
            awk -F'|' -v f="$format" '/^\|/{split($2, name, " "); print "ours", f, name[1], $4+0}' >>"$figures"
    done
done
uptime
echo
echo "| $shape | llama.cpp tokens/s, medians | ours | ours / theirs: min, median, max |"
echo "|---|---|---|---|"
for format in $formats; do
    for what in prefill decode; do
        theirs=$(awk -v f=$format -v w=$what '$1=="theirs" && $2==f && $3==w{print $4}' "$figures") mine=$(awk -v f=$format -v w=$what '$1=="ours" && $2==f && $3==w{print $4}' "$figures")
        paste <(echo "$mine") <(echo "$theirs") | awk '{print $1/$2}' | sort -n |
            awk -v n="$format, $what" -v t="$(echo $theirs | tr ' ' ',' | sed 's/,/, /g')" -v o="$(echo $mine | tr ' ' ',' | sed 's/,/, /g')" '{r[NR]=$1} END{printf "| %s | %s | %s | %.2f, %.2f, %.2f |\n", n, t, o, r[1], r[int((NR+1)/2)], r[NR]}'
    done
done
