// "PTX" of the simulator: a text that names its target as PTX does and carries the compiled object in hexadecimal.
#pragma once

#include <string>

namespace cudasim {

std::string ptx_image(const std::string& target, const std::string& elf);
bool is_ptx_image(const char* image);
// Throws std::invalid_argument when the text was cut or altered.
std::string elf_of_ptx_image(const char* image);

}  // namespace cudasim
