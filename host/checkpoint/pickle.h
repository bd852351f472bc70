/*
 * Python's pickle format as a tree of plain values. Nothing is run: a pickle is a program for a small stack machine
 * that may name any Python function and call it, so this reader knows the few names that a state dict needs, turns
 * those into values, and refuses a pickle that holds any other (format: CPython, Lib/pickletools.py; protocols 2 to 5).
 */
#ifndef CLVGG_CHECKPOINT_PICKLE_H
#define CLVGG_CHECKPOINT_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoint/tensor.h"

typedef enum pickle_kind {
  PICKLE_OPAQUE, /* a harmless value that nobody here needs: a numpy scalar, a device, a set */
  PICKLE_NONE,
  PICKLE_BOOL,
  PICKLE_INT,
  PICKLE_LONG, /* an integer of more than 64 bits: text has its bytes, little endian */
  PICKLE_FLOAT,
  PICKLE_STRING,
  PICKLE_BYTES,
  PICKLE_TUPLE,
  PICKLE_LIST,
  PICKLE_DICT, /* items has key, value, key, value, ...; a key may occur twice */
  PICKLE_GLOBAL,
  PICKLE_STORAGE,
  PICKLE_TENSOR
} pickle_kind;

typedef struct pickle_value pickle_value;
struct pickle_value {
  pickle_kind kind;
  union {
    int64_t integer; /* PICKLE_INT, PICKLE_BOOL */
    double real;
    struct {
      const char *data; /* in the pickle's bytes; not ended by a NUL, and may hold some */
      size_t length;
    } text; /* PICKLE_STRING, PICKLE_BYTES, PICKLE_LONG */
    struct {
      pickle_value **data;
      size_t count, capacity;
    } items; /* PICKLE_TUPLE, PICKLE_LIST, PICKLE_DICT */
    const struct pickle_global *global;
    struct {
      const pickle_value *key; /* PICKLE_STRING: which of the file's storages it is */
      const struct pickle_global *type;
      size_t elements;
      pickle_value *previous; /* the storage that the pickle named before this one, or NULL */
    } storage;
    struct {
      const pickle_value *storage, *size, *stride; /* PICKLE_STORAGE, PICKLE_TUPLE, PICKLE_TUPLE */
      int64_t offset;                              /* in elements, unchecked */
    } tensor;
  } as;
};

/* The values of one file's pickles, released together: values may refer to each other in any shape, cycles included. */
typedef struct pickle {
  struct pickle_chunk *chunks;
  size_t values;          /* made so far */
  pickle_value *storages; /* the last that was named; the others follow by previous */
} pickle;

/* Reads the pickle at the start of data into *root, which lives as long as p and data; *used is its length. p is zeroed
 * before its first use and released with pickle_release, after a failure too. */
clvgg_status pickle_read(pickle *p, const unsigned char *data, size_t bytes, pickle_value **root, size_t *used);
void pickle_release(pickle *p);
/* Memory that pickle_release gives back, or NULL. */
void *pickle_allocate(pickle *p, size_t bytes);

/* The dict's value for a string key, or NULL, also when dict is NULL or no dict. */
const pickle_value *pickle_get(const pickle_value *dict, const char *key);
/* value (may be NULL) is the string text */
bool pickle_is_text(const pickle_value *value, const char *text);
/* A storage's element type. */
tensor_dtype pickle_storage_dtype(const pickle_value *storage);
size_t pickle_storage_element_bytes(const pickle_value *storage);

#endif
