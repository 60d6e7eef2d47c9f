// Which loop machine_code counts, in hand-made code.
#include <cstdio>
#include <exception>
#include <string>

#include "code_sample.hpp"

using namespace code_sample;

namespace {

int failures = 0;
void expect(const std::string& what, const std::vector<Instruction>& code, int arch, const std::string& expected) {
  std::string found;
  try {
    const Loop loop = multiplying_loop(machine_code(cubin(".text.kernel", code), "kernel"), arch);
    found = std::to_string(loop.instructions) + " instructions, " + std::to_string(loop.products) + " products";
  } catch (const std::exception& error) {
    found = error.what();
  }
  if (found != expected) ++failures, std::printf("FAILED: %s: %s, expected %s\n", what.c_str(), found.c_str(), expected.c_str());
}

void expect_thrown(const std::string& cubin, const std::string& expected) {
  try {
    machine_code(cubin, "kernel");
    ++failures, std::printf("FAILED: '%s' is not thrown\n", expected.c_str());
  } catch (const std::exception& error) {
    if (error.what() != expected) ++failures, std::printf("FAILED: '%s', expected '%s'\n", error.what(), expected.c_str());
  }
}

}  // namespace

int main() {
  for (const int arch : {75, 80, 86, 89, 90}) {
    const std::string on = " on sm_" + std::to_string(arch);
    // Every kernel ends so: a branch to itself.
    expect("no loop" + on, {mma(), leave(), branch(2, 2, true, arch)}, arch, "has no loop with HMMA");
    expect("a loop in a loop" + on, {other(), mma(), other(), mma(), branch(4, 2, false, arch), branch(5, 1, false, arch), leave(), branch(7, 7, true, arch)}, arch,
           "3 instructions, 8 products");
    expect("a loop without products in the one with" + on,
           {mma(), other(), branch(2, 1, false, arch), mma(false), branch(4, 0, false, arch), leave(), branch(6, 6, true, arch)}, arch, "5 instructions, 12 products");
    expect("a long way back" + on,
           [&] {
             std::vector<Instruction> code(300, other());
             code[0] = mma();
             code.push_back(branch(300, 0, false, arch));
             return code;
           }(), arch, "301 instructions, 8 products");
    // A parted warp's product, which goes on in the middle of the loop: from there to here is no loop, and longer.
    expect("a way round behind the end" + on,
           {other(), branch(1, 6, true, arch, 2), mma(), branch(3, 0, false, arch), leave(), other(), mma(), mma(), branch(8, 3, true, arch), branch(9, 9, true, arch)},
           arch, "4 instructions, 8 products");
    // Both sides of an if.
    expect("ways round in the loop" + on,
           {branch(0, 3, false, arch), mma(), branch(2, 4, true, arch), mma(), branch(4, 0, false, arch), leave()}, arch, "5 instructions, 16 products");
  }
  expect("FFMA where there is no HMMA", {fma(), branch(1, 0, false), fma(), fma(), branch(4, 2, false), leave()}, 80, "3 instructions, 2 products");
  expect("HMMA before FFMA", {fma(), fma(), branch(2, 0, false), mma(), branch(4, 3, false), leave()}, 80, "2 instructions, 8 products");
  expect("neither", {other(), branch(1, 0, false), leave()}, 80, "has no loop with HMMA or FFMA");
  expect("a branch to before the kernel", {mma(), branch(1, -5, false), leave()}, 80, "has no loop with HMMA");

  const std::string whole = cubin(".text.kernel", {mma()});
  expect_thrown("", "its cubin is no ELF file");
  expect_thrown("PTX", "its cubin is no ELF file");
  expect_thrown(whole.substr(0, 100), "its cubin is cut off");
  expect_thrown(whole.substr(0, whole.size() - 1), "its cubin is cut off");
  expect_thrown(cubin(".text.kernel_of_another_name", {mma()}), "its cubin has no section .text.kernel");
  std::printf(failures == 0 ? "machine_code: all as expected\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
