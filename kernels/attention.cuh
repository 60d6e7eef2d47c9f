// What the kernels of attention share: the table of sequences as AttentionTable.cs uploads it, intervals of slots, and the order of rows in a tile.
#pragma once
#include "ptx.cuh"

namespace attention {

using namespace ptx;

constexpr int block_rows = 128;  // packed rows that a sequence's share of the tiles is rounded up to
constexpr float ln_2 = 0.6931471805599453f;
DEVICE float minus_infinity() { return bits_float(0xff800000u); }

struct Sequence {
  u64 past_keys, past_values, pages;
  int first_row, row_count, past_start, past_count, past_row, capacity, query_block, key_block, split_keys, decode_row;
};

// The sequence that has the block, counted in blocks of query rows.
DEVICE const Sequence& sequence_at(const Sequence* sequences, int count, int block, int Sequence::*first = &Sequence::query_block) {
  int low = 0;
  for (int high = count; high - low > 1;) {
    const int middle = (low + high) / 2;
    if (sequences[middle].*first <= block) low = middle;
    else high = middle;
  }
  return sequences[low];
}

// Slots, counted from the oldest of the sequence here.
struct Range { int begin, end; };
DEVICE Range join(Range a, Range b) { return {a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end}; }
DEVICE Range range_of(int start, int end) { return start < end ? Range{start, end} : Range{0x7fffffff, 0}; }

// The tiles of `keys` slots that at least one of two groups of rows sees, in ascending order: two runs where the groups' slots are apart.
struct Tiles {
  int begin, gap_begin, gap_end, end;
  DEVICE int after(int tile) const { return tile + 1 == gap_begin ? gap_end : tile + 1; }
  // How many come before a tile.
  DEVICE int before(int tile) const { return tile - begin - (tile >= gap_end ? gap_end - gap_begin : 0); }
};
template <int keys> DEVICE Tiles tiles_of(const Range& a, const Range& b) {
  const int a_begin = a.begin / keys, b_begin = b.begin / keys, a_end = (a.end + keys - 1) / keys, b_end = (b.end + keys - 1) / keys;
  const bool in_order = a_begin <= b_begin;
  const int low_end = in_order ? a_end : b_end, high_begin = in_order ? b_begin : a_begin;
  return {in_order ? a_begin : b_begin, low_end, high_begin > low_end ? high_begin : low_end, a_end > b_end ? a_end : b_end};
}

// A group's first packed row within its sequence, which has `count`; blocks of `groups` groups of 64 rows. `paired`: the groups have an early and a late
// tile, so that causal blocks are equally long.
template <int groups> DEVICE int first_packed(const Sequence& sequence, int block, int group, int count, int paired) {
  const int place = block - sequence.query_block * (block_rows / 64 / groups), last_tile = (count + block_rows - 1) / block_rows * 2 - 1;
  if (groups == 1) return place * 64;
  return (paired == 0 ? place * 2 + group : group == 0 ? last_tile - place : place) * 64;
}

// Where the sixteen bytes `chunk` of a row lie among 16-bit rows of 256 that products of warpgroups read: eight rows are four squares of 64 columns one
// after the other, each as tile_offset<64> has it. Any multiple of eight rows is one piece of memory.
DEVICE int square_offset(int row, int chunk) { return row / 8 * 2048 + chunk / 8 * 512 + tile_offset<64>(row % 8, chunk % 8); }

}  // namespace attention
