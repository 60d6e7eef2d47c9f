#!/usr/bin/env bash
# tools/codec_goldens.sh: makes tests/goldens/codecs anew. Pictures come from a formula (CodecPicture), other people's encoders pack them in every way they have, and their decoders say what
# a file holds: DCMTK (dcmcjpeg, dcmcjpls, dcmdjpeg, dcmdjpls, dcmdump) and OpenJPEG (opj_compress, opj_decompress). Debian: apt-get install dcmtk libopenjp2-tools. The tests need none of them.
# A line of expected.txt is FILE PICTURE DEVIATION SHA256: the largest difference of the decoder's samples from the formula, and their sum (a byte each up to 8 bits, else two, the lower first).
# 9/7 wavelets are not the same in every decoder; there the sum is "-", and up to 12 bits FILE.samples has the samples.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/tests/goldens/codecs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dotnet build tools/GemmaCore.Proof -c Release -v quiet 1>&2
mkdir -p "$out"
rm -f "$out"/*
tools/GemmaCore.Proof/bin/Release/net10.0/proof codec-pictures "$work" >"$work/list"

# line FILE PICTURE DEVIATION SAMPLES
line() {
    local bytes
    bytes=$(stat -c %s "$work/$2.raw")
    echo "$1 $2 $3 $(head -c "$bytes" "$4" | sha256sum | cut -d' ' -f1)" >>"$out/expected.txt"
}

# dicom ENCODER DECODER FILE PICTURE DEVIATION OPTIONS...
dicom() {
    local encoder=$1 decoder=$2 file=$3.dcm picture=$4 deviation=$5
    shift 5
    "$encoder" +un "$@" "$work/$picture.dcm" "$out/$file"
    rm -rf "$work/plain"
    mkdir "$work/plain"
    "$decoder" "$out/$file" "$work/plain/decoded.dcm"
    dcmdump -q +W "$work/plain" "$work/plain/decoded.dcm" >/dev/null
    line "$file" "$picture" "$deviation" "$work"/plain/*.raw
}
jpeg() { dicom dcmcjpeg dcmdjpeg "$@"; }
jpeg_ls() { dicom dcmcjpls dcmdjpls "$@"; }


# The largest difference between two files of samples.
deviation() {
    perl -e '
        my ($bits, $signed, @files) = @ARGV;
        my @samples = map { local $/; open my $file, "<:raw", $_ or die; [unpack($bits > 8 ? "v*" : "C*", <$file>)] } @files;
        my ($largest, $sign) = (0, $signed eq "s" ? 1 << $bits - 1 : 0);
        for my $i (0 .. $#{$samples[0]}) {
            my ($one, $other) = map { ($_->[$i] & (1 << $bits) - 1 ^ $sign) } @samples;
            $largest = abs($one - $other) if abs($one - $other) > $largest;
        }
        print $largest' "$@"
}

# planes COUNT or pixels COUNT: bytes of that many components, plane by plane or side by side.
planes() { perl -e 'local $/; my $all = <STDIN>; for my $c (0 .. $ARGV[0] - 1) { print join "", map { substr $all, $_ * $ARGV[0] + $c, 1 } 0 .. length($all) / $ARGV[0] - 1 }' "$1"; }
pixels() { perl -e 'local $/; my $all = <STDIN>; my $n = length($all) / $ARGV[0]; for my $i (0 .. $n - 1) { print join "", map { substr $all, $_ * $n + $i, 1 } 0 .. $ARGV[0] - 1 }' "$1"; }

# j2k FILE PICTURE OPTIONS...
j2k() {
    local file=$1 picture=$2 shape width height count bits sign largest
    shift 2
    shape=$(grep "^$picture " "$work/list" | cut -d' ' -f2)
    IFS=, read -r width height count bits sign <<<"$shape"
    cp "$work/$picture.raw" "$work/in.rawl"
    [ "$count" = 1 ] || planes "$count" <"$work/$picture.raw" >"$work/in.rawl"
    opj_compress -i "$work/in.rawl" -o "$out/$file" -F "$shape" "$@" >/dev/null
    opj_decompress -i "$out/$file" -o "$work/out.rawl" >/dev/null
    cp "$work/out.rawl" "$work/samples"
    [ "$count" = 1 ] || pixels "$count" <"$work/out.rawl" >"$work/samples"
    largest=$(deviation "$bits" "$sign" "$work/$picture.raw" "$work/samples")
    if [[ " $* " != *" -I "* ]]; then
        # OpenJPEG writes no more than the bits of negative samples; what the tests sum up has the sign throughout.
        if [ "$largest" = 0 ]; then cp "$work/$picture.raw" "$work/samples"; fi
        line "$file" "$picture" "$largest" "$work/samples"
    else
        echo "$file $picture $largest -" >>"$out/expected.txt"
        if [ "$bits" -le 12 ]; then cp "$work/samples" "$out/$file.samples"; fi
    fi
}

for picture in $(cut -d' ' -f1 "$work/list"); do
    case $picture in halved8 | tile8 | ycbcr8) continue ;; esac
    jpeg "jpeg70_$picture" "$picture" 0 +e1
    jpeg_ls "ls_$picture" "$picture" 0
done
for predictor in 1 2 3 4 5 6 7; do jpeg "jpeg57_grey16_$predictor" grey16 0 +el +sv "$predictor"; done
for predictor in 4 7; do jpeg "jpeg57_colour8_$predictor" colour8 0 +el +sv "$predictor"; done
jpeg jpeg57_grey12_shift2 grey12 3 +el +sv 5 +pt 2
for near in 1 3; do jpeg_ls "near${near}_grey8" grey8 "$near" +en +md "$near"; done
for picture in grey12 grey16 flat16 noise16 dot12 column16; do jpeg_ls "near2_$picture" "$picture" 2 +en +md 2; done
jpeg_ls near7_grey10_cooked grey10 7 +en +md 7 +pc
jpeg_ls ls_grey12_presets grey12 0 +t1 5 +t2 9 +t3 30 +rs 20
jpeg_ls ls_flat16_reset flat16 0 +rs 4
for mixed in l s n; do
    jpeg_ls "ls_colour8_$mixed" colour8 0 "+i$mixed"
    jpeg_ls "near2_colour8_$mixed" colour8 2 +en +md 2 "+i$mixed"
done

for picture in grey8 grey10 grey12 grey16 signed16 signed12 noise16 flat16 colour8; do j2k "j2k_$picture.j2k" "$picture" -n 4; done
for picture in dot12 row8 column16 grey16; do j2k "j2k_${picture}_1.j2k" "$picture" -n 1; done
j2k jp2_colour8.jp2 colour8 -n 3
j2k j2k_colour8_unmixed.j2k colour8 -n 3 -mct 0
j2k j2k_colour8_thin.j2k colour8 -n 3 -b 4,64
for picture in grey8 grey16 colour8; do j2k "j2k_${picture}_layers.j2k" "$picture" -n 4 -r 8,4,2; done
for picture in grey8 grey12 colour8 grey16 signed16 flat16; do j2k "j2k_${picture}_irreversible.j2k" "$picture" -n 4 -I; done
for picture in grey8 grey12 colour8; do j2k "j2k_${picture}_lossy.j2k" "$picture" -n 4 -I -r 8,4; done
# Modes of blocks: bypass 1, reset 2, terminate all 4, causal 8, predictable termination 16, segmentation symbols 32.
for mode in 1 2 4 8 16 32 5 63; do j2k "j2k_grey16_mode$mode.j2k" grey16 -n 3 -M "$mode"; done
j2k j2k_colour8_mode1_layers.j2k colour8 -n 3 -r 6,3,1 -M 1
for order in LRCP RLCP RPCL PCRL CPRL; do
    j2k "j2k_grey16_$order.j2k" grey16 -n 4 -p "$order" -r 4,1 -c '[8,16],[8,8],[4,8]' -b 4,8 -t 13,11 -SOP -EPH
    j2k "j2k_colour8_$order.j2k" colour8 -n 4 -p "$order" -r 9,5,1 -c '[16,16],[8,8]' -b 8,8 -d 5,3 -T 2,1 -t 14,9
done
j2k j2k_colour8_changes.j2k colour8 -n 4 -r 6,3,1 -POC T1=0,0,3,2,3,CPRL/T1=2,0,3,4,3,LRCP
for part in R L C; do j2k "j2k_colour8_parts$part.j2k" colour8 -n 3 -r 9,5,1 -TP "$part"; done
j2k j2k_grey12_shifted.j2k grey12 -n 3 -ROI c=0,U=5
j2k j2k_grey8_lengths.j2k grey8 -n 3 -PLT -TLM
# Colour differences for every second column and row. OpenJPEG's decoder takes them for YCbCr and converts them, so here only the encoder is a witness; it is lossless.
halved() {
    planes 3 <"$work/$1.raw" >"$work/planes"
    perl -e 'local $/; my ($width, $height) = @ARGV; my $all = <STDIN>; my $size = $width * $height;
        print substr $all, 0, $size;
        for my $plane (1, 2) { for my $y (0 .. $height - 1) { for my $x (0 .. $width - 1) { print substr $all, $plane * $size + $y * $width + $x, 1 unless $x % 2 || $y % 2 } } }' "$2" "$3" <"$work/planes" >"$work/in.rawl"
    opj_compress -i "$work/in.rawl" -o "$out/j2k_$1.j2k" -F "$2,$3,3,8,u@1x1:2x2:2x2" -n 3 -mct 0 >/dev/null
    line "j2k_$1.j2k" "$1" 0 "$work/$1.raw"
}
halved halved8 32 22
halved ycbcr8 32 16
j2k j2k_tile8.j2k tile8 -n 3
cat "$out"/* | wc -c
