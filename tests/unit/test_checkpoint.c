/* Every checkpoint form that torch and safetensors write, compared with the values that make_checkpoints.py put in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"

#define DATA TEST_DATA_DIR "/checkpoint/"

static checkpoint *c;

static const tensor *find(const char *name) {
  for (size_t i = 0; i < checkpoint_tensor_count(c); i++)
    if (strcmp(checkpoint_tensors(c)[i].name, name) == 0) return &checkpoint_tensors(c)[i];
  fail_msg("no tensor '%s'", name);
  return NULL;
}

static void open_file(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s%s", DATA, name);
  if (checkpoint_open(path, &c) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
}

static void assert_tensor(const char *name, const char *shape, const float *expected, size_t n) {
  char text[128];
  float values[64];
  const tensor *t = find(name);
  assert_string_equal(tensor_shape_text(t, text, sizeof text), shape);
  assert_int_equal(tensor_elements(t), n);
  tensor_read(t, 0, n, values);
  for (size_t i = 0; i < n; i++)
    if (values[i] != expected[i]) fail_msg("%s[%zu] is %g, expected %g", name, i, values[i], expected[i]);
  if (n > 1) { /* from the middle on */
    tensor_read(t, n / 2, n - n / 2, values);
    assert_true(values[0] == expected[n / 2]);
  }
}

static void all_forms_hold_the_same_values(void **state) {
  (void)state;
  static const struct {
    const char *file, *format, *dtype;
    size_t bytes, classes;
  } cases[] = {
      {"zip_f32.pth", "pth (zip)", "f32", 4, 0},         {"zip_f16.pth", "pth (zip)", "f16", 2, 0},
      {"zip_bf16.pth", "pth (zip)", "bf16", 2, 0},       {"zip_f64.pth", "pth (zip)", "f64", 8, 0},
      {"zip_mmcls.pth", "pth (zip)", "f32", 4, 3},       {"zip_mmpretrain.pth", "pth (zip)", "f32", 4, 3},
      {"zip_wrapped.pth", "pth (zip)", "f32", 4, 3},     {"legacy_f32.pth", "pth (legacy)", "f32", 4, 0},
      {"legacy_f16.pth", "pth (legacy)", "f16", 2, 0},   {"legacy_bf16.pth", "pth (legacy)", "bf16", 2, 0},
      {"legacy_f64.pth", "pth (legacy)", "f64", 8, 0},   {"legacy_mmcls.pth", "pth (legacy)", "f32", 4, 3},
      {"f32.safetensors", "safetensors", "f32", 4, 0},   {"f16.safetensors", "safetensors", "f16", 2, 0},
      {"bf16.safetensors", "safetensors", "bf16", 2, 0}, {"f64.safetensors", "safetensors", "f64", 8, 0},
  };
  float weight[24];
  const float bias[3] = {-0.5f, -1.0f, -1.5f};
  for (int i = 0; i < 24; i++) weight[i] = 0.25f * (float)i - 1.0f;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    open_file(cases[i].file);
    assert_string_equal(checkpoint_format_name(c), cases[i].format);
    assert_int_equal(checkpoint_tensor_count(c), 3);
    assert_tensor("features.0.weight", "(2, 3, 2, 2)", weight, 24);
    assert_tensor("classifier.bias", "(3,)", bias, 3);
    assert_string_equal(tensor_dtype_name(find("classifier.bias")->dtype), cases[i].dtype);
    assert_int_equal(find("classifier.bias")->bytes, 3 * cases[i].bytes);
    const tensor *seen = find("seen");
    assert_int_equal(seen->dtype, TENSOR_INT);
    assert_int_equal(seen->dims, 0);
    assert_memory_equal(seen->data, "\7\0\0\0\0\0\0", 8);
    assert_int_equal(checkpoint_class_count(c), cases[i].classes);
    if (cases[i].classes > 0) {
      assert_string_equal(checkpoint_class_name(c, 0), "tench");
      assert_string_equal(checkpoint_class_name(c, 1), "goldfish, Carassius auratus");
      assert_string_equal(checkpoint_class_name(c, 2), "caf\xc3\xa9");
      assert_null(checkpoint_class_name(c, 3));
    }
    const int is_safetensors = strcmp(cases[i].format, "safetensors") == 0;
    if (is_safetensors) assert_string_equal(checkpoint_metadata(c, "note"), "caf\xc3\xa9");
    assert_null(checkpoint_metadata(c, "absent"));
    checkpoint_close(&c);
    assert_null(c);
    checkpoint_close(&c);
  }
}

static void strides_and_shared_storages(void **state) {
  (void)state;
  const char *const files[] = {"strided_zip.pth", "strided_legacy.pth"};
  for (size_t f = 0; f < 2; f++) {
    float plain[60];
    for (int i = 0; i < 60; i++) plain[i] = (float)i;
    const float transposed[] = {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11};
    const float every_second[] = {1, 3, 5, 7, 9, 11, 13, 15, 17, 19};
    const float expanded[] = {5, 5, 5, 5, 5, 5};
    const float scalar[] = {2.5f};
    open_file(files[f]);
    assert_tensor("plain", "(60,)", plain, 60);
    assert_tensor("offset", "(2, 3)", plain + 10, 6);
    assert_tensor("transposed", "(4, 3)", transposed, 12);
    assert_tensor("channels_last", "(1, 2, 3, 4)", plain, 24);
    assert_tensor("every_second", "(10,)", every_second, 10);
    assert_tensor("expanded", "(2, 3)", expanded, 6);
    assert_tensor("parameter", "(2,)", plain + 2, 2);
    assert_tensor("empty", "(0, 3)", plain, 0);
    assert_tensor("scalar", "()", scalar, 1);
    /* The storage is held once: both look at the same bytes. */
    assert_ptr_equal((const char *)find("plain")->data + 40, find("offset")->data);
    checkpoint_close(&c);
  }
}

static void assert_refused(const char *path, clvgg_status status, const char *part) {
  c = (checkpoint *)1;
  assert_int_equal(checkpoint_open(path, &c), status);
  assert_null(c);
  if (strstr(clvgg_last_error(), part) == NULL) fail_msg("'%s' is not in '%s'", part, clvgg_last_error());
  if (strstr(clvgg_last_error(), path) == NULL) fail_msg("'%s' is not in '%s'", path, clvgg_last_error());
  assert_null(strchr(clvgg_last_error(), '\n'));
}

static void other_files_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t count;
    const char *part;
  } cases[] = {
      {"", 0, "is empty"},
      {"x", 1, "begins with the bytes 78 (1 in all), expected safetensors"},
      {"0123456789", 10, "begins with the bytes 30 31 32 33 34 35 36 37"},
      {"<!DOCTYPE html>", 15, "web page"},
      {"\x1f\x8b\x08\0\0", 5, "gzip"},
      {"\x80\x04}.", 4, "bare pickle"},
      {"version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS"},
      {"PK\3\4garbage", 11, "damaged zip file"},
  };
  char path[] = "/tmp/clvgg-test-checkpoint-XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(file_write(path, cases[i].bytes, cases[i].count), CLVGG_OK);
    assert_refused(path, CLVGG_ERROR_FORMAT, cases[i].part);
  }
  char tar[512] = "storages";
  memcpy(tar + 257, "ustar", 5);
  assert_int_equal(file_write(path, tar, sizeof tar), CLVGG_OK);
  assert_refused(path, CLVGG_ERROR_FORMAT, "tar format of PyTorch");
  unlink(path);
  assert_refused(path, CLVGG_ERROR_IO, "No such file");
  assert_int_equal(mkfifo(path, 0600), 0);
  alarm(20); /* a reader that waits for the FIFO's writer ends here */
  assert_refused(path, CLVGG_ERROR_IO, "FIFO");
  alarm(0);
  unlink(path);
  assert_refused(TEST_DATA_DIR, CLVGG_ERROR_IO, "is a directory");
  assert_refused(DATA "zip_module.pth", CLVGG_ERROR_FORMAT, "torch.nn.modules.linear.Linear");
  assert_refused(DATA "zip_module.pth", CLVGG_ERROR_FORMAT, "expected a state dict");
}

static void shapes_as_text(void **state) {
  (void)state;
  char text[128];
  tensor t = {.dims = 2, .shape = {12, 3}};
  assert_string_equal(tensor_shape_text(&t, text, sizeof text), "(12, 3)");
  assert_string_equal(tensor_shape_text(&t, text, 4), "(12");
  assert_string_equal(tensor_shape_text(&t, text, 1), "");
  t.dims = 0;
  assert_string_equal(tensor_shape_text(&t, text, sizeof text), "()");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_forms_hold_the_same_values),
      cmocka_unit_test(strides_and_shared_storages),
      cmocka_unit_test(other_files_are_refused),
      cmocka_unit_test(shapes_as_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
