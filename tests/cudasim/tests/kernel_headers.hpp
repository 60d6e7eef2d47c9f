// The headers of kernels/, as NVRTC takes them.
#pragma once

#include <filesystem>
#include <fstream>
#include <list>
#include <sstream>
#include <string>
#include <vector>

inline std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

struct KernelHeaders {
  KernelHeaders() {
    for (const auto& entry : std::filesystem::directory_iterator(KERNELS)) {
      if (entry.path().extension() != ".cuh") continue;
      names.push_back(kept.emplace_back(entry.path().filename().string()).c_str());
      texts.push_back(kept.emplace_back(text_of(entry.path().string())).c_str());
    }
  }
  KernelHeaders(const KernelHeaders&) = delete;
  KernelHeaders& operator=(const KernelHeaders&) = delete;
  int count() const { return static_cast<int>(names.size()); }

  std::list<std::string> kept;
  std::vector<const char*> names, texts;
};
