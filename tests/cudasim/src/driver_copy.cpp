// Copies and fills. What the documentation leaves open is done in the way that helps a careless caller least: an
// asynchronous copy touches host memory when its stream gets there, page-locked or not.
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "driver_state.hpp"

using namespace cudasim;

namespace {

// Host memory of the caller may be gone by the time a stream reads it; the kernel then says so instead of a signal.
bool copy_host(void* to, const void* from, std::size_t bytes, bool from_host) {
  constexpr std::size_t most = std::size_t{1} << 30;
  while (bytes > 0) {
    const std::size_t part = std::min(bytes, most);
    iovec local{from_host ? to : const_cast<void*>(from), part}, remote{from_host ? const_cast<void*>(from) : to, part};
    const ssize_t done = from_host ? process_vm_readv(getpid(), &local, 1, &remote, 1, 0) : process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
    if (done < 0 && (errno == ENOSYS || errno == EPERM)) std::memcpy(to, from, part);
    else if (done != static_cast<ssize_t>(part)) return false;
    to = static_cast<char*>(to) + part, from = static_cast<const char*>(from) + part, bytes -= part;
  }
  return true;
}

std::uint64_t fingerprint(const void* memory, std::size_t bytes) {
  std::uint64_t sum = bytes;
  const auto* at = static_cast<const char*>(memory);
  for (; bytes >= 8; at += 8, bytes -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 32;
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, at, bytes);
  return (sum ^ rest) * 0x9e3779b97f4a7c15u;
}

// The driver knows its allocations and refuses a copy that leaves them, without harm to the context.
CUresult check_range(Driver& driver, Card& card, CUdeviceptr begin, std::size_t bytes, const char* call) {
  const Allocation* allocation = card.memory.find(begin);
  if (allocation != nullptr && allocation->live && begin >= allocation->begin && begin + bytes <= allocation->end) return CUDA_SUCCESS;
  return driver.refuse(CUDA_ERROR_INVALID_VALUE, std::string(call) + " of " + std::to_string(bytes) + " bytes: " + card.memory.describe(begin));
}

void upload(Card& card, CUdeviceptr to, const void* from, std::size_t bytes, const char* call) {
  if (!card.access_range(to, bytes, true)) return;
  if (!copy_host(reinterpret_cast<void*>(to), from, bytes, true)) card.fail(Defect::host_order, std::string(call) + ": the host memory is gone before the copy");
}

// Checks, then gives the stream what `issue` makes: a function of the card, made when the copy is issued.
template <typename MakeRun> CUresult submit(const char* call, CUstream stream, CUdeviceptr first, CUdeviceptr second, std::size_t bytes, MakeRun issue) {
  return context_call(call, [&](Driver& driver, CUctx_st& context) {
    CUstream_st* on = driver.stream(context, stream);
    if (on == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (bytes == 0) return CUDA_SUCCESS;
    if (const CUresult refused = check_range(driver, *context.card, first, bytes, call)) return refused;
    if (second != 0)
      if (const CUresult refused = check_range(driver, *context.card, second, bytes, call)) return refused;
    Card& card = *context.card;
    return driver.submit(*on, call, Issue([&card, issue] { return Work([&card, run = issue()](const Operation&) { run(card); }); }));
  });
}

template <typename Word> CUresult fill(const char* call, CUdeviceptr to, Word value, std::size_t count, CUstream stream) {
  if (to % sizeof(Word) != 0) return CUDA_ERROR_INVALID_VALUE;
  return submit(call, stream, to, 0, count * sizeof(Word), [=] {
    return [=](Card& card) {
      if (card.access_range(to, count * sizeof(Word), true)) std::fill_n(reinterpret_cast<Word*>(to), count, value);
    };
  });
}

}  // namespace

CUDASIM_API CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream) {
  if (from == nullptr && bytes > 0) return CUDA_ERROR_INVALID_VALUE;
  return submit("cuMemcpyHtoDAsync", stream, to, 0, bytes, [=] {
    return [=, meant = fingerprint(from, bytes)](Card& card) {
      upload(card, to, from, bytes, "cuMemcpyHtoDAsync");
      if (card.lost == 0 && fingerprint(reinterpret_cast<const void*>(to), bytes) != meant)
        card.fail(Defect::host_order, "cuMemcpyHtoDAsync of " + std::to_string(bytes) + " bytes: the host memory changed before the stream read it");
    };
  });
}

CUDASIM_API CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
  if (to == nullptr && bytes > 0) return CUDA_ERROR_INVALID_VALUE;
  return submit("cuMemcpyDtoHAsync", stream, from, 0, bytes, [=] {
    return [=](Card& card) {
      if (!card.access_range(from, bytes, false)) return;
      if (!copy_host(to, reinterpret_cast<const void*>(from), bytes, false)) card.fail(Defect::host_order, "cuMemcpyDtoHAsync: the host memory is gone before the copy");
    };
  });
}

CUDASIM_API CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream stream) {
  return submit("cuMemcpyDtoDAsync", stream, to, from, bytes, [=] {
    return [=](Card& card) {
      if (card.access_range(from, bytes, false) && card.access_range(to, bytes, true))
        std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
    };
  });
}

// Pageable memory is staged: the call returns when the caller's buffer has been read, but the transfer to the card is then
// ordered for streams that wait for the default stream only.
CUDASIM_API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, std::size_t bytes) {
  return context_call("cuMemcpyHtoD_v2", [&](Driver& driver, CUctx_st& context) {
    if (bytes == 0) return CUDA_SUCCESS;
    if (from == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Card& card = *context.card;
    if (const CUresult refused = check_range(driver, card, to, bytes, "cuMemcpyHtoD")) return refused;
    if (const CUresult refused = driver.outside_capture("cuMemcpyHtoD")) return refused;
    if (const CUresult refused = driver.not_capturing(context.legacy_stream, "cuMemcpyHtoD")) return refused;
    card.streams.enqueue(0, "cuMemcpyHtoD", [&card, to, from, bytes](const Operation&) { upload(card, to, from, bytes, "cuMemcpyHtoD"); });
    if (driver.is_pinned(from, bytes)) card.streams.drain_stream(0);
    else card.streams.run_stream(0);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuMemcpyDtoH_v2(void* to, CUdeviceptr from, std::size_t bytes) {
  return context_call("cuMemcpyDtoH_v2", [&](Driver& driver, CUctx_st& context) {
    if (bytes == 0) return CUDA_SUCCESS;
    if (to == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Card& card = *context.card;
    if (const CUresult refused = check_range(driver, card, from, bytes, "cuMemcpyDtoH")) return refused;
    if (const CUresult refused = driver.outside_capture("cuMemcpyDtoH")) return refused;
    if (const CUresult refused = driver.not_capturing(context.legacy_stream, "cuMemcpyDtoH")) return refused;
    card.streams.enqueue(0, "cuMemcpyDtoH", [&card, to, from, bytes](const Operation&) {
      if (card.access_range(from, bytes, false)) std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
    });
    card.streams.drain_stream(0);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, std::size_t count, CUstream stream) {
  return fill("cuMemsetD8Async", to, value, count, stream);
}
CUDASIM_API CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, std::size_t count, CUstream stream) {
  return fill("cuMemsetD32Async", to, value, count, stream);
}
