// What the simulator can find wrong in a program, and the driver's code that a real card would (at best) have given.
#pragma once

#include <string>

namespace cudasim {

enum class Defect {
  out_of_bounds,       // an address in no live allocation, shared array or own local variable
  misaligned,          // an address that is not a multiple of the access size
  race,                // two accesses of one launch, one a write, that no barrier orders
  divergence,          // lanes named by a warp collective's mask that do something else, or have left
  deadlock,            // every thread waits
  early_use,           // shared memory touched while an asynchronous copy into it is unfinished
  unwritten_shared,    // shared memory read before this block wrote it
  stream_order,        // two operations touch the same bytes and no event or synchronisation orders them
  host_order,          // host memory changed or gone while an asynchronous copy still needs it
  unloaded,            // a kernel whose module is gone
  unsupported,         // an instruction that this compute capability has not
  resources,           // more shared memory than the launch may have
};

const char* defect_name(Defect defect);
// CUresult of the launch that holds the defect.
int defect_code(Defect defect);

}  // namespace cudasim
