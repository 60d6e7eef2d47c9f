// attention_wide_warpgroup: the forward pass of attention for heads of 256 on Hopper's products of warpgroups. sm_90a
// q [T, N, H] f32, rounded here; k, v as attention_pack leaves them with SQUARES; y [T, N, H] f32; lse [T, N] f32 natural logarithm
// a warpgroup has 64 packed query rows of one key head, all of H; P goes from the scores' registers straight into the product with V. While the tensor
// cores add P V of one tile, and do the other warpgroup's products, the threads take the exponentials of the next. A further warp fetches tiles of K and V
// `paired`: the groups have an early and a late tile of a sequence, so that causal blocks are equally long
// 4 N H (visible keys) FLOP; shared memory below, at most 227 KiB
// defines: QUERIES (64 or 128), KEYS (64 or 128), STAGES (tiles of K or V in shared memory)
// source: arXiv:2307.08691, arXiv:2407.08608, kernels.md 1.0 - 1.2
#include "attention_warpgroup.cuh"

using namespace attention;

#ifndef QUERIES
#define QUERIES 128
#endif
#ifndef KEYS
#define KEYS 64
#endif
#ifndef STAGES
#define STAGES 4
#endif

using element = bfloat16;
constexpr int head_dim = 256, chunks = head_dim / 8, keys = KEYS, stages = STAGES, group_queries = 64, groups = QUERIES / group_queries;
constexpr int group_threads = 128, threads = (groups + 1) * group_threads, parts = block_rows / QUERIES;
constexpr int query_bytes = group_queries * head_dim * 2, tile_bytes = keys * head_dim * 2;
constexpr int shared_bytes = groups * query_bytes + stages * tile_bytes + stages * 16 + QUERIES * 8;
static_assert(shared_bytes <= 227 * 1024, "more shared memory than any card has");
// A row's sums stay relative to an older maximum until a score exceeds it by this power of two: P is at most 256, and sums are rarely scaled.
constexpr float most_growth = 8.0f;

// Shared memory: Q of the groups, the tiles, their barriers, then the intervals of the rows.
DEVICE u8* shared_at(int offset) { return dynamic_shared<u8, 1024>() + offset; }
DEVICE u16* queries_of(int group) { return reinterpret_cast<u16*>(shared_at(group * query_bytes)); }
DEVICE u64* barrier_at(int index) { return reinterpret_cast<u64*>(shared_at(groups * query_bytes + stages * tile_bytes)) + index; }
DEVICE int* starts_of(int group) { return reinterpret_cast<int*>(barrier_at(2 * stages)) + group * group_queries * 2; }
DEVICE int* ends_of(int group) { return starts_of(group) + group_queries; }

// The tiles pass by as K_0, K_1, V_0, K_2, V_1 .. : the order in which they are read.
struct Shared {
  static constexpr int stages = STAGES, tile_bytes = KEYS * 256 * 2;
  DEVICE static u8* tiles() { return shared_at(groups * query_bytes); }
  DEVICE static u64* barrier_at(int index) { return ::barrier_at(index); }
};

using Scores = float[keys / 8][4];
using Weights = u32[keys / 16][4];
using Sums = float[head_dim / 8][4];
// Of the thread's two rows, eight apart.
using Measures = float[2];

DEVICE void hide(Scores& score, int group, int row, int slot) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int begin = starts_of(group)[row + 8 * r] - slot, end = ends_of(group)[row + 8 * r] - slot;
#pragma unroll
    for (int n = 0; n < keys / 8; ++n)
      for (int i = 0; i < 2; ++i) {
        const int key = n * 8 + lane_index() % 4 * 2 + i;
        if (key < begin || key >= end) score[n][2 * r + i] = minus_infinity();
      }
  }
}

// Scores become P relative to `most`; `factor` is for what was summed before.
DEVICE void take(Scores& score, Measures& most, Measures& sum, Measures& factor) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float largest = minus_infinity();
#pragma unroll
    for (int n = 0; n < keys / 8; ++n) largest = fmaxf(largest, fmaxf(score[n][2 * r], score[n][2 * r + 1]));
    largest = fmaxf(largest, shuffle_xor(largest, 1));
    largest = fmaxf(largest, shuffle_xor(largest, 2));
    const bool grown = largest > most[r] + most_growth;
    factor[r] = grown ? exp2_approx(most[r] - largest) : 1.0f;
    most[r] = grown ? largest : most[r];
    // While everything is hidden the maximum is -infinity; zero takes its place, as -infinity - -infinity would be NaN.
    const float shift = most[r] == minus_infinity() ? 0.0f : most[r];
    float added = 0.0f;
#pragma unroll
    for (int n = 0; n < keys / 8; ++n)
      for (int i = 0; i < 2; ++i) added += score[n][2 * r + i] = exp2_approx(score[n][2 * r + i] - shift);
    sum[r] = fused_multiply_add(sum[r], factor[r], added);
  }
}

DEVICE void scale_rows(Sums& sums, const Measures& factor) {
  if (!ptx::any(factor[0] != 1.0f || factor[1] != 1.0f)) return;
#pragma unroll
  for (int n = 0; n < head_dim / 8; ++n)
    for (int i = 0; i < 4; ++i) sums[n][i] *= factor[i / 2];
}

// block x: tiles of packed query rows, the last first, because those usually see most; block y: key head. factor: scale * log2 e.
KERNEL(threads, 1) attention_forward_wide_warpgroup(const float* q, const element* k, const element* v, const Sequence* sequences, int sequence_count,
                                                    const int* key_start, const int* key_end, float factor, int paired, float* y, float* lse, int heads,
                                                    int key_heads, int key_blocks) {
  const int block = grid_x() - 1 - block_x(), heads_each = heads / key_heads;
  const Sequence& sequence = sequence_at(sequences, sequence_count, block / parts);
  const int count = sequence.row_count * heads_each, first_row = sequence.first_row;
  const auto first_of = [&](int group) { return first_packed<groups>(sequence, block, group, count, paired); };
  if (groups == 1 && first_of(0) >= count) return;
  const int group = uniform(warp_index()) / 4, warp = warp_index() % 4;

  Seen seen = {{range_of(0, 0), range_of(0, 0)}, {0, 0x7fffffff}};
  for (int g = 0; g < groups; ++g)
    for (int i = lane_index(); i < group_queries; i += 32) {
      const int row = first_of(g) + i, token = first_row + row / heads_each;
      const Range mine = row < count ? range_of(key_start[token] - sequence.past_start, key_end[token] - sequence.past_start) : range_of(0, 0);
      seen.groups[g] = join(seen.groups[g], mine);
      if (g != group) continue;
      if (row < count) seen.all = {mine.begin > seen.all.begin ? mine.begin : seen.all.begin, mine.end < seen.all.end ? mine.end : seen.all.end};
      if (warp == 0) starts_of(g)[i] = mine.begin, ends_of(g)[i] = mine.end;
    }
  seen = over_warp(seen);
  const Tiles tiles = tiles_of<keys>(seen.groups[0], seen.groups[1]);

  if (thread_index() == 0) {
    for (int i = 0; i < stages; ++i) barrier_start(place_of(barrier_at(i)), 1), barrier_start(place_of(barrier_at(stages + i)), groups * 4);
    barriers_started();
  }
  sync_block();

  Ring<Shared> ring;
  if (group == groups) {
    if constexpr (groups > 1) give_registers<24>();
    if (warp > 0) return;
    const u64 first_slot = (static_cast<u64>(block_y()) * key_blocks + sequence.key_block) * block_rows;
    const auto send = [&](const element* from, int tile) { ring.send(from + (first_slot + tile * keys) * head_dim); };
    int older = tiles.begin;
    if (older >= tiles.end) return;
    send(k, older);
    for (int at = tiles.after(older); at < tiles.end; older = at, at = tiles.after(at)) send(k, at), send(v, older);
    send(v, older);
    return;
  }

  if constexpr (groups > 1) take_registers<240>();
  // Rows past the last repeat it: nobody reads what becomes of them. Many loads are under way at a time.
  const bool vectors = vectors_allowed(4, head_dim, q);
  constexpr int batch = 4, step_rows = group_threads / chunks;
  for (int from = 0; from < group_queries && tiles.begin < tiles.end; from += batch * step_rows) {
    Floats<8> values[batch];
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int asked = first_of(group) + from + i * step_rows + warp, row = asked < count ? asked : count - 1;
      const float* source = q + (static_cast<u64>(first_row + row / heads_each) * heads + block_y() * heads_each + row % heads_each) * head_dim + lane_index() * 8;
      values[i] = load_eight(source, vectors);
    }
#pragma unroll
    for (int i = 0; i < batch; ++i)
      store16(queries_of(group) + square_offset(from + i * step_rows + warp, lane_index()), round_eight<element>(values[i], factor));
  }
  fence_for_products();
  sync_named(1 + group, group_threads);

  Sums sums = {};
  Measures most = {minus_infinity(), minus_infinity()}, sum = {}, scaled;
  const int row = warp * 16 + lane_index() / 4;
  // What decides about products is visibly the same in the whole warp: where threads might part, the compiler would wait for each product.
  const Range mine = {uniform(group > 0 ? seen.groups[1].begin : seen.groups[0].begin), uniform(group > 0 ? seen.groups[1].end : seen.groups[0].end)};
  const int tile_count = tiles.begin < tiles.end ? tiles.before(tiles.end - 1) + 1 : 0;
  if (mine.begin >= mine.end) {
    ring.skip(2 * tile_count);
  } else {
    Scores score;
    Weights weights;
    const u64 queries = matrix_descriptor(place_of(queries_of(group)), eight_rows);
    const int first = mine.begin / keys, last = (mine.end - 1) / keys, place = uniform(tiles.before(first));
    const int others = uniform(tile_count - 1 - tiles.before(last)), last_slot = last * keys;
    const int hidden_before = uniform(seen.all.begin), hidden_from = uniform(seen.all.end) - keys;
    int slot = first * keys;
    ring.skip(place == 0 ? 0 : 2 * place - 1);
    ring.wait();
    warpgroup_fence(score);
    ask_scores(score, queries, ring.tile());
    warpgroup_wait<0>();
    warpgroup_hold(score);
    barrier_arrive(ring.empty());
    ring.advance();
    ring.skip(place == 0 ? 0 : 1);
    if (slot < hidden_before || slot > hidden_from) hide(score, group, row, slot);
    take(score, most, sum, scaled);
    round_weights(weights, score);
    ring.wait();
    for (; slot < last_slot;) {
      warpgroup_hold(sums);
      warpgroup_fence(score);
      ask_scores(score, queries, ring.tile());
      const shared_place key_read = ring.empty();
      ring.advance();
      ring.wait();
      warpgroup_fence(sums);
      ask_sums(sums, weights, ring.tile());
      warpgroup_wait<1>();
      warpgroup_hold(score);
      barrier_arrive(key_read);
      slot += keys;
      if (slot < hidden_before || slot > hidden_from) hide(score, group, row, slot);
      take(score, most, sum, scaled);
      // The next tile is waited for here because the compiler moves nothing across that: else it would take the exponentials after the product.
      warpgroup_hold(score);
      const shared_place value_read = ring.empty();
      ring.advance();
      ring.wait();
      warpgroup_wait<0>();
      warpgroup_hold(sums);
      barrier_arrive(value_read);
      round_weights(weights, score);
      scale_rows(sums, scaled);
    }
    ring.skip(others > 0 ? 1 : 0);
    ring.wait();
    warpgroup_fence(sums);
    ask_sums(sums, weights, ring.tile());
    warpgroup_wait<0>();
    warpgroup_hold(sums);
    barrier_arrive(ring.empty());
    ring.advance();
    ring.skip(2 * others - 1);
  }

  // Looked up again: the loop needs every register.
  const Sequence& written = sequence_at(sequences, sequence_count, block / parts);
  const int rows = written.row_count * heads_each, first = first_packed<groups>(written, block, group, rows, paired);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float total = sum[r];
    total += shuffle_xor(total, 1);
    total += shuffle_xor(total, 2);
    const int at = first + row + 8 * r;
    if (at >= rows) continue;
    const float inverse = total == 0.0f ? 0.0f : 1.0f / total;
    const u64 index = static_cast<u64>(written.first_row + at / heads_each) * heads + block_y() * heads_each + at % heads_each;
    float* out = y + index * head_dim + lane_index() % 4 * 2;
#pragma unroll
    for (int n = 0; n < head_dim / 8; ++n) store8(out + n * 8, {float_bits(sums[n][2 * r] * inverse), float_bits(sums[n][2 * r + 1] * inverse)});
    if (lse != nullptr && lane_index() % 4 == 0) lse[index] = total == 0.0f ? minus_infinity() : (most[r] + log2f(total)) * ln_2;
  }
}
