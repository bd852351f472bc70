/* Engines that run the plan that tuning found for them. */
#ifndef CLVGG_TUNE_TUNED_H
#define CLVGG_TUNE_TUNED_H

#include "engine/engine.h"

/*
 * engine_open, with the plan of the tuning database where it has one for this network, device and options. Its algorithms are checked like
 * all others; those of a plan that was found with another driver, or other kernels, so for the first time with these. Whatever
 * is wrong with the plan or the database is no error: the models' plan does.
 *
 * CLVGG_TUNING=off, options->algorithm: as engine_open.
 */
clvgg_status tuned_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options, engine **out);

#endif
