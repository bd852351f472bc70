/* What the tests of conv_bf16_nchwc_amx and conv_bf16_nchwc_avx512 need beside their rows: the kernels with their instructions emulated
 * run on any CPU. */
#ifndef CLVGG_ALGO_CONV_BF16_H
#define CLVGG_ALGO_CONV_BF16_H

#include "algo/algo.h"

/* A row's prepare, with more build options: "" or " -DNAME ...". */
clvgg_status conv_bf16_prepare(algo_instance *inst, const layer *l, const char *options);

#endif
