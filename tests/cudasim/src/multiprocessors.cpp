#include "multiprocessors.hpp"

#include <numeric>

namespace cudasim {
namespace {

// Below this the helpers would wake for nothing.
constexpr std::size_t fewest_shared_blocks = 8;

}  // namespace

Multiprocessors::Multiprocessors(Card& card) : card_(card), count_(card.checks ? 1 : host_threads_of_environment()), first_(card) {}

Multiprocessors::~Multiprocessors() {
  {
    const std::lock_guard<std::mutex> guard(lock_);
    closing_ = true;
  }
  work_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void Multiprocessors::run(const Launch& launch) {
  const auto [x, y, z] = launch.grid;
  std::vector<unsigned>& order = blocks_.order;
  order.resize(static_cast<std::size_t>(x) * y * z);
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t left = order.size(); left > 1; --left)
    std::swap(order[left - 1], order[card_.schedule.below(static_cast<std::uint32_t>(left))]);
  blocks_.next = 0;
  if (count_ == 1 || order.size() < fewest_shared_blocks) return first_.run(launch, blocks_);
  start_helpers();
  {
    const std::lock_guard<std::mutex> guard(lock_);
    launch_ = &launch;
    ++round_;
    busy_ = count_ - 1;
  }
  work_.notify_all();
  first_.run(launch, blocks_);
  std::unique_lock<std::mutex> guard(lock_);
  done_.wait(guard, [this] { return busy_ == 0; });
}

void Multiprocessors::start_helpers() {
  while (others_.size() + 1 < static_cast<std::size_t>(count_)) {
    others_.push_back(std::make_unique<Multiprocessor>(card_));
    helpers_.emplace_back([this, sm = others_.back().get()] { help(*sm); });
  }
}

void Multiprocessors::help(Multiprocessor& sm) {
  int seen = 0;
  std::unique_lock<std::mutex> guard(lock_);
  for (;;) {
    work_.wait(guard, [&] { return closing_ || round_ != seen; });
    if (closing_) return;
    seen = round_;
    const Launch& launch = *launch_;
    guard.unlock();
    sm.run(launch, blocks_);
    guard.lock();
    if (--busy_ == 0) done_.notify_one();
  }
}

}  // namespace cudasim
