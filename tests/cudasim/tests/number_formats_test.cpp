// half.h against the formats' definitions: every half, and floats around every half and every midpoint.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "cudasim/half.h"

namespace {

double half_by_definition(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double magnitude;
  if (exponent == 31) magnitude = fraction != 0 ? NAN : INFINITY;
  else if (exponent == 0) magnitude = std::ldexp(fraction, -24);
  else magnitude = std::ldexp(fraction + 1024, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

int failures = 0;
void expect(float value, std::uint16_t expected) {
  if (cudasim::half_bits(value) == expected) return;
  if (++failures < 10) std::printf("FAILED: half_bits(%a) = %04x, expected %04x\n", value, cudasim::half_bits(value), expected);
}

}  // namespace

int main() {
  for (int bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const double expected = half_by_definition(half);
    const float found = cudasim::half_value(half);
    const bool same = std::isnan(expected) ? std::isnan(found) : bits_of(found) == bits_of(static_cast<float>(expected));
    if (!same && ++failures < 10) std::printf("FAILED: half_value(%04x) = %a, expected %a\n", bits, found, expected);
    if (std::isnan(expected)) continue;
    expect(static_cast<float>(expected), half);
    if ((bits & 0x7fff) >= 0x7bff) continue;
    // Between this half and the next one away from zero: below the middle, the middle (to even), above it.
    const auto next = static_cast<std::uint16_t>(bits + 1);
    const auto middle = static_cast<float>((expected + half_by_definition(next)) / 2);
    const float outward = bits & 0x8000 ? -INFINITY : INFINITY;
    expect(middle, bits & 1 ? next : half);
    expect(std::nextafter(middle, -outward), half);
    expect(std::nextafter(middle, outward), next);
  }
  expect(65504.0f, 0x7bff);
  expect(std::nextafter(65520.0f, 0.0f), 0x7bff);
  expect(65520.0f, 0x7c00);
  expect(3e38f, 0x7c00);
  expect(-INFINITY, 0xfc00);
  expect(-1e-30f, 0x8000);
  if (!std::isnan(cudasim::half_value(cudasim::half_bits(NAN)))) ++failures, std::printf("FAILED: a NaN does not stay one\n");
  for (int bits = 0; bits < 65536; ++bits)
    if (bits_of(cudasim::bfloat16_value(static_cast<std::uint16_t>(bits))) != static_cast<std::uint32_t>(bits) << 16) ++failures;
  std::printf("%s\n", failures == 0 ? "number formats: all right" : "number formats: failures above");
  return failures == 0 ? 0 : 1;
}
