/* Weight matrices on the device: rows interleaved as kernels want them, split where they do not fit one buffer. */
#ifndef CLVGG_ALGO_PACK_H
#define CLVGG_ALGO_PACK_H

#include "device/device.h"
#include "network/layer.h"

/*
 * A matrix of (rows, length) in blocks of group rows: element k of a block's row i is at k * group + i, so that a kernel
 * reads the same k of group rows with one vector. group 1 is the plain row-major matrix. The last block is filled with
 * zeros. Blocks are spread over panels of panel_rows rows (the last may have fewer), a buffer each. Elements are f32 or half,
 * bias is f32.
 */
typedef struct packed_weights {
  size_t rows, length, group;
  size_t element_bytes;
  size_t panel_rows, panels;
  device_buffer *panel; /* panels of (rows / group, length, group) */
  device_buffer bias;   /* (rows rounded up to group), zeros at the end */
} packed_weights;

/* False, with the reason in why (ALGO_WHY_BYTES), when the weights cannot be stored: not even one block fits a buffer, or,
 * unless split is allowed, not all of them. */
bool pack_fits(const clvgg_device_info *dev, const layer_shape *s, size_t group, bool split, char *why);

/* Reads, packs and uploads in bounded pieces; pack_fits must hold. On failure out holds what pack_release takes. */
clvgg_status pack_upload(clvgg_device *dev, const layer *l, size_t group, packed_weights *out);
/* The same with weights as halves. CLVGG_ERROR_UNSUPPORTED when one is beyond their range. */
bool pack_fits_half(const clvgg_device_info *dev, const layer_shape *s, size_t group, bool split, char *why);
clvgg_status pack_upload_half(clvgg_device *dev, const layer *l, size_t group, packed_weights *out);
void pack_release(clvgg_device *dev, packed_weights *w);

/* The rows of panel i. */
static inline size_t pack_first_row(const packed_weights *w, size_t i) {
  return i * w->panel_rows;
}
static inline size_t pack_row_count(const packed_weights *w, size_t i) {
  return i + 1 < w->panels ? w->panel_rows : w->rows - i * w->panel_rows;
}

#endif
