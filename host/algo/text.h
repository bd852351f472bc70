/*
 * Problems and parameters as text and back: what tuning stores, and what it tells another process.
 *
 *     conv 64x224x224 64x112x112 relu pool b1 k16      op, input and output (C x H x W), flags, batch, block
 *     M=4 TILES=13 OC_BLOCKS=2                         algo_params_text
 */
#ifndef CLVGG_ALGO_TEXT_H
#define CLVGG_ALGO_TEXT_H

#include "algo/algo.h"

#define ALGO_PROBLEM_BYTES 160
#define ALGO_PARAMS_BYTES  200

/* Returns out (ALGO_PROBLEM_BYTES). */
char *algo_problem_text(const algo_problem *p, char *out);
/* False when text is not what algo_problem_text writes. */
bool algo_problem_parse(const char *text, algo_problem *out);
/* Every parameter of a once, in its order, of any value from 0 on, as algo_params_text writes it; out (ALGO_MAX_PARAMS) gets zeros beyond
 * them. False otherwise. */
bool algo_params_parse(const algo *a, const char *text, int *out);

#endif
