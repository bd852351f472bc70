/* Which device, driver and kernels something that is stored was found out with: one line of text, compared as a whole. */
#ifndef CLVGG_DEVICE_IDENTITY_H
#define CLVGG_DEVICE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define IDENTITY_BYTES 1024

/* "name | vendor | driver version | platform version | compute units": what a compiled program depends on. Control characters
 * are blanks. False when it does not fit into bytes. */
bool identity_of_driver(const clvgg_device_info *dev, char *out, size_t bytes);

/* The same and " | kernels DIGEST | clvgg VERSION": what times and verdicts depend on. */
bool identity_of_device(const clvgg_device_info *dev, char *out, size_t bytes);

/* Of all kernel sources that are embedded in the library, their names included. */
uint64_t identity_of_kernels(void);

#endif
