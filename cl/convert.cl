/*
 * Between plain (n, C, H, W) and blocked (n, C/VEC, H, W, VEC) activations. A work-item moves one pixel of one channel block.
 * Surplus channels of the last block become zeros. Work-items: (pixels = H * W, channel blocks, n).
 */
#ifndef VEC
#define VEC 16  // channels of a block (4, 8, 16)
#endif

__kernel void convert_f32_nchw_nchwc(__global const float *restrict in, __global float *restrict out, int batch,
                                     int channels, int pixels) {
  const int i = get_global_id(0), b = get_global_id(1), n = get_global_id(2), blocks = (channels + VEC - 1) / VEC;
  if (i >= pixels || b >= blocks || n >= batch) return;
  __global float *to = out + ((size_t)(n * blocks + b) * pixels + i) * VEC;
  for (int c = 0; c < VEC; c++)
    to[c] = b * VEC + c < channels ? in[(size_t)(n * channels + b * VEC + c) * pixels + i] : 0.0f;
}

__kernel void convert_f32_nchwc_nchw(__global const float *restrict in, __global float *restrict out, int batch,
                                     int channels, int pixels) {
  const int i = get_global_id(0), b = get_global_id(1), n = get_global_id(2), blocks = (channels + VEC - 1) / VEC;
  if (i >= pixels || b >= blocks || n >= batch) return;
  __global const float *from = in + ((size_t)(n * blocks + b) * pixels + i) * VEC;
  for (int c = 0; c < VEC && b * VEC + c < channels; c++)
    out[(size_t)(n * channels + b * VEC + c) * pixels + i] = from[c];
}
