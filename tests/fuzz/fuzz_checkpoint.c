/* libFuzzer target: any bytes as a checkpoint. It must end in an error or in tensors that can be read to the last byte. */
#include <string.h>

#include "checkpoint/format.h"

static volatile size_t sink; /* keeps the reads */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  checkpoint *c;
  if (checkpoint_open_memory(data, size, "fuzz", &c) != CLVGG_OK) return 0;
  size_t sum = 0;
  for (size_t i = 0; i < checkpoint_tensor_count(c); i++) {
    const tensor *t = &checkpoint_tensors(c)[i];
    float last;
    for (size_t k = 0; k < t->bytes; k++) sum += ((const unsigned char *)t->data)[k];
    if (t->dtype != TENSOR_INT && tensor_elements(t) > 0) tensor_read(t, tensor_elements(t) - 1, 1, &last);
    sum += strlen(t->name);
  }
  for (size_t i = 0; i < checkpoint_class_count(c); i++) sum += strlen(checkpoint_class_name(c, i));
  sink = sum;
  checkpoint_close(&c);
  return 0;
}
