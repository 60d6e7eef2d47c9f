# source tools/with_4b.sh FOLDER: writes the 8.6 GB of the MedGemma-4B shape (init formula) below FOLDER (empty: a temporary one), says in $folder where, builds
# tools/GemmaCore.Proof, and deletes the weights when the script ends. For tools/parity_4b.sh and tools/plan_4b.sh, which stand in the root of the clone.
parent=${1:-$(mktemp -d)}
folder=$parent/medgemma-4b
[ ! -e "$folder" ] || { echo "$(basename "$0"): $folder exists; name another folder" >&2; exit 1; }
trap 'rm -rf "$folder"; rmdir --ignore-fail-on-non-empty "$parent"' EXIT
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
dotnet run -c Release --project src/GemmaCore.Cli -- init --preset medgemma-4b --seed 2026 --dtype bf16 --out "$folder" 1>&2
