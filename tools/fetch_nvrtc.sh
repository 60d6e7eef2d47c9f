#!/usr/bin/env bash
# Puts NVRTC 12.4 into .nvrtc/ (ignored by git) from the non-free component of this machine's own Debian package source.
# Needs no GPU, driver, toolkit or root. Prints the folder that holds libnvrtc.so.12.
set -euo pipefail
cd "$(dirname "$0")/.."
target="$PWD/.nvrtc"
found() { find "$target" -name 'libnvrtc.so.12' -printf '%h\n' 2>/dev/null | head -1; }
if [ -z "$(found)" ]; then
  sources=/etc/apt/sources.list.d/debian.sources
  [ -f "$sources" ] || { echo "fetch_nvrtc: no $sources; expected a Debian machine" >&2; exit 1; }
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/debs" "$target"
  # Only the first stanza: the others are the updates and security suites.
  awk '/^[[:space:]]*$/ { if (seen) exit; next } { seen = 1; print }' "$sources" |
    sed -E 's/^Suites:.*/Suites: trixie/; s/^Components:.*/Components: non-free/' > "$work/nvrtc.sources"
  options=(-o "Dir::Etc::sourcelist=$work/nvrtc.sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
           -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" -qq update >&2
  (cd "$work/debs" && apt-get "${options[@]}" -qq download libnvrtc12 libnvrtc-builtins12.4 >&2)
  for package in "$work"/debs/*.deb; do dpkg -x "$package" "$target"; done
fi
[ -n "$(found)" ] || { echo "fetch_nvrtc: the packages hold no libnvrtc.so.12" >&2; exit 1; }
found
