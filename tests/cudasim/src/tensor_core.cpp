#include "tensor_core.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cudasim {
namespace {

// The float that is nearest to `value` on the side of zero.
float round_toward_zero(double value) {
  const auto nearest = static_cast<float>(value);
  if (std::isinf(nearest)) return std::copysign(std::numeric_limits<float>::max(), nearest);
  return std::fabs(static_cast<double>(nearest)) > std::fabs(value) ? std::nextafter(nearest, 0.0f) : nearest;
}

}  // namespace

float multiply_add_ideal(const float* a, const float* b, int depth, float c) {
  double sum = c;
  for (int k = 0; k < depth; ++k) sum += static_cast<double>(a[k]) * b[k];
  return static_cast<float>(sum);
}

float multiply_add_truncating(const float* a, const float* b, int depth, float c, int fraction_bits) {
  constexpr int none = std::numeric_limits<int>::min();
  int largest = c == 0 ? none : std::ilogb(c);
  for (int k = 0; k < depth; ++k) {
    if (!std::isfinite(a[k]) || !std::isfinite(b[k])) return multiply_add_ideal(a, b, depth, c);
    // A product's exponent is the sum of its factors', before normalisation.
    if (a[k] != 0 && b[k] != 0) largest = std::max(largest, std::ilogb(a[k]) + std::ilogb(b[k]));
  }
  if (largest == none) return c;
  if (!std::isfinite(c)) return c;
  const int scale = fraction_bits - largest;
  // At most 17 terms of at most fraction_bits + 3 bits: exact in fp64.
  double sum = std::trunc(std::ldexp(static_cast<double>(c), scale));
  for (int k = 0; k < depth; ++k) sum += std::trunc(std::ldexp(static_cast<double>(a[k]) * b[k], scale));
  return round_toward_zero(std::ldexp(sum, -scale));
}

}  // namespace cudasim
