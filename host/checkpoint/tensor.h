/* A named tensor as a checkpoint holds it. */
#ifndef CLVGG_CHECKPOINT_TENSOR_H
#define CLVGG_CHECKPOINT_TENSOR_H

#include <stddef.h>

#define TENSOR_MAX_DIMS 8

typedef enum tensor_dtype { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_F64, TENSOR_INT } tensor_dtype;

typedef struct tensor {
  const char *name;
  tensor_dtype dtype;
  size_t dims; /* 0: a scalar */
  size_t shape[TENSOR_MAX_DIMS];
  const void *data; /* row-major, little endian, contiguous, perhaps unaligned; owned by the checkpoint */
  size_t bytes;     /* of data: elements * size of dtype (TENSOR_INT: whatever integer type it was) */
} tensor;

/* "f32", "f16", "bf16", "f64", "int" */
const char *tensor_dtype_name(tensor_dtype dtype);
/* Product of the shape; the reader has checked that it does not overflow. */
size_t tensor_elements(const tensor *t);
/* "(64, 3, 3, 3)" into out, cut to bytes. Returns out. */
char *tensor_shape_text(const tensor *t, char *out, size_t bytes);

/* out[i] = element first + i as f32, for i in [0, n). TENSOR_INT is not accepted by the callers of this. */
void tensor_read(const tensor *t, size_t first, size_t n, float *out);

#endif
