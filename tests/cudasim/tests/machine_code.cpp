#include "machine_code.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace {

// Opcodes: the last 12 bits; of FFMA the three above the last nine say where its operands come from. As nvdisasm 12.4 shows them.
constexpr unsigned branch = 0x947, leave = 0x94d, back_to_caller = 0x950, tensor_product = 0x23c, fused_product = 0x023;

struct Range { long first, last; int products; };

unsigned opcode(const Instruction& one) { return one.low & 0xfff; }

// Neither a predicate (bits 12 and 87 on, 7: none) nor, of a branch, a form that only a parted warp takes (bits 32 and 33: .U, .DIV, .CONV).
bool always(const Instruction& one) {
  return (one.low >> 12 & 15) == 7 && (one.high >> 23 & 15) == 7 && (opcode(one) != branch || (one.low >> 32 & 3) == 0);
}

// A branch says how far, from the next instruction on, in units of 4 bytes: 48 bits from bit 34 on, with a sign; sm_90 has eight lower ones at bit 16.
long target(const Instruction& one, long at, int arch) {
  const std::uint64_t bits = one.low >> 34 | (one.high & 0x3ffff) << 30;
  long distance = static_cast<long>(bits << 16) >> 16;
  if (arch >= 90) distance = distance * 256 + static_cast<long>(one.low >> 16 & 255);
  return at + 1 + distance / 4;
}

// Whether `last` can be reached from `first` without leaving what lies between: code behind the kernel's end that jumps back into a loop is none itself.
bool comes_round(const std::vector<Instruction>& code, int arch, long first, long last) {
  std::vector<bool> reached(last - first + 1);
  std::vector<long> open = {first};
  while (!open.empty()) {
    const long at = open.back();
    open.pop_back();
    if (at < first || at > last || reached[at - first]) continue;
    reached[at - first] = true;
    const unsigned what = opcode(code[at]);
    if (what == branch) open.push_back(target(code[at], at, arch));
    if (!always(code[at]) || (what != branch && what != leave && what != back_to_caller)) open.push_back(at + 1);
  }
  return reached[last - first];
}

template <typename T> T read(const std::string& file, std::uint64_t at) {
  T value;
  if (at > file.size() || file.size() - at < sizeof value) throw std::runtime_error("its cubin is cut off");
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

}  // namespace

std::vector<Instruction> machine_code(const std::string& cubin, const std::string& kernel) {
  if (cubin.compare(0, SELFMAG, ELFMAG) != 0) throw std::runtime_error("its cubin is no ELF file");
  const auto header = read<Elf64_Ehdr>(cubin, 0);
  const auto section = [&](int i) { return read<Elf64_Shdr>(cubin, header.e_shoff + static_cast<std::uint64_t>(i) * sizeof(Elf64_Shdr)); };
  const std::uint64_t names = section(header.e_shstrndx).sh_offset;
  const std::string wanted = ".text." + kernel;
  for (int i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr one = section(i);
    const std::uint64_t name = names + one.sh_name;
    // With the zero behind it.
    if (name >= cubin.size() || cubin.compare(name, wanted.size() + 1, wanted.c_str(), wanted.size() + 1) != 0) continue;
    std::vector<Instruction> code;
    for (std::uint64_t at = 0; at < one.sh_size; at += sizeof(Instruction)) code.push_back(read<Instruction>(cubin, one.sh_offset + at));
    return code;
  }
  throw std::runtime_error("its cubin has no section " + wanted);
}

Loop multiplying_loop(const std::vector<Instruction>& code, int arch) {
  const auto on_tensor_cores = [](const Instruction& one) { return opcode(one) == tensor_product; };
  const bool tensor = std::any_of(code.begin(), code.end(), on_tensor_cores);
  std::vector<Range> loops;
  for (long at = 0; at < static_cast<long>(code.size()); ++at) {
    const long first = opcode(code[at]) == branch ? target(code[at], at, arch) : at + 1;
    if (first < 0 || first > at || !comes_round(code, arch, first, at)) continue;
    Range loop = {first, at, 0};
    for (long i = first; i <= at; ++i) {
      // m16n8k16 (bit 75) or m16n8k8: 256 or 128 weights for 32 lanes.
      if (tensor && on_tensor_cores(code[i])) loop.products += code[i].high >> 11 & 1 ? 8 : 4;
      else if (!tensor && (opcode(code[i]) & 0x1ff) == fused_product) ++loop.products;
    }
    if (loop.products > 0) loops.push_back(loop);
  }
  const auto holds_another = [&](const Range& outer) {
    return std::any_of(loops.begin(), loops.end(), [&](const Range& inner) {
      return inner.first >= outer.first && inner.last <= outer.last && inner.last - inner.first < outer.last - outer.first;
    });
  };
  const Range* best = nullptr;
  for (const Range& loop : loops)
    if (!holds_another(loop) && (best == nullptr || loop.products > best->products)) best = &loop;
  if (best == nullptr) throw std::runtime_error(std::string("has no loop with ") + (tensor ? "HMMA" : "HMMA or FFMA"));
  return {static_cast<int>(best->last - best->first + 1), best->products};
}
