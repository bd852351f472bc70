/*
 * bias_relu_f32: the epilogue of the algorithms that use CLBlast's GEMM: adds a channel's bias and applies ReLU, in place.
 *
 *   values[n][c][p] = relu(values[n][c][p] + bias[c])          a fully connected layer has one pixel p
 *
 * Work-items: dimension 0 = p, 1 = c, 2 = n. No parameters.
 */
__kernel void bias_relu_f32(__global float *restrict values,      // (batch, channels, pixels)
                            __global const float *restrict bias,  // (channels)
                            int batch, int channels, int pixels,
                            float lowest)  // 0 for ReLU, else -infinity
{
  const int p = get_global_id(0);
  const int c = get_global_id(1);
  const int n = get_global_id(2);
  if (p >= pixels || c >= channels || n >= batch) return;
  const int i = (n * channels + c) * pixels + p;
  const float value = values[i] + bias[c];
  // Not fmax: a NaN must stay one.
  values[i] = value < lowest ? lowest : value;
}
