/* What the tests of conv_bf16_nchwc_winograd and conv_bf16_nchwc_winograd_fused need beside their rows: the kernels with their instructions
 * emulated run on any CPU. */
#ifndef CLVGG_ALGO_CONV_WINOGRAD_H
#define CLVGG_ALGO_CONV_WINOGRAD_H

#include "algo/algo.h"

/* A row's prepare, with more build options: "" or " -DNAME ...". */
clvgg_status conv_winograd_prepare_staged(algo_instance *inst, const layer *l, const char *options);
clvgg_status conv_winograd_prepare_fused(algo_instance *inst, const layer *l, const char *options);

#endif
