// Hand-made machine code, and the cubin that holds it.
#pragma once

#include <elf.h>

#include <cstring>
#include <string>
#include <vector>

#include "machine_code.hpp"

namespace code_sample {

// @PT, and no predicate in a branch's second place.
constexpr std::uint64_t always_low = 7 << 12, always_high = 7 << 23;

inline Instruction plain(std::uint64_t opcode) { return {opcode | always_low, always_high}; }
inline Instruction other() { return plain(0x210); }  // IADD3
inline Instruction fma() { return plain(0x423); }    // FFMA with a constant
inline Instruction leave() { return plain(0x94d); }
inline Instruction mma(bool k16 = true) { return {0x23c | always_low, always_high | (k16 ? 1u << 11 : 0u)}; }

// The branch at `from`, to `to`; `form` as .DIV has it is 2.
inline Instruction branch(int from, int to, bool always, int arch = 80, int form = 0) {
  const long distance = 4L * (to - from - 1), far = arch >= 90 ? distance >> 8 : distance;
  const auto bits = static_cast<std::uint64_t>(far);
  Instruction one = {0x947 | (always ? always_low : 0) | static_cast<std::uint64_t>(form) << 32 | bits << 34, always_high | (bits >> 30 & 0x3ffff)};
  if (arch >= 90) one.low |= static_cast<std::uint64_t>(distance & 255) << 16;
  return one;
}

inline std::string cubin(const std::string& section, const std::vector<Instruction>& code) {
  const std::string names = '\0' + section + '\0';
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_shnum = 2;
  header.e_shoff = sizeof header;
  Elf64_Shdr sections[2] = {};
  sections[0].sh_offset = sizeof header + sizeof sections;
  sections[1].sh_name = 1;
  sections[1].sh_offset = sections[0].sh_offset + names.size();
  sections[1].sh_size = code.size() * sizeof(Instruction);
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + std::string(reinterpret_cast<const char*>(sections), sizeof sections) + names +
         std::string(reinterpret_cast<const char*>(code.data()), code.size() * sizeof(Instruction));
}

}  // namespace code_sample
