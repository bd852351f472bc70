/* A photo's EXIF orientation is found in both byte orders, damaged metadata means upright, and each of the eight turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/image_fixture.h"

static void all_orientations_show_the_same_picture(void **state) {
  (void)state;
  for (int n = 1; n <= 8; n++)
    for (int little = 0; little < 2; little++) {
      char path[1024];
      snprintf(path, sizeof path, IMAGE_DATA "orientation%d_%s.jpg", n, little ? "ii" : "mm");
      image img;
      if (image_decode_file(path, &img) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
      assert_int_equal(img.width, 24);
      assert_int_equal(img.height, 16);
      for (int y = 0, i = 0; y < 16; y++)
        for (int x = 0; x < 24; x++, i += 3)
          if (abs(img.rgb[i] - 10 * x) > 5 || abs(img.rgb[i + 1] - 15 * y) > 5 || abs(img.rgb[i + 2] - 128) > 5)
            fail_msg("%s: (%d, %d) is %d %d %d, expected %d %d 128", path, x, y, img.rgb[i], img.rgb[i + 1],
                     img.rgb[i + 2], 10 * x, 15 * y);
      image_free(&img);
    }
  image img;
  assert_int_equal(image_decode_file(IMAGE_DATA "orientation6.png", &img), CLVGG_OK);
  assert_int_equal(img.width, 24);
  assert_int_equal(img.height, 16);
  for (int y = 0, i = 0; y < 16; y++)
    for (int x = 0; x < 24; x++, i += 3) assert_true(img.rgb[i] == 10 * x && img.rgb[i + 1] == 15 * y);
  image_free(&img);
}

/* The picture  a b c  as it must look after each turn, read off the pictures in the Exif standard's explanations.
 *              d e f                                                                                              */
static void turns_are_right(void **state) {
  (void)state;
  const char *const expected[9] = {NULL,     "abcdef", "cbafed", "fedcba", "defabc", /* 3x2 */
                                   "adbecf", "daebfc", "fcebda", "cfbead"};          /* 2x3 */
  for (int n = 1; n <= 8; n++) {
    image img = {3, 2, malloc(18)};
    for (size_t i = 0; i < 18; i++) img.rgb[i] = (uint8_t)("abcdef"[i / 3] + (i % 3) * 50);
    assert_int_equal(image_orient(&img, n), CLVGG_OK);
    assert_int_equal(img.width, n < 5 ? 3 : 2);
    assert_int_equal(img.height, n < 5 ? 2 : 3);
    for (size_t i = 0; i < 18; i++)
      if (img.rgb[i] != (uint8_t)(expected[n][i / 3] + (i % 3) * 50)) fail_msg("orientation %d, byte %zu", n, i);
    image_free(&img);
  }
  image img = {1, 1, malloc(3)};
  assert_int_equal(image_orient(&img, 0), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(image_orient(&img, 9), CLVGG_ERROR_ARGUMENT);
  image_free(&img);
}

/* A JPEG of just one APP1 segment with this TIFF block. */
static int orientation_of(const char *tiff, size_t bytes) {
  uint8_t *const file = malloc(12 + bytes);
  memcpy(file, "\xFF\xD8\xFF\xE1\0\0Exif\0\0", 12);
  file[4] = (uint8_t)((bytes + 8) >> 8);
  file[5] = (uint8_t)(bytes + 8);
  memcpy(file + 12, tiff, bytes);
  const int orientation = image_exif_orientation(file, 12 + bytes);
  free(file);
  return orientation;
}
#define ORIENTATION(text) orientation_of(text, sizeof(text) - 1)

static void damaged_metadata_means_upright(void **state) {
  (void)state;
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"), 6);
  assert_int_equal(ORIENTATION("II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x08\0\0\0\0\0\0\0"), 8);
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\0\1\1\x12\0\4\0\0\0\1\0\0\0\3"), 3);       /* LONG */
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\xFF\xFF\1\x12\0\3\0\0\0\1\0\6\0\0"), 6);   /* entry before the cut */
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\0\0\0"), 1);       /* 0 */
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x09\0\0"), 1);     /* 9 */
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\2\0\6\0\0"), 1);       /* two values */
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\0\1\1\x12\0\2\0\0\0\1\0\6\0\0"), 1);       /* ASCII */
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\0\1\1\x13\0\3\0\0\0\1\0\6\0\0"), 1);       /* another tag */
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0"), 1);         /* cut */
  assert_int_equal(ORIENTATION("MM\0*\xFF\xFF\xFF\xFF\0\1\1\x12\0\3\0\0\0\1\0\6\0\0"), 1); /* directory outside */
  assert_int_equal(ORIENTATION("MI\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0"), 1);       /* no byte order */
  assert_int_equal(ORIENTATION("MM\0*\0\0\0\x08"), 1);
  assert_int_equal(ORIENTATION(""), 1);
}

/* Whatever is cut or changed in the metadata, the answer is 1..8 (and AddressSanitizer is content). */
static void no_byte_is_trusted(void **state) {
  (void)state;
  const char *const files[] = {"orientation6_mm.jpg", "orientation8_ii.jpg", "orientation6.png"};
  for (size_t k = 0; k < 3; k++) {
    size_t bytes;
    uint8_t *const data = fixture_read(files[k], &bytes);
    assert_int_equal(image_exif_orientation(data, bytes), k == 1 ? 8 : 6);
    for (size_t n = 0; n < bytes; n++) {
      uint8_t *const part = fixture_copy(data, n);
      const int cut = image_exif_orientation(part, n);
      assert_in_range(cut, 1, 8);
      free(part);
      for (int bit = 0; bit < 8; bit++) {
        data[n] ^= (uint8_t)(1 << bit);
        assert_in_range(image_exif_orientation(data, bytes), 1, 8);
        data[n] ^= (uint8_t)(1 << bit);
      }
    }
    free(data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_orientations_show_the_same_picture),
      cmocka_unit_test(turns_are_right),
      cmocka_unit_test(damaged_metadata_means_upright),
      cmocka_unit_test(no_byte_is_trusted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
