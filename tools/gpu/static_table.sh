#!/usr/bin/env bash
# What is known of the kernels without a card, from kernels/budgets.csv (NVRTC's registers and shared bytes, kept true by the compile gate) and
# kernels/specialisations.csv (threads a block): blocks and threads that a multiprocessor holds, by registers, shared memory and its own limits.
# Kernels on tensor cores in full; of the others the specialisation that holds the fewest threads. Behind it, from kernels/instructions.csv, machine
# instructions of a thread for each weight of a kernel that reads codes. Prints Markdown.
set -euo pipefail
cd "$(dirname "$0")/../.."
awk -F, '
function define(text, name,   parts, i, n) {
  n = split(text, parts, " ")
  for (i = 1; i <= n; i++) if (index(parts[i], "-D" name "=") == 1) return substr(parts[i], length(name) + 4)
  return ""
}
# Bytes asked for at launch: the tiles of AttentionPlan.cs; MatmulTile.cs.
function asked(file, defines, arch, kernel,   wide, steps, d, q, stages) {
  d = define(defines, "HEAD_DIM"); q = define(defines, "QUERIES"); stages = define(defines, "STAGES")
  if (file == "attention_mma.cu") return (q + 2 * (stages == "" ? 1 : stages) * define(defines, "KEYS")) * d * 2
  if (file == "attention_wide_mma.cu") return ((q + 2 * define(defines, "KEYS")) * 256 + q * define(defines, "KEYS")) * 2 + q * 24
  if (file == "attention_wide_warpgroup.cu") return (q + stages * define(defines, "KEYS")) * 512 + stages * 16 + q * 8
  if (file == "attention_query_gradient_wide_warpgroup.cu") return 7 * 32768 + 7 * 8
  if (file == "attention_key_gradient_wide_warpgroup.cu") return 6 * 32768 + 16384 + 2 * 1024 + 9 * 8 + 2 * 4
  if (file == "attention_gradient_wide_mma.cu")
    return kernel ~ /query/ ? (2 * q / 64 + 2) * 32768 + q / 64 * (8192 + 65 * 16) : (2 + 2 * stages) * 32768 + 4 * 8192 + stages * 64 * 16
  if (file == "attention_gradient_mma.cu") return gradient(define(defines, "ROWS"), define(defines, "COLUMNS"), define(defines, "STAGES"), d, define(defines, "SPLIT"))
  if (file == "matmul_warpgroup.cu") return kernel ~ /reduce/ ? 0 : 8 * (define(defines, "BLOCK_M") + define(defines, "BLOCK_N")) * 32 * 2
  if (file == "matmul_quantized_mma.cu") return kernel ~ /reduce/ ? 0 : 2 * (64 + 128) * 64 * 2
  if (file != "matmul_mma.cu" || kernel ~ /reduce/) return 0
  wide = define(defines, "BLOCK_M") * define(defines, "BLOCK_N") > 128 * 128
  steps = arch < 80 ? 2 : (arch >= 90 ? (wide && define(defines, "LAYOUT") == "NT" ? 8 : 6) : (wide ? 6 : (arch == 80 ? 5 : 3)))
  return steps * (define(defines, "BLOCK_M") + define(defines, "BLOCK_N")) * 32 * 2
}
function gradient(rows, columns, stages, d, parted) {
  return ((2 * rows + 2 * stages * columns) * d + (parted > 1 ? 2 * rows * (columns + 8) : 0)) * 2
}
function least(a, b) { return a < b ? a : b }
BEGIN {
  split("75 80 86 90", shown, " ")
  limit[75] = "1024 65536 16"; limit[80] = "2048 167936 32"; limit[86] = "1536 102400 16"; limit[90] = limit["90a"] = "2048 233472 32"
  print "| file | specialisation | kernel | arch | threads | registers | shared bytes | blocks | occupancy |\n|---|---|---|---|---:|---:|---:|---:|---:|"
}
FNR == 1 { next }
FILENAME ~ /specialisations/ { threads[$1 "," $2] = $3; lowest[$1 "," $2] = $4; next }
{
  arch = substr($3, 4)
  # sm_90a runs what sm_90 does; only what it alone can run is shown for it.
  if (!(arch in limit) || (arch == "90a" && lowest[$1 "," $2] != "90a")) next
  split(limit[arch], most, " ")
  t = threads[$1 "," $2]
  shared = $6 + asked($1, $2, arch, $4)
  registers = int(($5 * 32 + 255) / 256) * 256 * t / 32
  blocks = least(least(int(most[1] / t), int(65536 / registers)), most[3])
  if (shared > 0) blocks = least(blocks, int(most[2] / (shared + (arch + 0 >= 80 ? 1024 : 0))))
  occupancy = int(100 * blocks * t / most[1])
  # A tile made for cards with more shared memory is not launched here.
  if (blocks == 0) next
  text = $2; gsub(/-D/, "", text)
  line = "| " $1 " | " text " | " $4 " | " $3 " | " t " | " $5 " | " shared " | " blocks " | " occupancy " % |"
  if ($1 ~ /_mma|_warpgroup/) { print line; next }
  key = $1 "," arch
  if (!(key in worst)) order[++count] = key
  if (!(key in worst) || occupancy < worst[key]) { worst[key] = occupancy; text_of[key] = line }
}
END { for (i = 1; i <= count; i++) print text_of[order[i]] }' kernels/specialisations.csv kernels/budgets.csv
awk -F, '
NR == 1 { print "\n| file | specialisation | arch | instructions for each weight |\n|---|---|---|---:|"; next }
$3 ~ /^sm_(75|80|86|90)$/ { gsub(/-D/, "", $2); printf "| %s | %s | %s | %.2f |\n", $1, $2, substr($3, 4), $7 / $5 }' kernels/instructions.csv
