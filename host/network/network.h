/* A VGG: its layers, made from a checkpoint's tensors or from a seed. Knows nothing of files or OpenCL. */
#ifndef CLVGG_NETWORK_NETWORK_H
#define CLVGG_NETWORK_NETWORK_H

#include "network/layer.h"

typedef struct network {
  char name[64];     /* "vgg16_bn", or "vgg-like (13 conv, 3 fc)" */
  const char *keys;  /* the key map that fitted: "torchvision", "mmclassification" */
  const char *dtype; /* of the first convolution's stored weights */
  bool batch_norm;
  shape3 input; /* the trained input size */
  size_t classes;
  size_t layer_count; /* no softmax layer: the last is the fc that gives the logits. An avgpool layer stands before the
                         first fc only where the input size makes it more than a copy (network_layers) */
  layer *layers;
  uint64_t params, table_flops;
  void *storage; /* what network_random allocated; NULL when tensors belong to a checkpoint */
} network;

/* Makes the network from tensors, which must outlive it. Errors name the tensor, the value found and the value expected.
 * A missing, extra, mis-shaped, non-finite or wrongly typed tensor is CLVGG_ERROR_MODEL. input_side: the trained input's
 * height and width where the caller knows it, else 0 (inferred: the first fc's inputs and the number of pools). */
clvgg_status network_from_tensors(const tensor *tensors, size_t count, size_t input_side, network **out);

/* A family's network (families.h) with seeded weights; random.c documents the streams so that a script can make the same. */
clvgg_status network_random(const char *family, uint64_t seed, network **out);
void network_close(network **net);

/* The layers for an input of height x width and, where softmax is set, a last softmax layer: *layers is an array of *count
 * that the caller frees; weights, scale and bias still belong to the network. A size too small for the pools, or whose
 * activations overflow, is an error. */
clvgg_status network_layers(const network *net, size_t height, size_t width, bool softmax, layer **layers,
                            size_t *count);

#endif
