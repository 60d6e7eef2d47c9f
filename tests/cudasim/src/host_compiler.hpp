// "NVRTC": turns kernel text into a shared object that the simulator can execute, by calling g++.
#pragma once

#include <string>
#include <vector>

namespace cudasim {

struct SourceFile {
  std::string name, text;
};

struct KernelText {
  SourceFile source;
  std::vector<SourceFile> headers;
  std::vector<std::string> options;  // as NVRTC gets them
};

struct Compiled {
  bool succeeded = false;
  bool options_understood = true;
  bool real_architecture = true;  // sm_XX gives cubin and PTX, compute_XX gives PTX alone
  std::string log, elf, target;
};

// With `checks` every load and store of the kernels calls the simulator; without, they run at the compiler's best speed.
Compiled compile_kernel_text(const KernelText& text, bool checks = true);

// A compiled object carries its text, so that the other kind can be made of it.
KernelText text_of_bundle(const char* bundle);

}  // namespace cudasim
