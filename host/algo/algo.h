/*
 * Algorithms: the ways to compute a layer. registry.c is the one table of them and the only place to edit when one is added;
 * each has a host file here and a kernel file in cl/ of the same family. The name, <op>_<dtype>_<layout>_<strategy>, is the
 * kernel's, the plan's and the test's.
 */
#ifndef CLVGG_ALGO_ALGO_H
#define CLVGG_ALGO_ALGO_H

#include "algo/layout.h"
#include "device/device.h"
#include "network/layer.h"

#define ALGO_MAX_PARAMS 8
#define ALGO_WHY_BYTES  200

/* The work: one layer on up to batch images at a time. */
typedef struct algo_problem {
  layer_shape shape;
  size_t batch;
  size_t block; /* of ALGO_NCHWC: algo_block(dev) */
} algo_problem;

/* How weights are stored and multiplied, from the most exact form to the least. */
typedef enum algo_form {
  ALGO_F32,
  ALGO_F24,      /* 24-bit integers, and an f32 scale for each row (base/int24.h); the arithmetic is f32 */
  ALGO_F16,      /* IEEE half; the arithmetic is f32 */
  ALGO_F16_MATH, /* IEEE half, inputs rounded to half, products in half or exact; sums of many products are f32 */
  ALGO_BF16_MATH /* bfloat16, inputs rounded likewise, products exact; sums are f32 */
} algo_form;

/* A kernel macro that may be set: its name in the .cl file, and the values that it may take. */
typedef struct algo_param {
  const char *name;
  const char *meaning;
  int legal[20];  /* ends at the first 0 */
  bool launched;  /* no macro after all, but an argument of the launch: no value of it needs a kernel of its own */
  bool unordered; /* values that are near each other have nothing in common */
} algo_param;

typedef struct algo algo;

/* An algorithm bound to a device and a layer: kernels built, weights packed and uploaded. One thread at a time. */
typedef struct algo_instance {
  const algo *algo;
  clvgg_device *dev;
  algo_problem problem;
  int param[ALGO_MAX_PARAMS];
  pixel_map pixels; /* of an input in ALGO_RGB8 */
  void *state;      /* the algorithm's own */
} algo_instance;

struct algo {
  const char *name;
  layer_op op;
  algo_layout in, out;
  double error_growth; /* how much larger its rounding errors may be than those of direct sums; 0 means 1 */
  bool pools;          /* conv: can do the 2x2 max-pooling that follows, too */
  algo_form form;      /* other weights than f32 give an answer of their own accuracy: only where that was allowed */
  /* How far a stored weight may be off, relative to the largest of its row: half a step of 24-bit integers is 2^-24, and of halves
   * it is 2^-11. Of a conversion from pixels: how far a normalised value may be. */
  double weight_error;
  const algo_param *params; /* ends at a NULL name; may be NULL */

  /* ---- what parameters need of the device: checked before anything is built. Each may be NULL: nothing worth a check. */
  void (*group)(const int *param, size_t local[3]); /* the work-group that it launches */
  uint64_t (*local_bytes)(const int *param);        /* of local memory that a group uses */
  size_t (*registers)(const int *param); /* vectors of block floats that a work-item holds at once, on a CPU */

  /* The values that rules pick from the device's capabilities and the shape. */
  void (*choose)(const clvgg_device_info *dev, const algo_problem *p, int *param);
  /* False, with the reason in why (ALGO_WHY_BYTES), when it cannot run these parameters on this device and shape. */
  bool (*supports)(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why);
  /* Loop iterations that one work-item runs, all its loops added up (outer ones too): some drivers cap them. */
  uint64_t (*iterations)(const algo_problem *p, const int *param);
  /* The model of its time, in floating point operations at the device's peak: only ratios matter. NULL, or INFINITY where the model
   * does not hold (one of GPUs, on a CPU): it is known only to be slower than any that has a model. */
  double (*cost)(const clvgg_device_info *dev, const algo_problem *p, const int *param);
  /* What it really does: floating point operations of the batch (fewer than the layer's by fast algorithms), and bytes of the
   * weights that it keeps on the device. NULL: the layer's own, as f32. */
  void (*work)(const algo_problem *p, const int *param, double *flops, double *weight_bytes);
  /* Scratch memory that enqueue needs, shared between the layers. NULL: none. */
  size_t (*workspace_bytes)(const clvgg_device_info *dev, const algo_problem *p, const int *param);

  /* Builds kernels and uploads weights of l (not kept) into inst->state. On failure release is called. */
  clvgg_status (*prepare)(algo_instance *inst, const layer *l);
  /* batch <= problem.batch images, from in to out (elements start at 0). workspace may be NULL when it needs none. */
  clvgg_status (*enqueue)(algo_instance *inst, size_t batch, const device_buffer *in, const device_buffer *out,
                          const device_buffer *workspace);
  void (*release)(algo_instance *inst); /* takes a NULL state */
};

/* ---- the registry */
size_t algo_count(void);
const algo *algo_get(size_t i);
const algo *algo_find(const char *name); /* NULL when unknown */
size_t algo_index(const algo *a);        /* of a row; algo_count() when it is none */

/* supports, and what holds for all: ops agree, sizes fit kernel integers, the iteration cap, workspace within one allocation. */
bool algo_supports(const algo *a, const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why);
/* The model of its time; INFINITY where there is none: none counts on a software rasteriser, which runs a group's work-items as the
 * lanes of a CPU's vectors. */
double algo_cost(const algo *a, const clvgg_device_info *dev, const algo_problem *p, const int *param);
size_t algo_workspace_bytes(const algo *a, const clvgg_device_info *dev, const algo_problem *p, const int *param);
/* "TILE_X=8 TILE_OC=4", or "". Returns out. */
char *algo_params_text(const algo *a, const int *param, char *out, size_t bytes);

clvgg_status algo_open(const algo *a, clvgg_device *dev, const algo_problem *p, const int *param, const layer *l,
                       algo_instance *out);
void algo_close(algo_instance *inst); /* takes a zeroed one */
static inline clvgg_status algo_enqueue(algo_instance *inst, size_t batch, const device_buffer *in,
                                        const device_buffer *out, const device_buffer *workspace) {
  return inst->algo->enqueue(inst, batch, in, out, workspace);
}

#endif
