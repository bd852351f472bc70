/* Launch parameters for devices that nobody tuned: from what a device says of itself to its class, and to what suits the class. */
#ifndef CLVGG_ALGO_RULES_H
#define CLVGG_ALGO_RULES_H

#include <stdbool.h>

#include "clvgg/clvgg.h"

/* One class of devices. Sizes are wishes: choose lowers them to the device's limits. */
typedef struct launch_rule {
  const char *device_class;  /* for people */
  int dot_group;             /* work-items that share dot products (fully connected layers, softmax) */
  int dot_rows;              /* outputs that share an input, in registers */
  int dot_images;            /* the most images that share a weight */
  int items_a_unit;          /* work-items that a compute unit needs in order to hide the memory's latency */
  int tile_y, tile_channels; /* conv_f32_nchw_tiled: rows of work-items of a group, output channels of a work-item */
  int plain_x, plain_y;      /* the group of kernels that take any */
  bool plain_turns;          /* which is turned upright, or laid down, where the work is narrow or flat */
} launch_rule;

/* Never NULL. */
const launch_rule *rules_for(const clvgg_device_info *dev);

#endif
