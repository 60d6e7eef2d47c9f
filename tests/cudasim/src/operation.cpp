#include "operation.hpp"

#include <algorithm>

namespace cudasim {

void join(StreamClock& into, const StreamClock& from) {
  if (into.size() < from.size()) into.resize(from.size());
  for (std::size_t s = 0; s < from.size(); ++s) into[s] = std::max(into[s], from[s]);
}

bool reaches(const StreamClock& clock, int stream, std::uint32_t sequence) {
  const auto s = static_cast<std::size_t>(stream);
  return sequence == 0 || (s < clock.size() && clock[s] >= sequence);
}

void OperationHistory::begin(const Operation& operation, std::uint32_t stamp) {
  current_.stream = operation.stream, current_.sequence = operation.sequence;
  current_.known = operation.known, current_.name = operation.name;
  safe_before_ = stamp;
  for (const Record& record : records_) {
    if (knows(record.key)) continue;
    safe_before_ = record.start;
    break;
  }
  records_.push_back({stamp, UINT32_MAX, {operation.stream, operation.sequence}, operation.name});
}

const OperationHistory::Record* OperationHistory::record_at(std::uint32_t stamp) const {
  const auto after = std::upper_bound(records_.begin(), records_.end(), stamp,
                                      [](std::uint32_t value, const Record& record) { return value < record.start; });
  return after == records_.begin() || stamp > (after - 1)->end ? nullptr : &*(after - 1);
}

void OperationHistory::forget(const StreamClock& known) {
  const auto finished = [&](const Record& record) { return reaches(known, record.key.stream, record.key.sequence); };
  records_.erase(std::remove_if(records_.begin(), records_.end(), finished), records_.end());
}

bool OperationHistory::finished_before(std::uint32_t stamp) const {
  const Record* record = record_at(stamp);
  return record == nullptr || knows(record->key);
}

std::string OperationHistory::operation_at(std::uint32_t stamp) const {
  const Record* record = record_at(stamp);
  return record == nullptr ? "an earlier operation" : record->name + " in stream " + std::to_string(record->key.stream);
}

}  // namespace cudasim
