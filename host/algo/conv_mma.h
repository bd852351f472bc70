/* What the tests of conv_f16_nchw_mma need beside its row: its kernel with the tensor instructions emulated runs on any device. */
#ifndef CLVGG_ALGO_CONV_MMA_H
#define CLVGG_ALGO_CONV_MMA_H

#include "algo/algo.h"

/* The row's prepare, with more build options: "" or " -DNAME ...". */
clvgg_status conv_mma_prepare(algo_instance *inst, const layer *l, const char *options);

#endif
