// attention_wide_mma: the forward pass of attention on tensor cores for heads of 256, from sm_80 on
// q [T, N, H] f32, rounded here; k, v as attention_pack leaves them; y [T, N, H] f32; lse [T, N] f32 natural logarithm
// four warps are a group with 64 packed query rows of one key head. Scores: a warp has 32 rows and 32 of 64 slots; P and the rows' maxima go through
// shared memory; sums: a warp has all 64 rows and 64 columns of H. With sixteen rows a warp, reading its fragments would take longer than its products
// tiles of K and V follow one another through BUFFERS places. With two groups and four places the second group is half a tile late: its products run
// while the first computes its softmax. `paired`: the groups have an early and a late tile of a sequence, so that causal blocks are equally long
// 4 N H (visible keys) FLOP; shared memory below, at most 211 KiB
// defines: QUERIES (64 or 128), BUFFERS (2 or 4)
// source: arXiv:2307.08691, arXiv:2407.08608 (two groups out of step), kernels.md 1.0 - 1.2
#include "ptx.cuh"

using namespace ptx;

#ifndef QUERIES
#define QUERIES 128
#endif
#ifndef BUFFERS
#define BUFFERS 4
#endif

using element = bfloat16;
constexpr int head_dim = 256, chunks = head_dim / 8, keys = 64, group_queries = 64, groups = QUERIES / group_queries;
constexpr int threads = QUERIES * 2, group_threads = 128, block_rows = 128;
constexpr int lag = groups > 1 && BUFFERS > 2 ? 1 : 0, ahead = BUFFERS - 1 - lag;  // in halves of a tile
constexpr int tile_elements = keys * head_dim, weight_elements = group_queries * keys;
constexpr int shared_bytes = (QUERIES * head_dim + BUFFERS * tile_elements + groups * weight_elements) * 2 + QUERIES * 5 * 4;
static_assert(shared_bytes <= 227 * 1024, "more shared memory than any card has");
constexpr float ln_2 = 0.6931471805599453f;
// A row's sums stay relative to an older maximum until a score exceeds it by this power of two: P is at most 256, and sums are rarely scaled.
constexpr float most_growth = 8.0f;

DEVICE float minus_infinity() { return bits_float(0xff800000u); }

// As in attention.cu.
struct Sequence {
  u64 past_keys, past_values, pages;
  int first_row, row_count, past_start, past_count, past_row, capacity, query_block, key_block, split_keys, decode_row;
};

DEVICE const Sequence& sequence_at(const Sequence* sequences, int count, int block) {
  int low = 0;
  for (int high = count; high - low > 1;) {
    const int middle = (low + high) / 2;
    if (sequences[middle].query_block <= block) low = middle;
    else high = middle;
  }
  return sequences[low];
}

// Slots count from the oldest of the sequence here. `common`: those that all rows see.
struct Range { int begin, end, common_begin, common_end; };
DEVICE Range join(Range a, Range b) {
  return {a.begin < b.begin ? a.begin : b.begin, a.end > b.end ? a.end : b.end,
          a.common_begin > b.common_begin ? a.common_begin : b.common_begin, a.common_end < b.common_end ? a.common_end : b.common_end};
}
DEVICE Range range_of(int start, int end) {
  return start < end ? Range{start, end, start, end} : Range{0x7fffffff, 0, 0x7fffffff, 0};
}

// The tiles that at least one group sees, in ascending order: two runs where the groups' slots are apart.
struct Tiles {
  int begin, first_count, gap, count;
  DEVICE int slot(int index) const { return (begin + index + (index < first_count ? 0 : gap)) * keys; }
};
DEVICE Tiles tiles_of(const Range& a, const Range& b) {
  const int a_begin = a.begin / keys, b_begin = b.begin / keys, a_end = (a.end + keys - 1) / keys, b_end = (b.end + keys - 1) / keys;
  const int low_end = a_begin <= b_begin ? a_end : b_end, high_begin = a_begin <= b_begin ? b_begin : a_begin;
  const int begin = a_begin <= b_begin ? a_begin : b_begin, end = a_end > b_end ? a_end : b_end;
  if (end == 0) return {0, 0, 0, 0};
  const int gap = high_begin > low_end && high_begin < end ? high_begin - low_end : 0;
  return {begin, gap > 0 ? low_end - begin : 0x7fffffff, gap, end - begin - gap};
}

// The four places that a lane's address takes within 64 columns of a tile; everything else about it is a constant.
struct Places { shared_place at[4]; };
template <int width> DEVICE Places places_of(const u16* tile, int row, int chunk) {
  Places places;
#pragma unroll
  for (int i = 0; i < 4; ++i) places.at[i] = place_of(tile) + 2 * (row * width + ((2 * i + chunk) ^ (row & 7)) * 8);
  return places;
}

struct Group {
  u16 *queries, *weights;
  float *maxima, *factors;  // [2][group_queries] of the halves of a tile; [group_queries]
  int *starts, *ends;
  int index, warp;          // of the group in the block, of the warp in the group
  DEVICE int row() const { return warp / 2 * 32 + lane_index() / 4; }     // the thread's rows are 8 apart, four of them
  DEVICE int column() const { return warp % 2 * 32 + lane_index() % 4 * 2; }  // of a tile's slots
  DEVICE void sync() const { sync_named(1 + index, group_threads); }
};

// sixteen rows by eight slots a piece
using Scores = float[2][4][4];
using Sums = float[4][8][4];

// score = 32 query rows times 32 keys.
DEVICE void score_tile(Scores& score, const Group& group, const u16* tile) {
  const int lane = lane_index();
  const Places a_places = places_of<head_dim>(group.queries, group.warp / 2 * 32 + lane % 16, lane / 16);
  const Places b_places = places_of<head_dim>(tile, group.warp % 2 * 32 + lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
  for (int m = 0; m < 2; ++m)
    for (int n = 0; n < 4; ++n)
      for (int i = 0; i < 4; ++i) score[m][n][i] = 0.0f;
  u32 a[2][2][4], b[2][2][4];  // fragments of one step are on their way while those of the other are multiplied
  auto load = [&](int step) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      load_matrix<4>(a[step % 2][i], a_places.at[step % 4] + step / 4 * 128 + i * 16 * head_dim * 2);
      load_matrix<4>(b[step % 2][i], b_places.at[step % 4] + step / 4 * 128 + i * 16 * head_dim * 2);
    }
  };
  load(0);
#pragma unroll
  for (int step = 0; step < head_dim / 16; ++step) {
    if (step + 1 < head_dim / 16) load(step + 1);
#pragma unroll
    for (int m = 0; m < 2; ++m)
      for (int n = 0; n < 4; ++n) {
        const u32(&pair)[4] = b[step % 2][n / 2];
        mma_k16<element>(score[m][n], a[step % 2][m], {pair[n % 2 * 2], pair[n % 2 * 2 + 1]});
      }
  }
}

// sums += P V, the warp's 64 columns.
DEVICE void add_values(Sums& sums, const Group& group, const u16* tile) {
  const int lane = lane_index();
  const Places a_places = places_of<keys>(group.weights, lane % 16, lane / 16);
  const Places b_places = places_of<head_dim>(tile + group.warp * 64, lane % 16, lane / 16);
  u32 a[2][4][4], b[2][4];
#pragma unroll
  for (int m = 0; m < 4; ++m) load_matrix<4>(a[0][m], a_places.at[0] + m * 16 * keys * 2);
  load_matrix<4, true>(b[0], b_places.at[0]);
#pragma unroll
  for (int at = 0; at < 16; ++at) {
    const int k = at / 4, n = at % 4, next = at + 1;
    if (next < 16) load_matrix<4, true>(b[next % 2], b_places.at[next % 4] + next / 4 * 16 * head_dim * 2);
    if (k < 3) load_matrix<4>(a[(k + 1) % 2][n], a_places.at[(k + 1) % 4] + n * 16 * keys * 2);
#pragma unroll
    for (int m = 0; m < 4; ++m) {
      mma_k16<element>(sums[m][2 * n], a[k % 2][m], {b[at % 2][0], b[at % 2][1]});
      mma_k16<element>(sums[m][2 * n + 1], a[k % 2][m], {b[at % 2][2], b[at % 2][3]});
    }
  }
}

// One thread's share of four rows; both halves of a tile know the same maximum, the sum is of the thread's own slots.
struct Softmax {
  float most[4], sum[4];

  // Scores become the group's P, and its factors on what was summed before.
  DEVICE void take(Scores& score, const Group& group) {
    float largest[4];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      largest[r] = minus_infinity();
      for (int n = 0; n < 4; ++n) largest[r] = fmaxf(largest[r], fmaxf(score[r / 2][n][r % 2 * 2], score[r / 2][n][r % 2 * 2 + 1]));
      largest[r] = fmaxf(largest[r], shuffle_xor(largest[r], 1));
      largest[r] = fmaxf(largest[r], shuffle_xor(largest[r], 2));
      if (lane_index() % 4 == 0) group.maxima[group.warp % 2 * group_queries + group.row() + 8 * r] = largest[r];
    }
    group.sync();
    float shift[4];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      largest[r] = fmaxf(largest[r], group.maxima[(1 - group.warp % 2) * group_queries + group.row() + 8 * r]);
      float factor = 1.0f;
      if (largest[r] > most[r] + most_growth) {
        factor = exp2_approx(most[r] - largest[r]);
        most[r] = largest[r], sum[r] *= factor;
      }
      if (group.warp % 2 == 0 && lane_index() % 4 == 0) group.factors[group.row() + 8 * r] = factor;
      // While everything is hidden the maximum is -infinity; zero takes its place, as -infinity - -infinity would be NaN.
      shift[r] = most[r] == minus_infinity() ? 0.0f : most[r];
    }
#pragma unroll
    for (int r = 0; r < 4; ++r)
      for (int n = 0; n < 4; ++n) {
        float(&two)[4] = score[r / 2][n];
        const float low = exp2_approx(two[r % 2 * 2] - shift[r]), high = exp2_approx(two[r % 2 * 2 + 1] - shift[r]);
        sum[r] += low + high;
        const int row = group.row() + 8 * r, chunk = group.warp % 2 * 4 + n;
        *reinterpret_cast<u32*>(group.weights + tile_offset<keys>(row, chunk) + lane_index() % 4 * 2) = pack<element>(low, high);
      }
    group.sync();
  }
};

DEVICE void hide(Scores& score, const Group& group, int slot) {
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const int begin = group.starts[group.row() + 8 * r] - slot, end = group.ends[group.row() + 8 * r] - slot;
    for (int n = 0; n < 4; ++n)
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
    factor[r] = group.factors[lane_index() / 4 + 8 * r];
    grown |= factor[r] != 1.0f;
  }
  if (!ptx::any(grown)) return;
#pragma unroll
  for (int r = 0; r < 8; ++r)
    for (int n = 0; n < 8; ++n) sums[r / 2][n][r % 2 * 2] *= factor[r], sums[r / 2][n][r % 2 * 2 + 1] *= factor[r];
}

// block x: tiles of packed query rows, the last first, because those usually see most; block y: key head. factor: scale * log2 e.
KERNEL(threads, 1) attention_forward_wide_mma(const float* q, const element* k, const element* v, const Sequence* sequences, int sequence_count,
                                              const int* key_start, const int* key_end, float factor, int paired, float* y, float* lse, int heads,
                                              int key_heads, int key_blocks) {
  constexpr int parts = block_rows / QUERIES;  // blocks to a block of packed rows
  u16* const queries = dynamic_shared<u16>();
  u16 *const buffers = queries + QUERIES * head_dim, *const weights = buffers + BUFFERS * tile_elements;
  float* const numbers = reinterpret_cast<float*>(weights + groups * weight_elements);
  int* const intervals = reinterpret_cast<int*>(numbers + groups * 3 * group_queries);
  const int block = grid_x() - 1 - block_x(), heads_each = heads / key_heads;
  const Sequence& sequence = sequence_at(sequences, sequence_count, block / parts);
  const int count = sequence.row_count * heads_each, first_row = sequence.first_row, place = block - sequence.query_block * parts;
  const int last_tile = (count + block_rows - 1) / block_rows * 2 - 1;
  auto first_of = [&](int group) {  // its first packed row within the sequence
    if (groups == 1) return place * group_queries;
    return (paired == 0 ? place * 2 + group : group == 0 ? last_tile - place : place) * group_queries;
  };
  if (groups == 1 && first_of(0) >= count) return;
  const int group_index = warp_index() / 4;
  const Group group = {queries + group_index * group_queries * head_dim, weights + group_index * weight_elements,
                       numbers + group_index * 3 * group_queries, numbers + (group_index * 3 + 2) * group_queries,
                       intervals + group_index * 2 * group_queries, intervals + (group_index * 2 + 1) * group_queries, group_index, warp_index() % 4};

  Range seen[2] = {range_of(0, 0), range_of(0, 0)};
  for (int g = 0; g < groups; ++g) {
    for (int i = lane_index(); i < group_queries; i += 32) {
      const int row = first_of(g) + i, token = first_row + row / heads_each;
      const Range mine = row < count ? range_of(key_start[token] - sequence.past_start, key_end[token] - sequence.past_start) : range_of(0, 0);
      seen[g] = join(seen[g], mine);
      if (g == group.index && group.warp == 0) group.starts[i] = mine.begin, group.ends[i] = mine.end;
    }
    for (int step = 16; step > 0; step >>= 1)
      seen[g] = join(seen[g], {shuffle_xor(seen[g].begin, step), shuffle_xor(seen[g].end, step), shuffle_xor(seen[g].common_begin, step),
                               shuffle_xor(seen[g].common_end, step)});
  }
  const Tiles tiles = tiles_of(seen[0], seen[1]);
  const Range mine = groups > 1 && group.index > 0 ? seen[1] : seen[0];

  const u64 key_row = (static_cast<u64>(block_y()) * key_blocks + sequence.key_block) * block_rows;
  k += key_row * head_dim, v += key_row * head_dim;
  // Half 2 i is K of tile i, half 2 i + 1 is V; a thread's places repeat after every eight rows.
  constexpr int copy_rows = threads / chunks;  // that the block copies at a time
  const int copy_at[2] = {tile_offset<head_dim>(thread_index() / chunks, thread_index() % chunks),
                          tile_offset<head_dim>(thread_index() / chunks + copy_rows % 8, thread_index() % chunks)};
  auto fetch = [&](int half) {
    if (half < 2 * tiles.count) {
      const element* source = (half % 2 == 0 ? k : v) + static_cast<u64>(tiles.slot(half / 2) * head_dim) + thread_index() * 8;
      const shared_place tile = place_of(buffers) + half % BUFFERS * (tile_elements * 2);
#pragma unroll
      for (int i = 0; i < keys; i += copy_rows) copy_async16(tile + 2 * copy_at[i % 8 / copy_rows] + i / 8 * 8 * head_dim * 2, source + i * head_dim);
    }
    copy_async_commit();
  };
#pragma unroll
  for (int half = 0; half < ahead; ++half) fetch(half);

  // Rows past the last repeat it: nobody reads what becomes of them. Many loads are under way at a time.
  const bool vectors = vectors_allowed(4, head_dim, q);
  constexpr int batch = 4, step_rows = group_threads / chunks;
  for (int from = 0; from < group_queries && tiles.count > 0; from += batch * step_rows) {
    Floats<8> values[batch];
#pragma unroll
    for (int i = 0; i < batch; ++i) {
      const int asked = first_of(group.index) + from + i * step_rows + group.warp, row = asked < count ? asked : count - 1;
      const float* source = q + (static_cast<u64>(first_row + row / heads_each) * heads + block_y() * heads_each + row % heads_each) * head_dim + lane_index() * 8;
      values[i] = load_eight(source, vectors);
    }
#pragma unroll
    for (int i = 0; i < batch; ++i)
      store16(group.queries + tile_offset<head_dim>(from + i * step_rows + group.warp, lane_index()), round_eight<element>(values[i], factor));
  }

  Scores score = {};
  Sums sums = {};
  Softmax softmax;
  for (int r = 0; r < 4; ++r) softmax.most[r] = minus_infinity(), softmax.sum[r] = 0.0f;
  for (int half = 0; half < 2 * tiles.count + lag; ++half) {
    copy_async_wait<ahead - 1>();
    sync_block();
    fetch(half + ahead);
    const int own = half - lag * group.index, slot = own < 0 ? 0 : tiles.slot(own / 2);
    if (own < 0 || own >= 2 * tiles.count || slot >= mine.end || slot + keys <= mine.begin) continue;
    const u16* const tile = buffers + own % BUFFERS * tile_elements;
    if (own % 2 == 0) {
      score_tile(score, group, tile);
      continue;
    }
    if (slot < mine.common_begin || slot + keys > mine.common_end) hide(score, group, slot);
    softmax.take(score, group);
    scale_rows(sums, group);
    add_values(sums, group, tile);
  }

  // The sum of a row is in two warps, its y in four.
  group.sync();
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    float total = softmax.sum[r];
    total += shuffle_xor(total, 1);
    total += shuffle_xor(total, 2);
    if (lane_index() % 4 == 0) group.maxima[group.warp % 2 * group_queries + group.row() + 8 * r] = total;
    if (group.warp % 2 == 0 && lane_index() % 4 == 0) group.factors[group.row() + 8 * r] = softmax.most[r];
  }
  group.sync();
#pragma unroll
  for (int r = 0; r < 8; ++r) {
    const int at = lane_index() / 4 + 8 * r, row = first_of(group.index) + at;
    if (row >= count) continue;
    const float total = group.maxima[at] + group.maxima[group_queries + at], inverse = total == 0.0f ? 0.0f : 1.0f / total;
    const u64 index = static_cast<u64>(first_row + row / heads_each) * heads + block_y() * heads_each + row % heads_each;
    float* out = y + index * head_dim + group.warp * 64 + lane_index() % 4 * 2;
#pragma unroll
    for (int n = 0; n < 8; ++n) store8(out + n * 8, {float_bits(sums[r / 2][n][r % 2 * 2] * inverse), float_bits(sums[r / 2][n][r % 2 * 2 + 1] * inverse)});
    if (lse != nullptr && group.warp == 0 && lane_index() % 4 == 0)
      lse[index] = total == 0.0f ? minus_infinity() : (group.factors[at] + log2f(total)) * ln_2;
  }
}
