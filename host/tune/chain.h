/*
 * Plans by measuring in the chain: every time is that of a step of the whole network, since a layer alone, its weights and
 * activations warm in the caches from the run before, can be much faster than in its place.
 *
 * One engine runs plan after plan. Each is the shortest path where ways that were measured are as long as their times and those
 * that were not yet have next to no length: so it takes a new way for every layer that has one left, passes over what could
 * not win even if it took no time at all (the changes of layout around it already cost more than the best known way), and is
 * a whole network. All its steps are timed. The end is a plan with nothing new, or a number of plans.
 */
#ifndef CLVGG_TUNE_CHAIN_H
#define CLVGG_TUNE_CHAIN_H

#include "engine/engine.h"

typedef struct chain_report {
  double ms;       /* all of it */
  size_t measured; /* times found: of an algorithm with parameters on a problem each */
} chain_report;

/* engine_open, and then the plan that the measured times make. Calls options->progress. */
clvgg_status chain_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options, engine **out,
                        chain_report *report);

#endif
