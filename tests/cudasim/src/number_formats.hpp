// The 16-bit formats, converted by their definitions.
#pragma once

#include <cstdint>

namespace cudasim {

float half_value(std::uint16_t bits);
// Round to nearest, ties to even.
std::uint16_t half_bits(float value);
float bfloat16_value(std::uint16_t bits);

}  // namespace cudasim
