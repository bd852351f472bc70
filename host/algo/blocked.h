/* What the algorithms on blocked activations (NCHWC) share. */
#ifndef CLVGG_ALGO_BLOCKED_H
#define CLVGG_ALGO_BLOCKED_H

#include "algo/common.h"

/* In models of cost: operations at the peak in the time that a launch takes. */
#define FLOPS_A_LAUNCH 2e6
/* A lane's operations in the time that a byte takes to come from main memory: 10 to 13 on processors with AVX-512, 7 with AVX2. */
#define LANE_FLOPS_A_BYTE 0.8
/* A core's second level cache: what scratch and weights may take together. */
#define CACHE_BYTES 1.5e6

/* False, with the reason in why, where these kernels make no sense: their work-groups are single work-items with wide
 * vectors, which is what CPUs want and GPUs do not. */
bool blocked_supported(const clvgg_device_info *dev, const algo_problem *p, char *why);

/* Work-groups of the kernels that have one for each compute unit. */
size_t blocked_groups(const clvgg_device_info *dev);

/* The model of the time of flops operations at the peak and the weights that they need from memory: most of what takes less time is
 * hidden behind the other. */
double blocked_overlap(const algo_problem *p, double flops, double weight_bytes);

/* Builds a kernel with -D VEC=block, every parameter that is a macro, and more options (each with a leading blank). Uses the
 * compiler's prefetch where it has one. */
clvgg_status blocked_build(const algo_instance *inst, const char *source, const char *name, const char *more,
                           device_kernel *out);

/* Makes room for packed weights, bytes in one panel that the caller fills, and uploads l's bias filled up to rows with zeros. */
clvgg_status blocked_open(clvgg_device *dev, size_t bytes, const layer *l, size_t rows, packed_weights *out);

/* Puts a group's weights (rows, row length), as f32 with BN folded in, where they belong. */
typedef void blocked_place(const float *weights, size_t rows, size_t group, void *context);

/* Reads l's weights in groups of group_rows rows, of which the last may have fewer, in parallel, and has each group placed. */
clvgg_status blocked_pack(const layer *l, size_t group_rows, blocked_place *place, void *context);

/* Packs and uploads a convolution's weights as (groups of step output channels, blocks of lanes input channels, 3, 3, lanes, step), zeros
 * for surplus channels, and its bias. reversed: the input channels the other way round; there is one block of them then. */
clvgg_status blocked_pack_conv(clvgg_device *dev, const layer *l, size_t lanes, size_t step, bool reversed,
                               packed_weights *out);

/* Uploads packed weights as one panel, and l's bias filled up to rows with zeros. */
clvgg_status blocked_upload(clvgg_device *dev, const float *packed, size_t floats, const layer *l, size_t rows,
                            packed_weights *out);

#endif
