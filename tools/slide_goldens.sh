#!/usr/bin/env bash
# tools/slide_goldens.sh: makes tests/goldens/slides anew: slides as other people's programs write them, and what other people's readers show of their parts at a magnification.
# pyramid.tif is libvips' (its resolution says 40x), aperio.svs has the order of pages that Aperio's scanners have (scan, thumbnail in strips, a quarter of the scan, label, overview) and a
# description that says 20x. Debian: apt-get install libvips-tools libtiff-tools openslide-tools. The tests need none of them.
# A line of expected.txt is FILE MAGNIFICATION X,Y,WIDTH,HEIGHT SHOWN SHA256: the part in pixels of the scan, its size at the magnification, and the sum of its red, green and blue.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/tests/goldens/slides
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/*
cd "$work"
# Waves of three lengths, so that no two places look alike and packing has something to do.
perl -e 'binmode STDOUT; print "P6 384 256 255\n"; for my $y (0 .. 255) { for my $x (0 .. 383) { print pack "C3", map { 128 + 110 * sin($_) } $x / 19 + $y / 50, $y / 13 - $x / 70, ($x + $y) / 29 } }' >scan.ppm
tiles() { vips tiffsave "$1" "$2" --tile --tile-width 32 --tile-height 32 --compression deflate --predictor horizontal "${@:3}"; }
tiles scan.ppm "$out/pyramid.tif" --pyramid --xres 4000 --yres 4000 --resunit cm
tiles scan.ppm 1.tif
vips shrink scan.ppm quarter.v 4 4
vips resize scan.ppm thumbnail.v 0.2
vips black label.v 60 50 --bands 3
vips black overview.v 90 30 --bands 3
tiles quarter.v 3.tif
for page in 2:thumbnail 4:label 5:overview; do vips tiffsave "${page#*:}.v" "${page%:*}.tif" --compression deflate; done
tiffset -s 270 $'Aperio Image Library v1.0\r\n384x256 [0,0 384x256] (32x32) invented for tests|AppMag = 20|MPP = 0.5' 1.tif
tiffset -s 270 $'Aperio Image Library v1.0\r\n384x256 -> 96x64 invented for tests|AppMag = 20|MPP = 0.5' 3.tif
tiffcp 1.tif "$out/aperio.svs"
for page in 2 3 4 5; do tiffcp -a "$page.tif" "$out/aperio.svs"; done # at once it would cut all of them like the first

# line FILE MAGNIFICATION PART PICTURE
line() {
    vips extract_band "$4" rgb.v 0 --n 3
    vips rawsave rgb.v rgb.raw
    echo "$1 $2 $3 $(vipsheader -f width rgb.v)x$(vipsheader -f height rgb.v) $(sha256sum <rgb.raw | cut -d' ' -f1)" >>"$out/expected.txt"
}
# vips MAGNIFICATION PAGE DOWNSAMPLE X Y WIDTH HEIGHT, all in pixels of the scan
by_vips() {
    vips crop "$out/pyramid.tif[page=$2]" part.v $(($4 / $3)) $(($5 / $3)) $(($6 / $3)) $(($7 / $3))
    line pyramid.tif "$1" "$4,$5,$6,$7" part.v
}
by_openslide() {
    openslide-write-png "$out/aperio.svs" "$4" "$5" "$2" $(($6 / $3)) $(($7 / $3)) part.png
    line aperio.svs "$1" "$4,$5,$6,$7" part.png
}
# OpenSlide 3.4 shows a level lower than a tile some rows too far down, so the levels here end with a tile.
by_vips 40 0 1 0 0 384 256
by_vips 40 0 1 61 35 130 70
by_vips 20 1 2 64 32 120 100
by_vips 20 1 2 0 0 384 256
by_vips 10 2 4 200 100 120 124
by_openslide 20 0 1 33 50 200 90
by_openslide 5 1 4 0 0 384 256
by_openslide 5 1 4 40 80 256 176
cat "$out/expected.txt"
ls -l "$out"
