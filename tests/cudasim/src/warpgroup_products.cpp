#include "warpgroup_products.hpp"

#include <cstring>

#include "multiprocessor.hpp"
#include "tensor_core.hpp"

namespace cudasim {

struct WarpgroupCollectives {
  static constexpr Collective fence{"wgmma.fence", WarpgroupProducts::perform_fence}, commit{"wgmma.commit_group", WarpgroupProducts::perform_commit},
      wait{"wgmma.wait_group", WarpgroupProducts::perform_wait}, multiply{"wgmma.mma_async", WarpgroupProducts::perform_multiply};
};

namespace {

constexpr int depth = 16, row_bytes = 128, atom_bytes = 1024;

struct Strides { std::uintptr_t start, across, along; };
Strides strides_of(Multiprocessor& sm, const TileDescriptor& tile) {
  const auto field = [&](int shift) { return static_cast<std::uintptr_t>(tile.bits >> shift & 0x3fff) << 4; };
  return {sm.shared().dynamic() + field(0), field(16), field(32)};
}

std::string problem_of(Multiprocessor& sm, const TileDescriptor& tile) {
  if (tile.bits >> 62 != 1) return "a descriptor without the 128-byte swizzle, which is all that the simulator has";
  const std::uintptr_t start = strides_of(sm, tile).start % atom_bytes;
  if (tile.across ? start != 0 : start + depth * 2 > row_bytes)
    return "a tile that begins " + std::to_string(start) + " bytes past a multiple of 1024";
  return "";
}

// Chunk (eight elements, 16 bytes) `chunk` of a stored row: of row or column `line` the depth from 8 * chunk on, or of depth `line` the columns.
std::uintptr_t chunk_address(const Strides& tile, bool across, int line, int chunk) {
  const std::uintptr_t at = across ? static_cast<std::uintptr_t>(chunk / 8) * tile.across + static_cast<std::uintptr_t>(line / 8) * tile.along +
                                         static_cast<std::uintptr_t>(line % 8 * row_bytes + chunk % 8 * 16)
                                   : static_cast<std::uintptr_t>(line / 8) * tile.along + static_cast<std::uintptr_t>(line % 8 * row_bytes + chunk * 16);
  const std::uintptr_t address = tile.start + at;
  return address ^ (address >> 7 & 7) << 4;
}

// to(line, depth) of `lines` rows (or columns) from `first` on, a multiple of eight.
template <typename To> void read_tile(Multiprocessor& sm, int warp, const TileDescriptor& tile, int first, int lines, const void* site, To&& to) {
  const Strides strides = strides_of(sm, tile);
  const int outer = tile.across ? depth : lines, inner = tile.across ? lines / 8 : depth / 8;
  for (int i = 0; i < outer; ++i)
    for (int j = 0; j < inner; ++j) {
      const std::uintptr_t at = tile.across ? chunk_address(strides, true, i, first / 8 + j) : chunk_address(strides, false, first + i, j);
      sm.access_by_product(warp * 32 + (i * inner + j) % 32, at, site);
      std::uint16_t chunk[8];
      std::memcpy(chunk, reinterpret_cast<const void*>(at), sizeof chunk);
      for (int e = 0; e < 8; ++e) tile.across ? to(8 * j + e, i) = chunk[e] : to(i, 8 * j + e) = chunk[e];
    }
}

}  // namespace

void WarpgroupProducts::start_block() {
  for (Warp& warp : warps_) {
    warp.products.clear();
    warp.open_group = 0;
    warp.history = 0;
    warp.asked = 0;
    warp.fenced = false;
  }
}

void WarpgroupProducts::fence(Multiprocessor& sm) { sm.collective(WarpgroupCollectives::fence, ~0u); }
void WarpgroupProducts::commit(Multiprocessor& sm) { sm.collective(WarpgroupCollectives::commit, ~0u); }
void WarpgroupProducts::wait(Multiprocessor& sm, int pending) {
  warps_[static_cast<std::size_t>(sm.current() / 32)].pending[static_cast<std::size_t>(sm.current() % 32)] = pending;
  sm.collective(WarpgroupCollectives::wait, ~0u);
}
void WarpgroupProducts::multiply(Multiprocessor& sm, const Operands& operands) {
  warps_[static_cast<std::size_t>(sm.current() / 32)].lanes[static_cast<std::size_t>(sm.current() % 32)] = operands;
  sm.collective(WarpgroupCollectives::multiply, ~0u);
}

void WarpgroupProducts::perform_fence(Multiprocessor& sm, int warp, std::uint32_t) { sm.products().warps_[static_cast<std::size_t>(warp)].fenced = true; }

void WarpgroupProducts::perform_commit(Multiprocessor& sm, int warp, std::uint32_t) {
  Warp& mine = sm.products().warps_[static_cast<std::size_t>(warp)];
  ++mine.open_group;
  mine.history = mine.history * 31 + 1;
}

void WarpgroupProducts::perform_wait(Multiprocessor& sm, int warp, std::uint32_t) {
  Warp& mine = sm.products().warps_[static_cast<std::size_t>(warp)];
  mine.history = mine.history * 31 + 2 + static_cast<std::uint64_t>(mine.pending[0]);
  mine.fenced = false;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < mine.products.size(); ++i) {
    Product& product = mine.products[i];
    if (product.group + static_cast<std::uint32_t>(mine.pending[0]) < mine.open_group) finish(sm, warp, product);
    else if (kept++ != i) mine.products[kept - 1] = std::move(product);
  }
  mine.products.resize(kept);
}

void WarpgroupProducts::perform_multiply(Multiprocessor& sm, int warp, std::uint32_t) {
  Warp& mine = sm.products().warps_[static_cast<std::size_t>(warp)];
  const Operands& first = mine.lanes[0];
  for (const Operands& lane : mine.lanes)
    if (lane.a.bits != first.a.bits || lane.b.bits != first.b.bits || lane.keep != first.keep)
      sm.fail(Defect::divergence, "the lanes of a warp name different tiles for one product", first.site);
  for (const std::string& problem : {first.from_registers ? std::string() : problem_of(sm, first.a), problem_of(sm, first.b)})
    if (!problem.empty()) sm.fail(Defect::misaligned, "wgmma with " + problem, first.site);
  if (!mine.fenced) sm.fail(Defect::early_use, "wgmma with no wgmma.fence since its warp last waited, when its registers may have changed", first.site);
  mine.history = ((mine.history * 31 + first.a.bits) * 31 + first.b.bits) * 31 + static_cast<std::uint64_t>(first.blocks * 2 + first.keep);
  ++mine.asked;
  Product product{{}, first.blocks, first.keep, mine.open_group, first.from_registers, first.a, first.b, first.site, {}, {}};
  for (std::size_t lane = 0; lane < 32; ++lane) {
    product.c[lane] = mine.lanes[lane].c;
    if (!first.from_registers) continue;
    const std::size_t g = lane / 4, t = lane % 4;
    for (std::size_t r = 0; r < 4; ++r) std::memcpy(&product.left[g + 8 * (r & 1)][2 * t + 8 * (r >> 1)], &mine.lanes[lane].fragment[r], 4);
  }
  read_tiles(sm, warp, product);
  // Without checks at once: a time that the hardware may choose.
  if (sm.card().checks) mine.products.push_back(std::move(product));
  else add(sm, product);
}

void WarpgroupProducts::read_tiles(Multiprocessor& sm, int warp, Product& product) {
  if (!product.from_registers)
    read_tile(sm, warp, product.a, warp % 4 * 16, 16, product.site, [&](int row, int k) -> std::uint16_t& {
      return product.left[static_cast<std::size_t>(row)][static_cast<std::size_t>(k)];
    });
  const auto columns = static_cast<std::size_t>(8 * product.blocks);
  product.right.resize(depth * columns);
  read_tile(sm, warp, product.b, 0, static_cast<int>(columns), product.site, [&](int column, int k) -> std::uint16_t& {
    return product.right[static_cast<std::size_t>(k) * columns + static_cast<std::size_t>(column)];
  });
}

// The hardware reads tiles at any time until the wait: they must be then what they were when it was asked for.
void WarpgroupProducts::finish(Multiprocessor& sm, int warp, Product& product) {
  const auto left = product.left;
  const auto right = product.right;
  read_tiles(sm, warp, product);
  if (left != product.left || right != product.right) sm.fail(Defect::race, "a tile of a product changed before the product was waited for", product.site);
  add(sm, product);
}

void WarpgroupProducts::add(Multiprocessor& sm, const Product& product) {
  const bool hardware = sm.card().arithmetic == Arithmetic::hardware;
  const TensorCore core{false, depth, hardware ? sm.card().profile.accumulator_bits : 0, depth};
  std::uint16_t a[16][16], b[16][8];
  std::memcpy(a, product.left.data(), sizeof a);
  for (int block = 0; block < product.blocks; ++block) {
    float c[16][8];
    for (int k = 0; k < depth; ++k) std::memcpy(b[k], &product.right[static_cast<std::size_t>((k * product.blocks + block) * 8)], sizeof b[k]);
    for (int lane = 0; lane < 32; ++lane)
      for (int half = 0; half < 2; ++half) {
        float* const to = &c[lane / 4 + 8 * half][lane % 4 * 2];
        if (product.keep) std::memcpy(to, product.c[static_cast<std::size_t>(lane)] + 4 * block + 2 * half, 8);
        else to[0] = to[1] = 0.0f;
      }
    core.multiply_add(a, b, c);
    for (int lane = 0; lane < 32; ++lane)
      for (int half = 0; half < 2; ++half)
        std::memcpy(product.c[static_cast<std::size_t>(lane)] + 4 * block + 2 * half, &c[lane / 4 + 8 * half][lane % 4 * 2], 8);
  }
}

std::string WarpgroupProducts::problem_at_leaving(int warp) const {
  return warps_[static_cast<std::size_t>(warp)].products.empty() ? "" : "leaves the kernel while a product is unfinished";
}

std::string WarpgroupProducts::problem_at_end(int warps) const {
  for (int first = 0; first < warps; first += 4)
    for (int warp = first; warp < first + 4; ++warp) {
      const Warp &one = warps_[static_cast<std::size_t>(first)], &other = warps_[static_cast<std::size_t>(warp < warps ? warp : first)];
      if ((one.asked > 0 && warp >= warps) || one.asked != other.asked || one.history != other.history)
        return "the four warps from warp " + std::to_string(first) + " on did not ask for the same products";
    }
  return "";
}

}  // namespace cudasim
