/* What test_kernels and test_blocked share: an algorithm's runs beside the C reference, and the program around them. After cmocka.h. */
#ifndef CLVGG_TESTS_KERNELS_SUITE_H
#define CLVGG_TESTS_KERNELS_SUITE_H

#include "algo/algo.h"
#include "kernels/fixture.h"

/* What a test is about: its initial state. */
typedef struct subject {
  const algo *a;
  size_t block; /* 0: it needs none */
} subject;

extern struct suite {
  clvgg_device *device;
  bool small;                        /* --small */
  bool ends;                         /* --ends */
  size_t cases_right, cases_refused; /* so far */
} suite;

/* ---- cases. What fails ends the test. */

/* The rules' parameters. */
void suite_choose(const subject *sub, const algo_problem *p, int *param);
bool suite_supports(const subject *sub, const layer_shape *s);
/* Whether the algorithm needs what the device does not have at all. */
bool suite_device_lacks(const algo *a);

/* Runs n images on an instance for batch between guards and compares with the reference. One that is not supported is counted
 * as refused. */
void suite_case(const subject *sub, const layer *l, const int *param, size_t batch, size_t n, uint64_t seed);
/* A case of a random layer with the rules' parameters. Its number picks the rest: batches, whether there is a batch
 * normalisation, the seed. */
void suite_shape(const subject *sub, layer_shape s, size_t number);
void suite_maxpool_shapes(const subject *sub);
void suite_avgpool_shapes(const subject *sub);
typedef enum suite_extent {
  SUITE_ENDS,   /* the least and the largest value of each parameter */
  SUITE_VALUES, /* each value of each */
  SUITE_PAIRS   /* and each with each of every other parameter that is a macro */
} suite_extent;
/* Runs combinations of parameters until all that the extent says was in one, as far as the device supports any with it. With --ends the
 * extent is SUITE_ENDS. */
void suite_parameters(const subject *sub, layer_shape s, size_t batch, suite_extent extent);

/* ---- tests */
void suite_bad_arguments_are_refused(void **state);

/* ---- the program */
void suite_add(const char *what, subject sub, CMUnitTestFunction function);
/* Runs what add adds for each of the wanted algorithms: those that use blocks in each block, or the others. */
int suite_main(int argc, char **argv, const char *name, bool blocks, void (*add)(subject sub));

#endif
