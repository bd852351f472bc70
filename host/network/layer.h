/* Layers of a network: what they compute and on which shapes; where their weights come from. */
#ifndef CLVGG_NETWORK_LAYER_H
#define CLVGG_NETWORK_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoint/tensor.h"
#include "network/pixels.h"

typedef enum layer_op {
  LAYER_CONV,    /* 3x3, stride 1, zero padding 1, bias, optional ReLU */
  LAYER_MAXPOOL, /* 2x2, stride 2, an odd last row or column is dropped (floor) */
  LAYER_AVGPOOL, /* adaptive average pooling: out[y] averages in[floor(y*H/OH) .. ceil((y+1)*H/OH)) */
  LAYER_FC,      /* inputs C*H*W flattened in that order, bias, optional ReLU */
  LAYER_SOFTMAX, /* over C */
  LAYER_CONVERT  /* another memory layout of the same values: only plans contain it, networks do not */
} layer_op;

typedef struct shape3 {
  size_t c, h, w;
} shape3;

/* All that an algorithm needs to know about a layer to say whether and how fast it can do it. */
typedef struct layer_shape {
  layer_op op;
  bool relu;
  shape3 in, out; /* fc and softmax outputs: (outputs, 1, 1) */
  bool pool;      /* conv: a 2x2 max-pooling follows in the same step; only plans set it */
} layer_shape;

typedef struct layer {
  char name[24]; /* "conv1_1", "pool1", "avgpool", "fc6", "softmax" */
  layer_shape shape;
  const tensor *weight; /* conv (out, in, 3, 3), fc (out, in); NULL for layers without */
  float *scale; /* (out.c): BN's factor for each row of weight; NULL when there is no BN. Owned by the network */
  float *bias;  /* (out.c), BN folded in. Owned by the network */
  const pixel_map *pixels; /* the first layer: how 8-bit pixels become its input. NULL where it takes no pixels */
} layer;

/* "conv", "maxpool", "avgpool", "fc", "softmax", "convert" */
const char *layer_op_name(layer_op op);
/* The op as error texts and plans print it: "conv 64x224x224 -> 64x224x224". Returns out. */
char *layer_shape_text(const layer_shape *s, char *out, size_t bytes);

/* Length of one row of the weight matrix: conv in.c * 9, fc in.c * in.h * in.w; 0 for the others. */
size_t layer_row_length(const layer_shape *s);

/* Elements of the weight matrix (out.c, row length). */
size_t layer_weight_count(const layer_shape *s);

/* Rows [first, first + rows) of the weight matrix (out.c, row length) as f32 with BN folded in: out (rows, row length).
 * Thread-safe; rows are independent. */
void layer_read_rows(const layer *l, size_t first, size_t rows, float *out);

/* Parameters as trained: weight, bias, BN's scale and shift. batch_norm as in the model. */
uint64_t layer_params(const layer_shape *s, bool batch_norm);
/* Operations of one image as the published model tables count them: a multiply-add is one. See layer.c. */
uint64_t layer_table_flops(const layer_shape *s, bool batch_norm);
/* Floating point operations of one image, a multiply-add is two; what GFLOP/s are computed from. */
uint64_t layer_flops(const layer_shape *s);

/* Elements of one image's input or output. */
static inline size_t shape3_elements(shape3 s) {
  return s.c * s.h * s.w;
}

#endif
