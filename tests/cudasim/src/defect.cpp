#include "defect.hpp"

#include "cudasim/driver.h"

namespace cudasim {

const char* defect_name(Defect defect) {
  switch (defect) {
    case Defect::out_of_bounds: return "out of bounds";
    case Defect::misaligned: return "misaligned access";
    case Defect::race: return "race";
    case Defect::divergence: return "divergent warp collective";
    case Defect::deadlock: return "deadlock";
    case Defect::early_use: return "use before the asynchronous copy completed";
    case Defect::unwritten_shared: return "read of unwritten shared memory";
    case Defect::stream_order: return "unordered streams";
    case Defect::host_order: return "host memory of an unfinished copy";
    case Defect::unloaded: return "unloaded module";
    case Defect::unsupported: return "unsupported instruction";
    case Defect::resources: return "out of resources";
  }
  return "defect";
}

int defect_code(Defect defect) {
  switch (defect) {
    case Defect::out_of_bounds: return CUDA_ERROR_ILLEGAL_ADDRESS;
    case Defect::misaligned: return CUDA_ERROR_MISALIGNED_ADDRESS;
    case Defect::unloaded: return CUDA_ERROR_INVALID_PC;
    case Defect::unsupported: return CUDA_ERROR_ILLEGAL_INSTRUCTION;
    case Defect::resources: return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
    default: return CUDA_ERROR_LAUNCH_FAILED;
  }
}

}  // namespace cudasim
