#include "card.hpp"

#include <cstdio>
#include <cstdlib>

namespace cudasim {

Card::Card(const Settings& settings)
    : profile(profile_named(settings.device)),
      arithmetic(settings.arithmetic),
      checks(settings.checks),
      schedule(policy_named(settings.schedule), settings.seed),
      memory(settings.memory_bytes != 0 ? settings.memory_bytes : profile.memory_bytes, settings.checks),
      streams(settings.seed) {
  streams.execute = [this](const Operation& operation) { execute(operation); };
  streams.settled = [this](const StreamClock& known) { history.forget(known); };
}

bool Card::begin_launch() {
  ++launches;
  if (executed_launches > 0) --executed_launches;
  else if (executed_launches == 0) return false;
  return true;
}

void Card::tick() {
  if (checks && ++now == 0) {
    std::fputs("cudasim: the clock has run over; use a shorter run\n", stderr);
    std::abort();
  }
}

void Card::fail(Defect defect, const std::string& text) {
  const std::lock_guard<std::mutex> guard(report_lock_);
  if (lost != 0) return;
  last_report_ = std::string(defect_name(defect)) + ": " + text;
  std::fprintf(stderr, "cudasim: %s\n", last_report_.c_str());
  lost = defect_code(defect);
}

void Card::execute(const Operation& operation) {
  if (lost != 0) return;
  tick();
  history.begin(operation, now);
  operation.run(operation);
  history.end(now);
  tick();
}

std::optional<std::string> Card::use(Allocation& allocation) {
  const Operation& operation = history.current();
  const OperationKey key{operation.stream, operation.sequence};
  if (!allocation.live) return "memory is used after it was freed";
  if (allocation.stream_ordered && !history.knows(allocation.allocated_by) &&
      !(allocation.allocated_by.stream == key.stream && allocation.allocated_by.sequence <= key.sequence))
    return "memory is used in stream " + std::to_string(key.stream) + " before its cuMemAllocAsync in stream " +
           std::to_string(allocation.allocated_by.stream) + " is ordered before it";
  for (OperationKey& touched : allocation.touched_by) {
    if (touched.stream != key.stream) continue;
    touched.sequence = key.sequence;
    return std::nullopt;
  }
  allocation.touched_by.push_back(key);
  return std::nullopt;
}

bool Card::access_range(std::uintptr_t begin, std::size_t bytes, bool write) {
  if (bytes == 0) return true;
  const std::string& name = history.current().name;
  Allocation* allocation = memory.find(begin);
  if (allocation == nullptr || begin < allocation->begin || begin + bytes > allocation->end) {
    fail(Defect::out_of_bounds, name + " of " + std::to_string(bytes) + " bytes: " + memory.describe(begin));
    return false;
  }
  if (const auto problem = use(*allocation)) {
    fail(allocation->live ? Defect::stream_order : Defect::out_of_bounds, name + ": " + *problem);
    return false;
  }
  if (!checks) return true;
  for (std::uintptr_t address = begin / granule_bytes * granule_bytes; address < begin + bytes; address += granule_bytes) {
    Cell& cell = *memory.cell(address);
    for (const std::uint32_t stamp : {cell.write_stamp, write ? cell.read_stamp[0] : 0u, write ? cell.read_stamp[1] : 0u}) {
      if (stamp == 0 || history.ordered(stamp)) continue;
      fail(Defect::stream_order, name + " in stream " + std::to_string(history.current().stream) + " touches " +
                                     memory.describe(address) + " and is not ordered after " + history.operation_at(stamp));
      return false;
    }
    (write ? cell.write_stamp : cell.read_stamp[0]) = now;
    if (write) cell.write_bytes = 3;
    else cell.read_bytes_0 = 3, cell.read_thread[0] = 0;
  }
  return true;
}

void Card::release(Allocation& allocation) {
  for (const OperationKey touched : allocation.touched_by)
    if (!history.knows(touched) && touched.stream != history.current().stream)
      return fail(Defect::stream_order, "cuMemFreeAsync in stream " + std::to_string(history.current().stream) +
                                            " is not ordered after the last use in stream " + std::to_string(touched.stream));
  if (allocation.live) memory.release(allocation);
}

}  // namespace cudasim
