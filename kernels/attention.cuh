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
  u64 past_keys, past_values, pages;  // [capacity, K, H] f32, the ring; with pages (i32) a pool of pages of 16 rows
  int first_row, row_count;           // in the packed batch
  int past_start, past_count;         // slots
  int past_row, capacity;             // ring row of slot past_start; rows of the ring
  int query_block, key_block;         // first block of its packed query rows, and of its slots
  int split_keys, decode_row;         // attention_decode: slots of a split, 0 where it does not take the sequence; its first row among those taken
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

// Where a slot's heads lie. `past` and `current` are both keys or both values, `stride` = K H.
DEVICE const float* slot_row(const Sequence& sequence, int slot, u64 past, const float* current, u64 stride) {
  const int ahead = slot - sequence.past_start - sequence.past_count;
  return ahead >= 0 ? current + (sequence.first_row + ahead) * stride : reinterpret_cast<const float*>(past) + past_row_of(sequence, slot) * stride;
}

// Of a packed query row, as attention_pack_statistics leaves it. Slots count from the oldest of the sequence.
struct Statistics { float lse, row_sum; int start, end; };
DEVICE Statistics statistics_of(const uint4* rows, int row) {
  const uint4 v = load16(rows + row);
  return {bits_float(v.x), bits_float(v.y), static_cast<int>(v.z), static_cast<int>(v.w)};
}

}  // namespace attention
