/* The state dict in a pickled tree, its tensors made contiguous, and the class names beside it. */
#include "checkpoint/pth.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

/* Where training programs put the state dict, when it is not the top level itself; also within each other. */
static const char *const wrappers[] = {"state_dict", "model_state_dict", "model", "module", "net"};
enum { MAX_WRAPPERS = 4 };

typedef struct reader {
  pth_load_fn load;
  void *context;
  checkpoint *out;
  size_t copy_budget; /* bytes */
} reader;

bool pth_storage_bytes(const pickle_value *storage, size_t *bytes) {
  return size_mul(storage->as.storage.elements, pickle_storage_element_bytes(storage), bytes);
}

/* text = a string value as a C string; false when it is none, too long, or holds a NUL. */
static bool get_text(const pickle_value *value, char *text, size_t bytes) {
  if (value->kind != PICKLE_STRING || value->as.text.length >= bytes) return false;
  if (memchr(value->as.text.data, 0, value->as.text.length) != NULL) return false;
  memcpy(text, value->as.text.data, value->as.text.length);
  text[value->as.text.length] = '\0';
  return true;
}

/* ---------------------------------------------------------------- tensors */

static clvgg_status get_layout(const pickle_value *value, tensor *t, size_t *stride) {
  const pickle_value *sizes = value->as.tensor.size, *strides = value->as.tensor.stride;
  t->dims = sizes->as.items.count;
  if (t->dims > TENSOR_MAX_DIMS || strides->as.items.count != t->dims)
    return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' has %zu dimensions and %zu strides, expected as many, at most %d",
                     t->name, t->dims, strides->as.items.count, TENSOR_MAX_DIMS);
  for (size_t i = 0; i < t->dims; i++) {
    const pickle_value *n = sizes->as.items.data[i], *step = strides->as.items.data[i];
    if (n->kind != PICKLE_INT || n->as.integer < 0 || step->kind != PICKLE_INT || step->as.integer < 0)
      return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' has a dimension or stride that is not a size", t->name);
    t->shape[i] = (size_t)n->as.integer;
    stride[i] = (size_t)step->as.integer;
  }
  return CLVGG_OK;
}

/* The last element's index, offset + sum of (shape - 1) * stride, is in the storage. */
static clvgg_status check_inside(const tensor *t, const size_t *stride, int64_t offset, size_t storage_elements) {
  char shape[128];
  size_t last = (size_t)offset;
  bool fits = offset >= 0;
  for (size_t i = 0; i < t->dims && fits; i++) {
    size_t reach;
    fits = size_mul(t->shape[i] - 1, stride[i], &reach) && size_add(last, reach, &last);
  }
  if (!fits || last >= storage_elements)
    return base_fail(CLVGG_ERROR_FORMAT,
                     "tensor '%s' %s at offset %" PRId64 " reaches outside its storage of %zu elements", t->name,
                     tensor_shape_text(t, shape, sizeof shape), offset, storage_elements);
  return CLVGG_OK;
}

static bool is_contiguous(const tensor *t, const size_t *stride) {
  size_t expected = 1;
  for (size_t i = t->dims; i-- > 0;) {
    if (t->shape[i] != 1 && stride[i] != expected) return false;
    expected *= t->shape[i];
  }
  return true;
}

/* out (row-major) = the strided elements from data on. */
static void copy_strided(const tensor *t, const size_t *stride, const unsigned char *data, size_t element_bytes,
                         unsigned char *out) {
  size_t index[TENSOR_MAX_DIMS] = {0}, at = 0; /* at: sum of index * stride */
  for (size_t left = t->bytes / element_bytes; left > 0; left--) {
    memcpy(out, data + at * element_bytes, element_bytes);
    out += element_bytes;
    for (size_t i = t->dims; i-- > 0;) {
      at += stride[i];
      if (++index[i] < t->shape[i]) break;
      at -= index[i] * stride[i];
      index[i] = 0;
    }
  }
}

static clvgg_status make_contiguous(reader *r, tensor *t, const size_t *stride, size_t element_bytes) {
  if (t->bytes > r->copy_budget)
    return base_fail(CLVGG_ERROR_TOO_LARGE,
                     "tensor '%s' is not contiguous and needs a copy of %zu bytes, the file"
                     " justifies %zu",
                     t->name, t->bytes, r->copy_budget);
  r->copy_budget -= t->bytes;
  unsigned char *copy = malloc(t->bytes);
  TRY(checkpoint_own(r->out, copy));
  copy_strided(t, stride, t->data, element_bytes, copy);
  t->data = copy;
  return CLVGG_OK;
}

static clvgg_status add_tensor(reader *r, const char *name, const pickle_value *value) {
  static const unsigned char nothing[1];
  const pickle_value *storage = value->as.tensor.storage;
  const size_t element_bytes = pickle_storage_element_bytes(storage);
  tensor t = {.name = name, .dtype = pickle_storage_dtype(storage)};
  size_t stride[TENSOR_MAX_DIMS] = {0}, elements, storage_bytes;
  TRY(get_layout(value, &t, stride));
  if (!size_product(t.shape, t.dims, &elements) || !size_mul(elements, element_bytes, &t.bytes) ||
      !pth_storage_bytes(storage, &storage_bytes)) {
    char shape[128];
    return base_fail(CLVGG_ERROR_FORMAT, "tensor '%s' %s of a storage of %zu elements is larger than any memory", name,
                     tensor_shape_text(&t, shape, sizeof shape), storage->as.storage.elements);
  }
  t.data = nothing;
  if (elements > 0) {
    const unsigned char *data;
    TRY(check_inside(&t, stride, value->as.tensor.offset, storage->as.storage.elements));
    const clvgg_status status = r->load(r->context, storage, &data);
    if (status != CLVGG_OK) return base_fail_in(status, "tensor '%s'", name);
    t.data = data + (size_t)value->as.tensor.offset * element_bytes;
    if (!is_contiguous(&t, stride)) TRY(make_contiguous(r, &t, stride, element_bytes));
  }
  return checkpoint_add_tensor(r->out, &t);
}

static const pickle_value *find_state_dict(const pickle_value *root) {
  const pickle_value *dict = root;
  for (int level = 0; level < MAX_WRAPPERS; level++) {
    const pickle_value *inner = NULL;
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers && inner == NULL; i++) {
      inner = pickle_get(dict, wrappers[i]);
      if (inner != NULL && inner->kind != PICKLE_DICT) inner = NULL;
    }
    if (inner == NULL) break;
    dict = inner;
  }
  return dict;
}

static clvgg_status add_tensors(reader *r, const pickle_value *dict) {
  char name[CHECKPOINT_MAX_NAME + 1];
  size_t found = 0;
  for (size_t i = 0; i + 1 < dict->as.items.count; i += 2) {
    const pickle_value *key = dict->as.items.data[i], *value = dict->as.items.data[i + 1];
    if (value->kind != PICKLE_TENSOR || key->kind != PICKLE_STRING) continue;
    if (!get_text(key, name, sizeof name))
      return base_fail(CLVGG_ERROR_FORMAT, "a tensor's name has %zu bytes or a NUL, expected at most %d bytes",
                       key->as.text.length, CHECKPOINT_MAX_NAME);
    TRY(add_tensor(r, name, value));
    found++;
  }
  if (found == 0)
    return base_fail(CLVGG_ERROR_FORMAT,
                     "holds no tensors, expected a state dict: at the top level or under state_dict,"
                     " model_state_dict, model, module or net");
  return CLVGG_OK;
}

/* ---------------------------------------------------------------- class names */

static const pickle_value *first_of(const pickle_value *dict, const char *a, const char *b) {
  const pickle_value *value = pickle_get(dict, a);
  return value != NULL ? value : pickle_get(dict, b);
}

/* Without class names a checkpoint is still good: a list of something else is passed over. */
static clvgg_status add_classes(const pickle_value *root, checkpoint *out) {
  char name[CHECKPOINT_MAX_NAME + 1];
  const pickle_value *meta = pickle_get(root, "meta");
  const pickle_value *classes = first_of(meta, "CLASSES", "classes"); /* mmclassification */
  if (classes == NULL) classes = first_of(pickle_get(meta, "dataset_meta"), "classes", "CLASSES"); /* mmpretrain */
  if (classes == NULL) classes = first_of(root, "classes", "CLASSES");
  if (classes == NULL || (classes->kind != PICKLE_LIST && classes->kind != PICKLE_TUPLE)) return CLVGG_OK;
  for (size_t i = 0; i < classes->as.items.count; i++)
    if (!get_text(classes->as.items.data[i], name, sizeof name)) return CLVGG_OK;
  for (size_t i = 0; i < classes->as.items.count; i++) {
    get_text(classes->as.items.data[i], name, sizeof name);
    TRY(checkpoint_add_class(out, name));
  }
  return CLVGG_OK;
}

clvgg_status pth_read_tree(const pickle_value *root, size_t file_bytes, pth_load_fn load, void *context,
                           checkpoint *out) {
  if (root->kind != PICKLE_DICT)
    return base_fail(CLVGG_ERROR_FORMAT, "its top level is no dict, expected a state dict");
  reader r = {.load = load, .context = context, .out = out};
  /* A file whose every weight is stored in another order, some of them shared, and small ones beside. */
  if (!size_mul(file_bytes, 4, &r.copy_budget) || !size_add(r.copy_budget, (size_t)64 << 20, &r.copy_budget))
    r.copy_budget = SIZE_MAX;
  TRY(add_tensors(&r, find_state_dict(root)));
  return add_classes(root, out);
}
