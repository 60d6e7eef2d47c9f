#!/usr/bin/env bash
# Runs the README's test command, repeats the skipped tests with their reasons, and fails on a skip that tools/allowed_skips.txt does not list.
# The last line is: N passed, N failed, N skipped
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# As in check.sh: profiles are a tenth of the time of the Cli tests, guarding compiled code against writing a tenth of a short training run's.
export DOTNET_TieredPGO=0 DOTNET_EnableWriteXorExecute=0
dotnet test -c Release --no-build --no-progress --output Detailed >"$log" 2>&1
status=$?
# Each failed test with its message, then the summary.
grep -A 12 -E '^failed ' "$log" | grep -vE '^(passed|  from) '
sed -n '/^Test run summary/,$p' "$log"

passed=$(sed -n 's/^ *succeeded: *//p' "$log" | tail -n 1)
failed=$(sed -n 's/^ *failed: *//p' "$log" | tail -n 1)
skipped=$(sed -n 's/^ *skipped: *//p' "$log" | tail -n 1)
if [ "${skipped:-0}" != 0 ]; then
    # A skipped test's reason stands on the lines below its name.
    grep -A 2 '^skipped ' "$log"
    while read -r name; do
        if ! grep -qF -- "$name" tools/allowed_skips.txt; then
            echo "not allowed to skip: $name"
            status=1
        fi
    done < <(sed -n 's/^skipped \([A-Za-z0-9_.]*\).*/\1/p' "$log" | sort -u)
fi
echo "${passed:-0} passed, ${failed:-0} failed, ${skipped:-0} skipped"
[ -n "${passed:-}" ] && [ "$passed" -gt 0 ] || status=1
exit $status
