#!/usr/bin/env bash
# tools/fuzz.sh [INPUTS [SEED [TARGETS]]]: damaged safetensors headers, adapter_config.json, tokenizer.json, FLARE questions, DICOM (plain and packed), NIfTI, TIFF and 16-bit PNG files, and answers for the parsers of eval,
# INPUTS of each (1,000,000); with TARGETS only those whose names in the table contain it.
# Prints a Markdown table; ends with 1 when anything but our own exceptions came out.
set -euo pipefail
cd "$(dirname "$0")/.."
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
tools/GemmaCore.Proof/bin/Release/net10.0/proof fuzz "${1:-1000000}" "${2:-2026}" "${3:-}"
