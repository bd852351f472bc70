/* Facts about a stored tensor, and its elements as f32. */
#include "checkpoint/tensor.h"

#include <stdio.h>
#include <string.h>

#include "base/half.h"

const char *tensor_dtype_name(tensor_dtype dtype) {
  static const char *const names[] = {
      [TENSOR_F32] = "f32", [TENSOR_F16] = "f16", [TENSOR_BF16] = "bf16", [TENSOR_F64] = "f64", [TENSOR_INT] = "int"};
  const unsigned i = (unsigned)dtype;
  return i < sizeof names / sizeof *names ? names[i] : "unknown";
}

size_t tensor_elements(const tensor *t) {
  size_t elements = 1;
  for (size_t i = 0; i < t->dims; i++) elements *= t->shape[i];
  return elements;
}

char *tensor_shape_text(const tensor *t, char *out, size_t bytes) {
  size_t at = 0;
  if (bytes == 0) return out;
  snprintf(out, bytes, "(");
  for (size_t i = 0; i < t->dims; i++) {
    at = strlen(out);
    snprintf(out + at, bytes - at, i == 0 ? "%zu" : ", %zu", t->shape[i]);
  }
  at = strlen(out);
  snprintf(out + at, bytes - at, t->dims == 1 ? ",)" : ")"); /* as Python writes a tuple of one */
  return out;
}

void tensor_read(const tensor *t, size_t first, size_t n, float *out) {
  const unsigned char *data = t->data;
  if (n == 0) return;
  switch (t->dtype) {
    case TENSOR_F32:
      memcpy(out, data + 4 * first, 4 * n);
      break;
    case TENSOR_F16:
      half_to_float_array(data + 2 * first, out, n);
      break;
    case TENSOR_BF16:
      bfloat16_to_float_array(data + 2 * first, out, n);
      break;
    case TENSOR_F64:
      for (size_t i = 0; i < n; i++) {
        double value;
        memcpy(&value, data + 8 * (first + i), sizeof value);
        out[i] = (float)value;
      }
      break;
    case TENSOR_INT:
      memset(out, 0, 4 * n);
      break;
  }
}
