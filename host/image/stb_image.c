/* Compiles stb_image, cut down to the formats that are read, from memory only and with its names kept private. */
#include "image/stb.h"

#include <stdlib.h>

#include "image/image.h"

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS        IMAGE_MAX_SIDE
#define STBI_MALLOC(bytes)         calloc(1, bytes) /* a damaged file can make it read what it never wrote */
#define STBI_REALLOC(block, bytes) realloc(block, bytes)
#define STBI_FREE(block)           free(block)
#define STBI_ASSERT(x)             ((void)sizeof(x)) /* what comes from a file must never abort the program */
#include <stb_image.h>

#ifndef STBI_THREAD_LOCAL
#error "stb_image's failure reason would be shared by threads"
#endif

uint8_t *stb_decode_rgb(const uint8_t *data, size_t bytes, int *width, int *height, const char **reason) {
  int channels;
  uint8_t *const rgb = stbi_load_from_memory(data, (int)bytes, width, height, &channels, 3);
  if (rgb == NULL) {
    const char *const text = stbi_failure_reason();
    *reason = text != NULL ? text : "unknown reason";
  }
  return rgb;
}
