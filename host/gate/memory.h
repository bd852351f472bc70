/* What earlier comparisons came to: how they are told apart, and kept among the verdicts on algorithms (trust/verdicts.h). */
#ifndef CLVGG_GATE_MEMORY_H
#define CLVGG_GATE_MEMORY_H

#include "network/network.h"
#include "plan/plan.h"
#include "trust/verdicts.h"

#define MEMORY_CASE_BYTES 512

/* Of all weights, scales and biases of these layers, as they are stored. Reads all of them, about as fast as memory does. */
uint64_t memory_weights(const layer *layers, size_t count);

/* The digest goes on with a plan's algorithms and parameters. */
uint64_t memory_plan(uint64_t digest, const plan *p);

/* The case's text: name, of a network with its options (tune/rows.h), and the digests of its weights, its plan or plans, and the images. */
void memory_case(const char *name, uint64_t weights, uint64_t plans, uint64_t images, char out[MEMORY_CASE_BYTES]);

/* False where it is not known. v NULL: nothing is. */
bool memory_find(const verdicts *v, const char *what, clvgg_accuracy *out);
void memory_add(verdicts *v, const char *what, const clvgg_accuracy *a);

#endif
