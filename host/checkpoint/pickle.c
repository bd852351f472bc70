/* The pickle reader: a stack machine, and the table of its opcodes. The names that it knows are in pickle_names.c. */
#include "checkpoint/pickle.h"

#include <string.h>

#include "checkpoint/array.h"
#include "checkpoint/pickle_names.h"

/* Values, and entries of the stack, the marks and the memo, of one file. A state dict has a few thousand; the limit
 * keeps a hostile file below a gigabyte of ours. */
enum { MAX_VALUES = 1 << 22 };

/* ---------------------------------------------------------------- the stack machine */

typedef struct machine {
  pickle *p;
  const unsigned char *data;
  size_t bytes, at; /* of data; at: the next byte to read */
  pickle_value **stack;
  size_t depth, stack_capacity;
  size_t *marks; /* stack depths, ascending */
  size_t mark_count, mark_capacity;
  pickle_value **memo; /* NULL where nothing was put */
  size_t memo_count, memo_capacity;
  bool done;
} machine;

static clvgg_status fail(const machine *m, const char *what) {
  return base_fail(CLVGG_ERROR_FORMAT, "damaged pickle: %s, at byte %zu", what, m->at);
}

static clvgg_status no_memory(void) {
  return base_fail(CLVGG_ERROR_MEMORY, "no memory left for the pickle");
}

static clvgg_status take(machine *m, size_t n, const unsigned char **out) {
  if (n > m->bytes - m->at) return fail(m, "it is cut short");
  *out = m->data + m->at;
  m->at += n;
  return CLVGG_OK;
}

/* An unsigned little-endian number of width bytes. */
static clvgg_status take_number(machine *m, unsigned width, uint64_t *out) {
  const unsigned char *bytes = NULL;
  TRY(take(m, width, &bytes));
  *out = 0;
  for (unsigned i = width; i-- > 0;) *out = *out << 8 | bytes[i];
  return CLVGG_OK;
}

/* Work that is not bounded by the pickle's length (copies) counts too, or short pickles could cause much of it. */
static clvgg_status charge(machine *m, size_t n) {
  if (n > MAX_VALUES - m->p->values)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "its pickle holds more than %d values", MAX_VALUES);
  m->p->values += n;
  return CLVGG_OK;
}

static clvgg_status push(machine *m, pickle_value *value) {
  if (m->depth == MAX_VALUES) return fail(m, "its stack is too deep");
  void *grown = array_grow(m->stack, &m->stack_capacity, m->depth + 1, sizeof *m->stack);
  if (grown == NULL) return no_memory();
  m->stack = grown;
  m->stack[m->depth++] = value;
  return CLVGG_OK;
}

static clvgg_status make(machine *m, pickle_kind kind, pickle_value **out) {
  TRY(charge(m, 1));
  *out = pickle_allocate(m->p, sizeof **out);
  if (*out == NULL) return no_memory();
  memset(*out, 0, sizeof **out);
  (*out)->kind = kind;
  return CLVGG_OK;
}

static clvgg_status push_new(machine *m, pickle_kind kind, pickle_value **out) {
  TRY(make(m, kind, out));
  return push(m, *out);
}

/* Values above the last mark belong to it: only they can be taken. */
static size_t floor_depth(const machine *m) {
  return m->mark_count == 0 ? 0 : m->marks[m->mark_count - 1];
}

static clvgg_status pop(machine *m, pickle_value **out) {
  if (m->depth <= floor_depth(m)) return fail(m, "its stack is empty");
  *out = m->stack[--m->depth];
  return CLVGG_OK;
}

static clvgg_status top(const machine *m, pickle_value **out) {
  if (m->depth <= floor_depth(m)) return fail(m, "its stack is empty");
  *out = m->stack[m->depth - 1];
  return CLVGG_OK;
}

/* Takes all values above the last mark; they stay valid until the next push. */
static clvgg_status pop_mark(machine *m, pickle_value ***items, size_t *count) {
  if (m->mark_count == 0) return fail(m, "its mark is missing");
  const size_t start = m->marks[--m->mark_count];
  *items = m->stack == NULL ? NULL : m->stack + start;
  *count = m->depth - start;
  m->depth = start;
  return CLVGG_OK;
}

static clvgg_status add_items(machine *m, pickle_value *to, pickle_value **items, size_t count) {
  if (to->kind == PICKLE_OPAQUE) return CLVGG_OK;
  TRY(charge(m, count));
  const size_t needed = to->as.items.count + count; /* both at most MAX_VALUES */
  if (needed > to->as.items.capacity) {
    size_t capacity = to->as.items.capacity * 2;
    if (capacity < needed) capacity = needed;
    pickle_value **grown = pickle_allocate(m->p, capacity * sizeof *grown);
    if (grown == NULL) return no_memory();
    if (to->as.items.count > 0) memcpy(grown, to->as.items.data, to->as.items.count * sizeof *grown);
    to->as.items.data = grown;
    to->as.items.capacity = capacity;
  }
  if (count > 0) memcpy(to->as.items.data + to->as.items.count, items, count * sizeof *items);
  to->as.items.count = needed;
  return CLVGG_OK;
}

/* ---------------------------------------------------------------- opcodes: run(m, a, b), a and b from the table */

static clvgg_status op_proto(machine *m, unsigned a, unsigned b) {
  uint64_t version;
  (void)b;
  TRY(take_number(m, a, &version));
  if (version > 5)
    return base_fail(CLVGG_ERROR_UNSUPPORTED, "its pickle has protocol %u, expected 2 to 5", (unsigned)version);
  return CLVGG_OK;
}

static clvgg_status op_frame(machine *m, unsigned a, unsigned b) {
  uint64_t length;
  (void)b;
  TRY(take_number(m, a, &length));
  return length > m->bytes - m->at ? fail(m, "a frame is cut short") : CLVGG_OK;
}

static clvgg_status op_stop(machine *m, unsigned a, unsigned b) {
  (void)a, (void)b;
  m->done = true;
  return CLVGG_OK;
}

static clvgg_status op_mark(machine *m, unsigned a, unsigned b) {
  (void)a, (void)b;
  if (m->mark_count == MAX_VALUES) return fail(m, "it has too many marks");
  void *grown = array_grow(m->marks, &m->mark_capacity, m->mark_count + 1, sizeof *m->marks);
  if (grown == NULL) return no_memory();
  m->marks = grown;
  m->marks[m->mark_count++] = m->depth;
  return CLVGG_OK;
}

static clvgg_status op_pop(machine *m, unsigned a, unsigned b) {
  pickle_value *dropped;
  (void)a, (void)b;
  if (m->mark_count > 0 && m->depth == floor_depth(m)) { /* as CPython: on a mark, POP takes the mark */
    m->mark_count--;
    return CLVGG_OK;
  }
  return pop(m, &dropped);
}

static clvgg_status op_pop_mark(machine *m, unsigned a, unsigned b) {
  pickle_value **items;
  size_t count;
  (void)a, (void)b;
  return pop_mark(m, &items, &count);
}

static clvgg_status op_dup(machine *m, unsigned a, unsigned b) {
  pickle_value *value = NULL;
  (void)a, (void)b;
  TRY(top(m, &value));
  return push(m, value);
}

/* a: kind, b: integer */
static clvgg_status op_constant(machine *m, unsigned a, unsigned b) {
  pickle_value *value;
  TRY(push_new(m, (pickle_kind)a, &value));
  if (a == PICKLE_BOOL) value->as.integer = b;
  return CLVGG_OK;
}

/* a: width, b: signed */
static clvgg_status op_int(machine *m, unsigned a, unsigned b) {
  uint64_t number;
  pickle_value *value;
  TRY(take_number(m, a, &number));
  TRY(push_new(m, PICKLE_INT, &value));
  value->as.integer = b ? (int64_t)(int32_t)(uint32_t)number : (int64_t)number;
  return CLVGG_OK;
}

/* a: width of the length */
static clvgg_status op_long(machine *m, unsigned a, unsigned b) {
  uint64_t length, number = 0;
  const unsigned char *bytes = NULL;
  pickle_value *value;
  (void)b;
  TRY(take_number(m, a, &length));
  TRY(take(m, (size_t)length, &bytes));
  TRY(push_new(m, length <= 8 ? PICKLE_INT : PICKLE_LONG, &value));
  if (length > 8) {
    value->as.text.data = (const char *)bytes;
    value->as.text.length = (size_t)length;
    return CLVGG_OK;
  }
  if (length > 0 && (bytes[length - 1] & 0x80) != 0) number = UINT64_MAX; /* two's complement */
  for (size_t i = (size_t)length; i-- > 0;) number = number << 8 | bytes[i];
  value->as.integer = (int64_t)number;
  return CLVGG_OK;
}

static clvgg_status op_float(machine *m, unsigned a, unsigned b) {
  const unsigned char *bytes = NULL;
  pickle_value *value;
  uint64_t bits = 0;
  (void)b;
  TRY(take(m, a, &bytes));
  for (unsigned i = 0; i < a; i++) bits = bits << 8 | bytes[i]; /* the one big-endian number of the format */
  TRY(push_new(m, PICKLE_FLOAT, &value));
  memcpy(&value->as.real, &bits, sizeof value->as.real);
  return CLVGG_OK;
}

/* a: width of the length, b: kind */
static clvgg_status op_text(machine *m, unsigned a, unsigned b) {
  uint64_t length;
  const unsigned char *bytes = NULL;
  pickle_value *value;
  TRY(take_number(m, a, &length));
  if (length > m->bytes) return fail(m, "a string is longer than the file");
  TRY(take(m, (size_t)length, &bytes));
  TRY(push_new(m, (pickle_kind)b, &value));
  value->as.text.data = (const char *)bytes;
  value->as.text.length = (size_t)length;
  return CLVGG_OK;
}

/* a: kind; all values above the mark become one */
static clvgg_status op_collect(machine *m, unsigned a, unsigned b) {
  pickle_value **items = NULL, *value;
  size_t count = 0;
  (void)b;
  TRY(pop_mark(m, &items, &count));
  if (a == PICKLE_DICT && count % 2 != 0) return fail(m, "a dict's key has no value");
  TRY(make(m, (pickle_kind)a, &value));
  TRY(add_items(m, value, items, count));
  return push(m, value);
}

/* a: the number of items */
static clvgg_status op_tuple(machine *m, unsigned a, unsigned b) {
  pickle_value *tuple;
  (void)b;
  if (m->depth - floor_depth(m) < a) return fail(m, "its stack is empty");
  TRY(make(m, PICKLE_TUPLE, &tuple));
  TRY(add_items(m, tuple, m->stack + m->depth - a, a));
  m->depth -= a;
  return push(m, tuple);
}

/* a: kind of the container, b: items, or 0 for all above the mark. An opaque container drops them. */
static clvgg_status op_append(machine *m, unsigned a, unsigned b) {
  pickle_value **items = NULL, *container = NULL;
  size_t count = b;
  if (b == 0) {
    TRY(pop_mark(m, &items, &count));
  } else {
    if (m->depth - floor_depth(m) < b) return fail(m, "its stack is empty");
    m->depth -= b;
    items = m->stack + m->depth;
  }
  TRY(top(m, &container));
  if (container->kind != (pickle_kind)a && container->kind != PICKLE_OPAQUE)
    return fail(m, "it adds items to something that takes none");
  if (a == PICKLE_DICT && count % 2 != 0) return fail(m, "a dict's key has no value");
  return add_items(m, container, items, count);
}

static clvgg_status push_global(machine *m, const char *module, size_t module_length, const char *name,
                                size_t name_length) {
  const pickle_global *global;
  pickle_value *value;
  TRY(pickle_find_global(module, module_length, name, name_length, &global));
  TRY(push_new(m, PICKLE_GLOBAL, &value));
  value->as.global = global;
  return CLVGG_OK;
}

static clvgg_status take_line(machine *m, const char **line, size_t *length) {
  const unsigned char *start = m->data + m->at;
  const unsigned char *end = memchr(start, '\n', m->bytes - m->at);
  if (end == NULL) return fail(m, "a name does not end");
  *line = (const char *)start;
  *length = (size_t)(end - start);
  m->at += *length + 1;
  return CLVGG_OK;
}

static clvgg_status op_global(machine *m, unsigned a, unsigned b) {
  const char *module = NULL, *name = NULL;
  size_t module_length = 0, name_length = 0;
  (void)a, (void)b;
  TRY(take_line(m, &module, &module_length));
  TRY(take_line(m, &name, &name_length));
  return push_global(m, module, module_length, name, name_length);
}

static clvgg_status op_stack_global(machine *m, unsigned a, unsigned b) {
  pickle_value *module = NULL, *name = NULL;
  (void)a, (void)b;
  TRY(pop(m, &name));
  TRY(pop(m, &module));
  if (module->kind != PICKLE_STRING || name->kind != PICKLE_STRING) return fail(m, "a name is not a string");
  return push_global(m, module->as.text.data, module->as.text.length, name->as.text.data, name->as.text.length);
}

/* OrderedDict([[key, value], ...]), as Python 2 wrote it. */
static clvgg_status fill_dict(machine *m, pickle_value *dict, const pickle_value *pairs) {
  for (size_t i = 0; i < pairs->as.items.count; i++) {
    const pickle_value *pair = pairs->as.items.data[i];
    if ((pair->kind != PICKLE_TUPLE && pair->kind != PICKLE_LIST) || pair->as.items.count != 2)
      return fail(m, "an OrderedDict is made of something else than pairs");
    TRY(add_items(m, dict, pair->as.items.data, 2));
  }
  return CLVGG_OK;
}

static clvgg_status make_tensor(machine *m, const pickle_value *args, pickle_value *out) {
  if (args->as.items.count < 4) return fail(m, "a tensor lacks storage, offset, size or stride");
  pickle_value *const *item = args->as.items.data;
  if (item[0]->kind != PICKLE_STORAGE || item[1]->kind != PICKLE_INT || item[2]->kind != PICKLE_TUPLE ||
      item[3]->kind != PICKLE_TUPLE)
    return fail(m, "a tensor's storage, offset, size or stride is something else");
  out->as.tensor.storage = item[0];
  out->as.tensor.offset = item[1]->as.integer;
  out->as.tensor.size = item[2];
  out->as.tensor.stride = item[3];
  return CLVGG_OK;
}

/* What function(*args) would be. */
static clvgg_status push_call(machine *m, const pickle_value *function, pickle_value *args) {
  pickle_value *value;
  if (function->kind != PICKLE_GLOBAL || args->kind != PICKLE_TUPLE)
    return fail(m, "it calls something that is not a function");
  const size_t count = args->as.items.count;
  pickle_value *first = count > 0 ? args->as.items.data[0] : NULL;
  switch (function->as.global->meaning) {
    case IS_OPAQUE:
      return push_new(m, PICKLE_OPAQUE, &value);
    case IS_DICT:
      TRY(push_new(m, PICKLE_DICT, &value));
      if (count == 0) return CLVGG_OK;
      if (first->kind != PICKLE_LIST && first->kind != PICKLE_TUPLE)
        return fail(m, "an OrderedDict is made of something else than pairs");
      return fill_dict(m, value, first);
    case IS_SIZE:
      if (count != 1 || (first->kind != PICKLE_TUPLE && first->kind != PICKLE_LIST))
        return fail(m, "a torch.Size is made of something else than a tuple");
      TRY(push_new(m, PICKLE_TUPLE, &value));
      value->as.items = first->as.items;
      value->as.items.capacity = first->as.items.count; /* shares the items: never written through this value */
      return CLVGG_OK;
    case IS_TENSOR:
      TRY(push_new(m, PICKLE_TENSOR, &value));
      return make_tensor(m, args, value);
    case IS_PARAMETER:
      if (count == 0 || first->kind != PICKLE_TENSOR) return fail(m, "a parameter holds no tensor");
      return push(m, first);
    case IS_STORAGE:
      break;
  }
  return fail(m, "it makes a storage that is not in the file");
}

/* a: 1 when a dict of keyword arguments lies on top */
static clvgg_status op_call(machine *m, unsigned a, unsigned b) {
  pickle_value *function = NULL, *args = NULL, *keywords;
  (void)b;
  if (a) TRY(pop(m, &keywords));
  TRY(pop(m, &args));
  TRY(pop(m, &function));
  return push_call(m, function, args);
}

/* An object's state: OrderedDict's _metadata and the like, of no use here. */
static clvgg_status op_build(machine *m, unsigned a, unsigned b) {
  pickle_value *state, *object = NULL;
  (void)a, (void)b;
  TRY(pop(m, &state));
  TRY(top(m, &object));
  if (object->kind != PICKLE_DICT && object->kind != PICKLE_OPAQUE && object->kind != PICKLE_TENSOR)
    return fail(m, "it sets the state of something that has none");
  return CLVGG_OK;
}

/* ('storage', class, key, location, elements[, view]), by torch.serialization's persistent_id */
static clvgg_status op_storage(machine *m, unsigned a, unsigned b) {
  pickle_value *id = NULL, *value;
  (void)a, (void)b;
  TRY(pop(m, &id));
  if (id->kind != PICKLE_TUPLE || id->as.items.count < 5 || !pickle_is_text(id->as.items.data[0], "storage"))
    return fail(m, "a persistent id is not a storage");
  pickle_value *const *item = id->as.items.data;
  if (item[1]->kind != PICKLE_GLOBAL || item[1]->as.global->meaning != IS_STORAGE || item[2]->kind != PICKLE_STRING ||
      item[4]->kind != PICKLE_INT || item[4]->as.integer < 0)
    return fail(m, "a storage's class, key or length is something else");
  if (id->as.items.count > 5 && item[5]->kind != PICKLE_NONE)
    return base_fail(
        CLVGG_ERROR_UNSUPPORTED,
        "holds storages that are views of others (PyTorch before 0.4): save it again with a newer PyTorch");
  TRY(push_new(m, PICKLE_STORAGE, &value));
  value->as.storage.type = item[1]->as.global;
  value->as.storage.key = item[2];
  value->as.storage.elements = (size_t)item[4]->as.integer;
  value->as.storage.previous = m->p->storages;
  m->p->storages = value;
  return CLVGG_OK;
}

static clvgg_status put(machine *m, uint64_t index) {
  pickle_value *value = NULL;
  TRY(top(m, &value));
  if (index >= MAX_VALUES) return fail(m, "its memo is too large");
  if (index >= m->memo_capacity) {
    const size_t before = m->memo_capacity;
    void *grown = array_grow(m->memo, &m->memo_capacity, (size_t)index + 1, sizeof *m->memo);
    if (grown == NULL) return no_memory();
    m->memo = grown;
    memset(m->memo + before, 0, (m->memo_capacity - before) * sizeof *m->memo);
  }
  if (m->memo[index] == NULL) m->memo_count++;
  m->memo[index] = value;
  return CLVGG_OK;
}

/* a: width of the index */
static clvgg_status op_put(machine *m, unsigned a, unsigned b) {
  uint64_t index;
  (void)b;
  TRY(take_number(m, a, &index));
  return put(m, index);
}

static clvgg_status op_memoize(machine *m, unsigned a, unsigned b) {
  (void)a, (void)b;
  return put(m, m->memo_count);
}

static clvgg_status op_get(machine *m, unsigned a, unsigned b) {
  uint64_t index;
  (void)b;
  TRY(take_number(m, a, &index));
  if (index >= m->memo_capacity || m->memo[index] == NULL) return fail(m, "it gets what it never put");
  return push(m, m->memo[index]);
}

static const struct opcode {
  clvgg_status (*run)(machine *m, unsigned a, unsigned b);
  unsigned a, b;
} opcodes[256] = {
    [0x80] = {op_proto, 1, 0},
    [0x95] = {op_frame, 8, 0},
    ['.'] = {op_stop, 0, 0},
    ['('] = {op_mark, 0, 0},
    ['0'] = {op_pop, 0, 0},
    ['1'] = {op_pop_mark, 0, 0},
    ['2'] = {op_dup, 0, 0},
    ['N'] = {op_constant, PICKLE_NONE, 0},
    [0x88] = {op_constant, PICKLE_BOOL, 1},
    [0x89] = {op_constant, PICKLE_BOOL, 0},
    [')'] = {op_constant, PICKLE_TUPLE, 0},
    [']'] = {op_constant, PICKLE_LIST, 0},
    ['}'] = {op_constant, PICKLE_DICT, 0},
    [0x8f] = {op_constant, PICKLE_OPAQUE, 0}, /* EMPTY_SET */
    ['J'] = {op_int, 4, 1},
    ['K'] = {op_int, 1, 0},
    ['M'] = {op_int, 2, 0},
    [0x8a] = {op_long, 1, 0},
    [0x8b] = {op_long, 4, 0},
    ['G'] = {op_float, 8, 0},
    ['X'] = {op_text, 4, PICKLE_STRING},
    [0x8c] = {op_text, 1, PICKLE_STRING},
    [0x8d] = {op_text, 8, PICKLE_STRING},
    ['T'] = {op_text, 4, PICKLE_STRING}, /* Python 2's str */
    ['U'] = {op_text, 1, PICKLE_STRING},
    ['B'] = {op_text, 4, PICKLE_BYTES},
    ['C'] = {op_text, 1, PICKLE_BYTES},
    [0x8e] = {op_text, 8, PICKLE_BYTES},
    [0x96] = {op_text, 8, PICKLE_BYTES}, /* BYTEARRAY8 */
    ['t'] = {op_collect, PICKLE_TUPLE, 0},
    ['l'] = {op_collect, PICKLE_LIST, 0},
    ['d'] = {op_collect, PICKLE_DICT, 0},
    [0x91] = {op_collect, PICKLE_OPAQUE, 0}, /* FROZENSET */
    [0x85] = {op_tuple, 1, 0},
    [0x86] = {op_tuple, 2, 0},
    [0x87] = {op_tuple, 3, 0},
    ['a'] = {op_append, PICKLE_LIST, 1},
    ['e'] = {op_append, PICKLE_LIST, 0},
    ['s'] = {op_append, PICKLE_DICT, 2},
    ['u'] = {op_append, PICKLE_DICT, 0},
    [0x90] = {op_append, PICKLE_OPAQUE, 0}, /* ADDITEMS */
    ['c'] = {op_global, 0, 0},
    [0x93] = {op_stack_global, 0, 0},
    ['R'] = {op_call, 0, 0},
    [0x81] = {op_call, 0, 0}, /* NEWOBJ */
    [0x92] = {op_call, 1, 0}, /* NEWOBJ_EX */
    ['b'] = {op_build, 0, 0},
    ['Q'] = {op_storage, 0, 0},
    ['q'] = {op_put, 1, 0},
    ['r'] = {op_put, 4, 0},
    [0x94] = {op_memoize, 0, 0},
    ['h'] = {op_get, 1, 0},
    ['j'] = {op_get, 4, 0},
};

static clvgg_status run(machine *m) {
  while (!m->done) {
    if (m->at == m->bytes) return fail(m, "it is cut short");
    const struct opcode *o = &opcodes[m->data[m->at]];
    if (o->run == NULL)
      return base_fail(CLVGG_ERROR_FORMAT, "damaged pickle: 0x%02x is no opcode of a checkpoint, at byte %zu",
                       (unsigned)m->data[m->at], m->at);
    m->at++;
    TRY(o->run(m, o->a, o->b));
  }
  return CLVGG_OK;
}

clvgg_status pickle_read(pickle *p, const unsigned char *data, size_t bytes, pickle_value **root, size_t *used) {
  machine m = {.p = p, .data = data, .bytes = bytes};
  clvgg_status status = run(&m);
  if (status == CLVGG_OK) status = pop(&m, root);
  *used = m.at;
  free(m.stack);
  free(m.marks);
  free(m.memo);
  return status;
}
