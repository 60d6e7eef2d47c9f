// A loaded image: the shared object that host_compiler.cpp made of one kernel text.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "cudasim/abi.h"

namespace cudasim {

class Module;

struct Function {
  Function(const KernelEntry* its_entry, Module* its_module, std::uint32_t dynamic)
      : entry(its_entry), module(its_module), most_dynamic_shared(dynamic) {}
  const KernelEntry* entry;
  Module* module;
  std::uint32_t most_dynamic_shared;  // raised by CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
  bool shared_asked_for = false;      // so: what is declared comes on top of it
  std::atomic<std::uint32_t> static_shared{0};  // its SHARED_ARRAYs; known once a block has run
};

class Module {
 public:
  // `image` is an ELF (cubin), or the text of a PTX image, which ends with a zero byte; one that was compiled with checks where
  // none are wanted, or the other way round, is compiled again. Throws std::invalid_argument.
  explicit Module(const void* image, bool checks = true);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  Function* function(const std::string& name);
  int arch() const { return arch_; }  // 75 ... 90
  bool architecture_specific() const { return specific_; }  // the "a" of sm_90a
  bool is_ptx() const { return is_ptx_; }
  bool contains(std::uintptr_t address) const { return address >= begin_ && address < end_; }
  // "file.cu:line" of an instruction, or an empty string.
  std::string source_line(std::uintptr_t address) const;

 private:
  void load(const std::string& elf);
  void unload();

  int file_ = -1;
  void* library_ = nullptr;
  std::uintptr_t begin_ = 0, end_ = 0;
  int arch_ = 0;
  bool specific_ = false, is_ptx_ = false, checks_ = false;
  std::deque<Function> functions_;
};

}  // namespace cudasim
