/*
 * A fully connected layer that reads every weight once, in memory order, with bias and ReLU: matrix times one vector, or times a few
 * (a batch). For CPUs: a work-item is a work-group.
 *
 *   in   (n, inputs)                         w (groups of ROWS * VEC rows, inputs, ROWS * VEC)    out (n, rows)
 *
 *   sum[image][ROWS] += in[image][k] * w[group][k][ROWS]      over k: ROWS vectors of weights serve IMAGES images
 *
 * Kernels: fc_f32_gemv; fc_f32_nchwc_gemv, the same on blocked activations, in whose order its weights are packed; and
 * fc_f16w_gemv and fc_f16w_nchwc_gemv, whose weights are stored as halves.
 * Groups: (groups of rows in this panel). first_row is the panel's first row; the surplus rows of the last group hold zeros
 * and are not written.
 */
#ifndef VEC
#define VEC 16  // rows of a vector (4, 8, 16)
#endif
#ifndef ROWS
#define ROWS 4  // vectors of rows that a group computes (1, 2, 4)
#endif
#ifndef KERNEL_NAME
#define KERNEL_NAME fc_f32_gemv
#endif
#ifndef IMAGES
#define IMAGES 1  // images computed at once (1, 2, 4, 8, 12)
#endif
/* PREFETCH, when it is defined, says that the compiler has clang's __builtin_prefetch. */
/* HALF: the weights are stored as IEEE half precision; the arithmetic is f32 all the same. */

#define STEP        (ROWS * VEC)
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, VEC) vec;
/* Not fmax: a NaN must stay one. */
#define AT_LEAST(low, v) ((v) < (low) ? (low) : (v))
#define EACH(i, n)       _Pragma("unroll") for (int i = 0; i < (n); i++) /* an unrolled loop */
#ifdef HALF
typedef half weight;
#define LOAD_WEIGHT(p) JOIN(vload_half, VEC)(0, p)
#else
typedef float weight;
#define LOAD_WEIGHT(p) (*(__global const vec *)(p))
#endif
/* The hardware's own prefetching follows a stream of floats at the memory's speed, but not with more work between the loads: the
 * conversions of halves, or several images. The hint is to keep what is fetched: reads marked for one use only are slower by
 * half. */
#if defined(PREFETCH) && (defined(HALF) || IMAGES > 1)
#define FETCH(p) __builtin_prefetch((__global const char *)(p), 0, 3)
#else
#define FETCH(p)
#endif
#define AHEAD      4096  // bytes
#define LINE       64    // bytes of a cache's line
#define STEP_LINES ((STEP * (int)sizeof(weight) + LINE - 1) / LINE)

/* Rows of images first .. first + IMAGES - 1; those from batch on repeat the last and are not written. */
void multiply(__global const float *in, __global const weight *w, __global const float *bias, __global float *out,
              int batch, int first, int inputs, int outputs, int row, float lowest) {
  __global const float *x[IMAGES];
  EACH (i, IMAGES) x[i] = in + (size_t)min(first + i, batch - 1) * inputs;
  vec sum[IMAGES][ROWS];
  EACH (i, IMAGES)
    EACH (r, ROWS) sum[i][r] = (vec)(0.0f);
  for (int k = 0; k < inputs; k++) {
    __global const weight *at = w + (size_t)k * STEP;
    vec v[ROWS];
    EACH (line, STEP_LINES) FETCH((__global const char *)at + AHEAD + line * LINE);
    EACH (r, ROWS) v[r] = LOAD_WEIGHT(at + r * VEC);
    EACH (i, IMAGES)
      EACH (r, ROWS) sum[i][r] = fma((vec)(x[i][k]), v[r], sum[i][r]);
  }
  for (int i = 0; i < IMAGES && first + i < batch; i++) {
    EACH (r, ROWS) {
      float values[VEC] __attribute__((aligned(64)));
      const vec total = sum[i][r] + *(__global const vec *)(bias + row + r * VEC);
      *(vec *)values = AT_LEAST((vec)(lowest), total);
      for (int j = 0; j < VEC && row + r * VEC + j < outputs; j++)
        out[(size_t)(first + i) * outputs + row + r * VEC + j] = values[j];
    }
  }
}

__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void KERNEL_NAME(
    __global const float *restrict in, __global const weight *restrict w, __global const float *restrict bias,
    __global float *restrict out, int batch, int inputs, int outputs, int first_row, float lowest) {
  const int group = get_group_id(0), row = first_row + group * STEP;
  __global const weight *rows = w + (size_t)group * inputs * STEP;
  for (int first = 0; first < batch; first += IMAGES)
    multiply(in, rows, bias, out, batch, first, inputs, outputs, row, lowest);
}
