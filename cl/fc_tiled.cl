/*
 * Fully connected layer as dot products that work-items share: fc_f32_tiled, and with weights stored smaller fc_f24w_tiled and
 * fc_f16w_tiled; fc_f32_subgroup and fc_f16w_subgroup need sub-groups. The arithmetic is f32 in all of them. Every weight comes from
 * memory once for IMAGES images; neighbours read neighbouring vectors of WIDTH, and each keeps ROWS x IMAGES sums in registers.
 *
 *        k ->    item 0     item 1    ...  last item      item 0     ...    | tail, one by one
 *   row 0      [ WIDTH ]  [ WIDTH ]        [ WIDTH ]    [ WIDTH ]           |
 *   row 1      [ WIDTH ]  [ WIDTH ]        ...                              |  ROWS rows of weights
 *   image 0    [ WIDTH ]  [ WIDTH ]        ...                              |  IMAGES rows of in
 *
 *   out[n][first_row + r] = relu(bias[first_row + r] + sum over k of weights[r][k] * in[n][k])
 *
 *   tiled     a work-group shares the sums of its ROWS x IMAGES outputs, and adds them up in local memory. On a CPU a group is one
 *             work-item, and WIDTH fills a SIMD register.
 *   subgroup  a sub-group does so, and adds up in registers: no local memory and no barrier. A work-group's sub-groups have rows of
 *             their own, and the next ones where the grid is smaller than the work, since the compiler decides how many there are.
 *
 * weights is one panel of the whole matrix: its rows [first_row, first_row + rows), since a matrix can be larger than one buffer
 * may be. Rows begin at multiples of 64 bytes, so that their vectors are aligned. Rows and images beyond the last are computed as the
 * last, and not written.
 * Work-groups: dimension 0 = images, 1 = rows; images first, so that a group's weights are still in the cache for the next.
 */
#ifndef KERNEL_NAME
#define KERNEL_NAME fc_f32_tiled
#endif
#ifndef GROUP
#define GROUP 64  // work-items in a group, a power of two (1, 2, 4, 8, 16, 32, 64, 128, 256)
#endif
#ifndef WIDTH
#define WIDTH 4  // inputs that a work-item reads at a time (2, 4, 8, 16)
#endif
#ifndef ROWS
#define ROWS 4  // outputs of a group or sub-group (1, 2, 4, 8)
#endif
#ifndef IMAGES
#define IMAGES 1  // images of a group or sub-group (1, 2, 4, 8)
#endif
/* INT24 and HALF are the weights' forms that are not f32, below; SUBGROUP chooses the kernels for sub-groups. WHOLE says that the inputs
 * of an image are a multiple of WIDTH. */

#ifdef SUBGROUP
#if defined(cl_khr_subgroups)
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#elif defined(cl_intel_subgroups)
#pragma OPENCL EXTENSION cl_intel_subgroups : enable
#endif
#endif

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, WIDTH) floatw;
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++) /* an unrolled loop */

/* ---- stored weights: a row's vector v and its weight k as f32, and what makes a sum of products one of weights */

#define PADDED(inputs) (((size_t)(inputs) + 15) / 16 * 16)
#if defined(INT24)
/* Integers q: all q >> 8 as short, then all q & 255 as uchar, then the scale as float. */
#define ROW_BYTES(inputs) ((PADDED(inputs) * 3 + 4 + 63) / 64 * 64)
floatw load_weights(__global const uchar *row, int inputs, int v) {
  const JOIN(short, WIDTH) high = ((__global const JOIN(short, WIDTH) *)row)[v];
  const JOIN(uchar, WIDTH) low = ((__global const JOIN(uchar, WIDTH) *)(row + PADDED(inputs) * 2))[v];
  return JOIN(convert_float, WIDTH)(JOIN(convert_int, WIDTH)(high) * 256 + JOIN(convert_int, WIDTH)(low));
}
#define load_weight(row, inputs, k) \
  (((__global const short *)(row))[k] * 256.0f + (float)(row)[PADDED(inputs) * 2 + (k)])
#define SCALED(sum, row, inputs) ((sum) * *(__global const float *)((row) + PADDED(inputs) * 3))
#elif defined(HALF)
#define ROW_BYTES(inputs)            ((PADDED(inputs) * 2 + 63) / 64 * 64)
#define load_weights(row, inputs, v) JOIN(vloada_half, WIDTH)(v, (__global const half *)(row))
#define load_weight(row, inputs, k)  vload_half(k, (__global const half *)(row))
#define SCALED(sum, row, inputs)     (sum)
#else
#define ROW_BYTES(inputs)            (PADDED(inputs) * 4)
#define load_weights(row, inputs, v) (((__global const floatw *)(row))[v])
#define load_weight(row, inputs, k)  (((__global const float *)(row))[k])
#define SCALED(sum, row, inputs)     (sum)
#endif

/* ---- inputs: an image's vector v, which is aligned where rows of inputs are whole vectors */

#ifdef WHOLE
#define load_inputs(image, v) (((__global const floatw *)(image))[v])
#else
#define load_inputs(image, v) JOIN(vload, WIDTH)(v, image)
#endif

/* ---- sums: one number each, where many work-items hide that an addition waits for the one before; vectors on a CPU */

#define ELEMENT(i) sum += a.s##i * b.s##i
float plus_products(float sum, floatw a, floatw b) {
  ELEMENT(0), ELEMENT(1);
#if WIDTH > 2
  ELEMENT(2), ELEMENT(3);
#endif
#if WIDTH > 4
  ELEMENT(4), ELEMENT(5), ELEMENT(6), ELEMENT(7);
#endif
#if WIDTH > 8
  ELEMENT(8), ELEMENT(9), ELEMENT(a), ELEMENT(b), ELEMENT(c), ELEMENT(d), ELEMENT(e), ELEMENT(f);
#endif
  return sum;
}

#if GROUP == 1
typedef floatw sums;
#define PLUS(sum, a, b) ((sum) + (a) * (b))
#define TOTAL(sum)      plus_products(0.0f, sum, (floatw)(1.0f))
#else
typedef float sums;
#define PLUS(sum, a, b) plus_products(sum, a, b)
#define TOTAL(sum)      (sum)
#endif

/* The part of ROWS x IMAGES outputs, from row r0 and image n0 on, that is of the vectors first, first + step, ... */
void multiply(__global const float *in, __global const uchar *weights, int batch, int inputs, int rows, int r0, int n0,
              int first, int step, float sum[ROWS][IMAGES]) {
  __global const uchar *row[ROWS];
  __global const float *image[IMAGES];
  EACH (r, ROWS) row[r] = weights + min(r0 + r, rows - 1) * ROW_BYTES(inputs);
  EACH (n, IMAGES) image[n] = in + min(n0 + n, batch - 1) * inputs;
  sums part[ROWS][IMAGES];
  EACH (r, ROWS)
    EACH (n, IMAGES) part[r][n] = (sums)(0.0f);
  const int vectors = inputs / WIDTH;
  for (int v = first; v < vectors; v += step) {
    floatw x[IMAGES];
    EACH (n, IMAGES) x[n] = load_inputs(image[n], v);
    EACH (r, ROWS) {
      const floatw w = load_weights(row[r], inputs, v);
      EACH (n, IMAGES) part[r][n] = PLUS(part[r][n], w, x[n]);
    }
  }
  EACH (r, ROWS)
    EACH (n, IMAGES) {
      float total = TOTAL(part[r][n]);
#ifndef WHOLE
      for (int k = vectors * WIDTH + first; k < inputs; k += step)
        total += load_weight(row[r], inputs, k) * image[n][k];
#endif
      sum[r][n] = SCALED(total, row[r], inputs);
    }
}

/* Bias, ReLU, and those rows and images that there are. */
void store(__global const float *bias, __global float *out, int batch, int outputs, int first_row, int rows, int r0,
           int n0, float lowest, float sum[ROWS][IMAGES]) {
  EACH (r, ROWS)
    EACH (n, IMAGES) {
      if (r0 + r >= rows || n0 + n >= batch) continue;
      const float value = sum[r][n] + bias[first_row + r0 + r];
      // Not fmax: a NaN must stay one.
      out[(n0 + n) * outputs + first_row + r0 + r] = value < lowest ? lowest : value;
    }
}

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void KERNEL_NAME(
    __global const float *restrict in,       // (batch, inputs)
    __global const uchar *restrict weights,  // (rows, ROW_BYTES(inputs))
    __global const float *restrict bias,     // (outputs)
    __global float *restrict out,            // (batch, outputs)
    int batch, int inputs, int outputs, int first_row, int rows,
    float lowest)  // 0 for ReLU, else -infinity
{
  const int n0 = (int)get_group_id(0) * IMAGES;
  float sum[ROWS][IMAGES];

#ifdef SUBGROUP
  const int lane = get_sub_group_local_id(), lanes = get_sub_group_size(), groups = get_num_sub_groups();
  for (int r0 = ((int)get_group_id(1) * groups + (int)get_sub_group_id()) * ROWS; r0 < rows;
       r0 += (int)get_num_groups(1) * groups * ROWS) {
    multiply(in, weights, batch, inputs, rows, r0, n0, lane, lanes, sum);
    EACH (r, ROWS)
      EACH (n, IMAGES) sum[r][n] = sub_group_reduce_add(sum[r][n]);
    if (lane == 0) store(bias, out, batch, outputs, first_row, rows, r0, n0, lowest, sum);
  }
#else
  const int item = get_local_id(0), r0 = (int)get_group_id(1) * ROWS;
  multiply(in, weights, batch, inputs, rows, r0, n0, item, GROUP, sum);
#if GROUP > 1
  __local float partial[ROWS * IMAGES * GROUP];
  EACH (r, ROWS)
    EACH (n, IMAGES) partial[(r * IMAGES + n) * GROUP + item] = sum[r][n];
  for (int half_group = GROUP / 2; half_group > 0; half_group /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < half_group) {
      for (int i = 0; i < ROWS * IMAGES; i++) partial[i * GROUP + item] += partial[i * GROUP + item + half_group];
    }
  }
  if (item != 0) return;
  EACH (r, ROWS)
    EACH (n, IMAGES) sum[r][n] = partial[(r * IMAGES + n) * GROUP];
#endif
  store(bias, out, batch, outputs, first_row, rows, r0, n0, lowest, sum);
#endif
}
