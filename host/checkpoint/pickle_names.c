/* The Python names that a pickle may refer to: the only place to edit when a harmless one is missing. */
#include "checkpoint/pickle_names.h"

#include <stdbool.h>
#include <string.h>

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

static bool same_text(const char *text, const char *data, size_t length) {
  return strlen(text) == length && memcmp(text, data, length) == 0;
}

/* name is one of the words of text */
static bool has_word(const char *text, const char *name, size_t length) {
  while (*text != '\0') {
    const size_t word = strcspn(text, " ");
    if (word == length && memcmp(text, name, length) == 0) return true;
    text += word + (text[word] == ' ');
  }
  return false;
}

clvgg_status pickle_find_global(const char *module, size_t module_length, const char *name, size_t name_length,
                                const pickle_global **out) {
  for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
    if (same_text(globals[i].module, module, module_length) && same_text(globals[i].name, name, name_length)) {
      *out = &globals[i];
      return CLVGG_OK;
    }
  for (size_t i = 0; i < sizeof opaque_names / sizeof *opaque_names; i++)
    if (same_text(opaque_names[i].module, module, module_length) &&
        has_word(opaque_names[i].names, name, name_length)) {
      *out = &opaque_global;
      return CLVGG_OK;
    }
  const char *advice = "";
  for (size_t i = 0; i < sizeof model_modules / sizeof *model_modules; i++) {
    const size_t length = strlen(model_modules[i]);
    if (module_length >= length && memcmp(module, model_modules[i], length) == 0)
      advice = "; a whole model seems to be pickled in it, expected a state dict: torch.save(model.state_dict(), ...)";
  }
  return base_fail(CLVGG_ERROR_FORMAT, "refers to %.*s.%.*s, which a checkpoint has no reason to hold%s",
                   (int)(module_length < 100 ? module_length : 100), module,
                   (int)(name_length < 100 ? name_length : 100), name, advice);
}
