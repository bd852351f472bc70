/*
 * 3x3 convolution by Winograd's minimal filtering F(M x M, 3 x 3) on plain activations, bias, ReLU and 2x2 max-pooling fused.
 * (A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.) For GPUs: neighbouring work-items have
 * neighbouring tiles, and the products are computed from tiles in local memory.
 *
 *   in (n, IC, H, W)                        out (n, OC, H, W), or H/2, W/2 when pool
 *        |  input transform  B^T d B            ^  output transform  A^T p A, + bias, ReLU, pool
 *        v                                      |
 *   v (FREQS, channels, tiles) ------------> p (FREQS, OC padded, tiles)
 *               multiply, for each of the FREQS = (M+2)^2 places of a transformed tile:
 *               p[oc][tile] = sum over ic of u[ic][oc] * v[ic][tile]
 *
 * An image is cut into tiles_y x tiles_x tiles of M x M outputs; tile t = (n * tiles_y + ty) * tiles_x + tx reads inputs from
 * row ty * M - 1 and column tx * M - 1 on; what lies outside the image is zero. Channels are padded with zeros to multiples of TILE_K
 * and TILE_OC, tiles to multiples of TILE_T, so that no step of a product needs a check.
 *
 * A product of TILE_OC x TILE_T: item (lt, lo) has GROUP_T x GROUP_OC neighbours, which share its rows and columns. It owns ITEM_T
 * tiles and ITEM_OC channels in vectors of 4, GROUP_T and GROUP_OC vectors apart, so that neighbours read neighbouring vectors:
 *
 *          | lt = 0 | lt = 1 | ... | lt = 0 | lt = 1 | ...            a tile's place of vector j: (j * GROUP_T + lt) * 4
 *   -------+--------+--------+-----+--------+--------+----            a channel's, of vector i:  (i * GROUP_OC + lo) * 4
 *   lo = 0 |  4x4   |        |     |  4x4   |        |
 *
 * Staged (conv_f32_nchw_winograd): three kernels with v and p in scratch memory, for a part of all tiles at a time.
 *   u (FREQS, channels, OC padded)
 * Fused (conv_f32_nchw_winograd_fused): one kernel. A work-group takes TILE_T tiles and TILE_OC channels; its items also share the
 * FREQS places, ITEM_F for each. TILE_K input channels at a time are transformed into local memory, beside their weights; in the end
 * the products go through it, too, to where they are transformed.
 *   u (blocks of TILE_OC, channels, FREQS, TILE_OC)
 *   floats of local memory: the larger of FREQS * TILE_K * (TILE_T + TILE_OC) and FREQS * 2 * GROUP_OC * TILE_T; and 3 * TILE_T
 */
/* A build that sets ITEM_F has the fused kernel, any other the staged ones. */
#ifdef ITEM_F
#define FUSED
#endif

#ifndef GROUP_T
#define GROUP_T 8  // work-items of a group that share output channels (1, 2, 4, 8, 16)
#endif
#ifndef GROUP_OC
#define GROUP_OC 8  // work-items of a group that share tiles (1, 2, 4, 8, 16)
#endif
#ifndef ITEM_T
#define ITEM_T 8  // tiles of a work-item (4, 8)
#endif
#ifndef ITEM_OC
#define ITEM_OC 8  // output channels of a work-item (4, 8)
#endif
#ifndef TILE_K
#define TILE_K 4  // input channels in local memory at a time (1, 2, 4, 8)
#endif
#ifndef M
#define M 4  // side of a tile of outputs (2, 4)
#endif
#ifndef ITEM_F
#define ITEM_F 1  // places of a transformed tile of a work-item (1, 2, 4, 16)
#endif

#define N       (M + 2)
#define FREQS   (N * N)
#define TILE_T  (GROUP_T * ITEM_T)
#define TILE_OC (GROUP_OC * ITEM_OC)
/* The same in vectors of 4. */
#define T4      (TILE_T / 4)
#define OC4     (TILE_OC / 4)
#define ITEM_T4 (ITEM_T / 4)
#define ITEM_O4 (ITEM_OC / 4)

/* Not fmax: a NaN must stay one. */
#define AT_LEAST(low, v) ((v) < (low) ? (low) : (v))
#define LARGER(a, b)     (((a) > (b) || (a) != (a)) ? (a) : (b))
#define EACH(i, n)       _Pragma("unroll") for (int i = 0; i < (n); i++) /* an unrolled loop */

/* B^T d and A^T p for one row; interpolation points 0, 1, -1 (and 2, -2) and infinity. */
#if M == 2
void input_row(const float *d, float *v) {
  v[0] = d[0] - d[2];
  v[1] = d[1] + d[2];
  v[2] = d[2] - d[1];
  v[3] = d[1] - d[3];
}
void output_row(const float *p, float *y) {
  y[0] = p[0] + p[1] + p[2];
  y[1] = p[1] - p[2] - p[3];
}
#else
void input_row(const float *d, float *v) {
  const float even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
  const float even2 = d[4] - d[2], odd2 = 2.0f * (d[3] - d[1]);
  v[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  v[1] = even + odd;
  v[2] = even - odd;
  v[3] = even2 + odd2;
  v[4] = even2 - odd2;
  v[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}
void output_row(const float *p, float *y) {
  const float sum1 = p[1] + p[2], difference1 = p[1] - p[2], sum2 = p[3] + p[4], difference2 = p[3] - p[4];
  y[0] = p[0] + sum1 + sum2;
  y[1] = difference1 + 2.0f * difference2;
  y[2] = sum1 + 4.0f * sum2;
  y[3] = difference1 + 8.0f * difference2 + p[5];
}
#endif

/* B^T d B of the tile of plane (height, width) whose first input is at (y0, x0). */
void input_tile(__global const float *plane, int height, int width, int y0, int x0, float v[N][N]) {
  float t[N][N];
  EACH (r, N) {
    float d[N];
    const int y = y0 + r;
    EACH (c, N) {
      const int x = x0 + c;
      d[c] = (uint)y < (uint)height && (uint)x < (uint)width ? plane[y * width + x] : 0.0f;
    }
    input_row(d, t[r]);
  }
  EACH (c, N) {
    float column[N], done[N];
    EACH (r, N) column[r] = t[r][c];
    input_row(column, done);
    EACH (r, N) v[r][c] = done[r];
  }
}

/* A^T p A and the epilogue, to the tile of plane (height, width) or, pooled, (height / 2, width / 2) whose first output is at
 * (y0, x0) before pooling. */
void output_tile(float p[N][N], float bias, float lowest, __global float *plane, int height, int width, int y0, int x0,
                 int pool) {
  float half_done[M][N], y[M][M];
  EACH (c, N) {
    float column[N], done[M];
    EACH (r, N) column[r] = p[r][c];
    output_row(column, done);
    EACH (r, M) half_done[r][c] = done[r];
  }
  EACH (r, M) {
    output_row(half_done[r], y[r]);
    EACH (c, M) {
      const float sum = y[r][c] + bias;
      y[r][c] = AT_LEAST(lowest, sum);
    }
  }
  if (pool) {
    EACH (r, M / 2)
      EACH (c, M / 2) {
        const int py = y0 / 2 + r, px = x0 / 2 + c;
        const float top = LARGER(y[2 * r][2 * c], y[2 * r][2 * c + 1]);
        const float below = LARGER(y[2 * r + 1][2 * c], y[2 * r + 1][2 * c + 1]);
        if (py < height / 2 && px < width / 2) plane[py * (width / 2) + px] = LARGER(top, below);
      }
  } else {
    EACH (r, M)
      EACH (c, M)
        if (y0 + r < height && x0 + c < width) plane[(y0 + r) * width + x0 + c] = y[r][c];
  }
}

int plane_floats(int height, int width, int pool) {
  return pool ? (height / 2) * (width / 2) : height * width;
}

/* One step of a product: an input channel of an item's tiles, v[j * GROUP_T], by its weights, u[i * GROUP_OC]. */
void multiply(__local const float4 *v, __local const float4 *u, float4 sum[ITEM_OC][ITEM_T4]) {
  float4 x[ITEM_T4];
  EACH (j, ITEM_T4) x[j] = v[j * GROUP_T];
  EACH (i, ITEM_O4) {
    const float4 w = u[i * GROUP_OC];
    EACH (j, ITEM_T4) {
      sum[4 * i][j] += w.x * x[j];
      sum[4 * i + 1][j] += w.y * x[j];
      sum[4 * i + 2][j] += w.z * x[j];
      sum[4 * i + 3][j] += w.w * x[j];
    }
  }
}

/* The channel of an item's row of sums, within TILE_OC. */
int channel_of(int row, int lo) {
  return (row / 4 * GROUP_OC + lo) * 4 + row % 4;
}

#ifndef FUSED
/* Work-items: (tiles of the part, padded; channels). A tile beyond all_tiles, or a channel beyond in_channels, is zero. */
__kernel void conv_f32_nchw_winograd_input(__global const float *restrict in,  // (batch, in_channels, height, width)
                                           __global float *restrict v,         // (FREQS, channels, tiles)
                                           int first_tile, int all_tiles, int tiles, int in_channels, int channels,
                                           int height, int width, int tiles_y, int tiles_x) {
  const int t = get_global_id(0), c = get_global_id(1), tile = first_tile + t;
  if (t >= tiles || c >= channels) return;
  const int row = tile / tiles_x, tx = tile % tiles_x, ty = row % tiles_y, n = row / tiles_y;
  float d[N][N];
  if (tile < all_tiles && c < in_channels) {
    input_tile(in + (n * in_channels + c) * height * width, height, width, ty * M - 1, tx * M - 1, d);
  } else {
    EACH (y, N)
      EACH (x, N) d[y][x] = 0.0f;
  }
  EACH (f, FREQS) v[(f * channels + c) * tiles + t] = d[f / N][f % N];
}

/* Vectors that a group copies to local memory at a time, and loads of an item for that. */
#define ITEMS        (GROUP_T * GROUP_OC)
#define LOADS(count) (((count) + ITEMS - 1) / ITEMS)
#define V_COUNT      (TILE_K * T4)
#define U_COUNT      (TILE_K * OC4)
/* Of count vectors, in rows of row (a constant), from rows stride vectors apart. */
#define FETCH(from, stride, row, count, to)                                                      \
  EACH (l, LOADS(count)) {                                                                       \
    const int i = item + l * ITEMS;                                                              \
    if ((count) % ITEMS == 0 || i < (count)) (to)[l] = (from)[i / (row) * (stride) + i % (row)]; \
  }
#define PUT(from, count, to)                                      \
  EACH (l, LOADS(count)) {                                        \
    const int i = item + l * ITEMS;                               \
    if ((count) % ITEMS == 0 || i < (count)) (to)[i] = (from)[l]; \
  }

/* Groups: (tiles / TILE_T, out_channels / TILE_OC, FREQS). While a step is multiplied, the next is on its way into registers. */
__kernel __attribute__((reqd_work_group_size(GROUP_T, GROUP_OC, 1))) void conv_f32_nchw_winograd_multiply(
    __global const float4 *restrict v,          // (FREQS, channels, tiles / 4)
    __global const float4 *restrict u,          // (FREQS, channels, out_channels / 4)
    __global float4 *scratch,                   // the same memory: behind v it has p (FREQS, out_channels, tiles / 4)
    int channels, int out_channels, int tiles)  // padded
{
  __local float4 v_tile[V_COUNT], u_tile[U_COUNT];
  const int lt = get_local_id(0), lo = get_local_id(1), item = lo * GROUP_T + lt, f = get_group_id(2);
  const int v_stride = tiles / 4, u_stride = out_channels / 4;
  const int t0 = (int)get_group_id(0) * T4, o0 = (int)get_group_id(1) * TILE_OC;
  v += f * channels * v_stride + t0;
  u += f * channels * u_stride + o0 / 4;
  float4 sum[ITEM_OC][ITEM_T4], next_v[LOADS(V_COUNT)], next_u[LOADS(U_COUNT)];
  EACH (o, ITEM_OC)
    EACH (j, ITEM_T4) sum[o][j] = (float4)(0.0f);
  FETCH(v, v_stride, T4, V_COUNT, next_v)
  FETCH(u, u_stride, OC4, U_COUNT, next_u)
  for (int c = 0; c < channels; c += TILE_K) {
    PUT(next_v, V_COUNT, v_tile)
    PUT(next_u, U_COUNT, u_tile)
    barrier(CLK_LOCAL_MEM_FENCE);
    if (c + TILE_K < channels) {
      v += TILE_K * v_stride;
      u += TILE_K * u_stride;
      FETCH(v, v_stride, T4, V_COUNT, next_v)
      FETCH(u, u_stride, OC4, U_COUNT, next_u)
    }
    EACH (k, TILE_K) multiply(v_tile + k * T4 + lt, u_tile + k * OC4 + lo, sum);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  __global float4 *p = scratch + FREQS * channels * v_stride + (f * out_channels + o0) * v_stride + t0;
  EACH (o, ITEM_OC)
    EACH (j, ITEM_T4) p[channel_of(o, lo) * v_stride + j * GROUP_T + lt] = sum[o][j];
}

/* Work-items: (tiles of the part, output channels). */
__kernel void conv_f32_nchw_winograd_output(__global const float *restrict scratch,  // as in multiply
                                            __global const float *restrict bias,
                                            __global float *restrict out,  // (batch, out_channels, height, width)
                                            int first_tile, int all_tiles, int tiles, int channels, int out_channels,
                                            int padded_out_channels, int height, int width, int tiles_y, int tiles_x,
                                            int pool, float lowest) {
  const int t = get_global_id(0), o = get_global_id(1), tile = first_tile + t;
  if (t >= tiles || tile >= all_tiles || o >= out_channels) return;
  const int row = tile / tiles_x, tx = tile % tiles_x, ty = row % tiles_y, n = row / tiles_y;
  __global const float *from = scratch + (FREQS * channels + o) * tiles + t;
  float p[N][N];
  EACH (f, FREQS) p[f / N][f % N] = from[f * padded_out_channels * tiles];
  output_tile(p, bias[o], lowest, out + (n * out_channels + o) * plane_floats(height, width, pool), height, width,
              ty * M, tx * M, pool);
}
#endif

#ifdef FUSED
#define GROUP_F (FREQS / ITEM_F)
#define ITEMS   (GROUP_T * GROUP_OC * GROUP_F)
/* Rows of an item's sums that go through local memory at a time: more than two where there is room anyway. */
#define ROOM (TILE_K * (TILE_T + TILE_OC))
#if 8 * GROUP_OC * TILE_T <= ROOM && ITEM_OC == 8
#define ROWS 8
#elif 4 * GROUP_OC * TILE_T <= ROOM
#define ROWS 4
#else
#define ROWS 2
#endif
#define PASS_CHANNELS (ROWS * GROUP_OC)
#define LOCAL4        (FREQS * (ROOM > PASS_CHANNELS * TILE_T ? ROOM : PASS_CHANNELS * TILE_T) / 4)

/* Groups: (blocks of TILE_T tiles, blocks of TILE_OC channels, 1). */
__kernel __attribute__((reqd_work_group_size(GROUP_T, GROUP_OC, GROUP_F))) void conv_f32_nchw_winograd_fused(
    __global const float *restrict in,  // (batch, in_channels, height, width)
    __global const float4 *restrict u,  // (blocks, channels, FREQS, TILE_OC / 4)
    __global const float *restrict bias,
    __global float *restrict out,  // (batch, out_channels, height, width)
    int all_tiles, int in_channels, int channels, int out_channels, int height, int width, int tiles_y, int tiles_x,
    int pool, float lowest) {
  __local float4
      shared[LOCAL4]; /* v (FREQS, TILE_K, TILE_T) and u (TILE_K, FREQS, TILE_OC); p (FREQS, PASS_CHANNELS, TILE_T) */
  __local int image[TILE_T], y0[TILE_T],
      x0[TILE_T]; /* of each tile: its image, -1 where there is none; its first output */
  __local float *v_tile = (__local float *)shared;
  __local float4 *u_tile = shared + FREQS * TILE_K * T4;
  const int lt = get_local_id(0), lo = get_local_id(1), f0 = (int)get_local_id(2) * ITEM_F;
  const int item = ((int)get_local_id(2) * GROUP_OC + lo) * GROUP_T + lt;
  const int o0 = (int)get_group_id(1) * TILE_OC;

  for (int t = item; t < TILE_T; t += ITEMS) {
    const int tile = (int)get_group_id(0) * TILE_T + t, row = tile / tiles_x;
    image[t] = tile < all_tiles ? row / tiles_y : -1;
    y0[t] = row % tiles_y * M;
    x0[t] = tile % tiles_x * M;
  }
  float4 sum[ITEM_F][ITEM_OC][ITEM_T4];
  EACH (f, ITEM_F)
    EACH (o, ITEM_OC)
      EACH (j, ITEM_T4) sum[f][o][j] = (float4)(0.0f);
  barrier(CLK_LOCAL_MEM_FENCE);

  u += (int)get_group_id(1) * channels * FREQS * OC4;
  for (int c0 = 0; c0 < channels; c0 += TILE_K) {
    for (int i = item; i < TILE_K * FREQS * OC4; i += ITEMS) u_tile[i] = u[i];
    u += TILE_K * FREQS * OC4;
    for (int i = item; i < TILE_K * TILE_T; i += ITEMS) {
      const int t = i % TILE_T, c = c0 + i / TILE_T;
      float d[N][N];
      if (image[t] >= 0 && c < in_channels) {
        input_tile(in + (image[t] * in_channels + c) * height * width, height, width, y0[t] - 1, x0[t] - 1, d);
      } else {
        EACH (y, N)
          EACH (x, N) d[y][x] = 0.0f;
      }
      EACH (f, FREQS) v_tile[f * TILE_K * TILE_T + i] = d[f / N][f % N];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = 0; k < TILE_K; k++)
      EACH (f, ITEM_F)
        multiply(shared + ((f0 + f) * TILE_K + k) * T4 + lt, u_tile + (k * FREQS + f0 + f) * OC4 + lo, sum[f]);
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  EACH (pass, ITEM_OC / ROWS) {
    EACH (f, ITEM_F)
      EACH (r, ROWS)
        EACH (j, ITEM_T4)
          shared[((f0 + f) * PASS_CHANNELS + r * GROUP_OC + lo) * T4 + j * GROUP_T + lt] = sum[f][pass * ROWS + r][j];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = item; i < PASS_CHANNELS * TILE_T; i += ITEMS) {
      const int t = i % TILE_T, row = i / TILE_T, o = o0 + channel_of(pass * ROWS + row / GROUP_OC, row % GROUP_OC);
      if (image[t] >= 0 && o < out_channels) {
        float p[N][N];
        EACH (f, FREQS) p[f / N][f % N] = v_tile[f * PASS_CHANNELS * TILE_T + i];
        output_tile(p, bias[o], lowest, out + (image[t] * out_channels + o) * plane_floats(height, width, pool), height,
                    width, y0[t], x0[t], pool);
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
}
#endif
