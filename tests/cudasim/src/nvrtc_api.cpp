// NVRTC's entry points: one program is one kernel text with its headers; compiling calls g++ (host_compiler.hpp).
#include <cstring>
#include <stdexcept>

#include "card.hpp"
#include "cudasim/driver.h"
#include "host_compiler.hpp"
#include "kernel_options.hpp"
#include "listed_kernels.hpp"
#include "ptx_image.hpp"
#include "versions.hpp"

enum nvrtcResult : int {
  NVRTC_SUCCESS = 0,
  NVRTC_ERROR_OUT_OF_MEMORY = 1,
  NVRTC_ERROR_PROGRAM_CREATION_FAILURE = 2,
  NVRTC_ERROR_INVALID_INPUT = 3,
  NVRTC_ERROR_INVALID_PROGRAM = 4,
  NVRTC_ERROR_INVALID_OPTION = 5,
  NVRTC_ERROR_COMPILATION = 6,
  NVRTC_ERROR_BUILTIN_OPERATION_FAILURE = 7,
  NVRTC_ERROR_INTERNAL_ERROR = 11,
};

struct Program {
  cudasim::KernelText text;
  std::string log, cubin, ptx;
};
using nvrtcProgram = Program*;

namespace {

nvrtcResult copy_out(const std::string& text, char* to) {
  if (to == nullptr) return NVRTC_ERROR_INVALID_INPUT;
  std::memcpy(to, text.data(), text.size());
  return NVRTC_SUCCESS;
}

// Texts end with a zero byte that is counted; a cubin does not.
nvrtcResult copy_text(const std::string& text, char* to) {
  if (to == nullptr) return NVRTC_ERROR_INVALID_INPUT;
  std::memcpy(to, text.c_str(), text.size() + 1);
  return NVRTC_SUCCESS;
}

nvrtcResult size_of(nvrtcProgram program, std::size_t* bytes, std::size_t value) {
  if (program == nullptr) return NVRTC_ERROR_INVALID_PROGRAM;
  if (bytes == nullptr) return NVRTC_ERROR_INVALID_INPUT;
  *bytes = value;
  return NVRTC_SUCCESS;
}

}  // namespace

CUDASIM_API nvrtcResult nvrtcVersion(int* major, int* minor) {
  if (major == nullptr || minor == nullptr) return NVRTC_ERROR_INVALID_INPUT;
  const cudasim::CompilerVersion version = cudasim::compiler_version_of_environment();
  *major = version.major, *minor = version.minor;
  return NVRTC_SUCCESS;
}

CUDASIM_API const char* nvrtcGetErrorString(nvrtcResult result) {
  switch (result) {
    case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
    case NVRTC_ERROR_OUT_OF_MEMORY: return "NVRTC_ERROR_OUT_OF_MEMORY";
    case NVRTC_ERROR_PROGRAM_CREATION_FAILURE: return "NVRTC_ERROR_PROGRAM_CREATION_FAILURE";
    case NVRTC_ERROR_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
    case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
    case NVRTC_ERROR_INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
    case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
    case NVRTC_ERROR_BUILTIN_OPERATION_FAILURE: return "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE";
    case NVRTC_ERROR_INTERNAL_ERROR: return "NVRTC_ERROR_INTERNAL_ERROR";
  }
  return "NVRTC_ERROR unknown";
}

CUDASIM_API nvrtcResult nvrtcCreateProgram(nvrtcProgram* program, const char* text, const char* name, int headers, const char* const* header_texts,
                                           const char* const* header_names) {
  if (program == nullptr || text == nullptr || headers < 0 || (headers > 0 && (header_texts == nullptr || header_names == nullptr)))
    return NVRTC_ERROR_INVALID_INPUT;
  *program = new Program{{{name != nullptr && *name != 0 ? name : "default_program", text}, {}, {}}, {}, {}, {}};
  for (int i = 0; i < headers; ++i) (*program)->text.headers.push_back({header_names[i], header_texts[i]});
  return NVRTC_SUCCESS;
}

CUDASIM_API nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
  if (program == nullptr || *program == nullptr) return NVRTC_ERROR_INVALID_PROGRAM;
  delete *program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}

CUDASIM_API nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int count, const char* const* options) {
  if (program == nullptr) return NVRTC_ERROR_INVALID_PROGRAM;
  if (count < 0 || (count > 0 && options == nullptr)) return NVRTC_ERROR_INVALID_INPUT;
  try {
    program->text.options.assign(options, options + count);
    const cudasim::KernelOptions asked = cudasim::kernel_options(program->text.options);
    const cudasim::CompilerVersion version = cudasim::compiler_version_of_environment();
    // What only one architecture has came with 12.0.
    if (asked.error.empty() && (std::stoi(asked.arch) > cudasim::newest_architecture(version) || (asked.specific && version.major < 12))) {
      program->log = "nvrtc: error: invalid value for --gpu-architecture (-arch): " + asked.target + "\n";
      return NVRTC_ERROR_INVALID_OPTION;
    }
    if (const std::string list = cudasim::kernel_list_of_environment(); asked.error.empty() && !list.empty()) {
      std::string defines;
      for (const std::string& define : asked.defines) defines += (defines.empty() ? "" : " ") + define;
      program->log = cudasim::unlisted(list, program->text.source.name, defines, std::stoi(asked.arch));
      if (!program->log.empty()) return NVRTC_ERROR_COMPILATION;
    }
    const cudasim::Compiled compiled = cudasim::compile_kernel_text(program->text, cudasim::checks_of_environment());
    program->log = compiled.log;
    if (!compiled.options_understood) return NVRTC_ERROR_INVALID_OPTION;
    if (!compiled.succeeded) return NVRTC_ERROR_COMPILATION;
    program->ptx = cudasim::ptx_image(compiled.target, compiled.elf);
    program->cubin = compiled.real_architecture ? compiled.elf : std::string();
    return NVRTC_SUCCESS;
  } catch (const std::exception& problem) {
    program->log = problem.what();
    return NVRTC_ERROR_INTERNAL_ERROR;
  }
}

CUDASIM_API nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, std::size_t* bytes) {
  return size_of(program, bytes, program != nullptr ? program->log.size() + 1 : 0);
}
CUDASIM_API nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char* log) {
  return program != nullptr ? copy_text(program->log, log) : NVRTC_ERROR_INVALID_PROGRAM;
}
// Without a real architecture there is no cubin, and its size is 0.
CUDASIM_API nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, std::size_t* bytes) {
  return size_of(program, bytes, program != nullptr ? program->cubin.size() : 0);
}
CUDASIM_API nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char* cubin) {
  return program != nullptr ? copy_out(program->cubin, cubin) : NVRTC_ERROR_INVALID_PROGRAM;
}
CUDASIM_API nvrtcResult nvrtcGetPTXSize(nvrtcProgram program, std::size_t* bytes) {
  return size_of(program, bytes, program != nullptr && !program->ptx.empty() ? program->ptx.size() + 1 : 0);
}
CUDASIM_API nvrtcResult nvrtcGetPTX(nvrtcProgram program, char* ptx) {
  if (program == nullptr) return NVRTC_ERROR_INVALID_PROGRAM;
  return program->ptx.empty() ? NVRTC_ERROR_INVALID_PROGRAM : copy_text(program->ptx, ptx);
}
