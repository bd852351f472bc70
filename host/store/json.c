/* Rows to JSON and back, field by field as the tables say. */
#include "store/json.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

/* ---- out */

static json_t *value_of(const column *c, const void *row) {
  const char *at = (const char *)row + c->offset;
  int64_t integer;
  double real;
  int name;
  switch (c->kind) {
    case COLUMN_ID:
    case COLUMN_INTEGER:
      memcpy(&integer, at, sizeof integer);
      return json_integer(integer);
    case COLUMN_REAL:
      memcpy(&real, at, sizeof real);
      return json_real(real);
    case COLUMN_NAME:
      memcpy(&name, at, sizeof name);
      return json_string(c->names[name]);
    case COLUMN_TEXT:
      break;
  }
  return json_string(at);
}

json_t *tuning_json_from_row(const table *t, const void *row) {
  json_t *object = json_object();
  for (size_t i = 0; i < t->count && object != NULL; i++) {
    if (t->columns[i].local) continue;
    if (json_object_set_new(object, t->columns[i].name, value_of(&t->columns[i], row)) == 0) continue;
    json_decref(object);
    object = NULL;
  }
  return object;
}

/* ---- in */

/* What a value is, for an error text. */
static const char *describe(const json_t *value, char out[80]) {
  switch (json_typeof(value)) {
    case JSON_STRING:
      snprintf(out, 80, "\"%.60s\"", json_string_value(value));
      break;
    case JSON_INTEGER:
      snprintf(out, 80, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
      break;
    case JSON_REAL:
      snprintf(out, 80, "%g", json_real_value(value));
      break;
    case JSON_OBJECT:
      return "an object";
    case JSON_ARRAY:
      return "an array";
    case JSON_TRUE:
      return "true";
    case JSON_FALSE:
      return "false";
    case JSON_NULL:
      return "null";
  }
  return out;
}

static clvgg_status unexpected(const column *c, const json_t *value, const char *expected) {
  char found[80];
  return base_fail(CLVGG_ERROR_FORMAT, "%s: found %s, expected %s", c->name, describe(value, found), expected);
}

static clvgg_status read_text(const column *c, const json_t *value, char *to) {
  const char *text = json_string_value(value);
  char expected[80];
  snprintf(expected, sizeof expected, "a text of at most %zu bytes, without control characters", c->bytes - 1);
  if (text == NULL || strlen(text) >= c->bytes) return unexpected(c, value, expected);
  memcpy(to, text, strlen(text) + 1);
  text_clean(to, c->bytes);
  return strcmp(to, text) == 0 ? CLVGG_OK : unexpected(c, value, expected);
}

static clvgg_status read_name(const column *c, const json_t *value, void *to) {
  const char *text = json_string_value(value);
  char expected[128] = "one of";
  for (int i = 0; c->names[i] != NULL; i++) {
    if (text != NULL && strcmp(text, c->names[i]) == 0) {
      memcpy(to, &i, sizeof i);
      return CLVGG_OK;
    }
    const size_t length = strlen(expected);
    snprintf(expected + length, sizeof expected - length, " %s", c->names[i]);
  }
  return unexpected(c, value, expected);
}

static clvgg_status read_field(const column *c, const json_t *value, void *row) {
  void *to = (char *)row + c->offset;
  switch (c->kind) {
    case COLUMN_TEXT:
      return read_text(c, value, to);
    case COLUMN_NAME:
      return read_name(c, value, to);
    case COLUMN_REAL:
      if (!json_is_number(value)) return unexpected(c, value, "a number");
      memcpy(to, &(double){json_number_value(value)}, sizeof(double));
      break;
    case COLUMN_ID:
    case COLUMN_INTEGER:
      if (!json_is_integer(value)) return unexpected(c, value, "a whole number");
      memcpy(to, &(int64_t){json_integer_value(value)}, sizeof(int64_t));
      break;
  }
  return CLVGG_OK;
}

clvgg_status tuning_json_to_row(const table *t, const json_t *object, void *row) {
  memset(row, 0, t->row_bytes);
  if (!json_is_object(object)) return base_fail(CLVGG_ERROR_FORMAT, "is no object");
  for (size_t i = 0; i < t->count; i++) {
    const column *c = &t->columns[i];
    const json_t *value = c->local ? NULL : json_object_get(object, c->name);
    if (value != NULL) {
      TRY(read_field(c, value, row));
    } else if (c->required || strcmp(c->name, "state") == 0) {
      return base_fail(CLVGG_ERROR_FORMAT, "%s: is missing", c->name);
    }
  }
  table_clean(t, row);
  return table_check(t, row) == CLVGG_OK ? CLVGG_OK : CLVGG_ERROR_FORMAT;
}

/* ---- files */

static clvgg_status check_head(const json_t *root) {
  const json_t *version = json_object_get(root, "version");
  const char *format = json_string_value(json_object_get(root, "format"));
  if (format == NULL || strcmp(format, TUNING_JSON_FORMAT) != 0)
    return base_fail(CLVGG_ERROR_FORMAT, "format: found \"%.60s\", expected \"%s\"", format != NULL ? format : "",
                     TUNING_JSON_FORMAT);
  if (!json_is_integer(version) || json_integer_value(version) < 1)
    return base_fail(CLVGG_ERROR_FORMAT, "version: found none, expected %d", TUNING_JSON_VERSION);
  if (json_integer_value(version) > TUNING_JSON_VERSION)
    return base_fail(CLVGG_ERROR_UNSUPPORTED,
                     "version: found %" JSON_INTEGER_FORMAT ", expected at most %d: it is from a newer clvgg",
                     json_integer_value(version), TUNING_JSON_VERSION);
  if (!json_is_array(json_object_get(root, "devices")))
    return base_fail(CLVGG_ERROR_FORMAT, "devices: found none, expected an array");
  return CLVGG_OK;
}

static clvgg_status parse(const file_map *file, json_t **out) {
  json_error_t error;
  if (file->bytes > TUNING_JSON_MOST_BYTES)
    return base_fail(CLVGG_ERROR_TOO_LARGE, "has %zu bytes, expected at most %zu", file->bytes, TUNING_JSON_MOST_BYTES);
  *out = json_loadb((const char *)file->data, file->bytes, JSON_REJECT_DUPLICATES, &error);
  if (*out == NULL)
    return base_fail(CLVGG_ERROR_FORMAT, "line %d, column %d: %s", error.line, error.column, error.text);
  return check_head(*out);
}

clvgg_status tuning_json_load(const char *path, json_t **out) {
  file_map file;
  *out = NULL;
  TRY(file_map_open(path, &file));
  const clvgg_status status = parse(&file, out);
  file_map_close(&file);
  if (status == CLVGG_OK) return CLVGG_OK;
  json_decref(*out);
  *out = NULL;
  return base_fail_in(status, "%s", path);
}
