/* Tuning in the database's words: whose rows, which network, which candidate. */
#ifndef CLVGG_TUNE_ROWS_H
#define CLVGG_TUNE_ROWS_H

#include "engine/engine.h"
#include "store/tuning.h"
#include "tune/task.h"

/* The key of rows about a device as it is now. */
void rows_key(const clvgg_device_info *dev, tuning_key *out);

/* What a plan is stored under: the layers' digest and all options that it depends on. layers as engine_layers makes them. */
#define ROWS_NETWORK_BYTES 200
void rows_network(const layer *layers, size_t count, const clvgg_engine_options *options, char out[ROWS_NETWORK_BYTES]);

/* A row about a candidate. alone: its time by itself, not in the network, which is a row of its own. */
void rows_measurement(const char *problem, const char *algorithm, const char *params, bool alone,
                      tuning_measurement *out);

/* Adds what rows of exactly this device and software know to a task. Rows that are no candidates any more are passed over. */
clvgg_status rows_known(const tuning_measurement *rows, size_t count, tune_task *task);

/* Removes the times that were measured on this device; what failed stays. */
clvgg_status rows_forget(tuning *db, const tuning_key *key);

#endif
