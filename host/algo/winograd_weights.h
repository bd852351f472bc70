/* Weights transformed for Winograd's convolution, G g G^T of each kernel, in the order that a form wants. */
#ifndef CLVGG_ALGO_WINOGRAD_WEIGHTS_H
#define CLVGG_ALGO_WINOGRAD_WEIGHTS_H

#include "algo/common.h"

/* Where place f of the kernel from input channel ic to output channel oc goes, in floats:
 * oc / group * group_stride + ic * ic_stride + f * freq_stride + oc % group.
 * With bf16 pairs of input channels, 2 * ic in the lower half and 2 * ic + 1 in the upper one, take the place of a float. */
typedef struct winograd_order {
  int m; /* of F(m x m, 3 x 3): 2, 4 or 6; 2 or 4 with bf16, which has points of its own */
  bool bf16;
  size_t in_channels; /* that are stored; those beyond the layer's are zeros */
  size_t groups;      /* of output channels, likewise */
  size_t group;       /* output channels of a group: up to 32, or a multiple of 32 */
  size_t group_stride, ic_stride, freq_stride;
} winograd_order;

/* All of them, in floats or pairs. */
size_t winograd_order_floats(const winograd_order *order);

/* Transforms l's weights into a buffer of their own, and uploads its bias, filled up with zeros. */
clvgg_status winograd_upload(clvgg_device *dev, const layer *l, const winograd_order *order, packed_weights *out);

#endif
