/* What the files of this folder share while they turn tensors into a network. */
#ifndef CLVGG_NETWORK_BUILD_H
#define CLVGG_NETWORK_BUILD_H

#include "network/network.h"

/* An index of a key name, such as features.28, has at most this many digits. */
#define KEY_MAX_DIGITS 6
#define KEY_NAME_BYTES 128

/* Activations of one image and weights of one layer are indexed with 32-bit integers in kernels. */
#define NETWORK_MAX_ELEMENTS ((size_t)INT32_MAX)

/* How a framework names the tensors of a VGG. '#' stands for a decimal index. */
typedef struct keymap {
  const char *name;
  const char *conv;
  const char *bn;       /* may be the same pattern as conv: then shapes tell them apart */
  size_t bn_offset;     /* the index of a convolution's BN minus its own */
  size_t step, step_bn; /* from one convolution's index to the next, without and with BN; one more: a pool is between */
  const char *fc[3];    /* one pattern with '#', or the names in order */
  bool conv_fc;         /* fully connected weights may be stored as convolutions (out, C, H, W) */
  size_t pooled_side;   /* for heads behind global pooling: the usual input side, which no shape tells. Else 0 */
} keymap;

enum { BN_WEIGHT, BN_BIAS, BN_MEAN, BN_VAR, BN_TENSORS };

typedef struct conv_parts {
  size_t index; /* of the key name */
  const tensor *weight;
  const tensor *bias;           /* NULL: none */
  const tensor *bn[BN_TENSORS]; /* all NULL, or none */
  bool pool_after;              /* known from the indices; never set for the last */
} conv_parts;

typedef struct fc_parts {
  const tensor *weight, *bias;
} fc_parts;

/* A state dict sorted into its parts, shapes not yet looked at. */
typedef struct network_parts {
  const keymap *map;
  conv_parts *convs;
  size_t conv_count;
  fc_parts fcs[3];
  size_t fc_count;
} network_parts;

/* keymap.c: finds the key map that fits and sorts the tensors. parts_free takes a zeroed one. */
clvgg_status parts_from_tensors(const tensor *tensors, size_t count, network_parts *out);
void parts_free(network_parts *parts);

/* infer.c: checks types and shapes, and fills net: name, keys, dtype, batch_norm, input, classes, and layers without
 * heights and widths (only the first fc's input has all three) and without scale and bias. */
clvgg_status infer_layers(const network_parts *parts, size_t input_side, network *net);

/* A run of elements of one tensor, for loops over all of them in parallel. */
typedef struct chunk {
  size_t tensor, first, n;
} chunk;
clvgg_status chunks_make(const tensor *tensors, size_t count, chunk **out, size_t *out_count);

#endif
