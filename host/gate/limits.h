/* How far a precision's logits may be from those in f32: limits, and whether they hold. */
#ifndef CLVGG_GATE_LIMITS_H
#define CLVGG_GATE_LIMITS_H

#include "base/status.h"

/* On the relative error (L2) of all images' logits; 0 for F32. docs/precision.md says what each is made of. */
double limits_error(clvgg_precision precision);

/* Compares logits got with want, both (images, classes), as clvgg_accuracy in the public header says: sets its figures and limit,
 * state to PASSED or REFUSED, and the reason of the latter. */
void limits_judge(clvgg_precision precision, const float *got, const float *want, size_t images, size_t classes,
                  clvgg_accuracy *out);

#endif
