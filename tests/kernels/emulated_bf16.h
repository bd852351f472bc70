/* The algorithms that multiply bf16 for any CPU: rows that only tests have. */
#ifndef CLVGG_TESTS_KERNELS_EMULATED_BF16_H
#define CLVGG_TESTS_KERNELS_EMULATED_BF16_H

#include "algo/algo.h"

/*
 * In the place of a registered row that the device has not the instructions for: the same, but that the kernel is built with EMULATE_BF16,
 * which does in plain OpenCL C what the instruction does. Any other row is given back as it is. Products of bf16 are exact, so there is
 * nothing to allow for beyond the rounding of sums.
 */
const algo *emulated_bf16(const clvgg_device_info *dev, const algo *registered);

/* conv_bf16_nchwc_amx with its instructions, whether the device has them or not: only where somebody catches their traps. */
const algo *unchecked_amx(void);

#endif
