/* Rows as JSON objects: one shape for exports, imports and presets. */
#ifndef CLVGG_STORE_JSON_H
#define CLVGG_STORE_JSON_H

#include <jansson.h>

#include "store/internal.h"

/* The file, its format and version checked. json_decref it. */
clvgg_status tuning_json_load(const char *path, json_t **out);

/* A row's fields but for the local ones. NULL without memory. */
json_t *tuning_json_from_row(const table *t, const void *row);
/* The other way; what is missing is "" or 0. The error text names the field, what was found and what was expected. */
clvgg_status tuning_json_to_row(const table *t, const json_t *object, void *row);

/* All rows of the file, recorded with that source: all, or on an error none. key NULL: under each device's own, with its peaks
 * where there are none; else all under that one, without peaks. */
clvgg_status tuning_json_import(tuning *t, const char *path, json_t *root, tuning_source source, const tuning_key *key,
                                tuning_import_report *report);

#endif
