/* Resizing, cropping and the whole way from file to network input, against goldens of Pillow and torchvision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "unit/image_fixture.h"

/* Across, then down: newer versions of Pillow go down first where that is less work, and may differ by one level there. */
static void resize_is_pillows_to_the_bit(void **state) {
  (void)state;
  FILE *const list = fopen(IMAGE_DATA "resize.txt", "r");
  assert_non_null(list);
  size_t w, h, width, height, cases = 0;
  unsigned filter, crc;
  for (; fscanf(list, "%zu %zu %zu %zu %u %x", &w, &h, &width, &height, &filter, &crc) == 6; cases++) {
    image in = fixture_pattern_image(w, h), out;
    assert_int_equal(image_resize(&in, width, height, (clvgg_interpolation)filter, &out), CLVGG_OK);
    assert_int_equal(out.width, width);
    assert_int_equal(out.height, height);
    if (fixture_image_crc(&out) != crc)
      fail_msg("%zux%zu to %zux%zu, filter %u: CRC %08x, Pillow's is %08x", w, h, width, height, filter,
               fixture_image_crc(&out), crc);
    image_free(&in);
    image_free(&out);
  }
  fclose(list);
  assert_int_equal(cases, 34);
}

static void fit_is_torchvisions(void **state) {
  (void)state;
  FILE *const list = fopen(IMAGE_DATA "fit.txt", "r");
  assert_non_null(list);
  size_t w, h, cases = 0;
  clvgg_preprocess pre;
  clvgg_preprocess_init(&pre);
  unsigned filter, crc;
  for (; fscanf(list, "%zu %zu %u %u %u %u %x", &w, &h, &pre.resize_short, &pre.width, &pre.height, &filter, &crc) == 7;
       cases++) {
    pre.interpolation = (clvgg_interpolation)filter;
    image in = fixture_pattern_image(w, h), out;
    assert_int_equal(image_fit(&in, &pre, &out), CLVGG_OK);
    assert_int_equal(out.width, pre.width);
    assert_int_equal(out.height, pre.height);
    if (fixture_image_crc(&out) != crc)
      fail_msg("%zux%zu, short %u, crop %ux%u, filter %u: CRC %08x, expected %08x", w, h, pre.resize_short, pre.width,
               pre.height, filter, fixture_image_crc(&out), crc);
    image_free(&in);
    image_free(&out);
  }
  fclose(list);
  assert_int_equal(cases, 36);
}

/* No resize and the same size: the pixels as they are. */
static void fit_can_leave_an_image_alone(void **state) {
  (void)state;
  image in = fixture_pattern_image(9, 6), out;
  clvgg_preprocess pre = {.resize_short = 0, .width = 9, .height = 6, .interpolation = CLVGG_BICUBIC};
  assert_int_equal(image_fit(&in, &pre, &out), CLVGG_OK);
  assert_memory_equal(out.rgb, in.rgb, 9 * 6 * 3);
  image_free(&in);
  image_free(&out);
}

static void absurd_sizes_are_refused(void **state) {
  (void)state;
  image in = fixture_pattern_image(1, 1), out;
  const size_t sizes[][2] = {{65536, 1}, {1, 65536}, {SIZE_MAX, SIZE_MAX}, {20000, 20000}};
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(image_resize(&in, sizes[i][0], sizes[i][1], CLVGG_BILINEAR, &out), CLVGG_ERROR_TOO_LARGE);
    assert_null(out.rgb);
  }
  image_free(&in);
  /* a strip: its long side becomes 4 million pixels, of which only the crop is computed */
  in = fixture_pattern_image(16384, 1);
  clvgg_preprocess pre;
  clvgg_preprocess_init(&pre);
  assert_int_equal(image_fit(&in, &pre, &out), CLVGG_OK);
  assert_int_equal(out.width, 224);
  image_free(&in);
  image_free(&out);
}

static void load_is_torchvisions(void **state) {
  (void)state;
  FILE *const list = fopen(IMAGE_DATA "load.txt", "r");
  assert_non_null(list);
  char line[2048], name[64], path[1024];
  size_t cases = 0, compared = 0;
  for (; fgets(line, sizeof line, list) != NULL; cases++) {
    clvgg_preprocess pre;
    clvgg_preprocess_init(&pre);
    unsigned filter;
    int at = 0;
    assert_int_equal(sscanf(line, "%63s %u %u %u %u%n", name, &pre.resize_short, &pre.width, &pre.height, &filter, &at),
                     5);
    pre.interpolation = (clvgg_interpolation)filter;
    snprintf(path, sizeof path, IMAGE_DATA "%s", name);
    const size_t pixels = (size_t)pre.width * pre.height;
    float *const rgb = malloc(3 * pixels * sizeof *rgb), *const bgr = malloc(3 * pixels * sizeof *bgr);
    if (clvgg_image_load(path, &pre, rgb) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
    size_t index;
    double value;
    for (int n; sscanf(line + at, "%zu %lf%n", &index, &value, &n) == 2; at += n, compared++)
      if (fabs((double)rgb[index] - value) > 1e-5)
        fail_msg("%s: element %zu is %f, torchvision's %f", name, index, (double)rgb[index], value);
    /* B, G, R: the planes in the other order, each with the mean and deviation of its new place */
    pre.bgr = 1;
    assert_int_equal(clvgg_image_load(path, &pre, bgr), CLVGG_OK);
    for (size_t c = 0; c < 3; c++)
      for (size_t i = 0; i < pixels; i++) {
        const float level = rgb[(2 - c) * pixels + i] * pre.std[2 - c] + pre.mean[2 - c];
        assert_true(fabsf(bgr[c * pixels + i] - (level - pre.mean[c]) / pre.std[c]) < 1e-4f);
      }
    free(rgb);
    free(bgr);
  }
  fclose(list);
  assert_int_equal(cases, 3);
  assert_int_equal(compared, 47);
}

static void defaults_are_imagenets(void **state) {
  (void)state;
  clvgg_preprocess pre;
  memset(&pre, 0xAA, sizeof pre);
  clvgg_preprocess_init(&pre);
  assert_int_equal(pre.struct_size, sizeof pre);
  assert_int_equal(pre.resize_short, 256);
  assert_int_equal(pre.width, 224);
  assert_int_equal(pre.height, 224);
  assert_int_equal(pre.interpolation, CLVGG_BILINEAR);
  assert_int_equal(pre.bgr, 0);
  const image black = {1, 1, (uint8_t[]){0, 0, 0}}, white = {1, 1, (uint8_t[]){255, 255, 255}};
  float out[3];
  image_normalise(&black, &pre, out); /* the well-known extremes of normalised ImageNet input */
  assert_float_equal(out[0], -2.117904, 1e-6);
  assert_float_equal(out[1], -2.035714, 1e-6);
  assert_float_equal(out[2], -1.804444, 1e-6);
  image_normalise(&white, &pre, out);
  assert_float_equal(out[0], 2.248908, 1e-6);
  assert_float_equal(out[1], 2.428571, 1e-6);
  assert_float_equal(out[2], 2.64, 1e-6);
}

/* An older caller's struct ends earlier: what it does not have keeps its default. */
static void struct_size_is_respected(void **state) {
  (void)state;
  const char *const path = IMAGE_DATA "rgb8.png";
  clvgg_preprocess pre;
  clvgg_preprocess_init(&pre);
  pre.resize_short = 0;
  pre.width = 13;
  pre.height = 7;
  static float full[13 * 7 * 3], part[13 * 7 * 3];
  assert_int_equal(clvgg_image_load(path, &pre, full), CLVGG_OK);
  memset(pre.mean, 0xFF, sizeof pre.mean); /* NaN: would be refused if it were read */
  memset(pre.std, 0xFF, sizeof pre.std);
  pre.struct_size = offsetof(clvgg_preprocess, mean);
  assert_int_equal(clvgg_image_load(path, &pre, part), CLVGG_OK);
  assert_memory_equal(part, full, sizeof full);
  const size_t bad[] = {0, 1, sizeof pre + 4, sizeof pre + 1, SIZE_MAX, sizeof pre - 1};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    clvgg_preprocess_init(&pre);
    pre.struct_size = bad[i];
    assert_int_equal(clvgg_image_load(path, &pre, full), CLVGG_ERROR_ARGUMENT);
    assert_non_null(strstr(clvgg_last_error(), "struct_size"));
  }
}

static void arguments_are_checked(void **state) {
  (void)state;
  const char *const path = IMAGE_DATA "rgb8.png";
  float out[3] = {7, 7, 7};
  clvgg_preprocess good, pre;
  clvgg_preprocess_init(&good);
  assert_int_equal(clvgg_image_load(NULL, &good, out), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(clvgg_image_load(path, NULL, out), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(clvgg_image_load(path, &good, NULL), CLVGG_ERROR_ARGUMENT);
#define REFUSED(change, expected)                                  \
  do {                                                             \
    pre = good;                                                    \
    change;                                                        \
    assert_int_equal(clvgg_image_load(path, &pre, out), expected); \
  } while (0)
  REFUSED(pre.width = 0, CLVGG_ERROR_ARGUMENT);
  REFUSED(pre.height = 0, CLVGG_ERROR_ARGUMENT);
  REFUSED(pre.std[1] = 0, CLVGG_ERROR_ARGUMENT);
  REFUSED(pre.std[2] = NAN, CLVGG_ERROR_ARGUMENT);
  REFUSED(pre.std[0] = INFINITY, CLVGG_ERROR_ARGUMENT);
  REFUSED(pre.std[0] = -58, CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "std[0] is -58, expected a normal number above 0"));
  REFUSED(pre.std[1] = 1e-40f, CLVGG_ERROR_ARGUMENT); /* subnormal: its reciprocal is infinite */
  assert_non_null(strstr(clvgg_last_error(), "std[1]"));
  REFUSED(pre.mean[0] = INFINITY, CLVGG_ERROR_ARGUMENT);
  REFUSED(pre.interpolation = (clvgg_interpolation)2, CLVGG_ERROR_ARGUMENT);
  REFUSED(pre.width = UINT32_MAX, CLVGG_ERROR_TOO_LARGE);
  REFUSED(pre.width = pre.height = 60000, CLVGG_ERROR_TOO_LARGE);
  REFUSED(pre.resize_short = UINT32_MAX, CLVGG_ERROR_TOO_LARGE);
#undef REFUSED
  assert_int_equal(clvgg_image_load(IMAGE_DATA "decode.txt", &good, out), CLVGG_ERROR_FORMAT);
  assert_non_null(strstr(clvgg_last_error(), "decode.txt: looks like text"));
  assert_float_equal(out[0], 7, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(resize_is_pillows_to_the_bit), cmocka_unit_test(fit_is_torchvisions),
      cmocka_unit_test(fit_can_leave_an_image_alone), cmocka_unit_test(absurd_sizes_are_refused),
      cmocka_unit_test(load_is_torchvisions),         cmocka_unit_test(defaults_are_imagenets),
      cmocka_unit_test(struct_size_is_respected),     cmocka_unit_test(arguments_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
