/*
 * torch.save without a zip container (before PyTorch 1.6, or _use_new_zipfile_serialization=False): five pickles -
 * magic number, protocol version, facts about the machine, the tree, the keys of the storages - and then, for each key
 * in that order, its number of elements as i64 and its elements (torch/serialization.py, _legacy_load). Tensors stay in
 * the file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "checkpoint/pth.h"

enum { PROTOCOL_VERSION = 1001, COUNT_BYTES = 8 };

/* 0x1950a86a20f9469cfc6c, as a pickle's LONG1 opcode holds it */
static const unsigned char magic[] = {0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

typedef struct legacy_storage {
  const pickle_value *value;
  const unsigned char *data; /* NULL until its key came */
} legacy_storage;

typedef struct legacy_file {
  const file_map *file;
  size_t at; /* the next byte to read */
  pickle pickle;
  legacy_storage *storages; /* one a key, in order of keys */
  size_t count;
} legacy_file;

static bool probe(const file_map *file) {
  if (file->bytes < 2 || file->data[0] != 0x80) return false;
  for (size_t at = 2; at <= 11; at += 9) /* behind the protocol number, or behind a frame's length too */
    if (file->bytes >= at + sizeof magic && memcmp(file->data + at, magic, sizeof magic) == 0) return true;
  return false;
}

static clvgg_status next_pickle(legacy_file *l, pickle_value **root) {
  size_t used;
  TRY(pickle_read(&l->pickle, l->file->data + l->at, l->file->bytes - l->at, root, &used));
  l->at += used;
  return CLVGG_OK;
}

static int compare_texts(const pickle_value *a, const pickle_value *b) {
  const size_t x = a->as.text.length, y = b->as.text.length, shorter = x < y ? x : y;
  const int order = shorter == 0 ? 0 : memcmp(a->as.text.data, b->as.text.data, shorter);
  return order != 0 ? order : (x > y) - (x < y);
}

static int compare_keys(const void *a, const void *b) {
  const legacy_storage *x = a, *y = b;
  return compare_texts(x->value->as.storage.key, y->value->as.storage.key);
}

/* The storages that the tree names, one of those that share a key, sorted. */
static clvgg_status sort_storages(legacy_file *l) {
  size_t n = 0;
  for (const pickle_value *s = l->pickle.storages; s != NULL; s = s->as.storage.previous) n++;
  l->storages = calloc(n + 1, sizeof *l->storages); /* n is below the number of values in a pickle */
  if (l->storages == NULL) return base_fail(CLVGG_ERROR_MEMORY, "no memory left for %zu storages", n);
  for (const pickle_value *s = l->pickle.storages; s != NULL; s = s->as.storage.previous)
    l->storages[l->count++].value = s;
  if (n > 1) qsort(l->storages, n, sizeof *l->storages, compare_keys);
  l->count = n > 0;
  for (size_t i = 1; i < n; i++)
    if (compare_keys(&l->storages[l->count - 1], &l->storages[i]) != 0) l->storages[l->count++] = l->storages[i];
  return CLVGG_OK;
}

static legacy_storage *find_storage(const legacy_file *l, const pickle_value *key) {
  size_t low = 0, high = l->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int order = compare_texts(key, l->storages[middle].value->as.storage.key);
    if (order == 0) return &l->storages[middle];
    if (order < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}

/* One storage's element count and elements. */
static clvgg_status locate(legacy_file *l, const pickle_value *key) {
  const int shown = (int)(key->as.text.length < 60 ? key->as.text.length : 60);
  legacy_storage *s = find_storage(l, key);
  if (s == NULL)
    return base_fail(CLVGG_ERROR_FORMAT, "holds a storage '%.*s' that no tensor uses", shown, key->as.text.data);
  size_t bytes, left = l->file->bytes - l->at;
  uint64_t elements = 0;
  if (left < COUNT_BYTES)
    return base_fail(CLVGG_ERROR_FORMAT, "is cut short before its storage '%.*s'", shown, key->as.text.data);
  for (int i = COUNT_BYTES - 1; i >= 0; i--) elements = elements << 8 | l->file->data[l->at + (size_t)i];
  l->at += COUNT_BYTES;
  left -= COUNT_BYTES;
  if (elements != s->value->as.storage.elements || !pth_storage_bytes(s->value, &bytes))
    return base_fail(CLVGG_ERROR_FORMAT, "its storage '%.*s' has %llu elements, its tree says %zu", shown,
                     key->as.text.data, (unsigned long long)elements, s->value->as.storage.elements);
  if (bytes > left)
    return base_fail(CLVGG_ERROR_FORMAT, "its storage '%.*s' needs %zu bytes, the file has %zu left (cut short?)",
                     shown, key->as.text.data, bytes, left);
  s->data = l->file->data + l->at;
  l->at += bytes;
  return CLVGG_OK;
}

static clvgg_status load(void *context, const pickle_value *storage, const unsigned char **data) {
  const legacy_file *l = context;
  const legacy_storage *s = find_storage(l, storage->as.storage.key);
  size_t wanted, held;
  if (s == NULL || s->data == NULL) return base_fail(CLVGG_ERROR_FORMAT, "its storage is not in the file");
  if (!pth_storage_bytes(storage, &wanted) || !pth_storage_bytes(s->value, &held) || wanted != held)
    return base_fail(CLVGG_ERROR_FORMAT, "its storage is named with two sizes");
  *data = s->data;
  return CLVGG_OK;
}

static clvgg_status read_file(legacy_file *l, checkpoint *out) {
  pickle_value *root, *tree, *keys;
  TRY(next_pickle(l, &root)); /* the magic number, which the probe saw */
  TRY(next_pickle(l, &root));
  if (root->kind != PICKLE_INT || root->as.integer != PROTOCOL_VERSION)
    return base_fail(CLVGG_ERROR_FORMAT, "its torch.save protocol is another than %d", PROTOCOL_VERSION);
  TRY(next_pickle(l, &root));
  const pickle_value *little = pickle_get(root, "little_endian");
  if (little == NULL || little->kind != PICKLE_BOOL || little->as.integer != 1)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "was written on a big-endian machine, expected little endian");
  TRY(next_pickle(l, &tree));
  TRY(sort_storages(l));
  TRY(next_pickle(l, &keys));
  if (keys->kind != PICKLE_LIST) return base_fail(CLVGG_ERROR_FORMAT, "has no list of storages behind its tree");
  for (size_t i = 0; i < keys->as.items.count; i++) {
    if (keys->as.items.data[i]->kind != PICKLE_STRING)
      return base_fail(CLVGG_ERROR_FORMAT, "its list of storages holds something else than keys");
    TRY(locate(l, keys->as.items.data[i]));
  }
  return pth_read_tree(tree, l->file->bytes, load, l, out);
}

static clvgg_status read_legacy(const file_map *file, checkpoint *out) {
  legacy_file l = {.file = file};
  const clvgg_status status = read_file(&l, out);
  free(l.storages);
  pickle_release(&l.pickle);
  return status;
}

const checkpoint_format checkpoint_pth_legacy = {.name = "pth (legacy)", .probe = probe, .read = read_legacy};
