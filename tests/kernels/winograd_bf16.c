/* F(m x m, 3 x 3) by the Toom-Cook construction: with points p_0 .. p_m and infinity, an output is A^T [(G g) * (B^T d)], where row i of A is
 * (1, p_i, .., p_i^(m-1)), row i of G (1, p_i, p_i^2) over the product of p_i - p_j, and row i of B^T the coefficients of the product of
 * x - p_j, j other than i; for infinity (0, .., 1), (0, 0, 1) and the product of all. (S. Winograd, "Arithmetic Complexity of Computations",
 * 1980.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "kernels/winograd_bf16.h"

#include "base/half.h"
#include "kernels/fixture.h"

#define N_MOST 6

typedef struct matrices {
  size_t m, n;
  double at[4][N_MOST], g[N_MOST][3], bt[N_MOST][N_MOST];
} matrices;

/* Coefficients of the product of x - points[j] for all j but skip. */
static void product(const double *points, size_t count, size_t skip, double *out) {
  size_t degree = 0;
  memset(out, 0, N_MOST * sizeof *out);
  out[0] = 1;
  for (size_t j = 0; j < count; j++) {
    if (j == skip) continue;
    degree++;
    for (size_t k = degree; k > 0; k--) out[k] = out[k - 1] - points[j] * out[k];
    out[0] *= -points[j];
  }
}

static matrices make(int m) {
  static const double two[] = {0, 1, -1}, four[] = {0, 0.625, -0.625, 1.5, -1.5};
  const double *points = m == 2 ? two : four;
  matrices x = {.m = (size_t)m, .n = (size_t)m + 2};
  const size_t count = x.n - 1;
  for (size_t i = 0; i < count; i++) {
    double divisor = 1;
    for (size_t j = 0; j < count; j++) divisor *= j == i ? 1 : points[i] - points[j];
    for (size_t k = 0; k < x.m; k++) x.at[k][i] = k ? pow(points[i], (double)k) : 1;
    for (size_t k = 0; k < 3; k++) x.g[i][k] = (k ? pow(points[i], (double)k) : 1) / divisor;
    product(points, count, i, x.bt[i]);
  }
  x.at[x.m - 1][count] = 1;
  x.g[count][2] = 1;
  product(points, count, count, x.bt[count]);
  return x;
}

static double rounded(double value) {
  const uint16_t half = float_to_bfloat16((float)value);
  float result;
  bfloat16_to_float_array(&half, &result, 1);
  return (double)result;
}

/* out (n, n) = left (n, columns) * middle (columns, columns) * left^T, rounded; rows of left are stride apart. Signs of rows differ from
 * the kernel's in both factors of a product, which changes nothing. */
static void transform(const double *left, size_t n, size_t columns, size_t stride, const double *middle, double *out) {
  double half_done[N_MOST][N_MOST];
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < columns; k++) {
      half_done[i][k] = 0;
      for (size_t j = 0; j < columns; j++) half_done[i][k] += left[i * stride + j] * middle[j * columns + k];
    }
  for (size_t i = 0; i < n; i++)
    for (size_t l = 0; l < n; l++) {
      double sum = 0;
      for (size_t k = 0; k < columns; k++) sum += half_done[i][k] * left[l * stride + k];
      out[i * n + l] = rounded(sum);
    }
}

/* All channels' tile at (ty, tx) of an image, transformed: v (channels, n * n). */
static void tile_inputs(const matrices *x, const layer_shape *s, const float *image, size_t ty, size_t tx, double *v) {
  for (size_t c = 0; c < s->in.c; c++) {
    double d[N_MOST * N_MOST] = {0};
    for (size_t r = 0; r < x->n; r++)
      for (size_t k = 0; k < x->n; k++) {
        const size_t y = ty * x->m + r, column = tx * x->m + k; /* one more than the input's */
        if (y >= 1 && y <= s->in.h && column >= 1 && column <= s->in.w)
          d[r * x->n + k] = (double)image[(c * s->in.h + y - 1) * s->in.w + column - 1];
      }
    transform(&x->bt[0][0], x->n, x->n, N_MOST, d, v + c * x->n * x->n);
  }
}

/* An output channel's tile, from its places' sums. */
static void tile_outputs(const matrices *x, const layer_shape *s, const double *sums, float bias, size_t ty, size_t tx,
                         float *plane) {
  for (size_t r = 0; r < x->m && ty * x->m + r < s->in.h; r++)
    for (size_t k = 0; k < x->m && tx * x->m + k < s->in.w; k++) {
      double value = (double)bias;
      for (size_t i = 0; i < x->n; i++)
        for (size_t j = 0; j < x->n; j++) value += x->at[r][i] * sums[i * x->n + j] * x->at[k][j];
      plane[(ty * x->m + r) * s->in.w + tx * x->m + k] = (float)(s->relu && value < 0 ? 0 : value);
    }
}

bool winograd_bf16_is(const algo *a) {
  return a->form == ALGO_BF16_MATH && strstr(a->name, "winograd");
}

void winograd_bf16_reference(const layer *l, int m, size_t n, const float *in, float *out) {
  const matrices x = make(m);
  const layer_shape *s = &l->shape;
  const size_t ics = s->in.c, ocs = s->out.c, places = x.n * x.n, plane = s->in.h * s->in.w;
  float *weights = calloc(ocs * ics * 9, sizeof *weights);
  double *u = calloc(ocs * ics * places, sizeof *u), *v = calloc(ics * places, sizeof *v);
  layer_read_rows(l, 0, ocs, weights);
  for (size_t i = 0; i < ocs * ics; i++) {
    double taps[9];
    for (size_t k = 0; k < 9; k++) taps[k] = (double)weights[i * 9 + k];
    transform(&x.g[0][0], x.n, 3, 3, taps, u + i * places);
  }
  for (size_t image = 0; image < n; image++)
    for (size_t ty = 0; ty * x.m < s->in.h; ty++)
      for (size_t tx = 0; tx * x.m < s->in.w; tx++) {
        tile_inputs(&x, s, in + image * ics * plane, ty, tx, v);
        for (size_t oc = 0; oc < ocs; oc++) {
          double sums[N_MOST * N_MOST] = {0};
          for (size_t ic = 0; ic < ics; ic++)
            for (size_t f = 0; f < places; f++) sums[f] += u[(oc * ics + ic) * places + f] * v[ic * places + f];
          tile_outputs(&x, s, sums, l->bias[oc], ty, tx, out + (image * ocs + oc) * plane);
        }
      }
  free(weights);
  free(u);
  free(v);
}
