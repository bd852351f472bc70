/* The text that says which device, driver and kernels. No OpenCL here, so that tests need none. */
#include "device/identity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "device/kernels.h"

uint64_t identity_of_kernels(void) {
  uint64_t hash = HASH_START;
  for (const kernel_source *s = kernel_sources; s->name != NULL; s++) {
    hash = hash_bytes(hash, s->name, strlen(s->name) + 1);
    hash = hash_bytes(hash, s->text, s->length);
  }
  return hash;
}

/* Tabs and line breaks are the files' own. */
static bool finish(int written, char *out, size_t bytes) {
  if (written < 0 || (size_t)written >= bytes) return false;
  for (; *out != '\0'; out++)
    if ((unsigned char)*out < ' ') *out = ' ';
  return true;
}

bool identity_of_driver(const clvgg_device_info *dev, char *out, size_t bytes) {
  const int n = snprintf(out, bytes, "%s | %s | %s | %s | %u", dev->name, dev->vendor, dev->driver,
                         dev->platform_version, dev->compute_units);
  return finish(n, out, bytes);
}

bool identity_of_device(const clvgg_device_info *dev, char *out, size_t bytes) {
  char driver[IDENTITY_BYTES];
  if (!identity_of_driver(dev, driver, sizeof driver)) return false;
  const int n =
      snprintf(out, bytes, "%s | kernels %016" PRIx64 " | clvgg %s", driver, identity_of_kernels(), clvgg_version());
  return finish(n, out, bytes);
}
