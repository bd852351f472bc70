/*
 * safetensors: u64 header length, a JSON header, then the tensors' bytes (huggingface/safetensors, README "Format"):
 *     {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [64, 3], "data_offsets": [begin, end]}, ...}
 * The offsets count from the end of the header. Tensors stay where they are in the file.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "checkpoint/format.h"

enum { LENGTH_BYTES = 8, MAX_HEADER_BYTES = 100000000 }; /* the reference reader has the same limit */

static const struct dtype_row {
  const char *name;
  tensor_dtype dtype;
  size_t bytes; /* an element */
} dtypes[] = {
    {"F32", TENSOR_F32, 4},  {"F16", TENSOR_F16, 2}, {"BF16", TENSOR_BF16, 2}, {"F64", TENSOR_F64, 8},
    {"I64", TENSOR_INT, 8},  {"I32", TENSOR_INT, 4}, {"I16", TENSOR_INT, 2},   {"I8", TENSOR_INT, 1},
    {"U64", TENSOR_INT, 8},  {"U32", TENSOR_INT, 4}, {"U16", TENSOR_INT, 2},   {"U8", TENSOR_INT, 1},
    {"BOOL", TENSOR_INT, 1},
};

/* Where one tensor lies, for the overlap check. */
typedef struct extent {
  size_t begin, end;
  const char *name;
} extent;

static uint64_t header_length(const file_map *file) {
  uint64_t length = 0;
  for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | file->data[i];
  return length;
}

static bool probe(const file_map *file) {
  /* Lengths from 4 GiB are not taken for this format; those that are merely too long get an exact message. */
  return file->bytes > LENGTH_BYTES && file->data[LENGTH_BYTES] == '{' && header_length(file) <= UINT32_MAX;
}

/* *out = a JSON integer that is a size. */
static bool get_size(const json_t *value, size_t *out) {
  if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
  *out = (size_t)json_integer_value(value);
  return true;
}

static clvgg_status set_dtype(tensor *t, const json_t *dtype, size_t *element_bytes) {
  const char *name = json_string_value(dtype);
  if (name == NULL) return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' has no dtype", t->name);
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
    if (strcmp(name, dtypes[i].name) != 0) continue;
    t->dtype = dtypes[i].dtype;
    *element_bytes = dtypes[i].bytes;
    return CLVGG_OK;
  }
  return base_fail(CLVGG_ERROR_UNSUPPORTED, "tensor '%s' has the dtype %.40s, expected F32, F16, BF16, F64 or integers",
                   t->name, name);
}

static clvgg_status set_shape(tensor *t, const json_t *shape) {
  if (!json_is_array(shape)) return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' has no shape", t->name);
  t->dims = json_array_size(shape);
  if (t->dims > TENSOR_MAX_DIMS)
    return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' has %zu dimensions, expected at most %d", t->name, t->dims,
                     TENSOR_MAX_DIMS);
  for (size_t i = 0; i < t->dims; i++)
    if (!get_size(json_array_get(shape, i), &t->shape[i]))
      return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' has a dimension that is not a size", t->name);
  return CLVGG_OK;
}

/* data: the bytes behind the header. */
static clvgg_status read_tensor(const char *name, const json_t *entry, const file_map *data, checkpoint *out,
                                extent *where) {
  tensor t = {.name = name};
  size_t element_bytes = 0, elements;
  if (!json_is_object(entry)) return base_fail(CLVGG_ERROR_FORMAT, "the header's entry '%s' is not an object", name);
  TRY(set_dtype(&t, json_object_get(entry, "dtype"), &element_bytes));
  TRY(set_shape(&t, json_object_get(entry, "shape")));
  const json_t *offsets = json_object_get(entry, "data_offsets");
  if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &where->begin) ||
      !get_size(json_array_get(offsets, 1), &where->end))
    return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' has no data_offsets [begin, end]", name);
  if (where->begin > where->end || where->end > data->bytes)
    return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' lies at bytes %zu to %zu, the file has %zu (cut short?)", name,
                     where->begin, where->end, data->bytes);
  if (!size_product(t.shape, t.dims, &elements) || !size_mul(elements, element_bytes, &t.bytes) ||
      t.bytes != where->end - where->begin) {
    char shape[128];
    return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' has %zu bytes, its shape %s and dtype need another number", name,
                     where->end - where->begin, tensor_shape_text(&t, shape, sizeof shape));
  }
  t.data = data->data + where->begin;
  where->name = name;
  return checkpoint_add_tensor(out, &t);
}

static clvgg_status read_metadata(json_t *metadata, checkpoint *out) {
  const char *key;
  json_t *value;
  if (!json_is_object(metadata)) return base_fail(CLVGG_ERROR_FORMAT, "__metadata__ is not an object");
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value)) return base_fail(CLVGG_ERROR_FORMAT, "__metadata__ '%.60s' is not a string", key);
    TRY(checkpoint_add_metadata(out, key, json_string_value(value)));
  }
  return CLVGG_OK;
}

static int compare_extents(const void *a, const void *b) {
  const extent *x = a, *y = b;
  return x->begin != y->begin ? (x->begin < y->begin ? -1 : 1) : (x->end > y->end) - (x->end < y->end);
}

static clvgg_status check_overlap(extent *extents, size_t n) {
  if (n > 1) qsort(extents, n, sizeof *extents, compare_extents);
  const extent *last = NULL; /* the last that is not empty */
  for (size_t i = 0; i < n; i++) {
    if (extents[i].begin == extents[i].end) continue;
    if (last != NULL && extents[i].begin < last->end)
      return base_fail(CLVGG_ERROR_FORMAT, "the tensors '%s' and '%s' overlap", last->name, extents[i].name);
    last = &extents[i];
  }
  return CLVGG_OK;
}

static clvgg_status read_header(json_t *header, const file_map *data, checkpoint *out) {
  const size_t n = json_object_size(header);
  extent *extents = calloc(n + 1, sizeof *extents);
  if (extents == NULL) return base_fail(CLVGG_ERROR_MEMORY, "no memory left for %zu tensors", n);
  clvgg_status status = CLVGG_OK;
  size_t count = 0;
  const char *name;
  json_t *entry;
  json_object_foreach(header, name, entry) {
    if (strcmp(name, "__metadata__") == 0)
      status = read_metadata(entry, out);
    else
      status = read_tensor(name, entry, data, out, &extents[count++]);
    if (status != CLVGG_OK) break;
  }
  if (status == CLVGG_OK) status = check_overlap(extents, count);
  free(extents);
  return status;
}

static clvgg_status read_safetensors(const file_map *file, checkpoint *out) {
  const uint64_t length = header_length(file);
  if (length > MAX_HEADER_BYTES)
    return base_fail(CLVGG_ERROR_FORMAT, "its header has %" PRIu64 " bytes, expected at most %d", length,
                     MAX_HEADER_BYTES);
  if (length > file->bytes - LENGTH_BYTES)
    return base_fail(CLVGG_ERROR_FORMAT, "its header has %" PRIu64 " bytes, the file only %zu (cut short?)", length,
                     file->bytes);
  const unsigned char *text = file->data + LENGTH_BYTES;
  json_error_t error;
  json_t *header = json_loadb((const char *)text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
  if (header == NULL)
    return base_fail(CLVGG_ERROR_FORMAT, "its header is not JSON: %s, at byte %d", error.text,
                     LENGTH_BYTES + error.position);
  const file_map data = {.data = text + length, .bytes = file->bytes - LENGTH_BYTES - (size_t)length};
  const clvgg_status status = read_header(header, &data, out); /* an object: the probe saw its brace */
  json_decref(header);
  return status;
}

const checkpoint_format checkpoint_safetensors = {.name = "safetensors", .probe = probe, .read = read_safetensors};
