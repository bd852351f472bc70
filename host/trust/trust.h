/*
 * Verified before trusted: the first time that a device, under its driver, is to use an algorithm with certain parameters, the
 * algorithm computes small problems made from the real one, and the plain C reference says whether it is right. verdicts.h
 * remembers the answer.
 *
 * CLVGG_TRUST=always skips the checks; CLVGG_TRUST=never checks every time, whatever earlier checks said.
 */
#ifndef CLVGG_TRUST_TRUST_H
#define CLVGG_TRUST_TRUST_H

#include "algo/algo.h"

#define TRUST_WHY_BYTES 256

typedef struct trust trust;

/* What CLVGG_TRUST says. CLVGG_ERROR_ARGUMENT when it has another value. */
typedef enum trust_wish { TRUST_ONCE, TRUST_ALWAYS, TRUST_NEVER } trust_wish;
clvgg_status trust_read_wish(trust_wish *out);

/* The device must outlive it. */
clvgg_status trust_open(clvgg_device *dev, trust **out);
/* Remembers new verdicts; takes NULL. */
void trust_close(trust **pointer);

/* Whether a with param may be used for p. CLVGG_OK: yes. CLVGG_ERROR_MISMATCH: it is wrong here; CLVGG_ERROR_BUILD or
 * CLVGG_ERROR_DEVICE: it does not build or run here, which is not remembered. In these cases why (TRUST_WHY_BYTES) says more
 * and another algorithm may do. Everything else is a failure of the host. */
clvgg_status trust_check(trust *t, const algo *a, const algo_problem *p, const int *param, char *why);

/* The number-th of the small problems that stand for p, and how many there are (1 or 2). */
size_t trust_problem(const algo_problem *p, size_t number, algo_problem *out);

#endif
