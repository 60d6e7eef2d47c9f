#include "instruction_table.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "machine_code.hpp"

namespace {

const std::string columns = "file,defines,arch,kernel,weights,bytes,instructions";

// Instructions of threads that the scarcest card of an architecture can issue while its memory brings one NF4 weight, which is 0.5625 bytes with its
// magnitude: GTX 1650, A100, RTX 3090, H200. kernels.md 1.5, which has none of sm_89.
struct Supply { int arch; double instructions; };
constexpr Supply supplies[] = {{75, 13.1}, {80, 5.4}, {86, 10.7}, {90, 3.6}};
constexpr double nf4_bytes = 0.5625;

// Instructions per weight that a card leaves, 0 where nothing holds the kernel to them.
double budget(int arch, const std::string& bytes) {
  for (const Supply& supply : supplies)
    if (supply.arch == arch && !bytes.empty()) return supply.instructions * std::stod(bytes) / nf4_bytes;
  return 0.0;
}

int number(const std::string& text) {
  return text.empty() || text.size() > 8 || text.find_first_not_of("0123456789") != std::string::npos ? -1 : std::stoi(text);
}

bool decimal(const std::string& text) {
  char* end = nullptr;
  return text.find_first_not_of("0123456789.") == std::string::npos && std::strtod(text.c_str(), &end) > 0.0 && *end == '\0';
}

// Of "file,defines,sm_90a,kernel": 90.
int architecture(const std::string& compiled) { return std::atoi(compiled.c_str() + compiled.find(",sm_") + 4); }

}  // namespace

InstructionTable::InstructionTable(const std::string& text, bool renew, std::string only) : renew_(renew), only_(std::move(only)) {
  const auto fail = [&](const std::string& why) { failures_.push_back("kernels/instructions.csv: " + why); };
  std::istringstream table(text);
  std::string line;
  std::getline(table, line);
  if (line != columns) fail("its first line is '" + line + "', expected '" + columns + "'");
  while (std::getline(table, line)) {
    std::array<std::string, 7> parts;
    std::istringstream fields(line);
    for (std::string& part : parts) std::getline(fields, part, ',');
    const bool whole = !fields.fail() && fields.eof();
    const std::string compiled = parts[0] + "," + parts[1] + "," + parts[2] + "," + parts[3];
    if (!whole || parts[2].rfind("sm_", 0) != 0 || number(parts[4]) < 1 || (!parts[5].empty() && !decimal(parts[5])) || number(parts[6]) < 0)
      fail("'" + line + "' is no " + columns);
    else if (!lines_.insert({compiled, {number(parts[4]), parts[5], number(parts[6]), false}}).second)
      fail("'" + compiled + "' is there twice");
  }
}

bool InstructionTable::lists(const std::string& file, const std::string& kernel) const {
  const std::string begin = file + ",", end = "," + kernel;
  for (const auto& [compiled, line] : lines_)
    if (compiled.rfind(begin, 0) == 0 && compiled.size() > end.size() && compiled.compare(compiled.size() - end.size(), end.size(), end) == 0) return true;
  return false;
}

std::string InstructionTable::measure(const std::string& compiled, const std::string& cubin) {
  const auto fail = [&](const std::string& why) { failures_.push_back(compiled + ": " + why); };
  const int arch = architecture(compiled);
  Loop loop{};
  try {
    loop = multiplying_loop(machine_code(cubin, compiled.substr(compiled.rfind(',') + 1)), arch);
  } catch (const std::runtime_error& error) {
    fail(error.what());
  }
  const auto found = lines_.find(compiled);
  if (found == lines_.end()) {
    fail("has no line in kernels/instructions.csv; give it one with its weights, and 0 instructions until nvrtc_gate --write");
    return "no line";
  }
  Line& line = found->second;
  line.measured = true;
  if (loop.instructions == 0) return "no loop";
  if (renew_) line.instructions = loop.instructions;
  // Too many weights would make the kernel look cheaper than it is. How many tokens share them is not to be seen here.
  if (line.weights > loop.products)
    fail("makes " + std::to_string(loop.products) + " products a round, kernels/instructions.csv says " + std::to_string(line.weights) + " weights");
  if (line.instructions != loop.instructions)
    fail(std::to_string(loop.instructions) + " instructions a round, kernels/instructions.csv says " + std::to_string(line.instructions) +
         "; if meant, see that its weights still hold, run nvrtc_gate --write and commit it");
  const double each = static_cast<double>(loop.instructions) / line.weights, most = budget(arch, line.bytes);
  char shown[200], limit[60] = "";
  if (most > 0.0) std::snprintf(limit, sizeof limit, ", the card has time for %.2f", most);
  std::snprintf(shown, sizeof shown, "%d instructions and %d products for %d weights: %.2f each%s", loop.instructions, loop.products, line.weights, each, limit);
  if (most > 0.0 && each > most) fail(shown);
  return shown;
}

void InstructionTable::expect_all_measured() {
  for (const auto& [compiled, line] : lines_)
    if (!line.measured && (only_.empty() || compiled.rfind(only_ + ",", 0) == 0))
      failures_.push_back(compiled + " is in kernels/instructions.csv but is not compiled");
}

std::string InstructionTable::text() const {
  std::ostringstream text;
  text << columns << "\n";
  for (const auto& [compiled, line] : lines_) text << compiled << "," << line.weights << "," << line.bytes << "," << line.instructions << "\n";
  return text.str();
}
