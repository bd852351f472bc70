/* The public tuning calls: arguments checked, then host/tune and host/store. */
#include <string.h>

#include "api/model.h"
#include "api/options.h"
#include "device/device.h"
#include "image/image.h"
#include "store/tuning.h"
#include "tune/side.h"
#include "tune/tuner.h"

#define DEFAULT_BUDGET  30
#define DEFAULT_TIMEOUT 20
#define MOST_SECONDS    1e7

void clvgg_tune_options_init(clvgg_tune_options *options) {
  if (options)
    *options = (clvgg_tune_options){
        .struct_size = sizeof *options, .budget_seconds = DEFAULT_BUDGET, .timeout_seconds = DEFAULT_TIMEOUT};
}

static clvgg_status read_options(const clvgg_tune_options *options, clvgg_tune_options *all) {
  clvgg_tune_options_init(all);
  if (!options) return CLVGG_OK;
  if (options->struct_size < sizeof options->struct_size || options->struct_size > sizeof *all)
    return base_fail(CLVGG_ERROR_ARGUMENT,
                     "clvgg_tune_options: struct_size is %zu, expected at most %zu (use clvgg_tune_options_init)",
                     options->struct_size, sizeof *all);
  memcpy(all, options, options->struct_size);
  if (!(all->budget_seconds >= 0 && all->budget_seconds <= MOST_SECONDS))
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_tune_options: budget_seconds is %g, expected 0 to %g",
                     all->budget_seconds, MOST_SECONDS);
  if (!(all->timeout_seconds > 0 && all->timeout_seconds <= MOST_SECONDS))
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_tune_options: timeout_seconds is %g, expected above 0 to %g",
                     all->timeout_seconds, MOST_SECONDS);
  return CLVGG_OK;
}

clvgg_status clvgg_tune(clvgg_device *device, const clvgg_model *model, const clvgg_tune_options *options,
                        clvgg_tune_report *out) {
  if (!device || !model || !out)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_tune: device, model and out must not be NULL");
  memset(out, 0, sizeof *out);
  clvgg_tune_options all;
  clvgg_engine_options engine;
  clvgg_preprocess preprocess;
  TRY(read_options(options, &all));
  TRY(engine_options_read(all.engine, &engine));
  if (engine.algorithm)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_tune: engine.algorithm is '%.60s', expected NULL", engine.algorithm);
  if (engine.precision == CLVGG_PRECISION_AUTO)
    return base_fail(
        CLVGG_ERROR_ARGUMENT,
        "clvgg_tune: engine.precision is auto, expected f32, f16w, f24w or f16: each has plans of its own");
  if (engine.input == CLVGG_INPUT_RGB8) {
    TRY(image_preprocess_read(engine.preprocess ? engine.preprocess : &model->preprocess, &preprocess));
    engine.preprocess = &preprocess;
  }
  all.engine = &engine;
  const clvgg_device_info *info = device_info(device);
  if (!info->id[0])
    return base_fail(CLVGG_ERROR_UNSUPPORTED,
                     "clvgg_tune: '%s' belongs to the application, expected a device of clvgg_device_open", info->name);
  return tuner_run(info, model_network(model), &all, out);
}

int clvgg_tune_worker(void) {
  return tune_side_run();
}

clvgg_status clvgg_tuning_export(const char *path) {
  if (!path) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_tuning_export: path must not be NULL");
  tuning *db = NULL;
  TRY(tuning_open(NULL, &db));
  const clvgg_status status = tuning_export(db, NULL, path);
  tuning_close(&db);
  return status;
}

clvgg_status clvgg_tuning_import(const char *path, size_t *rows, size_t *changed) {
  if (!path) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_tuning_import: path must not be NULL");
  tuning *db = NULL;
  const char *why = NULL;
  tuning_import_report report = {0};
  TRY(tuning_open(NULL, &db));
  clvgg_status status = tuning_import(db, path, &report);
  if (!status && !tuning_is_stored(db, &why))
    status = base_fail(CLVGG_ERROR_IO, "the tuning database cannot be written: %s", why);
  tuning_close(&db);
  if (rows) *rows = report.rows;
  if (changed) *changed = report.changed;
  return status;
}
