/*
 * 3x3 convolution, stride 1, zero padding 1, as the matrix product
 * (out_channels, in_channels * 9) x (in_channels * 9, pixels of the whole batch) whose right matrix is never stored: its
 * elements are gathered from the input while a tile is filled. For GPUs.
 *
 *   conv_f32_nchw_implicit_gemm    all f32
 *   conv_f16w_nchw_implicit_gemm   weights stored as half, which needs no extension; the arithmetic is f32
 *   conv_f16_nchw_implicit_gemm    weights and tiles in half, products and the sums of a tile's TILE_K products too, and the
 *                                  sums of these in f32. Needs cl_khr_fp16
 *
 * In all of them the input, bias and output are f32.
 *
 *                                       TILE_PX pixels = GROUP_PX items x ITEM_PX
 *                                     +---------------------+
 *                              TILE_K |  gathered inputs    |     local: pixel_tile[BUFFERS][TILE_K][TILE_PX]
 *                                     +---------------------+
 *                       TILE_K
 *                      +--------+     +---------------------+
 *   TILE_OC channels = | packed |     |  sums, in registers |     a work-item has ITEM_OC x ITEM_PX of them:
 *   GROUP_OC items     | weights|     |  of the work-items  |     the QUADS vectors lx, lx + GROUP_PX, ... of a row of pixels
 *   x ITEM_OC          +--------+     +---------------------+     and the vectors ly, ly + GROUP_OC, ... of channels, so that
 *                      local: weight_tile[BUFFERS][TILE_K][TILE_OC]     neighbours read neighbouring vectors of local memory
 *
 * Pixels are in the order of quads: the four of a 2x2 square follow each other (left to right, then down), squares go along
 * x, then y, then images, and an odd last row or column is filled up. So a vector of four sums is what the 2x2 pooling
 * takes the maximum of, and no other work-item is needed for that.
 *
 * The sum goes over chunks of TILE_K input channels, in them over the nine taps, in these over the channels of the chunk: a
 * tile belongs to one tap. So the place of a tap and the test whether it lies inside the image are the same for all values
 * that a work-item gathers for a pixel: nine bits a pixel, found once. And of the nine times that an input is read eight come
 * shortly after the first, while it is in the nearest cache.
 *
 * The next tile is fetched into registers before the present one is multiplied, which hides the time that it takes. With two
 * buffers it is stored beside the present one, with one buffer after a second barrier. Both tiles lie in local memory as they
 * are gathered, k by k: nothing is transposed, and no bank conflicts need padding.
 *
 *   weights[(block * in_channels * 9 + c * 9 + ky * 3 + kx) * TILE_OC + i] = weight of output channel block * TILE_OC + i;
 *   zeros fill the last block, and bias likewise.
 *
 * Work-groups: dimension 0 = tile of pixels, 1 = block of output channels. The group size is (GROUP_PX, GROUP_OC, 1), and the
 * grid has no groups beyond the last tile.
 */
#ifndef GROUP_PX
#define GROUP_PX 16  // work-items of a group along pixels (1, 2, 4, 8, 16)
#endif
#ifndef GROUP_OC
#define GROUP_OC 16  // work-items of a group along output channels (1, 2, 4, 8, 16)
#endif
#ifndef ITEM_PX
#define ITEM_PX 4  // pixels of a work-item (4, 8)
#endif
#ifndef ITEM_OC
#define ITEM_OC 4  // output channels of a work-item (4, 8)
#endif
#ifndef TILE_K
#define TILE_K 8  // input channels of a tile (4, 8, 16)
#endif
#ifndef BUFFERS
#define BUFFERS 2  // of each tile in local memory (1, 2)
#endif

// The forms. VALUE is a tile's element; weights4 is vector i of the stored weights, as it goes into a tile.
#if defined(F16_MATH)
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#define KERNEL_NAME          conv_f16_nchw_implicit_gemm
#define STORED               half
#define VALUE                half
#define VALUE4               half4
#define weights4(weights, i) (((__global const half4 *)(weights))[i])
#elif defined(F16_WEIGHTS)
#define KERNEL_NAME          conv_f16w_nchw_implicit_gemm
#define STORED               half
#define VALUE                float
#define VALUE4               float4
#define weights4(weights, i) vload_half4(i, weights)
#else
#define KERNEL_NAME          conv_f32_nchw_implicit_gemm
#define STORED               float
#define VALUE                float
#define VALUE4               float4
#define weights4(weights, i) (((__global const float4 *)(weights))[i])
#endif

#define TILE_PX (GROUP_PX * ITEM_PX)
#define TILE_OC (GROUP_OC * ITEM_OC)
#define ITEMS   (GROUP_PX * GROUP_OC)
#define QUADS   (ITEM_PX / 4)  // vectors of four pixels of a work-item
#define BLOCKS  (ITEM_OC / 4)  // vectors of four output channels of a work-item

// A work-item gathers for the same FILL_PX pixels in every tile: in rows FILL_ROWS apart, FILL_K of them.
#define FILL_PX   (TILE_PX > ITEMS ? TILE_PX / ITEMS : 1)
#define FILL_ROWS (ITEMS > TILE_PX ? ITEMS / TILE_PX : 1)
#define FILL_K    (TILE_K / FILL_ROWS)
// Vectors of weights that a tile has, and that a work-item fetches of them.
#define TILE_W     (TILE_K * TILE_OC / 4)
#define FILL_W     ((TILE_W + ITEMS - 1) / ITEMS)

#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)  // an unrolled loop

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
void multiply(__local const VALUE4 *weight_tile,  // (TILE_K, TILE_OC / 4)
              __local const VALUE4 *pixel_tile,   // (TILE_K, TILE_PX / 4)
              int lx, int ly, VALUE4 sum[ITEM_OC][QUADS]) {
  EACH (k, TILE_K) {
    VALUE4 pixels[QUADS];
    EACH (q, QUADS) pixels[q] = pixel_tile[k * (TILE_PX / 4) + lx + q * GROUP_PX];
    EACH (b, BLOCKS) {
      const VALUE4 w = weight_tile[k * (TILE_OC / 4) + ly + b * GROUP_OC];
      EACH (q, QUADS) {
        sum[b * 4 + 0][q] += w.x * pixels[q];
        sum[b * 4 + 1][q] += w.y * pixels[q];
        sum[b * 4 + 2][q] += w.z * pixels[q];
        sum[b * 4 + 3][q] += w.w * pixels[q];
      }
    }
  }
}

// The same into sums that are always f32.
void add_tile(__local const VALUE4 *weight_tile, __local const VALUE4 *pixel_tile, int lx, int ly,
              float4 sum[ITEM_OC][QUADS]) {
#ifdef F16_MATH
  half4 part[ITEM_OC][QUADS];
  EACH (o, ITEM_OC) {
    EACH (q, QUADS) part[o][q] = 0;
  }
  multiply(weight_tile, pixel_tile, lx, ly, part);
  EACH (o, ITEM_OC) {
    EACH (q, QUADS) sum[o][q] += convert_float4(part[o][q]);
  }
#else
  multiply(weight_tile, pixel_tile, lx, ly, sum);
#endif
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

__kernel __attribute__((reqd_work_group_size(GROUP_PX, GROUP_OC, 1))) void KERNEL_NAME(
    __global const float *restrict in,        // (batch, in_channels, height, width)
    __global const STORED *restrict weights,  // (blocks, in_channels, 9, TILE_OC)
    __global const float *restrict bias,      // (blocks, TILE_OC)
    __global float *restrict out,  // (batch, out_channels, height, width), pooled: halves of height and width
    int batch, int in_channels, int out_channels, int height, int width,
    int pool,      // 1: the maximum of each 2x2 square is the output; an odd last row or column is dropped
    float lowest)  // 0 for ReLU, else -infinity
{
  __local VALUE4 weight_tile[BUFFERS * TILE_W];
  __local VALUE4 pixel_tile[BUFFERS * TILE_K * TILE_PX / 4];

  const int lx = get_local_id(0);
  const int ly = get_local_id(1);
  const int item = ly * GROUP_PX + lx;
  const int first_quad = (int)get_group_id(0) * (TILE_PX / 4);
  const int block = get_group_id(1);
  const int quads = batch * ((height + 1) / 2) * ((width + 1) / 2);
  const int plane = height * width;

  // What this work-item gathers, beginning with row fill_row of a tile: where its pixels are, in channel fill_row.
  const int fill_row = item / TILE_PX % FILL_ROWS;
  int taps[FILL_PX], origin[FILL_PX];
  EACH (f, FILL_PX) {
    const int px = item % TILE_PX + f * ITEMS;
    const int quad = first_quad + px / 4;
    const place p = place_of(quad, height, width);
    const int y = p.y + px / 2 % 2, x = p.x + px % 2;
    taps[f] = quad < quads ? taps_inside(y, x, height, width) : 0;
    origin[f] = ((p.n * in_channels + fill_row) * height + y) * width + x;
  }

  float4 sum[ITEM_OC][QUADS];
  EACH (o, ITEM_OC) {
    const float first = bias[block * TILE_OC + (ly + o / 4 * GROUP_OC) * 4 + o % 4];
    EACH (q, QUADS) sum[o][q] = first;
  }

  // Step s fetches tile s and multiplies tile s - 1.
  const int steps = (in_channels + TILE_K - 1) / TILE_K * 9;
  for (int step = 0; step <= steps; step++) {
    const int c0 = step / 9 * TILE_K, tap = step % 9;
    VALUE4 next_weights[FILL_W];
    VALUE next_pixels[FILL_PX][FILL_K];
    if (step < steps) {
      EACH (i, FILL_W) {
        const int at = item + i * ITEMS, c = c0 + at / (TILE_OC / 4);
        next_weights[i] =
            at < TILE_W && c < in_channels
                ? weights4(weights, ((block * in_channels + c) * 9 + tap) * (TILE_OC / 4) + at % (TILE_OC / 4))
                : (VALUE4)0;
      }
      const int shift = c0 * plane + (tap / 3 - 1) * width + tap % 3 - 1;
      EACH (f, FILL_PX) {
        EACH (i, FILL_K) {
          const bool inside = (taps[f] >> tap & 1) && c0 + fill_row + i * FILL_ROWS < in_channels;
          next_pixels[f][i] = inside ? (VALUE)in[origin[f] + shift + i * FILL_ROWS * plane] : (VALUE)0;
        }
      }
    }
    if (step > 0) {
      const int buffer = (step - 1) % BUFFERS;
      add_tile(weight_tile + buffer * TILE_W, pixel_tile + buffer * (TILE_K * TILE_PX / 4), lx, ly, sum);
    }
    if (BUFFERS == 1) barrier(CLK_LOCAL_MEM_FENCE);
    if (step < steps) {
      const int buffer = step % BUFFERS;
      EACH (i, FILL_W) {
        if (item + i * ITEMS < TILE_W) weight_tile[buffer * TILE_W + item + i * ITEMS] = next_weights[i];
      }
      __local VALUE *row = (__local VALUE *)pixel_tile + (buffer * TILE_K + fill_row) * TILE_PX + item % TILE_PX;
      EACH (f, FILL_PX) {
        EACH (i, FILL_K) row[i * FILL_ROWS * TILE_PX + f * ITEMS] = next_pixels[f][i];
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  EACH (q, QUADS) {
    const int quad = first_quad + lx + q * GROUP_PX;
    const place p = place_of(quad, height, width);
    const bool whole = p.y + 1 < height && p.x + 1 < width;
    if (quad >= quads || (pool && !whole)) continue;
    EACH (o, ITEM_OC) {
      const int channel = block * TILE_OC + (ly + o / 4 * GROUP_OC) * 4 + o % 4;
      if (channel >= out_channels) continue;
      const float4 value = sum[o][q] < lowest ? (float4)lowest : sum[o][q];
      const int at = p.n * out_channels + channel;
      if (pool) {
        out[(at * (height / 2) + p.y / 2) * (width / 2) + p.x / 2] =
            larger(larger(value.x, value.y), larger(value.z, value.w));
      } else {
        __global float *to = out + (at * height + p.y) * width + p.x;
        store_pair(value.xy, p.x, width, to);
        if (p.y + 1 < height) store_pair(value.zw, p.x, width, to + width);
      }
    }
  }
}
