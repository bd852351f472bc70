/*
 * conv_f32_nchw_naive: 3x3 convolution, stride 1, zero padding 1, one work-item an output. Runs on any OpenCL 1.2 device:
 * the fallback, and what faster kernels are checked against on the device itself.
 *
 *        x-1  x  x+1
 *   y-1   w0  w1  w2
 *   y     w3  w4  w5      out[n][o][y][x] = relu(bias[o] + sum over c, ky, kx of
 *   y+1   w6  w7  w8                             weights[o][c][ky][kx] * in[n][c][y + ky - 1][x + kx - 1])
 *
 * Work-items: dimension 0 = x, 1 = y, 2 = n * out_channels + o. No parameters.
 */
__kernel void conv_f32_nchw_naive(__global const float *restrict in,       // (batch, in_channels, height, width)
                                  __global const float *restrict weights,  // (out_channels, in_channels, 3, 3)
                                  __global const float *restrict bias,     // (out_channels)
                                  __global float *restrict out,            // (batch, out_channels, height, width)
                                  int batch, int in_channels, int out_channels, int height, int width,
                                  float lowest)  // 0 for ReLU, else -infinity
{
  const int x = get_global_id(0);
  const int y = get_global_id(1);
  const int plane = get_global_id(2);
  if (x >= width || y >= height || plane >= batch * out_channels) return;
  const int n = plane / out_channels;
  const int o = plane % out_channels;

  float sum = bias[o];
  for (int c = 0; c < in_channels; c++) {
    __global const float *image = in + (n * in_channels + c) * height * width;
    __global const float *tap = weights + (o * in_channels + c) * 9;
    for (int ky = 0; ky < 3; ky++) {
      const int row = y + ky - 1;
      if (row < 0 || row >= height) continue;
      for (int kx = 0; kx < 3; kx++) {
        const int column = x + kx - 1;
        if (column >= 0 && column < width) sum += tap[ky * 3 + kx] * image[row * width + column];
      }
    }
  }
  // Not fmax: a NaN must stay one.
  out[(plane * height + y) * width + x] = sum < lowest ? lowest : sum;
}
