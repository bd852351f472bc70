/* Size arithmetic that notices overflow: every size that comes from a file, a driver or a caller goes through here. */
#ifndef CLVGG_BASE_SIZE_H
#define CLVGG_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/* *out = a * b (or a + b); false, and *out unspecified, when it does not fit. */
static inline bool size_mul(size_t a, size_t b, size_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
static inline bool size_add(size_t a, size_t b, size_t *out) {
  return !__builtin_add_overflow(a, b, out);
}

/* *out = the product of n factors; false when it does not fit. */
static inline bool size_product(const size_t *factors, size_t n, size_t *out) {
  *out = 1;
  for (size_t i = 0; i < n; i++)
    if (!size_mul(*out, factors[i], out)) return false;
  return true;
}

static inline size_t size_ceil_div(size_t a, size_t b) {
  return a / b + (a % b != 0);
}
static inline size_t size_round_up(size_t a, size_t multiple) {
  return size_ceil_div(a, multiple) * multiple;
}

#endif
