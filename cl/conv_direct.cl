/*
 * conv_f32_nchw_direct: 3x3 convolution, stride 1, zero padding 1, blocked in registers. A work-item computes a patch of
 * TILE_Y rows x TILE_X columns of TILE_OC output channels; a row of the patch is one vector. No local memory, and no
 * co-operation inside a work-group: on a CPU a group is one work-item and the vector type is what fills the SIMD registers.
 *
 *   input rows of one channel                 for each of the TILE_Y + 2 rows: three vectors, shifted by kx
 *   y0-1   . [ . . . . . . . . ] .            |x0-1 ... |  kx = 0
 *   y0     . [ patch, row 0    ] .             |x0   ... |  kx = 1
 *   y0+1   . [ patch, row 1    ] .              |x0+1 ... |  kx = 2
 *   y0+2   . [ . . . . . . . . ] .            each is multiplied with the weights of all rows ky = r - ty that it reaches
 *
 *   weights[((block * in_channels + c) * 9 + ky * 3 + kx) * TILE_OC + i] = weight of output channel block * TILE_OC + i;
 *   zeros fill the last block, and bias likewise.
 *
 * Vectors may begin before a row or end behind it: those lanes are the neighbouring rows' and are masked to zero. Only where
 * a vector would leave the buffer (its very first and last elements) is it put together one by one.
 *
 * Work-items: dimension 0 = column of patches, 1 = row of patches, 2 = n * blocks + block.
 */
#ifndef TILE_X
#define TILE_X 8  // output columns of a work-item, the vector width (2, 4, 8, 16)
#endif
#ifndef TILE_Y
#define TILE_Y 2  // output rows of a work-item (1, 2, 4)
#endif
#ifndef TILE_OC
#define TILE_OC 8  // output channels of a work-item (1, 2, 4, 8, 16)
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)
typedef PASTE(float, TILE_X) floatx;
typedef PASTE(int, TILE_X) intx;
#define VLOAD  PASTE(vload, TILE_X)
#define VSTORE PASTE(vstore, TILE_X)

__kernel void conv_f32_nchw_direct(__global const float *restrict in,       // (batch, in_channels, height, width)
                                   __global const float *restrict weights,  // (blocks, in_channels, 9, TILE_OC)
                                   __global const float *restrict bias,     // (blocks, TILE_OC)
                                   __global float *restrict out,            // (batch, out_channels, height, width)
                                   int batch, int in_channels, int out_channels, int height, int width,
                                   float lowest)  // 0 for ReLU, else -infinity
{
  const int x0 = (int)get_global_id(0) * TILE_X;
  const int y0 = (int)get_global_id(1) * TILE_Y;
  const int blocks = (out_channels + TILE_OC - 1) / TILE_OC;
  const int n = (int)get_global_id(2) / blocks;
  const int block = (int)get_global_id(2) % blocks;
  if (x0 >= width || y0 >= height || n >= batch) return;

  float lane_number[TILE_X];
  for (int i = 0; i < TILE_X; i++) lane_number[i] = i;
  const intx column = x0 + PASTE(convert_int, TILE_X)(VLOAD(0, lane_number));
  // Lanes behind the row's end are not stored, so only these two can bring in a neighbouring row.
  const intx has_left = column > 0;
  const intx has_right = column < width - 1;
  const int elements = batch * in_channels * height * width;

  floatx sum[TILE_Y][TILE_OC];
#pragma unroll
  for (int o = 0; o < TILE_OC; o++) {
#pragma unroll
    for (int ty = 0; ty < TILE_Y; ty++) sum[ty][o] = (floatx)(bias[block * TILE_OC + o]);
  }

  __global const float *tap = weights + block * in_channels * 9 * TILE_OC;
  for (int c = 0; c < in_channels; c++, tap += 9 * TILE_OC) {
    const int image = (n * in_channels + c) * height;
#pragma unroll
    for (int r = 0; r < TILE_Y + 2; r++) {
      const int row = y0 + r - 1;
      if (row < 0 || row >= height) continue;
      const int first = (image + row) * width + x0 - 1;
      floatx pixels[3];  // shifted by kx
      if (first >= 0 && first + TILE_X + 2 <= elements) {
#pragma unroll
        for (int kx = 0; kx < 3; kx++) pixels[kx] = VLOAD(0, in + first + kx);
      } else {
        float edge[TILE_X + 2];
#pragma unroll 1
        for (int i = 0; i < TILE_X + 2; i++) edge[i] = first + i >= 0 && first + i < elements ? in[first + i] : 0.0f;
#pragma unroll
        for (int kx = 0; kx < 3; kx++) pixels[kx] = VLOAD(0, edge + kx);
      }
      pixels[0] = select((floatx)(0.0f), pixels[0], has_left);
      pixels[2] = select((floatx)(0.0f), pixels[2], has_right);
#pragma unroll
      for (int kx = 0; kx < 3; kx++) {
#pragma unroll
        for (int ty = 0; ty < TILE_Y; ty++) {
          const int ky = r - ty;
          if (ky < 0 || ky > 2) continue;
#pragma unroll
          for (int o = 0; o < TILE_OC; o++) sum[ty][o] += tap[(ky * 3 + kx) * TILE_OC + o] * pixels[kx];
        }
      }
    }
  }

#pragma unroll
  for (int ty = 0; ty < TILE_Y; ty++) {
#pragma unroll
    for (int o = 0; o < TILE_OC; o++) {
      const int channel = block * TILE_OC + o;
      if (y0 + ty >= height || channel >= out_channels) continue;
      // Not fmax: a NaN must stay one.
      const floatx value = select(sum[ty][o], (floatx)(lowest), sum[ty][o] < lowest);
      __global float *to = out + ((n * out_channels + channel) * height + y0 + ty) * width + x0;
      if (x0 + TILE_X <= width) {
        VSTORE(value, 0, to);
      } else {
        float tail[TILE_X];
        VSTORE(value, 0, tail);
#pragma unroll 1
        for (int i = 0; i < width - x0; i++) to[i] = tail[i];
      }
    }
  }
}
