/* Reads the nearest preset's rows. */
#include "tune/preset.h"

#include <stdlib.h>
#include <string.h>

#include "algo/text.h"
#include "base/size.h"
#include "store/tuning.h"
#include "tune/rows.h"

/* The rows, which the caller frees; none where there is no preset. */
static clvgg_status read_rows(const clvgg_device_info *dev, tuning_measurement **rows, size_t *count,
                              double *flops_per_s) {
  tuning *t = NULL;
  tuning_key key;
  tuning_device device;
  char name[256];
  bool found = false;
  *rows = NULL;
  *count = 0;
  *flops_per_s = 0;
  rows_key(dev, &key);
  clvgg_status status = tuning_preset_load(NULL, dev, &key, &t, name);
  if (!status && t) status = tuning_list(t, &key, rows, count);
  if (!status && t) status = tuning_find_device(t, &key, &device, &found);
  if (found) *flops_per_s = device.peak_gflops * 1e9;
  tuning_close(&t);
  if (!status || status == CLVGG_ERROR_MEMORY) return status;
  base_log("presets are not used: %s", clvgg_last_error());
  free(*rows);
  *rows = NULL;
  *count = 0;
  return CLVGG_OK;
}

/* False where the row is about something that this version does not have. */
static bool read_row(const tuning_measurement *row, tune_known *out, bool *all_of_op) {
  *out = (tune_known){.algo = algo_find(row->algorithm), .seconds = row->seconds};
  if (!out->algo || row->state != TUNING_OK || !algo_params_parse(out->algo, row->parameters, out->param)) return false;
  *all_of_op = strcmp(row->problem, layer_op_name(out->algo->op)) == 0;
  return *all_of_op || (algo_problem_parse(row->problem, &out->problem) && out->problem.shape.op == out->algo->op);
}

clvgg_status preset_costs(const clvgg_device_info *dev, plan_costs *costs) {
  tuning_measurement *rows;
  size_t count;
  *costs = (plan_costs){0};
  TRY(read_rows(dev, &rows, &count, &costs->flops_per_s));
  clvgg_status status = CLVGG_OK;
  for (size_t i = 0; i < count && costs->flops_per_s > 0 && !status; i++) {
    tune_known k;
    bool all_of_op;
    if (read_row(&rows[i], &k, &all_of_op) && !all_of_op && k.seconds > 0)
      status = costs_add_from(costs, k.algo, &k.problem, k.param, k.seconds, "preset");
  }
  free(rows);
  if (status) costs_free(costs);
  return status;
}

/* A row for all problems of its op: one for each that the network has. */
static clvgg_status suggest_all(const layer *layers, size_t count, tune_known k, tune_task *task) {
  for (size_t i = 0; i < count; i++) {
    k.problem.shape = layers[i].shape;
    if (k.problem.shape.op == k.algo->op) TRY(task_know(task, &k));
    if (k.algo->pools && plan_pooled_shape(layers, count, i, &k.problem.shape)) TRY(task_know(task, &k));
  }
  return CLVGG_OK;
}

clvgg_status preset_suggest(const clvgg_device_info *dev, const layer *layers, size_t count, tune_task *task) {
  tuning_measurement *rows;
  size_t row_count;
  double flops_per_s;
  TRY(read_rows(dev, &rows, &row_count, &flops_per_s));
  clvgg_status status = CLVGG_OK;
  for (size_t i = 0; i < row_count && !status; i++) {
    tune_known k;
    bool all_of_op;
    if (!read_row(&rows[i], &k, &all_of_op)) continue;
    k.seconds = 0; /* of another device: only a suggestion */
    if (all_of_op) {
      k.problem = (algo_problem){.batch = task->options.max_batch, .block = algo_block(dev)};
      status = suggest_all(layers, count, k, task);
    } else {
      status = task_know(task, &k);
    }
  }
  free(rows);
  return status;
}
