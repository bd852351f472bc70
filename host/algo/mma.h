/* What the convolutions by matrix instructions share: the implicit matrix product of conv_mma.cl, whichever instruction multiplies. */
#ifndef CLVGG_ALGO_MMA_H
#define CLVGG_ALGO_MMA_H

#include "algo/common.h"

/* As the kernel has it: warps are NVIDIA's, or Intel's sub-groups. */
typedef struct mma_tile {
  size_t lanes; /* work-items of a warp */
  size_t warps_px, warps_oc;
  size_t warp_px, warp_oc; /* pixels and output channels of a warp */
  size_t k;                /* input channels */
  size_t blocks;           /* of sums: what an instruction adds to */
  size_t reads;            /* of words: what a lane needs from local memory to multiply one tile */
  uint64_t loops;          /* iterations that this takes */
} mma_tile;

/* What rows of the registry differ in. */
typedef struct mma_instruction {
  const algo_param *params; /* the first two are WARPS_PX and WARPS_OC */
  size_t modelled;          /* so many of the first ones are picked by the model */
  mma_tile (*tile)(const int *param);
  double speedup;     /* how much faster it multiplies halves and adds in f32 than other units compute in f32 */
  const char *option; /* of the build: " -DNAME", or "" */
} mma_instruction;

extern const mma_instruction mma_of_nvidia, mma_of_intel;

static inline size_t mma_warps(const mma_tile *t) {
  return t->warps_px * t->warps_oc;
}
static inline size_t mma_tile_px(const mma_tile *t) {
  return t->warps_px * t->warp_px;
}
static inline size_t mma_tile_oc(const mma_tile *t) {
  return t->warps_oc * t->warp_oc;
}

/* Leaves param as it is where that will do. */
void mma_choose(const mma_instruction *in, const clvgg_device_info *dev, const algo_problem *p, int *param);
/* Whether weights can be stored as halves; the instruction is the caller's to ask for. */
bool mma_fits_half(const mma_instruction *in, const clvgg_device_info *dev, const algo_problem *p, const int *param,
                   char *why);
/* With more build options: "" or " -DNAME ...". */
clvgg_status mma_prepare(const mma_instruction *in, algo_instance *inst, const layer *l, const char *more);

/* What struct algo's functions of these names do. */
void mma_group(const mma_instruction *in, const int *param, size_t local[3]);
uint64_t mma_local_bytes(const mma_instruction *in, const int *param);
uint64_t mma_iterations(const mma_instruction *in, const algo_problem *p, const int *param);
double mma_cost(const mma_instruction *in, const clvgg_device_info *dev, const algo_problem *p, const int *param);
void mma_work(const mma_instruction *in, const algo_problem *p, const int *param, double *flops, double *weight_bytes);
clvgg_status mma_enqueue(const mma_instruction *in, algo_instance *inst, size_t batch, const device_buffer *images,
                         const device_buffer *out, const device_buffer *workspace);

/* These, of an instruction, as a row needs them. */
#define MMA_FUNCTIONS(in)                                                                          \
  static void group(const int *param, size_t local[3]) {                                           \
    mma_group(&(in), param, local);                                                                \
  }                                                                                                \
  static uint64_t local_bytes(const int *param) {                                                  \
    return mma_local_bytes(&(in), param);                                                          \
  }                                                                                                \
  static uint64_t iterations(const algo_problem *p, const int *param) {                            \
    return mma_iterations(&(in), p, param);                                                        \
  }                                                                                                \
  static double cost(const clvgg_device_info *dev, const algo_problem *p, const int *param) {      \
    return mma_cost(&(in), dev, p, param);                                                         \
  }                                                                                                \
  static void work(const algo_problem *p, const int *param, double *flops, double *weight_bytes) { \
    mma_work(&(in), p, param, flops, weight_bytes);                                                \
  }                                                                                                \
  static clvgg_status prepare(algo_instance *inst, const layer *l) {                               \
    return mma_prepare(&(in), inst, l, "");                                                        \
  }                                                                                                \
  static clvgg_status enqueue(algo_instance *inst, size_t batch, const device_buffer *images,      \
                              const device_buffer *out, const device_buffer *workspace) {          \
    return mma_enqueue(&(in), inst, batch, images, out, workspace);                                \
  }

/* And the row. Weights and inputs are each rounded by up to u = 2^-11; products of halves are exact in f32. Errors of two kinds with any
 * signs are together sqrt(2) u, less than 2^-10. */
#define MMA_ROW(text)                                                                                          \
  {                                                                                                            \
    .name = (text), .op = LAYER_CONV, .in = ALGO_NCHW, .out = ALGO_NCHW, .pools = true, .form = ALGO_F16_MATH, \
    .weight_error = 0x1p-10, .params = params, .group = group, .local_bytes = local_bytes, .choose = choose,   \
    .supports = supports, .iterations = iterations, .cost = cost, .work = work, .prepare = prepare,            \
    .enqueue = enqueue, .release = algo_state_release                                                          \
  }

#endif
