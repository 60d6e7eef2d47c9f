// Hopper's products of a warpgroup (wgmma): four warps multiply tiles that lie in shared memory and go on before the product is done. sm_90a only.
// Kernels that include this are compiled for sm_90a alone; in the simulator (tests/cudasim) results arrive at warpgroup_wait, and whoever changes a tile
// before that, or reads one that was stored without a fence, is reported. Layouts: PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate".
#pragma once
#include "ptx.cuh"

#ifdef GEMMACORE_CUDASIM
#include "cudasim/warpgroup.hpp"
#else

namespace ptx {

// Keeps the compiler from moving across what it does with the sums.
template <int blocks> DEVICE void warpgroup_hold(float (&c)[blocks][4]) {
#pragma unroll
  for (int j = 0; j < blocks; ++j) asm volatile("" : "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])::"memory");
}
// Before the first product after a wait: what other instructions left in sums and fragments is what it takes.
DEVICE void warpgroup_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
template <int blocks> DEVICE void warpgroup_fence(float (&c)[blocks][4]) {
  warpgroup_hold(c);
  warpgroup_fence();
}
DEVICE void warpgroup_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most `pending` of the committed groups are unfinished. Sums may be touched, and tiles be replaced, only after that.
template <int pending> DEVICE void warpgroup_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory"); }
// Makes what this thread has stored in shared memory (copy_async included, once waited for) visible to products; a barrier must follow.
DEVICE void fence_for_products() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Where a tile begins that was stored in rows of 128 bytes whose 16-byte chunks are permuted by row & 7 (tile_offset<64>); the tile's start is a multiple
// of 1024 bytes. `along`: bytes from eight rows to the next eight. `across`: where the depth runs across the rows, bytes from 64 columns to the next 64.
DEVICE u64 matrix_descriptor(shared_place tile, int along, int across = 16) {
  return (static_cast<u64>(tile & 0x3ffffu) >> 4) | static_cast<u64>(across >> 4) << 16 | static_cast<u64>(along >> 4) << 32 | 1ull << 62;
}

// c (keep 0) or c += (keep 1) a b: 64 rows, 8 * blocks columns, depth 16; bfloat16, fp32 sums. Warp w of the four holds rows 16 w on, in each 16 x 8 block
// as mma_k16 does. `across`: the depth of the stored tile runs across its rows. a is a tile, or the warp's fragment as load_matrix or pack leave it.
// The sums are the first operands of the instruction, thirty-two of a thread for eight blocks; the operands after them are numbered from there on.
#define WARPGROUP_NUMBERS_0 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define WARPGROUP_NUMBERS_32 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define WARPGROUP_NUMBERS_64 "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
#define WARPGROUP_NUMBERS_96 "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define WARPGROUP_BLOCK(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define WARPGROUP_BLOCKS(j) \
  WARPGROUP_BLOCK(j), WARPGROUP_BLOCK(j + 1), WARPGROUP_BLOCK(j + 2), WARPGROUP_BLOCK(j + 3), \
  WARPGROUP_BLOCK(j + 4), WARPGROUP_BLOCK(j + 5), WARPGROUP_BLOCK(j + 6), WARPGROUP_BLOCK(j + 7)
#define WARPGROUP_MULTIPLY(columns, sums, keep, operands) \
  "{.reg .pred p; setp.ne.b32 p, " keep ", 0; wgmma.mma_async.sync.aligned.m64n" columns "k16.f32.bf16.bf16 {" sums "}, " operands ";}"
#define WARPGROUP_TILES "l"(a), "l"(b), "r"(keep), "n"(a_across ? 1 : 0), "n"(b_across ? 1 : 0)
#define WARPGROUP_FRAGMENT "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(keep), "n"(b_across ? 1 : 0)
template <bool a_across, bool b_across> DEVICE void warpgroup_multiply(float (&c)[8][4], u64 a, u64 b, int keep) {
  asm volatile(WARPGROUP_MULTIPLY("64", WARPGROUP_NUMBERS_0, "%34", "%32, %33, p, 1, 1, %35, %36")
               : WARPGROUP_BLOCKS(0)
               : WARPGROUP_TILES);
}
template <bool a_across, bool b_across> DEVICE void warpgroup_multiply(float (&c)[24][4], u64 a, u64 b, int keep) {
  asm volatile(WARPGROUP_MULTIPLY("192", WARPGROUP_NUMBERS_0 "," WARPGROUP_NUMBERS_32 "," WARPGROUP_NUMBERS_64, "%98", "%96, %97, p, 1, 1, %99, %100")
               : WARPGROUP_BLOCKS(0), WARPGROUP_BLOCKS(8), WARPGROUP_BLOCKS(16)
               : WARPGROUP_TILES);
}
template <bool a_across, bool b_across> DEVICE void warpgroup_multiply(float (&c)[32][4], u64 a, u64 b, int keep) {
  asm volatile(WARPGROUP_MULTIPLY("256", WARPGROUP_NUMBERS_0 "," WARPGROUP_NUMBERS_32 "," WARPGROUP_NUMBERS_64 "," WARPGROUP_NUMBERS_96, "%130", "%128, %129, p, 1, 1, %131, %132")
               : WARPGROUP_BLOCKS(0), WARPGROUP_BLOCKS(8), WARPGROUP_BLOCKS(16), WARPGROUP_BLOCKS(24)
               : WARPGROUP_TILES);
}
template <bool b_across> DEVICE void warpgroup_multiply(float (&c)[32][4], const u32 (&a)[4], u64 b, int keep) {
  asm volatile(WARPGROUP_MULTIPLY("256", WARPGROUP_NUMBERS_0 "," WARPGROUP_NUMBERS_32 "," WARPGROUP_NUMBERS_64 "," WARPGROUP_NUMBERS_96, "%133", "{%128, %129, %130, %131}, %132, p, 1, 1, %134")
               : WARPGROUP_BLOCKS(0), WARPGROUP_BLOCKS(8), WARPGROUP_BLOCKS(16), WARPGROUP_BLOCKS(24)
               : WARPGROUP_FRAGMENT);
}
#undef WARPGROUP_NUMBERS_0
#undef WARPGROUP_NUMBERS_32
#undef WARPGROUP_NUMBERS_64
#undef WARPGROUP_NUMBERS_96
#undef WARPGROUP_BLOCK
#undef WARPGROUP_BLOCKS
#undef WARPGROUP_MULTIPLY
#undef WARPGROUP_TILES
#undef WARPGROUP_FRAGMENT

}  // namespace ptx
#endif
