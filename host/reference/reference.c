/* The layers in plain C with sums in double, spread over output channels, rows or planes. */
#include "reference/reference.h"

#include <math.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "base/size.h"

/* Weight rows that are read and computed at a time: enough for any number of threads, and little memory. */
#define ROWS_AT_A_TIME 64

/* A layer's work. Weighted layers: task i is output channel first + i, with its own slice of rows and sums. */
typedef struct work {
  const layer *l;
  size_t n;
  const float *in; /* (n, C, H, W) */
  float *out;
  size_t first;
  size_t row_length, sum_length;
  float *rows;  /* (ROWS_AT_A_TIME, row_length) */
  double *sums; /* (ROWS_AT_A_TIME, sum_length) */
} work;

static float with_relu(double sum, bool relu) {
  return relu && sum < 0 ? 0.0f : (float)sum;
}

/* Adds the three taps of one kernel row to a row of sums; outside the row the input is zero. */
static void add_taps(double *sum, const float *in, size_t width, const float tap[3]) {
  const double left = tap[0], middle = tap[1], right = tap[2];
  sum[0] += middle * in[0];
  if (width == 1) return;
  sum[0] += right * in[1];
  for (size_t x = 1; x + 1 < width; x++) sum[x] += left * in[x - 1] + middle * in[x] + right * in[x + 1];
  sum[width - 1] += left * in[width - 2] + middle * in[width - 1];
}

static void conv_channel(size_t i, void *context) {
  const work *w = context;
  const layer_shape *s = &w->l->shape;
  const size_t o = w->first + i, height = s->in.h, width = s->in.w;
  float *taps = w->rows + i * w->row_length; /* (in.c, 3, 3) */
  double *sum = w->sums + i * w->sum_length; /* (width) */
  layer_read_rows(w->l, o, 1, taps);
  for (size_t n = 0; n < w->n; n++) {
    for (size_t y = 0; y < height; y++) {
      for (size_t x = 0; x < width; x++) sum[x] = w->l->bias[o];
      for (size_t c = 0; c < s->in.c; c++) {
        const float *image = w->in + (n * s->in.c + c) * height * width;
        for (size_t ky = 0; ky < 3; ky++)
          if (y + ky >= 1 && y + ky - 1 < height)
            add_taps(sum, image + (y + ky - 1) * width, width, taps + c * 9 + ky * 3);
      }
      float *out = w->out + ((n * s->out.c + o) * height + y) * width;
      for (size_t x = 0; x < width; x++) out[x] = with_relu(sum[x], s->relu);
    }
  }
}

static void fc_row(size_t i, void *context) {
  const work *w = context;
  const layer_shape *s = &w->l->shape;
  const size_t o = w->first + i;
  float *row = w->rows + i * w->row_length;
  layer_read_rows(w->l, o, 1, row);
  for (size_t n = 0; n < w->n; n++) {
    const float *in = w->in + n * w->row_length;
    double part[8] = {0}; /* independent sums, so that the processor need not wait for each addition */
    for (size_t k = 0; k < w->row_length; k++) part[k % 8] += (double)row[k] * in[k];
    double sum = w->l->bias[o];
    for (size_t k = 0; k < 8; k++) sum += part[k];
    w->out[n * s->out.c + o] = with_relu(sum, s->relu);
  }
}

static void maxpool_plane(size_t i, void *context) {
  const work *w = context;
  const layer_shape *s = &w->l->shape;
  const float *in = w->in + i * s->in.h * s->in.w;
  float *out = w->out + i * s->out.h * s->out.w;
  for (size_t y = 0; y < s->out.h; y++) {
    for (size_t x = 0; x < s->out.w; x++) {
      const float *window = in + 2 * y * s->in.w + 2 * x;
      const float values[4] = {window[0], window[1], window[s->in.w], window[s->in.w + 1]};
      float largest = values[0];
      for (size_t k = 1; k < 4; k++)
        if (values[k] > largest || isnan(values[k])) largest = values[k];
      out[y * s->out.w + x] = largest;
    }
  }
}

static void avgpool_plane(size_t i, void *context) {
  const work *w = context;
  const shape3 from = w->l->shape.in, to = w->l->shape.out;
  const float *in = w->in + i * from.h * from.w;
  float *out = w->out + i * to.h * to.w;
  for (size_t y = 0; y < to.h; y++) {
    for (size_t x = 0; x < to.w; x++) {
      const size_t top = y * from.h / to.h, bottom = size_ceil_div((y + 1) * from.h, to.h);
      const size_t left = x * from.w / to.w, right = size_ceil_div((x + 1) * from.w, to.w);
      double sum = 0;
      for (size_t row = top; row < bottom; row++)
        for (size_t column = left; column < right; column++) sum += in[row * from.w + column];
      out[y * to.w + x] = (float)(sum / (double)((bottom - top) * (right - left)));
    }
  }
}

static void softmax_image(size_t i, void *context) {
  const work *w = context;
  const size_t classes = w->l->shape.in.c;
  const float *in = w->in + i * classes;
  float *out = w->out + i * classes;
  double largest = -INFINITY, total = 0;
  for (size_t c = 0; c < classes; c++) largest = in[c] > largest ? in[c] : largest;
  for (size_t c = 0; c < classes; c++) total += exp(in[c] - largest);
  for (size_t c = 0; c < classes; c++) out[c] = (float)(exp(in[c] - largest) / total);
}

/* Output channels in turns of ROWS_AT_A_TIME. */
static clvgg_status run_weighted(work *w, void (*task)(size_t i, void *context)) {
  const layer *l = w->l;
  if (!l->weight || !l->bias) return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the layer has no weights", l->name);
  const size_t row_factors[] = {ROWS_AT_A_TIME, w->row_length, sizeof *w->rows};
  const size_t sum_factors[] = {ROWS_AT_A_TIME, w->sum_length, sizeof *w->sums};
  size_t row_bytes, sum_bytes;
  clvgg_status status = CLVGG_OK;
  if (size_product(row_factors, 3, &row_bytes) && size_product(sum_factors, 3, &sum_bytes)) {
    w->rows = malloc(row_bytes);
    w->sums = malloc(sum_bytes);
  }
  if (!w->rows || !w->sums) status = base_fail(CLVGG_ERROR_MEMORY, "%s: no memory for the reference", l->name);
  for (w->first = 0; status == CLVGG_OK && w->first < l->shape.out.c; w->first += ROWS_AT_A_TIME) {
    const size_t left = l->shape.out.c - w->first;
    parallel_for(left < ROWS_AT_A_TIME ? left : ROWS_AT_A_TIME, task, w);
  }
  free(w->rows);
  free(w->sums);
  return status;
}

clvgg_status reference_layer(const layer *l, size_t n, const float *in, float *out) {
  const layer_shape *s = &l->shape;
  work w = {.l = l, .n = n, .in = in, .out = out, .row_length = layer_row_length(s), .sum_length = s->in.w};
  switch (s->op) {
    case LAYER_CONV:
      return run_weighted(&w, conv_channel);
    case LAYER_FC:
      return run_weighted(&w, fc_row);
    case LAYER_MAXPOOL:
      parallel_for(n * s->in.c, maxpool_plane, &w);
      return CLVGG_OK;
    case LAYER_AVGPOOL:
      parallel_for(n * s->in.c, avgpool_plane, &w);
      return CLVGG_OK;
    case LAYER_SOFTMAX:
      parallel_for(n, softmax_image, &w);
      return CLVGG_OK;
    case LAYER_CONVERT:
      break;
  }
  return base_fail(CLVGG_ERROR_UNSUPPORTED, "%s: the reference has no layer type %d", l->name, (int)s->op);
}

reference_error reference_compare(const float *got, const float *want, size_t n) {
  double max_abs = 0, max_want = 0, error = 0, norm = 0;
  for (size_t i = 0; i < n; i++) {
    const double difference = fabs((double)got[i] - want[i]), magnitude = fabs((double)want[i]);
    if (!isfinite(got[i]) || !isfinite(difference)) return (reference_error){INFINITY, INFINITY, INFINITY};
    max_abs = fmax(max_abs, difference);
    max_want = fmax(max_want, magnitude);
    error += difference * difference;
    norm += magnitude * magnitude;
  }
  if (max_abs == 0) return (reference_error){0, 0, 0};
  return (reference_error){
      .max_abs = max_abs,
      .max_rel = max_want > 0 ? max_abs / max_want : INFINITY,
      .rel_l2 = norm > 0 ? sqrt(error / norm) : INFINITY,
  };
}

double reference_tolerance(const layer_shape *s) {
  /* Rounding errors of an f32 sum of k terms behave like a random walk: about 2^-24 sqrt(k) of the result (Higham, Accuracy
   * and Stability of Numerical Algorithms, 2nd ed., section 2.8). The factor leaves room for results much smaller than
   * their terms, which is where a single output can be unlucky. */
  const double rounding = 0x1p-24, factor = 16;
  switch (s->op) {
    case LAYER_CONV:
    case LAYER_FC:
      return factor * rounding * sqrt((double)layer_row_length(s) + 1);
    case LAYER_MAXPOOL:
    case LAYER_CONVERT:
      return 0; /* only copies */
    case LAYER_AVGPOOL: {
      const size_t window = (s->in.h / s->out.h + 2) * (s->in.w / s->out.w + 2);
      return factor * rounding * sqrt((double)window);
    }
    case LAYER_SOFTMAX:
      return factor * rounding * sqrt((double)s->in.c); /* exp is within 3 units in the last place (OpenCL 1.2, 7.4) */
  }
  return 0;
}
