// "NVRTC": turns kernel text into a shared object that the simulator can execute, by calling g++.
#pragma once

#include <string>
#include <vector>

namespace cudasim {

struct SourceFile {
  std::string name, text;
};

struct Compiled {
  bool succeeded = false;
  bool options_understood = true;
  bool real_architecture = true;  // sm_XX gives cubin and PTX, compute_XX gives PTX alone
  std::string log, elf, target;
};

Compiled compile_kernel_text(const SourceFile& source, const std::vector<SourceFile>& headers, const std::vector<std::string>& options);

}  // namespace cudasim
