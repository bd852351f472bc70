/* The values that a pickle is read into: their memory, and looking at them. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "checkpoint/pickle.h"
#include "checkpoint/pickle_names.h"

typedef struct pickle_chunk {
  struct pickle_chunk *next;
  size_t used;
  max_align_t space[];
} pickle_chunk;

enum { CHUNK_BYTES = 1 << 16 };

void *pickle_allocate(pickle *p, size_t bytes) {
  bytes = size_round_up(bytes, sizeof(max_align_t));
  const bool alone = bytes > CHUNK_BYTES / 4; /* large blocks get a chunk of their own, behind the one in use */
  if (alone || p->chunks == NULL || CHUNK_BYTES - p->chunks->used < bytes) {
    pickle_chunk *chunk = malloc(sizeof *chunk + (alone ? bytes : CHUNK_BYTES));
    if (chunk == NULL) return NULL;
    chunk->used = alone ? CHUNK_BYTES : 0;
    if (alone && p->chunks != NULL) {
      chunk->next = p->chunks->next;
      p->chunks->next = chunk;
      return chunk->space;
    }
    chunk->next = p->chunks;
    p->chunks = chunk;
    if (alone) return chunk->space;
  }
  void *memory = (unsigned char *)p->chunks->space + p->chunks->used;
  p->chunks->used += bytes;
  return memory;
}

void pickle_release(pickle *p) {
  while (p->chunks != NULL) {
    pickle_chunk *next = p->chunks->next;
    free(p->chunks);
    p->chunks = next;
  }
  *p = (pickle){0};
}

tensor_dtype pickle_storage_dtype(const pickle_value *storage) {
  return storage->as.storage.type->dtype;
}
size_t pickle_storage_element_bytes(const pickle_value *storage) {
  return storage->as.storage.type->element_bytes;
}

bool pickle_is_text(const pickle_value *value, const char *text) {
  return value != NULL && value->kind == PICKLE_STRING && strlen(text) == value->as.text.length &&
         memcmp(text, value->as.text.data, value->as.text.length) == 0;
}

const pickle_value *pickle_get(const pickle_value *dict, const char *key) {
  if (dict == NULL || dict->kind != PICKLE_DICT) return NULL;
  for (size_t i = dict->as.items.count; i >= 2; i -= 2) /* the last one counts, as in Python */
    if (pickle_is_text(dict->as.items.data[i - 2], key)) return dict->as.items.data[i - 1];
  return NULL;
}
