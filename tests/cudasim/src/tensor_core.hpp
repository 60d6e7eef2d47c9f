// Arithmetic of one element of a tensor core product: c + sum over k of a[k] b[k].
#pragma once

namespace cudasim {

// Exact products, summed in fp64, rounded to nearest once.
float multiply_add_ideal(const float* a, const float* b, int depth, float c);
// As the hardware does it (kernels.md 4.5): products and c aligned to the largest exponent, truncated to `fraction_bits`
// fractional bits, summed exactly, rounded toward zero.
float multiply_add_truncating(const float* a, const float* b, int depth, float c, int fraction_bits);

}  // namespace cudasim
