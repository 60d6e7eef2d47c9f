// attention_wide_mma: the forward pass of attention on tensor cores for heads of 256, from sm_80 on
// q [T, N, H] f32, rounded here; k, v as attention_pack leaves them; y [T, N, H] f32; lse [T, N] f32 natural logarithm
// four warps are a group with 64 packed query rows of one key head. Scores: a warp has 32 rows and half of a tile's slots; P and the rows' maxima go
// through shared memory; sums: a warp has all 64 rows and 64 columns of H. With sixteen rows a warp, or 32 slots of 64, reading its fragments takes longer
// than its products. While V of a tile arrives its scores are computed, while K of the next arrives its P V is
// `paired`: the groups have an early and a late tile of a sequence, so that causal blocks are equally long
// 4 N H (visible keys) FLOP; shared memory below, at most 227 KiB
// defines: QUERIES (64 or 128), KEYS (128, or 64 where there is less shared memory)
// source: arXiv:2307.08691, kernels.md 1.0 - 1.2
#include "attention_wide.cuh"

using namespace attention;

#ifndef QUERIES
#define QUERIES 128
#endif
#ifndef KEYS
#define KEYS 128
#endif

using element = bfloat16;
constexpr int head_dim = 256, chunks = head_dim / 8, keys = KEYS, group_queries = 64, groups = QUERIES / group_queries;
constexpr int threads = QUERIES * 2, group_threads = 128, warp_keys = keys / 2, key_pairs = warp_keys / 16;
constexpr int tile_elements = keys * head_dim, weight_elements = group_queries * keys;
constexpr int shared_bytes = (QUERIES * head_dim + 2 * tile_elements + groups * weight_elements) * 2 + QUERIES * 6 * 4;
static_assert(shared_bytes <= 227 * 1024, "more shared memory than any card has");
// A row's sums stay relative to an older maximum until a score exceeds it by this power of two: P is at most 256, and sums are rarely scaled.
constexpr float most_growth = 8.0f;

// A lane's address within a tile: 32 bytes further is another bit of the chunk's number, 128 bytes further a constant.
template <int width> struct Place {
  shared_place tile;
  u32 offset;
  DEVICE Place(const u16* start, int row, int chunk) : tile(place_of(start)), offset(2 * tile_offset<width>(row, chunk)) {}
  DEVICE shared_place at(int step) const { return tile + (offset ^ step % 4 * 32) + step / 4 * 128; }
};

// Shared memory: Q of the groups, a tile of K, one of V, P of the groups, then six words of every row. Computed where it is needed: registers are scarce.
struct Group {
  int index, warp;  // of the group in the block, of the warp in the group
  DEVICE u16* queries() const { return dynamic_shared<u16>() + index * group_queries * head_dim; }
  DEVICE static u16* key_tile() { return dynamic_shared<u16>() + QUERIES * head_dim; }
  DEVICE static u16* value_tile() { return key_tile() + tile_elements; }
  DEVICE u16* weights() const { return value_tile() + tile_elements + index * weight_elements; }
  DEVICE u32* words(int kind) const {
    return reinterpret_cast<u32*>(value_tile() + tile_elements + groups * weight_elements) + (index * 6 + kind) * group_queries;
  }
  DEVICE float* maxima(int half) const { return reinterpret_cast<float*>(words(half)); }
  DEVICE float* factors() const { return reinterpret_cast<float*>(words(2)); }
  DEVICE float* most() const { return reinterpret_cast<float*>(words(3)); }  // what P is relative to
  DEVICE int* starts() const { return reinterpret_cast<int*>(words(4)); }
  DEVICE int* ends() const { return reinterpret_cast<int*>(words(5)); }
  DEVICE int row() const { return warp / 2 * 32 + lane_index() / 4; }                // the thread's rows are 8 apart, four of them
  DEVICE int column() const { return warp % 2 * warp_keys + lane_index() % 4 * 2; }  // of a tile's slots
  DEVICE void sync() const { sync_named(1 + index, group_threads); }
};

// sixteen rows by eight slots a piece
using Scores = float[2][2 * key_pairs][4];
using Sums = float[4][8][4];

constexpr int under_way = 3;  // fragments of K or V: one is multiplied, the next are read

// score = 32 query rows times the warp's half of the keys.
DEVICE void score_tile(Scores& score, const Group& group, const u16* tile) {
  const int lane = lane_index();
  const Place<head_dim> a_place(group.queries(), group.warp / 2 * 32 + lane % 16, lane / 16);
  const Place<head_dim> b_place(tile, group.warp % 2 * warp_keys + lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
  for (int m = 0; m < 2; ++m)
    for (int n = 0; n < 2 * key_pairs; ++n)
      for (int i = 0; i < 4; ++i) score[m][n][i] = 0.0f;
  constexpr int total = head_dim / 16 * key_pairs;
  u32 a[2][2][4], b[under_way][4];
  auto load_a = [&](int step, int m) { load_matrix<4>(a[step % 2][m], a_place.at(step) + m * 16 * head_dim * 2); };
  auto load_b = [&](int at) {
    const int step = at / key_pairs;
    if (at < total) load_matrix<4>(b[at % under_way], b_place.at(step) + at % key_pairs * 16 * head_dim * 2);
  };
  load_a(0, 0), load_a(0, 1);
#pragma unroll
  for (int at = 0; at + 1 < under_way; ++at) load_b(at);
#pragma unroll
  for (int at = 0; at < total; ++at) {
    const int step = at / key_pairs, n = at % key_pairs;
    load_b(at + under_way - 1);
    if (n < 2 && step + 1 < head_dim / 16) load_a(step + 1, n);
    const u32(&pair)[4] = b[at % under_way];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      mma_k16<element>(score[m][2 * n], a[step % 2][m], {pair[0], pair[1]});
      mma_k16<element>(score[m][2 * n + 1], a[step % 2][m], {pair[2], pair[3]});
    }
  }
}

// sums += P V, the warp's 64 columns.
DEVICE void add_values(Sums& sums, const Group& group, const u16* tile) {
  const int lane = lane_index();
  const Place<keys> a_place(group.weights(), lane % 16, lane / 16);
  const Place<head_dim> b_place(tile + group.warp * 64, lane % 16, lane / 16);
  constexpr int total = keys / 16 * 4;  // fragments of V, each of sixteen slots and sixteen columns
  u32 a[2][4][4], b[under_way][4];
  auto load_a = [&](int k, int m) { load_matrix<4>(a[k % 2][m], a_place.at(k) + m * 16 * keys * 2); };
  auto load_b = [&](int at) {
    if (at < total) load_matrix<4, true>(b[at % under_way], b_place.at(at % 4) + at / 4 * 16 * head_dim * 2);
  };
#pragma unroll
  for (int m = 0; m < 4; ++m) load_a(0, m);
#pragma unroll
  for (int at = 0; at + 1 < under_way; ++at) load_b(at);
#pragma unroll
  for (int at = 0; at < total; ++at) {
    const int k = at / 4, n = at % 4;
    load_b(at + under_way - 1);
    if (k + 1 < keys / 16) load_a(k + 1, n);
    const u32(&pair)[4] = b[at % under_way];
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      mma_k16<element>(sums[m][2 * n], a[k % 2][m], {pair[0], pair[1]});
      mma_k16<element>(sums[m][2 * n + 1], a[k % 2][m], {pair[2], pair[3]});
    }
  }
}

// The largest scores of a warp's rows, for the warp with the other half of the slots as well.
DEVICE void measure(const Scores& score, const Group& group) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    float largest = minus_infinity();
    for (int n = 0; n < 2 * key_pairs; ++n) largest = fmaxf(largest, fmaxf(score[r / 2][n][r % 2 * 2], score[r / 2][n][r % 2 * 2 + 1]));
    largest = fmaxf(largest, shuffle_xor(largest, 1));
    largest = fmaxf(largest, shuffle_xor(largest, 2));
    if (lane_index() % 4 == 0) group.maxima(group.warp % 2)[group.row() + 8 * r] = largest;
  }
}

// Four rows' measures, and the sums of the thread's own slots.
using Measures = float[4];

// Scores become the group's P relative to `most`, and its factors on what was summed before.
DEVICE void take(Measures& most, Measures& sum, const Scores& score, const Group& group) {
  float shift[4];
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int row = group.row() + 8 * r;
    const float largest = fmaxf(group.maxima(0)[row], group.maxima(1)[row]), older = group.most()[row];
    const bool grown = largest > older + most_growth;
    const float factor = grown ? exp2_approx(older - largest) : 1.0f;
    most[r] = grown ? largest : older;
    sum[r] *= factor;
    if (group.warp % 2 == 0 && lane_index() % 4 == 0) group.factors()[row] = factor;
    // While everything is hidden the maximum is -infinity; zero takes its place, as -infinity - -infinity would be NaN.
    shift[r] = most[r] == minus_infinity() ? 0.0f : most[r];
  }
#pragma unroll
  for (int n = 0; n < 2 * key_pairs; ++n) {
    u16* const to = group.weights() + tile_offset<keys>(group.row(), group.warp % 2 * (warp_keys / 8) + n) + lane_index() % 4 * 2;
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const float(&two)[4] = score[r / 2][n];
      const float low = exp2_approx(two[r % 2 * 2] - shift[r]), high = exp2_approx(two[r % 2 * 2 + 1] - shift[r]);
      sum[r] += low + high;
      *reinterpret_cast<u32*>(to + 8 * r * keys) = pack<element>(low, high);
    }
  }
}

DEVICE void hide(Scores& score, const Group& group, int slot) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int begin = group.starts()[group.row() + 8 * r] - slot, end = group.ends()[group.row() + 8 * r] - slot;
    if (!ptx::any(begin > 0 || end < keys)) continue;
    for (int n = 0; n < 2 * key_pairs; ++n)
      for (int i = 0; i < 2; ++i) {
        const int key = group.column() + n * 8 + i;
        if (key < begin || key >= end) score[r / 2][n][r % 2 * 2 + i] = minus_infinity();
      }
  }
}

DEVICE void scale_rows(Sums& sums, const Group& group) {
  float factor[8];
  bool grown = false;
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    factor[r] = group.factors()[lane_index() / 4 + 8 * r];
    grown |= factor[r] != 1.0f;
  }
  if (!ptx::any(grown)) return;
#pragma unroll
  for (int r = 0; r < 8; ++r)
    for (int n = 0; n < 8; ++n) sums[r / 2][n][r % 2 * 2] *= factor[r], sums[r / 2][n][r % 2 * 2 + 1] *= factor[r];
}

constexpr int parts = block_rows / QUERIES;  // blocks to a block of packed rows

// block x: tiles of packed query rows, the last first, because those usually see most; block y: key head. factor: scale * log2 e.
KERNEL(threads, 1) attention_forward_wide_mma(const float* q, const element* k, const element* v, const Sequence* sequences, int sequence_count,
                                              const int* key_start, const int* key_end, float factor, int paired, float* y, float* lse, int heads,
                                              int key_heads, int key_blocks) {
  const int block = grid_x() - 1 - block_x(), heads_each = heads / key_heads;
  const Sequence& sequence = sequence_at(sequences, sequence_count, block / parts);
  const int count = sequence.row_count * heads_each, first_row = sequence.first_row;
  const auto first_of = [&](int group) { return first_packed<groups>(sequence, block, group, count, paired); };
  if (groups == 1 && first_of(0) >= count) return;
  const Group group = {warp_index() / 4, warp_index() % 4};

  Range seen[2] = {range_of(0, 0), range_of(0, 0)};
  for (int g = 0; g < groups; ++g) {
    for (int i = lane_index(); i < group_queries; i += 32) {
      const int row = first_of(g) + i, token = first_row + row / heads_each;
      const Range mine = row < count ? range_of(key_start[token] - sequence.past_start, key_end[token] - sequence.past_start) : range_of(0, 0);
      seen[g] = join(seen[g], mine);
      if (g == group.index && group.warp == 0) group.starts()[i] = mine.begin, group.ends()[i] = mine.end;
    }
    for (int step = 16; step > 0; step >>= 1)
      seen[g] = join(seen[g], {shuffle_xor(seen[g].begin, step), shuffle_xor(seen[g].end, step)});
  }
  const Tiles tiles = tiles_of<keys>(seen[0], seen[1]);
  const Range mine = groups > 1 && group.index > 0 ? seen[1] : seen[0];

  const u32 key_row = (static_cast<u32>(block_y()) * key_blocks + sequence.key_block) * block_rows;
  constexpr int copy_rows = threads / chunks;  // that the block copies at a time; a further row of every eight changes bits of the chunk's number
  const u32 copy_offset = 2 * tile_offset<head_dim>(thread_index() / chunks, thread_index() % chunks);
  auto fetch = [&](u16* to, const element* from, int at) {
    if (at < tiles.end) {
      const element* source = from + static_cast<u64>((key_row + at * keys) * chunks + thread_index()) * 8;  // 2^32 chunks are 64 GiB
#pragma unroll
      for (int i = 0; i < keys; i += copy_rows)
        copy_async16(place_of(to) + (copy_offset ^ i % 8 * 16) + i * head_dim * 2, source + i * head_dim);
    }
    copy_async_commit();
  };
  fetch(Group::key_tile(), k, tiles.begin);

  // Rows past the last repeat it: nobody reads what becomes of them. Many loads are under way at a time.
  const bool vectors = vectors_allowed(4, head_dim, q);
  constexpr int batch = 4, step_rows = group_threads / chunks;
  for (int from = 0; from < group_queries && tiles.begin < tiles.end; from += batch * step_rows) {
    Floats<8> values[batch];
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int asked = first_of(group.index) + from + i * step_rows + group.warp, row = asked < count ? asked : count - 1;
      const float* source = q + (static_cast<u64>(first_row + row / heads_each) * heads + block_y() * heads_each + row % heads_each) * head_dim + lane_index() * 8;
      values[i] = load_eight(source, vectors);
    }
#pragma unroll
    for (int i = 0; i < batch; ++i)
      store16(group.queries() + tile_offset<head_dim>(from + i * step_rows + group.warp, lane_index()), round_eight<element>(values[i], factor));
  }

  Scores score = {};
  Sums sums = {};
  Measures most, sum = {};
  if (group.warp < 2) group.most()[thread_index() % group_queries] = minus_infinity();
  for (int at = tiles.begin; at < tiles.end; at = tiles.after(at)) {
    const int slot = at * keys;
    const bool seen = slot < mine.end && slot + keys > mine.begin;
    copy_async_wait<0>();
    sync_block();  // K is here, nobody reads the V before
    fetch(Group::value_tile(), v, at);
    if (seen) {
      score_tile(score, group, Group::key_tile());
      hide(score, group, slot);
      measure(score, group);
    }
    sync_block();  // the maxima are here, nobody reads this K
    fetch(Group::key_tile(), k, tiles.after(at));
    if (seen) take(most, sum, score, group);
    copy_async_wait<1>();
    sync_block();  // V and P are here
    if (!seen) continue;
    if (group.warp % 2 == 0 && lane_index() % 4 == 0)
      for (int r = 0; r < 4; ++r) group.most()[group.row() + 8 * r] = most[r];
    scale_rows(sums, group);
    add_values(sums, group, Group::value_tile());
  }

  // The sum of a row is in two warps, its y in four.
  group.sync();
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    float total = sum[r];
    total += shuffle_xor(total, 1);
    total += shuffle_xor(total, 2);
    if (lane_index() % 4 == 0) group.maxima(group.warp % 2)[group.row() + 8 * r] = total;
  }
  group.sync();
  // Looked up again: the loop needs every register.
  const Sequence& written = sequence_at(sequences, sequence_count, block / parts);
  const int rows = written.row_count * heads_each, first = first_packed<groups>(written, block, group.index, rows, paired);
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const int at = lane_index() / 4 + 8 * r, row = first + at;
    if (row >= rows) continue;
    const float total = group.maxima(0)[at] + group.maxima(1)[at], inverse = total == 0.0f ? 0.0f : 1.0f / total;
    const u64 index = static_cast<u64>(written.first_row + row / heads_each) * heads + block_y() * heads_each + row % heads_each;
    float* out = y + index * head_dim + group.warp * 64 + lane_index() % 4 * 2;
#pragma unroll
    for (int n = 0; n < 8; ++n) store8(out + n * 8, {float_bits(sums[r / 2][n][r % 2 * 2] * inverse), float_bits(sums[r / 2][n][r % 2 * 2 + 1] * inverse)});
    if (lse != nullptr && group.warp == 0 && lane_index() % 4 == 0)
      lse[index] = total == 0.0f ? minus_infinity() : (group.most()[at] + log2f(total)) * ln_2;
  }
}
