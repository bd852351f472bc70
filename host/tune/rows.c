/* Makes rows of the tuning database, and reads them. */
#include "tune/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/text.h"
#include "base/file.h"
#include "base/hash.h"
#include "device/identity.h"
#include "device/kernels.h"

/* Ends a problem's text in rows about times that are not the network's. */
#define ALONE " alone"

/* Kernels that are not the library's own make other rows: of the very texts in the folder. */
static uint64_t kernels_of_folder(const char *folder) {
  uint64_t digest = HASH_START;
  for (const kernel_source *s = kernel_sources; s->name; s++) {
    char path[4096];
    file_map file;
    const int n = snprintf(path, sizeof path, "%s/%s", folder, s->name);
    if (n < 0 || (size_t)n >= sizeof path || file_map_open(path, &file)) continue;
    digest = hash_bytes(digest, s->name, strlen(s->name) + 1);
    digest = hash_bytes(digest, file.data, file.bytes);
    file_map_close(&file);
  }
  return digest;
}

void rows_key(const clvgg_device_info *dev, tuning_key *out) {
  char digest[24];
  const char *folder = getenv("CLVGG_KERNEL_DIR"), *limits = getenv("CLVGG_DEVICE_LIMITS");
  uint64_t kernels = folder && *folder ? kernels_of_folder(folder) : identity_of_kernels();
  /* A device that is made smaller is another one. */
  if (limits && *limits) kernels = hash_bytes(kernels, limits, strlen(limits));
  snprintf(digest, sizeof digest, "%016" PRIx64, kernels);
  tuning_key_make(dev, digest, out);
}

void rows_network(const layer *layers, size_t count, const clvgg_engine_options *options,
                  char out[ROWS_NETWORK_BYTES]) {
  uint64_t digest = HASH_START;
  size_t conv = 0, fc = 0;
  for (size_t i = 0; i < count; i++) {
    char text[ALGO_PROBLEM_BYTES];
    algo_problem_text(&(algo_problem){.shape = layers[i].shape, .batch = 1, .block = 1}, text);
    digest = hash_bytes(digest, text, strlen(text) + 1);
    conv += layers[i].shape.op == LAYER_CONV;
    fc += layers[i].shape.op == LAYER_FC;
  }
  static const char *const memory[] = {"", " fast", " small"}; /* by clvgg_memory */
  const shape3 in = layers[0].shape.in;
  snprintf(out, ROWS_NETWORK_BYTES, "%zu conv %zu fc %zux%zux%zu %016" PRIx64 " b%zu %s%s%s", conv, fc, in.c, in.h,
           in.w, digest, options->max_batch, clvgg_precision_name(options->precision), memory[options->memory],
           options->input == CLVGG_INPUT_RGB8 ? " rgb8" : "");
}

void rows_measurement(const char *problem, const char *algorithm, const char *params, bool alone,
                      tuning_measurement *out) {
  *out = (tuning_measurement){.state = TUNING_OK, .source = TUNING_MEASURED, .runs = 1};
  snprintf(out->problem, sizeof out->problem, "%s%s", problem, alone ? ALONE : "");
  snprintf(out->algorithm, sizeof out->algorithm, "%s", algorithm);
  snprintf(out->parameters, sizeof out->parameters, "%s", params);
}

static candidate_fault fault_of(tuning_state state) {
  for (int fault = FAULT_NONE + 1; fault < FAULTS; fault++)
    if (strcmp(candidate_fault_name((candidate_fault)fault), tuning_state_name(state)) == 0)
      return (candidate_fault)fault;
  return FAULT_NONE;
}

/* The problem's text without its end, and whether it has that. */
static bool cut_alone(char *problem) {
  const size_t length = strlen(problem), end = strlen(ALONE);
  if (length < end || strcmp(problem + length - end, ALONE) != 0) return false;
  problem[length - end] = '\0';
  return true;
}

clvgg_status rows_known(const tuning_measurement *rows, size_t count, tune_task *task) {
  for (size_t i = 0; i < count; i++) {
    const tuning_measurement *row = &rows[i];
    char problem[sizeof row->problem];
    memcpy(problem, row->problem, sizeof problem);
    const bool alone = cut_alone(problem);
    tune_known k = {.algo = algo_find(row->algorithm)};
    if (row->other_software || !k.algo || !algo_problem_parse(problem, &k.problem) ||
        !algo_params_parse(k.algo, row->parameters, k.param))
      continue;
    k.fault = fault_of(row->state);
    if (alone)
      k.alone_ms = row->seconds * 1e3;
    else
      k.seconds = row->seconds;
    TRY(task_know(task, &k));
  }
  return CLVGG_OK;
}

clvgg_status rows_forget(tuning *db, const tuning_key *key) {
  tuning_measurement *rows = NULL;
  size_t count = 0;
  TRY(tuning_list(db, key, &rows, &count));
  clvgg_status status = tuning_clear(db, key);
  for (size_t i = 0; i < count && !status; i++)
    if (!rows[i].other_software && rows[i].state != TUNING_OK) status = tuning_record(db, key, &rows[i]);
  free(rows);
  return status;
}
