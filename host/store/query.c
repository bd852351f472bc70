/* Rows found: of exactly a key, and of the same device with other software. */
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/* What is asked for: rows of a key, all or that of one key of the table. */
typedef struct query {
  table_id id;
  tuning_key key;
  const void *wanted; /* its key columns but for the device; NULL: all rows */
  row_array found;
  row_array devices; /* same hardware, other software; newest first */
} query;

static bool same_hardware(const tuning_key *a, const tuning_key *b) {
  return strcmp(a->name, b->name) == 0 && strcmp(a->vendor, b->vendor) == 0 && a->compute_units == b->compute_units;
}

static int see_device(void *argument, const void *row) {
  query *q = argument;
  const tuning_device *d = row;
  const bool other = same_hardware(&d->key, &q->key) && d->device != store_key_id(&q->key);
  return other ? row_array_add(&q->devices, row) : SQLITE_OK;
}

static int by_age(const void *a, const void *b) {
  const tuning_device *x = a, *y = b;
  if (x->created != y->created) return x->created > y->created ? -1 : 1;
  return (x->device > y->device) - (x->device < y->device);
}

/* A failure says nothing about another driver. */
static int see_other(void *argument, const void *row) {
  query *q = argument;
  if (q->id == TABLE_MEASUREMENT) {
    tuning_measurement m = *(const tuning_measurement *)row;
    m.other_software = true;
    return m.state == TUNING_OK ? row_array_add(&q->found, &m) : SQLITE_OK;
  }
  tuning_plan p = *(const tuning_plan *)row;
  p.other_software = true;
  return p.state == TUNING_ACCEPTED ? row_array_add(&q->found, &p) : SQLITE_OK;
}

static int select_of(tuning *t, query *q, int64_t device, store_visit visit, void *argument) {
  union {
    int64_t device; /* the first field of every row */
    tuning_measurement measurement;
    tuning_plan plan;
  } key = {.device = device};
  if (q->wanted) memcpy(&key, q->wanted, store_tables[q->id].row_bytes);
  key.device = device;
  return store_select(t, q->id, q->wanted ? SELECT_ROW : SELECT_GROUP, &key, visit, argument);
}

static int run_query(tuning *t, void *argument) {
  query *q = argument;
  q->found.count = q->devices.count = 0;
  int code = select_of(t, q, store_key_id(&q->key), row_array_add, &q->found);
  if (code != SQLITE_OK || (q->wanted && q->found.count)) return code;
  code = store_select(t, TABLE_DEVICE, SELECT_ALL, NULL, see_device, q);
  if (q->devices.count > 1) qsort(q->devices.rows, q->devices.count, q->devices.row_bytes, by_age);
  for (size_t i = 0; i < q->devices.count && code == SQLITE_OK; i++)
    code = select_of(t, q, ((const tuning_device *)q->devices.rows)[i].device, see_other, q);
  return code;
}

static clvgg_status answer(tuning *t, query *q, void **rows, size_t *count) {
  q->found.row_bytes = store_tables[q->id].row_bytes;
  q->devices.row_bytes = sizeof(tuning_device);
  const clvgg_status status = store_run(t, false, run_query, q);
  free(q->devices.rows);
  *rows = NULL;
  *count = 0;
  if (status == CLVGG_OK && q->found.count) {
    *rows = q->found.rows;
    *count = q->found.count;
  } else {
    free(q->found.rows);
  }
  return status;
}

clvgg_status tuning_list(tuning *t, const tuning_key *key, tuning_measurement **rows, size_t *count) {
  query q = {.id = TABLE_MEASUREMENT, .key = store_clean_key(key)};
  void *found;
  const clvgg_status status = answer(t, &q, &found, count);
  *rows = found;
  return status;
}

clvgg_status tuning_list_plans(tuning *t, const tuning_key *key, tuning_plan **rows, size_t *count) {
  query q = {.id = TABLE_PLAN, .key = store_clean_key(key)};
  void *found;
  const clvgg_status status = answer(t, &q, &found, count);
  *rows = found;
  return status;
}

/* False when it does not fit: then no row has it. */
static bool set_text(char *out, size_t bytes, const char *text) {
  const size_t length = strlen(text);
  if (length >= bytes) return false;
  memcpy(out, text, length + 1);
  text_clean(out, bytes);
  return true;
}

clvgg_status tuning_find(tuning *t, const tuning_key *key, const char *problem, const char *algorithm,
                         const char *parameters, tuning_measurement *out, bool *found) {
  *found = false;
  *out = (tuning_measurement){0};
  tuning_measurement wanted = {0};
  if (!set_text(wanted.problem, sizeof wanted.problem, problem) ||
      !set_text(wanted.algorithm, sizeof wanted.algorithm, algorithm) ||
      !set_text(wanted.parameters, sizeof wanted.parameters, parameters))
    return CLVGG_OK;
  query q = {.id = TABLE_MEASUREMENT, .key = store_clean_key(key), .wanted = &wanted};
  void *rows;
  size_t count;
  TRY(answer(t, &q, &rows, &count));
  const tuning_measurement *all = rows, *newest = all;
  for (size_t i = 1; i < count; i++)
    if (all[i].created > newest->created) newest = &all[i];
  *found = count > 0;
  if (*found) *out = *newest;
  free(rows);
  return CLVGG_OK;
}

clvgg_status tuning_find_plan(tuning *t, const tuning_key *key, const char *network, tuning_plan *out, bool *found) {
  *found = false;
  *out = (tuning_plan){0};
  tuning_plan wanted = {0};
  if (!set_text(wanted.network, sizeof wanted.network, network)) return CLVGG_OK;
  query q = {.id = TABLE_PLAN, .key = store_clean_key(key), .wanted = &wanted};
  void *rows;
  size_t count;
  TRY(answer(t, &q, &rows, &count));
  const tuning_plan *all = rows, *newest = all;
  for (size_t i = 1; i < count; i++)
    if (all[i].created > newest->created) newest = &all[i];
  *found = count > 0;
  if (*found) *out = *newest;
  free(rows);
  return CLVGG_OK;
}

/* ---- devices, events */

typedef struct device_query {
  tuning_device row;
  int64_t device;
  bool found;
} device_query;

static int get_device(tuning *t, void *argument) {
  device_query *q = argument;
  q->row = (tuning_device){.device = q->device};
  return store_get(t, TABLE_DEVICE, &q->row, &q->row, &q->found);
}

clvgg_status tuning_find_device(tuning *t, const tuning_key *key, tuning_device *out, bool *found) {
  const tuning_key cleaned = store_clean_key(key);
  device_query q = {.device = store_key_id(&cleaned)};
  *found = false;
  *out = (tuning_device){0};
  TRY(store_run(t, false, get_device, &q));
  *found = q.found;
  if (q.found) *out = q.row;
  return CLVGG_OK;
}

static int get_devices(tuning *t, void *argument) {
  row_array *a = argument;
  a->count = 0;
  return store_select(t, TABLE_DEVICE, SELECT_ALL, NULL, row_array_add, a);
}

clvgg_status tuning_list_devices(tuning *t, tuning_device **rows, size_t *count) {
  row_array a = {.row_bytes = sizeof(tuning_device)};
  const clvgg_status status = store_run(t, false, get_devices, &a);
  *rows = NULL;
  *count = 0;
  if (status == CLVGG_OK && a.count) {
    *rows = a.rows;
    *count = a.count;
  } else {
    free(a.rows);
  }
  return status;
}

typedef struct event_query {
  tuning_event key;
  int64_t session;
  row_array found;
} event_query;

/* Keeps those of the largest session seen. */
static int see_event(void *argument, const void *row) {
  event_query *q = argument;
  const tuning_event *e = row;
  if (strcmp(e->network, q->key.network) != 0 || e->session < q->session) return SQLITE_OK;
  if (e->session > q->session) q->found.count = 0;
  q->session = e->session;
  return row_array_add(&q->found, e);
}

static int get_events(tuning *t, void *argument) {
  event_query *q = argument;
  q->found.count = 0;
  q->session = 0;
  return store_select(t, TABLE_EVENT, SELECT_GROUP, &q->key, see_event, q);
}

clvgg_status tuning_list_events(tuning *t, const tuning_key *key, const char *network, tuning_event **rows,
                                size_t *count) {
  const tuning_key cleaned = store_clean_key(key);
  event_query q = {.key = {.device = store_key_id(&cleaned)}, .found = {.row_bytes = sizeof(tuning_event)}};
  *rows = NULL;
  *count = 0;
  if (!set_text(q.key.network, sizeof q.key.network, network)) return CLVGG_OK;
  const clvgg_status status = store_run(t, false, get_events, &q);
  if (status == CLVGG_OK && q.found.count) {
    *rows = q.found.rows;
    *count = q.found.count;
  } else {
    free(q.found.rows);
  }
  return status;
}
