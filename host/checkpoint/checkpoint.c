/* The table of checkpoint formats, and the checkpoint that a format's reader fills. */
#include "checkpoint/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "checkpoint/array.h"
#include "checkpoint/format.h"

/* Far above any real network, and low enough that a small file cannot make us hold gigabytes of names. */
enum { MAX_TENSORS = 1 << 16, MAX_CLASSES = 1 << 17 };

/* In probe order. */
static const checkpoint_format *const formats[] = {&checkpoint_pth_zip, &checkpoint_pth_legacy,
                                                   &checkpoint_safetensors};
static const char known_formats[] = "expected safetensors, or a .pth that torch.save wrote";

/* What else people hand us, by the bytes at an offset. */
static const struct hint {
  size_t offset;
  const char *bytes;
  const char *text;
} hints[] = {
    {257, "ustar", "the tar format of PyTorch before 0.1.10: load and save it again with a newer PyTorch"},
    {0, "\x89HDF", "an HDF5 file (Keras)"},
    {0, "\x1f\x8b", "a gzip file: unpack it first"},
    {0,
     "\xfd"
     "7zXZ",
     "an xz file: unpack it first"},
    {0, "version https://git-lfs", "a Git LFS pointer, not the file itself"},
    {0, "<!DOCTYPE", "a web page: a failed download?"},
    {0, "<!doctype", "a web page: a failed download?"},
    {0, "<html", "a web page: a failed download?"},
    {0, "GGUF", "a GGUF file"},
    {0, "\x93NUMPY", "a NumPy array"},
    {0, "\x80", "a bare pickle that torch.save did not write"},
};

typedef struct text_pair {
  const char *key, *value;
} text_pair;

struct checkpoint {
  file_map map; /* closed with the checkpoint; empty when the bytes are the caller's */
  const checkpoint_format *format;
  tensor *tensors;
  size_t tensor_count, tensor_capacity;
  const char **classes;
  size_t class_count, class_capacity;
  text_pair *metadata;
  size_t metadata_count, metadata_capacity;
  void **owned; /* tensor data and all strings */
  size_t owned_count, owned_capacity;
};

static clvgg_status no_memory(void) {
  return base_fail(CLVGG_ERROR_MEMORY, "no memory left for the checkpoint");
}

clvgg_status checkpoint_own(checkpoint *c, void *memory) {
  void *grown = array_grow(c->owned, &c->owned_capacity, c->owned_count + 1, sizeof *c->owned);
  if (grown == NULL || memory == NULL) {
    if (grown != NULL) c->owned = grown;
    free(memory);
    return no_memory();
  }
  c->owned = grown;
  c->owned[c->owned_count++] = memory;
  return CLVGG_OK;
}

/* Unicode 15, table 3-7: well-formed UTF-8 byte sequences. */
static bool is_utf8(const char *text) {
  const unsigned char *p = (const unsigned char *)text;
  while (*p != 0) {
    const unsigned char lead = *p++;
    if (lead < 0x80) continue;
    if (lead < 0xC2 || lead > 0xF4) return false;
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (*p < low || *p > high) return false;
    p++;
    for (int more = lead >= 0xF0 ? 2 : lead >= 0xE0 ? 1 : 0; more > 0; more--, p++)
      if ((*p & 0xC0) != 0x80) return false;
  }
  return true;
}

/* *out = a copy of text that the checkpoint owns. */
static clvgg_status copy_text(checkpoint *c, const char *what, const char *text, char **out) {
  const size_t length = strlen(text);
  if (!is_utf8(text)) return base_fail(CLVGG_ERROR_FORMAT, "the %s '%.60s' is not UTF-8", what, text);
  *out = malloc(length + 1);
  if (*out == NULL) return no_memory();
  memcpy(*out, text, length + 1);
  return checkpoint_own(c, *out);
}

static clvgg_status copy_name(checkpoint *c, const char *what, const char *name, char **out) {
  const size_t length = strlen(name);
  if (length > CHECKPOINT_MAX_NAME)
    return base_fail(CLVGG_ERROR_FORMAT, "the %s '%.60s...' is %zu bytes long, expected at most %d", what, name, length,
                     CHECKPOINT_MAX_NAME);
  return copy_text(c, what, name, out);
}

clvgg_status checkpoint_add_tensor(checkpoint *c, const tensor *t) {
  char *name;
  if (c->tensor_count == MAX_TENSORS)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "holds more than %d tensors", MAX_TENSORS);
  TRY(copy_name(c, "tensor name", t->name, &name));
  void *grown = array_grow(c->tensors, &c->tensor_capacity, c->tensor_count + 1, sizeof *c->tensors);
  if (grown == NULL) return no_memory();
  c->tensors = grown;
  c->tensors[c->tensor_count] = *t;
  c->tensors[c->tensor_count++].name = name;
  return CLVGG_OK;
}

clvgg_status checkpoint_add_class(checkpoint *c, const char *name) {
  char *copy;
  if (c->class_count == MAX_CLASSES)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "holds more than %d class names", MAX_CLASSES);
  TRY(copy_name(c, "class name", name, &copy));
  void *grown = array_grow(c->classes, &c->class_capacity, c->class_count + 1, sizeof *c->classes);
  if (grown == NULL) return no_memory();
  c->classes = grown;
  c->classes[c->class_count++] = copy;
  return CLVGG_OK;
}

clvgg_status checkpoint_add_metadata(checkpoint *c, const char *key, const char *value) {
  char *key_copy, *value_copy;
  TRY(copy_name(c, "metadata key", key, &key_copy));
  TRY(copy_text(c, "metadata", value, &value_copy));
  void *grown = array_grow(c->metadata, &c->metadata_capacity, c->metadata_count + 1, sizeof *c->metadata);
  if (grown == NULL) return no_memory();
  c->metadata = grown;
  c->metadata[c->metadata_count++] = (text_pair){key_copy, value_copy};
  return CLVGG_OK;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static clvgg_status check_unique(const checkpoint *c) {
  if (c->tensor_count < 2) return CLVGG_OK;
  const char **names = malloc(c->tensor_count * sizeof *names); /* tensor_count <= MAX_TENSORS */
  if (names == NULL) return no_memory();
  for (size_t i = 0; i < c->tensor_count; i++) names[i] = c->tensors[i].name;
  qsort(names, c->tensor_count, sizeof *names, compare_names);
  clvgg_status status = CLVGG_OK;
  for (size_t i = 1; i < c->tensor_count && status == CLVGG_OK; i++)
    if (strcmp(names[i - 1], names[i]) == 0)
      status = base_fail(CLVGG_ERROR_FORMAT, "holds two tensors named '%s'", names[i]);
  free(names);
  return status;
}

static clvgg_status fail_unknown(const file_map *file) {
  if (file->bytes == 0) return base_fail(CLVGG_ERROR_FORMAT, "is empty, %s", known_formats);
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
    const size_t length = strlen(hints[i].bytes);
    if (file->bytes >= hints[i].offset + length && memcmp(file->data + hints[i].offset, hints[i].bytes, length) == 0)
      return base_fail(CLVGG_ERROR_FORMAT, "looks like %s; %s", hints[i].text, known_formats);
  }
  char first[3 * 8 + 1] = "";
  const size_t shown = file->bytes < 8 ? file->bytes : 8;
  for (size_t i = 0; i < shown; i++) snprintf(first + 3 * i, 4, "%02x ", (unsigned)file->data[i]);
  first[3 * shown - 1] = '\0';
  return base_fail(CLVGG_ERROR_FORMAT, "begins with the bytes %s (%zu in all), %s", first, file->bytes, known_formats);
}

static clvgg_status read_checkpoint(const file_map *file, checkpoint *c) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    if (!formats[i]->probe(file)) continue;
    c->format = formats[i];
    TRY(formats[i]->read(file, c));
    return check_unique(c);
  }
  return fail_unknown(file);
}

clvgg_status checkpoint_open_memory(const void *data, size_t bytes, const char *name, checkpoint **out) {
  *out = NULL;
  checkpoint *c = calloc(1, sizeof *c);
  if (c == NULL) return base_fail_in(no_memory(), "%s", name);
  const file_map file = {.data = bytes == 0 ? NULL : data, .bytes = bytes};
  const clvgg_status status = read_checkpoint(&file, c);
  if (status != CLVGG_OK) {
    checkpoint_close(&c);
    return base_fail_in(status, "%s", name);
  }
  *out = c;
  return CLVGG_OK;
}

clvgg_status checkpoint_open(const char *path, checkpoint **out) {
  file_map map;
  *out = NULL;
  TRY(file_map_open(path, &map)); /* names the path itself */
  const clvgg_status status = checkpoint_open_memory(map.data, map.bytes, path, out);
  if (status == CLVGG_OK)
    (*out)->map = map;
  else
    file_map_close(&map);
  return status;
}

void checkpoint_close(checkpoint **c) {
  if (*c == NULL) return;
  for (size_t i = 0; i < (*c)->owned_count; i++) free((*c)->owned[i]);
  free((*c)->owned);
  free((*c)->tensors);
  free((*c)->classes);
  free((*c)->metadata);
  file_map_close(&(*c)->map);
  free(*c);
  *c = NULL;
}

const char *checkpoint_format_name(const checkpoint *c) {
  return c->format->name;
}
size_t checkpoint_tensor_count(const checkpoint *c) {
  return c->tensor_count;
}
const tensor *checkpoint_tensors(const checkpoint *c) {
  return c->tensors;
}
size_t checkpoint_class_count(const checkpoint *c) {
  return c->class_count;
}
const char *checkpoint_class_name(const checkpoint *c, size_t i) {
  return i < c->class_count ? c->classes[i] : NULL;
}

const char *checkpoint_metadata(const checkpoint *c, const char *key) {
  for (size_t i = 0; i < c->metadata_count; i++)
    if (strcmp(c->metadata[i].key, key) == 0) return c->metadata[i].value;
  return NULL;
}
