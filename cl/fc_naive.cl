/*
 * fc_f32_naive: fully connected layer, one work-item an output. Runs on any OpenCL 1.2 device.
 *
 *   out[n][first_row + r] = relu(bias[first_row + r] + sum over k of weights[r][k] * in[n][k])
 *
 * weights is one panel of the whole matrix: its rows [first_row, first_row + rows), since a matrix can be larger than one
 * buffer may be. Work-items: dimension 0 = r, 1 = n. No parameters.
 */
__kernel void fc_f32_naive(__global const float *restrict in,       // (batch, inputs)
                           __global const float *restrict weights,  // (rows, inputs)
                           __global const float *restrict bias,     // (outputs)
                           __global float *restrict out,            // (batch, outputs)
                           int batch, int inputs, int outputs, int first_row, int rows,
                           float lowest)  // 0 for ReLU, else -infinity
{
  const int r = get_global_id(0);
  const int n = get_global_id(1);
  if (r >= rows || n >= batch) return;
  float sum = bias[first_row + r];
  for (int k = 0; k < inputs; k++) sum += weights[r * inputs + k] * in[n * inputs + k];
  // Not fmax: a NaN must stay one.
  out[n * outputs + first_row + r] = sum < lowest ? lowest : sum;
}
