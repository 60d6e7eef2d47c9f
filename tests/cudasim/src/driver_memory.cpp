// Device memory, in time (cuMemAlloc) and in the order of a stream (cuMemAllocAsync), and page-locked host memory.
#include <cstdlib>

#include "driver_state.hpp"

using namespace cudasim;

namespace {

// The device's default pool has no state of its own: freed memory is there for the next allocation at once.
CUmemoryPool pool_of(int ordinal) { return reinterpret_cast<CUmemoryPool>(static_cast<std::uintptr_t>(0x1000 + ordinal)); }

Allocation* allocate(CUctx_st& context, std::size_t bytes) {
  Card& card = *context.card;
  Allocation* allocation = card.memory.allocate(bytes);
  if (allocation != nullptr) return allocation;
  // Frees that streams have not reached yet may make room, as in the driver.
  card.streams.drain_all();
  return card.lost != 0 ? nullptr : card.memory.allocate(bytes);
}

Allocation* allocation_at(Card& card, CUdeviceptr pointer) {
  Allocation* allocation = card.memory.find(pointer);
  return allocation != nullptr && allocation->begin == pointer && allocation->live ? allocation : nullptr;
}

CUresult out_of_memory(Driver& driver, const char* call, const Card& card, std::size_t bytes) {
  return driver.refuse(CUDA_ERROR_OUT_OF_MEMORY, std::string(call) + " of " + std::to_string(bytes) + " bytes: " + std::to_string(card.memory.used_bytes()) +
                                                     " of " + std::to_string(card.memory.capacity_bytes()) + " are in use");
}

CUresult not_allocated(Driver& driver, const char* call, Card& card, CUdeviceptr pointer) {
  return driver.refuse(CUDA_ERROR_INVALID_VALUE, std::string(call) + ": not the start of a live allocation (" + card.memory.describe(pointer) + ")");
}

}  // namespace

CUDASIM_API CUresult cuMemAlloc_v2(CUdeviceptr* pointer, std::size_t bytes) {
  return context_call("cuMemAlloc_v2", [&](Driver& driver, CUctx_st& context) {
    if (pointer == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult refused = driver.outside_capture("cuMemAlloc")) return refused;
    const Allocation* allocation = allocate(context, bytes);
    if (allocation == nullptr) return out_of_memory(driver, "cuMemAlloc", *context.card, bytes);
    *pointer = allocation->begin;
    return CUDA_SUCCESS;
  });
}

// Waits for the device, as the driver does for memory that no stream ordered.
CUDASIM_API CUresult cuMemFree_v2(CUdeviceptr pointer) {
  return context_call("cuMemFree_v2", [&](Driver& driver, CUctx_st& context) {
    Card& card = *context.card;
    Allocation* allocation = allocation_at(card, pointer);
    if (allocation == nullptr) return not_allocated(driver, "cuMemFree", card, pointer);
    if (const CUresult refused = driver.outside_capture("cuMemFree")) return refused;
    if (!allocation->stream_ordered) card.streams.drain_all();
    else if (!card.streams.host_knows(allocation->touched_by) && card.lost == 0)
      card.fail(Defect::stream_order, "cuMemFree of memory from cuMemAllocAsync that a stream may still use");
    if (allocation->live) card.memory.release(*allocation);
    return CUDA_SUCCESS;
  }, WhenLost::release);
}

CUDASIM_API CUresult cuMemAllocAsync(CUdeviceptr* pointer, std::size_t bytes, CUstream stream) {
  return context_call("cuMemAllocAsync", [&](Driver& driver, CUctx_st& context) {
    if (pointer == nullptr || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
    CUstream_st* on = driver.stream(context, stream);
    if (on == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    // On hardware this makes an allocation node; a graph of ours uses memory that was there before.
    if (const CUresult refused = driver.not_capturing(*on, "cuMemAllocAsync")) return refused;
    Allocation* allocation = allocate(context, bytes);
    if (allocation == nullptr) return out_of_memory(driver, "cuMemAllocAsync", *context.card, bytes);
    allocation->stream_ordered = true;
    allocation->allocated_by = context.card->streams.enqueue(on->index, "cuMemAllocAsync", [](const Operation&) {});
    *pointer = allocation->begin;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream stream) {
  return context_call("cuMemFreeAsync", [&](Driver& driver, CUctx_st& context) {
    Card& card = *context.card;
    CUstream_st* on = driver.stream(context, stream);
    if (on == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (const CUresult refused = driver.not_capturing(*on, "cuMemFreeAsync")) return refused;
    Allocation* allocation = allocation_at(card, pointer);
    if (allocation == nullptr || allocation->free_asked) return not_allocated(driver, "cuMemFreeAsync", card, pointer);
    allocation->free_asked = true;
    if (card.lost != 0) card.memory.release(*allocation);
    else card.streams.enqueue(on->index, "cuMemFreeAsync", [&card, allocation](const Operation&) { card.release(*allocation); });
    return CUDA_SUCCESS;
  }, WhenLost::release);
}

CUDASIM_API CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* pool, CUdevice device) {
  Driver& driver = Driver::instance();
  const std::lock_guard<std::mutex> guard(driver.lock);
  if (!driver.initialised) return CUDA_ERROR_NOT_INITIALIZED;
  if (pool == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (device < 0 || static_cast<std::size_t>(device) >= driver.contexts.size()) return CUDA_ERROR_INVALID_DEVICE;
  *pool = pool_of(device);
  return CUDA_SUCCESS;
}

CUDASIM_API CUresult cuMemPoolSetAttribute(CUmemoryPool pool, int attribute, void* value) {
  return driver_call("cuMemPoolSetAttribute", [&](Driver& driver) {
    bool known = false;
    for (const auto& context : driver.contexts) known = known || pool_of(context->ordinal) == pool;
    return known && attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD && value != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUDASIM_API CUresult cuMemGetInfo_v2(std::size_t* free_bytes, std::size_t* total_bytes) {
  return context_call("cuMemGetInfo_v2", [&](Driver&, CUctx_st& context) {
    if (free_bytes == nullptr || total_bytes == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const DeviceMemory& memory = context.card->memory;
    *free_bytes = memory.capacity_bytes() - memory.used_bytes();
    *total_bytes = memory.capacity_bytes();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuMemHostAlloc(void** pointer, std::size_t bytes, unsigned flags) {
  return context_call("cuMemHostAlloc", [&](Driver& driver, CUctx_st&) {
    if (pointer == nullptr || bytes == 0 || flags > 7) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult refused = driver.outside_capture("cuMemHostAlloc")) return refused;
    constexpr std::size_t page = 4096;
    void* memory = std::aligned_alloc(page, (bytes + page - 1) / page * page);
    if (memory == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
    driver.pinned[reinterpret_cast<std::uintptr_t>(memory)] = bytes;
    *pointer = memory;
    return CUDA_SUCCESS;
  });
}

CUDASIM_API CUresult cuMemFreeHost(void* pointer) {
  return context_call("cuMemFreeHost", [&](Driver& driver, CUctx_st& context) {
    if (const CUresult refused = driver.outside_capture("cuMemFreeHost")) return refused;
    if (driver.pinned.erase(reinterpret_cast<std::uintptr_t>(pointer)) == 0)
      return driver.refuse(CUDA_ERROR_INVALID_VALUE, "cuMemFreeHost: not the start of live memory from cuMemHostAlloc");
    context.card->streams.drain_all();
    std::free(pointer);
    return CUDA_SUCCESS;
  }, WhenLost::release);
}
