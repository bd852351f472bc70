/* The ceilings of a device, measured: the roofline that layers are compared with. */
#ifndef CLVGG_MEASURE_ROOFLINE_H
#define CLVGG_MEASURE_ROOFLINE_H

#include "device/device.h"

/* Takes a fraction of a second, besides compiling; other work on the device meanwhile makes both figures smaller. A kernel that
 * does not compute what it should is CLVGG_ERROR_MISMATCH. */
clvgg_status roofline_measure(clvgg_device *dev, clvgg_roofline *out);

#endif
