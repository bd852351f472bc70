/* The public measurement of a device; the other calls on devices are host/device's own. */
#include "measure/roofline.h"

clvgg_status clvgg_device_measure(clvgg_device *device, clvgg_roofline *out) {
  if (out) *out = (clvgg_roofline){0};
  if (!device || !out) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_measure: device and out must not be NULL");
  return roofline_measure(device, out);
}
