/*
 * fc_f32_tiled: fully connected layer. A work-group computes ROWS outputs of IMAGES images: its GROUP work-items share the
 * inputs k between them in vectors of WIDTH, so that neighbours read neighbouring memory, keep ROWS x IMAGES sums in
 * registers, and add them up in local memory at the end. On a CPU a group is one work-item and WIDTH fills a SIMD register.
 *
 *        k ->    item 0     item 1    ...  item GROUP-1   item 0     ...    | tail, one by one
 *   row 0      [ WIDTH ]  [ WIDTH ]        [ WIDTH ]    [ WIDTH ]           |
 *   row 1      [ WIDTH ]  [ WIDTH ]        ...                              |    ROWS rows of weights
 *   image 0    [ WIDTH ]  [ WIDTH ]        ...                              |    IMAGES rows of in
 *
 *   out[n][first_row + r] = relu(bias[first_row + r] + sum over k of weights[r][k] * in[n][k])
 *
 * weights is one panel of the whole matrix: its rows [first_row, first_row + rows), since a matrix can be larger than one
 * buffer may be. Rows and images beyond the last are computed as the last, and not written.
 * Work-groups: dimension 0 = images, 1 = rows; images first, so that a group's weights are still in the cache for the next.
 */
#ifndef GROUP
#define GROUP 64  // work-items in a group, a power of two (1, 2, 4, 8, 16, 32, 64, 128, 256)
#endif
#ifndef WIDTH
#define WIDTH 4  // floats that a work-item reads at a time (2, 4, 8, 16)
#endif
#ifndef ROWS
#define ROWS 4  // outputs of a group (1, 2, 4, 8)
#endif
#ifndef IMAGES
#define IMAGES 1  // images of a group (1, 2, 4, 8)
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)
typedef PASTE(float, WIDTH) floatw;
#define VLOAD  PASTE(vload, WIDTH)
#define VSTORE PASTE(vstore, WIDTH)

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void fc_f32_tiled(
    __global const float *restrict in,       // (batch, inputs)
    __global const float *restrict weights,  // (rows, inputs)
    __global const float *restrict bias,     // (outputs)
    __global float *restrict out,            // (batch, outputs)
    int batch, int inputs, int outputs, int first_row, int rows,
    float lowest)  // 0 for ReLU, else -infinity
{
  const int item = get_local_id(0);
  const int n0 = (int)get_group_id(0) * IMAGES;
  const int r0 = (int)get_group_id(1) * ROWS;

  __global const float *row[ROWS];
  __global const float *image[IMAGES];
#pragma unroll
  for (int r = 0; r < ROWS; r++) row[r] = weights + min(r0 + r, rows - 1) * inputs;
#pragma unroll
  for (int n = 0; n < IMAGES; n++) image[n] = in + min(n0 + n, batch - 1) * inputs;

  floatw wide[ROWS][IMAGES];
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
#pragma unroll
    for (int n = 0; n < IMAGES; n++) wide[r][n] = (floatw)(0.0f);
  }
  const int vectors = inputs / WIDTH;
  for (int v = item; v < vectors; v += GROUP) {
    floatw x[IMAGES];
#pragma unroll
    for (int n = 0; n < IMAGES; n++) x[n] = VLOAD(v, image[n]);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      const floatw w = VLOAD(v, row[r]);
#pragma unroll
      for (int n = 0; n < IMAGES; n++) wide[r][n] += w * x[n];
    }
  }

  float sum[ROWS][IMAGES];
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
#pragma unroll
    for (int n = 0; n < IMAGES; n++) {
      float lane[WIDTH];
      VSTORE(wide[r][n], 0, lane);
      float total = 0.0f;
#pragma unroll
      for (int i = 0; i < WIDTH; i++) total += lane[i];
      for (int k = vectors * WIDTH + item; k < inputs; k += GROUP) total += row[r][k] * image[n][k];
      sum[r][n] = total;
    }
  }

#if GROUP > 1
  __local float partial[ROWS * IMAGES * GROUP];
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
#pragma unroll
    for (int n = 0; n < IMAGES; n++) partial[(r * IMAGES + n) * GROUP + item] = sum[r][n];
  }
  for (int half_group = GROUP / 2; half_group > 0; half_group /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < half_group) {
      for (int i = 0; i < ROWS * IMAGES; i++) partial[i * GROUP + item] += partial[i * GROUP + item + half_group];
    }
  }
  if (item != 0) return;
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
#pragma unroll
    for (int n = 0; n < IMAGES; n++) sum[r][n] = partial[(r * IMAGES + n) * GROUP];
  }
#endif

#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    if (r0 + r >= rows) continue;
#pragma unroll
    for (int n = 0; n < IMAGES; n++) {
      if (n0 + n >= batch) continue;
      const float value = sum[r][n] + bias[first_row + r0 + r];
      // Not fmax: a NaN must stay one.
      out[(n0 + n) * outputs + first_row + r0 + r] = value < lowest ? lowest : value;
    }
  }
}
