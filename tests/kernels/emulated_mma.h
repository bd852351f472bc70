/* conv_f16_nchw_mma for any device: a row that only tests have. */
#ifndef CLVGG_TESTS_KERNELS_EMULATED_MMA_H
#define CLVGG_TESTS_KERNELS_EMULATED_MMA_H

#include "algo/algo.h"

/*
 * As the registry's row, but that the kernel is built with EMULATE_MMA, which does in plain OpenCL C what the tensor instructions do:
 * with 32 consecutive work-items as the warp, from and to the lanes that the PTX ISA names. Device and rules are those of a made-up
 * NVIDIA GPU with the real device's limits. Its products are exact, so there is nothing to allow for beyond the rounding of sums.
 */
const algo *emulated_mma(void);

#endif
