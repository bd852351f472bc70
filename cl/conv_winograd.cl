/*
 * 3x3 convolution by Winograd's minimal filtering F(M x M, 3 x 3) on blocked activations, bias, ReLU and 2x2 max-pooling
 * fused. (A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.) For CPUs: a work-item is a
 * work-group, and its vectors are VEC channels.
 *
 *   in (n, IC/VEC, H, W, VEC)              out (n, OC/VEC, H, W, VEC), or H/2, W/2 when pool
 *        |  input transform  B^T d B            ^  output transform  A^T p A, + bias, ReLU, pool
 *        v                                      |
 *   v (FREQS, blocks, IC/VEC, TILES, VEC) --> p (FREQS, OC/VEC, blocks, TILES, VEC)
 *               multiply, for each of the FREQS = (M+2)^2 places of a transformed tile:
 *               p[oc][tile] = sum over ic of u[ic][oc] * v[ic][tile]
 *   u (FREQS, groups of OC_BLOCKS * VEC output channels, IC, OC_BLOCKS * VEC): the transformed weights
 *
 * An image is cut into tiles_y x tiles_x tiles of M x M outputs; tile t = (n * tiles_y + ty) * tiles_x + tx reads inputs from
 * row ty * M - 1 and column tx * M - 1 on; what lies outside the image is zero. Tiles are counted in blocks of up to TILES.
 *
 * Staged: three launches (_input, _multiply, _output) with v and p in memory. Fused: a work-group takes a strip of tiles through all
 * three while v and p stay in its cache.
 *
 * Contract: channels beyond IC in the last block of in are zeros, and those beyond OC in out become zeros (u and bias hold
 * zeros there).
 *
 * BF16: conv_bf16_nchwc_winograd and conv_bf16_nchwc_winograd_fused. u and v are rounded to bf16, pairs of input channels in a word, and
 * vdpbf16ps adds two products to each sum in f32; all else is f32. The instruction ends the process with a signal where the processor
 * does not have it: the host asks before it builds this. EMULATE_BF16 replaces it by plain OpenCL C.
 */
#ifndef VEC
#define VEC 16  // channels of a block, the width of a vector (4, 8, 16)
#endif
#ifndef M
#ifdef BF16
#define M 4  // side of a tile of outputs (2, 4)
#else
#define M 4  // side of a tile of outputs (2, 4, 6)
#endif
#endif
#ifndef TILES
#define TILES 14  // tiles that the multiplication keeps in registers (4, 6, 8, 12, 13, 14)
#endif
#ifndef OC_BLOCKS
#define OC_BLOCKS 2  // blocks of output channels that it keeps in registers (1, 2)
#endif
/* PREFETCH, when it is defined, says that the compiler has clang's __builtin_prefetch. */

/* Words of 32 bits that a block of input channels takes in u and v, and what is built. */
#ifdef BF16
#define WORDS    (VEC / 2)
#define INPUT    conv_bf16_nchwc_winograd_input
#define MULTIPLY conv_bf16_nchwc_winograd_multiply
#define OUTPUT   conv_bf16_nchwc_winograd_output
#define FUSED    conv_bf16_nchwc_winograd_fused
#else
#define WORDS    VEC
#define INPUT    conv_f32_nchwc_winograd_input
#define MULTIPLY conv_f32_nchwc_winograd_multiply
#define OUTPUT   conv_f32_nchwc_winograd_output
#define FUSED    conv_f32_nchwc_winograd_fused
#endif
#define N           (M + 2)
#define FREQS       (N * N)
#define OC_STEP     (OC_BLOCKS * VEC)
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, VEC) vec;

/* Aligned accesses: vloadN and vstoreN promise only a float's alignment, and PoCL splits vstore16 in four. */
#define LOAD(p)     (*(__global const vec *)(p))
#define STORE(p, v) (*(__global vec *)(p) = (v))
/* Not fmax: a NaN must stay one. */
#define AT_LEAST(low, v) ((v) < (low) ? (low) : (v))
#define LARGER(a, b)     (((a) > (b) | (a) != (a)) ? (a) : (b))
#define EACH(i, n)       _Pragma("unroll") for (int i = 0; i < (n); i++) /* an unrolled loop */
#ifdef PREFETCH
#define FETCH(p)     __builtin_prefetch((__global const char *)(p), 0, 2)
#define FETCH_OWN(p) __builtin_prefetch((__global const char *)(p), 1, 2) /* to be written */
#define FETCH_V(p)   __builtin_prefetch((__global const char *)(p), 0, 2)
#define FETCH_P(p)   __builtin_prefetch((__global const char *)(p), 0, 3)
#else
#define FETCH_V(p)
#define FETCH_P(p)
#define FETCH(p)
#define FETCH_OWN(p)
#endif
#define LINE       64 /* bytes of a cache's line */
#define CPU_KERNEL __attribute__((reqd_work_group_size(1, 1, 1))) __kernel

/* B^T d and A^T p for one row; interpolation points 0, 1, -1, 2, -2, 1/2, -1/2 (as many as M needs) and infinity; in bf16, for M = 4,
 * 0, A, -A, B, -B and infinity. */
#if M == 2
void input_row(const vec *d, vec *v) {
  v[0] = d[0] - d[2];
  v[1] = d[1] + d[2];
  v[2] = d[2] - d[1];
  v[3] = d[1] - d[3];
}
void output_row(const vec *p, vec *y) {
  y[0] = p[0] + p[1] + p[2];
  y[1] = p[1] - p[2] - p[3];
}
#elif M == 4 && defined(BF16)
/* Of the points that were tried, those with the least error where u and v have 8 significant bits. */
#define A 0.625f
#define B 1.5f
void input_row(const vec *d, vec *v) {
  const vec even = fma((vec)(-B * B), d[2], d[4]), odd = A * fma((vec)(-B * B), d[1], d[3]);
  const vec even2 = fma((vec)(-A * A), d[2], d[4]), odd2 = B * fma((vec)(-A * A), d[1], d[3]);
  v[0] = fma((vec)(A * A * B * B), d[0], fma((vec)(-A * A - B * B), d[2], d[4]));
  v[1] = even + odd;
  v[2] = even - odd;
  v[3] = even2 + odd2;
  v[4] = even2 - odd2;
  v[5] = fma((vec)(A * A * B * B), d[1], fma((vec)(-A * A - B * B), d[3], d[5]));
}
void output_row(const vec *p, vec *y) {
  const vec sum1 = p[1] + p[2], difference1 = A * (p[1] - p[2]), sum2 = p[3] + p[4], difference2 = B * (p[3] - p[4]);
  y[0] = p[0] + sum1 + sum2;
  y[1] = difference1 + difference2;
  y[2] = fma((vec)(A * A), sum1, (B * B) * sum2);
  y[3] = fma((vec)(A * A), difference1, fma((vec)(B * B), difference2, p[5]));
}
#elif M == 4
void input_row(const vec *d, vec *v) {
  const vec even = fma((vec)(-4.0f), d[2], d[4]), odd = fma((vec)(-4.0f), d[1], d[3]);
  const vec even2 = d[4] - d[2], odd2 = 2.0f * (d[3] - d[1]);
  v[0] = fma((vec)(4.0f), d[0], fma((vec)(-5.0f), d[2], d[4]));
  v[1] = even + odd;
  v[2] = even - odd;
  v[3] = even2 + odd2;
  v[4] = even2 - odd2;
  v[5] = fma((vec)(4.0f), d[1], fma((vec)(-5.0f), d[3], d[5]));
}
void output_row(const vec *p, vec *y) {
  const vec sum1 = p[1] + p[2], difference1 = p[1] - p[2], sum2 = p[3] + p[4], difference2 = p[3] - p[4];
  y[0] = p[0] + sum1 + sum2;
  y[1] = fma((vec)(2.0f), difference2, difference1);
  y[2] = fma((vec)(4.0f), sum2, sum1);
  y[3] = fma((vec)(8.0f), difference2, difference1) + p[5];
}
#elif M == 6
void input_row(const vec *d, vec *v) {
  vec even = fma((vec)(-4.25f), d[4], d[2] + d[6]), odd = fma((vec)(-4.25f), d[3], d[1] + d[5]);
  v[0] = fma((vec)(5.25f), d[4] - d[2], d[0] - d[6]);
  v[1] = even + odd;
  v[2] = even - odd;
  even = fma((vec)(-1.25f), d[4], fma((vec)(0.25f), d[2], d[6]));
  odd = fma((vec)(0.5f), d[1], fma((vec)(-2.5f), d[3], 2.0f * d[5]));
  v[3] = even + odd;
  v[4] = even - odd;
  even = fma((vec)(4.0f), d[2], fma((vec)(-5.0f), d[4], d[6]));
  odd = fma((vec)(2.0f), d[1], fma((vec)(-2.5f), d[3], 0.5f * d[5]));
  v[5] = even + odd;
  v[6] = even - odd;
  v[7] = fma((vec)(5.25f), d[3] - d[5], d[7] - d[1]);
}
void output_row(const vec *p, vec *y) {
  const vec sum1 = p[1] + p[2], difference1 = p[1] - p[2], sum2 = p[3] + p[4], difference2 = p[3] - p[4];
  const vec sum3 = p[5] + p[6], difference3 = p[5] - p[6];
  y[0] = p[0] + sum1 + sum2 + sum3;
  y[1] = fma((vec)(0.5f), difference3, fma((vec)(2.0f), difference2, difference1));
  y[2] = fma((vec)(0.25f), sum3, fma((vec)(4.0f), sum2, sum1));
  y[3] = fma((vec)(0.125f), difference3, fma((vec)(8.0f), difference2, difference1));
  y[4] = fma((vec)(0.0625f), sum3, fma((vec)(16.0f), sum2, sum1));
  y[5] = fma((vec)(0.03125f), difference3, fma((vec)(32.0f), difference2, difference1)) + p[7];
}
#endif

/* A vector of v to where its words begin. */
#ifdef BF16
typedef JOIN(ushort, VEC) stored;
#if defined(EMULATE_BF16) || VEC < 8 /* a vector of 4 halves has no register */
/* The upper halves of f32, rounded to nearest even; a NaN stays one, if it has to be made a quiet one. */
stored rounded(vec value) {
  const JOIN(uint, VEC) bits = JOIN(as_uint, VEC)(value), nearest = bits + 0x7FFFu + (bits >> 16 & 1u);
  return JOIN(convert_ushort, VEC)(((bits & 0x7FFFFFFFu) > 0x7F800000u ? bits | 0x400000u : nearest) >> 16);
}
#else
stored rounded(vec value) {
  stored result;
  __asm__("vcvtneps2bf16 %1, %0" : "=v"(result) : "v"(value));
  return result;
}
#endif
#define STORE_V(p, v) (*(__global stored *)(p) = rounded(v))
#else
#define STORE_V(p, v) STORE(p, v)
#endif

/* One tile of one channel block, from plane (H, W, VEC) at row y0, column x0; place f goes to out + f * stride. */
void input_tile(__global const float *plane, int height, int width, int y0, int x0, __global float *out,
                size_t stride) {
  vec d[N][N], t[N][N];
  if (y0 >= 0 && x0 >= 0 && y0 + N <= height && x0 + N <= width) {
    __global const float *at = plane + ((size_t)y0 * width + x0) * VEC;
    EACH (r, N)
      EACH (c, N) d[r][c] = LOAD(at + ((size_t)r * width + c) * VEC);
  } else {
    EACH (r, N)
      EACH (c, N) {
        const int y = y0 + r, x = x0 + c;
        d[r][c] =
            (uint)y < (uint)height && (uint)x < (uint)width ? LOAD(plane + ((size_t)y * width + x) * VEC) : (vec)(0.0f);
      }
  }
  EACH (r, N) input_row(d[r], t[r]);
  EACH (c, N) {
    vec column[N], v[N];
    EACH (r, N) column[r] = t[r][c];
    input_row(column, v);
    EACH (r, N) STORE_V(out + (size_t)(r * N + c) * stride, v[r]);
  }
}

/* sum + the products of u and of a word of v: one, or two of bf16. */
#ifndef BF16
#define PLUS_PRODUCTS(sum, x, u) fma((vec)(x), u, sum)
#elif defined(EMULATE_BF16)
#define PLUS_PRODUCTS(sum, x, u) plus_products(sum, as_uint(x), JOIN(as_uint, VEC)(u))
vec plus_products(vec sum, uint pair, JOIN(uint, VEC) u) {
  sum = fma((vec)(as_float(pair & 0xFFFF0000u)), JOIN(as_float, VEC)(u & 0xFFFF0000u), sum);
  return fma((vec)(as_float(pair << 16)), JOIN(as_float, VEC)(u << 16), sum);
}
#else
#define PLUS_PRODUCTS(sum, x, u) plus_products(sum, (vec)(x), u)
__attribute__((always_inline)) vec plus_products(vec sum, vec pair, vec u) {
  __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(pair), "v"(u));
  return sum;
}
#endif

/*
 * count tiles (a constant, up to TILES) by OC_STEP output channels, all sums in registers: v (IC/VEC, TILES, WORDS) and u (IC/VEC,
 * WORDS, OC_STEP) to out, whose channel blocks are oc_stride floats apart. Meanwhile the weights that come after these, from next on, are
 * brought into the cache, next_step bytes for each word of the input channels, which hides most of the memory's latency; and from
 * next_v on, when it is not NULL, the tiles that come after these.
 */
__attribute__((always_inline)) void multiply_block(__global const float *v, __global const float *u, int ic_blocks,
                                                   __global float *out, size_t oc_stride, int count,
                                                   __global const char *next, int next_step,
                                                   __global const char *next_v, int next_v_step) {
  vec sum[OC_BLOCKS][TILES];
  EACH (o, OC_BLOCKS)
    EACH (t, TILES) sum[o][t] = (vec)(0.0f);
  for (int b = 0; b < ic_blocks; b++) {
    for (int c = 0; c < WORDS; c++) {
      vec w[OC_BLOCKS];
      EACH (o, OC_BLOCKS) w[o] = LOAD(u + o * VEC);
      FETCH(next);
      if (next_v) FETCH(next_v);
      EACH (t, TILES)
        if (t < count) {
          const float x = v[t * WORDS + c];
          EACH (o, OC_BLOCKS) sum[o][t] = PLUS_PRODUCTS(sum[o][t], x, w[o]);
        }
      u += OC_STEP;
      next += next_step;
      if (next_v) next_v += next_v_step;
    }
    v += TILES * WORDS;
  }
  EACH (o, OC_BLOCKS)
    EACH (t, TILES)
      if (t < count) STORE(out + (size_t)o * oc_stride + t * VEC, sum[o][t]);
}

/* Of place (r, c) of products with weights whose rows and columns lack these factors. */
#ifdef PLAIN_WEIGHTS
#if M == 2
__constant const float row_scale[N] = {1, 0.5f, 0.5f, 1};
#elif M == 4
__constant const float row_scale[N] = {0.25f, -1.0f / 6, -1.0f / 6, 1.0f / 24, 1.0f / 24, 1};
#elif M == 6
__constant const float row_scale[N] = {1, -2.0f / 9, -2.0f / 9, 1.0f / 90, 1.0f / 90, 32.0f / 45, 32.0f / 45, 1};
#endif
#define SCALED(v, r, c) ((v) * (row_scale[r] * row_scale[c]))
#else
#define SCALED(v, r, c) (v)
#endif

/* One tile of one channel block: places p + f * stride to plane (H, W, VEC) or, pooled, (H/2, W/2, VEC). */
void output_tile(__global const float *p, size_t stride, vec bias, float lowest, __global float *plane, int height,
                 int width, int y0, int x0, int pool) {
  vec half_done[M][N], y[M][M];
  EACH (c, N) {
    vec column[N], o[M];
    EACH (r, N) column[r] = SCALED(LOAD(p + (size_t)(r * N + c) * stride), r, c);
    output_row(column, o);
    EACH (r, M) half_done[r][c] = o[r];
  }
  EACH (r, M) {
    output_row(half_done[r], y[r]);
    EACH (c, M) {
      const vec sum = y[r][c] + bias;
      y[r][c] = AT_LEAST((vec)(lowest), sum);
    }
  }
  if (pool) {
    const int pooled_height = height / 2, pooled_width = width / 2;
    EACH (r, M / 2)
      EACH (c, M / 2) {
        const int py = y0 / 2 + r, px = x0 / 2 + c;
        const vec top = LARGER(y[2 * r][2 * c], y[2 * r][2 * c + 1]);
        const vec below = LARGER(y[2 * r + 1][2 * c], y[2 * r + 1][2 * c + 1]);
        if (py < pooled_height && px < pooled_width)
          STORE(plane + ((size_t)py * pooled_width + px) * VEC, LARGER(top, below));
      }
  } else {
    EACH (r, M)
      EACH (c, M)
        if (y0 + r < height && x0 + c < width) STORE(plane + ((size_t)(y0 + r) * width + x0 + c) * VEC, y[r][c]);
  }
}

/* Floats of an output plane of one channel block. */
size_t plane_floats(int height, int width, int pool) {
  return (pool ? (size_t)(height / 2) * (width / 2) : (size_t)height * width) * VEC;
}

/*
 * The staged kernels' scratch holds v, and p behind it. Their blocks hold TILES tiles or, after the first full_blocks(tiles), one
 * less, where that leaves no place empty: 49 tiles are 13 + 12 + 12 + 12.
 */
int block_count(int tiles) {
  return (tiles + TILES - 1) / TILES;
}

int full_blocks(int tiles) {
  const int blocks = block_count(tiles), left = tiles - blocks * (TILES - 1);
  return left >= 0 ? left : blocks;
}

/* A tile's place in blocks of TILES places. */
int place_in_blocks(int tile, int full) {
  const int behind = tile - full * TILES;
  return behind < 0 ? tile : tile + behind / (TILES - 1);
}

/* In words of 32 bits, as all sizes of v and u are. */
size_t v_words(int blocks, int ic_blocks) {
  return (size_t)FREQS * blocks * ic_blocks * TILES * WORDS;
}

/* Groups: (tiles_y, ic_blocks, images from first_image on). A group transforms a row of tiles. */
CPU_KERNEL void INPUT(__global const float *restrict in, __global float *restrict v, int first_image, int ic_blocks,
                      int height, int width, int tiles_y, int tiles_x, int tiles) {
  const int ty = get_group_id(0), b = get_group_id(1), n = get_group_id(2), full = full_blocks(tiles);
  __global const float *plane = in + (size_t)((first_image + n) * ic_blocks + b) * height * width * VEC;
  const size_t stride = (size_t)block_count(tiles) * ic_blocks * TILES * WORDS;
  for (int tx = 0; tx < tiles_x; tx++) {
    const int place = place_in_blocks((n * tiles_y + ty) * tiles_x + tx, full);
    __global float *to = v + ((size_t)(place / TILES * ic_blocks + b) * TILES + place % TILES) * WORDS;
    EACH (f, FREQS) FETCH_OWN(to + f * stride + 6 * WORDS);
    input_tile(plane, height, width, ty * M - 1, tx * M - 1, to, stride);
  }
}

/* Groups: (groups of output channels, FREQS). */
CPU_KERNEL void MULTIPLY(__global float *scratch, __global const float *restrict u, int ic_blocks, int oc_groups,
                         int tiles) {
  const int g = get_group_id(0), f = get_group_id(1), blocks = block_count(tiles), full = full_blocks(tiles);
  const size_t u_words = (size_t)ic_blocks * WORDS * OC_STEP, block_words = (size_t)ic_blocks * TILES * WORDS;
  const size_t oc_stride = (size_t)blocks * TILES * VEC;
  __global const float *v = scratch + (size_t)f * blocks * block_words;
  __global const float *weights = u + ((size_t)f * oc_groups + g) * u_words;
  __global float *p = scratch + v_words(blocks, ic_blocks) + ((size_t)f * oc_groups + g) * OC_BLOCKS * oc_stride;
  /* Of the next place's tiles, each group of output channels fetches its part. */
  const int next_step = OC_STEP * (int)sizeof(float) / blocks, v_step = TILES * (int)sizeof(float) / oc_groups;
  __global const char *next = (__global const char *)(weights + u_words);
  __global const char *next_v =
      (__global const char *)(v + blocks * block_words) + (size_t)g * blocks * ic_blocks * WORDS * v_step;
  for (int b = 0; b < blocks; b++) {
    if (b < full)
      multiply_block(v, weights, ic_blocks, p, oc_stride, TILES, next, next_step, next_v, v_step);
    else
      multiply_block(v, weights, ic_blocks, p, oc_stride, TILES - 1, next, next_step, next_v, v_step);
    v += block_words;
    p += TILES * VEC;
    next += ic_blocks * WORDS * next_step;
    next_v += ic_blocks * WORDS * v_step;
  }
}

/* Groups: (tiles_y, oc_blocks, images from first_image on). oc_groups * OC_BLOCKS >= oc_blocks: the surplus is not
 * written. */
CPU_KERNEL void OUTPUT(__global const float *restrict scratch, __global const float *restrict bias,
                       __global float *restrict out, int first_image, int ic_blocks, int oc_blocks, int oc_groups,
                       int height, int width, int tiles_y, int tiles_x, int tiles, int pool, float lowest) {
  const int ty = get_group_id(0), o = get_group_id(1), n = get_group_id(2);
  const int blocks = block_count(tiles), full = full_blocks(tiles);
  __global const float *p = scratch + v_words(blocks, ic_blocks) + (size_t)o * blocks * TILES * VEC;
  const size_t stride = (size_t)oc_groups * OC_BLOCKS * blocks * TILES * VEC;
  __global float *plane = out + (size_t)((first_image + n) * oc_blocks + o) * plane_floats(height, width, pool);
  for (int tx = 0; tx < tiles_x; tx++) {
    __global const float *tile = p + (size_t)place_in_blocks((n * tiles_y + ty) * tiles_x + tx, full) * VEC;
    EACH (f, FREQS) FETCH(tile + f * stride + 6 * VEC);
    output_tile(tile, stride, LOAD(bias + o * VEC), lowest, plane, height, width, ty * M, tx * M, pool);
  }
}

/* A tile's place in the batch. */
typedef struct place {
  int n, ty, tx;
} place;

place place_of(int tile, int tiles_y, int tiles_x) {
  const int row = tile / tiles_x;
  return (place){row / tiles_y, row % tiles_y, tile % tiles_x};
}

place place_after(place p, int tiles_y, int tiles_x) {
  if (++p.tx == tiles_x) {
    p.tx = 0;
    if (++p.ty == tiles_y) p.ty = 0, p.n++;
  }
  return p;
}

/*
 * Groups: any number of them, one a processor is best; each takes an equal share of the blocks of tiles, in strips of up to
 * strip_blocks. scratch holds for each group FREQS + 1 slots of
 *   strip_blocks * max(ic_blocks * WORDS, up to whole vectors, oc_groups * OC_BLOCKS * VEC) * TILES + VEC floats
 * (the odd vector keeps the places of a tile from falling into the same cache set): v of a strip in slots 1 to FREQS, and p of
 * place f in slot f, where v of the place before it is needed no longer. So the strip takes half the cache, and the weights are
 * read in the order of memory, once a strip.
 */
CPU_KERNEL void FUSED(__global const float *restrict in, __global const float *restrict u,
                      __global const float *restrict bias, __global float *restrict out,
                      __global float *restrict scratch, int ic_blocks, int oc_blocks, int oc_groups, int height,
                      int width, int tiles_y, int tiles_x, int tiles, int strip_blocks, int pool, float lowest) {
  const int group = get_group_id(0), groups = get_num_groups(0), all_blocks = (tiles + TILES - 1) / TILES;
  const int first_block = (int)((long)all_blocks * group / groups);
  const int share = (int)((long)all_blocks * (group + 1) / groups) - first_block;
  const int strips = (share + strip_blocks - 1) / strip_blocks;
  const int in_words = (ic_blocks * WORDS + VEC - 1) / VEC * VEC;
  const size_t slot = (size_t)strip_blocks * max(in_words, oc_groups * OC_BLOCKS * VEC) * TILES + VEC;
  const size_t u_words = (size_t)ic_blocks * WORDS * OC_STEP, in_plane = (size_t)height * width * VEC;
  const size_t out_plane = plane_floats(height, width, pool);
  __global float *p = scratch + (size_t)group * (FREQS + 1) * slot;
  __global float *v = p + slot;
  for (int s = 0; s < strips; s++) {
    const int before = first_block + share * s / strips, blocks = first_block + share * (s + 1) / strips - before;
    const int first = before * TILES, count = min(blocks * TILES, tiles - first);
    const size_t oc_stride = (size_t)blocks * TILES * VEC;
    const place start = place_of(first, tiles_y, tiles_x);
    for (int b = 0; b < ic_blocks; b++) {
      place at = start;
      for (int i = 0; i < count; i++, at = place_after(at, tiles_y, tiles_x))
        input_tile(in + (size_t)(at.n * ic_blocks + b) * in_plane, height, width, at.ty * M - 1, at.tx * M - 1,
                   v + ((size_t)(i / TILES * ic_blocks + b) * TILES + i % TILES) * WORDS, slot);
    }
    const int next_step = OC_STEP * (int)sizeof(float) / blocks;
    __global const float *weights = u;
    for (int f = 0; f < FREQS; f++) {
      for (int g = 0; g < oc_groups; g++, weights += u_words) {
        __global const char *next = (__global const char *)(weights + u_words);
        for (int b = 0; b < blocks; b++, next += ic_blocks * WORDS * next_step)
          multiply_block(v + f * slot + (size_t)b * ic_blocks * TILES * WORDS, weights, ic_blocks,
                         p + f * slot + g * OC_BLOCKS * oc_stride + (size_t)b * TILES * VEC, oc_stride, TILES, next,
                         next_step, 0, 0);
      }
    }
    for (int o = 0; o < oc_blocks; o++) {
      const vec add = LOAD(bias + o * VEC);
      place at = start;
      for (int i = 0; i < count; i++, at = place_after(at, tiles_y, tiles_x))
        output_tile(p + o * oc_stride + (size_t)i * VEC, slot, add, lowest,
                    out + (size_t)(at.n * oc_blocks + o) * out_plane, height, width, at.ty * M, at.tx * M, pool);
    }
  }
}

#ifndef BF16
/* ---- weights transformed as they are used */

/* G g for one row (or column) of a 3 x 3 kernel without the factors that G's rows have in common, WEIGHT_SCALE; they are made up for
 * in the products, of which there are fewer. */
#if M == 2
void weight_row(const vec *g, vec *u) {
  const vec even = g[0] + g[2];
  u[0] = g[0];
  u[1] = even + g[1];
  u[2] = even - g[1];
  u[3] = g[2];
}
#elif M == 4
void weight_row(const vec *g, vec *u) {
  const vec even = g[0] + g[2], even2 = fma((vec)(4.0f), g[2], g[0]);
  u[0] = g[0];
  u[1] = even + g[1];
  u[2] = even - g[1];
  u[3] = fma((vec)(2.0f), g[1], even2);
  u[4] = fma((vec)(-2.0f), g[1], even2);
  u[5] = g[2];
}
#elif M == 6
void weight_row(const vec *g, vec *u) {
  const vec even = g[0] + g[2], even2 = fma((vec)(4.0f), g[2], g[0]), even3 = fma((vec)(0.25f), g[2], g[0]);
  u[0] = g[0];
  u[1] = even + g[1];
  u[2] = even - g[1];
  u[3] = fma((vec)(2.0f), g[1], even2);
  u[4] = fma((vec)(-2.0f), g[1], even2);
  u[5] = fma((vec)(0.5f), g[1], even3);
  u[6] = fma((vec)(-0.5f), g[1], even3);
  u[7] = g[2];
}
#endif

/* Rows r0 and r1 (constants) of G g G^T for channels input channels: w (channels, 3, 3, OC_STEP) to u (2, N, stride), where place
 * (i, c) holds (channels, OC_STEP). */
__attribute__((always_inline)) void transform_rows(__global const float *w, int channels, int r0, int r1,
                                                   __global float *u, size_t stride) {
  for (int c = 0; c < channels; c++, w += 9 * OC_STEP, u += OC_STEP)
    EACH (o, OC_BLOCKS) {
      vec rows[2][3];
      EACH (x, 3) {
        vec g[3], t[N];
        EACH (y, 3) g[y] = LOAD(w + (y * 3 + x) * OC_STEP + o * VEC);
        weight_row(g, t);
        rows[0][x] = t[r0];
        rows[1][x] = t[r1];
      }
      EACH (i, 2) {
        vec t[N];
        weight_row(rows[i], t);
        EACH (x, N) STORE(u + (i * N + x) * stride + o * VEC, t[x]);
      }
    }
}

/* The rows of a pass: the first and the last, then pairs of neighbours, which have most terms in common. */
#define PASSES         (N / 2)
#define PASS_ROW(k, i) ((k) == 0 ? (i) * (N - 1) : 2 * (k)-1 + (i))

/* Adds to the sums p (OC_BLOCKS, TILES, VEC), or begins them, v (channels / VEC, TILES, VEC) times u (channels, OC_STEP), for count
 * tiles (a constant). Brings the next v and p into the cache. */
__attribute__((always_inline)) void accumulate_block(__global const float *v, __global const float *u, int channels,
                                                     bool begin, __global float *p, int count,
                                                     __global const char *next_v, __global const char *next_p,
                                                     int p_step) {
  vec sum[OC_BLOCKS][TILES];
  if (begin) {
    EACH (o, OC_BLOCKS)
      EACH (t, TILES) sum[o][t] = (vec)(0.0f);
  } else {
    EACH (o, OC_BLOCKS)
      EACH (t, TILES)
        if (t < count) sum[o][t] = LOAD(p + (o * TILES + t) * VEC);
  }
  for (; channels > 0; channels -= VEC, v += TILES * VEC) {
    const int some = min(channels, VEC);
    for (int c = 0; c < some; c++) {
      vec w[OC_BLOCKS];
      EACH (o, OC_BLOCKS) w[o] = LOAD(u + o * VEC);
      FETCH_V(next_v);
      FETCH_P(next_p);
      EACH (t, TILES)
        if (t < count) {
          const vec x = (vec)(v[t * VEC + c]);
          EACH (o, OC_BLOCKS) sum[o][t] = fma(x, w[o], sum[o][t]);
        }
      u += OC_STEP;
      next_v += TILES * sizeof(float);
      next_p += p_step;
    }
  }
  EACH (o, OC_BLOCKS)
    EACH (t, TILES)
      if (t < count) STORE(p + (o * TILES + t) * VEC, sum[o][t]);
}

/*
 * Groups: any number of them, one a processor is best; each takes an equal share of the items, which are groups of OC_STEP output
 * channels for strips of strip_blocks blocks of tiles. scratch holds v of conv_f32_nchwc_winograd_input and then, for each group,
 *   p (FREQS, strip_blocks, OC_BLOCKS, TILES, VEC) + VEC floats a place,
 *   u (2 * N, chunk, VEC, OC_STEP) + VEC floats a place
 * (the odd vectors keep places from falling into the same cache set). w (oc_groups, in_channels, 3, 3, OC_STEP). The transformed
 * weights of chunk blocks of input channels are made, two rows of their places at a time, and used at once.
 */
CPU_KERNEL void conv_f32_nchwc_winograd_on_the_fly(__global float *scratch, __global const float *restrict w,
                                                   __global const float *restrict bias, __global float *restrict out,
                                                   int first_image, int in_channels, int oc_blocks, int oc_groups,
                                                   int height, int width, int tiles_y, int tiles_x, int tiles,
                                                   int strip_blocks, int chunk, int pool, float lowest) {
  const int group = get_group_id(0), groups = get_num_groups(0);
  const int ic_blocks = (in_channels + VEC - 1) / VEC, blocks = block_count(tiles), full = full_blocks(tiles);
  const int strips = (blocks + strip_blocks - 1) / strip_blocks, items = oc_groups * strips;
  strip_blocks = min(strip_blocks, blocks);
  const size_t block_floats = (size_t)ic_blocks * TILES * VEC, v_place = blocks * block_floats;
  const size_t p_block = OC_STEP * TILES, p_place = strip_blocks * p_block + VEC;
  const size_t u_place = (size_t)chunk * VEC * OC_STEP + VEC;
  const size_t out_plane = plane_floats(height, width, pool);
  __global float *p = scratch + v_words(blocks, ic_blocks) + (size_t)group * (FREQS * p_place + 2 * N * u_place);
  __global float *u = p + FREQS * p_place;
  const int last_item = (int)((long)items * (group + 1) / groups);
  for (int item = (int)((long)items * group / groups); item < last_item; item++) {
    const int g = item / strips, strip = item % strips;
    const int first = blocks * strip / strips, here = blocks * (strip + 1) / strips - first;
    __global const float *weights = w + (size_t)g * in_channels * 9 * OC_STEP;
    for (int done = 0; done < in_channels; done += chunk * VEC) {
      const int channels = min(chunk * VEC, in_channels - done);
      __global const float *chunk_v = scratch + first * block_floats + (size_t)(done / VEC) * TILES * VEC;
      const int p_step = OC_BLOCKS * TILES * VEC * (int)sizeof(float) / channels;
      /* Each of the multiplications that follow brings its part of the next chunk's weights into the cache. */
      __global const char *next_w = (__global const char *)(weights + (size_t)channels * 9 * OC_STEP);
      const int w_lines = (channels * 9 * OC_STEP * (int)sizeof(float) / LINE + FREQS * here - 1) / (FREQS * here);
      for (int pass = 0; pass < PASSES; pass++) {
        EACH (k, PASSES)
          if (pass == k) transform_rows(weights, channels, PASS_ROW(k, 0), PASS_ROW(k, 1), u, u_place);
        for (int i = 0; i < 2; i++)
          for (int c = 0; c < N; c++) {
            const int f = PASS_ROW(pass, i) * N + c;
            __global const float *at = chunk_v + f * v_place, *u_at = u + (i * N + c) * u_place;
            __global float *p_at = p + f * p_place;
            for (int b = 0; b < here; b++, at += block_floats, p_at += p_block) {
              const bool last = b == here - 1;
              for (int l = 0; l < w_lines; l++, next_w += LINE) FETCH(next_w);
              __global const char *next_v =
                  (__global const char *)(last ? chunk_v + (f + 1) * v_place : at + block_floats);
              __global const char *next_p = (__global const char *)(last ? p + (f + 1) * p_place : p_at + p_block);
              if (first + b < full)
                accumulate_block(at, u_at, channels, done == 0, p_at, TILES, next_v, next_p, p_step);
              else
                accumulate_block(at, u_at, channels, done == 0, p_at, TILES - 1, next_v, next_p, p_step);
            }
          }
      }
      weights += (size_t)channels * 9 * OC_STEP;
    }
    for (int o = 0; o < OC_BLOCKS && g * OC_BLOCKS + o < oc_blocks; o++) {
      const int oc = g * OC_BLOCKS + o;
      for (int b = 0; b < here; b++) {
        const int start = (first + b) * TILES - max(first + b - full, 0);
        const int count = min(first + b < full ? TILES : TILES - 1, tiles - start);
        place at = place_of(start, tiles_y, tiles_x);
        __global const float *tile = p + b * p_block + o * TILES * VEC;
        for (int t = 0; t < count; t++, at = place_after(at, tiles_y, tiles_x))
          output_tile(tile + t * VEC, p_place, LOAD(bias + oc * VEC), lowest,
                      out + (size_t)((first_image + at.n) * oc_blocks + oc) * out_plane, height, width, at.ty * M,
                      at.tx * M, pool);
      }
    }
  }
}
#endif
