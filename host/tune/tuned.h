/* The plans that engines run: found by tuning where there is one. */
#ifndef CLVGG_TUNE_TUNED_H
#define CLVGG_TUNE_TUNED_H

#include "engine/engine.h"

/*
 * The plan of a network that engine_layers made for these options: that of the tuning database, if *stored is set and it has one for this
 * network, device and options; else that of the preset (preset.h) of the device's kind, or of the models. Its algorithms are checked
 * like all others; those of a plan that was found with another driver, or other kernels, so for the first time with these. Whatever
 * is wrong with the database or its plan is no error: the plan without it does.
 *
 * *stored then says whether it is the database's. CLVGG_TUNING=off, options->algorithm: it is not. out is plan_free's.
 */
clvgg_status tuned_plan(clvgg_device *dev, const layer *layers, size_t count, const clvgg_engine_options *options,
                        bool *stored, plan *out);

/* An engine with the plan without the database: what tuning has to beat. */
clvgg_status tuned_open_untuned(clvgg_device *dev, const network *net, const clvgg_engine_options *options,
                                engine **out);

#endif
