#!/usr/bin/env bash
# tools/flare_phantoms.sh [--smoke] [FOLDER]: the embedded phantoms through the whole FLARE chain: report, convert, train, predict, eval, submit.
# About three minutes on two cores; --smoke trains three steps on two tasks only, and holds the files and figures to what they must be.
set -euo pipefail
smoke=
if [ "${1:-}" = --smoke ]; then
    smoke=1
    shift
fi
clone=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-flare-phantoms}
mkdir -p "$out"
out=$(cd "$out" && pwd)
gemmacore() { dotnet run -c Release --no-build --project "$clone/src/GemmaCore.Cli" -- "$@"; }
[ -n "$(ls "$clone"/src/GemmaCore.Cli/bin/Release/*/gemmacore.dll 2>/dev/null)" ] || dotnet build "$clone/src/GemmaCore.Cli" -c Release -v quiet 1>&2
say() { echo "== $*"; }

say "report: what is in the folder"
gemmacore flare report --root demo --model demo --prompts question --out "$out/report"
say "convert: JSON lines, one file a split"
gemmacore flare convert --root demo --prompts question --out "$out/rows"
say "train: a LoRA adapter on two tasks, from the converted rows"
gemmacore train "$clone/configs/demo.yaml" ${smoke:+--smoke} dataset.path="$out/rows" output_dir="$out/adapter" ${smoke:+per_device_train_batch_size=2}
say "predict: the base and the adapter, with the probability of every option"
sets=(--dataset phantom_breast --dataset phantom_brain)
[ -n "$smoke" ] || sets=()
gemmacore predict demo --data "$out/rows" --prompts question --batch 32 --label-scores "${sets[@]}" --out "$out/base_predictions.jsonl"
gemmacore predict demo --adapter "$out/adapter" --data "$out/rows" --prompts question --batch 32 --label-scores "${sets[@]}" --out "$out/tuned_predictions.jsonl"
say "eval: the adapter compared with the base, rule set by rule set"
for rules in flare26 official flare25; do
    gemmacore eval --rules "$rules" --pred "$out/tuned_predictions.jsonl" --compare "$out/base_predictions.jsonl" --ref "$out/rows" "${sets[@]}" --out "$out/$rules"
done
say "submit: the challenge's file"
gemmacore flare submit --data demo --split validation-public --pred "$out/tuned_predictions.jsonl" ${smoke:+--allow-missing-predictions} --out "$out/predictions.json"

expect() { test -s "$out/$1" || { echo "flare_phantoms: $1 is missing" >&2; exit 1; }; }
for file in report/report.html rows/train.jsonl rows/validation.jsonl rows/dataset_info.json adapter/adapter_model.safetensors predictions.json; do expect "$file"; done
for rules in flare26 official flare25; do for file in scores.json details.json rows.csv metrics.csv report.html; do expect "$rules/$file"; done; done
answers=$(grep -c '"Answer"' "$out/predictions.json")
[ "$answers" = "$(wc -l <"$out/rows/validation.jsonl")" ] || { echo "flare_phantoms: $answers answers submitted" >&2; exit 1; }
# The base has learnt the brains (every answer right) and never seen the breasts: figures that do not depend on what was trained here.
awk -F, '$1 == "dataset" && $2 == "phantom_brain" && $4 == "classification_accuracy" { found = $10 } END { exit !(found == 1) }' "$out/flare26/metrics.csv" \
    || { echo "flare_phantoms: the base is expected to get all brains right" >&2; exit 1; }
say "written to $out; look at flare26/report.html and report/report.html"
