/* What the host halves of the algorithms share: state, kernels built from the parameter table, checks, group sizes. */
#ifndef CLVGG_ALGO_COMMON_H
#define CLVGG_ALGO_COMMON_H

#include <math.h>

#include "algo/algo.h"
#include "algo/pack.h"
#include "base/size.h"

/* The rows of the registry's table. */
extern const algo algo_conv_naive, algo_conv_direct, algo_conv_tiled, algo_conv_im2col;
extern const algo algo_conv_implicit_gemm, algo_conv_implicit_gemm_half, algo_conv_implicit_gemm_half_math,
    algo_conv_implicit_gemm_subgroup;
extern const algo algo_conv_mma, algo_conv_dpas;
extern const algo algo_maxpool_naive, algo_avgpool_naive, algo_softmax_naive;
extern const algo algo_fc_naive, algo_fc_tiled, algo_fc_tiled_int24, algo_fc_tiled_half, algo_fc_clblast;
extern const algo algo_fc_subgroup, algo_fc_subgroup_half;
extern const algo algo_conv_winograd, algo_conv_winograd_fused, algo_conv_winograd_on_the_fly, algo_conv_direct_nchwc,
    algo_conv_direct_image, algo_conv_im2col_nchwc;
extern const algo algo_conv_direct_pixels;
extern const algo algo_conv_bf16_amx, algo_conv_bf16_avx512, algo_conv_bf16_winograd, algo_conv_bf16_winograd_fused;
extern const algo algo_conv_winograd_gpu, algo_conv_winograd_gpu_fused;
extern const algo algo_maxpool_nchwc, algo_avgpool_nchwc, algo_fc_gemv, algo_fc_gemv_nchwc;
extern const algo algo_fc_gemv_int24, algo_fc_gemv_int24_nchwc, algo_fc_gemv_half, algo_fc_gemv_half_nchwc;
extern const algo algo_convert_to_blocked, algo_convert_to_plain, algo_convert_image;

/* An instance's state, enough for every algorithm so far. */
typedef struct algo_state {
  device_kernel prologue, kernel, epilogue; /* launched in this order; most algorithms have the second only */
  packed_weights weights;
} algo_state;

static inline algo_state *algo_state_of(const algo_instance *inst) {
  return inst->state;
}

/* Makes the zeroed state; algo_state_release is every algorithm's release. */
clvgg_status algo_state_open(algo_instance *inst);
void algo_state_release(algo_instance *inst);

/* Builds a kernel with -D NAME=VALUE for every parameter. */
clvgg_status algo_build(const algo_instance *inst, const char *source, const char *name, device_kernel *out);
/* Likewise, with more options: "" or " -DNAME ...". */
clvgg_status algo_build_with(const algo_instance *inst, const char *source, const char *name, const char *more,
                             device_kernel *out);

/* The same for the algorithm's own kernel, when its first dimensions parameters are its work-group's size: as long as the
 * built kernel allows only smaller groups, the last dimension that can be is halved, in inst->param too. */
clvgg_status algo_build_group(algo_instance *inst, const char *source, size_t dimensions);
/* Likewise, with more options: "" or " -DNAME ...". */
clvgg_status algo_build_group_with(algo_instance *inst, const char *source, size_t dimensions, const char *more);

/* Writes the reason and returns false. */
bool algo_refuse(char *why, const char *format, ...) BASE_PRINTF(2, 3);

/* Bounds of enqueue's arguments: batch within the problem's, buffers large enough. */
clvgg_status algo_check(const algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                        const device_buffer *workspace);

/* The least value that the epilogue lets through. */
static inline float algo_lowest(const layer_shape *s) {
  return s->relu ? 0.0f : -INFINITY;
}

/* The largest power of two that is at most both. 1 when either is 0. */
int algo_power_of_two(size_t most, size_t limit);

/* A launch of kernel, one of the algorithm's, over three-dimensional work in groups for kernels that take any, as suits the device
 * (rules.h). */
clvgg_status algo_launch_any(const algo_instance *inst, const device_kernel *kernel, const device_arg *args,
                             size_t count, size_t x, size_t y, size_t z);

/* A launch of the convolution kernels of our own that have their arguments in common, weights in one panel: in, weights, bias,
 * out, batch, in_channels, out_channels, height, width, lowest. local NULL: the group of algo_launch_any. */
clvgg_status algo_launch_conv(const algo_instance *inst, size_t batch, const device_buffer *in,
                              const device_buffer *out, const size_t global[3], const size_t *local);

/* The same for those that can do the pooling after them: in, weights, bias, out, batch, in_channels, out_channels, height and width of
 * the input, pool, lowest. */
clvgg_status algo_launch_pooling_conv(const algo_instance *inst, size_t batch, const device_buffer *in,
                                      const device_buffer *out, const size_t global[3], const size_t *local);

/* The same for fully connected layers and one panel: in, weights, bias, out, batch, inputs, outputs, first_row, rows,
 * lowest. */
clvgg_status algo_launch_fc(const algo_instance *inst, size_t batch, size_t panel, const device_buffer *in,
                            const device_buffer *out, const size_t global[3], const size_t *local);

/* What kernels need to normalise the bytes of pixels: the means of red, green and blue, then the factors, which are 1 / std. */
#define ALGO_PIXEL_ARGS 6
void algo_pixel_args(const algo_instance *inst, device_arg args[ALGO_PIXEL_ARGS]);

/* Adds bias and applies ReLU in place to out (batch, out.c, pixels). */
clvgg_status algo_epilogue(const algo_instance *inst, size_t batch, size_t pixels, const device_buffer *out);

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#endif
