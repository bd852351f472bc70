/* Engines that run the plan that tuning found for them. */
#ifndef CLVGG_TUNE_TUNED_H
#define CLVGG_TUNE_TUNED_H

#include "engine/engine.h"

/*
 * engine_open, with the preset (preset.h) of the device's kind, or the plan of the tuning database where it has one for this network, device and options. Its algorithms are checked like
 * all others; those of a plan that was found with another driver, or other kernels, so for the first time with these. Whatever
 * is wrong with the plan or the database is no error: the plan without tuning does.
 *
 * CLVGG_TUNING=off, options->algorithm: as tuned_open_untuned.
 */
clvgg_status tuned_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options, engine **out);

/* The same without the user's database: a preset's plan where there is a preset, else the models'. What tuning has to beat. */
clvgg_status tuned_open_untuned(clvgg_device *dev, const network *net, const clvgg_engine_options *options,
                                engine **out);

#endif
