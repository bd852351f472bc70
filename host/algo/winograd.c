/* What the forms of Winograd's convolution share: sizes, parts of the models of their time, and how parameters are chosen. */
#include "algo/winograd.h"

#include <math.h>
#include <string.h>

geometry winograd_measure(const algo_problem *p, const int *param) {
  const layer_shape *s = &p->shape;
  const size_t m = (size_t)param[M], n = m + 2;
  geometry g = {
      .block = p->block, .freqs = n * n, .tiles_y = size_ceil_div(s->in.h, m), .tiles_x = size_ceil_div(s->in.w, m)};
  g.ic_blocks = size_ceil_div(s->in.c, g.block);
  g.oc_blocks = size_ceil_div(s->out.c, g.block);
  g.oc_groups = size_ceil_div(g.oc_blocks, (size_t)param[OC_BLOCKS]);
  g.tiles_image = g.tiles_y * g.tiles_x;
  return g;
}

double winograd_multiply_flops(const geometry *g, const int *param, size_t places) {
  return 2.0 * (double)(g->freqs * places) * (double)(g->ic_blocks * g->oc_groups * (size_t)param[OC_BLOCKS]) *
         (double)(g->block * g->block);
}

double winograd_multiply_cost(const geometry *g, const int *param, size_t places) {
  const double tiles =
      (double)places / (double)size_ceil_div(places, (size_t)param[TILES]); /* of a block, on average */
  const double sums = fmin(12, tiles * (g->block == 16 ? 1 : 2));
  return winograd_multiply_flops(g, param, places) / fmax(0.75, 0.9 - 0.05 * (12 - sums));
}

size_t winograd_places(const int *param, size_t tiles) {
  const size_t most = (size_t)param[TILES], blocks = size_ceil_div(tiles, most);
  return tiles >= blocks * (most - 1) ? tiles : blocks * most;
}

/* F(6, 3)'s transforms have more terms. */
double winograd_transform_flops(const geometry *g, const int *param, size_t tiles) {
  return (param[M] == 6 ? 28.0 : 16.0) * (double)(g->freqs * tiles * g->block) * (double)(g->ic_blocks + g->oc_blocks);
}

/* Fitted to VGG-16's layers on AVX-512: 20 operations a byte. */
double winograd_scratch_flops(const algo_problem *p, double bytes) {
  return 1.25 * (double)p->block * bytes;
}

double winograd_beyond_caches(const clvgg_device_info *dev, double bytes) {
  return fmax(0, bytes - CACHE_BYTES * (double)blocked_groups(dev));
}

/* Counted in conv_winograd.cl: operations of input_row and output_row, an fma as two. A tile's input takes N rows and N columns
 * of the first, its output N columns and M rows of the second. */
double winograd_work(const algo_problem *p, const int *param, size_t places) {
  static const double row_flops[3][2] = {{4, 4}, {19, 13}, {38, 30}}; /* M = 2, 4, 6 */
  const geometry g = winograd_measure(p, param);
  const size_t m = (size_t)param[M], n = m + 2, tiles = p->batch * g.tiles_image;
  const double input = (double)(2 * n * g.ic_blocks) * row_flops[m / 2 - 1][0];
  const double output = (double)((n + m) * g.oc_blocks) * row_flops[m / 2 - 1][1];
  return winograd_multiply_flops(&g, param, places) + (input + output) * (double)(tiles * g.block);
}

/* 14 x 2 sums, 2 weights and a broadcast fill AVX-512's 32 registers; 6 x 2 fill the 16 of AVX and SSE. Fewer tiles are for images
 * that have few. */
void winograd_choose(const clvgg_device_info *dev, const algo_problem *p, const algo_param *params, const int *tiles,
                     const int *strips,
                     double (*cost)(const clvgg_device_info *dev, const algo_problem *p, const int *param),
                     int *param) {
  int best[ALGO_MAX_PARAMS] = {0};
  double best_cost = INFINITY;
  param[OC_BLOCKS] = 2;
  for (const int *m = params[M].legal; *m; m++)
    for (const int *t = tiles; *t; t++)
      for (const int *s = strips; *s; s++) {
        param[M] = *m;
        param[TILES] = *t;
        param[STRIP] = *s;
        const double now = cost(dev, p, param);
        if (now < best_cost) memcpy(best, param, sizeof best), best_cost = now;
      }
  memcpy(param, best, sizeof best);
}

size_t winograd_registers(const int *param) {
  return (size_t)(param[TILES] * param[OC_BLOCKS]) + 2;
}

size_t winograd_images(const geometry *g, const algo_problem *p, const int *param, size_t product_channels) {
  const size_t places = g->freqs * (g->ic_blocks * g->block + product_channels);
  const size_t image = places * (g->tiles_image + (size_t)param[TILES]) * sizeof(float);
  const size_t images = WINOGRAD_PART_BYTES / image;
  return images < 1 ? 1 : images > p->batch ? p->batch : images;
}
