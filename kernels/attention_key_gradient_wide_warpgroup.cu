// attention_key_gradient_wide_warpgroup: dK and dV of attention for heads of 256 on Hopper's products of warpgroups. sm_90a
// q (times scale * log2 e), k, v, dY as attention_pack leaves them with SQUARES, and its statistics of the rows; dK, dV [T, K, H] f32
// S = k q, dP = v dY, P = 2^(S - lse), dS = P * (dP - D), dK = ln 2 dS q, dV = P dY
// A block's 64 slots stay, 64 packed queries at a time pass by, sent by a warp of its own. One warpgroup computes P and dV, another dS and dK; P goes from
// thread to thread in f32 through shared memory, P and dS from the scores' registers straight into the sums
// 8 N H (visible keys) FLOP; shared memory below, at most 227 KiB
// source: arXiv:2307.08691, arXiv:2407.08608, kernels.md 1.2
#include "attention_warpgroup.cuh"

using namespace attention;

using element = bfloat16;
constexpr int head_dim = 256, side = 64, groups = 2, group_threads = 128, threads = (groups + 1) * group_threads;
constexpr int tile_bytes = side * head_dim * 2;

using Scores = float[side / 8][4];
using Weights = u32[side / 16][4];
using Sums = float[head_dim / 8][4];

DEVICE u8* shared_at(int offset) { return dynamic_shared<u8, 1024>() + offset; }

// K and V, two stages of Q and dY, P in f32, the statistics of a stage's queries, the barriers, and what is to be known of a stage.
struct Shared {
  static constexpr int stages = 2, exchange_bytes = side * side * 4, statistics_bytes = side * 16, barriers = 3 * stages + 3;
  static constexpr int bytes = (2 + 2 * stages) * tile_bytes + exchange_bytes + stages * statistics_bytes + barriers * 8 + stages * 4;
  DEVICE static u8* rows(int index) { return shared_at(index * tile_bytes); }
  DEVICE static u8* tile(int stage, int second) { return shared_at((2 + 2 * stage + second) * tile_bytes); }
  DEVICE static uint4* exchange() { return reinterpret_cast<uint4*>(shared_at((2 + 2 * stages) * tile_bytes)); }
  DEVICE static uint4* statistics(int stage) { return exchange() + (exchange_bytes + stage * statistics_bytes) / 16; }
  DEVICE static shared_place barrier_at(int index) { return place_of(statistics(stages)) + index * 8; }
  // A stage's Q with its statistics, its dY, and that both groups are done with it; then P for the other group, P taken, and the rows.
  DEVICE static shared_place full(int stage, int second) { return barrier_at(2 * stage + second); }
  DEVICE static shared_place empty(int stage) { return barrier_at(2 * stages + stage); }
  DEVICE static shared_place ready() { return barrier_at(3 * stages); }
  DEVICE static shared_place taken() { return barrier_at(3 * stages + 1); }
  DEVICE static shared_place rows_full() { return barrier_at(3 * stages + 2); }
  DEVICE static int* about(int stage) { return reinterpret_cast<int*>(statistics(stages)) + 2 * barriers + stage; }
};
static_assert(Shared::bytes <= 227 * 1024, "more shared memory than any card has");

// What is known of 64 packed queries: whether some of them see some of the slots, and whether all see all.
constexpr int no_more = 0, in_part = 1, whole = 2;
DEVICE int about_queries(const uint4* rows, int row, int first_slot) {
  bool some = false, every = true;
  for (int i = lane_index(); i < side; i += 32) {
    const Statistics mine = statistics_of(rows, row + i);
    some |= mine.start < mine.end && mine.start < first_slot + side && mine.end > first_slot;
    every &= mine.start <= first_slot && mine.end >= first_slot + side;
  }
  return !ptx::any(some) ? no_more : ptx::all(every) ? whole : in_part;
}

// P over the scores, whose columns are queries.
DEVICE void take_weights(Scores& score, const uint4* columns, int slot, bool all_seen) {
#pragma unroll
  for (int n = 0; n < side / 8; ++n)
    for (int i = 0; i < 2; ++i) {
      const Statistics of = statistics_of(columns, n * 8 + lane_index() % 4 * 2 + i);
      for (int r = 0; r < 2; ++r) {
        const float p = exp2_approx(score[n][2 * r + i] - of.lse);
        score[n][2 * r + i] = all_seen || (slot + 8 * r >= of.start && slot + 8 * r < of.end) ? p : 0.0f;
      }
    }
}

// dK and dV (either may be null). block x: 64 slots; block y: key head. No sequence has a past here.
KERNEL(threads, 1) attention_key_gradient_wide_warpgroup(const element* q, const element* k, const element* v, const element* dy, const uint4* statistics,
                                                         const Sequence* sequences, int sequence_count, float* dk, float* dv, int accumulate_dk,
                                                         int accumulate_dv, int heads, int key_heads, int query_blocks) {
  const int packed = block_x() * side, key_blocks = grid_x() * side / block_rows;
  const Sequence& sequence = sequence_at(sequences, sequence_count, packed / block_rows, &Sequence::key_block);
  const int first = packed - sequence.key_block * block_rows, count = sequence.row_count, end = count * (heads / key_heads), first_row = sequence.first_row;
  if (first >= count) return;
  const int group = uniform(warp_index()) / 4, warp = warp_index() % 4;

  if (thread_index() == 0) {
    // Who copies arrives at Q's barrier once for the bytes and once for what it has written itself.
    for (int i = 0; i < Shared::stages; ++i)
      barrier_start(Shared::full(i, 0), 2), barrier_start(Shared::full(i, 1), 1), barrier_start(Shared::empty(i), groups * 4);
    barrier_start(Shared::ready(), 4), barrier_start(Shared::taken(), 4), barrier_start(Shared::rows_full(), 1);
    barriers_started();
  }
  sync_block();

  int stage = 0, parity = 0;
  const auto advance = [&] {
    if (++stage == Shared::stages) stage = 0, parity ^= 1;
  };
  if (group == groups) {
    give_registers<24>();
    if (warp > 0) return;
    const u64 query_row = (static_cast<u64>(block_y()) * query_blocks + sequence.query_block) * block_rows;
    const u64 key_row = (static_cast<u64>(block_y()) * key_blocks + sequence.key_block) * block_rows + first;
    if (lane_index() == 0) {
      barrier_expect(Shared::rows_full(), 2 * tile_bytes);
      copy_bulk(place_of(Shared::rows(0)), k + key_row * head_dim, tile_bytes, Shared::rows_full());
      copy_bulk(place_of(Shared::rows(1)), v + key_row * head_dim, tile_bytes, Shared::rows_full());
    }
    for (int tile = 0;; tile += side) {
      int about = no_more;
      while (tile < end && (about = about_queries(statistics + query_row, tile, first)) == no_more) tile += side;
      barrier_wait(Shared::empty(stage), parity ^ 1);
      const int bytes = about == no_more ? 0 : tile_bytes;
      if (lane_index() == 0) {
        *Shared::about(stage) = about;
        barrier_expect(Shared::full(stage, 0), about == no_more ? 0 : bytes + Shared::statistics_bytes);
        if (bytes > 0) {
          const u64 at = query_row + tile;
          copy_bulk(place_of(Shared::statistics(stage)), statistics + at, Shared::statistics_bytes, Shared::full(stage, 0));
          copy_bulk(place_of(Shared::tile(stage, 0)), q + at * head_dim, bytes, Shared::full(stage, 0));
          barrier_expect(Shared::full(stage, 1), bytes);
          copy_bulk(place_of(Shared::tile(stage, 1)), dy + at * head_dim, bytes, Shared::full(stage, 1));
        }
      }
      barrier_arrive(Shared::full(stage, 0));
      if (about == no_more) return;
      advance();
    }
  }

  take_registers<240>();
  // The first group has S of K and Q, and P times dY; the second dP of V and dY, and dS times Q.
  const bool slopes = group == 1;
  Sums sums = {};
  Scores score;
  Weights weights;
  const int row = warp * 16 + lane_index() / 4;
  const u64 rows = matrix_descriptor(place_of(Shared::rows(0)) + group * tile_bytes, eight_rows);
  uint4* const exchange = Shared::exchange() + thread_index() % group_threads;
  const auto first_tile = [&] { return place_of(Shared::tile(0, 0)) + (2 * stage + group) * tile_bytes; };
  barrier_wait(Shared::rows_full(), 0);
  barrier_wait(Shared::full(0, 0), 0);
  int about = uniform(*Shared::about(0)), turn = 0;
  if (about != no_more) {
    barrier_wait(Shared::full(0, 1), 0);
    warpgroup_fence(score);
    ask_scores(score, rows, first_tile());
    warpgroup_wait<0>();
    warpgroup_hold(score);
  }
  while (about != no_more) {
    const uint4* const columns = Shared::statistics(stage);
    if (slopes) {
#pragma unroll
      for (int n = 0; n < side / 8; ++n)
        for (int i = 0; i < 2; ++i) {
          const float row_sum = statistics_of(columns, n * 8 + lane_index() % 4 * 2 + i).row_sum;
          for (int r = 0; r < 2; ++r) score[n][2 * r + i] -= row_sum;
        }
      barrier_wait(Shared::ready(), turn);
#pragma unroll
      for (int n = 0; n < side / 8; ++n) {
        const uint4 p = load16(exchange + n * group_threads);
        score[n][0] *= bits_float(p.x), score[n][1] *= bits_float(p.y), score[n][2] *= bits_float(p.z), score[n][3] *= bits_float(p.w);
      }
      barrier_arrive(Shared::taken());
    } else {
      take_weights(score, columns, first + row, about == whole);
      barrier_wait(Shared::taken(), turn ^ 1);
#pragma unroll
      for (int n = 0; n < side / 8; ++n)
        store16(exchange + n * group_threads, {float_bits(score[n][0]), float_bits(score[n][1]), float_bits(score[n][2]), float_bits(score[n][3])});
      barrier_arrive(Shared::ready());
    }
    turn ^= 1;
    round_weights(weights, score);
    warpgroup_fence(sums);
    ask_sums(sums, weights, first_tile() + (slopes ? -tile_bytes : tile_bytes));
    const shared_place read = Shared::empty(stage);
    advance();
    barrier_wait(Shared::full(stage, 0), parity);
    about = uniform(*Shared::about(stage));
    if (about == no_more) {
      warpgroup_wait<0>();
      warpgroup_hold(sums);
      barrier_arrive(read);
      break;
    }
    barrier_wait(Shared::full(stage, 1), parity);
    warpgroup_fence(score);
    ask_scores(score, rows, first_tile());
    warpgroup_wait<1>();
    warpgroup_hold(sums);
    barrier_arrive(read);
    warpgroup_wait<0>();
    warpgroup_hold(score);
  }

  float* const to = slopes ? dk : dv;
  if (to == nullptr) return;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int at = first + row + 8 * r;
    if (at >= count) continue;
    put_row(to + (static_cast<u64>(first_row + at) * key_heads + block_y()) * head_dim, sums, r, slopes ? ln_2 : 1.0f,
            (slopes ? accumulate_dk : accumulate_dv) != 0);
  }
}
