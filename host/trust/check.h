/* One run of an algorithm between poisoned buffers, compared with the plain C reference. */
#ifndef CLVGG_TRUST_CHECK_H
#define CLVGG_TRUST_CHECK_H

#include "algo/algo.h"

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

#endif
