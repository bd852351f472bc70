/*
 * 3x3 convolution, stride 1, zero padding 1, by the tensor instructions of NVIDIA's GPUs: the matrix product of
 * conv_implicit_gemm.cl, with tiles of half and sums in f32. Input, bias and output are f32.
 *
 *   conv_f16_nchw_mma    needs a warp of 32 work-items with consecutive local ids, and inline PTX. No extension: halves are
 *                        made by vstore_half, and handled as bits, two in a uint
 *
 * The 32 work-items of a warp, its lanes, compute a block of 16 channels x 8 pixels together, K_STEP products at a time, by
 * mma.sync.aligned.m16n8k8 or .m16n8k16 .row.col.f32.f16.f16.f32. Which element of a block is in which lane is from the PTX ISA,
 * chapter "Warp-level matrix multiply-accumulate instructions", "Matrix fragments for mma.m16n8k16 with floating-point type".
 * With group = lane / 4 and in_group = lane % 4:
 *
 *                                     pixel  group                          b[r] has k = in_group * 2 + r * 8, and k + 1
 *                                   +--------------+
 *                            K_STEP |  b[K_STEP/8] |
 *                                   +--------------+
 *                      K_STEP
 *                   +-------------+ +--------------+   pixels  in_group * 2, + 1
 *    channel group  | a[0]   a[2] | |   x      y   |
 *                   |             | |              |        a[r] has k = in_group * 2 + r / 2 * 8, and k + 1
 *        group + 8  | a[1]   a[3] | |   z      w   |
 *                   +-------------+ +--------------+
 *
 * Work-groups: dimension 0 = tile of pixels, 1 = block of output channels. The group size is (32, WARPS_PX * WARPS_OC, 1). Warp
 * (wx, wy) has the sums of WARP_OC x WARP_PX, blocks of 16 x 8 side by side:
 *
 *                                     TILE_PX pixels = WARPS_PX warps x WARP_PX
 *                                   +---------------------+
 *                            TILE_K |  gathered inputs    |     local: pixel_tile[2][TILE_K / 2][TILE_PX + PAD], pairs along k
 *                                   +---------------------+
 *                       TILE_K
 *                      +--------+   +---------------------+
 *   TILE_OC channels = | packed |   |  sums, in registers |
 *   WARPS_OC warps     | weights|   |  of the warps       |
 *   x WARP_OC          +--------+   +---------------------+
 *                      local: weight_tile[2][TILE_K / 2][TILE_OC + PAD], pairs along k
 *
 * PAD makes rows begin 8 banks apart, so that the 4 x 8 words which a warp reads at once are in different ones.
 *
 * Pixels are in the order of squares of 2x2, along x, then y, then images; an odd last row or column is filled up. Four squares are
 * two blocks of pixels: the first has their upper rows, the second their lower ones. So a lane's sums of two blocks are whole
 * squares, of which it takes the maximum alone, and eight lanes gather eight neighbours of a row.
 *
 * The sum goes over chunks of TILE_K input channels, in them over the nine taps, in these over the channels of the chunk. The
 * next tile is fetched into registers before the present one is multiplied.
 *
 *   weights[(block * in_channels * 9 + c * 9 + ky * 3 + kx) * TILE_OC + i] = weight of output channel block * TILE_OC + i;
 *   zeros fill the last block, and bias likewise.
 */
#ifndef WARPS_PX
#define WARPS_PX 2  // warps of a group along pixels (1, 2, 4)
#endif
#ifndef WARPS_OC
#define WARPS_OC 2  // warps of a group along output channels (1, 2, 4)
#endif
#ifndef WARP_PX
#define WARP_PX 32  // pixels of a warp (16, 32, 64)
#endif
#ifndef WARP_OC
#define WARP_OC 32  // output channels of a warp (16, 32)
#endif
#ifndef TILE_K
#define TILE_K 16  // input channels of a tile (16, 32)
#endif
#ifndef K_STEP
#define K_STEP 16  // products that an instruction adds to a sum: 16 from compute capability 8.0 on (8, 16)
#endif

#define LANES        32  // work-items of a warp
#define ITEMS        (LANES * WARPS_PX * WARPS_OC)
#define TILE_PX      (WARPS_PX * WARP_PX)
#define TILE_OC      (WARPS_OC * WARP_OC)
#define PAIRS        (TILE_K / 2)  // rows of a tile
#define PAD          8
#define PIXEL_ROW    (TILE_PX + PAD)
#define WEIGHT_ROW   (TILE_OC + PAD)
#define PX_BLOCKS    (WARP_PX / 8)  // of a warp
#define OC_BLOCKS    (WARP_OC / 16)
#define A_REGISTERS  (K_STEP / 4)  // of a lane, for a block
#define B_REGISTERS  (K_STEP / 8)
#define MATRIX_PAIRS (24 * (K_STEP / 2))  // the two of an instruction

// A work-item gathers for the same FILL_PX pixels in every tile: in rows FILL_ROWS apart, FILL_K of them.
#define FILL_PX   (TILE_PX > ITEMS ? TILE_PX / ITEMS : 1)
#define FILL_ROWS (ITEMS > TILE_PX ? ITEMS / TILE_PX : 1)
#define FILL_K    (PAIRS / FILL_ROWS)
// Vectors of four pairs of weights that a tile has, and that a work-item fetches of them.
#define TILE_W (PAIRS * TILE_OC / 4)
#define FILL_W ((TILE_W + ITEMS - 1) / ITEMS)

#ifdef EMULATE_MMA
#define EACH(i, n) for (int i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)  // an unrolled loop
#endif
#define INLINE __attribute__((always_inline))  // what is called with sums, so that they stay in registers

// Adds the product of two blocks to sum: a lane's parts of the result.
#ifdef EMULATE_MMA
// For tests on other devices: the same in plain OpenCL C. The lanes put what they have where the PTX ISA says that it belongs, and
// take their results from the whole matrices. All work-items of the group must come here.
INLINE float4 mma(const uint *a, const uint *b, float4 sum,
                  __local uint *left)  // of the warp: (16, K_STEP / 2) pairs along k, and (8, K_STEP / 2) behind them
{
  __local uint *right = left + 16 * (K_STEP / 2);
  const int group = get_local_id(0) / 4, in_group = get_local_id(0) % 4;
  EACH (r, A_REGISTERS) left[(group + r % 2 * 8) * (K_STEP / 2) + in_group + r / 2 * 4] = a[r];
  EACH (r, B_REGISTERS) right[group * (K_STEP / 2) + in_group + r * 4] = b[r];
  barrier(CLK_LOCAL_MEM_FENCE);
  EACH (i, K_STEP / 8) {
    const float8 upper = vload_half8(group * (K_STEP / 8) + i, (__local half *)left);
    const float8 lower = vload_half8((group + 8) * (K_STEP / 8) + i, (__local half *)left);
    const float8 first = vload_half8(in_group * 2 * (K_STEP / 8) + i, (__local half *)right);
    const float8 second = vload_half8((in_group * 2 + 1) * (K_STEP / 8) + i, (__local half *)right);
    sum.x += dot(upper.lo, first.lo) + dot(upper.hi, first.hi);
    sum.y += dot(upper.lo, second.lo) + dot(upper.hi, second.hi);
    sum.z += dot(lower.lo, first.lo) + dot(lower.hi, first.hi);
    sum.w += dot(lower.lo, second.lo) + dot(lower.hi, second.hi);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return sum;
}
#else
INLINE float4 mma(const uint *a, const uint *b, float4 sum, __local uint *unused) {
  float x, y, z, w;
#if K_STEP == 16
  __asm__ volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
      : "=f"(x), "=f"(y), "=f"(z), "=f"(w)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(sum.x), "f"(sum.y), "f"(sum.z),
        "f"(sum.w));
#else
  __asm__ volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %8, %9, %10};"
      : "=f"(x), "=f"(y), "=f"(z), "=f"(w)
      : "r"(a[0]), "r"(a[1]), "r"(b[0]), "f"(sum.x), "f"(sum.y), "f"(sum.z), "f"(sum.w));
#endif
  return (float4)(x, y, z, w);
}
#endif

// Quad number quad of the batch: its image and the place of its first pixel.
typedef struct {
  int n, y, x;
} place;

place place_of(int quad, int height, int width) {
  const int across = (width + 1) / 2, down = (height + 1) / 2, row = quad / across;
  return (place){row / down, row % down * 2, quad % across * 2};
}

// Bit ky * 3 + kx tells whether that neighbour of a pixel lies inside the image.
int taps_inside(int y, int x, int height, int width) {
  int bits = 0;
  EACH (tap, 9) {
    const int ny = y + tap / 3 - 1, nx = x + tap % 3 - 1;
    bits |= (ny >= 0 && ny < height && nx >= 0 && nx < width) << tap;
  }
  return bits;
}

// Adds the products of one tile.
INLINE void add_tile(__local const uint *weight_tile,  // (PAIRS, WEIGHT_ROW), from the warp's first channel on
                     __local const uint *pixel_tile,   // (PAIRS, PIXEL_ROW), from the warp's first pixel on
                     float4 sum[OC_BLOCKS][PX_BLOCKS], __local uint *matrices) {
  const int group = get_local_id(0) / 4, in_group = get_local_id(0) % 4;
  EACH (step, TILE_K / K_STEP) {
    const int first = step * (K_STEP / 2) + in_group;
    uint a[OC_BLOCKS][A_REGISTERS];
    EACH (o, OC_BLOCKS) {
      EACH (r, A_REGISTERS) a[o][r] = weight_tile[(first + r / 2 * 4) * WEIGHT_ROW + o * 16 + r % 2 * 8 + group];
    }
    EACH (p, PX_BLOCKS) {
      uint b[B_REGISTERS];
      EACH (r, B_REGISTERS) b[r] = pixel_tile[(first + r * 4) * PIXEL_ROW + p * 8 + group];
      EACH (o, OC_BLOCKS) sum[o][p] = mma(a[o], b, sum[o][p], matrices);
    }
  }
}

// Not fmax: a NaN must stay one.
float larger(float a, float b) {
  return b <= a || isnan(a) ? a : b;
}

// Two pixels of a row, of which an odd row's last has no second. The pairs of even rows are aligned.
void store_pair(float2 pair, int x, int width, __global float *to) {
  if (width % 2 == 0) {
    *(__global float2 *)to = pair;
  } else {
    to[0] = pair.x;
    if (x + 1 < width) to[1] = pair.y;
  }
}

__kernel __attribute__((reqd_work_group_size(LANES, WARPS_PX *WARPS_OC, 1))) void conv_f16_nchw_mma(
    __global const float *restrict in,         // (batch, in_channels, height, width)
    __global const ushort4 *restrict weights,  // (blocks, in_channels, 9, TILE_OC / 4), bits of half
    __global const float *restrict bias,       // (blocks, TILE_OC)
    __global float *restrict out,  // (batch, out_channels, height, width), pooled: halves of height and width
    int batch, int in_channels, int out_channels, int height, int width,
    int pool,      // 1: the maximum of each 2x2 square is the output; an odd last row or column is dropped
    float lowest)  // 0 for ReLU, else -infinity
{
  __local uint4 weight_tile[2 * PAIRS * WEIGHT_ROW / 4];
  __local uint pixel_tile[2 * PAIRS * PIXEL_ROW];
#ifdef EMULATE_MMA
  __local uint all_matrices[WARPS_PX * WARPS_OC * MATRIX_PAIRS];
  __local uint *matrices = all_matrices + get_local_id(1) * MATRIX_PAIRS;
#else
  __local uint *matrices = 0;
#endif

  const int warp = get_local_id(1);
  const int group = get_local_id(0) / 4, in_group = get_local_id(0) % 4;
  const int item = warp * LANES + get_local_id(0);
  const int warp_px = warp % WARPS_PX * WARP_PX, warp_oc = warp / WARPS_PX * WARP_OC;  // the first, in a tile
  const int first_quad = (int)get_group_id(0) * (TILE_PX / 4);
  const int block = get_group_id(1);
  const int quads = batch * ((height + 1) / 2) * ((width + 1) / 2);
  const int plane = height * width;

  // What this work-item gathers, beginning with row fill_row of a tile: where its pixels are, in the row's first channel.
  const int fill_row = item / TILE_PX % FILL_ROWS;
  int taps[FILL_PX], origin[FILL_PX];
  EACH (f, FILL_PX) {
    const int px = item % TILE_PX + f * ITEMS;
    const int quad = first_quad + px / 16 * 4 + px % 8 / 2;
    const place p = place_of(quad, height, width);
    const int y = p.y + px / 8 % 2, x = p.x + px % 2;
    taps[f] = quad < quads ? taps_inside(y, x, height, width) : 0;
    origin[f] = ((p.n * in_channels + fill_row * 2) * height + y) * width + x;
  }

  float4 sum[OC_BLOCKS][PX_BLOCKS];
  EACH (o, OC_BLOCKS) {
    const int channel = block * TILE_OC + warp_oc + o * 16 + group;
    const float upper = bias[channel], lower = bias[channel + 8];
    EACH (p, PX_BLOCKS) sum[o][p] = (float4)(upper, upper, lower, lower);
  }

  // Step s fetches tile s and multiplies tile s - 1.
  const int steps = (in_channels + TILE_K - 1) / TILE_K * 9;
  for (int step = 0; step <= steps; step++) {
    const int c0 = step / 9 * TILE_K, tap = step % 9;
    ushort4 next_weights[FILL_W][2];
    float2 next_pixels[FILL_PX][FILL_K];
    if (step < steps) {
      EACH (i, FILL_W) {
        const int at = item + i * ITEMS;
        EACH (odd, 2) {
          const int c = c0 + at / (TILE_OC / 4) * 2 + odd;
          next_weights[i][odd] =
              at < TILE_W && c < in_channels
                  ? weights[((block * in_channels + c) * 9 + tap) * (TILE_OC / 4) + at % (TILE_OC / 4)]
                  : (ushort4)0;
        }
      }
      const int shift = c0 * plane + (tap / 3 - 1) * width + tap % 3 - 1;
      EACH (f, FILL_PX) {
        EACH (i, FILL_K) {
          const int c = c0 + (fill_row + i * FILL_ROWS) * 2, from = origin[f] + shift + i * FILL_ROWS * 2 * plane;
          const bool inside = taps[f] >> tap & 1;
          next_pixels[f][i] = (float2)(inside && c < in_channels ? in[from] : 0.0f,
                                       inside && c + 1 < in_channels ? in[from + plane] : 0.0f);
        }
      }
    }
    if (step > 0) {
      const int buffer = (step - 1) % 2 * PAIRS;
      add_tile((__local const uint *)weight_tile + buffer * WEIGHT_ROW + warp_oc,
               pixel_tile + buffer * PIXEL_ROW + warp_px, sum, matrices);
    }
    if (step < steps) {
      const int buffer = step % 2 * PAIRS;
      EACH (i, FILL_W) {
        const int at = item + i * ITEMS, row = buffer + at / (TILE_OC / 4);
        if (at < TILE_W)
          weight_tile[row * (WEIGHT_ROW / 4) + at % (TILE_OC / 4)] =
              convert_uint4(next_weights[i][0]) | convert_uint4(next_weights[i][1]) << 16;
      }
      EACH (f, FILL_PX) {
        EACH (i, FILL_K) {
          const int row = buffer + fill_row + i * FILL_ROWS;
          vstore_half2(next_pixels[f][i], row * PIXEL_ROW + item % TILE_PX + f * ITEMS, (__local half *)pixel_tile);
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  EACH (p, PX_BLOCKS / 2) {
    const int quad = first_quad + warp_px / 4 + p * 4 + in_group;
    const place at = place_of(quad, height, width);
    const bool whole = at.y + 1 < height && at.x + 1 < width;
    if (quad >= quads || (pool && !whole)) continue;
    EACH (o, OC_BLOCKS * 2) {
      const int channel = block * TILE_OC + warp_oc + o * 8 + group;
      if (channel >= out_channels) continue;
      const float4 upper = sum[o / 2][p * 2], lower = sum[o / 2][p * 2 + 1];
      const float4 square =
          o % 2 ? (float4)(upper.z, upper.w, lower.z, lower.w) : (float4)(upper.x, upper.y, lower.x, lower.y);
      const float4 value = square < lowest ? (float4)lowest : square;
      const int image = at.n * out_channels + channel;
      if (pool) {
        out[(image * (height / 2) + at.y / 2) * (width / 2) + at.x / 2] =
            larger(larger(value.x, value.y), larger(value.z, value.w));
      } else {
        __global float *to = out + (image * height + at.y) * width + at.x;
        store_pair(value.xy, at.x, width, to);
        if (at.y + 1 < height) store_pair(value.zw, at.x, width, to + width);
      }
    }
  }
}
