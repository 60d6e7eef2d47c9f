// Machine code (SASS) of a compiled kernel, read as far as it takes to say what the loop costs that multiplies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct Instruction { std::uint64_t low, high; };

// What is thrown here is a std::runtime_error that goes on from the kernel's name.
std::vector<Instruction> machine_code(const std::string& cubin, const std::string& kernel);

// Of one round. A lane's product is a weight by one token, on tensor cores by eight.
struct Loop { int instructions, products; };

// The loop that multiplies: HMMA where the kernel has any, else FFMA. Of loops in loops the innermost with such an instruction, of several side by side the
// one with the most. Everything between its first instruction and the branch back counts, executed or not: both sides of an if, predicated
// instructions, ways round that are seldom taken. What the compiler has laid behind the end (shuffles of a parted warp) does not, nor do loops around this one.
// `arch` is 75, 80, 86, 89 or 90.
Loop multiplying_loop(const std::vector<Instruction>& code, int arch);
