/* Damaged image files: every truncation is an error, no damage crashes, and a header cannot make the program allocate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/image_fixture.h"

static const char *const small_files[] = {
    "baseline.jpg",      "progressive.jpg", "restart.jpg",         "grey.jpg",        "cmyk.jpg",
    "rgb8.png",          "interlaced.png",  "palette4.png",        "grey16.png",      "palette8_trns.png",
    "palette_short.png", "rgb24.bmp",       "palette8.bmp",        "bit1.bmp",        "rgb32.bmp",
    "rgb.ppm",           "grey.pgm",        "orientation6_mm.jpg", "orientation6.png"};
enum { SMALL_FILES = sizeof small_files / sizeof *small_files };

static void truncations_are_errors(void **state) {
  (void)state;
  for (size_t k = 0; k < SMALL_FILES; k++) {
    size_t bytes;
    uint8_t *const data = fixture_read(small_files[k], &bytes);
    image whole, part;
    assert_int_equal(fixture_decode(data, bytes, &whole), CLVGG_OK);
    for (size_t n = 0; n < bytes; n++) {
      if (fixture_decode(data, n, &part) != CLVGG_OK) continue;
      /* only a BMP's padding behind the last line may be gone, and then nothing is different */
      if (bytes - n > 3 || strstr(small_files[k], ".bmp") == NULL || part.width != whole.width ||
          part.height != whole.height || fixture_image_crc(&part) != fixture_image_crc(&whole))
        fail_msg("%s decodes although cut to %zu of %zu bytes", small_files[k], n, bytes);
      image_free(&part);
    }
    image_free(&whole);
    free(data);
  }
}

static void changed_bytes_do_not_crash(void **state) {
  (void)state;
  for (size_t k = 0; k < SMALL_FILES; k++) {
    size_t bytes, accepted = 0;
    uint8_t *const data = fixture_read(small_files[k], &bytes);
    for (size_t n = 0; n < bytes; n++) {
      const uint8_t was = data[n], now[] = {was ^ 0xFF, was ^ 0x01, was ^ 0x80, 0, 0xFF};
      for (size_t i = 0; i < sizeof now; i++) {
        image img;
        data[n] = now[i];
        if (fixture_decode(data, bytes, &img) == CLVGG_OK) {
          assert_true(img.width >= 1 && img.height >= 1 && img.width * img.height <= IMAGE_MAX_PIXELS);
          image_free(&img);
          accepted++;
        }
      }
      data[n] = was;
    }
    print_message("%s: %zu of %zu changes still decode\n", small_files[k], accepted, bytes * 5);
    free(data);
  }
}

/* A checksum covers every critical chunk of a PNG, so that no flipped bit in one goes unnoticed. */
static void png_checksums_are_checked(void **state) {
  (void)state;
  size_t bytes;
  uint8_t *const data = fixture_read("rgb8.png", &bytes);
  image img;
  for (size_t n = 0; n < bytes; n++)
    for (int bit = 0; bit < 8; bit++) {
      data[n] ^= (uint8_t)(1 << bit);
      if (fixture_decode(data, bytes, &img) == CLVGG_OK) fail_msg("bit %d of byte %zu changed, and it decodes", bit, n);
      data[n] ^= (uint8_t)(1 << bit);
    }
  free(data);
}

static size_t put(uint8_t *to, const char *data, size_t n) {
  memcpy(to, data, n);
  return n;
}

/* A PNG of a header only: width and height, then a complete IDAT of a few bytes and the end. */
static size_t make_png(uint8_t *to, uint32_t width, uint32_t height) {
  uint8_t ihdr[17] = {'I', 'H', 'D', 'R', 0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0};
  for (int i = 0; i < 4; i++) {
    ihdr[4 + i] = (uint8_t)(width >> (24 - 8 * i));
    ihdr[8 + i] = (uint8_t)(height >> (24 - 8 * i));
  }
  size_t n = put(to, "\x89PNG\r\n\x1a\n\0\0\0\x0D", 12);
  memcpy(to + n, ihdr, 17);
  n += 17;
  const uint32_t crc = fixture_crc(ihdr, 17);
  for (int i = 0; i < 4; i++) to[n++] = (uint8_t)(crc >> (24 - 8 * i));
  n += put(to + n, "\0\0\0\x08IDAT\x78\x9C\x03\0\0\0\0\x01", 16);
  const uint32_t data_crc = fixture_crc(to + n - 12, 12);
  for (int i = 0; i < 4; i++) to[n++] = (uint8_t)(data_crc >> (24 - 8 * i));
  return n + put(to + n, "\0\0\0\0IEND\xAE\x42\x60\x82", 12);
}

static void expect(const uint8_t *data, size_t bytes, clvgg_status status, const char *says) {
  image img;
  const clvgg_status got = fixture_decode(data, bytes, &img);
  if (got != status || strstr(clvgg_last_error(), says) == NULL)
    fail_msg("status %d, \"%s\"; expected %d, \"%s\"", got, clvgg_last_error(), status, says);
}

static void huge_headers_are_refused(void **state) {
  (void)state;
  const char *const says = "65535x65535 pixels, expected at most 65535 a side and 100000000 in all";
  uint8_t file[256];
  expect(file, make_png(file, 65535, 65535), CLVGG_ERROR_TOO_LARGE, says);
  expect(file, make_png(file, 0x7FFFFFFF, 0x7FFFFFFF), CLVGG_ERROR_TOO_LARGE, "2147483647x2147483647");
  expect(file, make_png(file, 0, 5), CLVGG_ERROR_FORMAT, "0x5");
  /* within the limits, but the few bytes cannot hold it */
  expect(file, make_png(file, 10000, 9999), CLVGG_ERROR_FORMAT, "10000x9999 pixels in 8 compressed bytes");

  size_t n = put(file, "\xFF\xD8\xFF\xC0\0\x11\x08\xFF\xFF\xFF\xFF\3\1\x22\0\2\x11\1\3\x11\1\xFF\xD9", 23);
  expect(file, n, CLVGG_ERROR_TOO_LARGE, says);

  memset(file, 0, sizeof file);
  put(file, "BM", 2);
  file[10] = 54, file[14] = 40, file[26] = 1, file[28] = 24;
  memset(file + 18, 0xFF, 2);
  memset(file + 22, 0xFF, 2);
  expect(file, 200, CLVGG_ERROR_TOO_LARGE, says);
  memset(file + 22, 0xFF, 4); /* a height of -1 */
  expect(file, 200, CLVGG_ERROR_FORMAT, "truncated");
  memset(file + 22, 0, 4);
  file[25] = 0x80; /* a height of -2^31 */
  expect(file, 200, CLVGG_ERROR_TOO_LARGE, "65535x2147483648");
}

/* The byte offset of a JPEG's first segment with this marker. */
static size_t segment(const uint8_t *data, size_t bytes, uint8_t marker) {
  for (size_t at = 2; at + 4 < bytes; at += 2u + (unsigned)(data[at + 2] << 8 | data[at + 3]))
    if (data[at + 1] == marker) return at;
  fail_msg("no segment %02x", marker);
  return 0;
}

static void jpeg_tables_are_checked(void **state) {
  (void)state;
  size_t bytes;
  uint8_t *const data = fixture_read("grey.jpg", &bytes);
  const size_t huffman = segment(data, bytes, 0xC4), quantiser = segment(data, bytes, 0xDB);
  data[huffman + 1] = 0xFE; /* now a comment: as the frames of a Motion-JPEG film, which have no tables */
  expect(data, bytes, CLVGG_ERROR_FORMAT, "table that is not defined");
  data[huffman + 1] = 0xC4;
  for (int i = 0; i < 16; i++) data[huffman + 5 + i] = 0xFF; /* 4080 codes */
  expect(data, bytes, CLVGG_ERROR_FORMAT, "bad Huffman table");
  free(data);
  uint8_t *const again = fixture_read("grey.jpg", &bytes);
  again[quantiser + 1] = 0xFE;
  expect(again, bytes, CLVGG_ERROR_FORMAT, "table that is not defined");
  free(again);
}

/* Cameras put previews and maker data behind the end marker, and fill bytes before markers are legal. */
static void jpeg_may_go_on_after_its_end(void **state) {
  (void)state;
  size_t bytes;
  uint8_t *const data = fixture_read("baseline.jpg", &bytes);
  image plain, longer;
  assert_int_equal(fixture_decode(data, bytes, &plain), CLVGG_OK);
  uint8_t *const more = malloc(bytes + 100);
  memcpy(more, data, bytes);
  memset(more + bytes, 0xFF, 50);
  memset(more + bytes + 50, 0, 50);
  assert_int_equal(fixture_decode(more, bytes + 100, &longer), CLVGG_OK);
  assert_int_equal(fixture_image_crc(&longer), fixture_image_crc(&plain));
  image_free(&longer);
  memmove(more + 5, more + 2, bytes - 2);
  memset(more + 2, 0xFF, 3); /* fill bytes before the first segment */
  assert_int_equal(fixture_decode(more, bytes + 3, &longer), CLVGG_OK);
  assert_int_equal(fixture_image_crc(&longer), fixture_image_crc(&plain));
  image_free(&longer);
  image_free(&plain);
  free(more);
  free(data);
}

static void bmp_palette_is_checked(void **state) {
  (void)state;
  size_t bytes;
  uint8_t *const data = fixture_read("palette8.bmp", &bytes);
  const size_t offset = data[10];
  data[offset + 5] = 0xC8;
  expect(data, bytes, CLVGG_ERROR_FORMAT, "a pixel of colour 200, its palette has 11");
  free(data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(truncations_are_errors),    cmocka_unit_test(changed_bytes_do_not_crash),
      cmocka_unit_test(png_checksums_are_checked), cmocka_unit_test(huge_headers_are_refused),
      cmocka_unit_test(jpeg_tables_are_checked),   cmocka_unit_test(jpeg_may_go_on_after_its_end),
      cmocka_unit_test(bmp_palette_is_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
