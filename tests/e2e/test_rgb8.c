/* Networks run from 8-bit pixels, through the public interface alone: the answers of normalised images, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <CL/cl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clvgg/clvgg.h"

/* The two ways differ by the rounding of the normalised values. */
#define TOLERANCE 5e-6
#define IMAGES    7
#define CLASSES   10
#define PIXELS    ((size_t)32 * 32)

#define assert_ok(call)                                                                                           \
  do {                                                                                                            \
    const clvgg_status ok_status_ = (call);                                                                       \
    if (ok_status_ != CLVGG_OK) fail_msg("%s: %s: %s", #call, clvgg_status_name(ok_status_), clvgg_last_error()); \
  } while (0)

/* Refused as a wrong argument, with text in the error. */
#define assert_refused(call, expected, text)                                                                 \
  do {                                                                                                       \
    assert_int_equal((call), (expected));                                                                    \
    if (!strstr(clvgg_last_error(), (text))) fail_msg("'%s' does not say '%s'", clvgg_last_error(), (text)); \
  } while (0)

#define IMAGE_FILE TEST_DATA_DIR "/cifar10/cat/00000.png"

static clvgg_device *device;
static clvgg_model *model;
static clvgg_preprocess preprocess;         /* the model's */
static uint8_t pixels[IMAGES * PIXELS * 3]; /* (IMAGES, 32, 32, 3) */

/* The bundled image, and others made from it. */
static int set_up(void **state) {
  (void)state;
  clvgg_model_info info;
  assert_ok(clvgg_device_open(NULL, &device));
  assert_ok(clvgg_model_open(NULL, NULL, &model));
  clvgg_model_get_info(model, &info);
  preprocess = info.preprocess;
  assert_ok(clvgg_image_load_rgb8(IMAGE_FILE, &preprocess, pixels));
  for (size_t n = 1; n < IMAGES; n++)
    for (size_t i = 0; i < PIXELS * 3; i++)
      pixels[n * PIXELS * 3 + i] = (uint8_t)(pixels[(i * (2 * n + 1) + n) % (PIXELS * 3)] ^ (n << 5));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  return 0;
}

static clvgg_engine *open_engine(size_t batch, clvgg_input input, const clvgg_preprocess *pre, const char *algorithm) {
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  assert_int_equal(options.input, CLVGG_INPUT_F32);
  options.max_batch = batch;
  options.input = input;
  options.preprocess = pre;
  options.algorithm = algorithm;
  assert_ok(clvgg_engine_open(device, model, &options, &engine));
  return engine;
}

/* The logits of the pixels, normalised here as the header says. */
static void expect(const clvgg_preprocess *pre, float *logits) {
  static float images[IMAGES * 3 * PIXELS];
  for (size_t n = 0; n < IMAGES; n++)
    for (size_t c = 0; c < 3; c++)
      for (size_t i = 0; i < PIXELS; i++) {
        const uint8_t byte = pixels[(n * PIXELS + i) * 3 + (pre->bgr ? 2 - c : c)];
        images[(n * 3 + c) * PIXELS + i] = ((float)byte - pre->mean[c]) / pre->std[c];
      }
  clvgg_engine *engine = open_engine(4, CLVGG_INPUT_F32, NULL, NULL);
  assert_ok(clvgg_engine_run(engine, images, IMAGES, logits));
  clvgg_engine_close(&engine);
}

static void assert_close(const float *got, const float *want, size_t n) {
  double largest = 0, worst = 0;
  for (size_t i = 0; i < n; i++) {
    assert_true(isfinite(got[i]));
    largest = fmax(largest, fabs((double)want[i]));
    worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
  }
  print_message("differs by at most %.2e of the largest logit, %.4f\n", worst / largest, largest);
  assert_true(worst <= TOLERANCE * largest);
}

static void answers_are_those_of_normalised_images(void **state) {
  (void)state;
  float want[IMAGES * CLASSES], got[IMAGES * CLASSES + 1];
  expect(&preprocess, want);
  static const size_t batches[] = {1, 3, IMAGES}; /* in turns too */
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
    clvgg_engine *engine = open_engine(batches[i], CLVGG_INPUT_RGB8, NULL, NULL);
    got[IMAGES * CLASSES] = 77;
    assert_ok(clvgg_engine_run_rgb8(engine, pixels, IMAGES, got));
    assert_close(got, want, IMAGES * CLASSES);
    assert_true(got[IMAGES * CLASSES] == 77);
    clvgg_run_times times;
    memset(got, 0, sizeof got);
    assert_ok(clvgg_engine_profile_rgb8(engine, pixels, batches[i], got, &times));
    assert_close(got, want, batches[i] * CLASSES);
    clvgg_engine_close(&engine);
  }
}

static void any_first_layer_will_do(void **state) {
  (void)state;
  static const char *const algorithms[] = {"conv_f32_nchw_naive", "conv_f32_nchw_direct", "conv_f32_nchw_tiled",
                                           "convert_f32_nchw_nchwc,conv_f32_nchwc_winograd"};
  float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
  expect(&preprocess, want);
  for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
    clvgg_engine *engine = open_engine(2, CLVGG_INPUT_RGB8, NULL, algorithms[i]);
    clvgg_plan_layer first;
    assert_ok(clvgg_engine_get_layer(engine, 0, &first));
    assert_string_equal(first.algorithm, "convert_u8_nhwc_nchw");
    assert_ok(clvgg_engine_run_rgb8(engine, pixels, 2, got));
    assert_close(got, want, (size_t)2 * CLASSES);
    clvgg_engine_close(&engine);
  }
}

static void the_callers_normalisation_counts(void **state) {
  (void)state;
  clvgg_preprocess own;
  clvgg_preprocess_init(&own);
  own.bgr = 1;
  for (int c = 0; c < 3; c++) {
    own.mean[c] = 100.0f + 20.0f * (float)c;
    own.std[c] = 40.0f + 30.0f * (float)c;
  }
  float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
  static const char *const algorithms[] = {NULL, "conv_f32_nchw_tiled"};
  expect(&own, want);
  for (size_t i = 0; i < 2; i++) {
    clvgg_engine *engine = open_engine(IMAGES, CLVGG_INPUT_RGB8, &own, algorithms[i]);
    assert_ok(clvgg_engine_run_rgb8(engine, pixels, IMAGES, got));
    assert_close(got, want, IMAGES * CLASSES);
    clvgg_engine_close(&engine);
  }
}

static void images_load_as_their_pixels(void **state) {
  (void)state;
  clvgg_preprocess pre;
  clvgg_preprocess_init(&pre);
  pre.resize_short = 40;
  pre.width = 24;
  pre.height = 30;
  for (pre.bgr = 0; pre.bgr < 2; pre.bgr++) {
    float plain[3 * 24 * 30];
    uint8_t rgb[3 * 24 * 30 + 1];
    rgb[sizeof rgb - 1] = 77;
    assert_ok(clvgg_image_load(IMAGE_FILE, &pre, plain));
    assert_ok(clvgg_image_load_rgb8(IMAGE_FILE, &pre, rgb));
    assert_int_equal(rgb[sizeof rgb - 1], 77);
    for (int c = 0; c < 3; c++)
      for (int i = 0; i < 24 * 30; i++)
        assert_true(plain[c * 24 * 30 + i] == ((float)rgb[3 * i + (pre.bgr ? 2 - c : c)] - pre.mean[c]) / pre.std[c]);
  }
  uint8_t none[1];
  pre.bgr = 0;
  assert_refused(clvgg_image_load_rgb8(NULL, &pre, none), CLVGG_ERROR_ARGUMENT, "path is NULL");
  assert_refused(clvgg_image_load_rgb8(IMAGE_FILE, NULL, none), CLVGG_ERROR_ARGUMENT, "preprocess is NULL");
  assert_refused(clvgg_image_load_rgb8(IMAGE_FILE, &pre, NULL), CLVGG_ERROR_ARGUMENT, "out is NULL");
  assert_refused(clvgg_image_load_rgb8("/nowhere.png", &pre, none), CLVGG_ERROR_IO, "nowhere");
}

static void wrong_forms_are_refused(void **state) {
  (void)state;
  float logits[CLASSES], image[3 * PIXELS] = {0};
  clvgg_engine *f32 = open_engine(1, CLVGG_INPUT_F32, NULL, NULL);
  clvgg_engine *rgb8 = open_engine(1, CLVGG_INPUT_RGB8, NULL, NULL);
  assert_refused(clvgg_engine_run_rgb8(f32, pixels, 1, logits), CLVGG_ERROR_ARGUMENT, "opened for f32");
  assert_refused(clvgg_engine_run(rgb8, image, 1, logits), CLVGG_ERROR_ARGUMENT, "opened for 8-bit pixels");
  assert_refused(clvgg_engine_profile_rgb8(f32, pixels, 1, logits, NULL), CLVGG_ERROR_ARGUMENT, "opened for f32");
  assert_refused(clvgg_engine_profile(rgb8, image, 1, logits, NULL), CLVGG_ERROR_ARGUMENT, "8-bit pixels");
  assert_refused(clvgg_engine_profile_rgb8(rgb8, pixels, 0, logits, NULL), CLVGG_ERROR_ARGUMENT, "at least 1");
  assert_refused(clvgg_engine_profile_rgb8(rgb8, pixels, 2, logits, NULL), CLVGG_ERROR_ARGUMENT, "max_batch");
  assert_refused(clvgg_engine_run_rgb8(NULL, pixels, 1, logits), CLVGG_ERROR_ARGUMENT, "NULL");
  assert_refused(clvgg_engine_run_rgb8(rgb8, NULL, 1, logits), CLVGG_ERROR_ARGUMENT, "NULL");
  assert_refused(clvgg_engine_run_rgb8(rgb8, pixels, 1, NULL), CLVGG_ERROR_ARGUMENT, "NULL");
  assert_refused(clvgg_engine_run_rgb8(rgb8, pixels, SIZE_MAX / 8, logits), CLVGG_ERROR_ARGUMENT, "address");
  assert_ok(clvgg_engine_run_rgb8(rgb8, pixels, 0, logits));
  clvgg_engine_close(&f32);
  clvgg_engine_close(&rgb8);
}

static void wrong_options_are_refused(void **state) {
  (void)state;
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.input = (clvgg_input)2;
  assert_refused(clvgg_engine_open(device, model, &options, &engine), CLVGG_ERROR_ARGUMENT, "input is 2");
  clvgg_preprocess bad = preprocess;
  bad.std[1] = 0;
  options.input = CLVGG_INPUT_RGB8;
  options.preprocess = &bad;
  assert_refused(clvgg_engine_open(device, model, &options, &engine), CLVGG_ERROR_ARGUMENT, "std[1]");
  bad = preprocess;
  bad.std[2] = 1e-40f; /* its reciprocal is infinite */
  assert_refused(clvgg_engine_open(device, model, &options, &engine), CLVGG_ERROR_ARGUMENT, "std[2]");
  bad = preprocess;
  bad.mean[2] = NAN;
  assert_refused(clvgg_engine_open(device, model, &options, &engine), CLVGG_ERROR_ARGUMENT, "mean[2]");
  assert_null(engine);
  /* A caller from before pixels: what lies behind its struct does not count. */
  options.struct_size = offsetof(clvgg_engine_options, input);
  assert_ok(clvgg_engine_open(device, model, &options, &engine));
  float logits[CLASSES], image[3 * PIXELS] = {0};
  assert_ok(clvgg_engine_run(engine, image, 1, logits));
  clvgg_engine_close(&engine);
}

/* A network of one input channel, 1 -> 2, and a layer 2 -> 2 for inputs of 2x2: its weights are zeros. */
static void grey_networks_take_no_pixels(void **state) {
  (void)state;
  static const char header[] =
      "{\"features.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,1,3,3],\"data_offsets\":[0,72]},"
      "\"features.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[72,80]},"
      "\"classifier.0.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[80,96]},"
      "\"classifier.0.bias\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[96,104]}}";
  const size_t length = sizeof header - 1;
  const unsigned char size[8] = {(unsigned char)length, (unsigned char)(length >> 8)}, weights[104] = {0};
  char path[] = "/tmp/clvgg-grey-XXXXXX";
  const int handle = mkstemp(path);
  assert_true(handle >= 0);
  FILE *file = fdopen(handle, "wb");
  assert_non_null(file);
  assert_true(fwrite(size, 1, 8, file) == 8 && fwrite(header, 1, length, file) == length &&
              fwrite(weights, 1, sizeof weights, file) == sizeof weights);
  assert_int_equal(fclose(file), 0);
  clvgg_model *grey = NULL;
  const clvgg_status status = clvgg_model_open(path, NULL, &grey);
  unlink(path);
  assert_ok(status);
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.input = CLVGG_INPUT_RGB8;
  assert_refused(clvgg_engine_open(device, grey, &options, &engine), CLVGG_ERROR_UNSUPPORTED, "1 channels");
  options.input = CLVGG_INPUT_F32;
  assert_ok(clvgg_engine_open(device, grey, &options, &engine));
  clvgg_engine_close(&engine);
  clvgg_model_close(&grey);
}

static void buffers_hold_bytes(void **state) {
  (void)state;
  cl_platform_id platforms[16];
  cl_uint count = 0;
  cl_int error = CL_SUCCESS;
  cl_device_id id = NULL;
  clvgg_device_info info;
  clvgg_device_get_info(device, &info);
  assert_int_equal(clGetPlatformIDs(16, platforms, &count), CL_SUCCESS);
  for (cl_uint p = 0; p < count && p < 16 && !id; p++) {
    char name[256] = "";
    clGetPlatformInfo(platforms[p], CL_PLATFORM_NAME, sizeof name, name, NULL);
    if (strcmp(name, info.platform) == 0) clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 1, &id, NULL);
  }
  assert_non_null(id);
  cl_context context = clCreateContext(NULL, 1, &id, NULL, NULL, &error);
  assert_int_equal(error, CL_SUCCESS);
  cl_command_queue queue = clCreateCommandQueue(context, id, 0, &error);
  assert_int_equal(error, CL_SUCCESS);
  const size_t logits_bytes = IMAGES * CLASSES * sizeof(float);
  cl_mem images = clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR, sizeof pixels, pixels, &error);
  assert_int_equal(error, CL_SUCCESS);
  cl_mem little = clCreateBuffer(context, CL_MEM_READ_ONLY, sizeof pixels - 1, NULL, &error);
  assert_int_equal(error, CL_SUCCESS);
  cl_mem logits = clCreateBuffer(context, CL_MEM_READ_WRITE, logits_bytes, NULL, &error);
  assert_int_equal(error, CL_SUCCESS);

  clvgg_device *wrapped = NULL;
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.max_batch = 3; /* seven images in turns of three, three and one */
  options.input = CLVGG_INPUT_RGB8;
  assert_ok(clvgg_device_wrap(context, queue, &wrapped));
  assert_ok(clvgg_engine_open(wrapped, model, &options, &engine));
  float want[IMAGES * CLASSES], got[IMAGES * CLASSES] = {0};
  assert_ok(clvgg_engine_run_rgb8(engine, pixels, IMAGES, want));
  assert_ok(clvgg_engine_enqueue(engine, images, IMAGES, logits, 0, NULL, NULL));
  assert_int_equal(clEnqueueReadBuffer(queue, logits, CL_TRUE, 0, logits_bytes, got, 0, NULL, NULL), CL_SUCCESS);
  assert_memory_equal(got, want, logits_bytes); /* the same kernels on the same numbers */
  assert_refused(clvgg_engine_enqueue(engine, little, IMAGES, logits, 0, NULL, NULL), CLVGG_ERROR_ARGUMENT, "images");

  clvgg_engine_close(&engine);
  clvgg_device_close(&wrapped);
  clReleaseMemObject(logits);
  clReleaseMemObject(little);
  clReleaseMemObject(images);
  clReleaseCommandQueue(queue);
  clReleaseContext(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(answers_are_those_of_normalised_images),
      cmocka_unit_test(any_first_layer_will_do),
      cmocka_unit_test(the_callers_normalisation_counts),
      cmocka_unit_test(images_load_as_their_pixels),
      cmocka_unit_test(wrong_forms_are_refused),
      cmocka_unit_test(wrong_options_are_refused),
      cmocka_unit_test(grey_networks_take_no_pixels),
      cmocka_unit_test(buffers_hold_bytes),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
