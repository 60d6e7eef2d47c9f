// What the forward kernels for heads of 256 share: intervals of slots, the tiles that two groups of rows see, and the order of rows in a tile.
#pragma once
#include "attention.cuh"

namespace attention {

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
