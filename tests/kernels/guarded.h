/* An algorithm run between guards: its buffers are full of NaN and have more of it behind their ends. */
#ifndef CLVGG_TESTS_KERNELS_GUARDED_H
#define CLVGG_TESTS_KERNELS_GUARDED_H

#include "algo/algo.h"

typedef struct guarded {
  device_buffer buffer;
  size_t bytes; /* without the guard */
} guarded;

typedef struct guarded_run {
  algo_instance inst;
  guarded in, out, workspace;
  size_t images; /* of the last run */
  void *sent;    /* its input in the algorithm's layout */
  float *raw;    /* what the output's buffer then held, guard included */
} guarded_run;

/* What fails ends the test. */

void *allocate(size_t floats); /* zeroed */

/* Binds a to l, of which p is the problem; param NULL: what a's rules choose. */
void guarded_open(clvgg_device *dev, const algo *a, const algo_problem *p, const int *param, const layer *l,
                  guarded_run *out);
void guarded_close(guarded_run *r);

/* Runs n images, plain in, and reads the output. An algorithm that takes pixels is given those whose normalisation is in. */
void guarded_execute(guarded_run *r, size_t n, const float *in);

/* The output of those images as (n, C, H, W), to be freed. */
float *guarded_output(const guarded_run *r);

/* Surplus channels must be zeros; the input, what lies behind it, behind the output of the images and behind the workspace must be as
 * it was. */
void guarded_check(const guarded_run *r, const char *label);

#endif
