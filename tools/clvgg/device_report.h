/* What a device says of itself, and what ran on it, for people who cannot see it. */
#ifndef CLVGG_TOOLS_DEVICE_REPORT_H
#define CLVGG_TOOLS_DEVICE_REPORT_H

#include <jansson.h>

#include "clvgg/clvgg.h"

/* Every field of the info. */
json_t *device_json(const clvgg_device_info *info);

/* All that clvgg devices --report writes, measured now; quick leaves VGG-16 out. What fails on the device is part of the report. No
 * paths are in it. *failed is how many cases of verification failed. */
json_t *device_report(clvgg_device *device, int quick, size_t *failed);

#endif
