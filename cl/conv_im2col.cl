/*
 * conv_f32_nchw_im2col_clblast: the first of the three steps of a convolution by matrix product (im2col, GEMM, bias_relu.cl).
 * Copies the 3x3 neighbourhood of every pixel of some rows of one image into a column of a matrix.
 *
 *                     pixels: p = (y - y0) * width + x, y0 <= y < y0 + rows
 *                   +--------------------------------+
 *   c * 9 + ky * 3  |                                |   columns[c * 9 + ky * 3 + kx][p] = in[n][c][y + ky - 1][x + kx - 1],
 *   + kx            |    9 rows an input channel     |   or 0 outside the image
 *                   +--------------------------------+
 *
 * The product of weights (out_channels, in_channels * 9) and this is the output's rows, contiguous in each channel.
 * Work-items: dimension 0 = p, 1 = c. No parameters.
 */
__kernel void conv_f32_nchw_im2col_clblast(__global const float *restrict in,  // (batch, channels, height, width)
                                           __global float *restrict columns,   // (channels * 9, rows * width)
                                           int n, int channels, int height, int width, int y0, int rows) {
  const int p = get_global_id(0);
  const int c = get_global_id(1);
  if (p >= rows * width || c >= channels) return;
  const int x = p % width;
  const int y = y0 + p / width;
  __global const float *image = in + (n * channels + c) * height * width;
  for (int tap = 0; tap < 9; tap++) {
    const int row = y + tap / 3 - 1;
    const int column = x + tap % 3 - 1;
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    columns[(c * 9 + tap) * rows * width + p] = inside ? image[row * width + column] : 0.0f;
  }
}
