/* What the Python names mean that a pickle may refer to; pickle_names.c has the table. */
#ifndef CLVGG_CHECKPOINT_PICKLE_NAMES_H
#define CLVGG_CHECKPOINT_PICKLE_NAMES_H

#include "base/status.h"
#include "checkpoint/tensor.h"

typedef enum meaning {
  IS_OPAQUE,    /* calling it makes an opaque value */
  IS_DICT,      /* a dict class */
  IS_SIZE,      /* a tuple class */
  IS_TENSOR,    /* (storage, offset, size, stride, ...) -> tensor */
  IS_PARAMETER, /* (tensor, ...) -> that tensor */
  IS_STORAGE    /* a storage class; dtype and element_bytes hold */
} meaning;

typedef struct pickle_global {
  const char *module, *name;
  meaning meaning;
  tensor_dtype dtype;
  size_t element_bytes;
} pickle_global;

/* The global's meaning, or CLVGG_ERROR_FORMAT with its name for one that a checkpoint has no reason to hold. */
clvgg_status pickle_find_global(const char *module, size_t module_length, const char *name, size_t name_length,
                                const pickle_global **out);

#endif
