/*
 * 3x3 convolution, stride 1, zero padding 1, by the instructions of x86 processors that multiply bf16: a matrix product of pixels and
 * weights whose rows need not be gathered, bias, ReLU and 2x2 max-pooling fused. Input, bias and output are f32. For CPUs: a work-item
 * is a work-group.
 *
 *   conv_bf16_nchwc_amx     with -DAMX: tdpbf16ps, 16 pixels x 16 output channels, 32 products to each sum
 *   conv_bf16_nchwc_avx512  vdpbf16ps: 16 output channels of a pixel, two products to each sum
 *
 * Both multiply bf16 exactly and add in f32, both take the same operands, and both end the process with a signal where the processor or
 * the operating system does not have them: the host asks before it builds this. EMULATE_BF16 replaces each instruction by plain OpenCL C.
 *
 *   in   (n, IC/VEC, H, W, VEC)
 *   v    (IC/32, places, 32) bf16: a strip of rows and its neighbourhood, rounded to nearest even
 *   w    (groups of OC_STEP output channels, IC/32, 3, 3, TILES_OC, 16, 16, 2) bf16: pairs of input channels, 16 of them, each for 16
 *        output channels
 *   p    (TILES_OC, strip's pixels, 16): sums over all of IC, 3, 3
 *   out  (n, OC/VEC, H, W, VEC), or H/2, W/2 when pool
 *
 * Rows of all images lie one after the other, pitch rows from an image to the next; the row or two between them are zeros. In a strip each
 * row has a zero behind it, which is also what the next row has before it:
 *
 *           place 0 -> 0
 *    row first - 1     a a a a a 0     Pixel (y, x) of the strip is number q = y * (W + 1) + x, and its neighbour (ky, kx) is in
 *    row first         b b b b b 0     place q + ky * (W + 1) + kx. So any 16 numbers in a row, zeros between rows included, are a matrix
 *    ...                               of 16 pixels x 32 channels for each tap, whose rows are 64 bytes apart, as tiles are loaded.
 *    row first + rows  z z z z z 0     The sums that belong to no pixel are left out in the end.
 *
 *                           16 channels (n)              tdpbf16ps: sum[m][n] += v[m][2k] * w[k][n][0] + v[m][2k + 1] * w[k][n][1]
 *                         +----------------+             (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2,
 *          32 channels    | w  16 pairs (k)|             "TDPBF16PS", "VDPBF16PS"). vdpbf16ps does one row m and one k of that.
 *         +-----------+   +----------------+
 *      16 | v         |   |                |
 *  pixels |           |   |      p         |
 *     (m) +-----------+   +----------------+
 *
 * Groups: any number of them, one a processor is best; each takes an equal share of the items, which are groups of output channels of
 * strips. scratch holds v and p of each group. The state of tiles is the thread's: a group sets it up when it begins, and gives it back
 * when it ends.
 * Contract on surplus channels: as in conv_winograd.cl.
 */
#ifndef VEC
#define VEC 16  // channels of a block, the width of a vector of activations (4, 8, 16)
#endif
#ifndef TILES_PX
#define TILES_PX 2  // tiles of 16 pixels whose sums are kept, with AMX (1, 2)
#endif
#ifndef PX
#define PX 14  // pixels whose sums are kept in registers, without AMX (7, 14)
#endif
#ifndef TILES_OC
#define TILES_OC 2  // times 16 output channels of them (1, 2)
#endif

#ifdef AMX
#define KERNEL_NAME conv_bf16_nchwc_amx
#define BLOCK_PX    (16 * TILES_PX)
#else
#define KERNEL_NAME conv_bf16_nchwc_avx512
#define BLOCK_PX    PX
#endif
#define OC_STEP     (16 * TILES_OC)
#define CHUNK       32 /* input channels of a tile's row */
#define TILE        (16 * CHUNK)
#define TAPS        9
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, VEC) vec;
typedef JOIN(uint, VEC) uint_vec;
typedef JOIN(ushort, VEC) ushort_vec;
#define LOAD(p)     (*(__global const vec *)(p))
#define STORE(p, v) (*(__global vec *)(p) = (v))
/* Not fmax: a NaN must stay one. */
#define AT_LEAST(low, v) ((v) < (low) ? (low) : (v))
#define LARGER(a, b)     (((a) > (b) | (a) != (a)) ? (a) : (b))
#define EACH(i, n)       _Pragma("unroll") for (int i = 0; i < (n); i++) /* an unrolled loop */
#define INLINE           __attribute__((always_inline))

/* ---- the instructions */

#if !defined(AMX) || defined(EMULATE_BF16)
/* sum[n] + the products of pair's two bf16 and w[n]'s. */
INLINE float16 dot_pair(float16 sum, uint pair, uint16 w) {
#ifdef EMULATE_BF16
  sum = fma((float16)(as_float(pair & 0xFFFF0000u)), as_float16(w & 0xFFFF0000u), sum);
  sum = fma((float16)(as_float(pair << 16)), as_float16(w << 16), sum);
#else
  __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"((uint16)(pair)), "v"(w));
#endif
  return sum;
}
#endif

#if !defined(AMX)
#define BEGIN_TILES
#define END_TILES
#elif defined(EMULATE_BF16)
typedef uint16 tile[16]; /* its rows */
#define BEGIN_TILES
#define END_TILES
#define ZERO(t)        zero_tile(tiles[t])
#define FETCH(t, p)    fetch_tile(tiles[t], (__global const uint16 *)(p))
#define KEEP(t, p)     keep_tile(tiles[t], (__global uint16 *)(p))
#define DOT(sum, v, w) dot_tiles(tiles[sum], (const uint *)tiles[v], tiles[w])

void zero_tile(uint16 *t) {
  for (int i = 0; i < 16; i++) t[i] = (uint16)(0);
}

void fetch_tile(uint16 *t, __global const uint16 *p) {
  for (int i = 0; i < 16; i++) t[i] = p[i];
}

void keep_tile(const uint16 *t, __global uint16 *p) {
  for (int i = 0; i < 16; i++) p[i] = t[i];
}

void dot_tiles(uint16 *sum, const uint *v, const uint16 *w) {
  for (int m = 0; m < 16; m++) {
    float16 row = as_float16(sum[m]);
    for (int k = 0; k < 16; k++) row = dot_pair(row, v[m * 16 + k], w[k]);
    sum[m] = as_uint16(row);
  }
}
#else
/* All are volatile, which keeps them in their order, and tell of memory: the compiler knows nothing of tiles, and has no use for them. */
#define BEGIN_TILES    begin_tiles();
#define END_TILES      __asm__ volatile("tilerelease" : : : "memory");
#define ZERO(t)        __asm__ volatile("tilezero %%tmm" #t : : : "memory")
#define FETCH(t, p)    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"(64L) : "memory")
#define KEEP(t, p)     __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"(64L) : "memory")
#define DOT(sum, v, w) __asm__ volatile("tdpbf16ps %%tmm" #w ", %%tmm" #v ", %%tmm" #sum : : : "memory")

/* All tiles have 16 rows of 64 bytes. In the configuration ("LDTILECFG") byte 0 is the palette, from 16 on are the bytes of a row, two
 * bytes a tile, and from 48 on the rows, a byte a tile. */
void begin_tiles(void) {
  uchar config[64] __attribute__((aligned(64))) = {1};
  for (int t = 0; t < 8; t++) config[16 + 2 * t] = 64, config[48 + t] = 16;
  __asm__ volatile("ldtilecfg (%0)" : : "r"(config) : "memory");
}
#endif

/* ---- a block of pixels */

/* BLOCK_PX pixels by OC_STEP output channels: v from the first pixel's place on, with v_stride elements from chunk to chunk and row places
 * from row to row, and w of the group, to p from the first pixel on, whose tiles of channels are p_stride floats apart. */
INLINE void multiply_block(__global const ushort *v, size_t v_stride, int chunks, int row, __global const ushort *w,
                           __global float *p, size_t p_stride) {
#ifdef AMX
#ifdef EMULATE_BF16
  tile tiles[8];
#endif
  /* Sums: 0 is pixels 0 to 15 and channels 0 to 15, 1 the next channels, 2 and 3 likewise the next pixels. */
  ZERO(0);
  ZERO(1);
  ZERO(2);
  ZERO(3);
  for (int c = 0; c < chunks; c++, v += v_stride)
    for (int tap = 0; tap < TAPS; tap++, w += TILES_OC * TILE) {
      __global const ushort *from = v + (size_t)(tap / 3 * row + tap % 3) * CHUNK;
      FETCH(4, from);
      FETCH(6, w);
      DOT(0, 4, 6);
#if TILES_PX > 1
      FETCH(5, from + TILE);
      DOT(2, 5, 6);
#endif
#if TILES_OC > 1
      FETCH(7, w + TILE);
      DOT(1, 4, 7);
#if TILES_PX > 1
      DOT(3, 5, 7);
#endif
#endif
    }
  KEEP(0, p);
#if TILES_PX > 1
  KEEP(2, p + 256);
#endif
#if TILES_OC > 1
  KEEP(1, p + p_stride);
#if TILES_PX > 1
  KEEP(3, p + p_stride + 256);
#endif
#endif
#else
  float16 sum[TILES_OC][PX];
  EACH (o, TILES_OC)
    EACH (i, PX) sum[o][i] = (float16)(0.0f);
  for (int c = 0; c < chunks; c++, v += v_stride)
    for (int tap = 0; tap < TAPS; tap++, w += TILES_OC * TILE) {
      __global const uint *pairs = (__global const uint *)(v + (size_t)(tap / 3 * row + tap % 3) * CHUNK);
      for (int k = 0; k < 16; k++) {
        uint16 weight[TILES_OC];
        EACH (o, TILES_OC) weight[o] = *((__global const uint16 *)(w + o * TILE) + k);
        EACH (i, PX)
          EACH (o, TILES_OC) sum[o][i] = dot_pair(sum[o][i], pairs[i * 16 + k], weight[o]);
      }
    }
  EACH (o, TILES_OC)
    EACH (i, PX) *(__global float16 *)(p + o * p_stride + i * 16) = sum[o][i];
#endif
}

/* ---- in and out */

/* The upper halves of f32, rounded to nearest even; a NaN stays one, if it has to be made a quiet one. */
ushort_vec to_bf16(vec value) {
  const uint_vec bits = JOIN(as_uint, VEC)(value);
  const uint_vec rounded = bits + 0x7FFFu + (bits >> 16 & 1u);
  return JOIN(convert_ushort, VEC)(((bits & 0x7FFFFFFFu) > 0x7F800000u ? bits | 0x400000u : rounded) >> 16);
}

/* count places of a chunk of channels, from in (IC/VEC, H, W, VEC) of an image, or zeros: in is 0. */
void fill(__global const float *in, size_t plane, int blocks, int count, __global ushort *to) {
  for (int i = 0; i < count; i++, to += CHUNK)
    for (int b = 0; b < CHUNK / VEC; b++)
      *(__global ushort_vec *)(to + b * VEC) =
          in && b < blocks ? to_bf16(LOAD(in + b * plane + (size_t)i * VEC)) : (ushort_vec)(0);
}

/* Rows first - 1 .. first + rows to v, and zeros behind them. */
void gather(__global const float *in, int first, int rows, int batch, int ic_blocks, int height, int width, int pitch,
            int places, __global ushort *v) {
  const size_t plane = (size_t)height * width * VEC;
  const int last = 1 + (rows + 2) * (width + 1);
  for (int b = 0; b < ic_blocks; b += CHUNK / VEC, v += (size_t)places * CHUNK) {
    fill(0, plane, 0, 1, v);
    for (int r = 0; r < rows + 2; r++) {
      const int row = first + r - 1 + pitch, n = row / pitch - 1, y = row % pitch; /* of image -1, if need be */
      const bool inside = n >= 0 && n < batch && y < height;
      __global ushort *to = v + (size_t)(1 + r * (width + 1)) * CHUNK;
      __global const float *from = in + ((size_t)n * ic_blocks + b) * plane + (size_t)y * width * VEC;
      fill(inside ? from : 0, plane, ic_blocks - b, width, to);
      fill(0, plane, 0, 1, to + (size_t)width * CHUNK);
    }
    fill(0, plane, 0, places - last, v + (size_t)last * CHUNK);
  }
}

/* One channel block of the strip's pixels: p (pixels, 16), from the block's first channel on, to out of the first image. */
void finish(__global const float *p, int first, int rows, vec bias, float lowest, __global float *out, int oc_blocks,
            int height, int width, int pitch, int pool) {
#define OUTPUT(y, x) AT_LEAST((vec)(lowest), LOAD(p + (size_t)((y) * (width + 1) + (x)) * 16) + bias)
  const size_t plane = (size_t)(pool ? (height / 2) * (width / 2) : height * width) * VEC;
  for (int r = 0; r < rows; r += pool ? 2 : 1) {
    const int n = (first + r) / pitch, y = (first + r) % pitch;
    __global float *image = out + (size_t)n * oc_blocks * plane;
    if (!pool) {
      for (int x = 0; x < width && y < height; x++) STORE(image + (size_t)(y * width + x) * VEC, OUTPUT(r, x));
      continue;
    }
    for (int x = 0; x < width / 2 && y / 2 < height / 2; x++) {
      const vec a = OUTPUT(r, 2 * x), b = OUTPUT(r, 2 * x + 1);
      const vec c = OUTPUT(r + 1, 2 * x), d = OUTPUT(r + 1, 2 * x + 1);
      const vec top = LARGER(a, b), below = LARGER(c, d);
      STORE(image + (size_t)(y / 2 * (width / 2) + x) * VEC, LARGER(top, below));
    }
  }
}

/* strip_rows rows are a strip, an even number; pitch is even when pool. A group has places places for each chunk of v, and pixels for each
 * tile of p. */
__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void KERNEL_NAME(
    __global const float *restrict in, __global const ushort *restrict w, __global const float *restrict bias,
    __global float *restrict out, __global float *restrict scratch, int batch, int ic_blocks, int oc_blocks, int height,
    int width, int pitch, int strip_rows, int places, int pixels, int pool, float lowest) {
  const int group = get_group_id(0), groups = get_num_groups(0);
  const int chunks = (ic_blocks * VEC + CHUNK - 1) / CHUNK;
  const int oc_groups = (oc_blocks * VEC + OC_STEP - 1) / OC_STEP;
  const int all_rows = (batch - 1) * pitch + height;
  const int items = (all_rows + strip_rows - 1) / strip_rows * oc_groups;
  const size_t v_floats = (size_t)chunks * places * (CHUNK / 2), p_stride = (size_t)pixels * 16;
  __global float *own = scratch + (size_t)group * (v_floats + TILES_OC * p_stride);
  __global ushort *v = (__global ushort *)own;
  __global float *p = own + v_floats;
  const int last_item = (int)((long)items * (group + 1) / groups);
  int gathered = -1;
  BEGIN_TILES
  for (int item = (int)((long)items * group / groups); item < last_item; item++) {
    const int g = item % oc_groups, first = item / oc_groups * strip_rows, rows = min(strip_rows, all_rows - first);
    if (first != gathered) gather(in, first, rows, batch, ic_blocks, height, width, pitch, places, v);
    gathered = first;
    __global const ushort *weights = w + (size_t)g * chunks * TAPS * TILES_OC * TILE;
    for (int q = 0; q < rows * (width + 1) - 1; q += BLOCK_PX)
      multiply_block(v + (size_t)q * CHUNK, (size_t)places * CHUNK, chunks, width + 1, weights, p + (size_t)q * 16,
                     p_stride);
    for (int o = 0; o < OC_STEP / VEC && g * (OC_STEP / VEC) + o < oc_blocks; o++) {
      const int block = g * (OC_STEP / VEC) + o;
      const size_t plane = (size_t)(pool ? (height / 2) * (width / 2) : height * width) * VEC;
      finish(p + o * VEC / 16 * p_stride + o * VEC % 16, first, rows, LOAD(bias + block * VEC), lowest,
             out + block * plane, oc_blocks, height, width, pitch, pool);
    }
  }
  END_TILES
}
