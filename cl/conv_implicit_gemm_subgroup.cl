/*
 * conv_f32_nchw_implicit_gemm_subgroup: 3x3 convolution, stride 1, zero padding 1, as a matrix product of weights and
 * neighbourhoods in which the work-items of a sub-group hand each other the weights: no local memory and no barrier. For
 * GPUs with cl_khr_subgroups or cl_intel_subgroups.
 *
 *   a work-item                 patch, 4x4 inputs        sums of ITEM_OC channels, a float4 each
 *                               +--+--+--+--+
 *                               |  |  |  |  |                +--+--+
 *   reads for a channel once    +--+--+--+--+    computes    |x |y |   one quad: 2x2 pixels, in the order x, y, z, w,
 *                               |  |xx|yy|  |    from it     +--+--+   which is what the 2x2 pooling takes the maximum of
 *                               +--+--+--+--+                |z |w |
 *                               |  |zz|ww|  |                +--+--+
 *                               +--+--+--+--+
 *                               |  |  |  |  |        36 multiply-adds a channel and sum: nine taps, four pixels
 *                               +--+--+--+--+
 *
 * The weights of an input channel, nine taps of ITEM_OC output channels, are the same for all work-items. Each of LANES
 * neighbours reads every LANES-th vector of them and gives it to the others when its turn comes. Sub-groups of fewer than
 * LANES work-items, which a compiler may make, and the last one of a group may be, read all vectors themselves.
 *
 *   weights[((block * in_channels + c) * 9 + ky * 3 + kx) * ITEM_OC + i] = weight of output channel block * ITEM_OC + i;
 *   zeros fill the last block, and bias likewise.
 *
 * Work-items: dimension 0 = quads of the whole batch, along x, then y, then images; an odd last row or column is filled up.
 * Dimension 1 = block of output channels. The group size is (GROUP, 1, 1). Work-items beyond the last quad compute it, too, and
 * write nothing, since all of a sub-group have to be there.
 */
#ifndef GROUP
#define GROUP 64  // work-items of a group (1, 2, 4, 8, 16, 32, 64, 128)
#endif
#ifndef ITEM_OC
#define ITEM_OC 8  // output channels of a work-item (4, 8, 16)
#endif

#if defined(cl_khr_subgroups)
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#elif defined(cl_intel_subgroups)
#pragma OPENCL EXTENSION cl_intel_subgroups : enable
#endif

#define LANES      8                                                // work-items that share the reading of weights
#define VECTORS    (9 * ITEM_OC / 4)                                // of weights of an input channel
#define SHARE      ((VECTORS + LANES - 1) / LANES)                  // of them a work-item's
#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)  // an unrolled loop

// Not fmax: a NaN must stay one.
float larger(float a, float b) {
  return b <= a || isnan(a) ? a : b;
}

float4 broadcast(float4 v, int lane) {
  return (float4)(sub_group_broadcast(v.x, lane), sub_group_broadcast(v.y, lane), sub_group_broadcast(v.z, lane),
                  sub_group_broadcast(v.w, lane));
}

__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void conv_f32_nchw_implicit_gemm_subgroup(
    __global const float *restrict in,        // (batch, in_channels, height, width)
    __global const float4 *restrict weights,  // (blocks, in_channels, 9, ITEM_OC)
    __global const float *restrict bias,      // (blocks, ITEM_OC)
    __global float *restrict out,  // (batch, out_channels, height, width), pooled: halves of height and width
    int batch, int in_channels, int out_channels, int height, int width,
    int pool,      // 1: the maximum of each 2x2 square is the output; an odd last row or column is dropped
    float lowest)  // 0 for ReLU, else -infinity
{
  const int across = (width + 1) / 2, down = (height + 1) / 2;
  const int id = get_global_id(0), quad = min(id, batch * down * across - 1);
  const int block = get_group_id(1);
  const int x = quad % across * 2, y = quad / across % down * 2, n = quad / across / down;
  const int lane = get_sub_group_local_id() % LANES;
  const bool shares = get_sub_group_size() >= LANES;

  // Bit i of inside: whether the patch's pixel i, in row-major order, lies inside the image.
  int inside = 0;
  EACH (i, 16) {
    const int py = y + i / 4 - 1, px = x + i % 4 - 1;
    inside |= (py >= 0 && py < height && px >= 0 && px < width) << i;
  }

  float4 sum[ITEM_OC];
  EACH (o, ITEM_OC) sum[o] = bias[block * ITEM_OC + o];

  for (int c = 0; c < in_channels; c++) {
    const int first = ((n * in_channels + c) * height + y - 1) * width + x - 1;
    __global const float4 *channel = weights + (block * in_channels + c) * VECTORS;
    float patch[16];
    EACH (i, 16) patch[i] = inside >> i & 1 ? in[first + i / 4 * width + i % 4] : 0.0f;
    float4 mine[SHARE];
    EACH (s, SHARE) mine[s] = channel[min(s * LANES + lane, VECTORS - 1)];
    EACH (tap, 9) {
      const int at = tap / 3 * 4 + tap % 3;
      const float4 pixels = (float4)(patch[at], patch[at + 1], patch[at + 4], patch[at + 5]);
      EACH (v, ITEM_OC / 4) {
        const int i = tap * (ITEM_OC / 4) + v;
        const float4 w = shares ? broadcast(mine[i / LANES], i % LANES) : channel[i];
        sum[v * 4 + 0] += w.x * pixels;
        sum[v * 4 + 1] += w.y * pixels;
        sum[v * 4 + 2] += w.z * pixels;
        sum[v * 4 + 3] += w.w * pixels;
      }
    }
  }

  const bool has_right = x + 1 < width, has_lower = y + 1 < height;
  if (id != quad || (pool && !(has_right && has_lower))) return;
  EACH (o, ITEM_OC) {
    const int plane = n * out_channels + block * ITEM_OC + o;
    const float4 value = sum[o] < lowest ? (float4)lowest : sum[o];
    if (block * ITEM_OC + o >= out_channels) continue;
    if (pool) {
      out[(plane * (height / 2) + y / 2) * (width / 2) + x / 2] =
          larger(larger(value.x, value.y), larger(value.z, value.w));
    } else {
      __global float *to = out + (plane * height + y) * width + x;
      to[0] = value.x;
      if (has_right) to[1] = value.y;
      if (has_lower) to[width] = value.z;
      if (has_right && has_lower) to[width + 1] = value.w;
    }
  }
}
