/* One run of an algorithm between poisoned buffers, compared with the plain C reference. */
#ifndef CLVGG_TRUST_CHECK_H
#define CLVGG_TRUST_CHECK_H

#include "algo/algo.h"
#include "reference/samples.h"

/*
 * Runs a on l (p is l's shape with a batch; param as chosen) for p->batch images, in to be compared with want, both plain. An
 * algorithm that takes pixels is given those whose normalisation is in (pixels_random makes such).
 * It is wrong when a value is off by more than the tolerance or not finite, when surplus channels of a block are not zero, when
 * its input changed, or when anything behind its output or workspace did.
 *
 * Fills all of result but the layer's name. CLVGG_ERROR_MISMATCH: it ran and is wrong. CLVGG_ERROR_UNSUPPORTED or
 * CLVGG_ERROR_TOO_LARGE: it cannot run here, result->ran is 0. Any other failure is the driver's or the host's: ran is 1, ok 0,
 * and the differences are infinite. In all cases result->reason says why.
 */
clvgg_status check_algo(clvgg_device *dev, const algo *a, const algo_problem *p, const int *param, const layer *l,
                        const float *in, const float *want, clvgg_verify_case *result);

/* How long the runs of what was found right take. */
typedef struct check_timing {
  size_t most_runs;   /* as many runs at most, after the one that was judged */
  double hopeless_ms; /* the first run that takes longer is the last; 0: never */
  double ms;          /* result: the least */
  size_t runs;        /* result */
} check_timing;

/* The same where the whole reference would take too long: all values must be finite, and those that samples has right. timing may
 * be NULL; it is filled when the algorithm is right. */
clvgg_status check_algo_sampled(clvgg_device *dev, const algo *a, const algo_problem *p, const int *param,
                                const layer *l, const float *in, const reference_samples *samples, check_timing *timing,
                                clvgg_verify_case *result);

#endif
