#!/usr/bin/env bash
# tools/codec_speed.sh [FOLDER]: packs a radiograph of a formula (CodecPicture.Radiograph) with DCMTK and OpenJPEG, and times how it is unpacked here, in megapixels a second; then their decoders as whole
# processes, which also read the file and write the samples. Debian: apt-get install dcmtk libopenjp2-tools.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)}
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
tools/GemmaCore.Proof/bin/Release/net10.0/proof codec-pictures "$folder" radiograph >/dev/null
cd "$folder"
dcmcrle radiograph.dcm radiograph_rle.dcm
dcmcjpeg +e1 radiograph.dcm radiograph_lossless_jpeg.dcm
dcmcjpls radiograph.dcm radiograph_jpeg_ls.dcm
mv radiograph.raw radiograph.rawl
opj_compress -i radiograph.rawl -o radiograph_jpeg_2000.j2k -F 2048,2048,1,16,u >/dev/null
dotnet "$OLDPWD/tools/GemmaCore.Proof/bin/Release/net10.0/proof.dll" radiograph .
for decoder in "dcmdjpeg radiograph_lossless_jpeg.dcm" "dcmdjpls radiograph_jpeg_ls.dcm" "opj_decompress -i radiograph_jpeg_2000.j2k -o"; do
    for _ in 1 2 3 4 5; do
        start=$(date +%s%N)
        # shellcheck disable=SC2086 # a command and its arguments
        $decoder unpacked.rawl >/dev/null
        echo "${decoder%% *} $((($(date +%s%N) - start) / 1000000)) ms"
    done | sort -k2n | sed -n '1s/$/ min/p;3s/$/ median/p;5s/$/ max/p'
done
