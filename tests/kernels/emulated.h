/* The convolutions by matrix instructions, for any device: rows that only tests have. */
#ifndef CLVGG_TESTS_KERNELS_EMULATED_H
#define CLVGG_TESTS_KERNELS_EMULATED_H

#include "algo/algo.h"

/*
 * As the registry's row a, but that the kernel is built with EMULATE_MMA, which does in plain OpenCL C what the instruction does:
 * with consecutive work-items as the warp or sub-group, from and to the lanes that the PTX ISA, or the extension's specification, names.
 * Device and rules are those of a made-up GPU with the instruction and the real device's limits. Products are exact, so there is
 * nothing to allow for beyond the rounding of sums. Of conv_f16_nchw_dpas it is the form for sub-groups of 16. Any other row is a
 * itself.
 */
const algo *emulated(const algo *a);

/* conv_f16_nchw_dpas for sub-groups of 8. */
const algo *emulated_dpas_of_8(void);

/* Whether a is one of these rows. */
bool is_emulated(const algo *a);

#endif
