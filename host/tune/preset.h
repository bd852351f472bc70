/* What the library's presets know about a device of this kind (host/data/presets). */
#ifndef CLVGG_TUNE_PRESET_H
#define CLVGG_TUNE_PRESET_H

#include "plan/plan.h"
#include "tune/task.h"

/*
 * The rows of the nearest preset mean
 *   a problem, with a time     what it took on such a device: such times go before models, and a search tries them first
 *   a problem, without a time  parameters that a search tries first
 *   an op ("conv")             the same for all its problems
 *
 * All calls: without a preset for the device nothing is added, nor, with a line to the log, where it is damaged.
 */

/* The times, in the form that plans take. costs is costs_free's. */
clvgg_status preset_costs(const clvgg_device_info *dev, plan_costs *costs);

/* Adds the candidates of a network's problems to a task. layers as engine_layers makes them. */
clvgg_status preset_suggest(const clvgg_device_info *dev, const layer *layers, size_t count, tune_task *task);

#endif
