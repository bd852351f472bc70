/* What single layers are: names, sizes, operation counts, and reading weights with batch norm folded in. */
#include "network/layer.h"

#include <stdio.h>

const char *layer_op_name(layer_op op) {
  static const char *const names[] = {"conv", "maxpool", "avgpool", "fc", "softmax", "convert"};
  return (size_t)op < sizeof names / sizeof *names ? names[op] : "unknown";
}

char *layer_shape_text(const layer_shape *s, char *out, size_t bytes) {
  snprintf(out, bytes, "%s %zux%zux%zu -> %zux%zux%zu", layer_op_name(s->op), s->in.c, s->in.h, s->in.w, s->out.c,
           s->out.h, s->out.w);
  return out;
}

size_t layer_row_length(const layer_shape *s) {
  switch (s->op) {
    case LAYER_CONV:
      return s->in.c * 9;
    case LAYER_FC:
      return shape3_elements(s->in);
    default:
      return 0;
  }
}

size_t layer_weight_count(const layer_shape *s) {
  return layer_row_length(s) * s->out.c;
}

void layer_read_rows(const layer *l, size_t first, size_t rows, float *out) {
  const size_t length = layer_row_length(&l->shape);
  tensor_read(l->weight, first * length, rows * length, out);
  if (!l->scale) return;
  for (size_t r = 0; r < rows; r++) {
    const float scale = l->scale[first + r];
    for (size_t i = 0; i < length; i++) out[r * length + i] *= scale;
  }
}

uint64_t layer_params(const layer_shape *s, bool batch_norm) {
  const uint64_t rows = s->out.c, length = layer_row_length(s);
  if (length == 0) return 0;
  return rows * (length + 1) + (s->op == LAYER_CONV && batch_norm ? 2 * rows : 0);
}

/* The rule behind the published tables (mmcv/cnn/utils/flops_counter.py): an element of output costs a multiply-add for
 * every weight and one operation for the bias; BN costs two, ReLU one; pooling costs one an element of input. Softmax is
 * not part of the tables. */
uint64_t layer_table_flops(const layer_shape *s, bool batch_norm) {
  const uint64_t in = shape3_elements(s->in), out = shape3_elements(s->out);
  switch (s->op) {
    case LAYER_CONV:
    case LAYER_FC:
      return out * (layer_row_length(s) + 1) + (s->op == LAYER_CONV && batch_norm ? 2 * out : 0) + (s->relu ? out : 0);
    case LAYER_MAXPOOL:
    case LAYER_AVGPOOL:
      return in;
    default:
      return 0;
  }
}

/* Bias and ReLU are left out, as is usual where GFLOP/s of matrix products are compared; softmax counts maximum,
 * subtraction, exponential, sum and division. */
uint64_t layer_flops(const layer_shape *s) {
  const uint64_t in = shape3_elements(s->in), out = shape3_elements(s->out);
  switch (s->op) {
    case LAYER_CONV: /* of the convolution's own output, also when it is pooled afterwards */
      return 2 * (uint64_t)(s->out.c * s->in.h * s->in.w) * layer_row_length(s);
    case LAYER_FC:
      return 2 * out * layer_row_length(s);
    case LAYER_MAXPOOL:
    case LAYER_AVGPOOL:
      return in;
    case LAYER_SOFTMAX:
      return 5 * in;
    default:
      return 0;
  }
}
