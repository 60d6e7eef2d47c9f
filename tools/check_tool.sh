#!/usr/bin/env bash
# The dotnet tool as a user gets it: packed, installed from a folder into an empty one, and run with the model that travels in it.
# Expects a Release build. The first argument is where the package is left; a temporary folder if there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
feed=${1:-$work/feed}
dotnet pack src/GemmaCore.Cli -c Release --no-build -o "$feed" -v q
version=$(dotnet msbuild src/GemmaCore.Cli -getProperty:Version)
package="$feed/GemmaCore.Tool.$version.nupkg"
echo "$(basename "$package"): $(($(stat -c %s "$package") >> 20)) MiB"
entries=$(unzip -l "$package")
for entry in README.md LICENSE; do
    grep -q " $entry\$" <<<"$entries" || { echo "check_tool: $entry is not in the package"; exit 1; }
done
# From the folder alone, and from a machine that has seen no such package.
printf '<configuration><packageSources><clear /><add key="here" value="%s" /></packageSources></configuration>' "$(realpath "$feed")" >"$work/nuget.config"
NUGET_PACKAGES="$work/packages" dotnet tool install GemmaCore.Tool --version "$version" --tool-path "$work/bin" --configfile "$work/nuget.config" >/dev/null
cd "$work"
said=$(bin/gemmacore --version) # followed by + and the commit
test "${said%%+*}" = "$version" || { echo "check_tool: --version says $said, the package is $version"; exit 1; }
bin/gemmacore bench add --smoke --json | grep -q '"operation":"add forward' || { echo "check_tool: the installed tool times nothing"; exit 1; }
bin/gemmacore plan demo --preset 4gb max_length=128 --device cpu >/dev/null || { echo "check_tool: the presets did not travel"; exit 1; }
picture=demo/data/validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg
bin/gemmacore train configs/csv.yaml --smoke --device cpu >/dev/null 2>training.log || { cat training.log; echo "check_tool: a configuration that came with the tool does not run"; exit 1; }
answer=$(bin/gemmacore generate demo --temperature 0 --prompt "Describe the endoscopic finding." --image "$picture")
case $answer in *polyp* | *ulcer* | *Polyp* | *Ulcer*) echo "the installed tool answers: $answer" ;; *) echo "check_tool: the installed tool answers '$answer'"; exit 1 ;; esac
