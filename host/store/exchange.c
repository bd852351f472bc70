/* Exports and imports. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "store/json.h"

/* The arrays of rows that a device's object has. */
static const struct array_row {
  const char *name;
  table_id id;
} arrays[] = {{"measurements", TABLE_MEASUREMENT}, {"plans", TABLE_PLAN}};
#define ARRAYS (sizeof arrays / sizeof *arrays)

/* ---- export */

typedef struct exporting {
  const tuning_key *key; /* NULL: all */
  json_t *devices;       /* array */
  row_array found;       /* tuning_device */
} exporting;

typedef struct array_export {
  const table *rows;
  json_t *array;
} array_export;

static int append_row(void *argument, const void *row) {
  const array_export *e = argument;
  return json_array_append_new(e->array, tuning_json_from_row(e->rows, row)) == 0 ? SQLITE_OK : SQLITE_NOMEM;
}

static int export_device(tuning *t, json_t *devices, const tuning_device *d) {
  json_t *object = tuning_json_from_row(&store_tables[TABLE_DEVICE], d);
  int code = object != NULL ? SQLITE_OK : SQLITE_NOMEM;
  for (size_t i = 0; i < ARRAYS && code == SQLITE_OK; i++) {
    array_export e = {.rows = &store_tables[arrays[i].id], .array = json_array()};
    code = json_object_set_new(object, arrays[i].name, e.array) == 0 ? SQLITE_OK : SQLITE_NOMEM;
    if (code == SQLITE_OK) code = store_select(t, arrays[i].id, SELECT_GROUP, d, append_row, &e);
  }
  if (code == SQLITE_OK && json_array_append(devices, object) != 0) code = SQLITE_NOMEM;
  json_decref(object);
  return code;
}

static int export_all(tuning *t, void *argument) {
  exporting *e = argument;
  json_array_clear(e->devices);
  e->found.count = 0;
  const tuning_device one = {.device = e->key != NULL ? store_key_id(e->key) : 0};
  int code = store_select(t, TABLE_DEVICE, e->key != NULL ? SELECT_ROW : SELECT_ALL, &one, row_array_add, &e->found);
  for (size_t i = 0; i < e->found.count && code == SQLITE_OK; i++)
    code = export_device(t, e->devices, (const tuning_device *)e->found.rows + i);
  return code;
}

clvgg_status tuning_export(tuning *t, const tuning_key *key, const char *path) {
  tuning_key cleaned;
  exporting e = {.devices = json_array(), .found = {.row_bytes = sizeof(tuning_device)}};
  if (key != NULL) {
    cleaned = store_clean_key(key);
    e.key = &cleaned;
  }
  clvgg_status status = CLVGG_OK;
  char *text = NULL;
  json_t *root =
      json_pack("{s:s, s:i, s:O}", "format", TUNING_JSON_FORMAT, "version", TUNING_JSON_VERSION, "devices", e.devices);
  if (root != NULL) status = store_run(t, false, export_all, &e);
  if (root != NULL && status == CLVGG_OK) text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  if (status == CLVGG_OK && text == NULL) status = base_fail(CLVGG_ERROR_MEMORY, "%s: no memory to write it", path);
  if (status == CLVGG_OK) status = file_write(path, text, strlen(text));
  free(text);
  free(e.found.rows);
  json_decref(e.devices);
  json_decref(root);
  return status;
}

/* ---- import */

typedef struct importing {
  const char *path;
  json_t *root;
  tuning_source source;
  const tuning_key *key; /* NULL: each device's own */
  tuning_import_report report;
} importing;

/* The largest of the two that arrays name. */
typedef union imported_row {
  tuning_measurement measurement;
  tuning_plan plan;
} imported_row;

static clvgg_status parse_row(const importing *im, table_id id, const json_t *object, int64_t device,
                              imported_row *row) {
  TRY(tuning_json_to_row(&store_tables[id], object, row));
  if (id == TABLE_PLAN) {
    row->plan.device = device;
    row->plan.source = im->source;
    return CLVGG_OK;
  }
  row->measurement.device = device;
  row->measurement.source = im->source;
  if (row->measurement.state == TUNING_OK && row->measurement.seconds == 0 && im->source != TUNING_PRESET)
    return base_fail(CLVGG_ERROR_FORMAT, "seconds: found 0 for an algorithm that ran, expected more");
  return CLVGG_OK;
}

static clvgg_status parse_device(const importing *im, const json_t *object, tuning_device *d) {
  TRY(tuning_json_to_row(&store_tables[TABLE_DEVICE], object, d));
  if (im->key != NULL) d->key = *im->key; /* with the peaks that its times belong to */
  d->device = store_key_id(&d->key);
  for (size_t k = 0; k < ARRAYS; k++) {
    const json_t *list = json_object_get(object, arrays[k].name);
    if (list != NULL && !json_is_array(list)) return base_fail(CLVGG_ERROR_FORMAT, "%s: is no array", arrays[k].name);
  }
  return CLVGG_OK;
}

/* Everything is checked before anything is written. */
static clvgg_status check(const importing *im) {
  const json_t *devices = json_object_get(im->root, "devices"), *device, *object;
  size_t i, k;
  tuning_device d;
  imported_row row;
  json_array_foreach(devices, i, device) {
    if (parse_device(im, device, &d) != CLVGG_OK)
      return base_fail_in(CLVGG_ERROR_FORMAT, "%s: devices[%zu]", im->path, i);
    for (size_t a = 0; a < ARRAYS; a++) {
      json_array_foreach(json_object_get(device, arrays[a].name), k, object) {
        if (parse_row(im, arrays[a].id, object, d.device, &row) != CLVGG_OK)
          return base_fail_in(CLVGG_ERROR_FORMAT, "%s: devices[%zu].%s[%zu]", im->path, i, arrays[a].name, k);
      }
    }
  }
  return CLVGG_OK;
}

/* Peaks that were measured here stay. */
static int import_device(tuning *t, const tuning_device *d) {
  tuning_device here;
  bool found;
  const int code = store_get(t, TABLE_DEVICE, d, &here, &found);
  if (code != SQLITE_OK) return code;
  const bool known = found && (here.peak_gflops > 0 || here.peak_gbytes_per_s > 0);
  return store_touch_device(t, &d->key, known ? 0 : d->peak_gflops, known ? 0 : d->peak_gbytes_per_s);
}

static int write_rows(tuning *t, void *argument) {
  importing *im = argument;
  const json_t *devices = json_object_get(im->root, "devices"), *device, *object;
  size_t i, k;
  tuning_device d;
  imported_row row;
  int code = SQLITE_OK;
  im->report = (tuning_import_report){0};
  json_array_foreach(devices, i, device) {
    if (parse_device(im, device, &d) != CLVGG_OK) return SQLITE_ABORT; /* not after check */
    code = import_device(t, &d);
    for (size_t a = 0; a < ARRAYS && code == SQLITE_OK; a++) {
      json_array_foreach(json_object_get(device, arrays[a].name), k, object) {
        bool changed = false;
        if (parse_row(im, arrays[a].id, object, d.device, &row) != CLVGG_OK) return SQLITE_ABORT;
        code = store_merge(t, arrays[a].id, &row, &changed);
        if (code != SQLITE_OK) return code;
        im->report.rows++;
        im->report.changed += changed;
      }
    }
    if (code != SQLITE_OK) return code;
  }
  return SQLITE_OK;
}

clvgg_status tuning_json_import(tuning *t, const char *path, json_t *root, tuning_source source, const tuning_key *key,
                                tuning_import_report *report) {
  importing im = {.path = path, .root = root, .source = source, .key = key};
  TRY(check(&im));
  TRY(store_run(t, true, write_rows, &im));
  if (report != NULL) *report = im.report;
  return CLVGG_OK;
}

clvgg_status tuning_import(tuning *t, const char *path, tuning_import_report *report) {
  json_t *root;
  if (report != NULL) *report = (tuning_import_report){0};
  TRY(tuning_json_load(path, &root));
  const clvgg_status status = tuning_json_import(t, path, root, TUNING_IMPORTED, NULL, report);
  json_decref(root);
  return status;
}
