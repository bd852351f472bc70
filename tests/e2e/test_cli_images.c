/* The command line on images: classify and eval, and every kind of file that they may be given by mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After those, which it uses. */
#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "e2e/cli.h"

/* ------------------------------------------------------------- classify */

static void expect_top(const json_t *entry, const char *file, size_t count) {
  assert_string_equal(text(entry, "file"), file);
  field(entry, "error", JSON_NULL);
  const json_t *top = field(entry, "top", JSON_ARRAY);
  assert_int_equal(json_array_size(top), count);
  double before = 1, sum = 0;
  for (size_t i = 0; i < count; i++) {
    const json_t *t = json_array_get(top, i);
    double p = number(t, "probability");
    assert_true(p >= 0 && p <= before);
    before = p;
    sum += p;
    assert_true(number(t, "index") >= 0 && number(t, "index") < 10);
    assert_true(*text(t, "label") != 0);
  }
  assert_true(sum <= 1.00001);
  if (count == 10) assert_true(fabs(sum - 1) < 1e-4);
}

static void classify_answers(void **state) {
  (void)state;
  run("classify --json -k 10 %s", image);
  expect_code(0);
  json_t *list = parse();
  assert_int_equal(json_array_size(list), 1);
  expect_top(json_array_get(list, 0), image, 10);
  json_decref(list);
  /* More than there are classes, a name for every line, and names from a file. */
  write_file("names.txt", "n0\nn1\nn2\nn3\nn4\nn5\nn6\nn7\nn8\nn9\n", 30);
  run("classify -k 99 --classes %s/names.txt %s", folder, image);
  expect_code(0);
  assert_int_equal(command_lines(last.out), 11);
  for (char name[] = "  n0\n"; name[3] <= '9'; name[3]++) assert_non_null(strstr(last.out, name));
}

/* PyTorch's logits of the images that the list names, as probabilities. */
static void classify_gives_pytorchs_probabilities(void **state) {
  (void)state;
  enum { CLASSES = 10, IMAGES = 8 };
  char line[128], name[64], path[4096 + 80], command[IMAGES * 256] = "";
  size_t label;
  FILE *list = fopen(TEST_DATA_DIR "/golden/cifar10_200.txt", "r"),
       *raw = fopen(TEST_DATA_DIR "/golden/cifar10_200.f32", "rb");
  assert_true(list && raw);
  for (size_t i = 0; i < IMAGES; i++) {
    assert_non_null(fgets(line, sizeof line, list));
    assert_int_equal(sscanf(line, "%63s %zu", name, &label), 2);
    snprintf(path, sizeof path, " %s/%s", images, name);
    assert_true(strlen(command) + strlen(path) < sizeof command);
    strcat(command, path);
  }
  run("classify --json -k 10 -b 3%s", command);
  expect_code(0);
  json_t *o = parse();
  assert_int_equal(json_array_size(o), IMAGES);
  for (size_t i = 0; i < IMAGES; i++) {
    double logit[CLASSES], sum = 0;
    for (size_t k = 0; k < CLASSES; k++) {
      unsigned char b[4];
      assert_int_equal(fread(b, 1, 4, raw), 4);
      const uint32_t bits = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
      float value;
      memcpy(&value, &bits, 4);
      sum += logit[k] = exp((double)value);
    }
    const json_t *top = field(json_array_get(o, i), "top", JSON_ARRAY);
    for (size_t k = 0; k < CLASSES; k++) {
      const json_t *t = json_array_get(top, k);
      assert_true(fabs(number(t, "probability") - logit[(size_t)number(t, "index")] / sum) < 1e-5);
    }
  }
  json_decref(o);
  fclose(raw);
  fclose(list);
}

static void classify_takes_folders_and_batches(void **state) {
  (void)state;
  run("classify --json %s/cat -b 3 -k 1", images);
  expect_code(0);
  json_t *list = parse();
  size_t count = json_array_size(list), cats = 0;
  assert_int_equal(count, 20);
  for (size_t i = 0; i < count; i++) {
    const json_t *entry = json_array_get(list, i);
    expect_top(entry, text(entry, "file"), 1);
    cats += !strcmp(text(json_array_get(field(entry, "top", JSON_ARRAY), 0), "label"), "cat");
    if (i) assert_true(strcmp(text(json_array_get(list, i - 1), "file"), text(entry, "file")) < 0);
  }
  /* 91 % of the bundled images are classified rightly; a permuted batch would give a tenth of that. */
  assert_true(cats >= 12);
  char *first = strdup(last.out);
  json_decref(list);
  run("classify --json %s/cat -b 8 -k 1 -j 1", images);
  expect_code(0);
  list = parse();
  json_t *same = json_loads(first, 0, NULL);
  for (size_t i = 0; i < count; i++) {
    const json_t *a = json_array_get(list, i), *b = json_array_get(same, i);
    assert_string_equal(text(a, "file"), text(b, "file"));
    assert_string_equal(text(json_array_get(field(a, "top", JSON_ARRAY), 0), "label"),
                        text(json_array_get(field(b, "top", JSON_ARRAY), 0), "label"));
  }
  json_decref(same);
  json_decref(list);
  free(first);
}

static void preprocessing_options_count(void **state) {
  (void)state;
  run("classify %s -k 10", image);
  expect_code(0);
  char *plain = strdup(last.out);
  static const char *const options[] = {"--bgr", "--mean 0,0,0", "--std 1,1,1", "--resize 40", "--resize 50 --bicubic"};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    run("classify %s %s -k 10", options[i], image);
    expect_code(0);
    assert_string_not_equal(last.out, plain);
  }
  free(plain);
}

/* ------------------------------------------------------------- wrong files */

static const char *const bad_files[] = {"missing", "empty", "truncated", "folder", "fifo", "random"};

/* What each bad file holds comes from good: its first half, its length, ... */
static void make_bad_files(const char *ending, const unsigned char *good, size_t bytes) {
  char path[4096], name[64];
  unsigned char random[4096];
  uint32_t state = 12345;
  for (size_t i = 0; i < sizeof random; i++)
    random[i] = (unsigned char)((state = state * 1664525U + 1013904223U) >> 24);
  snprintf(name, sizeof name, "empty%s", ending);
  write_file(name, "", 0);
  snprintf(name, sizeof name, "truncated%s", ending);
  write_file(name, good, bytes / 2);
  snprintf(name, sizeof name, "random%s", ending);
  write_file(name, random, sizeof random);
  snprintf(name, sizeof name, "folder%s", ending);
  make_path(path, name);
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(name, sizeof name, "fifo%s", ending);
  make_path(path, name);
  assert_int_equal(mkfifo(path, 0600), 0);
}

static void bad_models_are_one_line_and_1(void **state) {
  (void)state;
  static const char *const endings[] = {".pth", ".safetensors"};
  size_t capacity = 64 * 1024 * 1024;
  unsigned char *data = malloc(capacity);
  assert_non_null(data);
  size_t bytes = read_file(HOST_DATA_DIR "/vgg16_bn_half_cifar10.safetensors", data, capacity);
  for (size_t e = 0; e < 2; e++) {
    make_bad_files(endings[e], data, bytes);
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
      run("info %s/%s%s", folder, bad_files[i], endings[e]);
      expect_error(1, bad_files[i]);
      run("classify --json -m %s/%s%s %s", folder, bad_files[i], endings[e], image);
      expect_error(1, bad_files[i]);
    }
  }
  free(data);
}

static void bad_images_are_reported_and_the_others_done(void **state) {
  (void)state;
  unsigned char data[65536];
  size_t bytes = read_file(image, data, sizeof data);
  make_bad_files(".png", data, bytes);
  for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
    run("classify %s/%s.png", folder, bad_files[i]);
    expect_error(1, bad_files[i]);
    run("classify --json %s %s/%s.png %s", image, folder, bad_files[i], image);
    expect_code(1);
    assert_int_equal(command_lines(last.err), 1);
    json_t *list = parse();
    assert_int_equal(json_array_size(list), 3);
    expect_top(json_array_get(list, 0), image, 5);
    expect_top(json_array_get(list, 2), image, 5);
    const json_t *bad = json_array_get(list, 1);
    assert_non_null(strstr(text(bad, "error"), bad_files[i]));
    assert_int_equal(json_array_size(field(bad, "top", JSON_ARRAY)), 0);
    json_decref(list);
  }
}

static void names_cannot_drive_the_terminal(void **state) {
  (void)state;
  run("classify %s/a\n\033[31mb\xc2\x9b.png", folder);
  expect_error(1, "a??[31mb");
  assert_null(strchr(last.err, '\033'));
  run("classify --json %s/\xff\xfe.png", folder);
  expect_code(1);
  json_decref(parse());
}

/* ------------------------------------------------------------- eval */

static void eval_counts(void **state) {
  (void)state;
  run("eval %s --limit 30 -b 7 --json --csv %s/classes.csv --predictions %s/predictions.csv", images, folder, folder);
  expect_code(0);
  json_t *o = parse();
  assert_true(number(o, "images") == 30 && number(o, "failed") == 0);
  /* 182 of all 200 are right, so 30 of them cannot have less than 12; a chance result is 3. */
  assert_true(number(o, "top1") >= 60 && number(o, "top5") >= number(o, "top1"));
  assert_true(number(o, "images_per_s") > 0);
  assert_int_equal(json_array_size(field(o, "devices", JSON_ARRAY)), 1);
  double top1 = number(o, "top1");
  json_decref(o);

  char path[4096], line[4096];
  make_path(path, "predictions.csv");
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_non_null(fgets(line, sizeof line, f));
  assert_string_equal(line, "path,label,pred,prob\n");
  int rows = 0, right = 0;
  while (fgets(line, sizeof line, f)) {
    int label = -1, pred = -2;
    assert_int_equal(sscanf(strchr(line, ',') + 1, "%d,%d,", &label, &pred), 2);
    rows++;
    right += label == pred;
  }
  fclose(f);
  assert_int_equal(rows, 30);
  assert_true(fabs(top1 - 100.0 * right / 30) < 1e-6);

  make_path(path, "classes.csv");
  f = fopen(path, "r");
  assert_non_null(f);
  assert_non_null(fgets(line, sizeof line, f));
  assert_string_equal(line, "class,images,top1,top5\n");
  for (rows = 0; fgets(line, sizeof line, f); rows++) {
    /* Spread evenly: three of each of the ten classes. */
    assert_non_null(strstr(line, ",3,"));
  }
  fclose(f);
  assert_int_equal(rows, 10);
}

static void eval_reads_lists_with_names_numbers_and_bad_images(void **state) {
  (void)state;
  char list[16384];
  snprintf(list, sizeof list, "# a comment\n\n%s cat\n%s\t3\r\nmissing.png 9\n", image, image);
  write_file("list.txt", list, strlen(list));
  run("eval --list %s/list.txt --json", folder);
  expect_code(1);
  assert_int_equal(command_lines(last.err), 1);
  json_t *o = parse();
  assert_true(number(o, "images") == 2 && number(o, "failed") == 1);
  /* "cat" and 3 are the same class (CIFAR-10's fourth), so both are right or both are wrong. */
  assert_true(number(o, "top1") == 0 || number(o, "top1") == 100);
  assert_int_equal(json_array_size(field(o, "failures", JSON_ARRAY)), 1);
  json_decref(o);

  static const struct {
    const char *text, *part;
  } bad[] = {{"x.png 10\n", ":1: class number 10"}, {"x.png\n", ":1:"},        {"x.png -1\n", "'-1'"},
             {"x.png nothing\n", "'nothing'"},      {"# only\n", "no images"}, {"", "no images"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    write_file("list.txt", bad[i].text, strlen(bad[i].text));
    run("eval --list %s/list.txt", folder);
    expect_error(1, bad[i].part);
  }
}

static void eval_refuses_what_holds_no_labelled_images(void **state) {
  (void)state;
  char path[4096];
  static const char *const made[] = {"set", "set/10", "other", "other/cat", "odd", "odd/nothing"};
  for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
    make_path(path, made[i]);
    assert_int_equal(mkdir(path, 0700), 0);
  }
  run("eval %s/set", folder);
  expect_error(1, "class number 10");
  run("eval %s/other", folder);
  expect_error(1, "no images");
  run("eval %s/odd", folder);
  expect_error(1, "nothing");
  run("eval %s/other/cat", folder);
  expect_error(1, "no folders");
  run("eval %s/nowhere", folder);
  expect_error(1, "nowhere");
  run("eval --list %s/fifo.png", folder);
  expect_error(1, "fifo.png");
  run("eval --list %s/other", folder);
  expect_error(1, "other");
}

static void unwritable_results_are_1(void **state) {
  (void)state;
  struct stat info;
  char path[4096];
  run("eval %s --limit 2 --csv %s/nowhere/x.csv", images, folder);
  expect_error(1, "nowhere/x.csv");
  run("eval %s --limit 2 --csv %s", images, folder);
  expect_error(1, folder);
  run("eval %s --limit 2 --csv %s/fifo.png", images, folder);
  expect_error(1, "fifo.png");
  run("eval %s --limit 2 --csv /dev/full", images);
  expect_code(1);
  assert_int_equal(command_lines(last.err), 1);
  assert_non_null(strstr(last.err, "/dev/full"));
  assert_true(!stat("/dev/full", &info) && S_ISCHR(info.st_mode));
  /* A file that was there is left as it was when the run fails, and nothing is left beside it. */
  write_file("kept.csv", "kept\n", 5);
  run("eval %s --limit 2 --csv %s/kept.csv -d no-such-device", images, folder);
  expect_error(1, "no-such-device");
  unsigned char kept[16] = {0};
  make_path(path, "kept.csv");
  assert_int_equal(read_file(path, kept, sizeof kept), 5);
  assert_memory_equal(kept, "kept\n", 5);
  DIR *dir = opendir(folder);
  for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
    assert_true(!strcmp(e->d_name, "kept.csv") || strncmp(e->d_name, "kept.csv", 8) != 0);
  closedir(dir);
}

/* The best class of the image, and its probability, on a device with limits (NULL: its own). */
static double best_of_image(const char *limits, const char *precision, int *index) {
  if (limits) setenv("CLVGG_DEVICE_LIMITS", limits, 1);
  run("classify --json -k 1 --precision %s %s", precision, image);
  unsetenv("CLVGG_DEVICE_LIMITS");
  expect_code(0);
  json_t *list = parse();
  const json_t *best = json_array_get(field(json_array_get(list, 0), "top", JSON_ARRAY), 0);
  const double probability = number(best, "probability");
  *index = (int)number(best, "index");
  json_decref(list);
  return probability;
}

/* Plans for GPUs, with their ways to launch and to copy, on whatever device is here. */
static void a_plan_for_gpus_answers_the_same(void **state) {
  (void)state;
  static const char *const limits[] = {"gpu=32", "gpu=64,group=64,local=16384,alloc=4194304"};
  if (getenv("CLVGG_TEST_SMALL")) skip(); /* dozens of kernels */
  int want, got;
  const double probability = best_of_image(NULL, "f32", &want);
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    assert_true(fabs(best_of_image(limits[i], "f32", &got) - probability) < 1e-4);
    assert_int_equal(got, want);
    assert_true(fabs(best_of_image(limits[i], "f16w", &got) - probability) < 1e-2);
    assert_int_equal(got, want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_plan_for_gpus_answers_the_same),
      cmocka_unit_test(classify_answers),
      cmocka_unit_test(classify_gives_pytorchs_probabilities),
      cmocka_unit_test(classify_takes_folders_and_batches),
      cmocka_unit_test(preprocessing_options_count),
      cmocka_unit_test(bad_models_are_one_line_and_1),
      cmocka_unit_test(bad_images_are_reported_and_the_others_done),
      cmocka_unit_test(names_cannot_drive_the_terminal),
      cmocka_unit_test(eval_counts),
      cmocka_unit_test(eval_reads_lists_with_names_numbers_and_bad_images),
      cmocka_unit_test(eval_refuses_what_holds_no_labelled_images),
      cmocka_unit_test(unwritable_results_are_1),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
