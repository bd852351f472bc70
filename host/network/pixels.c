/* Normalises pixels on the host, and takes it back. */
#include "network/pixels.h"

#include <math.h>

#include "base/random.h"

static size_t channel_of(const pixel_map *map, size_t colour) {
  return map->bgr ? 2 - colour : colour;
}

void pixels_to_plain(const pixel_map *map, size_t n, size_t pixels, const uint8_t *rgb, float *plain) {
  for (size_t image = 0; image < n; image++)
    for (size_t i = 0; i < pixels; i++)
      for (size_t colour = 0; colour < 3; colour++) {
        const size_t c = channel_of(map, colour);
        plain[(image * 3 + c) * pixels + i] = ((float)*rgb++ - map->mean[c]) / map->std[c];
      }
}

void pixels_from_plain(const pixel_map *map, size_t n, size_t pixels, const float *plain, uint8_t *rgb) {
  for (size_t image = 0; image < n; image++)
    for (size_t i = 0; i < pixels; i++)
      for (size_t colour = 0; colour < 3; colour++) {
        const size_t c = channel_of(map, colour);
        const float byte = nearbyintf(plain[(image * 3 + c) * pixels + i] * map->std[c] + map->mean[c]);
        *rgb++ = (uint8_t)(byte > 0 ? (byte < 255 ? byte : 255) : 0); /* a NaN becomes 0 */
      }
}

void pixels_random(const pixel_map *map, uint64_t seed, size_t n, size_t pixels, float *plain) {
  for (size_t i = 0; i < n * 3 * pixels; i++) {
    const size_t c = i / pixels % 3;
    plain[i] = (floorf(random_uniform(seed, i) * 256) - map->mean[c]) / map->std[c];
  }
}
