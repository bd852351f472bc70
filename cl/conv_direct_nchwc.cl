/*
 * 3x3 convolution on blocked activations, computed directly, bias and ReLU fused. For CPUs: a work-item is a work-group, and its
 * vectors are VEC channels.
 *
 *   in   (n, IC/VEC, H, W, VEC); the first layer: with FROM_NCHW (n, IC, H, W), with FROM_RGB8 (n, H, W, 3) bytes, which are
 *        normalised while they are copied: (byte - mean) * factor, of which the arguments m and f are red's, green's and blue's
 *   w    (groups of OC_STEP output channels, IC/LANES, 3, 3, LANES, OC_STEP)
 *   out  (n, OC/VEC, H, W, VEC)
 *
 *            x0 - 1          SPAN pixels of LANES channels, zeros outside the image; channel by channel FROM_NCHW,
 *   row[]   |..|..|..|..|..|..|..|..|     copied once for each of the three rows above a row of outputs,
 *   sum[]      |TILE x OC_STEP sums|      then multiplied by 3 x LANES vectors of weights
 *
 * A group computes one row of one image for OC_STEP output channels, TILE pixels at a time.
 * Contract on surplus channels: as in conv_winograd.cl.
 */
#ifndef VEC
#define VEC 16  // channels of a block, the width of a vector (4, 8, 16)
#endif
#ifndef TILE
#define TILE 14  // pixels that are computed at once (4, 6, 7, 14)
#endif
#ifndef OC_BLOCKS
#define OC_BLOCKS 2  // blocks of output channels computed at once (1, 2)
#endif
#if defined(FROM_RGB8)
#define LANES 3
#elif defined(FROM_NCHW)
#ifndef LANES
#define LANES 3  // input channels, all in one block (1..4)
#endif
#else
#define LANES VEC
#endif

#define OC_STEP     (OC_BLOCKS * VEC)
#define SPAN        (TILE + 2) /* pixels that TILE outputs of a row need */
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, VEC) vec;
#define LOAD(p)     (*(__global const vec *)(p))
#define STORE(p, v) (*(__global vec *)(p) = (v))
/* Not fmax: a NaN must stay one. */
#define AT_LEAST(low, v) ((v) < (low) ? (low) : (v))
#define EACH(i, n)       _Pragma("unroll") for (int i = 0; i < (n); i++) /* an unrolled loop */
#ifdef PREFETCH /* the compiler has clang's __builtin_prefetch */
#define FETCH_OWN(p) __builtin_prefetch((__global const char *)(p), 1, 3) /* to be written */
#else
#define FETCH_OWN(p)
#endif

#if defined(FROM_RGB8)
#define KERNEL_NAME conv_u8_nhwc_nchwc_direct
#define IN          uchar
#define PIXEL_ARGS  , float m0, float m1, float m2, float f0, float f1, float f2
#elif defined(FROM_NCHW)
#define KERNEL_NAME conv_f32_nchw_nchwc_direct
#define IN          float
#define PIXEL_ARGS
#else
#define KERNEL_NAME conv_f32_nchwc_direct
#define IN          float
#define PIXEL_ARGS
#endif

/* Where row holds pixel i's k-th of the 3 x LANES values that its weights are for. */
#ifdef FROM_NCHW
#define PLACE(i, k) ((k) % LANES * SPAN + (k) / LANES + (i))
#else
#define PLACE(i, k) ((i)*LANES + (k))
#endif

#ifdef FROM_RGB8
#define NORMAL(byte, k) ((convert_float(byte) - mean[k]) * factor[k])

/* Pixels x0 - 1 .. x0 + TILE of row y of image n, zeros outside the image. mean and factor are repeated for each of TILE pixels:
 * so a tile inside the image is one loop of a fixed length over bytes in a row, which compilers turn into vectors. */
void load_pixels(__global const uchar *in, int n, int y, int x0, int height, int width, const float *mean,
                 const float *factor, float *row) {
  __global const uchar *line = in + ((size_t)n * height + y) * width * 3;
  __global const uchar *tile = line + (size_t)x0 * 3;
  float *to = row + 3;
  for (int c = 0; c < 3; c++) {
    row[c] = x0 > 0 ? NORMAL(line[(x0 - 1) * 3 + c], c) : 0.0f;
    to[TILE * 3 + c] = x0 + TILE < width ? NORMAL(tile[TILE * 3 + c], c) : 0.0f;
  }
  if (x0 + TILE <= width)
    for (int k = 0; k < TILE * 3; k++) to[k] = NORMAL(tile[k], k);
  else
    for (int k = 0; k < TILE * 3; k++) to[k] = k < (width - x0) * 3 ? NORMAL(tile[k], k) : 0.0f;
}
#else
/* Pixels x0 - 1 .. x0 + TILE of row y of channel block b of image n, zeros outside the image. */
void load_row(__global const float *in, int blocks, int n, int b, int y, int x0, int height, int width, float *row) {
#ifdef FROM_NCHW
  const bool inside = x0 > 0 && x0 + TILE < width; /* a loop of a fixed length, which compilers turn into vectors */
  for (int c = 0; c < LANES; c++, row += SPAN) {
    __global const float *line = in + ((size_t)(n * LANES + c) * height + y) * width;
    if (inside)
      for (int i = 0; i < SPAN; i++) row[i] = line[x0 - 1 + i];
    else
      for (int i = 0; i < SPAN; i++) row[i] = (uint)(x0 - 1 + i) < (uint)width ? line[x0 - 1 + i] : 0.0f;
  }
#else
  __global const float *line = in + ((size_t)(n * blocks + b) * height + y) * width * VEC;
  for (int i = 0; i < SPAN; i++) {
    const int x = x0 - 1 + i;
    *(vec *)(row + i * VEC) = (uint)x < (uint)width ? LOAD(line + (size_t)x * VEC) : (vec)(0.0f);
  }
#endif
}
#endif

/* Groups: (H, groups of OC_STEP output channels, n). */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void KERNEL_NAME(
    __global const IN *restrict in, __global const float *restrict w, __global const float *restrict bias,
    __global float *restrict out, int ic_blocks, int oc_blocks, int height, int width, float lowest PIXEL_ARGS) {
  const int y = get_group_id(0), g = get_group_id(1), n = get_group_id(2);
  float row[SPAN * LANES] __attribute__((aligned(64)));
#ifdef FROM_RGB8
  float mean[TILE * 3], factor[TILE * 3];
  for (int i = 0; i < TILE; i++) {
    mean[i * 3] = m0, mean[i * 3 + 1] = m1, mean[i * 3 + 2] = m2;
    factor[i * 3] = f0, factor[i * 3 + 1] = f1, factor[i * 3 + 2] = f2;
  }
#endif
  const size_t plane = (size_t)height * width * VEC;
  __global float *lines = out + (size_t)(n * oc_blocks + g * OC_BLOCKS) * plane + (size_t)y * width * VEC;
  for (int x0 = 0; x0 < width; x0 += TILE) {
    vec sum[OC_BLOCKS][TILE];
    EACH (o, OC_BLOCKS) {
      EACH (i, TILE) sum[o][i] = LOAD(bias + (g * OC_BLOCKS + o) * VEC);
      EACH (i, TILE) FETCH_OWN(lines + o * plane + (size_t)(x0 + TILE + i) * VEC);
    }
    for (int b = 0; b < ic_blocks; b++)
      for (int ky = 0; ky < 3; ky++) {
        if ((uint)(y + ky - 1) >= (uint)height) continue;
#ifdef FROM_RGB8
        load_pixels(in, n, y + ky - 1, x0, height, width, mean, factor, row);
#else
        load_row(in, ic_blocks, n, b, y + ky - 1, x0, height, width, row);
#endif
        __global const float *weights = w + (size_t)((g * ic_blocks + b) * 3 + ky) * 3 * LANES * OC_STEP;
        for (int k = 0; k < 3 * LANES; k++) { /* kx * LANES + c */
          vec weight[OC_BLOCKS];
          EACH (o, OC_BLOCKS) weight[o] = LOAD(weights + k * OC_STEP + o * VEC);
          EACH (i, TILE) {
            const vec x = (vec)(row[PLACE(i, k)]);
            EACH (o, OC_BLOCKS) sum[o][i] = fma(x, weight[o], sum[o][i]);
          }
        }
      }
    EACH (o, OC_BLOCKS)
      if (g * OC_BLOCKS + o < oc_blocks)
        EACH (i, TILE)
          if (x0 + i < width) STORE(lines + o * plane + (size_t)(x0 + i) * VEC, AT_LEAST((vec)(lowest), sum[o][i]));
  }
}
