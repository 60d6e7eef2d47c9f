// Order between the operations of different streams: vector clocks, one component per stream.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "device_memory.hpp"

namespace cudasim {

// known[s] = how many operations of stream s are certainly finished before this one starts.
using StreamClock = std::vector<std::uint32_t>;
void join(StreamClock& into, const StreamClock& from);
bool reaches(const StreamClock& clock, int stream, std::uint32_t sequence);

struct Operation {
  int stream = 0;
  std::uint32_t sequence = 0;  // 1 for the stream's first
  StreamClock known;
  std::string name;
  std::function<void(const Operation&)> run;
};

// Maps stamps of earlier accesses to the operation that made them.
class OperationHistory {
 public:
  // `operation` starts at `stamp`; later questions are asked on its behalf.
  void begin(const Operation& operation, std::uint32_t stamp);
  void end(std::uint32_t stamp) { records_.back().end = stamp; }
  // Whether an access at a stamp before the current operation's start is ordered before it.
  bool ordered(std::uint32_t stamp) const { return stamp < safe_before_ || finished_before(stamp); }
  // Stamps below it are ordered before the current operation.
  std::uint32_t safe_before() const { return safe_before_; }
  bool knows(OperationKey key) const { return reaches(current_.known, key.stream, key.sequence); }
  const Operation& current() const { return current_; }
  std::string operation_at(std::uint32_t stamp) const;
  // What `known` reaches is finished before anything to come.
  void forget(const StreamClock& known);

 private:
  struct Record {
    std::uint32_t start, end;
    OperationKey key;
    std::string name;
  };
  const Record* record_at(std::uint32_t stamp) const;
  bool finished_before(std::uint32_t stamp) const;

  std::vector<Record> records_;
  Operation current_;
  std::uint32_t safe_before_ = 0;
};

}  // namespace cudasim
