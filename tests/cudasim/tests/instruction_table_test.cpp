// What holds a kernel to kernels/instructions.csv, and what is said of a line that does not hold.
#include <cstdio>
#include <string>
#include <vector>

#include "code_sample.hpp"
#include "instruction_table.hpp"

using namespace code_sample;

namespace {

const std::string columns = "file,defines,arch,kernel,weights,bytes,instructions\n", compiled = "a.cu,-DFORMAT=NF4,sm_90a,kernel";
int failures = 0;

void expect(const std::string& what, const std::string& found, const std::string& expected) {
  if (found != expected) ++failures, std::printf("FAILED: %s: '%s', expected '%s'\n", what.c_str(), found.c_str(), expected.c_str());
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += (all.empty() ? "" : "\n") + line;
  return all;
}

// A loop of 30 instructions that multiplies eight weights: 3.75 each, more than an H200 has time for with NF4 (3.6), less than with a byte for a weight (6.4).
std::string of_thirty() {
  std::vector<Instruction> code(29, other());
  code[0] = mma();
  code.push_back(branch(29, 0, false, 90));
  return cubin(".text.kernel", code);
}

InstructionTable measured(const std::string& line, bool renew = false) {
  InstructionTable table(columns + line, renew, "");
  table.measure(compiled, of_thirty());
  table.expect_all_measured();
  return table;
}

}  // namespace

int main() {
  expect("without a budget", joined(measured(compiled + ",8,,30\n").failures()), "");
  expect("within the budget", joined(measured(compiled + ",8,1.0,30\n").failures()), "");
  expect("above it", joined(measured(compiled + ",8,0.5625,30\n").failures()), compiled + ": 30 instructions and 8 products for 8 weights: 3.75 each, the card has time for 3.60");
  expect("another count", joined(measured(compiled + ",8,,31\n").failures()),
         compiled + ": 30 instructions a round, kernels/instructions.csv says 31; if meant, see that its weights still hold, run nvrtc_gate --write and commit it");
  expect("a count renewed", measured(compiled + ",8,1.0,0\n", true).text(), columns + compiled + ",8,1.0,30\n");
  expect("too many weights", joined(measured(compiled + ",9,,30\n").failures()), compiled + ": makes 8 products a round, kernels/instructions.csv says 9 weights");

  const std::string other_arch = "a.cu,-DFORMAT=NF4,sm_75,kernel";
  expect("no line, and one of what is not compiled", joined(measured(other_arch + ",8,,30\n").failures()),
         compiled + ": has no line in kernels/instructions.csv; give it one with its weights, and 0 instructions until nvrtc_gate --write\n" + other_arch +
             " is in kernels/instructions.csv but is not compiled");
  InstructionTable only(columns + compiled + ",8,,30\n", false, "b.cu");
  only.expect_all_measured();
  expect("another file than the one that is compiled", joined(only.failures()), "");
  InstructionTable empty(columns + compiled + ",8,,30\n", false, "");
  empty.measure(compiled, cubin(".text.kernel", {mma(), leave()}));
  expect("no loop", joined(empty.failures()), compiled + ": has no loop with HMMA");
  expect("kernels that are listed", std::string(empty.lists("a.cu", "kernel") ? "yes" : "no") + (empty.lists("a.cu", "other_kernel") ? "yes" : "no") +
         (empty.lists("b.cu", "kernel") ? "yes" : "no"), "yesnono");

  const std::string no_columns = "' is no file,defines,arch,kernel,weights,bytes,instructions";
  for (const char* rest : {",8,30", ",8,,30,1", ",0,,30", ",8,,", ",8,,x", ",8,1.2.3,30", ",8,-1,30", ""}) {
    const std::string line = compiled + rest;
    expect("a malformed line", joined(InstructionTable(columns + line + "\n", false, "").failures()), "kernels/instructions.csv: '" + line + no_columns);
  }
  expect("a line twice", joined(InstructionTable(columns + compiled + ",8,,30\n" + compiled + ",8,,31\n", false, "").failures()),
         "kernels/instructions.csv: '" + compiled + "' is there twice");
  expect("no file", joined(InstructionTable("", false, "").failures()),
         "kernels/instructions.csv: its first line is '', expected 'file,defines,arch,kernel,weights,bytes,instructions'");
  std::printf(failures == 0 ? "instruction_table: all as expected\n" : "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
