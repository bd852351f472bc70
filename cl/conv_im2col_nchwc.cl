/*
 * conv_f32_nchwc_im2col: 3x3 convolution of small images on blocked activations as one matrix product, bias, ReLU and 2x2 max-pooling
 * fused. For CPUs: a work-item is a work-group, and its vectors are VEC channels.
 *
 *   in   (n, IC/VEC, H, W, VEC)
 *   v    (blocks of TILES pixels, IC/VEC, 3, 3, TILES, VEC): the neighbourhood of each pixel, zeros outside the image
 *   w    (groups of OC_STEP output channels, IC/VEC, 3, 3, VEC, OC_STEP)
 *   p    (OC_BLOCKS, blocks, TILES, VEC) of a group of output channels: sums over all of IC, 3, 3
 *   out  (n, OC/VEC, H, W, VEC), or H/2, W/2 when pool
 *
 * A direct convolution goes through its weights once for every row of outputs. Here they are read once for all pixels of a few images,
 * a strip, whose neighbourhoods are copied first: for images of a few pixels, which have more weights than pixels, reading weights is all
 * that counts. The pixels of a strip, image by image, are in blocks of TILES or, after the first ones, one less (block_count,
 * full_blocks of conv_winograd.cl have the same rule).
 *
 * Groups: any number of them, one a processor is best; each takes an equal share of the items, which are groups of output channels for
 * strips of up to strip_images images. scratch holds v and p of each group.
 * Contract on surplus channels: as in conv_winograd.cl.
 */
#ifndef VEC
#define VEC 16  // channels of a block, the width of a vector (4, 8, 16)
#endif
#ifndef TILES
#define TILES 14  // pixels that the multiplication keeps in registers (4, 6, 8, 12, 14)
#endif
#ifndef OC_BLOCKS
#define OC_BLOCKS 2  // blocks of output channels that it keeps in registers (1, 2)
#endif

#define OC_STEP     (OC_BLOCKS * VEC)
#define TAPS        9
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, VEC) vec;
#define LOAD(p)     (*(__global const vec *)(p))
#define STORE(p, v) (*(__global vec *)(p) = (v))
/* Not fmax: a NaN must stay one. */
#define AT_LEAST(low, v) ((v) < (low) ? (low) : (v))
#define LARGER(a, b)     (((a) > (b) | (a) != (a)) ? (a) : (b))
#define EACH(i, n)       _Pragma("unroll") for (int i = 0; i < (n); i++) /* an unrolled loop */
#ifdef PREFETCH /* the compiler has clang's __builtin_prefetch */
#define FETCH(p) __builtin_prefetch((__global const char *)(p), 0, 2)
#else
#define FETCH(p)
#endif

int block_count(int pixels) {
  return (pixels + TILES - 1) / TILES;
}

int full_blocks(int pixels) {
  const int blocks = block_count(pixels), left = pixels - blocks * (TILES - 1);
  return left >= 0 ? left : blocks;
}

/* A pixel's place in blocks of TILES places. */
int place_in_blocks(int pixel, int full) {
  const int behind = pixel - full * TILES;
  return behind < 0 ? pixel : pixel + behind / (TILES - 1);
}

/* count images, from in (count, IC/VEC, H, W, VEC) to v. */
void gather(__global const float *in, int count, int ic_blocks, int height, int width, __global float *v) {
  const int pixels = height * width, full = full_blocks(count * pixels);
  for (int n = 0; n < count; n++)
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++) {
        const int place = place_in_blocks(n * pixels + y * width + x, full);
        __global float *to = v + ((size_t)(place / TILES) * ic_blocks * TAPS * TILES + (size_t)(place % TILES)) * VEC;
        __global const float *from = in + ((size_t)n * ic_blocks * pixels + y * width + x) * VEC;
        for (int b = 0; b < ic_blocks; b++, from += (size_t)pixels * VEC)
          EACH (tap, TAPS) {
            const int dy = tap / 3 - 1, dx = tap % 3 - 1;
            const bool inside = (uint)(y + dy) < (uint)height && (uint)(x + dx) < (uint)width;
            STORE(to, inside ? LOAD(from + (dy * width + dx) * VEC) : (vec)(0.0f));
            to += TILES * VEC;
          }
      }
}

/* count pixels (a constant, up to TILES) by OC_STEP output channels: v (steps, TILES, VEC) and w (steps, VEC, OC_STEP) to p, whose channel
 * blocks are oc_stride floats apart. Meanwhile the weights that come after these are brought into the cache, from next on. */
__attribute__((always_inline)) void multiply_block(__global const float *v, __global const float *w, int steps,
                                                   __global float *p, size_t oc_stride, int count,
                                                   __global const char *next, int next_step) {
  vec sum[OC_BLOCKS][TILES];
  EACH (o, OC_BLOCKS)
    EACH (t, TILES) sum[o][t] = (vec)(0.0f);
  for (int s = 0; s < steps; s++, v += TILES * VEC)
    for (int c = 0; c < VEC; c++, w += OC_STEP, next += next_step) {
      vec weight[OC_BLOCKS];
      EACH (o, OC_BLOCKS) weight[o] = LOAD(w + o * VEC);
      FETCH(next);
      EACH (t, TILES)
        if (t < count) {
          const vec x = (vec)(v[t * VEC + c]);
          EACH (o, OC_BLOCKS) sum[o][t] = fma(x, weight[o], sum[o][t]);
        }
    }
  EACH (o, OC_BLOCKS)
    EACH (t, TILES)
      if (t < count) STORE(p + (size_t)o * oc_stride + t * VEC, sum[o][t]);
}

/* One channel block of one image, whose first pixel is the strip's first-th: p (blocks, TILES, VEC) to plane. */
void finish(__global const float *p, int first, int full, vec bias, float lowest, __global float *plane, int height,
            int width, int pool) {
#define OUTPUT(y, x) \
  AT_LEAST((vec)(lowest), LOAD(p + (size_t)place_in_blocks(first + (y)*width + (x), full) * VEC) + bias)
  if (!pool) {
    for (int y = 0; y < height; y++)
      for (int x = 0; x < width; x++) STORE(plane + (size_t)(y * width + x) * VEC, OUTPUT(y, x));
    return;
  }
  for (int y = 0; y < height / 2; y++)
    for (int x = 0; x < width / 2; x++) {
      const vec a = OUTPUT(2 * y, 2 * x), b = OUTPUT(2 * y, 2 * x + 1);
      const vec c = OUTPUT(2 * y + 1, 2 * x), d = OUTPUT(2 * y + 1, 2 * x + 1);
      const vec top = LARGER(a, b), below = LARGER(c, d);
      STORE(plane + (size_t)(y * (width / 2) + x) * VEC, LARGER(top, below));
    }
}

__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void conv_f32_nchwc_im2col(
    __global const float *restrict in, __global const float *restrict w, __global const float *restrict bias,
    __global float *restrict out, __global float *restrict scratch, int batch, int ic_blocks, int oc_blocks, int height,
    int width, int strip_images, int pool, float lowest) {
  const int group = get_group_id(0), groups = get_num_groups(0), pixels = height * width;
  const int oc_groups = (oc_blocks + OC_BLOCKS - 1) / OC_BLOCKS;
  const int items = (batch + strip_images - 1) / strip_images * oc_groups, steps = ic_blocks * TAPS;
  const size_t places = (size_t)block_count(strip_images * pixels) * TILES;
  const size_t out_plane = (size_t)(pool ? (height / 2) * (width / 2) : pixels) * VEC;
  const size_t w_floats = (size_t)steps * VEC * OC_STEP;
  __global float *v = scratch + (size_t)group * places * (steps * VEC + OC_STEP);
  __global float *p = v + places * steps * VEC;
  const int last_item = (int)((long)items * (group + 1) / groups);
  int gathered = -1;
  for (int item = (int)((long)items * group / groups); item < last_item; item++) {
    const int g = item % oc_groups, first = item / oc_groups * strip_images;
    const int images = min(strip_images, batch - first), blocks = block_count(images * pixels);
    const int full = full_blocks(images * pixels), next_step = OC_STEP * (int)sizeof(float) / blocks;
    if (first != gathered) gather(in + (size_t)first * ic_blocks * pixels * VEC, images, ic_blocks, height, width, v);
    gathered = first;
    __global const float *weights = w + g * w_floats;
    __global const char *next = (__global const char *)(weights + w_floats);
    for (int b = 0; b < blocks; b++, next += steps * VEC * next_step) {
      __global const float *v_block = v + (size_t)b * steps * TILES * VEC;
      __global float *p_block = p + (size_t)b * TILES * VEC;
      if (b < full)
        multiply_block(v_block, weights, steps, p_block, places * VEC, TILES, next, next_step);
      else
        multiply_block(v_block, weights, steps, p_block, places * VEC, TILES - 1, next, next_step);
    }
    for (int o = 0; o < OC_BLOCKS && g * OC_BLOCKS + o < oc_blocks; o++)
      for (int n = 0; n < images; n++)
        finish(p + o * places * VEC, n * pixels, full, LOAD(bias + (g * OC_BLOCKS + o) * VEC), lowest,
               out + ((size_t)(first + n) * oc_blocks + g * OC_BLOCKS + o) * out_plane, height, width, pool);
  }
}
