#include "object_cache.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cudasim/abi.h"

namespace cudasim {
namespace {

namespace fs = std::filesystem;

// FNV-1a, twice with different starts: 128 bits name a file, they guard no secret.
std::string digest(const std::string& text) {
  std::uint64_t sums[2] = {0xcbf29ce484222325u, 0x9e3779b97f4a7c15u};
  for (std::uint64_t& sum : sums)
    for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  char name[33];
  std::snprintf(name, sizeof name, "%016llx%016llx", static_cast<unsigned long long>(sums[0]), static_cast<unsigned long long>(sums[1]));
  return name;
}

std::string build_of_library() {
  const fs::path library = library_path();
  const auto changed = fs::last_write_time(library).time_since_epoch().count();
  return digest(library.string() + " " + std::to_string(fs::file_size(library)) + " " + std::to_string(changed));
}

bool make_folder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  return !problem && access(folder.c_str(), W_OK) == 0;
}

void remove_other_builds(const fs::path& folder, const std::string& build) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename() != build) fs::remove_all(entry.path(), ignored);
}

}  // namespace

std::string library_path() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&cudasim_sync_block), &info);
  return fs::canonical(info.dli_fname).string();
}

ObjectCache& ObjectCache::instance() {
  static ObjectCache cache;
  return cache;
}

ObjectCache::ObjectCache() {
  const std::string build = build_of_library();
  const fs::path beside = fs::path(library_path()).parent_path() / "cudasim-cache";
  if (make_folder(beside / build)) {
    remove_other_builds(beside, build);
    folder_ = (beside / build).string();
    return;
  }
  const fs::path elsewhere = fs::temp_directory_path() / ("cudasim-cache-" + std::to_string(getuid())) / build;
  if (make_folder(elsewhere)) folder_ = elsewhere.string();
}

std::string ObjectCache::file_of(const std::string& key) const { return folder_ + "/" + digest(key) + ".so"; }

std::optional<std::string> ObjectCache::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  std::ifstream file(file_of(key), std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream object;
  object << file.rdbuf();
  return object.str();
}

void ObjectCache::keep(const std::string& key, const std::string& object) const {
  if (folder_.empty()) return;
  // Written apart and renamed, so that nobody reads half of it.
  static std::atomic<int> count{0};
  const std::string target = file_of(key), part = target + "." + std::to_string(getpid()) + "." + std::to_string(count++);
  std::error_code problem;
  if (std::ofstream(part, std::ios::binary) << object) fs::rename(part, target, problem);
  else problem = std::make_error_code(std::errc::io_error);
  if (problem) fs::remove(part, problem);
}

}  // namespace cudasim
