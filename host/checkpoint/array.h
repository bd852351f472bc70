/* Growing arrays for counts that a file decides. */
#ifndef CLVGG_CHECKPOINT_ARRAY_H
#define CLVGG_CHECKPOINT_ARRAY_H

#include <stdlib.h>

#include "base/size.h"

/* The array with room for at least needed items of item bytes, doubling so that appending stays linear. NULL when there
 * is no memory: the array is as it was. */
static inline void *array_grow(void *array, size_t *capacity, size_t needed, size_t item) {
  if (needed <= *capacity) return array;
  size_t wanted = *capacity < 8 ? 8 : *capacity, bytes;
  while (wanted < needed)
    if (!size_mul(wanted, 2, &wanted)) return NULL;
  if (!size_mul(wanted, item, &bytes)) return NULL;
  void *grown = realloc(array, bytes);
  if (grown != NULL) *capacity = wanted;
  return grown;
}

#endif
