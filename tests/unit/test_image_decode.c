/* Every kind of image file that is read decodes to the right pixels, and what is not read is refused with a reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/image_fixture.h"

static void lossless_files_are_exact(void **state) {
  (void)state;
  FILE *const list = fopen(IMAGE_DATA "decode.txt", "r");
  assert_non_null(list);
  char name[64], path[1024];
  size_t width, height, files = 0;
  unsigned crc;
  for (; fscanf(list, "%63s %zu %zu %x", name, &width, &height, &crc) == 4; files++) {
    image img;
    snprintf(path, sizeof path, IMAGE_DATA "%s", name);
    if (image_decode_file(path, &img) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
    if (img.width != width || img.height != height || fixture_image_crc(&img) != crc)
      fail_msg("%s: %zux%zu with CRC %08x, expected %zux%zu with %08x", name, img.width, img.height,
               fixture_image_crc(&img), width, height, crc);
    image_free(&img);
    assert_null(img.rgb);
  }
  fclose(list);
  assert_int_equal(files, 22);
}

/* Decoders may differ by rounding in the inverse transform and in spreading reduced chroma; these bounds are about twice
 * what is seen, and far below any mistake in colours or position. stb_image weighs the chroma of the last two columns the
 * wrong way round where only the width is halved, so those are not compared there. */
static void jpeg_is_close_to_pillow(void **state) {
  (void)state;
  const struct {
    const char *name;
    int most;
    double mean;
    size_t columns;
  } files[] = {{"full_chroma", 4, 0.1, 45}, {"grey", 3, 0.1, 45},     {"cmyk", 4, 0.1, 45},
               {"half_chroma", 6, 0.2, 43}, {"baseline", 6, 0.2, 45}, {"restart", 6, 0.2, 45},
               {"progressive", 6, 0.2, 45}};
  for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
    char path[1024], rgb[64];
    snprintf(path, sizeof path, IMAGE_DATA "%s.jpg", files[k].name);
    snprintf(rgb, sizeof rgb, "%s.rgb", files[k].name);
    size_t bytes;
    uint8_t *const expected = fixture_read(rgb, &bytes);
    image img;
    if (image_decode_file(path, &img) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
    assert_int_equal(img.width, 45);
    assert_int_equal(img.height, 35);
    assert_int_equal(bytes, 45 * 35 * 3);
    int most = 0;
    double sum = 0;
    for (size_t i = 0; i < bytes; i++) {
      if (i / 3 % 45 >= files[k].columns) continue;
      const int difference = abs(img.rgb[i] - expected[i]);
      most = difference > most ? difference : most;
      sum += difference;
    }
    print_message("%s.jpg: at most %d levels, mean %.3f\n", files[k].name, most, sum / (double)bytes);
    assert_in_range(most, 0, files[k].most);
    assert_true(sum / (double)bytes <= files[k].mean);
    image_free(&img);
    free(expected);
  }
}

/* The first pixel's first channel. */
static int first_level(const char *data, size_t bytes) {
  image img;
  if (fixture_decode(data, bytes, &img) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
  const int level = img.rgb[0];
  image_free(&img);
  return level;
}

static void pnm_headers_and_maxima(void **state) {
  (void)state;
#define LEVEL(text) first_level(text, sizeof(text) - 1)
  assert_int_equal(LEVEL("P5 1 1 255\n\x7B"), 123);
  assert_int_equal(LEVEL("P5\n# made by hand\n1 # width\n1\n255\n\x7B"), 123);
  assert_int_equal(LEVEL("P5 1 1 100\n\x32"), 128); /* 50 of 100 is 127.5 */
  assert_int_equal(LEVEL("P5 1 1 100\n\xC8"), 255); /* above its own maximum */
  assert_int_equal(LEVEL("P5 1 1 1\n\x01"), 255);
  assert_int_equal(LEVEL("P5 1 1 65535\n\x80\x00"), 128);
  assert_int_equal(LEVEL("P6 1 1 65535\n\xFF\xFF\0\0\0\0"), 255);
  assert_int_equal(LEVEL("P6 1 1 255\r\x0A\x14\x1Etrailing"), 10); /* the pixel is a line feed's code */
#undef LEVEL
  const char *const damaged[] = {"P5 1 1 255\n",     "P5 1 1 0\n\1",   "P5 1 1 65536\n\1\1",
                                 "P5 0 1 255\n\1",   "P5 1 1 255",     "P5 -1 1 255\n\1",
                                 "P6 1 1 255\n\1\1", "P5 1 x 255\n\1", "P5 "};
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
    image img;
    assert_int_equal(fixture_decode(damaged[i], strlen(damaged[i]), &img), CLVGG_ERROR_FORMAT);
  }
}

static void refuses_with_a_reason(void **state) {
  (void)state;
  const struct {
    const char *data;
    size_t bytes;
    clvgg_status status;
    const char *says;
  } files[] = {
      {"GIF89a\1\0\1\0", 10, CLVGG_ERROR_FORMAT, "looks like GIF; JPEG, PNG, BMP and PNM"},
      {"RIFF\x10\0\0\0WEBPVP8 ", 16, CLVGG_ERROR_FORMAT, "looks like WebP"},
      {"II*\0\x08\0\0\0", 8, CLVGG_ERROR_FORMAT, "looks like TIFF"},
      {"\0\0\0\x1C"
       "ftypavif",
       12, CLVGG_ERROR_FORMAT, "looks like AVIF"},
      {"\0\0\0\x1C"
       "ftypheic",
       12, CLVGG_ERROR_FORMAT, "looks like HEIF"},
      {"hello, this is a text\n", 22, CLVGG_ERROR_FORMAT, "looks like text"},
      {"\1\2\3\4", 4, CLVGG_ERROR_FORMAT, "looks like binary data"},
      {"\xFF", 1, CLVGG_ERROR_FORMAT, "JPEG, PNG, BMP and PNM"},
      {"", 0, CLVGG_ERROR_FORMAT, "empty"},
      {"P3 1 1 255\n1 2 3\n", 17, CLVGG_ERROR_UNSUPPORTED, "P3"},
      {"P7\nWIDTH 1\n", 11, CLVGG_ERROR_UNSUPPORTED, "P7"},
      {"P6 65535 65535 255\n", 19, CLVGG_ERROR_TOO_LARGE,
       "65535x65535 pixels, expected at most 65535 a side and 100000000"},
      {"P6 99999999999999999999 1 255\n", 30, CLVGG_ERROR_TOO_LARGE, "expected at most 65535 a side"},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    image img;
    const clvgg_status status = fixture_decode(files[i].data, files[i].bytes, &img);
    if (status != files[i].status || strstr(clvgg_last_error(), files[i].says) == NULL)
      fail_msg("file %zu: status %d, \"%s\"; expected %d, \"%s\"", i, status, clvgg_last_error(), files[i].status,
               files[i].says);
  }
}

static void special_files_are_errors(void **state) {
  (void)state;
  image img;
  assert_int_equal(image_decode_file(IMAGE_DATA "missing.png", &img), CLVGG_ERROR_IO);
  assert_non_null(strstr(clvgg_last_error(), "missing.png"));
  assert_int_equal(image_decode_file(TEST_DATA_DIR, &img), CLVGG_ERROR_IO);
  char path[] = "/tmp/clvgg-test-image-XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(image_decode_file(path, &img), CLVGG_ERROR_FORMAT);
  assert_non_null(strstr(clvgg_last_error(), path));
  unlink(path);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(image_decode_file(path, &img), CLVGG_ERROR_IO);
  unlink(path);
}

/* Threads that fail in different ways each keep their own reason. */
static void *fail_over_and_over(void *context) {
  const char *const *const test = context; /* {a file, a word of its error's text, or NULL when it decodes} */
  for (int i = 0; i < 300; i++) {
    image img;
    const clvgg_status status = image_decode_memory((const uint8_t *)test[0], strlen(test[0]), &img);
    if (status == CLVGG_OK) image_free(&img);
    if (test[1] == NULL ? status != CLVGG_OK : strstr(clvgg_last_error(), test[1]) == NULL) return context;
  }
  return NULL;
}

static void threads_keep_their_errors(void **state) {
  (void)state;
  const char *const tests[4][2] = {
      {"GIF89a", "GIF"}, {"P5 3 3 255\n12345678", "truncated"}, {"P5 1 1 255\nA", NULL}, {"P4 1 1\nA", "P4"}};
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, fail_over_and_over, (void *)tests[i]), 0);
  void *wrong[4];
  for (int i = 0; i < 4; i++) pthread_join(threads[i], &wrong[i]);
  for (int i = 0; i < 4; i++) assert_null(wrong[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lossless_files_are_exact), cmocka_unit_test(jpeg_is_close_to_pillow),
      cmocka_unit_test(pnm_headers_and_maxima),   cmocka_unit_test(refuses_with_a_reason),
      cmocka_unit_test(special_files_are_errors), cmocka_unit_test(threads_keep_their_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
