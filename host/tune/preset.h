/* What the library's presets know about a device of this kind (host/data/presets). */
#ifndef CLVGG_TUNE_PRESET_H
#define CLVGG_TUNE_PRESET_H

#include "plan/plan.h"
#include "tune/task.h"

/*
 * The rows of the nearest preset mean
 *   a problem, with a time     what it took on such a device: such times go before models
 *   a problem, without a time  parameters that a search tries first
 *   an op ("conv")             the algorithm's parameters on all its problems instead of those that rules pick; for algorithms without
 *                              a model
 */
typedef struct preset {
  plan_costs costs;
  plan_preference *preferred; /* (preferred_count) */
  size_t preferred_count;
} preset;

/* Empty where there is none for the device, and, with a line to the log, where it is damaged. */
clvgg_status preset_open(const clvgg_device_info *dev, preset *out);
void preset_close(preset *p);
/* What the plan keeps to, with the preset's times and parameters. */
plan_options preset_wishes(const preset *p, plan_options wishes);

/* Adds its candidates, to be tried first. */
clvgg_status preset_suggest(const clvgg_device_info *dev, tune_task *task);

#endif
