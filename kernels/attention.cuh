// What the kernels of attention share: the table of sequences as AttentionTable.cs uploads it, and what they find by it.
#pragma once
#include "ptx.cuh"

namespace attention {

using namespace ptx;

constexpr int block_rows = 128;  // packed rows that a sequence's share of the tiles is rounded up to
constexpr float log2_e = 1.4426950408889634f, ln_2 = 0.6931471805599453f;
DEVICE float minus_infinity() { return bits_float(0xff800000u); }

// One sequence of the batch. Slots count from the beginning of the sequence.
struct Sequence {
  u64 past_keys, past_values, pages;  // [capacity, K, H], the ring; with pages (i32) a pool of pages of 16 rows
  int first_row, row_count;           // in the packed batch
  int past_start, past_count;         // slots
  int past_row, capacity;             // ring row of slot past_start; rows of the ring
  int query_block, key_block;         // first block of its packed query rows, and of its slots
  int split_keys, decode_row;         // attention_decode: slots of a split, 0 where it does not take the sequence; its first row among those taken
  int past_narrow;                    // 1: the past is bfloat16, 0: f32
};

// The sequence that has the block, counted in blocks of query rows or as `first` says.
DEVICE const Sequence& sequence_at(const Sequence* sequences, int count, int block, int Sequence::*first = &Sequence::query_block) {
  int low = 0;
  for (int high = count; high - low > 1;) {
    const int middle = (low + high) / 2;
    if (sequences[middle].*first <= block) low = middle;
    else high = middle;
  }
  return sequences[low];
}

// The row of a slot in the past's ring or pool of pages.
DEVICE int past_row_of(const Sequence& sequence, int slot) {
  int row = sequence.past_row + slot - sequence.past_start;
  if (row >= sequence.capacity) row -= sequence.capacity;
  if (sequence.pages != 0) row = reinterpret_cast<const int*>(sequence.pages)[row / 16] * 16 + row % 16;
  return row;
}

// Heads of a query row or a slot: f32, or bfloat16 where the lowest bit of the address is set; no row where it is 0.
struct HeadRow { u64 address; };
DEVICE HeadRow row_of(const float* row) { return {reinterpret_cast<u64>(row)}; }

DEVICE float4 widened(uint2 v) {
  return {unpack_low<bfloat16>(v.x), unpack_high<bfloat16>(v.x), unpack_low<bfloat16>(v.y), unpack_high<bfloat16>(v.y)};
}

// Four elements of a row, those from `size` on and of no row zero. `vectors`: rows and `size` allow 16-byte loads of f32.
DEVICE float4 four_of(HeadRow row, int at, int size, bool vectors) {
  float4 v = {0.0f, 0.0f, 0.0f, 0.0f};
  if (row.address == 0 || at >= size) return v;
  if (row.address & 1) {
    const bfloat16* p = reinterpret_cast<const bfloat16*>(row.address - 1) + at;
    if (vectors) return widened(load8(p));
    v.x = to_float(p[0]);
    if (at + 1 < size) v.y = to_float(p[1]);
    if (at + 2 < size) v.z = to_float(p[2]);
    if (at + 3 < size) v.w = to_float(p[3]);
    return v;
  }
  const float* p = reinterpret_cast<const float*>(row.address) + at;
  if (vectors) {
    const uint4 bits = load16(p);
    return {bits_float(bits.x), bits_float(bits.y), bits_float(bits.z), bits_float(bits.w)};
  }
  v.x = p[0];
  if (at + 1 < size) v.y = p[1];
  if (at + 2 < size) v.z = p[2];
  if (at + 3 < size) v.w = p[3];
  return v;
}

// A slot's heads from element `offset` on. `past` and `current` are both keys or both values, `stride` = K H.
DEVICE HeadRow slot_row(const Sequence& sequence, int slot, u64 past, const float* current, u64 stride, u64 offset) {
  const int ahead = slot - sequence.past_start - sequence.past_count;
  if (ahead >= 0) return row_of(current + (sequence.first_row + ahead) * stride + offset);
  const u64 at = past_row_of(sequence, slot) * stride + offset;
  return {sequence.past_narrow != 0 ? past + at * sizeof(bfloat16) + 1 : past + at * sizeof(float)};
}

// Of a packed query row, as attention_pack_statistics leaves it. Slots count from the oldest of the sequence.
struct Statistics { float lse, row_sum; int start, end; };
DEVICE Statistics statistics_of(const uint4* rows, int row) {
  const uint4 v = load16(rows + row);
  return {bits_float(v.x), bits_float(v.y), static_cast<int>(v.z), static_cast<int>(v.w)};
}

}  // namespace attention
