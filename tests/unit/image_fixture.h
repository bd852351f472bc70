/* What the image tests share: fixtures as bytes, the test pattern of make_images.py, and CRC-32. */
#ifndef CLVGG_TESTS_IMAGE_FIXTURE_H
#define CLVGG_TESTS_IMAGE_FIXTURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

#define IMAGE_DATA TEST_DATA_DIR "/image/"

/* Bit by bit, so that it shares nothing with the library's. Begin with crc 0. */
static inline uint32_t fixture_crc(const uint8_t *p, size_t n) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < n; i++) {
    crc ^= p[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
  }
  return ~crc;
}

static inline uint32_t fixture_image_crc(const image *img) {
  return fixture_crc(img->rgb, img->width * img->height * 3);
}

/* A block of exactly n bytes, so that AddressSanitizer sees reads beyond it. */
static inline uint8_t *fixture_copy(const void *data, size_t n) {
  uint8_t *const block = malloc(n > 0 ? n : 1);
  assert_non_null(block);
  memcpy(block, data, n);
  return block;
}

/* Decodes a copy of the bytes; whatever fails leaves no pixels and says why in one line. */
static inline clvgg_status fixture_decode(const void *data, size_t bytes, image *out) {
  uint8_t *const block = fixture_copy(data, bytes);
  const clvgg_status status = image_decode_memory(block, bytes, out);
  free(block);
  if (status != CLVGG_OK) {
    assert_null(out->rgb);
    assert_true(strlen(clvgg_last_error()) > 0);
    assert_null(strchr(clvgg_last_error(), '\n'));
  }
  return status;
}

/* The whole of tests/data/image/name. */
static inline uint8_t *fixture_read(const char *name, size_t *bytes) {
  static uint8_t buffer[65536];
  char path[1024];
  snprintf(path, sizeof path, IMAGE_DATA "%s", name);
  FILE *const f = fopen(path, "rb");
  if (f == NULL) fail_msg("%s is missing", path);
  *bytes = fread(buffer, 1, sizeof buffer, f);
  fclose(f);
  assert_true(*bytes > 0 && *bytes < sizeof buffer);
  return fixture_copy(buffer, *bytes);
}

static inline uint8_t fixture_pattern(size_t x, size_t y, size_t c) {
  return (uint8_t)((3 * (c + 1) * x * x + (5 - c) * y * y + 7 * x * y + (11 + 40 * c) * x + 29 * y + 77 * c) >> 3 &
                   255);
}

static inline image fixture_pattern_image(size_t width, size_t height) {
  image img = {width, height, malloc(width * height * 3)};
  assert_non_null(img.rgb);
  for (size_t y = 0, i = 0; y < height; y++)
    for (size_t x = 0; x < width; x++)
      for (size_t c = 0; c < 3; c++) img.rgb[i++] = fixture_pattern(x, y, c);
  return img;
}

#endif
