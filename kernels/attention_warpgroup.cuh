// What attention for heads of 256 through products of warpgroups shares: scores, sums, and the ring in which a warp sends tiles to the groups. sm_90a
// Tiles are rows of 256 in 16 bits, as square_offset has them.
#pragma once
#include "attention_wide.cuh"
#include "bulk_copy.cuh"
#include "warpgroup.cuh"

namespace attention {

// Of square_offset, in bytes: eight rows to the next, 64 columns to the next.
constexpr int eight_rows = 4096, square = 1024;

// score = rows (a descriptor, 64 of them) times the rows of a tile, eight for every block; finished at a wait.
template <int blocks> DEVICE void ask_scores(float (&score)[blocks][4], u64 rows, shared_place tile) {
  const u64 from = matrix_descriptor(tile, eight_rows);
#pragma unroll
  for (int step = 0; step < 256 / 16; ++step) {
    const int at = (step / 4 * square + step % 4 * 32) / 16;
    warpgroup_multiply<false, false>(score, rows + at, from + at, step > 0);
  }
  warpgroup_commit();
}

// sums += weights times the tile, of which every step takes sixteen rows.
template <int steps> DEVICE void ask_sums(float (&sums)[32][4], const u32 (&weights)[steps][4], shared_place tile) {
  const u64 from = matrix_descriptor(tile, eight_rows, square);
#pragma unroll
  for (int step = 0; step < steps; ++step) warpgroup_multiply<true>(sums, weights[step], from + step * (2 * eight_rows / 16), 1);
  warpgroup_commit();
}

// The scores' registers are what a product takes from the left.
template <int blocks> DEVICE void round_weights(u32 (&weights)[blocks / 2][4], const float (&score)[blocks][4]) {
#pragma unroll
  for (int step = 0; step < blocks / 2; ++step)
    for (int i = 0; i < 4; ++i) weights[step][i] = pack<bfloat16>(score[2 * step + i / 2][i % 2 * 2], score[2 * step + i / 2][i % 2 * 2 + 1]);
}

// Tiles in shared memory, in the order in which they are read; of each a barrier for its arrival, and behind those one for its release by all groups.
// Shared: stages, tile_bytes, tiles() and barrier_at(index).
template <typename Shared> struct Ring {
  int stage = 0, parity = 0;
  DEVICE shared_place tile() const { return place_of(Shared::tiles()) + stage * Shared::tile_bytes; }
  DEVICE shared_place full() const { return place_of(Shared::barrier_at(0)) + stage * 8; }
  DEVICE shared_place empty() const { return place_of(Shared::barrier_at(Shared::stages)) + stage * 8; }
  DEVICE void advance() {
    if (++stage == Shared::stages) stage = 0, parity ^= 1;
  }
  DEVICE void wait() const { barrier_wait(full(), parity); }
  // Tiles that the group does not see.
  DEVICE void skip(int count) {
    for (; count > 0; --count) {
      wait();
      barrier_arrive(empty());
      advance();
    }
  }
  // By the warp that copies: once all groups have released the place.
  DEVICE void send(const void* from) {
    barrier_wait(empty(), parity ^ 1);
    if (lane_index() == 0) {
      barrier_expect(full(), Shared::tile_bytes);
      copy_bulk(tile(), from, Shared::tile_bytes, full());
    }
    advance();
  }
};

// A row of 64 by 256 sums, the thread's share: it has two, eight apart.
DEVICE void put_row(float* to, const float (&sums)[32][4], int r, float factor, bool accumulate) {
  to += lane_index() % 4 * 2;
#pragma unroll
  for (int n = 0; n < 32; ++n) {
    float low = sums[n][2 * r] * factor, high = sums[n][2 * r + 1] * factor;
    if (accumulate) {
      const uint2 old = load8(to + n * 8);
      low += bits_float(old.x), high += bits_float(old.y);
    }
    store8(to + n * 8, {float_bits(low), float_bits(high)});
  }
}

// What at least one row of each of two groups sees, and what all rows of one see; in slots from the oldest of the sequence.
struct Seen { Range groups[2], all; };
DEVICE Seen over_warp(Seen seen) {
  for (int step = 16; step > 0; step >>= 1) {
    for (int g = 0; g < 2; ++g) seen.groups[g] = join(seen.groups[g], {shuffle_xor(seen.groups[g].begin, step), shuffle_xor(seen.groups[g].end, step)});
    const Range other = {shuffle_xor(seen.all.begin, step), shuffle_xor(seen.all.end, step)};
    seen.all = {other.begin > seen.all.begin ? other.begin : seen.all.begin, other.end < seen.all.end ? other.end : seen.all.end};
  }
  return seen;
}

}  // namespace attention
