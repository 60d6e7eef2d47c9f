// The sums of mma, in both arithmetics: known ones, and random ones against a definition in whole numbers (kernels.md 4.5).
//   tensor_arithmetic_test ideal | hardware
#include <array>
#include <cmath>
#include <cstring>
#include <random>

#include "cuda_library.hpp"
#include "cudasim/half.h"

namespace {

struct Card { const char *device, *target; int fraction_bits; bool whole_depth; };
constexpr Card cards[] = {{"t4", "-arch=sm_75", 24, false}, {"a100", "-arch=sm_80", 24, false}, {"h200", "-arch=sm_90", 25, true}};
bool hardware = false;

// One row of a, one column of b: the element c [0][0].
struct Sum { std::uint16_t a[16], b[16]; float c; };

// A finite value as sign * significand * 2^exponent, significand 0 or in [2^width, 2^(width + 1)).
struct Parts { int sign; std::int64_t significand; int exponent; };
Parts parts_of(double value, int width) {
  if (value == 0) return {1, 0, 0};
  int exponent;
  const double fraction = std::frexp(std::fabs(value), &exponent);  // [0.5, 1)
  return {value < 0 ? -1 : 1, static_cast<std::int64_t>(std::ldexp(fraction, width + 1)), exponent - 1};
}

// Every term cut off below 2^(largest exponent - fraction_bits), the rest added exactly and cut to 24 bits.
float hardware_sum(const float* a, const float* b, int depth, float c, int fraction_bits) {
  std::vector<Parts> terms;  // significand * 2^(exponent - 46)
  for (int k = 0; k < depth; ++k) {
    const Parts x = parts_of(a[k], 23), y = parts_of(b[k], 23);
    terms.push_back({x.sign * y.sign, x.significand * y.significand, x.exponent + y.exponent});
  }
  const Parts z = parts_of(c, 23);
  terms.push_back({z.sign, z.significand << 23, z.exponent});
  int largest = -100000;
  for (const Parts& term : terms)
    if (term.significand != 0) largest = std::max(largest, term.exponent);
  if (largest == -100000) return c;
  std::int64_t sum = 0;  // in units of 2^(largest - fraction_bits)
  for (const Parts& term : terms) {
    const int dropped = 46 - fraction_bits + largest - term.exponent;
    if (term.significand != 0 && dropped < 63) sum += term.sign * (term.significand >> dropped);
  }
  std::int64_t magnitude = sum < 0 ? -sum : sum;
  int unit = largest - fraction_bits;
  while (magnitude >= std::int64_t{1} << 24 || unit < -149) {
    magnitude >>= 1;
    if (++unit > 200) break;
  }
  const double value = std::ldexp(static_cast<double>(magnitude), unit);
  const float most = 3.40282347e38f;
  return static_cast<float>(sum < 0 ? -1 : 1) * (value > most ? most : static_cast<float>(value));
}

float expected_sum(const Sum& sum, bool half, int depth, const Card& card) {
  float a[16], b[16];
  for (int k = 0; k < depth; ++k) {
    a[k] = half ? cudasim::half_value(sum.a[k]) : cudasim::bfloat16_value(sum.a[k]);
    b[k] = half ? cudasim::half_value(sum.b[k]) : cudasim::bfloat16_value(sum.b[k]);
  }
  // sm_75 has k8 only, so k16 is two instructions there whatever the arithmetic.
  const int step = std::strcmp(card.device, "t4") == 0 || (hardware && !card.whole_depth) ? 8 : depth;
  float c = sum.c;
  for (int begin = 0; begin < depth; begin += step) {
    bool finite = std::isfinite(c);
    double exact = c;
    for (int k = begin; k < begin + step; ++k) {
      finite = finite && std::isfinite(a[k]) && std::isfinite(b[k]);
      exact += static_cast<double>(a[k]) * b[k];
    }
    c = hardware && finite ? hardware_sum(a + begin, b + begin, step, c, card.fraction_bits) : static_cast<float>(exact);
  }
  return c;
}

// Element [0][0] of each: lanes 0..3 hold row 0 of a and column 0 of b, lane 0 element [0][0] of c.
std::vector<float> executed(const std::string& image, int ordinal, int depth, const std::vector<Sum>& sums) {
  OpenCard card(ordinal);
  const std::size_t count = sums.size(), a_words = static_cast<std::size_t>(depth / 4), b_words = a_words / 2;
  std::vector<std::uint32_t> a(count * 32 * a_words), b(count * 32 * b_words);
  std::vector<float> c(count * 128), d(count * 128), result;
  for (std::size_t n = 0; n < count; ++n) {
    c[n * 128] = sums[n].c;
    for (std::size_t lane = 0; lane < 4; ++lane)
      for (std::size_t part = 0; part < b_words; ++part) {
        const std::size_t k = 2 * lane + 8 * part;
        a[(n * 32 + lane) * a_words + 2 * part] = sums[n].a[k] | std::uint32_t{sums[n].a[k + 1]} << 16;
        b[(n * 32 + lane) * b_words + part] = sums[n].b[k] | std::uint32_t{sums[n].b[k + 1]} << 16;
      }
  }
  CUdeviceptr da = card.floats(a.size()), db = card.floats(b.size()), dc = card.floats(c.size()), dd = card.floats(d.size());
  cuMemcpyHtoD_v2(da, a.data(), 4 * a.size());
  cuMemcpyHtoD_v2(db, b.data(), 4 * b.size());
  cuMemcpyHtoD_v2(dc, c.data(), 4 * c.size());
  void* arguments[] = {&da, &db, &dc, &dd};
  expect(cuLaunchKernel(card.function(image, depth == 8 ? "mma_k8_registers" : "mma_k16_registers"), static_cast<unsigned>(count), 1, 1, 32, 1, 1, 0, nullptr, arguments,
                        nullptr), 0, "launch");
  expect(cuMemcpyDtoH_v2(d.data(), dd, 4 * d.size()), 0, "copy");
  for (std::size_t n = 0; n < count; ++n) result.push_back(d[n * 128]);
  return result;
}

bool same(float x, float y) { return (std::isnan(x) && std::isnan(y)) || (x == y && std::signbit(x) == std::signbit(y)) || (x == 0 && y == 0); }

// Factors with exponents of a centre +- band, so that some sums align and others lose terms; some zeros, subnormals, infinities.
std::vector<Sum> random_sums(bool half, int count, int a_centre, int b_centre, int band) {
  std::mt19937 random(static_cast<unsigned>(7 + band));
  std::vector<Sum> sums(static_cast<std::size_t>(count));
  const int bias = half ? 15 : 127, fraction_bits = half ? 10 : 7, top = half ? 30 : 254;
  const auto draw = [&](int centre) {
    if (random() % 16 == 0) return static_cast<std::uint16_t>(random() % 2 << 15);
    const int exponent = std::min(top, std::max(0, bias + centre + static_cast<int>(random() % static_cast<unsigned>(2 * band + 1)) - band));
    return static_cast<std::uint16_t>(random() % 2 << 15 | static_cast<unsigned>(exponent) << fraction_bits | random() % (1u << fraction_bits));
  };
  for (Sum& sum : sums) {
    for (int k = 0; k < 16; ++k) sum.a[k] = draw(a_centre), sum.b[k] = draw(b_centre);
    sum.c = std::ldexp(static_cast<float>(static_cast<int>(random() % 20001) - 10000), a_centre + b_centre + static_cast<int>(random() % static_cast<unsigned>(2 * band + 1)) - band - 13);
    if (random() % 64 == 0) sum.a[random() % 16] = static_cast<std::uint16_t>(half ? 0x7c00 : 0x7f80);
    if (random() % 64 == 0) sum.c = INFINITY;
  }
  return sums;
}

void random_products(int ordinal) {
  for (const bool half : {true, false}) {
    if (ordinal == 0 && !half) continue;
    const Card& card = cards[ordinal];
    const std::string image = compiled(TESTS "/fragments.cu", {card.target, half ? "-DINPUT=half" : "-DINPUT=bfloat16"});
    for (const int depth : {8, 16})
      for (const auto& [a_centre, b_centre, band] : {std::array{0, 0, 3}, {0, 0, 12}, {0, 0, 40}, {0, 0, 130}, {-58, -58, 6}, {61, 61, 3}, {100, -126, 4}}) {
        const std::vector<Sum> sums = random_sums(half, 400, a_centre, b_centre, band);
        const std::vector<float> found = executed(image, ordinal, depth, sums);
        for (std::size_t n = 0; n < sums.size(); ++n) {
          const float expected = expected_sum(sums[n], half, depth, card);
          if (same(found[n], expected)) continue;
          char line[200];
          std::snprintf(line, sizeof line, "%s %s k%d, exponents %d and %d +- %d, sum %zu: %a, expected %a", card.device, half ? "half" : "bfloat16", depth, a_centre, b_centre, band, n, found[n], expected);
          check(false, line);
          break;
        }
      }
  }
}

constexpr std::uint16_t one = 0x3c00;  // of half
std::uint16_t power(int exponent) { return static_cast<std::uint16_t>((exponent + 15) << 10); }

// c and the products of one sum; `terms` of them a b, the others zero.
Sum sum_of(float c, std::initializer_list<std::pair<int, std::pair<std::uint16_t, std::uint16_t>>> terms) {
  Sum sum{};
  sum.c = c;
  for (const auto& [k, factors] : terms) sum.a[k] = factors.first, sum.b[k] = factors.second;
  return sum;
}

void known_sums() {
  Sum small{}, negative{};
  for (int k = 0; k < 8; ++k) small.a[k] = power(-12), small.b[k] = power(-13);
  small.c = 1.0f;
  negative = small;
  negative.c = -1.0f;
  for (int k = 0; k < 8; ++k) negative.a[k] = static_cast<std::uint16_t>(negative.a[k] | 0x8000);
  // 1 + 8 * 2^-25: each term is below what 24 fractional bits keep.
  const Sum rounding = sum_of(1.0f, {{0, {static_cast<std::uint16_t>(power(-12) | 0x200), power(-12)}}});  // 1 + 1.5 * 2^-24
  // 2.25 = 1.5 * 1.5 counts with exponent 0, so that 2^-24 is kept, four times.
  const Sum unnormalised = sum_of(0.0f, {{0, {0x3e00, 0x3e00}}, {1, {power(-12), power(-12)}}, {2, {power(-12), power(-12)}}, {3, {power(-12), power(-12)}}, {4, {power(-12), power(-12)}}});
  // 2^-24 in each half of k16: one after the other each is rounded away, together they are 2^-23.
  const Sum halves = sum_of(1.0f, {{0, {power(-12), power(-12)}}, {8, {power(-12), power(-12)}}});
  const Sum overflow = sum_of(3.4e38f, {{0, {one, one}}});
  const std::vector<Sum> sums = {small, negative, rounding, unnormalised, halves, overflow};
  const float up = 1.0f + 0x1p-22f, ulp = 1.0f + 0x1p-23f;
  // Per card: t4, a100, h200. On the t4 k16 is two k8.
  const std::vector<float> expected[2][3] = {
      {{up, -up, ulp, 2.25f + 0x1p-22f, 1.0f, 3.4e38f}, {up, -up, ulp, 2.25f + 0x1p-22f, ulp, 3.4e38f}, {up, -up, ulp, 2.25f + 0x1p-22f, ulp, 3.4e38f}},
      {{1.0f, -1.0f, 1.0f, 2.25f + 0x1p-22f, 1.0f, 3.4e38f}, {1.0f, -1.0f, 1.0f, 2.25f + 0x1p-22f, 1.0f, 3.4e38f}, {up, -up, 1.0f, 2.25f + 0x1p-22f, ulp, 3.4e38f}}};
  for (int ordinal = 0; ordinal < 3; ++ordinal) {
    const std::vector<float> found = executed(compiled(TESTS "/fragments.cu", {cards[ordinal].target}), ordinal, 16, sums);
    for (std::size_t n = 0; n < sums.size(); ++n) {
      char line[120];
      std::snprintf(line, sizeof line, "%s, known sum %zu: %a, expected %a", cards[ordinal].device, n, found[n], expected[hardware][ordinal][n]);
      check(found[n] == expected[hardware][ordinal][n], line);
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::string mode = count == 2 ? arguments[1] : "";
  if (mode != "ideal" && mode != "hardware") return std::fprintf(stderr, "tensor_arithmetic_test ideal | hardware\n"), 2;
  hardware = mode == "hardware";
  setenv("GEMMACORE_CUDASIM_ARITHMETIC", mode.c_str(), 1);
  setenv("GEMMACORE_CUDASIM_DEVICE", "t4,a100,h200", 1);
  cuInit(0);
  known_sums();
  for (int ordinal = 0; ordinal < 3; ++ordinal) random_products(ordinal);
  std::printf("%s\n", failures == 0 ? "tensor arithmetic: all right" : "tensor arithmetic: failures above");
  return failures == 0 ? 0 : 1;
}
