/* How 8-bit RGB pixels become a network's input. */
#ifndef CLVGG_NETWORK_PIXELS_H
#define CLVGG_NETWORK_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Channel c of the input is (byte - mean[c]) / std[c]. */
typedef struct pixel_map {
  bool bgr;      /* the network's channels are blue, green, red; pixels are red, green, blue all the same */
  float mean[3]; /* in the network's order of channels */
  float std[3];  /* above 0 and not subnormal, so that 1 / std is finite */
} pixel_map;

/* rgb (n, pixels, 3) to plain (n, 3, pixels), and back to the nearest bytes. */
void pixels_to_plain(const pixel_map *map, size_t n, size_t pixels, const uint8_t *rgb, float *plain);
void pixels_from_plain(const pixel_map *map, size_t n, size_t pixels, const float *plain, uint8_t *rgb);

/* plain (n, 3, pixels) of seeded random bytes, for checks: pixels_from_plain gives the bytes. */
void pixels_random(const pixel_map *map, uint64_t seed, size_t n, size_t pixels, float *plain);

#endif
