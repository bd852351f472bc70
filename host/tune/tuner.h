/*
 * Tuning a network for a device: a worker process (side.h) searches, and this side watches it, commits each result to the database at
 * once, and starts the worker again without the candidate at fault when it crashes, hangs or talks nonsense.
 */
#ifndef CLVGG_TUNE_TUNER_H
#define CLVGG_TUNE_TUNER_H

#include "network/network.h"

/* options: every field set, engine not NULL. */
clvgg_status tuner_run(const clvgg_device_info *dev, const network *net, const clvgg_tune_options *options,
                       clvgg_tune_report *out);

#endif
