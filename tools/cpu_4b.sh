#!/usr/bin/env bash
# tools/cpu_4b.sh [FOLDER]: the whole MedGemma-4B shape on the CPU with the settings of configs/medgemma_4gb.yaml: one QLoRA step of a sample with a picture, then an answer about a picture,
# weights rounded to NF4 while they are loaded; planned and measured memory side by side. Ends with 1 when what the run took differs from its plan by more than 5 %.
# Writes 8.6 GB of weights (init formula) to FOLDER and deletes them. Needs the real Gemma 3 tokenizer in ../shared and about ten minutes; CI does not run it.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/with_4b.sh "${1:-}" tokenizer
work=$folder/work pictures=demo/data/training/Microscopy/phantom_cells/imagesTr
mkdir "$work"
printf 'file,cells\nphantom_cells_0000.jpg,7\n' >"$work/row.csv"

# Runs the program with what it writes in $work/said and $work/json, and keeps the most anonymous memory that it had, in kB, in $anonymous.
anonymous=0
measured() {
    dotnet src/GemmaCore.Cli/bin/Release/net10.0/gemmacore.dll "$@" >"$work/json" 2>"$work/said" &
    local program=$! now
    anonymous=0
    while now=$(awk '/^RssAnon/{print $2}' "/proc/$program/status" 2>/dev/null); [ -n "$now" ]; do
        [ "$now" -le "$anonymous" ] || anonymous=$now
        sleep 0.2
    done
    wait "$program" || { cat "$work/said" >&2; exit 1; }
}
field() { grep -o "\"$1\": *[0-9.]*" "$2" | head -n 1 | sed 's/.*: *//'; }
gigabytes() { awk -v bytes="$1" 'BEGIN{printf "%.3f", bytes / 1e9}'; }

echo "tools/cpu_4b.sh, commit $(git rev-parse --short HEAD), $(date -u +'%Y-%m-%d %H:%M') UTC, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors, load average $(cut -d' ' -f1 /proc/loadavg)"
start=$SECONDS
measured train configs/medgemma_4gb.yaml --device cpu "model_name_or_path=$folder" "output_dir=$work/run" max_steps=1 gradient_accumulation_steps=1 logging_steps=1 \
    dataset.type=csv "dataset.path=$work/row.csv" "dataset.image_root=$PWD/$pictures" "dataset.columns={image: file, answer: cells}" "dataset.questions={cell_counting: How many cells are in the image?}"
planned=$(field peak_memory_planned_bytes "$work/run/run.json") took=$(field peak_memory_measured_bytes "$work/run/run.json")
echo
echo "| one QLoRA step, $((SECONDS - start)) s with loading and encoding the picture | GB |"
echo "|---|---:|"
echo "| planned peak | $(gigabytes "$planned") |"
echo "| peak of what the run took | $(gigabytes "$took") |"
echo "| most anonymous memory of the process: runtime and tokenizer on top | $(gigabytes $((anonymous * 1024))) |"
grep -E '^step 1/' "$work/said"

measured generate "$folder" --device cpu --quantize nf4 --quantize-head int8 --prompt "How many cells are in the image?" --image "$pictures/phantom_cells_0000.jpg" --max-tokens 16 --temperature 0 --json
echo
echo "| an answer about a picture | loading, s | picture and $(field prompt_tokens "$work/json") tokens, s | $(field completion_tokens "$work/json") tokens of the answer, s | most anonymous memory of the process, GB |"
echo "|---|---:|---:|---:|---:|"
echo "| NF4, head in int8 | $(field load_s "$work/json") | $(field prefill_s "$work/json") | $(field decode_s "$work/json") | $(gigabytes $((anonymous * 1024))) |"
awk -v planned="$planned" -v took="$took" 'BEGIN{share = took / planned; if (share < 0.95 || share > 1.05) {print "cpu_4b: the run took " share " of its plan"; exit 1}}'
