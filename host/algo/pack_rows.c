/* Packs a layer's weights row by row, straight into the device's buffers, in parallel and in bounded pieces. */
#include "algo/pack_rows.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/int24.h"
#include "base/parallel.h"
#include "base/size.h"

/* Mapped at a time. */
#define PIECE_BYTES ((size_t)64 << 20)

/* Multiples that kernels count on: of a row's weights, and of the bytes where a row begins. */
#define WEIGHTS   16
#define ROW_ALIGN 64

/* Bytes of a weight, and what a row has besides. */
static const struct {
  size_t weight_bytes, row_bytes;
} forms[] = {[ALGO_F32] = {sizeof(float), 0},
             [ALGO_F24] = {sizeof(int16_t) + sizeof(uint8_t), sizeof(float)},
             [ALGO_F16] = {sizeof(uint16_t), 0},
             [ALGO_F16_MATH] = {sizeof(uint16_t), 0},
             [ALGO_BF16_MATH] = {sizeof(uint16_t), 0}};

size_t pack_rows_bytes(algo_form form, size_t length) {
  return size_round_up(size_round_up(length, WEIGHTS) * forms[form].weight_bytes + forms[form].row_bytes, ROW_ALIGN);
}

bool pack_rows_fit(const clvgg_device_info *dev, const layer_shape *s, algo_form form, char *why) {
  const size_t length = layer_row_length(s);
  /* A length that makes bytes overflow is beyond any index of a kernel, too. */
  if (length > INT32_MAX / sizeof(float) - ROW_ALIGN || pack_rows_bytes(form, length) > dev->max_alloc_bytes) {
    snprintf(why, ALGO_WHY_BYTES, "a row of %zu weights does not fit a buffer of %llu bytes", length,
             (unsigned long long)dev->max_alloc_bytes);
    return false;
  }
  return true;
}

typedef struct piece {
  const layer *l;
  algo_form form;
  size_t first, length, row_bytes; /* the first row */
  char *out;                       /* (rows, row_bytes), mapped */
  atomic_bool no_memory, unfit;
} piece;

/* One row's weights to where they lie; values is (length rounded up to WEIGHTS), with zeros at the end. False: one does not fit. */
static bool store_row(const piece *p, const float *values, char *out) {
  const size_t padded = size_round_up(p->length, WEIGHTS);
  const size_t used = padded * forms[p->form].weight_bytes + forms[p->form].row_bytes;
  memset(out + used, 0, p->row_bytes - used);
  if (p->form == ALGO_F32) {
    memcpy(out, values, padded * sizeof *values);
    return true;
  }
  if (p->form != ALGO_F24) return float_to_half_array(values, (uint16_t *)(void *)out, padded);
  const float largest = int24_largest(values, padded, 0);
  if (!isfinite(largest)) return false;
  float scales[WEIGHTS];
  for (size_t i = 0; i < WEIGHTS; i++) scales[i] = int24_scale(largest);
  int16_t *high = (int16_t *)(void *)out;
  uint8_t *low = (uint8_t *)out + padded * sizeof *high;
  for (size_t i = 0; i < padded; i += WEIGHTS) float_to_int24_array(values + i, scales, WEIGHTS, high + i, low + i);
  memcpy(low + padded, scales, sizeof *scales);
  return true;
}

static void pack_row(size_t i, void *context) {
  piece *p = context;
  const size_t padded = size_round_up(p->length, WEIGHTS);
  float *values = malloc(padded * sizeof *values);
  if (!values) {
    p->no_memory = true;
    return;
  }
  layer_read_rows(p->l, p->first + i, 1, values);
  for (size_t k = p->length; k < padded; k++) values[k] = 0;
  if (!store_row(p, values, p->out + i * p->row_bytes)) p->unfit = true;
  free(values);
}

static clvgg_status check_piece(const piece *p) {
  if (p->no_memory) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %s's weights", p->l->name);
  if (p->unfit)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s has weights %s cannot hold; use f32", p->l->name,
                     p->form == ALGO_F24 ? "that are not finite, which integers of 24 bits"
                                         : "of 65520 or more, which half precision");
  return CLVGG_OK;
}

static clvgg_status fill_panel(clvgg_device *dev, const packed_weights *w, size_t panel, piece *p) {
  const size_t rows = pack_row_count(w, panel), most = PIECE_BYTES / p->row_bytes ? PIECE_BYTES / p->row_bytes : 1;
  TRY(device_buffer_create(dev, rows * p->row_bytes, &w->panel[panel]));
  for (size_t done = 0; done < rows;) {
    const size_t now = rows - done < most ? rows - done : most;
    void *mapped;
    TRY(device_map(dev, &w->panel[panel], done * p->row_bytes, now * p->row_bytes, &mapped));
    p->first = pack_first_row(w, panel) + done;
    p->out = mapped;
    parallel_for(now, pack_row, p);
    TRY(device_unmap(dev, &w->panel[panel], mapped));
    TRY(check_piece(p));
    done += now;
  }
  return CLVGG_OK;
}

clvgg_status pack_rows_upload(clvgg_device *dev, const layer *l, algo_form form, packed_weights *out) {
  const layer_shape *s = &l->shape;
  char why[ALGO_WHY_BYTES];
  *out = (packed_weights){.rows = s->out.c, .length = layer_row_length(s), .group = 1};
  if (!l->weight || !l->bias) return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the layer has no weights", l->name);
  if (!pack_rows_fit(device_info(dev), s, form, why)) return base_fail(CLVGG_ERROR_TOO_LARGE, "%s: %s", l->name, why);
  piece p = {.l = l, .form = form, .length = out->length, .row_bytes = pack_rows_bytes(form, out->length)};
  const size_t most = (size_t)(device_info(dev)->max_alloc_bytes / p.row_bytes);
  out->panel_rows = out->rows < most ? out->rows : most;
  out->panels = size_ceil_div(out->rows, out->panel_rows);
  out->panel = calloc(out->panels, sizeof *out->panel);
  if (!out->panel) {
    out->panels = 0;
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for %s", l->name);
  }
  for (size_t i = 0; i < out->panels; i++) TRY(fill_panel(dev, out, i, &p));
  TRY(device_buffer_create(dev, out->rows * sizeof(float), &out->bias));
  return device_write(dev, &out->bias, 0, l->bias, out->rows * sizeof(float));
}
