// attention_query_gradient_wide_warpgroup: dQ of attention for heads of 256 on Hopper's products of warpgroups. sm_90a
// q (times scale * log2 e), k, v, dY as attention_pack leaves them with SQUARES, and its statistics of the rows; dQ [T, N, H] f32
// S = q k, dP = dY v, P = 2^(S - lse), dS = P * (dP - D), dQ = scale dS k
// Each of two warpgroups has 64 packed query rows of one key head, with `paired` an early and a late tile of the sequence; a further warp fetches tiles of
// V and K. dS goes from the scores' registers straight into the product with K; one group's exponentials are taken while tensor cores have the other's products
// 6 N H (visible keys) FLOP; shared memory below, at most 227 KiB
// source: arXiv:2307.08691, arXiv:2407.08608, kernels.md 1.2
#include "attention_warpgroup.cuh"

using namespace attention;

using element = bfloat16;
constexpr int head_dim = 256, side = 64, groups = 2, threads = (groups + 1) * 128;
constexpr int tile_bytes = side * head_dim * 2;

using Scores = float[side / 8][4];
using Weights = u32[side / 16][4];
using Sums = float[head_dim / 8][4];

DEVICE u8* shared_at(int offset) { return dynamic_shared<u8, 1024>() + offset; }

// Q and dY of both groups, three tiles of V and K, their barriers and that of the rows.
struct Shared {
  static constexpr int stages = 3, tile_bytes = ::tile_bytes, bytes = (2 * groups + stages) * tile_bytes + (2 * stages + 1) * 8;
  DEVICE static u16* rows(int index) { return reinterpret_cast<u16*>(shared_at(index * tile_bytes)); }
  DEVICE static u8* tiles() { return shared_at(2 * groups * tile_bytes); }
  DEVICE static u64* barrier_at(int index) { return reinterpret_cast<u64*>(shared_at((2 * groups + stages) * tile_bytes)) + index; }
};
static_assert(Shared::bytes <= 227 * 1024, "more shared memory than any card has");

// dS of the thread's two rows, over the scores.
DEVICE void take_slopes(Scores& score, const Scores& slope, const Statistics (&rows)[2], int slot, bool whole) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int begin = rows[r].start - slot, end = rows[r].end - slot;
#pragma unroll
    for (int n = 0; n < side / 8; ++n)
      for (int i = 0; i < 2; ++i) {
        const int key = n * 8 + lane_index() % 4 * 2 + i;
        const float p = exp2_approx(score[n][2 * r + i] - rows[r].lse);
        score[n][2 * r + i] = whole || (key >= begin && key < end) ? p * (slope[n][2 * r + i] - rows[r].row_sum) : 0.0f;
      }
  }
}

// dQ. block x: 128 packed query rows, the last first; block y: key head.
KERNEL(threads, 1) attention_query_gradient_wide_warpgroup(const element* q, const element* k, const element* v, const element* dy, const uint4* statistics,
                                                           const Sequence* sequences, int sequence_count, float scale, int paired, float* dq,
                                                           int accumulate, int heads, int key_heads, int key_blocks) {
  const int block = grid_x() - 1 - block_x(), heads_each = heads / key_heads;
  const Sequence& sequence = sequence_at(sequences, sequence_count, block);
  const int count = sequence.row_count * heads_each;
  const auto first_of = [&](int group) { return first_packed<groups>(sequence, block, group, count, paired); };
  const int group = uniform(warp_index()) / 4, warp = warp_index() % 4;
  const u64 query_row = (static_cast<u64>(block_y()) * grid_x() + sequence.query_block) * block_rows;
  statistics += query_row;

  Seen seen = {{range_of(0, 0), range_of(0, 0)}, {0, 0x7fffffff}};
  for (int g = 0; g < groups; ++g)
    for (int i = lane_index(); i < side; i += 32) {
      const int row = first_of(g) + i;
      const Statistics of = statistics_of(statistics, row);
      seen.groups[g] = join(seen.groups[g], range_of(of.start, of.end));
      if (g == group && row < count) seen.all = {of.start > seen.all.begin ? of.start : seen.all.begin, of.end < seen.all.end ? of.end : seen.all.end};
    }
  seen = over_warp(seen);
  const Tiles tiles = tiles_of<side>(seen.groups[0], seen.groups[1]);

  const shared_place rows_full = place_of(Shared::barrier_at(2 * Shared::stages));
  if (thread_index() == 0) {
    for (int i = 0; i < Shared::stages; ++i) barrier_start(place_of(Shared::barrier_at(i)), 1), barrier_start(place_of(Shared::barrier_at(Shared::stages + i)), groups * 4);
    barrier_start(rows_full, 1);
    barriers_started();
  }
  sync_block();

  // The tiles pass by as V_0, K_0, V_1, K_1 ..
  Ring<Shared> ring;
  if (group == groups) {
    give_registers<24>();
    if (warp > 0 || tiles.begin >= tiles.end) return;
    if (lane_index() == 0) {
      barrier_expect(rows_full, 2 * groups * tile_bytes);
      for (int g = 0; g < groups; ++g) {
        const u64 at = (query_row + first_of(g)) * head_dim;
        copy_bulk(place_of(Shared::rows(2 * g)), q + at, tile_bytes, rows_full);
        copy_bulk(place_of(Shared::rows(2 * g + 1)), dy + at, tile_bytes, rows_full);
      }
    }
    const u64 first_slot = (static_cast<u64>(block_y()) * key_blocks + sequence.key_block) * block_rows;
    for (int at = tiles.begin; at < tiles.end; at = tiles.after(at)) {
      const u64 from = (first_slot + at * side) * head_dim;
      ring.send(v + from);
      ring.send(k + from);
    }
    return;
  }

  take_registers<240>();
  Sums sums = {};
  const int row = warp * 16 + lane_index() / 4;
  // What decides about products is visibly the same in the whole warp: where threads might part, the compiler would wait for each product.
  const Range mine = {uniform(group > 0 ? seen.groups[1].begin : seen.groups[0].begin), uniform(group > 0 ? seen.groups[1].end : seen.groups[0].end)};
  const int tile_count = tiles.begin < tiles.end ? tiles.before(tiles.end - 1) + 1 : 0;
  if (tile_count > 0) barrier_wait(rows_full, 0);
  if (mine.begin >= mine.end) {
    ring.skip(2 * tile_count);
  } else {
    const Statistics rows[2] = {statistics_of(statistics, first_of(group) + row), statistics_of(statistics, first_of(group) + row + 8)};
    const u64 queries = matrix_descriptor(place_of(Shared::rows(2 * group)), eight_rows);
    const u64 slopes = matrix_descriptor(place_of(Shared::rows(2 * group + 1)), eight_rows);
    const int first = mine.begin / side, last = (mine.end - 1) / side, place = uniform(tiles.before(first));
    const int others = uniform(tile_count - 1 - tiles.before(last)), last_slot = last * side;
    const int hidden_before = uniform(seen.all.begin), hidden_from = uniform(seen.all.end) - side;
    int slot = first * side;
    Scores slope, score;
    Weights weights;
    ring.skip(2 * place);
    ring.wait();
    warpgroup_fence(slope);
    ask_scores(slope, slopes, ring.tile());
    shared_place value_read = ring.empty();
    ring.advance();
    ring.wait();
    warpgroup_fence(score);
    ask_scores(score, queries, ring.tile());
    warpgroup_wait<0>();
    warpgroup_hold(slope);
    warpgroup_hold(score);
    barrier_arrive(value_read);
    for (;;) {
      take_slopes(score, slope, rows, slot, slot >= hidden_before && slot <= hidden_from);
      round_weights(weights, score);
      warpgroup_fence(sums);
      ask_sums(sums, weights, ring.tile());
      const shared_place key_read = ring.empty();
      ring.advance();
      if (slot == last_slot) {
        warpgroup_wait<0>();
        warpgroup_hold(sums);
        barrier_arrive(key_read);
        break;
      }
      ring.wait();
      warpgroup_fence(slope);
      ask_scores(slope, slopes, ring.tile());
      value_read = ring.empty();
      ring.advance();
      // S waits for the sums: with all three under way registers would not suffice.
      warpgroup_wait<1>();
      warpgroup_hold(sums);
      barrier_arrive(key_read);
      ring.wait();
      warpgroup_fence(score);
      ask_scores(score, queries, ring.tile());
      warpgroup_wait<0>();
      warpgroup_hold(slope);
      warpgroup_hold(score);
      barrier_arrive(value_read);
      slot += side;
    }
    ring.skip(2 * others);
  }

  // Looked up again: the loop needs every register.
  const Sequence& written = sequence_at(sequences, sequence_count, block);
  const int rows = written.row_count * heads_each, first = first_packed<groups>(written, block, group, rows, paired);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int at = first + row + 8 * r;
    if (at >= rows) continue;
    const u64 index = static_cast<u64>(written.first_row + at / heads_each) * heads + block_y() * heads_each + at % heads_each;
    put_row(dq + index * head_dim, sums, r, scale, accumulate != 0);
  }
}
