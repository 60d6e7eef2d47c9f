// wgmma: products of four warps on tiles in shared memory, unfinished until they are waited for. Each warp computes its own sixteen rows.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace cudasim {

class Multiprocessor;

// One operand as an instruction names it: where it begins and how its rows follow one another (PTX ISA, matrix descriptor; 128-byte swizzle).
struct TileDescriptor {
  std::uint64_t bits;
  bool across;  // the depth runs across the stored rows
};

class WarpgroupProducts {
 public:
  // What a lane brings to a product.
  struct Operands {
    float* c;
    int blocks, keep;
    bool from_registers;
    std::uint32_t fragment[4];
    TileDescriptor a, b;
    const void* site;
  };

  void start_block();
  // Called by every lane; the last of its warp acts for all.
  void fence(Multiprocessor& sm);
  void commit(Multiprocessor& sm);
  void wait(Multiprocessor& sm, int pending);
  void multiply(Multiprocessor& sm, const Operands& operands);
  // What is wrong where a thread of the warp leaves the kernel, and when all of a block have left; empty when nothing is.
  std::string problem_at_leaving(int warp) const;
  std::string problem_at_end(int warps) const;

 private:
  struct Product {
    std::array<float*, 32> c;
    int blocks, keep;
    std::uint32_t group;
    bool from_registers;
    TileDescriptor a, b;
    const void* site;
    std::array<std::array<std::uint16_t, 16>, 16> left;  // [row][depth]
    std::vector<std::uint16_t> right;                    // [depth][8 * blocks]
  };
  struct Warp {
    std::array<Operands, 32> lanes;
    std::array<int, 32> pending;
    std::vector<Product> products;
    std::uint32_t open_group = 0;
    std::uint64_t history = 0;  // of what the warp has asked for: the same for the four of a group
    int asked = 0;
    bool fenced = false;
  };

  static void perform_fence(Multiprocessor& sm, int warp, std::uint32_t);
  static void perform_commit(Multiprocessor& sm, int warp, std::uint32_t);
  static void perform_wait(Multiprocessor& sm, int warp, std::uint32_t);
  static void perform_multiply(Multiprocessor& sm, int warp, std::uint32_t);
  static void read_tiles(Multiprocessor& sm, int warp, Product& product);
  static void finish(Multiprocessor& sm, int warp, Product& product);
  static void add(Multiprocessor& sm, const Product& product);

  friend struct WarpgroupCollectives;
  std::array<Warp, 32> warps_{};
};

}  // namespace cudasim
