#include "streams.hpp"

#include <stdexcept>

namespace cudasim {
namespace {
// A queue longer than this starts executing by itself, as a card would.
constexpr std::size_t longest_queue = 1024;
}  // namespace

int Streams::create(bool blocking) {
  streams_.push_back({blocking});
  executed_.push_back(0);
  ++live_count_;
  return static_cast<int>(streams_.size()) - 1;
}

void Streams::destroy(int stream) {
  // The driver lets queued work finish; the handle is gone at once.
  drain_stream(stream);
  streams_[static_cast<std::size_t>(stream)].live = false;
  --live_count_;
}

bool Streams::exists(int stream) const {
  return stream >= 0 && static_cast<std::size_t>(stream) < streams_.size() && streams_[static_cast<std::size_t>(stream)].live;
}

OperationKey Streams::enqueue(int stream, std::string name, std::function<void(const Operation&)> run) {
  Stream& target = streams_[static_cast<std::size_t>(stream)];
  Operation operation;
  operation.stream = stream;
  operation.sequence = ++target.issued;
  operation.name = std::move(name);
  operation.run = std::move(run);
  operation.known = host_known_;
  join(operation.known, target.tail);
  if (stream == 0) {
    for (const Stream& other : streams_)
      if (other.blocking) join(operation.known, other.tail);
  } else if (target.blocking) {
    join(operation.known, streams_[0].tail);
  }
  target.tail = operation.known;
  target.tail.resize(streams_.size());
  target.tail[static_cast<std::size_t>(stream)] = operation.sequence;
  const OperationKey key{stream, operation.sequence};
  target.queue.push_back(std::move(operation));
  while (streams_[static_cast<std::size_t>(stream)].queue.size() > longest_queue && step()) {
  }
  return key;
}

void Streams::wait_event(int stream, const Event& event) { join(streams_[static_cast<std::size_t>(stream)].tail, event.known); }

void Streams::record(int stream, const std::shared_ptr<Event>& event) {
  enqueue(stream, "event record", [event](const Operation&) { event->time = std::chrono::steady_clock::now(); });
  event->known = tail(stream);
  event->recorded = true;
}

bool Streams::finished(const StreamClock& known) const {
  for (std::size_t s = 0; s < known.size(); ++s)
    if (executed_[s] < known[s]) return false;
  return true;
}

bool Streams::ready(const Stream& stream) const { return !stream.queue.empty() && finished(stream.queue.front().known); }

bool Streams::step() {
  std::vector<std::size_t> ready_streams;
  for (std::size_t s = 0; s < streams_.size(); ++s)
    if (ready(streams_[s])) ready_streams.push_back(s);
  if (ready_streams.empty()) return false;
  const std::size_t chosen = ready_streams[random_() % ready_streams.size()];
  Operation operation = std::move(streams_[chosen].queue.front());
  streams_[chosen].queue.pop_front();
  execute(operation);
  ++executed_[chosen];
  return true;
}

void Streams::run_until(const StreamClock& known) {
  while (!finished(known)) {
    // Only a cycle of waits could leave nothing ready, and events cannot form one.
    if (!step()) throw std::logic_error("queued operations wait for each other");
  }
}

void Streams::host_learns(const StreamClock& known) {
  join(host_known_, known);
  if (settled && idle()) settled(host_known_);
}

void Streams::drain(const StreamClock& known) {
  run_until(known);
  host_learns(known);
}

// What an operation that the stream were given now would wait for.
StreamClock Streams::all_before(int stream) const {
  StreamClock known = tail(stream);
  if (stream == 0)
    for (const Stream& other : streams_)
      if (other.blocking) join(known, other.tail);
  return known;
}

void Streams::run_stream(int stream) { run_until(all_before(stream)); }
void Streams::drain_stream(int stream) { drain(all_before(stream)); }

bool Streams::poll(const StreamClock& known) {
  if (!finished(known)) step();
  if (!finished(known)) return false;
  host_learns(known);
  return true;
}

bool Streams::host_knows(const std::vector<OperationKey>& operations) const {
  for (const OperationKey operation : operations)
    if (!reaches(host_known_, operation.stream, operation.sequence)) return false;
  return true;
}

void Streams::drain_all() {
  for (const Stream& stream : streams_) drain(StreamClock(stream.tail));
}

bool Streams::idle() const {
  for (const Stream& stream : streams_)
    if (!stream.queue.empty()) return false;
  return true;
}

}  // namespace cudasim
