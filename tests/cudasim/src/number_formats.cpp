#include "number_formats.hpp"

#include <cmath>
#include <cstring>

namespace cudasim {

float half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float magnitude;
  if (exponent == 31) magnitude = fraction != 0 ? NAN : INFINITY;
  else if (exponent == 0) magnitude = std::ldexp(static_cast<float>(fraction), -24);
  else magnitude = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

std::uint16_t half_bits(float value) {
  const auto sign = static_cast<std::uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return 0x7fff;
  const double magnitude = std::fabs(static_cast<double>(value));
  if (magnitude >= 65520.0) return static_cast<std::uint16_t>(sign | 0x7c00);  // halfway above 65504 rounds up
  // Below 2^-14 halves are spaced by 2^-24; nearbyint rounds ties to even.
  const int exponent = magnitude < std::ldexp(1.0, -14) ? -14 : std::ilogb(magnitude);
  const double units = std::nearbyint(std::ldexp(magnitude, 10 - exponent));  // 0..2048
  const int biased = magnitude < std::ldexp(1.0, -14) ? 0 : exponent + 14;
  return static_cast<std::uint16_t>(sign | (biased * 1024 + static_cast<int>(units)));
}

float bfloat16_value(std::uint16_t bits) {
  const std::uint32_t word = static_cast<std::uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

}  // namespace cudasim
