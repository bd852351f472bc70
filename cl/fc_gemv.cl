/*
 * A fully connected layer that reads every weight once, in memory order, with bias and ReLU: matrix times one vector, or times a few
 * (a batch). For CPUs: a work-item is a work-group.
 *
 *   in   (n, inputs)                         w (groups of ROWS * VEC rows, inputs, ROWS * VEC)    out (n, rows)
 *
 *   sum[image][ROWS] += in[image][k] * w[group][k][ROWS]      over k: ROWS vectors of weights serve IMAGES images
 *
 * Kernels: fc_f32_gemv; fc_f32_nchwc_gemv, the same on blocked activations, in whose order its weights are packed; and the same
 * two with weights stored smaller, as fc_f24w_gemv and fc_f24w_nchwc_gemv, and fc_f16w_gemv and fc_f16w_nchwc_gemv. The
 * arithmetic is f32 in all of them.
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
/* PREFETCH, when it is defined, says that the compiler has clang's __builtin_prefetch. INT24 and HALF are the weights' forms that
 * are not f32, below. */

#define STEP        (ROWS * VEC)
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, VEC) vec;
/* Not fmax: a NaN must stay one. */
#define AT_LEAST(low, v) ((v) < (low) ? (low) : (v))
#define EACH(i, n)       _Pragma("unroll") for (int i = 0; i < (n); i++) /* an unrolled loop */

/*
 * The forms of stored weights. Of each: the bytes that a group's weights of one k take, which begin at at; the r-th vector of
 * these as f32; and what makes a sum of their products one of weights. end is where the weights of the group's last k end.
 */
#if defined(INT24)
/* Integers q, and for each row the scale that makes them weights: ROWS vectors of q >> 8 as short, then ROWS of q & 255 as uchar;
 * at the group's end ROWS vectors of scales as float. */
#define STEP_BYTES  (STEP * 3)
#define SCALE_BYTES (STEP * 4)
vec load_weights(__global const uchar *at, int r) {
  const JOIN(short, VEC) high = JOIN(vload, VEC)(r, (__global const short *)at);
  const JOIN(uchar, VEC) low = JOIN(vload, VEC)(r, at + STEP * 2);
  return JOIN(convert_float, VEC)(JOIN(convert_int, VEC)(high) * 256 + JOIN(convert_int, VEC)(low));
}
#define SCALED(sum, end, r) ((sum)*JOIN(vload, VEC)(r, (__global const float *)(end)))
#elif defined(HALF)
#define STEP_BYTES          (STEP * 2)
#define SCALE_BYTES         0
#define load_weights(at, r) JOIN(vload_half, VEC)(r, (__global const half *)(at))
#define SCALED(sum, end, r) (sum)
#else
#define STEP_BYTES          (STEP * 4)
#define SCALE_BYTES         0
#define load_weights(at, r) (((__global const vec *)(at))[r])
#define SCALED(sum, end, r) (sum)
#endif

/* The hardware's own prefetching follows a stream of floats at the memory's speed, but not with more work between the loads: the
 * conversions of smaller forms, or several images. The hint is to keep what is fetched: reads marked for one use only are slower by
 * half. */
#if defined(PREFETCH) && (STEP_BYTES < STEP * 4 || IMAGES > 1)
#define FETCH(p) __builtin_prefetch(p, 0, 3)
#else
#define FETCH(p)
#endif
#define AHEAD      4096  // bytes
#define LINE       64    // bytes of a cache's line
#define STEP_LINES ((STEP_BYTES + LINE - 1) / LINE)

/* Rows of images first .. first + IMAGES - 1; those from batch on repeat the last and are not written. */
void multiply(__global const float *in, __global const uchar *w, __global const float *bias, __global float *out,
              int batch, int first, int inputs, int outputs, int row, float lowest) {
  __global const float *x[IMAGES];
  EACH (i, IMAGES) x[i] = in + (size_t)min(first + i, batch - 1) * inputs;
  vec sum[IMAGES][ROWS];
  EACH (i, IMAGES)
    EACH (r, ROWS) sum[i][r] = (vec)(0.0f);
  for (int k = 0; k < inputs; k++) {
    __global const uchar *at = w + (size_t)k * STEP_BYTES;
    vec v[ROWS];
    EACH (line, STEP_LINES) FETCH(at + AHEAD + line * LINE);
    EACH (r, ROWS) v[r] = load_weights(at, r);
    EACH (i, IMAGES)
      EACH (r, ROWS) sum[i][r] = fma((vec)(x[i][k]), v[r], sum[i][r]);
  }
  __global const uchar *end = w + (size_t)inputs * STEP_BYTES;
  for (int i = 0; i < IMAGES && first + i < batch; i++) {
    EACH (r, ROWS) {
      float values[VEC] __attribute__((aligned(64)));
      const vec total = SCALED(sum[i][r], end, r) + *(__global const vec *)(bias + row + r * VEC);
      *(vec *)values = AT_LEAST((vec)(lowest), total);
      for (int j = 0; j < VEC && row + r * VEC + j < outputs; j++)
        out[(size_t)(first + i) * outputs + row + r * VEC + j] = values[j];
    }
  }
}

__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void KERNEL_NAME(
    __global const float *restrict in, __global const uchar *restrict w, __global const float *restrict bias,
    __global float *restrict out, int batch, int inputs, int outputs, int first_row, float lowest) {
  const int group = get_group_id(0), row = first_row + group * STEP;
  __global const uchar *rows = w + group * ((size_t)inputs * STEP_BYTES + SCALE_BYTES);
  for (int first = 0; first < batch; first += IMAGES)
    multiply(in, rows, bias, out, batch, first, inputs, outputs, row, lowest);
}
