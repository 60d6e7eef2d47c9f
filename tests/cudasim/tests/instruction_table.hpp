// kernels/instructions.csv: machine instructions of the loops that multiply codes, and what a card leaves for them.
#pragma once

#include <map>
#include <string>
#include <vector>

// Columns: what is compiled (file, defines, arch, kernel); weights that a lane multiplies in one round of its loop, as the source unrolls it; bytes that one
// of them is in memory, empty where only the figure is kept; instructions of a round.
class InstructionTable {
 public:
  // With `renew`, measured counts are taken over instead of compared. A file name as `only` leaves the other files' lines as they are.
  InstructionTable(const std::string& text, bool renew, std::string only);

  // Every specialisation and architecture of a kernel that is in the table has a line.
  bool lists(const std::string& file, const std::string& kernel) const;
  // Reads a cubin; `compiled` are the first four columns. Returns what to print.
  std::string measure(const std::string& compiled, const std::string& cubin);
  void expect_all_measured();

  std::string text() const;
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  struct Line { int weights; std::string bytes; int instructions; bool measured; };

  bool renew_;
  std::string only_;
  std::map<std::string, Line> lines_;
  std::vector<std::string> failures_;
};
