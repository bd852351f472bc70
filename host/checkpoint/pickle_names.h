/* The Python names that a pickle may refer to: the only place to edit when a harmless one is missing. For pickle.c. */
#ifndef CLVGG_CHECKPOINT_PICKLE_NAMES_H
#define CLVGG_CHECKPOINT_PICKLE_NAMES_H

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

static const pickle_global globals[] = {
    {"collections", "OrderedDict", IS_DICT, 0, 0},
    {"torch", "Size", IS_SIZE, 0, 0},
    {"torch._utils", "_rebuild_tensor_v2", IS_TENSOR, 0, 0},
    {"torch._utils", "_rebuild_tensor", IS_TENSOR, 0, 0},
    {"torch._utils", "_rebuild_parameter", IS_PARAMETER, 0, 0},
    {"torch", "FloatStorage", IS_STORAGE, TENSOR_F32, 4},
    {"torch", "HalfStorage", IS_STORAGE, TENSOR_F16, 2},
    {"torch", "BFloat16Storage", IS_STORAGE, TENSOR_BF16, 2},
    {"torch", "DoubleStorage", IS_STORAGE, TENSOR_F64, 8},
    {"torch", "LongStorage", IS_STORAGE, TENSOR_INT, 8},
    {"torch", "IntStorage", IS_STORAGE, TENSOR_INT, 4},
    {"torch", "ShortStorage", IS_STORAGE, TENSOR_INT, 2},
    {"torch", "CharStorage", IS_STORAGE, TENSOR_INT, 1},
    {"torch", "ByteStorage", IS_STORAGE, TENSOR_INT, 1},
    {"torch", "BoolStorage", IS_STORAGE, TENSOR_INT, 1},
    {"torch", "UntypedStorage", IS_STORAGE, TENSOR_INT, 1},
    {"torch.storage", "UntypedStorage", IS_STORAGE, TENSOR_INT, 1},
    {"torch.storage", "TypedStorage", IS_STORAGE, TENSOR_INT, 1},
};

/* What training scripts leave beside the weights: accepted, and of no use here. */
static const struct opaque_names {
  const char *module, *names; /* names separated by blanks */
} opaque_names[] = {
    {"torch", "device float32 float16 bfloat16 float64 int64 int32 int16 int8 uint8 bool"},
    {"collections", "defaultdict Counter"},
    {"numpy", "dtype ndarray"},
    {"numpy.core.multiarray", "scalar _reconstruct"},
    {"numpy._core.multiarray", "scalar _reconstruct"},
    {"_codecs", "encode"},
    {"datetime", "datetime date timedelta"},
    {"builtins", "set frozenset bytearray complex list dict int float"},
    {"__builtin__", "set frozenset bytearray complex list dict int float"}, /* Python 2 */
};
static const pickle_global opaque_global = {"", "", IS_OPAQUE, 0, 0};

/* Modules whose classes are networks: a whole model was pickled. */
static const char *const model_modules[] = {"torch.nn", "torchvision", "mmcls",    "mmpretrain",
                                            "timm",     "__main__",    "__torch__"};

#endif
