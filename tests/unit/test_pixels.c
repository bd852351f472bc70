/* Pixels to a network's input and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "network/pixels.h"

static void are_normalised_by_channel(void **state) {
  (void)state;
  const pixel_map rgb = {.mean = {10, 20, 30}, .std = {2, 4, 5}}, bgr = {true, {10, 20, 30}, {2, 4, 5}};
  /* Two images of two pixels. */
  const uint8_t bytes[12] = {0, 20, 255, 10, 24, 30, 1, 2, 3, 4, 5, 6};
  const float want_rgb[6] = {-5, 0, 0, 1, 45, 0}, want_bgr[6] = {122.5f, 10, 0, 1, -6, -4};
  float plain[12];
  pixels_to_plain(&rgb, 2, 2, bytes, plain);
  for (size_t i = 0; i < 6; i++) assert_true(plain[i] == want_rgb[i]);
  assert_true(plain[6] == -4.5f && plain[7] == -3 && plain[10] == -5.4f);
  pixels_to_plain(&bgr, 2, 2, bytes, plain);
  for (size_t i = 0; i < 6; i++) assert_true(plain[i] == want_bgr[i]);
}

static void come_back_as_they_were(void **state) {
  (void)state;
  static const pixel_map maps[] = {{false, {123.675f, 116.28f, 103.53f}, {58.395f, 57.12f, 57.375f}},
                                   {true, {103.94f, 116.78f, 123.68f}, {1, 1, 1}},
                                   {false, {0, 0, 0}, {255, 127.5f, 1e-3f}}};
  uint8_t bytes[256 * 3], back[256 * 3];
  float plain[256 * 3];
  for (size_t m = 0; m < sizeof maps / sizeof *maps; m++) {
    for (size_t i = 0; i < 256 * 3; i++) bytes[i] = (uint8_t)(i % 3 == 1 ? 255 - i / 3 : i / 3);
    pixels_to_plain(&maps[m], 1, 256, bytes, plain);
    pixels_from_plain(&maps[m], 1, 256, plain, back);
    assert_memory_equal(back, bytes, sizeof bytes);
    /* Random ones are values that pixels can have, and not all the same. */
    pixels_random(&maps[m], 7, 1, 256, plain);
    pixels_from_plain(&maps[m], 1, 256, plain, bytes);
    float again[256 * 3];
    pixels_to_plain(&maps[m], 1, 256, bytes, again);
    assert_memory_equal(again, plain, sizeof plain);
    size_t seen = 0;
    for (size_t i = 1; i < sizeof bytes; i++) seen += bytes[i] != bytes[i - 1];
    assert_true(seen > 700);
  }
}

static void what_is_no_byte_becomes_the_nearest(void **state) {
  (void)state;
  const pixel_map map = {.std = {1, 1, 1}};
  const float plain[6] = {-1, 254.6f, 1e30f, -INFINITY, NAN, 127.4f}; /* (3, 2 pixels) */
  const uint8_t want[6] = {0, 255, 0, 255, 0, 127};
  uint8_t bytes[6];
  pixels_from_plain(&map, 1, 2, plain, bytes);
  assert_memory_equal(bytes, want, sizeof want);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(are_normalised_by_channel),
      cmocka_unit_test(come_back_as_they_were),
      cmocka_unit_test(what_is_no_byte_becomes_the_nearest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
