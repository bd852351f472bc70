/* What the forms of Winograd's convolution for GPUs share: parameters, sizes, what they need of a device, the models of their time, and
 * how parameters are chosen. See cl/conv_winograd_gpu.cl. */
#ifndef CLVGG_ALGO_WINOGRAD_GPU_H
#define CLVGG_ALGO_WINOGRAD_GPU_H

#include "algo/common.h"

/* The fused form has them all, the staged one no ITEM_F: there it is 0. */
enum { GROUP_T, GROUP_OC, ITEM_T, ITEM_OC, TILE_K, M, ITEM_F };

extern const algo_param winograd_gpu_staged_params[], winograd_gpu_fused_params[];

/* What the kernels count in; channels and tiles are padded. */
typedef struct winograd_gpu_sizes {
  size_t freqs, tiles_y, tiles_x;
  size_t tile_t, tile_oc;        /* of a group */
  size_t channels, out_channels; /* multiples of TILE_K and tile_oc */
  size_t tiles;                  /* of the batch, not padded */
} winograd_gpu_sizes;

winograd_gpu_sizes winograd_gpu_measure(const algo_problem *p, const int *param);

/* Tiles that the staged form takes at a time. Neither they nor its scratch memory grow when groups are made smaller. */
size_t winograd_gpu_part(const clvgg_device_info *dev, const algo_problem *p, const int *param);

/* Halves the work-items of a group, or nearly: those of the larger side, else those that share the places of a tile. False when there is
 * no smaller group. */
bool winograd_gpu_make_smaller(int *param);

/* ---- members of the algorithms */
void winograd_gpu_group(const int *param, size_t local[3]);
bool winograd_gpu_supports(const clvgg_device_info *dev, const algo_problem *p, const int *param, char *why);

uint64_t winograd_gpu_staged_local_bytes(const int *param);
uint64_t winograd_gpu_staged_iterations(const algo_problem *p, const int *param);
size_t winograd_gpu_staged_workspace(const clvgg_device_info *dev, const algo_problem *p, const int *param);
double winograd_gpu_staged_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param);
void winograd_gpu_staged_work(const algo_problem *p, const int *param, double *flops, double *weight_bytes);
void winograd_gpu_choose_staged(const clvgg_device_info *dev, const algo_problem *p, int *param);

uint64_t winograd_gpu_fused_local_bytes(const int *param);
uint64_t winograd_gpu_fused_iterations(const algo_problem *p, const int *param);
double winograd_gpu_fused_cost(const clvgg_device_info *dev, const algo_problem *p, const int *param);
void winograd_gpu_fused_work(const algo_problem *p, const int *param, double *flops, double *weight_bytes);
void winograd_gpu_choose_fused(const clvgg_device_info *dev, const algo_problem *p, int *param);

#endif
