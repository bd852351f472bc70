/* What the forms of Winograd's convolution share: sizes, parts of the models of their time, and how parameters are chosen. */
#ifndef CLVGG_ALGO_WINOGRAD_H
#define CLVGG_ALGO_WINOGRAD_H

#include "algo/blocked.h"

/* Parameters that all forms have, in this order; STRIP is the first of a form's own. */
enum { M, TILES, OC_BLOCKS, STRIP };

#define WINOGRAD_PARAMS(...)                                                                      \
  [M] = {"M", "side of a tile of outputs", {__VA_ARGS__}},                                        \
  [TILES] = {"TILES", "tiles that the multiplication keeps in registers", {4, 6, 8, 12, 13, 14}}, \
  [OC_BLOCKS] = {"OC_BLOCKS", "blocks of output channels that it keeps in registers", {1, 2}}

/* Forms that work on as many images at a time as fit do so to keep their workspace below this. */
#define WINOGRAD_PART_BYTES ((size_t)64 << 20)

/* The sizes that the kernels count in; see the head of conv_winograd.cl. */
typedef struct geometry {
  size_t block, freqs, ic_blocks, oc_blocks, oc_groups, tiles_y, tiles_x, tiles_image;
} geometry;

geometry winograd_measure(const algo_problem *p, const int *param);

/* ---- parts of models of time. Only ratios matter: units are floating point operations of the multiplication at its peak. */

/* Multiplications of places: tiles, and the empty places of blocks that are multiplied all the same. */
double winograd_multiply_flops(const geometry *g, const int *param, size_t places);

/* The same in time: how near they come to the peak. The fewer sums a block has, the less they hide of what it waits for. */
double winograd_multiply_cost(const geometry *g, const int *param, size_t places);

/* Blocks of TILES tiles and of one less leave no place empty, if there are enough tiles. */
size_t winograd_places(const int *param, size_t tiles);

/* A value's way through both transforms, loads and stores included. */
double winograd_transform_flops(const geometry *g, const int *param, size_t tiles);

/* Writing and reading bytes of scratch that are not in a second level cache; how many are not, of those that all cores share. */
double winograd_scratch_flops(const algo_problem *p, double bytes);
double winograd_beyond_caches(const clvgg_device_info *dev, double bytes);

/* Operations that are done with so many places, the transforms' counted exactly. */
double winograd_work(const algo_problem *p, const int *param, size_t places);

/* The cheapest of the parameters that are worth trying, by cost: any legal M of params; tiles and strips end at a 0. */
void winograd_choose(const clvgg_device_info *dev, const algo_problem *p, const algo_param *params, const int *tiles,
                     const int *strips,
                     double (*cost)(const clvgg_device_info *dev, const algo_problem *p, const int *param), int *param);

/* The multiplication's sums, and a vector of weights and one of an input channel. */
size_t winograd_registers(const int *param);

/* Images that are taken at a time, so that their v, and products of product_channels channels if any, stay within
 * WINOGRAD_PART_BYTES. */
size_t winograd_images(const geometry *g, const algo_problem *p, const int *param, size_t product_channels);

#endif
