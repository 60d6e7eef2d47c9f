# source tools/with_4b.sh FOLDER: writes the 8.6 GB of the MedGemma-4B shape (init formula) below FOLDER (empty: a temporary one), says in $folder where, builds
# tools/GemmaCore.Proof, and deletes the weights when the script ends. With `tokenizer` as second word the real Gemma 3 tokenizer of ../shared and how pictures are prepared lie beside them.
# For the scripts tools/*_4b.sh, which stand in the root of the clone.
tokenizer=../shared/fixtures/gemma3-tokenizer
if [ "${2:-}" = tokenizer ] && [ ! -f "$tokenizer/tokenizer.json" ]; then
    echo "$(basename "$0" .sh): $tokenizer/tokenizer.json is not there; prompts need the real Gemma 3 tokenizer" >&2
    exit 1
fi
parent=${1:-$(mktemp -d)}
folder=$parent/medgemma-4b
[ ! -e "$folder" ] || { echo "$(basename "$0"): $folder exists; name another folder" >&2; exit 1; }
trap 'rm -rf "$folder"; rmdir --ignore-fail-on-non-empty "$parent"' EXIT
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
dotnet run -c Release --project src/GemmaCore.Cli -- init --preset medgemma-4b --seed 2026 --dtype bf16 --out "$folder" 1>&2
if [ "${2:-}" = tokenizer ]; then
    cp "$tokenizer"/*.json "$folder"/
    cat >"$folder/preprocessor_config.json" <<'JSON'
{"size": {"height": 896, "width": 896}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_seq_length": 256}
JSON
fi
