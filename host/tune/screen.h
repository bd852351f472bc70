/*
 * The first stage of a search: candidates by themselves, each checked against the reference on small problems and at its real size, and
 * then timed. What is wrong or far slower than another way to do the same is out of the search; what may win stays new, to be
 * timed in the network.
 */
#ifndef CLVGG_TUNE_SCREEN_H
#define CLVGG_TUNE_SCREEN_H

#include "device/device.h"
#include "tune/search.h"

/* layers: what the network computes, with weights; their problems are those of c. Candidates that are known to fail, or whose time is
 * known (alone_ms), are not run again. Ends at deadline (on device_host_ms's clock; 0: none), when watch says so, or when nothing is left to try. */
clvgg_status screen_run(clvgg_device *dev, const layer *layers, size_t count, const search_options *options,
                        double deadline, candidates *c);

#endif
