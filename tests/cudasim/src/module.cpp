#include "module.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "host_compiler.hpp"
#include "ptx_image.hpp"

namespace cudasim {
namespace {

std::string elf_bytes(const void* image) {
  const auto* header = static_cast<const Elf64_Ehdr*>(image);
  if (std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
    throw std::invalid_argument("the image is neither an ELF file nor simulator PTX");
  // The section headers are the last thing in a file that ld has written.
  const std::size_t bytes = header->e_shoff + static_cast<std::size_t>(header->e_shnum) * header->e_shentsize;
  return std::string(static_cast<const char*>(image), bytes);
}

}  // namespace

Module::Module(const void* image, bool checks) {
  is_ptx_ = is_ptx_image(static_cast<const char*>(image));
  load(is_ptx_ ? elf_of_ptx_image(static_cast<const char*>(image)) : elf_bytes(image));
  if (checks_ == checks) return;
  const Compiled other = compile_kernel_text(text_of_bundle(static_cast<const char*>(dlsym(library_, "cudasim_module_bundle"))), checks);
  unload();
  if (!other.succeeded) throw std::invalid_argument("the image cannot be compiled again " + std::string(checks ? "with" : "without") + " checks: " + other.log);
  load(other.elf);
}

Module::~Module() { unload(); }

void Module::load(const std::string& elf) {
  file_ = memfd_create("cudasim-module", MFD_CLOEXEC);
  if (file_ < 0 || write(file_, elf.data(), elf.size()) != static_cast<ssize_t>(elf.size()))
    throw std::invalid_argument("the image cannot be written to memory");
  library_ = dlopen(("/proc/self/fd/" + std::to_string(file_)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr) {
    const std::string reason = dlerror();
    unload();
    throw std::invalid_argument("the image cannot be loaded: " + reason);
  }
  const auto* kind = static_cast<const int*>(dlsym(library_, "cudasim_module_kind"));
  const auto* entries = static_cast<const KernelEntry*>(dlsym(library_, "cudasim_module_kernels"));
  if (kind == nullptr || entries == nullptr) {
    unload();
    throw std::invalid_argument("the image was not made by the simulator's compiler");
  }
  arch_ = kind[0], specific_ = kind[1] != 0, checks_ = kind[2] != 0;
  functions_.clear();
  for (; entries->name != nullptr; ++entries) functions_.emplace_back(entries, this, 48u * 1024u);
  auto* map = static_cast<link_map*>(nullptr);
  dlinfo(library_, RTLD_DI_LINKMAP, &map);
  begin_ = map->l_addr;
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(elf.data());
  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(elf.data() + header->e_phoff);
  for (int i = 0; i < header->e_phnum; ++i)
    if (segments[i].p_type == PT_LOAD) end_ = begin_ + segments[i].p_vaddr + segments[i].p_memsz;
}

void Module::unload() {
  if (library_ != nullptr) dlclose(library_);
  if (file_ >= 0) close(file_);
  library_ = nullptr, file_ = -1;
}

Function* Module::function(const std::string& name) {
  for (Function& function : functions_)
    if (name == function.entry->name) return &function;
  return nullptr;
}

std::string Module::source_line(std::uintptr_t address) const {
  if (!contains(address)) return "";
  char command[128];
  std::snprintf(command, sizeof command, "addr2line -i -s -e /proc/%d/fd/%d 0x%zx 2>/dev/null", getpid(), file_,
                static_cast<std::size_t>(address - begin_));
  std::FILE* pipe = popen(command, "r");
  if (pipe == nullptr) return "";
  // Innermost first; what is inlined from the thin headers is named by the kernel's line that asked for it.
  std::string text;
  for (char line[512]; std::fgets(line, sizeof line, pipe) != nullptr;) {
    text = line;
    const auto from = [&](const char* header) { return text.rfind(header, 0) == 0; };
    if (!from("device.hpp:") && !from("ptx.cuh:") && !from("warpgroup.hpp:") && !from("bulk_copy.hpp:")) break;
  }
  pclose(pipe);
  if (const std::size_t end = text.find_first_of(" \n"); end != std::string::npos) text.resize(end);
  return text.rfind("??", 0) == 0 ? "" : text;
}

}  // namespace cudasim
