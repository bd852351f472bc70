/*
 * Between plain (n, C, H, W) and blocked (n, C/VEC, H, W, VEC) activations. A work-item moves one pixel of one channel block.
 * Surplus channels of the last block become zeros. Work-items: (pixels = H * W, channel blocks, n).
 * And from 8-bit RGB pixels (n, H, W, 3) to plain activations (n, 3, H, W), normalised.
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

/* A channel is (byte - mean) * factor; m0 .. f2 are those of red, green and blue. bgr: blue is channel 0. Work-items: (pixels, n). */
__kernel void convert_u8_nhwc_nchw(__global const uchar *restrict in, __global float *restrict out, int batch,
                                   int pixels, int bgr, float m0, float m1, float m2, float f0, float f1, float f2) {
  const int i = get_global_id(0), n = get_global_id(1);
  if (i >= pixels || n >= batch) return;
  __global const uchar *from = in + ((size_t)n * pixels + i) * 3;
  __global float *to = out + (size_t)n * 3 * pixels + i;
  to[bgr ? (size_t)2 * pixels : 0] = (convert_float(from[0]) - m0) * f0;
  to[pixels] = (convert_float(from[1]) - m1) * f1;
  to[bgr ? 0 : (size_t)2 * pixels] = (convert_float(from[2]) - m2) * f2;
}
