/* Memory layouts of activations: their sizes, and conversion on the host. */
#include "algo/layout.h"

#include <string.h>

#include "base/size.h"

size_t algo_block(const clvgg_device_info *dev) {
  return dev->native_float_width >= 16 ? 16 : dev->native_float_width >= 8 ? 8 : 4;
}

const char *algo_layout_name(algo_layout layout, size_t block) {
  if (layout == ALGO_NCHW) return "NCHW";
  if (layout == ALGO_RGB8) return "RGB8";
  return block == 16 ? "NCHW16c" : block == 8 ? "NCHW8c" : "NCHW4c";
}

static size_t stored_channels(algo_layout layout, size_t channels, size_t block) {
  return layout == ALGO_NCHWC && block ? size_round_up(channels, block) : channels;
}

size_t algo_elements(algo_layout layout, shape3 shape, size_t batch, size_t block) {
  return batch * stored_channels(layout, shape.c, block) * shape.h * shape.w;
}

size_t algo_bytes(algo_layout layout, shape3 shape, size_t batch, size_t block) {
  return algo_elements(layout, shape, batch, block) * (layout == ALGO_RGB8 ? sizeof(uint8_t) : sizeof(float));
}

/* Where channel c of pixel i of image n lies. */
static size_t place(algo_layout layout, shape3 shape, size_t block, size_t n, size_t c, size_t i) {
  const size_t pixels = shape.h * shape.w;
  if (layout == ALGO_NCHW) return (n * shape.c + c) * pixels + i;
  return ((n * size_ceil_div(shape.c, block) + c / block) * pixels + i) * block + c % block;
}

void algo_to_layout(algo_layout layout, shape3 shape, size_t batch, size_t block, const float *plain, float *out) {
  memset(out, 0, algo_elements(layout, shape, batch, block) * sizeof *out);
  const size_t pixels = shape.h * shape.w;
  for (size_t n = 0; n < batch; n++)
    for (size_t c = 0; c < shape.c; c++)
      for (size_t i = 0; i < pixels; i++) out[place(layout, shape, block, n, c, i)] = *plain++;
}

void algo_from_layout(algo_layout layout, shape3 shape, size_t batch, size_t block, const float *in, float *plain) {
  const size_t pixels = shape.h * shape.w;
  for (size_t n = 0; n < batch; n++)
    for (size_t c = 0; c < shape.c; c++)
      for (size_t i = 0; i < pixels; i++) *plain++ = in[place(layout, shape, block, n, c, i)];
}
