/* clvgg_model and clvgg_family: the bundled model, class names, metadata, missing checkpoints, options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/model.h"

static char folder[64];   /* for this run's files */
static char data_dir[96]; /* folder/clvgg: the user's data */

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/clvgg-test-model-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  snprintf(data_dir, sizeof data_dir, "%s/clvgg", folder);
  return setenv("XDG_DATA_HOME", folder, 1) || mkdir(data_dir, 0700);
}

static int remove_folder(void **state) {
  (void)state;
  rmdir(data_dir);
  return rmdir(folder);
}

/* A safetensors file with one convolution 3 -> 2, a pool, and a layer 2 -> 2 for inputs of 2x2. metadata: the JSON object
 * for the key "clvgg", quotes escaped as they must be inside the header's text; NULL for none. */
static void write_tiny(const char *path, const char *metadata) {
  static const char tensors[] =
      "\"features.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,3,3,3],\"data_offsets\":[0,216]},"
      "\"features.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[216,224]},"
      "\"classifier.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[224,240]},"
      "\"classifier.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[240,248]}";
  char header[2048];
  int length = 0;
  if (metadata)
    length = snprintf(header, sizeof header, "{\"__metadata__\":{\"clvgg\":\"%s\"},%s}", metadata, tensors);
  else
    length = snprintf(header, sizeof header, "{%s}", tensors);
  assert_in_range(length, 1, sizeof header - 9);
  while (length % 8) header[length++] = ' ';
  const unsigned char size[8] = {(unsigned char)length, (unsigned char)(length >> 8)};
  const char weights[248] = {0};
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(size, 1, 8, file), 8);
  assert_int_equal(fwrite(header, 1, (size_t)length, file), length);
  assert_int_equal(fwrite(weights, 1, sizeof weights, file), sizeof weights);
  assert_int_equal(fclose(file), 0);
}

/* Writes the tiny model, opens it, removes it. */
static clvgg_status open_tiny(const char *metadata, const char *classes_path, clvgg_model **out) {
  char path[128];
  snprintf(path, sizeof path, "%s/tiny.safetensors", folder);
  write_tiny(path, metadata);
  clvgg_model_options options;
  clvgg_model_options_init(&options);
  options.classes_path = classes_path;
  const clvgg_status status = clvgg_model_open(path, &options, out);
  unlink(path);
  if (status != CLVGG_OK) assert_null(*out);
  return status;
}

static void check_preprocess(const clvgg_preprocess *p, unsigned resize, unsigned side, const float *mean,
                             const float *std) {
  assert_int_equal(p->struct_size, sizeof *p);
  assert_int_equal(p->resize_short, resize);
  assert_int_equal(p->width, side);
  assert_int_equal(p->height, side);
  for (size_t i = 0; i < 3; i++) {
    assert_float_equal(p->mean[i], mean[i], 1e-4);
    assert_float_equal(p->std[i], std[i], 1e-4);
  }
}

static const float imagenet_mean[] = {123.675f, 116.28f, 103.53f}, imagenet_std[] = {58.395f, 57.12f, 57.375f};

static void the_bundled_model_opens(void **state) {
  (void)state;
  static const char *const names[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                      "dog",      "frog",       "horse", "ship", "truck"};
  static const float mean[] = {125.307f, 122.961f, 113.8575f}, std[] = {51.5865f, 50.847f, 51.255f};
  clvgg_model *model = NULL;
  if (clvgg_model_open(NULL, NULL, &model) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  assert_string_equal(info.name, "vgg16_bn_half_cifar10");
  assert_string_equal(info.format, "safetensors");
  assert_string_equal(info.keys, "torchvision");
  assert_string_equal(info.dtype, "f16");
  assert_int_equal(info.classes, 10);
  assert_int_equal(info.channels, 3);
  assert_int_equal(info.height, 32);
  assert_int_equal(info.width, 32);
  assert_int_equal(info.layers, 13 + 5 + 3);
  assert_int_equal(info.batch_norm, 1);
  assert_int_equal(info.preprocess.bgr, 0);
  assert_int_equal(info.preprocess.interpolation, CLVGG_BILINEAR);
  check_preprocess(&info.preprocess, 0, 32, mean, std);
  for (size_t i = 0; i < 10; i++) assert_string_equal(clvgg_model_class_name(model, i), names[i]);
  assert_null(clvgg_model_class_name(model, 10));

  clvgg_layer_info row;
  uint64_t params = 0, flops = 0;
  for (size_t i = 0; i < info.layers; i++) {
    assert_int_equal(clvgg_model_get_layer(model, i, &row), CLVGG_OK);
    params += row.params;
    flops += row.flops;
  }
  assert_string_equal(row.name, "fc8");
  assert_string_equal(row.type, "fc");
  assert_int_equal(row.in[0], 512);
  assert_int_equal(row.out[0], 10);
  assert_int_equal(params, info.params);
  assert_int_equal(flops, info.flops);
  assert_int_equal(info.params, 4083754); /* elements of the file but the running statistics, counted by numpy */
  assert_int_equal(clvgg_model_get_layer(model, info.layers, &row), CLVGG_ERROR_ARGUMENT);
  clvgg_model_close(&model);
  assert_null(model);
  clvgg_model_close(&model);
}

static void a_retained_model_outlives_close(void **state) {
  (void)state;
  clvgg_model *model = NULL;
  assert_int_equal(open_tiny(NULL, NULL, &model), CLVGG_OK);
  clvgg_model *second = model_retain(model);
  clvgg_model_close(&model);
  assert_null(model);
  assert_int_equal(model_network(second)->classes, 2);
  assert_string_equal(clvgg_model_class_name(second, 1), "class 1");
  clvgg_model_close(&second);
}

static void a_model_without_metadata_gets_defaults(void **state) {
  (void)state;
  clvgg_model *model = NULL;
  assert_int_equal(open_tiny(NULL, NULL, &model), CLVGG_OK);
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  assert_string_equal(info.name, "vgg-like (1 conv, 1 fc)");
  check_preprocess(&info.preprocess, 0, 2, imagenet_mean, imagenet_std);
  clvgg_model_close(&model);
}

static void metadata_is_used(void **state) {
  (void)state;
  clvgg_model *model = NULL;
  const char *metadata =
      "{\\\"name\\\":\\\"mine\\\",\\\"input\\\":[3,8,8],\\\"mean\\\":[1,2,3.5],\\\"std\\\":[4,5,6],"
      "\\\"resize_short\\\":9,\\\"interpolation\\\":\\\"bicubic\\\",\\\"bgr\\\":true,"
      "\\\"classes\\\":[\\\"left\\\",\\\"right\\\"]}";
  if (open_tiny(metadata, NULL, &model) != CLVGG_OK) fail_msg("%s", clvgg_last_error());
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  assert_string_equal(info.name, "mine");
  check_preprocess(&info.preprocess, 9, 8, (const float[]){1, 2, 3.5f}, (const float[]){4, 5, 6});
  assert_int_equal(info.preprocess.interpolation, CLVGG_BICUBIC);
  assert_int_equal(info.preprocess.bgr, 1);
  assert_int_equal(info.height, 8);
  assert_string_equal(clvgg_model_class_name(model, 0), "left");
  clvgg_layer_info row;
  assert_int_equal(clvgg_model_get_layer(model, 2, &row), CLVGG_OK);
  assert_string_equal(row.type, "avgpool"); /* 8 / 2 = 4, and the classifier takes 1x1 */
  clvgg_model_close(&model);
}

static void bad_metadata_is_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"{\\\"input\\\":", "not JSON"},
      {"[]", "not a JSON object"},
      {"{\\\"bgr\\\":true,\\\"bgr\\\":true}", "not JSON"},
      {"{\\\"input\\\":[3,8]}", "'input'"},
      {"{\\\"input\\\":[3,8,9]}", "'input'"},
      {"{\\\"input\\\":[3,-8,-8]}", "'input'"},
      {"{\\\"input\\\":[1,8,8]}", "'input'"},
      {"{\\\"input\\\":[3,8.5,8.5]}", "'input'"},
      {"{\\\"mean\\\":[1,2]}", "'mean'"},
      {"{\\\"mean\\\":[1,2,1e300]}", "'mean'"},
      {"{\\\"std\\\":[1,0,1]}", "'std'"},
      {"{\\\"std\\\":[1,-1,1]}", "'std'"},
      {"{\\\"std\\\":[1,1,1e-40]}", "'std'"}, /* subnormal as f32 */
      {"{\\\"std\\\":7}", "'std'"},
      {"{\\\"resize_short\\\":-1}", "'resize_short'"},
      {"{\\\"resize_short\\\":\\\"8\\\"}", "'resize_short'"},
      {"{\\\"interpolation\\\":\\\"nearest\\\"}", "'interpolation'"},
      {"{\\\"interpolation\\\":1}", "'interpolation'"},
      {"{\\\"bgr\\\":1}", "'bgr'"},
      {"{\\\"name\\\":\\\"\\\"}", "'name'"},
      {"{\\\"classes\\\":[1,2]}", "'classes'"},
      {"{\\\"classes\\\":\\\"ab\\\"}", "'classes'"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    clvgg_model *model = NULL;
    assert_int_equal(open_tiny(cases[i][0], NULL, &model), CLVGG_ERROR_FORMAT);
    if (!strstr(clvgg_last_error(), cases[i][1]) || !strstr(clvgg_last_error(), "tiny.safetensors"))
      fail_msg("\"%s\" lacks \"%s\"", clvgg_last_error(), cases[i][1]);
  }
}

static void count_notes(const char *line, void *user) {
  assert_non_null(line);
  ++*(int *)user;
}

static void class_names_of_another_count_are_left_with_a_note(void **state) {
  (void)state;
  clvgg_model *model = NULL;
  int notes = 0;
  clvgg_set_log(count_notes, &notes);
  assert_int_equal(open_tiny("{\\\"classes\\\":[\\\"only\\\"]}", NULL, &model), CLVGG_OK);
  clvgg_set_log(NULL, NULL);
  assert_int_equal(notes, 1);
  assert_string_equal(clvgg_model_class_name(model, 0), "class 0");
  clvgg_model_close(&model);
}

static void a_classes_file_is_used(void **state) {
  (void)state;
  clvgg_model *model = NULL;
  assert_int_equal(open_tiny(NULL, TEST_DATA_DIR "/network/classes_2.txt", &model), CLVGG_OK);
  assert_string_equal(clvgg_model_class_name(model, 0), "zero");
  assert_string_equal(clvgg_model_class_name(model, 1), "one");
  clvgg_model_close(&model);
  assert_int_equal(open_tiny(NULL, TEST_DATA_DIR "/network/classes_3.txt", &model), CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "classes_3.txt: has 3 class names"));
  assert_non_null(strstr(clvgg_last_error(), "expected 2"));
  assert_int_equal(open_tiny(NULL, TEST_DATA_DIR "/network/absent.txt", &model), CLVGG_ERROR_IO);
}

static void a_missing_checkpoint_says_how_to_get_it(void **state) {
  (void)state;
  clvgg_model *model = (clvgg_model *)folder;
  assert_int_equal(clvgg_model_open("vgg16", NULL, &model), CLVGG_ERROR_IO);
  assert_null(model);
  char path[256];
  snprintf(path, sizeof path, "%s/vgg16_batch256_imagenet_20210208-db26f1a5.pth", data_dir);
  assert_non_null(strstr(clvgg_last_error(), path));
  assert_non_null(strstr(clvgg_last_error(), "https://download.openmmlab.com/mmclassification/v0/vgg/vgg16_batch256"));
  char found[256];
  assert_int_equal(clvgg_family_find("vgg16", found, sizeof found), 0);
  assert_string_equal(found, path);
  assert_int_equal(clvgg_family_find("vgg16", found, 6), 0);
  assert_int_equal(strlen(found), 5);
  assert_int_equal(clvgg_family_find("nothing", found, sizeof found), 0);
  assert_string_equal(found, "");

  write_tiny(path, NULL); /* a file of that name with something else in it */
  assert_int_equal(clvgg_family_find("vgg16", found, sizeof found), 1);
  assert_int_equal(clvgg_model_open("vgg16", NULL, &model), CLVGG_ERROR_MODEL);
  unlink(path);
  assert_non_null(strstr(clvgg_last_error(), "holds a vgg-like (1 conv, 1 fc), expected a vgg16"));
  assert_int_equal(clvgg_model_open("./vgg16", NULL, &model), CLVGG_ERROR_IO);
  assert_non_null(strstr(clvgg_last_error(), "./vgg16"));
}

static void options_of_other_sizes(void **state) {
  (void)state;
  clvgg_model *model = NULL;
  clvgg_model_options options;
  clvgg_model_options_init(&options);
  options.classes_path = "/nowhere";
  options.struct_size = 0;
  assert_int_equal(clvgg_model_open(NULL, &options, &model), CLVGG_ERROR_ARGUMENT);
  options.struct_size = sizeof options + 1;
  assert_int_equal(clvgg_model_open(NULL, &options, &model), CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "struct_size"));
  options.struct_size = sizeof options.struct_size; /* a caller from before classes_path */
  assert_int_equal(clvgg_model_open(NULL, &options, &model), CLVGG_OK);
  clvgg_model_close(&model);
  assert_int_equal(clvgg_model_open(NULL, NULL, NULL), CLVGG_ERROR_ARGUMENT);
}

static void random_models_have_imagenet_classes(void **state) {
  (void)state;
  clvgg_model *model = NULL;
  assert_int_equal(clvgg_model_random("vgg11_bn", 1, &model), CLVGG_OK);
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  assert_string_equal(info.name, "vgg11_bn");
  assert_string_equal(info.format, "random weights");
  assert_int_equal(info.params, 132868840);
  assert_int_equal(info.batch_norm, 1);
  check_preprocess(&info.preprocess, 256, 224, imagenet_mean, imagenet_std);
  assert_string_equal(clvgg_model_class_name(model, 0), "tench");
  assert_string_equal(clvgg_model_class_name(model, 207), "golden retriever");
  assert_string_equal(clvgg_model_class_name(model, 999), "toilet tissue");
  clvgg_model_close(&model);
  assert_int_equal(clvgg_model_random("vgg11_nb", 1, &model), CLVGG_ERROR_ARGUMENT);
  assert_int_equal(clvgg_model_random(NULL, 1, &model), CLVGG_ERROR_ARGUMENT);
}

static void the_family_table_is_public(void **state) {
  (void)state;
  assert_int_equal(clvgg_family_count(), 8);
  const clvgg_family_info *info = clvgg_family_get(6);
  assert_string_equal(info->name, "vgg16_bn");
  assert_float_equal(info->params_m, 138.37, 0.005);
  assert_float_equal(info->flops_g, 15.53, 0.005);
  assert_float_equal(info->top1, 73.74, 0);
  assert_null(clvgg_family_get(8));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bundled_model_opens),
      cmocka_unit_test(a_retained_model_outlives_close),
      cmocka_unit_test(a_model_without_metadata_gets_defaults),
      cmocka_unit_test(metadata_is_used),
      cmocka_unit_test(bad_metadata_is_refused),
      cmocka_unit_test(class_names_of_another_count_are_left_with_a_note),
      cmocka_unit_test(a_classes_file_is_used),
      cmocka_unit_test(a_missing_checkpoint_says_how_to_get_it),
      cmocka_unit_test(options_of_other_sizes),
      cmocka_unit_test(random_models_have_imagenet_classes),
      cmocka_unit_test(the_family_table_is_public),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
