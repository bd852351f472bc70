/* What stands behind the public clvgg_model. */
#ifndef CLVGG_API_MODEL_H
#define CLVGG_API_MODEL_H

#include <stdatomic.h>

#include "checkpoint/checkpoint.h"
#include "network/network.h"

/* Immutable once open, but for the count of its owners. */
struct clvgg_model {
  atomic_size_t references;
  checkpoint *checkpoint; /* the network's tensors; NULL for random weights */
  network *network;
  char name[64];
  char **classes; /* network->classes names */
  clvgg_preprocess preprocess;
};

/* One owner more; clvgg_model_close takes one away. */
clvgg_model *model_retain(const clvgg_model *model);
const network *model_network(const clvgg_model *model);

#endif
