// Compiled objects on disk, beside the library or else in the temporary folder: a compilation costs a second, and every
// test process would do it again.
#pragma once

#include <optional>
#include <string>

namespace cudasim {

class ObjectCache {
 public:
  // For this build of the library; what other builds left beside it is removed.
  static ObjectCache& instance();

  // `key` is everything that the object depends on, apart from the library itself.
  std::optional<std::string> find(const std::string& key) const;
  void keep(const std::string& key, const std::string& object) const;

 private:
  ObjectCache();
  std::string file_of(const std::string& key) const;
  std::string folder_;  // empty: none can be written
};

// The file of this library.
std::string library_path();

}  // namespace cudasim
