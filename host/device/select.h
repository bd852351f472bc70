/* Which device a selector means, driver quirks and the caps of CLVGG_DEVICE_LIMITS: pure functions of device tables. */
#ifndef CLVGG_DEVICE_SELECT_H
#define CLVGG_DEVICE_SELECT_H

#include <stdbool.h>

#include "base/status.h"

/* The index of the best usable device, as clvgg_device_open(NULL) ranks them; count when none is usable. */
size_t select_best(const clvgg_device_info *devices, size_t count);

/* The index of the one device that selector means; NULL or "" means the best. Failing, it writes the sentence that says
 * why and what there is to why (cut to bytes) instead of the thread's error text. */
clvgg_status select_device(const clvgg_device_info *devices, size_t count, const char *selector, size_t *index,
                           char *why, size_t bytes);

/* The indices (at most count, in the selector's order, none twice) of the devices that it means: "all", a comma list of what
 * select_device takes, or one of these. A name that holds a comma is no list. */
clvgg_status select_devices(const clvgg_device_info *devices, size_t count, const char *selector, size_t *index,
                            size_t *found, char *why, size_t bytes);

/* Fills in what no query tells: max_iterations, software_rasteriser, and lanes where the driver did not. */
void select_apply_quirks(clvgg_device_info *device);

/* When the cache of programs gets binaries from a driver; it is handed those that are there, but for the last. */
typedef enum binary_use {
  BINARIES_AT_CLOSE,   /* when the device closes */
  BINARIES_ON_REQUEST, /* by clvgg_device_save_programs only: the driver takes long */
  BINARIES_NEVER       /* they do not help, or do harm */
} binary_use;
binary_use select_binary_use(const clvgg_device_info *device);

/* Lowers the caps of device to those of limits, the value of CLVGG_DEVICE_LIMITS; NULL or "" changes nothing. */
clvgg_status select_apply_limits(const char *limits, clvgg_device_info *device);

/* True when part is in text, upper and lower case being the same. */
bool select_contains(const char *text, const char *part);

#endif
