/* Weights transformed for Winograd's convolution, G g G^T of each kernel, in the order that a form wants. */
#include "algo/winograd_weights.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "algo/blocked.h"
#include "base/clones.h"
#include "base/half.h"
#include "base/parallel.h"

/* G of F(m, 3), (m + 2, 3): transformed weights are G g G^T. It belongs to the points named in conv_winograd.cl and
 * conv_winograd_gpu.cl; the last one to those for bf16 and m = 4, 0, a, -a, b, -b: the row of point p is (1, p, p^2) divided by the
 * product of its differences from the others. */
#define A2   (0.625f * 0.625f)
#define B2   (1.5f * 1.5f)
#define AT_A (0.5f / (A2 * (A2 - B2)))
#define AT_B (0.5f / (B2 * (B2 - A2)))
static const float transforms[4][8][3] = {
    {{1, 0, 0}, {.5f, .5f, .5f}, {.5f, -.5f, .5f}, {0, 0, 1}},
    {{1.f / 4, 0, 0},
     {-1.f / 6, -1.f / 6, -1.f / 6},
     {-1.f / 6, 1.f / 6, -1.f / 6},
     {1.f / 24, 1.f / 12, 1.f / 6},
     {1.f / 24, -1.f / 12, 1.f / 6},
     {0, 0, 1}},
    {{1, 0, 0},
     {-2.f / 9, -2.f / 9, -2.f / 9},
     {-2.f / 9, 2.f / 9, -2.f / 9},
     {1.f / 90, 1.f / 45, 2.f / 45},
     {1.f / 90, -1.f / 45, 2.f / 45},
     {32.f / 45, 16.f / 45, 8.f / 45},
     {32.f / 45, -16.f / 45, 8.f / 45},
     {0, 0, 1}},
    {{1 / (A2 * B2), 0, 0},
     {AT_A, 0.625f * AT_A, A2 *AT_A},
     {AT_A, -0.625f * AT_A, A2 *AT_A},
     {AT_B, 1.5f * AT_B, B2 *AT_B},
     {AT_B, -1.5f * AT_B, B2 *AT_B},
     {0, 0, 1}},
};

static const float (*transform_of(const winograd_order *order))[3] {
  return transforms[order->bf16 && order->m == 4 ? 3 : order->m / 2 - 1];
}

/* Output channels transformed side by side. */
#define LANES 32

typedef struct packing {
  const layer *l;
  winograd_order order;
  size_t step; /* output channels at a time: those of a group, or LANES */
  float *out;
  atomic_bool failed;
} packing;

size_t winograd_order_floats(const winograd_order *order) {
  const size_t n = (size_t)order->m + 2;
  return n * n * (order->in_channels / (order->bf16 ? 2 : 1)) * order->groups * order->group;
}

/* G g G^T of LANES kernels: taps (3, 3, LANES) -> out (n, n, LANES). */
BASE_CLONES static void transform(const float (*g)[3], size_t n, const float taps[9][LANES], float out[][LANES]) {
  for (size_t i = 0; i < n; i++) {
    float half[3][LANES];
    for (size_t x = 0; x < 3; x++)
      for (size_t r = 0; r < LANES; r++)
        half[x][r] = g[i][0] * taps[x][r] + g[i][1] * taps[3 + x][r] + g[i][2] * taps[6 + x][r];
    for (size_t j = 0; j < n; j++)
      for (size_t r = 0; r < LANES; r++)
        out[i * n + j][r] = half[0][r] * g[j][0] + half[1][r] * g[j][1] + half[2][r] * g[j][2];
  }
}

/* values as bf16 to the lower (0) or upper (1) halves of words, for devices with the host's order of bytes. */
static void put_halves(const float *values, size_t count, size_t half, uint16_t *words) {
  for (size_t i = 0; i < count; i++) words[2 * i + half] = float_to_bfloat16(values[i]);
}

/* Output channels from number * step on; surplus ones and surplus input channels get zeros. */
static void pack_some(size_t number, void *context) {
  packing *k = context;
  const winograd_order *order = &k->order;
  const size_t first = number * k->step, ocs = k->l->shape.out.c, ics = k->l->shape.in.c;
  const size_t left = first < ocs ? ocs - first : 0, rows = left < k->step ? left : k->step;
  const size_t n = (size_t)order->m + 2;
  float *weights = malloc((rows ? rows : 1) * ics * 9 * sizeof *weights); /* (rows, ics, 3, 3) */
  if (!weights) {
    k->failed = true;
    return;
  }
  if (rows) layer_read_rows(k->l, first, rows, weights);
  float taps[9][LANES] = {{0}}, places[64][LANES] = {{0}};
  float *to = k->out + first / order->group * order->group_stride + first % order->group;
  for (size_t ic = 0; ic < order->in_channels; ic++) {
    for (size_t r = 0; r < rows; r++)
      for (size_t tap = 0; tap < 9; tap++) taps[tap][r] = ic < ics ? weights[(r * ics + ic) * 9 + tap] : 0;
    transform(transform_of(order), n, (const float(*)[LANES])taps, places);
    for (size_t f = 0; f < n * n; f++)
      if (order->bf16)
        put_halves(places[f], k->step, ic % 2, (uint16_t *)(to + f * order->freq_stride));
      else
        memcpy(to + f * order->freq_stride, places[f], k->step * sizeof *to);
    if (!order->bf16 || ic % 2) to += order->ic_stride;
  }
  free(weights);
}

clvgg_status winograd_upload(clvgg_device *dev, const layer *l, const winograd_order *order, packed_weights *out) {
  packing k = {.l = l, .order = *order, .step = order->group < LANES ? order->group : LANES};
  const size_t bytes = winograd_order_floats(order) * sizeof *k.out, rows = order->groups * order->group;
  TRY(blocked_open(dev, bytes, l, rows, out));
  /* Straight into the device's buffer: transformed weights are several times as large as the plain ones. */
  void *mapped;
  TRY(device_map(dev, &out->panel[0], 0, bytes, &mapped));
  k.out = mapped;
  parallel_for(rows / k.step, pack_some, &k);
  TRY(device_unmap(dev, &out->panel[0], mapped));
  return k.failed ? base_fail(CLVGG_ERROR_MEMORY, "no memory for %s's weights", l->name) : CLVGG_OK;
}
