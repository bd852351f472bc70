/* Weight matrices row by row, in each of the forms in which weights are stored; for kernels whose work-items share a row. */
#ifndef CLVGG_ALGO_PACK_ROWS_H
#define CLVGG_ALGO_PACK_ROWS_H

#include "algo/algo.h"
#include "algo/pack.h"

/*
 * A matrix of (rows, length), as packed_weights with group 1, but a row begins at a multiple of 64 bytes, and has zeros behind its
 * last weight up to a multiple of 16. ALGO_F24: first the upper 16 bits of all its weights, then their lower 8, then its scale.
 */
size_t pack_rows_bytes(algo_form form, size_t length); /* of a row */

/* False, with the reason in why (ALGO_WHY_BYTES), when not even one row fits a buffer. */
bool pack_rows_fit(const clvgg_device_info *dev, const layer_shape *s, algo_form form, char *why);

/* Reads, packs and uploads in bounded pieces; pack_rows_fit must hold. On failure out holds what pack_release takes;
 * CLVGG_ERROR_UNSUPPORTED when a weight does not fit the form. */
clvgg_status pack_rows_upload(clvgg_device *dev, const layer *l, algo_form form, packed_weights *out);

#endif
