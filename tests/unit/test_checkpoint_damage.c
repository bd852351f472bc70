/* Damaged and hostile checkpoints: fixtures cut at every byte, with every byte changed, and lies about sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "checkpoint/format.h"

static checkpoint *c;
static volatile unsigned sink; /* keeps the reads */

/* Opens a copy of exactly those bytes (so that AddressSanitizer sees a read behind them) and looks at all of it. */
static clvgg_status try_bytes(const void *data, size_t bytes) {
  unsigned char *copy = malloc(bytes == 0 ? 1 : bytes);
  unsigned sum = 0;
  assert_non_null(copy);
  memcpy(copy, data, bytes);
  const clvgg_status status = checkpoint_open_memory(copy, bytes, "memory", &c);
  if (status == CLVGG_OK) {
    for (size_t i = 0; i < checkpoint_tensor_count(c); i++) {
      const tensor *t = &checkpoint_tensors(c)[i];
      for (size_t k = 0; k < t->bytes; k++) sum += ((const unsigned char *)t->data)[k];
      sum += (unsigned)strlen(t->name);
    }
    for (size_t i = 0; i < checkpoint_class_count(c); i++) sum += (unsigned)strlen(checkpoint_class_name(c, i));
    sink = sum;
    checkpoint_close(&c);
  } else {
    assert_true(strncmp(clvgg_last_error(), "memory: ", 8) == 0 && strlen(clvgg_last_error()) > 15);
  }
  assert_null(c);
  free(copy);
  return status;
}

static void assert_refused(const void *data, size_t bytes, clvgg_status status, const char *part) {
  assert_int_equal(try_bytes(data, bytes), status);
  if (strstr(clvgg_last_error(), part) == NULL) fail_msg("'%s' is not in '%s'", part, clvgg_last_error());
}

static const char *const fixtures[] = {"zip_f32.pth",        "zip_mmcls.pth",   "legacy_f32.pth",  "legacy_mmcls.pth",
                                       "strided_legacy.pth", "strided_zip.pth", "f32.safetensors", "bf16.safetensors"};
enum { FIXTURES = sizeof fixtures / sizeof *fixtures };

static unsigned char *read_fixture(const char *name, size_t *bytes) {
  char path[512];
  file_map map;
  snprintf(path, sizeof path, "%s/checkpoint/%s", TEST_DATA_DIR, name);
  assert_int_equal(file_map_open(path, &map), CLVGG_OK);
  unsigned char *copy = malloc(map.bytes);
  assert_non_null(copy);
  memcpy(copy, map.data, map.bytes);
  *bytes = map.bytes;
  file_map_close(&map);
  return copy;
}

static void every_cut_is_an_error(void **state) {
  (void)state;
  for (size_t f = 0; f < FIXTURES; f++) {
    size_t bytes;
    unsigned char *data = read_fixture(fixtures[f], &bytes);
    for (size_t n = 0; n < bytes; n++)
      if (try_bytes(data, n) == CLVGG_OK)
        fail_msg("%s is accepted when cut to %zu of %zu bytes", fixtures[f], n, bytes);
    assert_int_equal(try_bytes(data, bytes), CLVGG_OK);
    free(data);
  }
}

static void every_changed_byte_is_survived(void **state) {
  (void)state;
  const unsigned char changes[] = {0xff, 0x01, 0x80};
  for (size_t f = 0; f < FIXTURES; f++) {
    size_t bytes, accepted = 0;
    unsigned char *data = read_fixture(fixtures[f], &bytes);
    for (size_t i = 0; i < bytes; i++)
      for (size_t k = 0; k < sizeof changes; k++) {
        data[i] ^= changes[k];
        accepted += try_bytes(data, bytes) == CLVGG_OK;
        data[i] ^= changes[k];
      }
    assert_true(accepted < 3 * bytes); /* weights without a checksum may change, the structure may not */
    assert_int_equal(try_bytes(data, bytes), CLVGG_OK);
    free(data);
  }
}

static void random_bytes_are_refused(void **state) {
  (void)state;
  static const char *const starts[] = {"", "PK\3\4", "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."};
  unsigned char data[600];
  uint64_t seed = 88172645463325252u; /* xorshift64, Marsaglia 2003 */
  for (int round = 0; round < 3000; round++) {
    for (size_t i = 0; i < sizeof data; i++) {
      seed ^= seed << 13;
      seed ^= seed >> 7;
      seed ^= seed << 17;
      data[i] = (unsigned char)(seed >> 32);
    }
    const char *start = starts[round % 3];
    memcpy(data, start, strlen(start));
    assert_int_not_equal(try_bytes(data, sizeof data), CLVGG_OK);
  }
}

/* ---------------------------------------------------------------- safetensors */

/* A file of that header and data_bytes zeros. */
static void refuse_header(const char *header, size_t data_bytes, clvgg_status status, const char *part) {
  unsigned char file[2048] = {0};
  const size_t length = strlen(header);
  assert_true(8 + length + data_bytes <= sizeof file);
  file[0] = (unsigned char)length;
  file[1] = (unsigned char)(length >> 8);
  memcpy(file + 8, header, length);
  if (status == CLVGG_OK)
    assert_int_equal(try_bytes(file, 8 + length + data_bytes), CLVGG_OK);
  else
    assert_refused(file, 8 + length + data_bytes, status, part);
}

static void safetensors_lies_are_refused(void **state) {
  (void)state;
#define ENTRY(dtype, shape, begin, end) \
  "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"
  static const struct {
    const char *header;
    size_t data;
    clvgg_status status;
    const char *part;
  } cases[] = {
      {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 8, CLVGG_OK, ""},
      {"{\"a\":" ENTRY("F32", "[]", 0, 4) "}   ", 4, CLVGG_OK, ""},
      {"{\"a\":" ENTRY("F32", "[0,7]", 0, 0) ",\"b\":" ENTRY("F32", "[0]", 0, 0) "}", 0, CLVGG_OK, ""},
      {"{}", 0, CLVGG_OK, ""},
      {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 7, CLVGG_ERROR_FORMAT, "cut short"},
      {"{\"a\":" ENTRY("F32", "[3]", 0, 8) "}", 8, CLVGG_ERROR_FORMAT, "tensor 'a' has 8 bytes, its shape (3,)"},
      {"{\"a\":" ENTRY("F32", "[2]", 8, 0) "}", 8, CLVGG_ERROR_FORMAT, "'a'"},
      {"{\"a\":" ENTRY("F32", "[2]", -8, 0) "}", 8, CLVGG_ERROR_FORMAT, "data_offsets"},
      {"{\"a\":" ENTRY("F32", "[-2]", 0, 8) "}", 8, CLVGG_ERROR_FORMAT, "not a size"},
      {"{\"a\":" ENTRY("F32", "[2.0]", 0, 8) "}", 8, CLVGG_ERROR_FORMAT, "not a size"},
      {"{\"a\":" ENTRY("F32", "[4611686018427387904,4]", 0, 0) "}", 0, CLVGG_ERROR_FORMAT, "'a'"},
      {"{\"a\":" ENTRY("F32", "[9223372036854775807,2,2]", 0, 0) "}", 0, CLVGG_ERROR_FORMAT, "'a'"},
      {"{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, CLVGG_ERROR_FORMAT, "9 dimensions"},
      {"{\"a\":" ENTRY("F8_E4M3", "[2]", 0, 2) "}", 2, CLVGG_ERROR_UNSUPPORTED, "tensor 'a' has the dtype F8_E4M3"},
      {"{\"a\":" ENTRY("F32", "[2]", 0, 8) ",\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 8, CLVGG_ERROR_FORMAT, "a"},
      {"{\"a\":" ENTRY("F32", "[2]", 0, 8) ",\"b\":" ENTRY("F32", "[2]", 4, 12) "}", 12, CLVGG_ERROR_FORMAT,
       "'a' and 'b' overlap"},
      {"{\"b\":" ENTRY("F32", "[2]", 0, 8) ",\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 8, CLVGG_ERROR_FORMAT, "overlap"},
      {"{\"a\":7}", 8, CLVGG_ERROR_FORMAT, "'a' is not an object"},
      {"{\"a\":{}}", 8, CLVGG_ERROR_FORMAT, "no dtype"},
      {"{\"a\":{\"dtype\":\"F32\"}}", 8, CLVGG_ERROR_FORMAT, "no shape"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 8, CLVGG_ERROR_FORMAT, "data_offsets"},
      {"{\"__metadata__\":{\"k\":1}}", 0, CLVGG_ERROR_FORMAT, "'k' is not a string"},
      {"{\"__metadata__\":[]}", 0, CLVGG_ERROR_FORMAT, "__metadata__"},
      {"{\"a\":", 0, CLVGG_ERROR_FORMAT, "not JSON"},
      {"{\"a\\u0000b\":" ENTRY("F32", "[2]", 0, 8) "}", 8, CLVGG_ERROR_FORMAT, "not JSON"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    refuse_header(cases[i].header, cases[i].data, cases[i].status, cases[i].part);
  assert_refused("\xff\xff\xff\xff\0\0\0\0{}", 10, CLVGG_ERROR_FORMAT, "header has 4294967295 bytes");
  assert_refused("\x03\0\0\0\0\0\0\0{}", 10, CLVGG_ERROR_FORMAT, "header has 3 bytes, the file only 10");
  assert_refused("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, CLVGG_ERROR_FORMAT, "begins with");
}

static void deep_json_is_refused(void **state) {
  (void)state;
  const size_t depth = 1000000;
  char *file = malloc(depth + 9);
  assert_non_null(file);
  memcpy(file, "\0\0\0\0\0\0\0\0{\"a\":", 13);
  memset(file + 13, '[', depth - 4);
  const size_t length = depth;
  for (int i = 0; i < 8; i++) file[i] = (char)(length >> (8 * i));
  assert_refused(file, 8 + length, CLVGG_ERROR_FORMAT, "not JSON");
  free(file);
}

/* ---------------------------------------------------------------- pickled tensors */

#define MAGIC   "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
#define VERSION "\x80\x02M\xe9\x03."
#define SYSTEM  "\x80\x02}U\x0dlittle_endian\x88s."
/* a storage of 4 floats with the key 0, as a persistent id */
#define STORAGE(elements)                    \
  "(U\x07storagectorch\nFloatStorage\nU\x01" \
  "0U\x03"                                   \
  "cpuK" elements "tQ"
/* offset, size and stride are opcodes */
#define TENSOR(storage, offset, size, stride) \
  "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset size stride "\x89}tR"
#define DATA4          \
  "\x04\0\0\0\0\0\0\0" \
  "\0\0\x80?\0\0\0@\0\0\x40@\0\0\x80@" /* 1 2 3 4 */

#define LEGACY(tree)                     \
  MAGIC VERSION SYSTEM "\x80\x02" tree   \
                       ".\x80\x02]U\x01" \
                       "0a." DATA4
#define ONE(offset, size, stride) \
  LEGACY(                         \
      "}U\x01"                    \
      "w" TENSOR(STORAGE("\x04"), offset, size, stride) "s")

static void pickled_tensors_are_checked(void **state) {
  (void)state;
  static const struct {
    const char *file;
    size_t bytes;
    clvgg_status status;
    const char *part;
  } cases[] = {
#define CASE(file, status, part) {file, sizeof(file) - 1, status, part}
      CASE(ONE("K\x00", "K\x04\x85", "K\x01\x85"), CLVGG_OK, ""),
      CASE(ONE("K\x01", "K\x03\x85", "K\x01\x85"), CLVGG_OK, ""),
      CASE(ONE("K\x04", "K\x00\x85", "K\x01\x85"), CLVGG_OK, ""),
      CASE(ONE("K\x03", ")", ")"), CLVGG_OK, ""),
      CASE(ONE("K\x01", "K\x04\x85", "K\x01\x85"), CLVGG_ERROR_FORMAT, "tensor 'w' (4,) at offset 1 reaches outside"),
      CASE(ONE("K\x04", ")", ")"), CLVGG_ERROR_FORMAT, "reaches outside its storage of 4"),
      CASE(ONE("J\xff\xff\xff\xff", "K\x04\x85", "K\x01\x85"), CLVGG_ERROR_FORMAT, "reaches outside"),
      CASE(ONE("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "K\x04\x85", "K\x01\x85"), CLVGG_ERROR_FORMAT, "outside"),
      CASE(ONE("K\x00", "K\x02\x85", "K\x04\x85"), CLVGG_ERROR_FORMAT, "reaches outside"),
      CASE(ONE("K\x00", "K\x03\x85", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"), CLVGG_ERROR_FORMAT, "outside"),
      CASE(ONE("K\x00", "K\x03\x85", "J\xff\xff\xff\xff\x85"), CLVGG_ERROR_FORMAT, "not a size"),
      CASE(ONE("K\x00", "J\xff\xff\xff\xff\x85", "K\x01\x85"), CLVGG_ERROR_FORMAT, "not a size"),
      CASE(ONE("K\x00", "K\x02K\x02\x86", "K\x01\x85"), CLVGG_ERROR_FORMAT, "2 dimensions and 1 strides"),
      CASE(ONE("K\x00", "N\x85", "K\x01\x85"), CLVGG_ERROR_FORMAT, "not a size"),
      CASE(ONE("K\x00", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t"), CLVGG_ERROR_FORMAT,
           "9 dimensions"),
      /* 2^40 elements out of one, by a stride of 0; 2^62 x 2^62 */
      CASE(ONE("K\x00", "\x8a\x06\0\0\0\0\0\x01\x85", "K\0\x85"), CLVGG_ERROR_TOO_LARGE, "not contiguous"),
      CASE(ONE("K\x00", "\x8a\x08\0\0\0\0\0\0\0\x40\x8a\x08\0\0\0\0\0\0\0\x40\x86", "K\0K\0\x86"), CLVGG_ERROR_FORMAT,
           "larger than any memory"),
      CASE(LEGACY("}U\x01w" TENSOR(STORAGE("\x05"), "K\0", "K\1\x85", "K\1\x85") "s"), CLVGG_ERROR_FORMAT,
           "has 4 elements, its tree says 5"),
      CASE(LEGACY("}(U\x01w" TENSOR(STORAGE("\x04"), "K\0", ")", ")") "U\x01w" TENSOR(STORAGE("\x04"), "K\0", ")",
                                                                                      ")") "u"),
           CLVGG_ERROR_FORMAT, "two tensors named 'w'"),
      CASE(LEGACY("}U\x03"
                  "a\0b" TENSOR(STORAGE("\x04"), "K\0", ")", ")") "s"),
           CLVGG_ERROR_FORMAT, "NUL"),
      CASE(LEGACY("}U\x02"
                  "a\xff" TENSOR(STORAGE("\x04"), "K\0", ")", ")") "s"),
           CLVGG_ERROR_FORMAT, "UTF-8"),
      CASE(LEGACY(STORAGE("\x04")), CLVGG_ERROR_FORMAT, "top level is no dict"),
      CASE(LEGACY("}U\x01w" STORAGE("\x04") "s"), CLVGG_ERROR_FORMAT, "holds no tensors"),
      CASE(LEGACY("}"), CLVGG_ERROR_FORMAT, "a storage '0' that no tensor uses"),
      CASE(LEGACY("cos\nsystem\nU\x04true\x85R"), CLVGG_ERROR_FORMAT, "refers to os.system"),
      /* d = {}; d['state_dict'] = d */
      CASE(LEGACY("}q\x01(U\x0astate_dicth\x01U\x01w" TENSOR(STORAGE("\x04"), "K\0", ")", ")") "u"), CLVGG_OK, ""),
      CASE(MAGIC "\x80\x02M\xe8\x03.", CLVGG_ERROR_FORMAT, "1001"),
      CASE(MAGIC VERSION "\x80\x02}U\x0dlittle_endian\x89s.", CLVGG_ERROR_UNSUPPORTED, "big-endian"),
      CASE(MAGIC VERSION SYSTEM "\x80\x02}.\x80\x02].", CLVGG_ERROR_FORMAT, "holds no tensors"),
      CASE(MAGIC VERSION SYSTEM "\x80\x02}U\x01w" TENSOR(STORAGE("\x04"), "K\0", ")", ")") "s.\x80\x02].",
           CLVGG_ERROR_FORMAT, "tensor 'w': its storage is not in the file"),
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const clvgg_status status = try_bytes(cases[i].file, cases[i].bytes);
    if (status != cases[i].status) fail_msg("case %zu: status %d, '%s'", i, status, clvgg_last_error());
    if (status != CLVGG_OK && strstr(clvgg_last_error(), cases[i].part) == NULL)
      fail_msg("'%s' is not in '%s'", cases[i].part, clvgg_last_error());
  }
}

/* ---------------------------------------------------------------- zip */

typedef struct entry {
  const char *name;
  const void *data; /* NULL: zeros */
  size_t bytes;
  int deflate;
} entry;

#define FLOATS(count4)                       \
  "(U\x07storagectorch\nFloatStorage\nU\x01" \
  "0U\x03"                                   \
  "cpuJ" count4 "tQ"
#define ZIP_TREE(count4) "\x80\x02}U\x01w" TENSOR(FLOATS(count4), "K\0", "K\x04\x85", "K\1\x85") "s."
#define TREE4            ZIP_TREE("\x04\0\0\0")
static const char tree4[] = TREE4;
static const char sixteen[] = "\0\0\x80?\0\0\0@\0\0\x40@\0\0\x80@";

/* The status of opening a zip file of those entries. */
static clvgg_status try_zip(const entry *entries, size_t count) {
  char path[] = "/tmp/clvgg-test-damage-XXXXXX";
  void *zeros = NULL;
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
  assert_non_null(archive);
  for (size_t i = 0; i < count; i++) {
    const void *data = entries[i].data;
    if (data == NULL) data = zeros = calloc(entries[i].bytes, 1);
    zip_source_t *source = zip_source_buffer(archive, data, entries[i].bytes, 0);
    const zip_int64_t index = zip_file_add(archive, entries[i].name, source, 0);
    assert_true(index >= 0);
    zip_set_file_compression(archive, (zip_uint64_t)index, entries[i].deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 1);
  }
  assert_int_equal(zip_close(archive), 0);
  free(zeros);
  file_map map;
  assert_int_equal(file_map_open(path, &map), CLVGG_OK);
  const clvgg_status status = try_bytes(map.data, map.bytes);
  file_map_close(&map);
  unlink(path);
  return status;
}

static void assert_zip(const entry *entries, size_t count, clvgg_status status, const char *part) {
  const clvgg_status got = try_zip(entries, count);
  if (got != status) fail_msg("status %d, '%s'", got, clvgg_last_error());
  if (status != CLVGG_OK && strstr(clvgg_last_error(), part) == NULL)
    fail_msg("'%s' is not in '%s'", part, clvgg_last_error());
}

static void zip_containers_are_checked(void **state) {
  (void)state;
#define ZIP(status, part, ...)                                           \
  do {                                                                   \
    const entry entries[] = {__VA_ARGS__};                               \
    assert_zip(entries, sizeof entries / sizeof *entries, status, part); \
  } while (0)
#define TREE_ENTRY(deflate) {"x/data.pkl", tree4, sizeof tree4 - 1, deflate}
  ZIP(CLVGG_OK, "", TREE_ENTRY(0), {"x/data/0", sixteen, 16, 0});
  ZIP(CLVGG_OK, "", TREE_ENTRY(1), {"x/data/0", sixteen, 16, 1}, {"x/byteorder", "little", 6, 0});
  ZIP(CLVGG_ERROR_UNSUPPORTED, "byte order", TREE_ENTRY(0), {"x/data/0", sixteen, 16, 0}, {"x/byteorder", "big", 3, 0});
  ZIP(CLVGG_ERROR_FORMAT, "TorchScript", TREE_ENTRY(0), {"x/data/0", sixteen, 16, 0}, {"x/constants.pkl", "", 0, 0});
  ZIP(CLVGG_ERROR_FORMAT, "without NAME/data.pkl", {"word/document.xml", "", 0, 0});
  ZIP(CLVGG_ERROR_FORMAT, "tensor 'w': its storage '0' is not in the file", TREE_ENTRY(0));
  ZIP(CLVGG_ERROR_FORMAT, "'x/data/0' has 15 bytes, expected 4 elements of 4 bytes", TREE_ENTRY(0),
      {"x/data/0", sixteen, 15, 0});
  /* 100 MB of zeros in a file of 100 kB; and the tree itself so */
  static const char bomb[] = ZIP_TREE("\x40\x78\x7d\x01");
  ZIP(CLVGG_ERROR_FORMAT, "more than a file of this size justifies", {"x/data.pkl", bomb, sizeof bomb - 1, 0},
      {"x/data/0", NULL, 100000000, 1});
  ZIP(CLVGG_ERROR_FORMAT, "more than a file of this size justifies", {"x/data.pkl", NULL, 100000000, 1});
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cut_is_an_error),      cmocka_unit_test(every_changed_byte_is_survived),
      cmocka_unit_test(random_bytes_are_refused),   cmocka_unit_test(safetensors_lies_are_refused),
      cmocka_unit_test(deep_json_is_refused),       cmocka_unit_test(pickled_tensors_are_checked),
      cmocka_unit_test(zip_containers_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
