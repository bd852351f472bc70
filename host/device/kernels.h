/* The embedded text of cl/. */
#ifndef CLVGG_DEVICE_KERNELS_H
#define CLVGG_DEVICE_KERNELS_H

#include <stddef.h>

typedef struct kernel_source {
  const char *name; /* "conv_direct.cl" */
  const char *text; /* ends with a NUL that length does not count */
  size_t length;
} kernel_source;

extern const kernel_source kernel_sources[]; /* ends at a NULL name */

#endif
