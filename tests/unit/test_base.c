/* The base folder: half precision, 24-bit integers, hashes, sizes, seeded numbers, files, error texts, the parallel loop, the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/half.h"
#include "base/hash.h"
#include "base/int24.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/size.h"
#include "base/status.h"

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* IEEE 754-2008, 3.4: the value of a binary16 number, by its definition. */
static double half_by_definition(unsigned h) {
  const int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
  const double sign = h & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  return exponent == 0 ? sign * ldexp(fraction, -24) : sign * ldexp(1024 + fraction, exponent - 25);
}

static void half_to_float_is_exact_for_all(void **state) {
  (void)state;
  static unsigned char packed[2 * 65536 + 1]; /* from byte 1 on: unaligned */
  static float array[65536];
  for (unsigned h = 0; h < 65536; h++) {
    packed[1 + 2 * h] = (unsigned char)h;
    packed[2 + 2 * h] = (unsigned char)(h >> 8);
  }
  half_to_float_array(packed + 1, array, 65536);
  for (unsigned h = 0; h < 65536; h++) {
    const double expected = half_by_definition(h);
    const float one = half_to_float((uint16_t)h);
    assert_int_equal(bits_of(one), bits_of(array[h]));
    if (isnan(expected)) {
      assert_true(isnan(one));
      continue;
    }
    assert_int_equal(bits_of(one), bits_of((float)expected));
    assert_int_equal(float_to_half(one), h);
  }
}

static void float_to_half_rounds_to_nearest_even(void **state) {
  (void)state;
  const struct {
    float value;
    unsigned half;
  } cases[] = {
      {1.0f, 0x3C00},
      {1.0f + 0x1p-11f, 0x3C00}, /* a tie, to the even one below */
      {1.0f + 0x3p-11f, 0x3C02},
      {1.0f + 0x1.01p-11f, 0x3C01}, /* a tie, to the even one above; just over a tie */
      {65504.0f, 0x7BFF},
      {65519.99f, 0x7BFF},
      {65520.0f, 0x7C00},
      {1e30f, 0x7C00},
      {-1e30f, 0xFC00},
      {0x1p-24f, 0x0001},
      {0x1p-25f, 0x0000},
      {0x1.01p-25f, 0x0001},
      {0x3p-25f, 0x0002},
      {0x1.ffp-15f, 0x03FE},
      {0x1.fffp-15f, 0x0400},
      {-0.0f, 0x8000},
      {INFINITY, 0x7C00},
      {0x1p-14f, 0x0400},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_int_equal(float_to_half(cases[i].value), cases[i].half);
  assert_true(isnan(half_to_float(float_to_half(NAN))));
}

/* Between any two neighbours: half-way goes to the even one, and what is next to that to the nearer. */
static void float_to_half_array_rounds_every_interval(void **state) {
  (void)state;
  enum { COUNT = 0x7C00 * 3 };
  static float in[COUNT];
  static uint16_t out[COUNT], want[COUNT];
  for (int negative = 0; negative < 2; negative++) {
    const uint16_t sign = negative ? 0x8000 : 0;
    for (unsigned h = 0; h < 0x7C00; h++) {
      /* The neighbour of the largest would be 2^16. */
      const double next = h + 1 < 0x7C00 ? half_by_definition(h + 1) : 65536;
      const float tie = (float)((half_by_definition(h) + next) / 2); /* exact: one more bit */
      const float values[3] = {nextafterf(tie, 0), tie, nextafterf(tie, INFINITY)};
      for (unsigned i = 0; i < 3; i++) in[3 * h + i] = negative ? -values[i] : values[i];
      want[3 * h] = (uint16_t)(sign | h);
      want[3 * h + 1] = (uint16_t)(sign | (h % 2 ? h + 1 : h));
      want[3 * h + 2] = (uint16_t)(sign | (h + 1));
    }
    assert_false(float_to_half_array(in, out, COUNT));    /* the last two are infinite */
    assert_true(float_to_half_array(in, out, COUNT - 2)); /* 65519.996 is not */
    assert_false(float_to_half_array(in, out, COUNT));
    assert_memory_equal(out, want, sizeof want);
    for (size_t i = 0; i < COUNT; i++) assert_int_equal(float_to_half(in[i]), want[i]);
  }
  const float odd[] = {INFINITY, -INFINITY, NAN, 3e38f, 0x1p-149f, -0.0f, 1};
  const uint16_t halves[] = {0x7C00, 0xFC00, 0, 0x7C00, 0, 0x8000, 0x3C00};
  for (size_t i = 0; i < 7; i++) {
    assert_int_equal(float_to_half_array(odd + i, out, 1), i >= 4);
    if (isnan(odd[i]))
      assert_true(isnan(half_to_float(out[0])));
    else
      assert_int_equal(out[0], halves[i]);
  }
  assert_true(float_to_half_array(NULL, NULL, 0));
}

/* ---- 24-bit integers */

#define ROW 1000

/* A row's integers; checks that they are the nearest to its weights. */
static void int24_of_row(const float *row, int32_t *q) {
  float scales[ROW];
  int16_t high[ROW];
  uint8_t low[ROW];
  const double largest = (double)int24_largest(row, ROW, 0), scale = (double)int24_scale((float)largest);
  /* Half a step of 2^23 - 1 steps, the step rounded to f32; and half of the least step there is. */
  const double allowed = fmax(0x1p-24 * (1 + 0x1p-22) * largest, 0x1p-127);
  for (size_t i = 0; i < ROW; i++) scales[i] = (float)scale;
  float_to_int24_array(row, scales, ROW, high, low);
  for (size_t i = 0; i < ROW; i++) {
    q[i] = high[i] * 256 + low[i];
    assert_true(q[i] >= -INT24_LARGEST && q[i] <= INT24_LARGEST);
    assert_true((float)q[i] == (double)q[i]);
    const double error = fabs(q[i] * scale - (double)row[i]);
    assert_true(error <= allowed && error <= scale / 2 * (1 + 0x1p-29));
  }
}

static void int24_is_within_half_a_step(void **state) {
  (void)state;
  float row[ROW];
  int32_t q[ROW];
  static const float ranges[] = {1, 0.01f, 3e-20f, 0x1p-103f, 0x1p-120f, FLT_MIN, 0x1p-140f, 0x1p-149f, 1e20f, FLT_MAX};
  for (size_t k = 0; k < sizeof ranges / sizeof *ranges; k++) {
    random_fill(k, -1, 1, row, ROW);
    for (size_t i = 0; i < ROW; i++) row[i] *= ranges[k];
    int24_of_row(row, q);
    row[ROW / 2] = -ranges[k]; /* the largest is negative */
    int24_of_row(row, q);
    if (ranges[k] >= 0x1p-103f) assert_int_equal(q[ROW / 2], -INT24_LARGEST);
    row[ROW - 1] = ranges[k];
    row[0] = 0;
    int24_of_row(row, q);
    assert_int_equal(q[0], 0);
    assert_int_equal(q[ROW - 1], -q[ROW / 2]);
  }
  /* A huge range: exponents up to 124 at once. Half a step is a bit more than 1.5 * 2^100, and what is less is nothing. */
  for (int i = 0; i < ROW; i++) row[i] = ldexpf(i % 2 ? -1.5f : 1.25f, i % 250 - 125);
  int24_of_row(row, q);
  for (int i = 0; i < ROW; i++) assert_int_equal(q[i] == 0, i % 250 - 125 <= 100);
  memset(row, 0, sizeof row);
  row[1] = -0.0f;
  int24_of_row(row, q);
  for (size_t i = 0; i < ROW; i++) assert_int_equal(q[i], 0);
}

/* Where the step is 1, integers are themselves, and ties go to the even one. */
static void int24_is_exact_on_its_steps(void **state) {
  (void)state;
  float row[ROW] = {0, 0.5f, -0.5f, 1.5f, -1.5f, 2.5f, 255, 256, -1, -255, -256, -257, -8388607, 8388607, 8388606.5f};
  static const int32_t expected[] = {0, 0, 0, 2, -2, 2, 255, 256, -1, -255, -256, -257, -8388607, 8388607, 8388606};
  int32_t q[ROW];
  for (int i = 15; i < ROW; i++) row[i] = (float)(i * 16771 - 8388607);
  int24_of_row(row, q);
  for (size_t i = 0; i < 15; i++) assert_int_equal(q[i], expected[i]);
  for (int i = 15; i < ROW; i++) assert_int_equal(q[i], i * 16771 - 8388607);
}

/* However its step is rounded, the largest is the last step. */
static void int24_holds_any_largest(void **state) {
  (void)state;
  for (size_t i = 0; i < 200000; i++) {
    const float largest = ldexpf(1 + (float)random_uniform(7, i), (int)(i % 200) - 100), scale = int24_scale(largest);
    int16_t high;
    uint8_t low;
    float_to_int24_array(&largest, &scale, 1, &high, &low);
    assert_int_equal(high * 256 + low, INT24_LARGEST);
  }
}

static void int24_notices_what_is_not_finite(void **state) {
  (void)state;
  const float odd[] = {NAN, -NAN, INFINITY, -INFINITY};
  float row[ROW];
  random_fill(1, -1, 1, row, ROW);
  row[9] = -1.25f;
  assert_true(int24_largest(row, ROW, 0) == 1.25f);
  assert_true(int24_largest(row, ROW, 1.5f) == 1.5f);
  assert_true(int24_largest(row, 0, 0) == 0);
  for (size_t k = 0; k < 4; k++)
    for (size_t i = 0; i < ROW; i += 37) {
      const float kept = row[i];
      row[i] = odd[k];
      assert_false(isfinite(int24_largest(row, ROW, 0)));
      row[i] = kept;
      assert_false(isfinite(int24_largest(row, ROW, odd[k])));
    }
}

/* Between any two neighbours: half-way goes to the even one, and what is next to that to the nearer. */
static void bfloat16_rounds_every_interval(void **state) {
  (void)state;
  for (uint32_t h = 0; h < 0x7F80; h++)
    for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000) {
      const uint32_t half_way[] = {0x0000, 0x7FFF, 0x8000, 0x8001, 0xFFFF}, up[] = {0, 0, h & 1, 1, 1};
      for (size_t i = 0; i < 5; i++) {
        const uint32_t bits = (h | sign) << 16 | half_way[i];
        float value;
        memcpy(&value, &bits, sizeof value);
        assert_int_equal(float_to_bfloat16(value), (h | sign) + up[i]); /* 0x7F80: infinite */
      }
    }
  const uint32_t odd[] = {0x7F800000, 0xFF800000, 0x7F800001, 0xFF80FFFF, 0x7FFFFFFF, 0x7FC00000};
  const uint16_t want[] = {0x7F80, 0xFF80, 0x7FC0, 0xFFC0, 0x7FFF, 0x7FC0};
  for (size_t i = 0; i < 6; i++) {
    float value;
    memcpy(&value, &odd[i], sizeof value);
    assert_int_equal(float_to_bfloat16(value), want[i]);
  }
}

static void bfloat16_is_the_upper_half(void **state) {
  (void)state;
  const unsigned char in[] = {0, 0x80, 0x3F, 0x40, 0xC0, 0x80, 0x7F, 0x01, 0x00}; /* 1, -3, inf, 2^-133 */
  const float expected[] = {1.0f, -3.0f, INFINITY, 0x1p-133f};
  float out[4];
  bfloat16_to_float_array(in + 1, out, 4);
  for (int i = 0; i < 4; i++) assert_int_equal(bits_of(out[i]), bits_of(expected[i]));
}

static void sizes_notice_overflow(void **state) {
  (void)state;
  size_t out;
  const size_t many[] = {(size_t)1 << 32, (size_t)1 << 31, 2}, zero[] = {0, SIZE_MAX, 3};
  assert_false(size_mul(SIZE_MAX / 2 + 1, 2, &out));
  assert_true(size_mul(SIZE_MAX / 2, 2, &out));
  assert_false(size_add(SIZE_MAX, 1, &out));
  assert_false(size_product(many, 3, &out));
  assert_true(size_product(zero, 3, &out));
  assert_int_equal(out, 0);
  assert_int_equal(size_round_up(17, 16), 32);
  assert_int_equal(size_ceil_div(SIZE_MAX, 2), SIZE_MAX / 2 + 1);
}

/* Numbers that Python computed from the formula in random.h. */
static void random_numbers_are_the_same_everywhere(void **state) {
  (void)state;
  const uint32_t expected[4] = {16034049, 12560814, 13949288, 8792676};
  assert_int_equal((uint32_t)(random_uniform(1, 0) * 0x1p24f), expected[0]);
  assert_int_equal((uint32_t)(random_uniform(1, 1) * 0x1p24f), expected[1]);
  assert_int_equal((uint32_t)(random_uniform(7, 0) * 0x1p24f), expected[2]);
  assert_int_equal((uint32_t)(random_uniform(7, 1000000000000) * 0x1p24f), expected[3]);

  float filled[1000];
  double sum = 0;
  random_fill(3, -2, 6, filled, 1000);
  for (size_t i = 0; i < 1000; i++) {
    assert_true(filled[i] >= -2 && filled[i] < 6);
    sum += filled[i];
  }
  assert_true(fabs(sum / 1000 - 2) < 0.4); /* the mean's standard deviation is 8 / sqrt(12 * 1000) = 0.073 */
  volatile float scaled = 8.0f * random_uniform(3, 17);
  assert_int_equal(bits_of(filled[17]), bits_of(-2.0f + scaled));
}

static void errors_are_one_line_a_thread(void **state) {
  (void)state;
  assert_int_equal(base_fail(CLVGG_ERROR_FORMAT, "a\n%s\t%d", "b\x1b", 5), CLVGG_ERROR_FORMAT);
  assert_string_equal(clvgg_last_error(), "a?b??5");
  assert_int_equal(base_fail_in(CLVGG_ERROR_IO, "file %d", 3), CLVGG_ERROR_IO);
  assert_string_equal(clvgg_last_error(), "file 3: a?b??5");
  (void)base_fail(CLVGG_ERROR_IO, "again: %s", clvgg_last_error()); /* its own text as an argument */
  assert_string_equal(clvgg_last_error(), "again: file 3: a?b??5");
  char longer[4000];
  memset(longer, 'x', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  (void)base_fail(CLVGG_ERROR_IO, "%s", longer);
  assert_true(strlen(clvgg_last_error()) > 500 && strlen(clvgg_last_error()) < 4000);
  for (int shift = 0; shift < 2; shift++) { /* a text that is cut is cut between characters */
    for (size_t i = 0; i + 2 < sizeof longer; i += 2) memcpy(longer + i, "\xc3\xa9", 2);
    (void)base_fail(CLVGG_ERROR_IO, "%s%s", shift ? "x" : "", longer);
    assert_int_equal((unsigned char)clvgg_last_error()[strlen(clvgg_last_error()) - 1], 0xa9);
  }
  assert_string_equal(clvgg_status_name(CLVGG_ERROR_DEVICE), "device error");
  assert_string_equal(clvgg_status_name((clvgg_status)1000), "unknown status");
  for (int s = 0; s <= CLVGG_ERROR_MISMATCH; s++) assert_true(strlen(clvgg_status_name((clvgg_status)s)) > 1);
  assert_true(strchr(clvgg_version(), '.') != NULL);
}

static void *other_thread(void *seen) {
  *(int *)seen = strcmp(clvgg_last_error(), "") == 0;
  (void)base_fail(CLVGG_ERROR_IO, "theirs");
  return NULL;
}

static void errors_belong_to_their_thread(void **state) {
  (void)state;
  int was_empty = 0;
  pthread_t thread;
  (void)base_fail(CLVGG_ERROR_IO, "mine");
  assert_int_equal(pthread_create(&thread, NULL, other_thread, &was_empty), 0);
  pthread_join(thread, NULL);
  assert_true(was_empty);
  assert_string_equal(clvgg_last_error(), "mine");
}

typedef struct counts {
  atomic_uint each[5000];
  atomic_size_t inner;
} counts;

static void inner_body(size_t i, void *context) {
  atomic_fetch_add(&((counts *)context)->inner, i);
}

static void count_body(size_t i, void *context) {
  counts *c = context;
  atomic_fetch_add(&c->each[i], 1);
  if (i % 1000 == 0) parallel_for(5, inner_body, c);
}

static void parallel_for_runs_each_once(void **state) {
  (void)state;
  static counts c;
  parallel_for(5000, count_body, &c);
  for (size_t i = 0; i < 5000; i++) assert_int_equal(c.each[i], 1);
  assert_int_equal(c.inner, 5 * (0 + 1 + 2 + 3 + 4));
  parallel_for(0, count_body, NULL);
  assert_true(parallel_width() >= 1);
}

static char folder[64];

static const char *in_folder(const char *name) {
  static char path[4][256];
  static int next;
  char *out = path[next++ % 4];
  snprintf(out, 256, "%s/%s", folder, name);
  return out;
}

static void assert_error_has(const char *part) {
  if (strstr(clvgg_last_error(), part) == NULL) fail_msg("'%s' is not in '%s'", part, clvgg_last_error());
}

static void files_are_mapped_and_written(void **state) {
  (void)state;
  file_map map;
  const char *path = in_folder("a.bin");
  umask(022);
  assert_int_equal(file_write(path, "first", 5), CLVGG_OK);
  assert_int_equal(file_write(path, "second", 6), CLVGG_OK);
  assert_int_equal(file_map_open(path, &map), CLVGG_OK);
  assert_int_equal(map.bytes, 6);
  assert_memory_equal(map.data, "second", 6);
  file_map_close(&map);
  file_map_close(&map);
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0644);
  assert_true(file_exists(path));
  assert_false(file_exists(folder));

  assert_int_equal(symlink("a.bin", in_folder("link")), 0);
  assert_int_equal(file_write(in_folder("link"), "", 0), CLVGG_OK);
  assert_int_equal(lstat(in_folder("link"), &info), 0);
  assert_true(S_ISLNK(info.st_mode));
  assert_int_equal(file_map_open(path, &map), CLVGG_OK);
  assert_int_equal(map.bytes, 0);
  assert_null(map.data);
  file_map_close(&map);
}

static void odd_files_are_errors(void **state) {
  (void)state;
  file_map map;
  alarm(20); /* opening a FIFO the ordinary way would wait for ever */
  assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
  assert_int_equal(file_map_open(in_folder("fifo"), &map), CLVGG_ERROR_IO);
  assert_error_has("fifo: is a FIFO, expected a file");
  assert_int_equal(file_map_open(folder, &map), CLVGG_ERROR_IO);
  assert_error_has("is a directory, expected a file");
  assert_error_has(folder);
  assert_int_equal(file_map_open(in_folder("missing"), &map), CLVGG_ERROR_IO);
  assert_error_has("missing: No such file");
  assert_int_equal(file_map_open("/dev/zero", &map), CLVGG_ERROR_IO);
  assert_error_has("/dev/zero: is a device");
  assert_int_equal(file_map_open(NULL, &map), CLVGG_ERROR_ARGUMENT);
  assert_null(map.data);
  alarm(0);

  assert_int_equal(file_write(in_folder("no/such/folder"), "x", 1), CLVGG_ERROR_IO);
  assert_error_has("no/such/folder");
  assert_int_equal(file_write(folder, "x", 1), CLVGG_ERROR_IO);
  assert_int_equal(file_write("/dev/null", "x", 1), CLVGG_OK); /* written to, not replaced */
  struct stat info;
  assert_int_equal(stat("/dev/null", &info), 0);
  assert_true(S_ISCHR(info.st_mode));
}

static void data_folders_follow_the_environment(void **state) {
  (void)state;
  char out[512];
  setenv("XDG_DATA_HOME", "/xdg", 1);
  assert_int_equal(file_user_path("m.pth", out, sizeof out), CLVGG_OK);
  assert_string_equal(out, "/xdg/clvgg/m.pth");
  assert_int_equal(file_user_path("m.pth", out, 16), CLVGG_ERROR_TOO_LARGE); /* 16 characters and the NUL */
  assert_int_equal(file_user_path("m.pth", out, 17), CLVGG_OK);
  setenv("XDG_DATA_HOME", "relative", 1);
  setenv("HOME", "/home/x", 1);
  assert_int_equal(file_user_path("m.pth", out, sizeof out), CLVGG_OK);
  assert_string_equal(out, "/home/x/.local/share/clvgg/m.pth");
  unsetenv("HOME");
  assert_int_equal(file_user_path("m.pth", out, sizeof out), CLVGG_ERROR_IO);

  setenv("CLVGG_DATA_DIR", folder, 1);
  assert_int_equal(file_write(in_folder("shared.txt"), "x", 1), CLVGG_OK);
  assert_int_equal(file_shared_path("shared.txt", out, sizeof out), CLVGG_OK);
  assert_string_equal(out, in_folder("shared.txt"));
  assert_int_equal(file_shared_path("no such file", out, sizeof out), CLVGG_ERROR_IO);
  assert_error_has("no such file");
}

static void keep_line(const char *line, void *user) {
  snprintf(user, 64, "%s", line);
  base_log("a log function that makes the library log");
}

static void log_lines_reach_the_application(void **state) {
  (void)state;
  char line[64] = "";
  base_log("to nobody");
  clvgg_set_log(keep_line, line);
  base_log("%d\nlines", 2);
  assert_string_equal(line, "2 lines");
  clvgg_set_log(NULL, NULL);
  base_log("unheard");
  assert_string_equal(line, "2 lines");
}

/* Test vectors of the FNV authors' test suite. */
static void hashes_are_the_published_ones(void **state) {
  (void)state;
  assert_true(hash_bytes(HASH_START, "", 0) == UINT64_C(0xcbf29ce484222325));
  assert_true(hash_bytes(HASH_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
  assert_true(hash_bytes(HASH_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
  assert_true(hash_bytes(hash_bytes(HASH_START, "foo", 3), "bar", 3) == UINT64_C(0x85944171f73967e8));
}

/* Every byte of a block counts, wherever it lies, and so does its length. */
static void blocks_are_hashed_whole(void **state) {
  (void)state;
  unsigned char data[64 * 3 + 5] = {0};
  const uint64_t zeros = hash_block(data, sizeof data);
  assert_true(zeros == hash_block(data, sizeof data));
  assert_true(zeros != hash_block(data, sizeof data - 1));
  assert_true(zeros != hash_block(data, 64));
  for (size_t i = 0; i < sizeof data; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      data[i] = (unsigned char)(1U << bit);
      const uint64_t one = hash_block(data, sizeof data);
      assert_true(one != zeros);
      /* The same bit in the next word of the same lane must not undo it. */
      const size_t next = (i + 64) % sizeof data;
      data[next] ^= (unsigned char)(1U << bit);
      assert_true(hash_block(data, sizeof data) != zeros);
      data[next] = 0;
      data[i] = 0;
    }
  /* Unaligned blocks are the same blocks. */
  unsigned char moved[sizeof data + 1];
  for (size_t i = 0; i < sizeof data; i++) data[i] = moved[i + 1] = (unsigned char)(i * 7);
  assert_true(hash_block(data, sizeof data) == hash_block(moved + 1, sizeof data));
}

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/clvgg-test-base-XXXXXX");
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  const char *const names[] = {"a.bin", "link", "fifo", "shared.txt"};
  for (size_t i = 0; i < 4; i++) unlink(in_folder(names[i]));
  return rmdir(folder); /* fails when a temporary file was left behind */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(half_to_float_is_exact_for_all),
      cmocka_unit_test(float_to_half_rounds_to_nearest_even),
      cmocka_unit_test(float_to_half_array_rounds_every_interval),
      cmocka_unit_test(bfloat16_rounds_every_interval),
      cmocka_unit_test(int24_is_within_half_a_step),
      cmocka_unit_test(int24_is_exact_on_its_steps),
      cmocka_unit_test(int24_holds_any_largest),
      cmocka_unit_test(int24_notices_what_is_not_finite),
      cmocka_unit_test(bfloat16_is_the_upper_half),
      cmocka_unit_test(sizes_notice_overflow),
      cmocka_unit_test(random_numbers_are_the_same_everywhere),
      cmocka_unit_test(errors_are_one_line_a_thread),
      cmocka_unit_test(errors_belong_to_their_thread),
      cmocka_unit_test(hashes_are_the_published_ones),
      cmocka_unit_test(blocks_are_hashed_whole),
      cmocka_unit_test(parallel_for_runs_each_once),
      cmocka_unit_test(files_are_mapped_and_written),
      cmocka_unit_test(odd_files_are_errors),
      cmocka_unit_test(data_folders_follow_the_environment),
      cmocka_unit_test(log_lines_reach_the_application),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
