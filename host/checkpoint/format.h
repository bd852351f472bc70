/* What a checkpoint format provides, and what it may use to build the checkpoint. One row a format in checkpoint.c. */
#ifndef CLVGG_CHECKPOINT_FORMAT_H
#define CLVGG_CHECKPOINT_FORMAT_H

#include <stdbool.h>

#include "checkpoint/checkpoint.h"

typedef struct checkpoint_format {
  const char *name;
  /* Looks at the first bytes only. */
  bool (*probe)(const file_map *file);
  /* Adds tensors, classes and metadata. On failure the caller releases what was added. */
  clvgg_status (*read)(const file_map *file, checkpoint *out);
} checkpoint_format;

extern const checkpoint_format checkpoint_safetensors;
extern const checkpoint_format checkpoint_pth_zip;
extern const checkpoint_format checkpoint_pth_legacy;

/* Copies t and its name; t->data must be in the file or owned through checkpoint_own. Names are UTF-8, at most
 * CHECKPOINT_MAX_NAME bytes; that they are unique is checked once, after read. */
#define CHECKPOINT_MAX_NAME 1024
clvgg_status checkpoint_add_tensor(checkpoint *c, const tensor *t);
clvgg_status checkpoint_add_class(checkpoint *c, const char *name);
clvgg_status checkpoint_add_metadata(checkpoint *c, const char *key, const char *value);
/* Hands malloc'ed memory to the checkpoint, also when it fails (then it is freed). */
clvgg_status checkpoint_own(checkpoint *c, void *memory);

/* As checkpoint_open, on bytes in memory, which must outlive the checkpoint. Error texts name it as name. */
clvgg_status checkpoint_open_memory(const void *data, size_t bytes, const char *name, checkpoint **out);

#endif
