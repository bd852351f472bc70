/* clvgg_top_k: from scores to answers. */
#include <math.h>

#include "clvgg/clvgg.h"

/* Whether score a at index i comes before score b at index j. */
static int before(float a, size_t i, float b, size_t j) {
  if (isnan(a) || isnan(b)) return isnan(a) == isnan(b) ? i < j : isnan(b);
  return a != b ? a > b : i < j;
}

size_t clvgg_top_k(const float *logits, size_t n, size_t k, size_t *index, float *probability) {
  if (!logits || !index) return 0;
  if (k > n) k = n;
  /* Insertion into the best k so far: k is small. */
  size_t filled = 0;
  for (size_t i = 0; i < n && k > 0; i++) {
    if (filled == k && !before(logits[i], i, logits[index[k - 1]], index[k - 1])) continue;
    size_t at = filled < k ? filled++ : k - 1;
    for (; at > 0 && before(logits[i], i, logits[index[at - 1]], index[at - 1]); at--) index[at] = index[at - 1];
    index[at] = i;
  }
  if (!probability || k == 0) return k;
  /* exp(x - max) cannot overflow; the sum is at least 1. */
  const double largest = (double)logits[index[0]];
  double sum = 0;
  for (size_t i = 0; i < n; i++)
    if (!isnan(logits[i])) sum += exp((double)logits[i] - largest);
  for (size_t i = 0; i < k; i++)
    probability[i] = isnan(logits[index[i]]) ? NAN : (float)(exp((double)logits[index[i]] - largest) / sum);
  return k;
}
