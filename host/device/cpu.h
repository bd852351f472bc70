/* Which instructions for bf16 a CPU has that kernels may use. The reading of CPUID's bits is apart, so that tests need no such CPU. */
#ifndef CLVGG_DEVICE_CPU_H
#define CLVGG_DEVICE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "device/device.h"

/* What cl/cpu_features.cl writes: registers of CPUID's leaves, and the lower half of XCR0. */
enum {
  CPU_LEAF_1_ECX,
  CPU_XCR0,
  CPU_LEAF_7_EAX, /* the last sub-leaf */
  CPU_LEAF_7_EBX,
  CPU_LEAF_7_EDX,
  CPU_LEAF_7_1_EAX,
  CPU_LEAF_1D_EAX, /* the last palette of tiles */
  CPU_LEAF_1D_1_EAX,
  CPU_LEAF_1D_1_EBX,
  CPU_LEAF_1D_1_ECX,
  CPU_WORDS
};

typedef struct cpu_bf16 {
  bool amx;    /* tdpbf16ps on eight tiles of 16 rows of 64 bytes; a process has to ask Linux for it besides */
  bool avx512; /* vdpbf16ps on 512 bits */
} cpu_bf16;

/* Both the processor and the operating system have to have them. */
cpu_bf16 cpu_read_bits(const uint32_t words[CPU_WORDS]);

/* Whether the device runs kernels in this process, compiled for its processor: a CPU device of PoCL, whose
 * compiler knows the instructions. */
bool cpu_is_own(const clvgg_device_info *info);
/* Asks this process' processor; false where it is none of x86-64. */
bool cpu_ask_here(uint32_t words[CPU_WORDS]);
/* Asks the device's. It fails on a device that is no x86-64 CPU, or whose compiler does not take assembly. */
clvgg_status cpu_ask_device(clvgg_device *dev, uint32_t words[CPU_WORDS]);

/* Sets amx_bf16 and avx512_bf16 of an open device's info, if it can be known. No failure is an error. */
void cpu_find_bf16(clvgg_device *dev);

#endif
