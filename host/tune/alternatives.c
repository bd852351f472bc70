/* Reads from the tuning database what was tried for a step of a plan, and the history of a network's search. */
#include "tune/alternatives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/text.h"
#include "base/file.h"
#include "tune/rows.h"

/* NULL, with CLVGG_OK, when there is none: reading makes no file. */
static clvgg_status open_existing(tuning **out) {
  char path[4096];
  *out = NULL;
  if (file_user_path(TUNING_FILE, path, sizeof path) || !file_exists(path)) return CLVGG_OK;
  return tuning_open(NULL, out);
}

/* ---- alternatives */

/* The rows of one algorithm with parameters on the step's problem. */
typedef struct tried {
  const tuning_measurement *network, *alone, *failed; /* NULL where there is none */
} tried;

/* What rows are compared with. */
typedef struct wanted {
  const plan_step *step;
  plan_options wishes;
  char params[ALGO_PARAMS_BYTES];  /* of the step */
  tuning_measurement network_like; /* a row of the step's problem, in the network */
  tuning_measurement alone_like;   /* by itself */
  tried own, *others;              /* (count) */
  size_t count;
} wanted;

/* Whether an algorithm could do the step in this engine's plan. */
static bool could_do(const wanted *w, const char *name) {
  size_t k = 0;
  while (k < algo_count() && strcmp(algo_get(k)->name, name) != 0) k++;
  if (k == algo_count() || !plan_allows(&w->wishes, k)) return false;
  const algo *a = algo_get(k), *own = w->step->algo;
  /* Changes of layout in both directions are one problem. */
  if (a->op == LAYER_CONVERT && (a->in != own->in || a->out != own->out)) return false;
  return a->in != ALGO_RGB8 || w->wishes.rgb8;
}

/* The row that counts; NULL where there is none. */
static const tuning_measurement *row_of(const tried *t) {
  return t->failed ? t->failed : t->network ? t->network : t->alone;
}

static bool same_way(const tried *t, const tuning_measurement *row) {
  const tuning_measurement *any = row_of(t);
  return any && strcmp(any->algorithm, row->algorithm) == 0 && strcmp(any->parameters, row->parameters) == 0;
}

static void sort_in(wanted *w, const tuning_measurement *row, bool alone) {
  tried *to = NULL;
  if (strcmp(row->algorithm, w->step->algo->name) == 0 && strcmp(row->parameters, w->params) == 0) to = &w->own;
  for (size_t i = 0; i < w->count && !to; i++)
    if (same_way(&w->others[i], row)) to = &w->others[i];
  if (!to) {
    to = &w->others[w->count++];
    *to = (tried){0};
  }
  if (row->state != TUNING_OK)
    to->failed = row;
  else if (alone)
    to->alone = row;
  else
    to->network = row;
}

static clvgg_status sort_rows(wanted *w, const tuning_measurement *rows, size_t row_count) {
  w->others = calloc(row_count ? row_count : 1, sizeof *w->others);
  if (!w->others) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu rows of tuning", row_count);
  for (size_t i = 0; i < row_count; i++) {
    const tuning_measurement *row = &rows[i];
    const bool alone = strcmp(row->problem, w->alone_like.problem) == 0;
    /* Of a preset, a row without a time says what to prefer, not what was measured. */
    if (row->other_software || (row->state == TUNING_OK && row->seconds <= 0) ||
        (!alone && strcmp(row->problem, w->network_like.problem) != 0) || !could_do(w, row->algorithm))
      continue;
    sort_in(w, row, alone);
  }
  return CLVGG_OK;
}

static double ratio(const tuning_measurement *a, const tuning_measurement *own) {
  return own ? a->seconds / own->seconds : 0;
}

static void describe(const tried *t, const tried *own, clvgg_alternative *out) {
  const tuning_measurement *row = row_of(t);
  *out = (clvgg_alternative){.in_network = row == t->network};
  if (!row) return;
  snprintf(out->algorithm, sizeof out->algorithm, "%s", row->algorithm);
  snprintf(out->parameters, sizeof out->parameters, "%s", row->parameters);
  snprintf(out->source, sizeof out->source, "%s", tuning_source_name(row->source));
  if (row == t->failed) {
    snprintf(out->fault, sizeof out->fault, "%s", tuning_state_name(row->state));
    snprintf(out->reason, sizeof out->reason, "%s", row->reason);
    return;
  }
  out->ms = row->seconds * 1e3;
  out->slower = ratio(row, out->in_network ? own->network : own->alone);
}

/* Those timed in the network came so far because they were the fastest by themselves. */
static int stage(const clvgg_alternative *a) {
  return a->fault[0] ? 2 : !a->in_network;
}

static int compare(const void *left, const void *right) {
  const clvgg_alternative *a = left, *b = right;
  if (stage(a) != stage(b)) return stage(a) - stage(b);
  if (a->ms != b->ms) return a->ms < b->ms ? -1 : 1;
  const int by_name = strcmp(a->algorithm, b->algorithm);
  return by_name ? by_name : strcmp(a->parameters, b->parameters);
}

static clvgg_status list_tried(const wanted *w, clvgg_alternative **list, size_t *count) {
  if (w->count == 0) return CLVGG_OK;
  *list = calloc(w->count, sizeof **list);
  if (!*list) return base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu alternatives", w->count);
  *count = w->count;
  for (size_t i = 0; i < w->count; i++) describe(&w->others[i], &w->own, &(*list)[i]);
  qsort(*list, *count, sizeof **list, compare);
  return CLVGG_OK;
}

clvgg_status alternatives_of_step(const clvgg_device_info *dev, const plan_step *step,
                                  const clvgg_engine_options *options, clvgg_alternative **list, size_t *count) {
  wanted w = {.step = step, .wishes = engine_wishes(options)};
  char problem[ALGO_PROBLEM_BYTES];
  tuning_key key;
  tuning *db = NULL;
  tuning_measurement *rows = NULL;
  size_t row_count = 0;
  *list = NULL;
  *count = 0;
  algo_problem_text(&step->problem, problem);
  algo_params_text(step->algo, step->param, w.params, sizeof w.params);
  rows_measurement(problem, "", "", false, &w.network_like);
  rows_measurement(problem, "", "", true, &w.alone_like);
  rows_key(dev, &key);
  TRY(open_existing(&db));
  clvgg_status status = db ? tuning_list(db, &key, &rows, &row_count) : CLVGG_OK;
  tuning_close(&db);
  if (!status) status = sort_rows(&w, rows, row_count);
  if (!status) status = list_tried(&w, list, count);
  free(w.others);
  free(rows);
  return status;
}

/* ---- history */

/* "PROBLEM | ALGORITHM | PARAMETERS"; fields get pointers into text. False: it is not that. */
static bool split(char *text, char *fields[3]) {
  for (int i = 0; i < 3; i++) {
    fields[i] = text;
    char *bar = strstr(text, " | ");
    if ((i < 2) != (bar != NULL)) return false;
    if (!bar) continue;
    *bar = '\0';
    text = bar + 3;
  }
  return true;
}

/* The first layer of the problem, alone or with the pooling after it; "" when there is none. */
static void name_layer(const layer *layers, size_t count, algo_problem like, const char *text, char out[52]) {
  char other[ALGO_PROBLEM_BYTES];
  out[0] = '\0';
  for (size_t i = 0; i < count; i++) {
    like.shape = layers[i].shape;
    if (strcmp(algo_problem_text(&like, other), text) == 0) {
      snprintf(out, 52, "%s", layers[i].name);
      return;
    }
    if (!plan_pooled_shape(layers, count, i, &like.shape) || strcmp(algo_problem_text(&like, other), text) != 0)
      continue;
    snprintf(out, 52, "%s+%s", layers[i].name, layers[i + 1].name);
    return;
  }
}

/* How a candidate that has no time failed. */
static clvgg_status find_fault(tuning *db, const tuning_key *key, char *const *fields, clvgg_tune_event *out) {
  tuning_measurement row;
  bool found = false;
  TRY(tuning_find(db, key, fields[0], fields[1], fields[2], &row, &found));
  const bool known = found && !row.other_software && row.state != TUNING_OK;
  snprintf(out->fault, sizeof out->fault, "%s", known ? tuning_state_name(row.state) : "error");
  return CLVGG_OK;
}

clvgg_status alternatives_history(const clvgg_device_info *dev, const layer *layers, size_t layer_count,
                                  const clvgg_engine_options *options, clvgg_tune_event **list, size_t *count) {
  const algo_problem like = {.batch = options->max_batch, .block = algo_block(dev)};
  char name[ROWS_NETWORK_BYTES];
  tuning_key key;
  tuning *db = NULL;
  tuning_event *rows = NULL;
  size_t row_count = 0;
  *list = NULL;
  *count = 0;
  rows_network(layers, layer_count, options, name);
  rows_key(dev, &key);
  TRY(open_existing(&db));
  clvgg_status status = db ? tuning_list_events(db, &key, name, &rows, &row_count) : CLVGG_OK;
  if (!status && row_count && !(*list = calloc(row_count, sizeof **list)))
    status = base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu events", row_count);
  for (size_t i = 0; i < row_count && !status; i++) {
    clvgg_tune_event *out = &(*list)[*count];
    char *fields[3];
    *out = (clvgg_tune_event){.seconds = rows[i].seconds, .ms = rows[i].ms, .best_ms = rows[i].best_ms};
    if (rows[i].candidate[0]) {
      if (!split(rows[i].candidate, fields)) continue;
      name_layer(layers, layer_count, like, fields[0], out->layer);
      snprintf(out->algorithm, sizeof out->algorithm, "%.63s", fields[1]);
      snprintf(out->parameters, sizeof out->parameters, "%.191s", fields[2]);
      if (out->ms <= 0) status = find_fault(db, &key, fields, out);
    }
    ++*count;
  }
  tuning_close(&db);
  free(rows);
  if (!status && *count) return CLVGG_OK;
  free(*list);
  *list = NULL;
  *count = 0;
  return status;
}
