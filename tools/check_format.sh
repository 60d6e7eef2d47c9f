#!/usr/bin/env bash
# What `dotnet format` would change, in an eighth of its time: white space by itself without loading the projects, the order of usings here; code style and analyzers
# are errors of the build.
set -euo pipefail
cd "$(dirname "$0")/.."
dotnet format whitespace . --folder --verify-no-changes
git ls-files -z '*.cs' | LC_ALL=C xargs -0 awk '
    FNR == 1 { last = "" }
    /^using [A-Za-z_.0-9]+;/ {
        name = tolower(substr($2, 1, length($2) - 1))
        name = (name ~ /^system(\.|$)/ ? "0" : "1") name
        if (name < last) { print FILENAME ":" FNR ": usings are sorted by name, those of System first"; wrong = 1 }
        last = name
    }
    END { exit wrong }'
