// The 16-bit formats in integer steps, for the simulator and (self-contained, see device.hpp) for kernel text.
#pragma once

namespace cudasim {

inline float half_value(unsigned short bits) {
  const unsigned magnitude = static_cast<unsigned>(bits & 0x7fff) << 13;
  // The exponent's bias is 112 less than float's; subnormal halves are subnormal floats before the product.
  const float scaled = __builtin_bit_cast(float, magnitude) * 0x1p112f;
  const unsigned word = magnitude >= 0x7c00u << 13 ? magnitude | 0x7f800000u : __builtin_bit_cast(unsigned, scaled);
  return __builtin_bit_cast(float, word | static_cast<unsigned>(bits & 0x8000) << 16);
}

// Round to nearest, ties to even.
inline unsigned short half_bits(float value) {
  const unsigned word = __builtin_bit_cast(unsigned, value), sign = word >> 16 & 0x8000u, magnitude = word & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return 0x7fff;
  if (magnitude >= 0x477ff000u) return static_cast<unsigned short>(sign | 0x7c00u);  // 65520, halfway above 65504, and more
  if (magnitude >= 0x38800000u)  // 2^-14: normal halves
    return static_cast<unsigned short>(sign | (magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13);
  // Subnormal halves are spaced by 2^-24, as floats from 0.5 to 1 are.
  const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
  return static_cast<unsigned short>(sign | (__builtin_bit_cast(unsigned, shifted) - 0x3f000000u));
}

inline float bfloat16_value(unsigned short bits) { return __builtin_bit_cast(float, static_cast<unsigned>(bits) << 16); }

}  // namespace cudasim
