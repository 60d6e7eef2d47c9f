// The compile gate (tests/nvrtc_gate.cpp) knows the kernels of kernels/specialisations.csv and no others: what a program asks for beside them would be executed here,
// but never compiled for a card.
#pragma once

#include <string>

namespace cudasim {

// The list, GEMMACORE_CUDASIM_LISTED; empty where nothing is held to one.
std::string kernel_list_of_environment();

// Why a text with these definitions may not be compiled for an architecture; empty when it is in the list.
// defines: "-DNAME=value" separated by single spaces, as in the list. arch: its digits.
std::string unlisted(const std::string& list, const std::string& file, const std::string& defines, int arch);

}  // namespace cudasim
