/* How activations lie in memory. */
#ifndef CLVGG_ALGO_LAYOUT_H
#define CLVGG_ALGO_LAYOUT_H

#include "network/layer.h"

/*
 * ALGO_NCHW   (n, C, H, W)
 * ALGO_NCHWC  (n, C/block, H, W, block): blocks of as many channels as the device's vectors have elements (4, 8 or 16).
 *             Surplus channels of the last block are zeros: every algorithm writes them so, and may count on it.
 * ALGO_RGB8   (n, H, W, 3) bytes, pixels as image files have them, whose normalisation (network/pixels.h) is still to be done.
 *             Only what a network is given has it. The others are of f32.
 */
typedef enum algo_layout { ALGO_NCHW, ALGO_NCHWC, ALGO_RGB8, ALGO_LAYOUTS } algo_layout;

/* The block of ALGO_NCHWC on a device. */
size_t algo_block(const clvgg_device_info *dev);
/* "NCHW", "NCHW16c", "RGB8" */
const char *algo_layout_name(algo_layout layout, size_t block);
/* Elements of batch images' activations. The caller has bounded the plain shape. */
size_t algo_elements(algo_layout layout, shape3 shape, size_t batch, size_t block);
size_t algo_bytes(algo_layout layout, shape3 shape, size_t batch, size_t block);

/* Copies plain activations (batch, C, H, W) into a layout, surplus channels zero, and back; for tests and verification. ALGO_RGB8
 * is not among them: pixels_from_plain. */
void algo_to_layout(algo_layout layout, shape3 shape, size_t batch, size_t block, const float *plain, float *out);
void algo_from_layout(algo_layout layout, shape3 shape, size_t batch, size_t block, const float *in, float *plain);

#endif
