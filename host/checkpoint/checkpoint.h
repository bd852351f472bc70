/* A checkpoint file as a list of named tensors, whatever its format. Knows nothing of VGG or OpenCL. */
#ifndef CLVGG_CHECKPOINT_CHECKPOINT_H
#define CLVGG_CHECKPOINT_CHECKPOINT_H

#include "base/file.h"
#include "checkpoint/tensor.h"

typedef struct checkpoint checkpoint;

/* Opens path with the first format whose probe accepts it. Every error names the path. Tensor names are unique. */
clvgg_status checkpoint_open(const char *path, checkpoint **out);
void checkpoint_close(checkpoint **c);

const char *checkpoint_format_name(const checkpoint *c); /* "safetensors", "pth (zip)", "pth (legacy)" */
size_t checkpoint_tensor_count(const checkpoint *c);
const tensor *checkpoint_tensors(const checkpoint *c);

/* Class names from the file (mmclassification's meta CLASSES); 0 when it has none. */
size_t checkpoint_class_count(const checkpoint *c);
const char *checkpoint_class_name(const checkpoint *c, size_t i);

/* A string of the file's metadata (safetensors' __metadata__), or NULL. */
const char *checkpoint_metadata(const checkpoint *c, const char *key);

#endif
