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

clvgg_status preset_open(const clvgg_device_info *dev, preset *out) {
  tuning_measurement *rows;
  size_t count;
  *out = (preset){0};
  TRY(read_rows(dev, &rows, &count, &out->costs.flops_per_s));
  clvgg_status status = CLVGG_OK;
  out->preferred = calloc(count ? count : 1, sizeof *out->preferred);
  if (!out->preferred) status = base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu preset rows", count);
  for (size_t i = 0; i < count && !status; i++) {
    tune_known k;
    bool all_of_op;
    if (!read_row(&rows[i], &k, &all_of_op)) continue;
    if (all_of_op) {
      out->preferred[out->preferred_count].algo = k.algo;
      memcpy(out->preferred[out->preferred_count++].param, k.param, sizeof k.param);
    } else if (k.seconds > 0 && out->costs.flops_per_s > 0) {
      status = costs_add_from(&out->costs, k.algo, &k.problem, k.param, k.seconds, "preset");
    }
  }
  free(rows);
  if (status) preset_close(out);
  return status;
}

void preset_close(preset *p) {
  costs_free(&p->costs);
  free(p->preferred);
  *p = (preset){0};
}

plan_options preset_wishes(const preset *p, plan_options wishes) {
  if (p->costs.count) wishes.measured = &p->costs;
  wishes.preferred = p->preferred;
  wishes.preferred_count = p->preferred_count;
  return wishes;
}

clvgg_status preset_suggest(const clvgg_device_info *dev, tune_task *task) {
  tuning_measurement *rows;
  size_t count;
  double flops_per_s;
  TRY(read_rows(dev, &rows, &count, &flops_per_s));
  clvgg_status status = CLVGG_OK;
  for (size_t i = 0; i < count && !status; i++) {
    tune_known k;
    bool all_of_op;
    if (!read_row(&rows[i], &k, &all_of_op) || all_of_op) continue;
    k.seconds = 0; /* of another device: only a suggestion */
    status = task_know(task, &k);
  }
  free(rows);
  return status;
}
