// What a warp does together. Each function is called by one CUDA thread and returns when its warp has done it.
#pragma once

#include <cstdint>

namespace cudasim {

class Multiprocessor;

void warp_sync(Multiprocessor& sm, std::uint32_t mask);
std::uint32_t warp_shuffle(Multiprocessor& sm, int kind, std::uint32_t value, int selector, std::uint32_t mask);
std::uint32_t warp_ballot(Multiprocessor& sm, bool predicate, std::uint32_t mask);
// Over all lanes, step by step as ptx.cuh's loops over shuffle_xor.
float warp_sum(Multiprocessor& sm, float value);
float warp_max(Multiprocessor& sm, float value);
// ldmatrix: `row` is this lane's row address.
void warp_load_matrix(Multiprocessor& sm, std::uint32_t* registers, int count, bool transposed, const void* row, const void* site);
void warp_mma(Multiprocessor& sm, int type, int depth, float* c, const std::uint32_t* a, const std::uint32_t* b);

}  // namespace cudasim
