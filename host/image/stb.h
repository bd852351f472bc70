/* The one call that the rest of the folder makes to stb_image; its own names stay inside stb_image.c. */
#ifndef CLVGG_IMAGE_STB_H
#define CLVGG_IMAGE_STB_H

#include <stddef.h>
#include <stdint.h>

/* Decodes a JPEG, PNG or BMP file of at most INT_MAX bytes to 8-bit RGB, (*height, *width, 3), malloc'ed. NULL on failure;
 * *reason is then a short constant text. Keeps no state between calls; any thread. */
uint8_t *stb_decode_rgb(const uint8_t *data, size_t bytes, int *width, int *height, const char **reason);

#endif
