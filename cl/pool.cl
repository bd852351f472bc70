/*
 * maxpool_f32_nchw_naive: 2x2 maximum, stride 2; an odd last row or column is dropped.
 * avgpool_f32_nchw_naive: adaptive average: the input is cut into out_height x out_width windows, which may overlap.
 *
 *   maxpool                         avgpool, 5 columns -> 3
 *   +----+----+                     in    0   1   2   3   4
 *   | a b| ...| -> max(a, b, c, d)  out   [ 0 ]               from floor(x * width / out_width)
 *   | c d|    |                               [   1   ]       to   ceil((x + 1) * width / out_width), exclusive
 *   +----+----+                                       [ 2 ]
 *
 * Work-items, both: dimension 0 = output x, 1 = output y, 2 = n * channels + c (a plane). No parameters.
 */
__kernel void maxpool_f32_nchw_naive(__global const float *restrict in,  // (planes, height, width)
                                     __global float *restrict out,       // (planes, height / 2, width / 2)
                                     int planes, int height, int width) {
  const int x = get_global_id(0);
  const int y = get_global_id(1);
  const int plane = get_global_id(2);
  const int out_height = height / 2;
  const int out_width = width / 2;
  if (x >= out_width || y >= out_height || plane >= planes) return;
  __global const float *window = in + (plane * height + 2 * y) * width + 2 * x;
  float largest = window[0];
  // Not fmax: a NaN must stay one.
  if (!(window[1] <= largest) && !isnan(largest)) largest = window[1];
  if (!(window[width] <= largest) && !isnan(largest)) largest = window[width];
  if (!(window[width + 1] <= largest) && !isnan(largest)) largest = window[width + 1];
  out[(plane * out_height + y) * out_width + x] = largest;
}

__kernel void avgpool_f32_nchw_naive(__global const float *restrict in,  // (planes, height, width)
                                     __global float *restrict out,       // (planes, out_height, out_width)
                                     int planes, int height, int width, int out_height, int out_width) {
  const int x = get_global_id(0);
  const int y = get_global_id(1);
  const int plane = get_global_id(2);
  if (x >= out_width || y >= out_height || plane >= planes) return;
  const int top = y * height / out_height;
  const int bottom = ((y + 1) * height + out_height - 1) / out_height;
  const int left = x * width / out_width;
  const int right = ((x + 1) * width + out_width - 1) / out_width;
  float sum = 0.0f;
  for (int row = top; row < bottom; row++)
    for (int column = left; column < right; column++) sum += in[(plane * height + row) * width + column];
  out[(plane * out_height + y) * out_width + x] = sum / (float)((bottom - top) * (right - left));
}
