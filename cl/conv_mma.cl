/*
 * 3x3 convolution, stride 1, zero padding 1, by the matrix instructions of GPUs: the matrix product of conv_implicit_gemm.cl, with
 * tiles of half and sums in f32. Input, bias and output are f32. cl_khr_fp16 is not needed: halves are made by vstore_half, and
 * handled as bits, two in a uint.
 *
 *   conv_f16_nchw_mma    NVIDIA's tensor cores, by inline PTX. A warp is 32 work-items with consecutive local ids
 *   conv_f16_nchw_dpas   with DPAS defined: Intel's XMX engines, by cl_intel_subgroup_matrix_multiply_accumulate. dpas, for "dot
 *                        product accumulate systolic", is Intel's name of the instruction. A warp is a sub-group here, of
 *                        SUBGROUP work-items
 *
 * The work-items of a warp, its lanes, compute blocks of channels x pixels together, K_STEP products at a time. Which element of a
 * block is in which lane is drawn at each instruction.
 *
 * Work-groups: dimension 0 = tile of pixels, 1 = block of output channels. The group size is (LANES, WARPS_PX * WARPS_OC, 1). Warp
 * (wx, wy) has the sums of WARP_OC x WARP_PX, blocks side by side:
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
 *                      local: weight_tile[2], see store_weights
 *
 * Pixels are in the order of squares of 2x2, along x, then y, then images; an odd last row or column is filled up. Of SQUARES squares
 * come first the upper rows, then the lower ones. A lane's sums are whole squares, of which it takes the maximum alone, and neighbours
 * of a row are gathered by neighbouring lanes.
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
#ifndef TILE_K
#define TILE_K 16  // input channels of a tile (16, 32)
#endif

#ifndef DPAS
#define KERNEL_NAME conv_f16_nchw_mma
#ifndef WARP_PX
#define WARP_PX 32  // pixels of a warp (16, 32, 64)
#endif
#ifndef WARP_OC
#define WARP_OC 32  // output channels of a warp (16, 32)
#endif
#ifndef K_STEP
#define K_STEP 16  // products that an instruction adds to a sum: 16 from compute capability 8.0 on (8, 16)
#endif
#else
#define KERNEL_NAME conv_f16_nchw_dpas
#ifndef BLOCKS_OC
#define BLOCKS_OC 2  // blocks of eight output channels of a warp (1, 2, 4)
#endif
#ifndef SUBGROUP
#define SUBGROUP 16  // work-items of a sub-group: the smallest that the device has, and no other (8, 16)
#endif
#define WARP_PX (4 * SUBGROUP)
#define WARP_OC (8 * BLOCKS_OC)
#define K_STEP  16
#endif

#ifdef EMULATE_MMA  // for tests on other devices: the instruction in plain OpenCL C, which all work-items of a group must reach
#define EACH(i, n) for (int i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)  // an unrolled loop
#endif
#define INLINE  __attribute__((always_inline))  // what is called with sums, so that they stay in registers

#define TILE_PX (WARPS_PX * WARP_PX)
#define TILE_OC (WARPS_OC * WARP_OC)
#define PAIRS   (TILE_K / 2)  // rows of a tile
#define PAD \
  8  // rows begin 8 banks apart, so that the 4 x 8 words which an NVIDIA warp reads at once are in different ones
#define PIXEL_ROW  (TILE_PX + PAD)
#define WEIGHT_ROW (TILE_OC + PAD)

/*
 * What an instruction brings along:
 *   LANES, LANE, WARP           work-items of a warp, this one's number, and its warp's in the group
 *   sums                        a lane's of a block; it has OC_BLOCKS x PX_BLOCKS of them
 *   SQUARES, LANE_SQUARE        squares whose rows lie side by side, and which of them is the lane's
 *   LANE_OC, channel_of         output channels of a lane, and the i-th of them
 *   first_sums, square_of       to the sums from bias, and from them to squares
 *   store_weights, add_tile     to and from local memory
 *   MATRIX_WORDS                of local memory for a warp, where the instruction is emulated
 */
#ifndef DPAS

/*
 * mma.sync.aligned.m16n8k8 or .m16n8k16 .row.col.f32.f16.f16.f32, on a block of 16 channels x 8 pixels. From the PTX ISA, chapter
 * "Warp-level matrix multiply-accumulate instructions", "Matrix fragments for mma.m16n8k16 with floating-point type", with
 * GROUP = lane / 4 and IN_GROUP = lane % 4:
 *
 *                                     pixel  GROUP                          b[r] has k = IN_GROUP * 2 + r * 8, and k + 1
 *                                   +--------------+
 *                            K_STEP |  b[K_STEP/8] |
 *                                   +--------------+
 *                      K_STEP
 *                   +-------------+ +--------------+   pixels  IN_GROUP * 2, + 1
 *    channel GROUP  | a[0]   a[2] | |   x      y   |
 *                   |             | |              |        a[r] has k = IN_GROUP * 2 + r / 2 * 8, and k + 1
 *        GROUP + 8  | a[1]   a[3] | |   z      w   |
 *                   +-------------+ +--------------+
 */
#define LANES        32
#define LANE         ((int)get_local_id(0))
#define WARP         ((int)get_local_id(1))
#define GROUP        (LANE / 4)
#define IN_GROUP     (LANE % 4)
#define PX_BLOCKS    (WARP_PX / 8)
#define OC_BLOCKS    (WARP_OC / 16)
#define SQUARES      4
#define LANE_SQUARE  IN_GROUP
#define LANE_OC      (OC_BLOCKS * 2)
#define A_REGISTERS  (K_STEP / 4)  // of a lane, for a block
#define B_REGISTERS  (K_STEP / 8)
#define MATRIX_WORDS (24 * (K_STEP / 2))

typedef float4 sums;

int channel_of(int i) {
  return i * 8 + GROUP;
}

sums first_sums(__global const float *bias) {  // of a block of channels
  const float upper = bias[GROUP], lower = bias[GROUP + 8];
  return (float4)(upper, upper, lower, lower);
}

// Two blocks of pixels are the upper and the lower rows of four squares.
INLINE float4 square_of(sums sum[OC_BLOCKS][PX_BLOCKS], int square, int i) {
  const float4 upper = sum[i / 2][square * 2], lower = sum[i / 2][square * 2 + 1];
  return i % 2 ? (float4)(upper.z, upper.w, lower.z, lower.w) : (float4)(upper.x, upper.y, lower.x, lower.y);
}

// Adds the product of two blocks to sum: a lane's parts of the result.
#ifdef EMULATE_MMA
// The lanes put what they have where the PTX ISA says that it belongs, and take their results from the whole matrices.
INLINE sums
multiply(const uint *a, const uint *b, sums sum,
         __local uint *left)  // of the warp: (16, K_STEP / 2) pairs along k, and (8, K_STEP / 2) behind them
{
  __local uint *right = left + 16 * (K_STEP / 2);
  EACH (r, A_REGISTERS) left[(GROUP + r % 2 * 8) * (K_STEP / 2) + IN_GROUP + r / 2 * 4] = a[r];
  EACH (r, B_REGISTERS) right[GROUP * (K_STEP / 2) + IN_GROUP + r * 4] = b[r];
  barrier(CLK_LOCAL_MEM_FENCE);
  EACH (i, K_STEP / 8) {
    const float8 upper = vload_half8(GROUP * (K_STEP / 8) + i, (__local half *)left);
    const float8 lower = vload_half8((GROUP + 8) * (K_STEP / 8) + i, (__local half *)left);
    const float8 first = vload_half8(IN_GROUP * 2 * (K_STEP / 8) + i, (__local half *)right);
    const float8 second = vload_half8((IN_GROUP * 2 + 1) * (K_STEP / 8) + i, (__local half *)right);
    sum.x += dot(upper.lo, first.lo) + dot(upper.hi, first.hi);
    sum.y += dot(upper.lo, second.lo) + dot(upper.hi, second.hi);
    sum.z += dot(lower.lo, first.lo) + dot(lower.hi, first.hi);
    sum.w += dot(lower.lo, second.lo) + dot(lower.hi, second.hi);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return sum;
}
#else
INLINE sums multiply(const uint *a, const uint *b, sums sum, __local uint *unused) {
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

// Adds the products of one tile.
INLINE void add_tile(__local const uint4 *weight_tile, int first_oc,  // and the warp's first channel in it
                     __local const uint2 *pixel_tile, int first_px,   // and the warp's first pixel
                     sums sum[OC_BLOCKS][PX_BLOCKS], __local uint *matrices) {
  __local const uint *weights = (__local const uint *)weight_tile + first_oc + GROUP;
  __local const uint *pixels = (__local const uint *)pixel_tile + first_px + GROUP;
  EACH (step, TILE_K / K_STEP) {
    const int first = step * (K_STEP / 2) + IN_GROUP;
    uint a[OC_BLOCKS][A_REGISTERS];
    EACH (o, OC_BLOCKS) {
      EACH (r, A_REGISTERS) a[o][r] = weights[(first + r / 2 * 4) * WEIGHT_ROW + o * 16 + r % 2 * 8];
    }
    EACH (p, PX_BLOCKS) {
      uint b[B_REGISTERS];
      EACH (r, B_REGISTERS) b[r] = pixels[(first + r * 4) * PIXEL_ROW + p * 8];
      EACH (o, OC_BLOCKS) sum[o][p] = multiply(a[o], b, sum[o][p], matrices);
    }
  }
}

#else

/*
 * intel_sub_group_f16_f16_matrix_mad_k16, on a block of 8 channels x SUBGROUP pixels. From the specification of
 * cl_intel_subgroup_matrix_multiply_accumulate, "Subgroup Matrix Multiply Accumulate Instructions": of a, M = 8 rows x K = 16 columns,
 * a work-item contributes part of each row; of b, K x N, and of the sums, M x N, it has one column, and N is the size of the
 * sub-group. The "Coding Sample" there shows the order along K: work-item by work-item in a row of a, packed from low bits to high.
 *
 *                                          pixel  LANE
 *                                        +-----------+
 *                                   K=16 |     b     |      int8; b.s0 has k = 0 in its lower half and 1 in the upper, ...
 *                                        +-----------+
 *                           K=16
 *                      +-------------+   +-----------+
 *    channel m         |    a.s[m]   |   |  sum.s[m] |      float8
 *                      +-------------+   +-----------+
 *                       SUBGROUP 8: int8, a.s[m] has k = LANE * 2, and k + 1;  SUBGROUP 16: short8, k = LANE
 *
 * Block j of a warp's four has pixel j of SUBGROUP squares.
 */
#define LANES        SUBGROUP
#define PX_BLOCKS    4
#define OC_BLOCKS    BLOCKS_OC
#define SQUARES      SUBGROUP
#define LANE_SQUARE  LANE
#define LANE_OC      WARP_OC
#define MATRIX_WORDS (8 * 8 + SUBGROUP * 8)

#ifdef EMULATE_MMA
#define LANE ((int)get_local_id(0))
#define WARP ((int)get_local_id(1))
#else
#if defined(cl_khr_subgroups)
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#elif defined(cl_intel_subgroups)
#pragma OPENCL EXTENSION cl_intel_subgroups : enable
#endif
// Not local ids: nothing says which of them a sub-group has.
#define LANE       ((int)get_sub_group_local_id())
#define WARP       ((int)get_sub_group_id())
#define ATTRIBUTES __attribute__((intel_reqd_sub_group_size(SUBGROUP)))
#endif

#if SUBGROUP == 8
typedef int part;  // of a row of a, a work-item's
typedef int8 parts;
#else
typedef short part;
typedef short8 parts;
#endif
typedef float8 sums;

int channel_of(int i) {
  return i;
}

sums first_sums(__global const float *bias) {
  return vload8(0, bias);
}

float element(sums v, int i) {
  const float4 half_of_v = i < 4 ? v.lo : v.hi;
  const float2 pair = i % 4 < 2 ? half_of_v.lo : half_of_v.hi;
  return i % 2 ? pair.y : pair.x;
}

INLINE float4 square_of(sums sum[OC_BLOCKS][PX_BLOCKS], int square, int i) {
  return (float4)(element(sum[i / 8][0], i % 8), element(sum[i / 8][1], i % 8), element(sum[i / 8][2], i % 8),
                  element(sum[i / 8][3], i % 8));
}

#ifdef EMULATE_MMA
// The lanes put what they have where the specification says that it belongs, and take their column from the product of the whole
// matrices.
INLINE sums multiply(parts a, int8 b, sums sum,
                     __local uint *left)  // of the warp: (8, 16) halves, and (SUBGROUP, 16) behind them, a column each
{
  __local uint *right = left + 8 * 8;
  part mine[8];
  float result[8];
  vstore8(a, 0, mine);
  vstore8(sum, 0, result);
  EACH (m, 8) ((__local part *)left)[m * SUBGROUP + LANE] = mine[m];
  vstore8(b, LANE, (__local int *)right);
  barrier(CLK_LOCAL_MEM_FENCE);
  EACH (i, 2) {
    const float8 column = vload_half8(LANE * 2 + i, (__local half *)right);
    EACH (m, 8) {
      const float8 row = vload_half8(m * 2 + i, (__local half *)left);
      result[m] += dot(row.lo, column.lo) + dot(row.hi, column.hi);
    }
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return vload8(0, result);
}
#else
INLINE sums multiply(parts a, int8 b, sums sum, __local uint *unused) {
  return intel_sub_group_f16_f16_matrix_mad_k16(a, b, sum);
}
#endif

// A work-item's parts of eight rows of a: in local memory they are side by side.
INLINE parts left_of(__local const uint4 *weight_tile, int first_oc, int step) {
#if SUBGROUP == 8
  __local const uint4 *from = weight_tile + ((step * 8 + LANE) * WEIGHT_ROW + first_oc) / 4;
  const uint4 first = from[0], second = from[1];
  return as_int8((uint8)(first.x, first.y, first.z, first.w, second.x, second.y, second.z, second.w));
#else
  return as_short8(((__local const ushort8 *)weight_tile)[((step * 16 + LANE) * WEIGHT_ROW + first_oc) / 8]);
#endif
}

// Adds the products of one tile. The two pixels of a square's row are read together.
INLINE void add_tile(__local const uint4 *weight_tile, int first_oc,  // and the warp's first channel in it
                     __local const uint2 *pixel_tile, int first_px,   // and the warp's first pixel
                     sums sum[OC_BLOCKS][PX_BLOCKS], __local uint *matrices) {
  EACH (step, TILE_K / K_STEP) {
    parts a[OC_BLOCKS];
    EACH (o, OC_BLOCKS) a[o] = left_of(weight_tile, first_oc + o * 8, step);
    EACH (row, 2) {
      __local const uint2 *from = pixel_tile + (step * 8 * PIXEL_ROW + first_px) / 2 + row * SUBGROUP + LANE;
      uint2 b[8];
      EACH (k, 8) b[k] = from[k * (PIXEL_ROW / 2)];
      const uint8 first = (uint8)(b[0].x, b[1].x, b[2].x, b[3].x, b[4].x, b[5].x, b[6].x, b[7].x);
      const uint8 second = (uint8)(b[0].y, b[1].y, b[2].y, b[3].y, b[4].y, b[5].y, b[6].y, b[7].y);
      EACH (o, OC_BLOCKS) {
        sum[o][row * 2] = multiply(a[o], as_int8(first), sum[o][row * 2], matrices);
        sum[o][row * 2 + 1] = multiply(a[o], as_int8(second), sum[o][row * 2 + 1], matrices);
      }
    }
  }
}

#endif

#ifndef ATTRIBUTES
#define ATTRIBUTES
#endif

// Puts four channels' weights of two neighbours along k, number pair, into a tile: pairs of halves, or where a lane multiplies only one
// of the two, a row of halves for each.
void store_weights(ushort4 even, ushort4 odd, int pair, int column, __local uint4 *weight_tile) {
#if defined(DPAS) && SUBGROUP == 16
  __local ushort4 *rows = (__local ushort4 *)weight_tile + pair * 2 * (WEIGHT_ROW / 4) + column;
  rows[0] = even;
  rows[WEIGHT_ROW / 4] = odd;
#else
  weight_tile[pair * (WEIGHT_ROW / 4) + column] = convert_uint4(even) | convert_uint4(odd) << 16;
#endif
}

#define ITEMS (LANES * WARPS_PX * WARPS_OC)
// A work-item gathers for the same FILL_PX pixels in every tile: in rows FILL_ROWS apart, FILL_K of them.
#define FILL_PX   (TILE_PX > ITEMS ? TILE_PX / ITEMS : 1)
#define FILL_ROWS (ITEMS > TILE_PX ? ITEMS / TILE_PX : 1)
#define FILL_K    (PAIRS / FILL_ROWS)
// Vectors of four pairs of weights that a tile has, and that a work-item fetches of them.
#define TILE_W (PAIRS * TILE_OC / 4)
#define FILL_W ((TILE_W + ITEMS - 1) / ITEMS)

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

__kernel __attribute__((reqd_work_group_size(LANES, WARPS_PX *WARPS_OC, 1))) ATTRIBUTES void KERNEL_NAME(
    __global const float *restrict in,         // (batch, in_channels, height, width)
    __global const ushort4 *restrict weights,  // (blocks, in_channels, 9, TILE_OC / 4), bits of half
    __global const float *restrict bias,       // (blocks, TILE_OC)
    __global float *restrict out,  // (batch, out_channels, height, width), pooled: halves of height and width
    int batch, int in_channels, int out_channels, int height, int width,
    int pool,      // 1: the maximum of each 2x2 square is the output; an odd last row or column is dropped
    float lowest)  // 0 for ReLU, else -infinity
{
  __local uint4 weight_tile[2 * PAIRS * WEIGHT_ROW / 4];
  __local uint2 pixel_tile[2 * PAIRS * PIXEL_ROW / 2];
#ifdef EMULATE_MMA
  __local uint all_matrices[WARPS_PX * WARPS_OC * MATRIX_WORDS];
  __local uint *matrices = all_matrices + WARP * MATRIX_WORDS;
#else
  __local uint *matrices = 0;
#endif

  const int warp = WARP, item = warp * LANES + LANE;
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
    const int quad = first_quad + px / (4 * SQUARES) * SQUARES + px % (2 * SQUARES) / 2;
    const place p = place_of(quad, height, width);
    const int y = p.y + px / (2 * SQUARES) % 2, x = p.x + px % 2;
    taps[f] = quad < quads ? taps_inside(y, x, height, width) : 0;
    origin[f] = ((p.n * in_channels + fill_row * 2) * height + y) * width + x;
  }

  sums sum[OC_BLOCKS][PX_BLOCKS];
  EACH (o, OC_BLOCKS) {
    const sums first = first_sums(bias + block * TILE_OC + warp_oc + o * (WARP_OC / OC_BLOCKS));
    EACH (p, PX_BLOCKS) sum[o][p] = first;
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
      add_tile(weight_tile + buffer * (WEIGHT_ROW / 4), warp_oc, pixel_tile + buffer * (PIXEL_ROW / 2), warp_px, sum,
               matrices);
    }
    if (step < steps) {
      const int buffer = step % 2 * PAIRS;
      EACH (i, FILL_W) {
        const int at = item + i * ITEMS;
        if (at < TILE_W)
          store_weights(next_weights[i][0], next_weights[i][1], at / (TILE_OC / 4), at % (TILE_OC / 4),
                        weight_tile + buffer * (WEIGHT_ROW / 4));
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

  EACH (p, WARP_PX / 4 / SQUARES) {
    const int quad = first_quad + warp_px / 4 + p * SQUARES + LANE_SQUARE;
    const place at = place_of(quad, height, width);
    const bool whole = at.y + 1 < height && at.x + 1 < width;
    if (quad >= quads || (pool && !whole)) continue;
    EACH (i, LANE_OC) {
      const int channel = block * TILE_OC + warp_oc + channel_of(i);
      if (channel >= out_channels) continue;
      const float4 square = square_of(sum, p, i);
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
