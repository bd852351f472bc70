/* Packs a layer's weights into device buffers, in parallel and in bounded pieces. */
#include "algo/pack.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/algo.h"
#include "base/half.h"
#include "base/parallel.h"
#include "base/size.h"

/* Host memory for one piece, raw and packed each; a single block may be larger. */
#define STAGING_BYTES ((size_t)8 << 20)

/* Bytes of one block of group rows; false when it does not fit size_t. */
static bool block_size(const layer_shape *s, size_t group, size_t element_bytes, size_t *bytes) {
  const size_t factors[] = {layer_row_length(s), group, element_bytes};
  return size_product(factors, 3, bytes);
}

/* Rows that one buffer can hold, in whole blocks: bounded by the allocation, and by kernels' 32-bit indices. */
static size_t rows_of_a_panel(const clvgg_device_info *dev, const layer_shape *s, size_t group, size_t element_bytes) {
  size_t block_bytes, limit = (size_t)INT32_MAX * element_bytes;
  if (!block_size(s, group, element_bytes, &block_bytes) || block_bytes == 0) return 0;
  if (dev->max_alloc_bytes < limit) limit = (size_t)dev->max_alloc_bytes;
  const size_t all = size_ceil_div(s->out.c, group), most = limit / block_bytes;
  return (all < most ? all : most) * group;
}

static bool fits(const clvgg_device_info *dev, const layer_shape *s, size_t group, size_t element_bytes, bool split,
                 char *why) {
  const size_t panel_rows = rows_of_a_panel(dev, s, group, element_bytes);
  if (panel_rows == 0 || (!split && panel_rows < s->out.c)) {
    snprintf(why, ALGO_WHY_BYTES, "%zu x %zu weights do not fit a buffer of %llu bytes", s->out.c, layer_row_length(s),
             (unsigned long long)dev->max_alloc_bytes);
    return false;
  }
  return true;
}

bool pack_fits(const clvgg_device_info *dev, const layer_shape *s, size_t group, bool split, char *why) {
  return fits(dev, s, group, sizeof(float), split, why);
}

bool pack_fits_half(const clvgg_device_info *dev, const layer_shape *s, size_t group, bool split, char *why) {
  return fits(dev, s, group, sizeof(uint16_t), split, why);
}

/* One piece: blocks of group rows, beginning with row first. */
typedef struct piece {
  const layer *l;
  size_t first, group, length;
  float *raw;       /* (blocks, group, length); unused when group is 1 */
  float *packed;    /* (blocks, length, group) */
  uint16_t *halves; /* (blocks, length, group); NULL where f32 is wanted */
  atomic_bool unfit;
} piece;

static void interleave(const piece *p, size_t first, const float *raw, float *packed) {
  const size_t left = p->l->shape.out.c - first, rows = left < p->group ? left : p->group;
  for (size_t k = 0; k < p->length; k++) {
    for (size_t r = 0; r < rows; r++) packed[k * p->group + r] = raw[r * p->length + k];
    for (size_t r = rows; r < p->group; r++) packed[k * p->group + r] = 0.0f;
  }
}

static void pack_block(size_t i, void *context) {
  piece *p = context;
  const size_t first = p->first + i * p->group, left = p->l->shape.out.c - first, count = p->group * p->length;
  float *packed = p->packed + i * count, *raw = p->group == 1 ? packed : p->raw + i * count;
  layer_read_rows(p->l, first, left < p->group ? left : p->group, raw);
  if (p->group > 1) interleave(p, first, raw, packed);
  if (p->halves && !float_to_half_array(packed, p->halves + i * count, count)) p->unfit = true;
}

static clvgg_status upload_panels(clvgg_device *dev, const layer *l, packed_weights *w, size_t piece_blocks, piece *p) {
  const size_t block_bytes = w->length * w->group * w->element_bytes;
  for (size_t i = 0; i < w->panels; i++) {
    const size_t blocks = size_ceil_div(pack_row_count(w, i), w->group);
    TRY(device_buffer_create(dev, blocks * block_bytes, &w->panel[i]));
    for (size_t done = 0; done < blocks; done += piece_blocks) {
      const size_t count = blocks - done < piece_blocks ? blocks - done : piece_blocks;
      p->first = pack_first_row(w, i) + done * w->group;
      parallel_for(count, pack_block, p);
      if (p->unfit)
        return base_fail(CLVGG_ERROR_UNSUPPORTED,
                         "%s has weights of 65520 or more, which half precision cannot hold; use f32", l->name);
      const void *from = p->halves ? (const void *)p->halves : p->packed;
      TRY(device_write(dev, &w->panel[i], done * block_bytes, from, count * block_bytes));
    }
  }
  return CLVGG_OK;
}

static clvgg_status upload_bias(clvgg_device *dev, const layer *l, packed_weights *w) {
  const size_t count = size_round_up(w->rows, w->group);
  float *bias = calloc(count, sizeof *bias);
  if (!bias) return base_fail(CLVGG_ERROR_MEMORY, "%s: no memory for %zu bias values", l->name, count);
  memcpy(bias, l->bias, w->rows * sizeof *bias);
  clvgg_status status = device_buffer_create(dev, count * sizeof *bias, &w->bias);
  if (status == CLVGG_OK) status = device_write(dev, &w->bias, 0, bias, count * sizeof *bias);
  free(bias);
  return status;
}

static clvgg_status upload(clvgg_device *dev, const layer *l, size_t group, size_t element_bytes, packed_weights *out) {
  const layer_shape *s = &l->shape;
  *out =
      (packed_weights){.rows = s->out.c, .length = layer_row_length(s), .group = group, .element_bytes = element_bytes};
  char why[ALGO_WHY_BYTES];
  if (!l->weight || !l->bias) return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the layer has no weights", l->name);
  if (!fits(device_info(dev), s, group, element_bytes, true, why))
    return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: %s", l->name, why);
  out->panel_rows = rows_of_a_panel(device_info(dev), s, group, element_bytes);
  if (out->panel_rows == 0)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: not even %zu rows of weights fit the device's largest buffer", l->name,
                     group);
  out->panels = size_ceil_div(out->rows, out->panel_rows);
  out->panel = calloc(out->panels, sizeof *out->panel);

  size_t block_bytes; /* of a block as f32 */
  if (!block_size(s, group, sizeof(float), &block_bytes))
    return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: %zu rows of weights do not fit any memory", l->name, group);
  const size_t all = size_ceil_div(out->panel_rows, group), most = STAGING_BYTES / block_bytes;
  const size_t blocks = most == 0 ? 1 : most < all ? most : all;
  const bool halves = element_bytes < sizeof(float);
  piece p = {.l = l,
             .group = group,
             .length = out->length,
             .raw = group > 1 ? malloc(blocks * block_bytes) : NULL,
             .packed = malloc(blocks * block_bytes),
             .halves = halves ? malloc(blocks * block_bytes / 2) : NULL};
  clvgg_status status;
  if (!out->panel || !p.packed || (group > 1 && !p.raw) || (halves && !p.halves)) {
    out->panels = out->panel ? out->panels : 0;
    status = base_fail(CLVGG_ERROR_MEMORY, "%s: no memory to pack %zu bytes of weights", l->name, blocks * block_bytes);
  } else {
    status = upload_panels(dev, l, out, blocks, &p);
    if (status == CLVGG_OK) status = upload_bias(dev, l, out);
  }
  free(p.raw);
  free(p.packed);
  free(p.halves);
  return status;
}

clvgg_status pack_upload(clvgg_device *dev, const layer *l, size_t group, packed_weights *out) {
  return upload(dev, l, group, sizeof(float), out);
}

clvgg_status pack_upload_half(clvgg_device *dev, const layer *l, size_t group, packed_weights *out) {
  return upload(dev, l, group, sizeof(uint16_t), out);
}

void pack_release(clvgg_device *dev, packed_weights *w) {
  for (size_t i = 0; i < w->panels; i++) device_buffer_release(dev, &w->panel[i]);
  free(w->panel);
  device_buffer_release(dev, &w->bias);
  *w = (packed_weights){0};
}
