/* Judges logits by their relative error and by the answers that they give. */
#include "gate/limits.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "reference/reference.h"

#define TOP 5
/* Two logits' errors at the limit, if they were independent, differ by more than four times a logit's error once in 200 times; so an
 * answer that changed across such a distance has errors that are not like rounding. */
#define SLACK 4

double limits_error(clvgg_precision precision) {
  static const double limits[] = {[CLVGG_PRECISION_F32] = 0,
                                  [CLVGG_PRECISION_F24W] = 2e-5,
                                  [CLVGG_PRECISION_F16W] = 2e-3,
                                  [CLVGG_PRECISION_F16] = 1e-2,
                                  [CLVGG_PRECISION_BF16] = 4e-2};
  return (size_t)precision < sizeof limits / sizeof *limits ? limits[precision] : 0;
}

/* The classes of the k largest logits, largest first, the lower one first among equals; k is at most classes. */
static void find_top(const float *logits, size_t classes, size_t k, size_t *top) {
  for (size_t rank = 0; rank < k; rank++) {
    size_t best = classes;
    for (size_t i = 0; i < classes; i++) {
      bool taken = false;
      for (size_t r = 0; r < rank; r++) taken = taken || top[r] == i;
      if (!taken && (best == classes || logits[i] > logits[best])) best = i;
    }
    top[rank] = best;
  }
}

static bool same_set(const size_t *a, const size_t *b, size_t count) {
  size_t found = 0;
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < count; k++) found += a[i] == b[k];
  return found == count;
}

static double mean_square(const float *logits, size_t classes) {
  double sum = 0;
  for (size_t i = 0; i < classes; i++) sum += (double)logits[i] * logits[i];
  return sum / (double)classes;
}

/* One image's answers, counted. False when one differs that was decided. */
static bool judge_answers(const float *got, const float *want, size_t classes, clvgg_accuracy *out) {
  size_t expected[TOP + 1] = {0}, found[TOP] = {0};
  const size_t first = classes < TOP ? classes : TOP, ranks = classes < TOP + 1 ? classes : TOP + 1;
  const double slack = SLACK * out->limit * sqrt(mean_square(want, classes));
  find_top(want, classes, ranks, expected);
  find_top(got, classes, first, found);
  const bool top1 = found[0] == expected[0], top5 = same_set(found, expected, first);
  const bool decided1 = ranks < 2 || want[expected[0]] - want[expected[1]] > slack;
  const bool decided5 = ranks <= TOP || want[expected[TOP - 1]] - want[expected[TOP]] > slack;
  out->top1_agree += top1;
  out->top5_agree += top5;
  out->top1_decided += decided1;
  out->top5_decided += decided5;
  return (top1 || !decided1) && (top5 || !decided5);
}

void limits_judge(clvgg_precision precision, const float *got, const float *want, size_t images, size_t classes,
                  clvgg_accuracy *out) {
  const reference_error error = reference_compare(got, want, images * classes);
  const char *name = clvgg_precision_name(precision);
  *out = (clvgg_accuracy){.compared = precision,
                          .state = CLVGG_ACCURACY_REFUSED,
                          .rel_l2 = error.rel_l2,
                          .max_rel = error.max_rel,
                          .limit = limits_error(precision),
                          .images = images};
  size_t wrong = 0;
  for (size_t i = 0; i < images; i++) wrong += !judge_answers(got + i * classes, want + i * classes, classes, out);
  if (!(error.rel_l2 <= out->limit)) {
    snprintf(out->reason, sizeof out->reason, "%s: the logits' relative error is %.2g, at most %.2g is allowed", name,
             error.rel_l2, out->limit);
  } else if (wrong) {
    snprintf(out->reason, sizeof out->reason,
             "%s: %zu of %zu images have other first classes, by more than rounding explains", name, wrong, images);
  } else {
    out->state = CLVGG_ACCURACY_PASSED;
  }
}
