/*
 * Pooling on blocked activations (n, C/VEC, H, W, VEC): a work-item computes one pixel of one channel block.
 * maxpool: 2x2, stride 2, an odd last row or column dropped. avgpool: adaptive, out[y] averages the rows
 * floor(y * H / out_H) to ceil((y + 1) * H / out_H) - 1, columns alike.
 */
#ifndef VEC
#define VEC 16  // channels of a block (4, 8, 16)
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, VEC) vec;
/* Not fmax: a NaN must stay one. */
#define LARGER(a, b) (((a) > (b) | (a) != (a)) ? (a) : (b))
#define LOAD(p)      (*(__global const vec *)(p))
#define STORE(p, v)  (*(__global vec *)(p) = (v))

/* Work-items: (out_width, out_height, planes), planes = n * C/VEC. */
__kernel void maxpool_f32_nchwc_naive(__global const float *restrict in, __global float *restrict out, int planes,
                                      int height, int width, int out_height, int out_width) {
  const int x = get_global_id(0), y = get_global_id(1), plane = get_global_id(2);
  if (x >= out_width || y >= out_height || plane >= planes) return;
  __global const float *at = in + (((size_t)plane * height + 2 * y) * width + 2 * x) * VEC;
  __global const float *below = at + (size_t)width * VEC;
  const vec a = LOAD(at), b = LOAD(at + VEC), c = LOAD(below), d = LOAD(below + VEC);
  const vec ab = LARGER(a, b), cd = LARGER(c, d);
  STORE(out + (((size_t)plane * out_height + y) * out_width + x) * VEC, LARGER(ab, cd));
}

__kernel void avgpool_f32_nchwc_naive(__global const float *restrict in, __global float *restrict out, int planes,
                                      int height, int width, int out_height, int out_width) {
  const int x = get_global_id(0), y = get_global_id(1), plane = get_global_id(2);
  if (x >= out_width || y >= out_height || plane >= planes) return;
  const int y0 = y * height / out_height, y1 = ((y + 1) * height + out_height - 1) / out_height;
  const int x0 = x * width / out_width, x1 = ((x + 1) * width + out_width - 1) / out_width;
  vec sum = (vec)(0.0f);
  for (int r = y0; r < y1; r++)
    for (int c = x0; c < x1; c++) sum += LOAD(in + (((size_t)plane * height + r) * width + c) * VEC);
  STORE(out + (((size_t)plane * out_height + y) * out_width + x) * VEC, sum / (float)((y1 - y0) * (x1 - x0)));
}
