/*
 * The worker that tunes: everything that may crash, hang or be wrong happens in its process. It reads a task (task.h) and answers with
 * lines, in the form of task.h's:
 *
 *     alive                                        between things that may take long
 *     peaks     GFLOPS GBYTES_PER_S
 *     begin     PROBLEM ALGORITHM PARAMETERS       from here to the next ended, whatever happens is its doing
 *     ended     PROBLEM ALGORITHM PARAMETERS FAULT WHY ALONE_MS        FAULT "": it is right
 *     timed     PROBLEM ALGORITHM PARAMETERS SECONDS                   in the network
 *     ran       MS                                 a plan was run: its steps added up
 *     plan      STEPS                              the plan that the network is to have (plan/steps.h), then
 *     verdict   MS UNTUNED_MS RATIO LOGITS_ERROR RIGHT(0|1) same|other     what was found, compared with the models' plan, and
 *                                                  whether the plan is the models' (same) or what was found (other)
 *     failed    STATUS TEXT                        it cannot go on; the last line
 *     done                                         the last line
 */
#ifndef CLVGG_TUNE_SIDE_H
#define CLVGG_TUNE_SIDE_H

#include "base/status.h"

/* Serves the process that started this one (process/worker.h), and returns what the program is to exit with. */
int tune_side_run(void);

#endif
