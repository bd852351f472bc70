/* Networks of given shapes and no particular weights, for timing. */
#ifndef CLVGG_NETWORK_STAND_IN_H
#define CLVGG_NETWORK_STAND_IN_H

#include "network/network.h"

/* A layer of a network as network.layers has it: shapes for the trained input. */
typedef struct stand_in_layer {
  char name[24];
  layer_shape shape;
} stand_in_layer;

/* A network of these layers for inputs of the trained size. Weights are seeded numbers that keep activations in range; all layers share
 * one block of memory, as large as the largest needs. Shapes that do not follow from each other are CLVGG_ERROR_MODEL. */
clvgg_status network_stand_in(const stand_in_layer *layers, size_t count, network **out);

#endif
