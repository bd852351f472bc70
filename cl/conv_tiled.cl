/*
 * conv_f32_nchw_tiled: 3x3 convolution, stride 1, zero padding 1, tiled in local memory for GPUs. A work-group computes a tile
 * of TILE_W x TILE_H pixels of ITEM_OC output channels; TILE_IC input channels at a time are staged, with a halo of one pixel,
 * beside their weights. A work-item computes ITEM_Y rows x 1 column x ITEM_OC channels in registers.
 *
 *        TILE_W + 2 = GROUP_X + 2
 *      +---------------------+
 *      | halo                |                 local memory: pixels[TILE_IC][TILE_H + 2][TILE_W + 2]
 *      |   +-------------+   |                               taps[TILE_IC][9][ITEM_OC]
 *      |   | item (0,0)  |   | TILE_H + 2 =    floats:       TILE_IC * ((TILE_H + 2) * (TILE_W + 2) + 9 * ITEM_OC)
 *      |   | item (0,0)  |   | GROUP_Y * ITEM_Y + 2
 *      |   | item (0,1)  |   |                 item (lx, ly) owns column lx and the rows
 *      |   | item (0,1)  |   |                 ly * ITEM_Y ... ly * ITEM_Y + ITEM_Y - 1
 *      |   +-------------+   |
 *      +---------------------+
 *
 *   weights[((block * in_channels + c) * 9 + ky * 3 + kx) * ITEM_OC + i] = weight of output channel block * ITEM_OC + i;
 *   zeros fill the last block, and bias likewise.
 *
 * Work-groups: dimension 0 = column of tiles, 1 = row of tiles, 2 = n * blocks + block. The group size is
 * (GROUP_X, GROUP_Y, 1), and the grid has no groups beyond the last tile.
 */
#ifndef GROUP_X
#define GROUP_X 8  // work-items of a group in x (1, 2, 4, 8, 16, 32)
#endif
#ifndef GROUP_Y
#define GROUP_Y 8  // work-items of a group in y (1, 2, 4, 8, 16)
#endif
#ifndef ITEM_Y
#define ITEM_Y 2  // output rows of a work-item (1, 2, 4)
#endif
#ifndef ITEM_OC
#define ITEM_OC 8  // output channels of a work-item, a vector width (2, 4, 8, 16)
#endif
#ifndef TILE_IC
#define TILE_IC 4  // input channels staged at a time (1, 2, 4, 8)
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)
typedef PASTE(float, ITEM_OC) floato;
#define VLOAD  PASTE(vload, ITEM_OC)
#define VSTORE PASTE(vstore, ITEM_OC)

#define TILE_W GROUP_X
#define TILE_H (GROUP_Y * ITEM_Y)
#define HALO_W (TILE_W + 2)
#define HALO_H (TILE_H + 2)

__kernel __attribute__((reqd_work_group_size(GROUP_X, GROUP_Y, 1))) void conv_f32_nchw_tiled(
    __global const float *restrict in,       // (batch, in_channels, height, width)
    __global const float *restrict weights,  // (blocks, in_channels, 9, ITEM_OC)
    __global const float *restrict bias,     // (blocks, ITEM_OC)
    __global float *restrict out,            // (batch, out_channels, height, width)
    int batch, int in_channels, int out_channels, int height, int width,
    float lowest)  // 0 for ReLU, else -infinity
{
  __local float pixels[TILE_IC * HALO_H * HALO_W];
  __local float taps[TILE_IC * 9 * ITEM_OC];

  const int lx = get_local_id(0);
  const int ly = get_local_id(1);
  const int item = ly * GROUP_X + lx;
  const int x0 = (int)get_group_id(0) * TILE_W;
  const int y0 = (int)get_group_id(1) * TILE_H;
  const int blocks = (out_channels + ITEM_OC - 1) / ITEM_OC;
  const int n = (int)get_group_id(2) / blocks;
  const int block = (int)get_group_id(2) % blocks;
  if (n >= batch) return;

  floato sum[ITEM_Y];
#pragma unroll
  for (int ty = 0; ty < ITEM_Y; ty++) sum[ty] = VLOAD(block, bias);

  for (int c0 = 0; c0 < in_channels; c0 += TILE_IC) {
    for (int i = item; i < TILE_IC * HALO_H * HALO_W; i += GROUP_X * GROUP_Y) {
      const int c = c0 + i / (HALO_H * HALO_W);
      const int y = y0 + i / HALO_W % HALO_H - 1;
      const int x = x0 + i % HALO_W - 1;
      const bool inside = c < in_channels && y >= 0 && y < height && x >= 0 && x < width;
      pixels[i] = inside ? in[((n * in_channels + c) * height + y) * width + x] : 0.0f;
    }
    const int first = (block * in_channels + c0) * 9 * ITEM_OC;
    const int count = min(TILE_IC, in_channels - c0) * 9 * ITEM_OC;
    for (int i = item; i < TILE_IC * 9 * ITEM_OC; i += GROUP_X * GROUP_Y)
      taps[i] = i < count ? weights[first + i] : 0.0f;
    barrier(CLK_LOCAL_MEM_FENCE);

    for (int c = 0; c < TILE_IC; c++) {
#pragma unroll
      for (int kx = 0; kx < 3; kx++) {
        float column[ITEM_Y + 2];
#pragma unroll
        for (int r = 0; r < ITEM_Y + 2; r++) column[r] = pixels[(c * HALO_H + ly * ITEM_Y + r) * HALO_W + lx + kx];
#pragma unroll
        for (int ky = 0; ky < 3; ky++) {
          const floato tap = VLOAD(c * 9 + ky * 3 + kx, taps);
#pragma unroll
          for (int ty = 0; ty < ITEM_Y; ty++) sum[ty] += tap * column[ty + ky];
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  const int x = x0 + lx;
  if (x >= width) return;
#pragma unroll
  for (int ty = 0; ty < ITEM_Y; ty++) {
    const int y = y0 + ly * ITEM_Y + ty;
    float value[ITEM_OC];
    VSTORE(sum[ty], 0, value);
    if (y >= height) continue;
#pragma unroll
    for (int o = 0; o < ITEM_OC; o++) {
      const int channel = block * ITEM_OC + o;
      // Not fmax: a NaN must stay one.
      if (channel < out_channels)
        out[((n * out_channels + channel) * height + y) * width + x] = value[o] < lowest ? lowest : value[o];
    }
  }
}
