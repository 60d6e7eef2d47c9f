// The headers that kernel text includes, carried in the library so that it can be used from anywhere.
asm(R"(
.section .rodata
.globl cudasim_abi_text
.hidden cudasim_abi_text
cudasim_abi_text:
.incbin ")" CUDASIM_INCLUDE R"(/cudasim/abi.h"
.byte 0
.globl cudasim_half_text
.hidden cudasim_half_text
cudasim_half_text:
.incbin ")" CUDASIM_INCLUDE R"(/cudasim/half.h"
.byte 0
.globl cudasim_device_text
.hidden cudasim_device_text
cudasim_device_text:
.incbin ")" CUDASIM_INCLUDE R"(/cudasim/device.hpp"
.byte 0
.globl cudasim_warpgroup_text
.hidden cudasim_warpgroup_text
cudasim_warpgroup_text:
.incbin ")" CUDASIM_INCLUDE R"(/cudasim/warpgroup.hpp"
.byte 0
.globl cudasim_bulk_copy_text
.hidden cudasim_bulk_copy_text
cudasim_bulk_copy_text:
.incbin ")" CUDASIM_INCLUDE R"(/cudasim/bulk_copy.hpp"
.byte 0
.text
)");
