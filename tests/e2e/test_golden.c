/*
 * Logits against PyTorch's, through the public interface alone: test_golden [CASE...], all cases when none is named.
 * The expected values are tests/golden/make_golden.py's (whole networks in float64, seeded weights) and make_cifar10.py's
 * (the bundled model on 200 real images). CLVGG_DEVICE picks the device, CLVGG_TEST_ALGORITHM algorithms for the bundled_*.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <CL/cl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clvgg/clvgg.h"

/*
 * Largest difference allowed, relative to the largest logit. Rounding of f32 sums of n terms grows like sqrt(n) * 6e-8, which
 * is 1e-5 for fc6's 25,088; torch's own f32 is up to 1e-6 off.
 */
#define NETWORK_TOLERANCE 2e-5
/* The bundled model's expected logits were computed in f32 themselves. */
#define BUNDLED_TOLERANCE 1e-4

#define INPUT_STREAM      999
#define CIFAR_IMAGES      200
#define CIFAR_CLASSES     10
#define CIFAR_PIXELS      (3 * 32 * 32)

typedef struct golden_case {
  const char *name;
  const char *family;
  size_t images, height, width;
  clvgg_precision precision;
  const char *file; /* tests/data/golden/FILE.f32; NULL: it has the case's name */
} golden_case;

static const golden_case network_cases[] = {
    {"vgg11", "vgg11", 1, 224, 224},
    {"vgg13", "vgg13", 1, 224, 224},
    {"vgg16", "vgg16", 1, 224, 224},
    {"vgg19", "vgg19", 1, 224, 224},
    {"vgg11_bn", "vgg11_bn", 1, 224, 224},
    {"vgg13_bn", "vgg13_bn", 1, 224, 224},
    {"vgg16_bn", "vgg16_bn", 1, 224, 224},
    {"vgg19_bn", "vgg19_bn", 1, 224, 224},
    {"vgg11_160x192", "vgg11", 1, 160, 192},
    {"vgg16_batch2", "vgg16", 2, 224, 224},
    {"vgg11_f24w", "vgg11", 1, 224, 224, CLVGG_PRECISION_F24W, "vgg11"},
};

#define assert_ok(call)                                                                                           \
  do {                                                                                                            \
    const clvgg_status ok_status_ = (call);                                                                       \
    if (ok_status_ != CLVGG_OK) fail_msg("%s: %s: %s", #call, clvgg_status_name(ok_status_), clvgg_last_error()); \
  } while (0)

/* Uniform numbers in [low, high) of a stream: splitmix64 of the counter i (the formula in host/base/random.h, restated so
 * that this test needs nothing but the public header). */
static float *seeded(uint64_t stream, float low, float high, size_t n) {
  float *out = malloc(n * sizeof *out);
  assert_non_null(out);
  for (size_t i = 0; i < n; i++) {
    uint64_t z = stream * UINT64_C(0xD1342543DE82EF95) + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    out[i] = low + (high - low) * ((float)(z >> 40) * 0x1p-24f);
  }
  return out;
}

/* count little-endian f32 numbers of tests/data/golden/NAME.f32, which must hold no more. */
static float *read_golden(const char *name, size_t count) {
  char path[512];
  snprintf(path, sizeof path, "%s/golden/%s.f32", TEST_DATA_DIR, name);
  FILE *file = fopen(path, "rb");
  if (!file) fail_msg("cannot open %s", path);
  unsigned char *raw = malloc(count * 4 + 1);
  float *out = malloc(count * sizeof *out);
  assert_non_null(raw);
  assert_non_null(out);
  assert_int_equal(fread(raw, 1, count * 4 + 1, file), count * 4);
  fclose(file);
  for (size_t i = 0; i < count; i++) {
    const unsigned char *b = raw + i * 4;
    const uint32_t bits = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    memcpy(&out[i], &bits, 4);
  }
  free(raw);
  return out;
}

/* Poisoned, so that a logit that is never written cannot pass. */
static float *poisoned(size_t n) {
  float *out = malloc(n * sizeof *out);
  assert_non_null(out);
  for (size_t i = 0; i < n; i++) out[i] = NAN;
  return out;
}

static void assert_close(const char *what, const float *got, const float *expected, size_t n, double tolerance) {
  double largest = 0, worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < n; i++) {
    largest = fmax(largest, fabs((double)expected[i]));
    const double difference = fabs((double)got[i] - (double)expected[i]);
    if (!isfinite(got[i])) fail_msg("%s: value %zu is %g, expected %g", what, i, (double)got[i], (double)expected[i]);
    if (difference > worst) {
      worst = difference;
      at = i;
    }
  }
  /* tools/vendors reads this. */
  printf("%s: differs by at most %.2e of the largest value %.4f, allowed %.0e\n", what, worst / largest, largest,
         tolerance);
  if (!(worst <= tolerance * largest))
    fail_msg("%s: value %zu is %.7g, expected %.7g; relative to the largest %.2e, allowed %.0e", what, at,
             (double)got[at], (double)expected[at], worst / largest, tolerance);
}

static void test_network(void **state) {
  const golden_case *c = *state;
  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.max_batch = c->images;
  options.height = c->height;
  options.width = c->width;
  options.precision = c->precision;
  assert_ok(clvgg_device_open(NULL, &device));
  assert_ok(clvgg_model_random(c->family, 1, &model));
  assert_ok(clvgg_engine_open(device, model, &options, &engine));
  /* The engine keeps what it needs; closing early also gives the host copy of the weights back where it can. */
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  assert_null(model);
  assert_null(device);

  clvgg_engine_info info;
  clvgg_engine_get_info(engine, &info);
  assert_int_equal(info.classes, 1000);
  assert_int_equal(info.height, c->height);
  assert_int_equal(info.width, c->width);
  const size_t n = c->images * info.classes;
  float *images = seeded(INPUT_STREAM, -2, 2, c->images * 3 * c->height * c->width);
  float *logits = poisoned(n);
  float *expected = read_golden(c->file ? c->file : c->name, n);
  assert_ok(clvgg_engine_run(engine, images, c->images, logits));
  assert_close(c->name, logits, expected, n, NETWORK_TOLERANCE);

  clvgg_engine_close(&engine);
  free(expected);
  free(logits);
  free(images);
}

/* ---- the bundled model on real images */

typedef struct cifar {
  float *images; /* (CIFAR_IMAGES, 3, 32, 32), as the model wants them */
  size_t label[CIFAR_IMAGES];
  float *logits; /* PyTorch's, (CIFAR_IMAGES, CIFAR_CLASSES) */
} cifar;

static void cifar_open(const clvgg_model *model, cifar *out) {
  clvgg_model_info info;
  clvgg_model_get_info(model, &info);
  assert_int_equal(info.classes, CIFAR_CLASSES);
  assert_int_equal(info.preprocess.width, 32);
  assert_int_equal(info.preprocess.height, 32);
  out->images = poisoned((size_t)CIFAR_IMAGES * CIFAR_PIXELS);
  out->logits = read_golden("cifar10_200", (size_t)CIFAR_IMAGES * CIFAR_CLASSES);
  FILE *list = fopen(TEST_DATA_DIR "/golden/cifar10_200.txt", "r");
  assert_non_null(list);
  for (size_t i = 0; i < CIFAR_IMAGES; i++) {
    char line[64], name[64], path[512];
    assert_non_null(fgets(line, sizeof line, list));
    assert_int_equal(sscanf(line, "%63s %zu", name, &out->label[i]), 2);
    snprintf(path, sizeof path, "%s/cifar10/%s", TEST_DATA_DIR, name);
    assert_ok(clvgg_image_load(path, &info.preprocess, out->images + i * CIFAR_PIXELS));
    /* The folder's name is the class's, so the model's own class names are checked on the way. */
    const char *class_name = clvgg_model_class_name(model, out->label[i]);
    assert_non_null(class_name);
    assert_memory_equal(name, class_name, strlen(class_name));
    assert_int_equal(name[strlen(class_name)], '/');
  }
  fclose(list);
}

static void cifar_close(cifar *c) {
  free(c->images);
  free(c->logits);
}

/* Each image's first class is PyTorch's, except where PyTorch's own two best are closer than the tolerance. */
static void assert_same_answers(const cifar *c, const float *logits) {
  size_t right = 0, among = 0;
  for (size_t i = 0; i < CIFAR_IMAGES; i++) {
    size_t got[5], expected[2];
    assert_int_equal(clvgg_top_k(logits + i * CIFAR_CLASSES, CIFAR_CLASSES, 5, got, NULL), 5);
    const float *row = c->logits + i * CIFAR_CLASSES;
    assert_int_equal(clvgg_top_k(row, CIFAR_CLASSES, 2, expected, NULL), 2);
    if (row[expected[0]] - row[expected[1]] > 1e-3F) assert_int_equal(got[0], expected[0]);
    right += got[0] == c->label[i];
    for (size_t k = 0; k < 5; k++) among += got[k] == c->label[i];
  }
  /* 182 of these 200 images are classified rightly by PyTorch, and 199 are among its five best. tools/vendors reads this. */
  printf("top-1 %.2f %%, top-5 %.2f %%\n", 100.0 * (double)right / CIFAR_IMAGES, 100.0 * (double)among / CIFAR_IMAGES);
  assert_in_range(right, 181, 183);
  assert_in_range(among, 198, 200);
}

/* The bundled model, at most batch images at once. */
typedef struct turn {
  const char *name;
  size_t batch, images;
} turn;

/* 200 = 12 * 16 + 8: full turns and a short last one; 3 does not divide 20; 1 is its own path in many plans. */
static const turn turns[] = {{"bundled_16", 16, CIFAR_IMAGES}, {"bundled_3", 3, 20}, {"bundled_1", 1, 8}};

static void test_bundled(void **state) {
  const turn *t = *state;
  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.max_batch = t->batch;
  options.algorithm = getenv("CLVGG_TEST_ALGORITHM");
  assert_ok(clvgg_device_open(NULL, &device));
  assert_ok(clvgg_model_open(NULL, NULL, &model));
  assert_ok(clvgg_engine_open(device, model, &options, &engine));
  cifar data;
  cifar_open(model, &data);

  float *logits = poisoned((size_t)CIFAR_IMAGES * CIFAR_CLASSES);
  assert_ok(clvgg_engine_run(engine, data.images, t->images, logits));
  assert_close(t->name, logits, data.logits, t->images * CIFAR_CLASSES, BUNDLED_TOLERANCE);
  if (t->images == CIFAR_IMAGES)
    assert_same_answers(&data, logits);
  else
    assert_true(isnan(logits[t->images * CIFAR_CLASSES])); /* nothing written past the end */

  free(logits);
  cifar_close(&data);
  clvgg_engine_close(&engine);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
}

/* ---- weights of 24 bits */

/* A weight is off by 2^-24 of its row's largest at most; the sums of both are rounded in f32. */
#define F24W_TOLERANCE 2e-6

/* Logits of n images. True when a step of the plan stores weights in 24 bits. */
static bool run_precision(clvgg_precision precision, const float *images, size_t n, float *logits) {
  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  clvgg_engine *engine = NULL;
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.max_batch = n;
  options.precision = precision;
  assert_ok(clvgg_device_open(NULL, &device));
  assert_ok(clvgg_model_open(NULL, NULL, &model));
  assert_ok(clvgg_engine_open(device, model, &options, &engine));
  assert_ok(clvgg_engine_run(engine, images, n, logits));
  clvgg_engine_info info;
  clvgg_engine_get_info(engine, &info);
  bool stored = false;
  for (size_t i = 0; i < info.layers; i++) {
    clvgg_plan_layer step;
    assert_ok(clvgg_engine_get_layer(engine, i, &step));
    stored |= strstr(step.algorithm, "_f24w_") != NULL;
  }
  clvgg_device_info about;
  clvgg_device_get_info(device, &about);
  /* The algorithms that store weights so are made for CPUs. */
  const bool possible = about.type == CLVGG_DEVICE_CPU && !about.software_rasteriser;
  if (possible) assert_int_equal(stored, precision == CLVGG_PRECISION_F24W);
  options.precision = (clvgg_precision)6;
  clvgg_engine *none = NULL;
  assert_int_equal(clvgg_engine_open(device, model, &options, &none), CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "f24w"));
  clvgg_engine_options_init(&options);
  options.memory = (clvgg_memory)3;
  assert_int_equal(clvgg_engine_open(device, model, &options, &none), CLVGG_ERROR_ARGUMENT);
  assert_non_null(strstr(clvgg_last_error(), "memory is 3"));
  clvgg_engine_close(&engine);
  clvgg_model_close(&model);
  clvgg_device_close(&device);
  return stored;
}

/* Beside the same plan with exact weights: on real images, one and several at a time. */
static void test_bundled_f24w(void **state) {
  (void)state;
  clvgg_model *model = NULL;
  cifar data;
  assert_ok(clvgg_model_open(NULL, NULL, &model));
  cifar_open(model, &data);
  clvgg_model_close(&model);
  for (size_t n = 1; n <= 16; n *= 4) {
    float *exact = poisoned(n * CIFAR_CLASSES), *got = poisoned(n * CIFAR_CLASSES);
    run_precision(CLVGG_PRECISION_F32, data.images, n, exact);
    const bool stored = run_precision(CLVGG_PRECISION_F24W, data.images, n, got);
    assert_close("bundled_f24w", got, exact, n * CIFAR_CLASSES, F24W_TOLERANCE);
    if (!stored) assert_memory_equal(got, exact, n * CIFAR_CLASSES * sizeof *got);
    free(exact);
    free(got);
  }
  cifar_close(&data);
}

/* ---- the caller's own context, queue and buffers */

/* OpenCL's handle of the device that the library chose by itself. */
static cl_device_id find_device(const clvgg_device_info *info) {
  cl_platform_id platforms[16];
  cl_uint platform_count = 0;
  assert_int_equal(clGetPlatformIDs(16, platforms, &platform_count), CL_SUCCESS);
  for (cl_uint p = 0; p < platform_count && p < 16; p++) {
    char name[256];
    clGetPlatformInfo(platforms[p], CL_PLATFORM_NAME, sizeof name, name, NULL);
    cl_device_id devices[16];
    cl_uint device_count = 0;
    if (strcmp(name, info->platform) != 0 ||
        clGetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, 16, devices, &device_count) != CL_SUCCESS)
      continue;
    for (cl_uint d = 0; d < device_count && d < 16; d++) {
      clGetDeviceInfo(devices[d], CL_DEVICE_NAME, sizeof name, name, NULL);
      if (strcmp(name, info->name) == 0) return devices[d];
    }
  }
  fail_msg("OpenCL has no device %s", info->name);
  return NULL;
}

/* The device of the environment's choice, as OpenCL's own handle. */
static cl_device_id chosen_device(void) {
  clvgg_device *device = NULL;
  assert_ok(clvgg_device_open(NULL, &device));
  clvgg_device_info info;
  clvgg_device_get_info(device, &info);
  clvgg_device_close(&device);
  return find_device(&info);
}

#define ENQUEUE_BATCH 4

static void test_enqueue(void **state) {
  (void)state;
  cl_device_id id = chosen_device();
  cl_int error = CL_SUCCESS;
  cl_context context = clCreateContext(NULL, 1, &id, NULL, NULL, &error);
  assert_int_equal(error, CL_SUCCESS);
  cl_command_queue queue = clCreateCommandQueue(context, id, 0, &error);
  assert_int_equal(error, CL_SUCCESS);

  clvgg_device *device = NULL;
  clvgg_model *model = NULL;
  clvgg_engine *engine = NULL;
  assert_ok(clvgg_device_wrap(context, queue, &device));
  assert_ok(clvgg_model_open(NULL, NULL, &model));
  clvgg_engine_options options;
  clvgg_engine_options_init(&options);
  options.max_batch = ENQUEUE_BATCH;
  assert_ok(clvgg_engine_open(device, model, &options, &engine));
  cifar data;
  cifar_open(model, &data);

  const size_t image_bytes = ENQUEUE_BATCH * CIFAR_PIXELS * sizeof(float);
  const size_t count = (size_t)ENQUEUE_BATCH * CIFAR_CLASSES;
  float *enqueued = poisoned(count);
  float *run = poisoned(count);
  cl_mem images = clCreateBuffer(context, CL_MEM_READ_ONLY, image_bytes, NULL, &error);
  assert_int_equal(error, CL_SUCCESS);
  cl_mem logits = clCreateBuffer(context, CL_MEM_READ_WRITE, count * sizeof(float), NULL, &error);
  assert_int_equal(error, CL_SUCCESS);
  assert_int_equal(clEnqueueWriteBuffer(queue, logits, CL_TRUE, 0, count * sizeof(float), enqueued, 0, NULL, NULL),
                   CL_SUCCESS);

  /* The work waits for an event that is not yet done when it is enqueued, on another queue than the engine's. */
  cl_command_queue upload = clCreateCommandQueue(context, id, 0, &error);
  assert_int_equal(error, CL_SUCCESS);
  cl_event gate = clCreateUserEvent(context, &error);
  assert_int_equal(error, CL_SUCCESS);
  cl_event written = NULL;
  cl_event done = NULL;
  assert_int_equal(clEnqueueWriteBuffer(upload, images, CL_FALSE, 0, image_bytes, data.images, 1, &gate, &written),
                   CL_SUCCESS);
  clFlush(upload);
  assert_ok(clvgg_engine_enqueue(engine, images, ENQUEUE_BATCH, logits, 1, &written, &done));
  assert_non_null(done);
  assert_int_equal(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
  assert_int_equal(clWaitForEvents(1, &done), CL_SUCCESS);
  assert_int_equal(clEnqueueReadBuffer(queue, logits, CL_TRUE, 0, count * sizeof(float), enqueued, 0, NULL, NULL),
                   CL_SUCCESS);

  assert_ok(clvgg_engine_run(engine, data.images, ENQUEUE_BATCH, run));
  assert_close("enqueue", enqueued, data.logits, count, BUNDLED_TOLERANCE);
  assert_memory_equal(enqueued, run, count * sizeof(float)); /* the same kernels on the same numbers */

  /* Refused, not overrun: a buffer too small, too many images, no buffer. */
  cl_mem small = clCreateBuffer(context, CL_MEM_READ_WRITE, count * sizeof(float) - 4, NULL, &error);
  assert_int_equal(error, CL_SUCCESS);
  assert_int_not_equal(clvgg_engine_enqueue(engine, images, ENQUEUE_BATCH, small, 0, NULL, NULL), CLVGG_OK);
  assert_int_not_equal(clvgg_last_error()[0], '\0');
  assert_int_not_equal(clvgg_engine_enqueue(engine, NULL, ENQUEUE_BATCH, logits, 0, NULL, NULL), CLVGG_OK);

  clFinish(queue);
  clReleaseMemObject(small);
  clReleaseEvent(done);
  clReleaseEvent(written);
  clReleaseEvent(gate);
  clReleaseCommandQueue(upload);
  clReleaseMemObject(logits);
  clReleaseMemObject(images);
  clvgg_engine_close(&engine);
  clvgg_device_close(&device);
  clvgg_model_close(&model);
  clReleaseCommandQueue(queue);
  clReleaseContext(context);
  cifar_close(&data);
  free(enqueued);
  free(run);
}

int main(int argc, char **argv) {
  enum {
    NETWORKS = sizeof network_cases / sizeof *network_cases,
    TURNS = sizeof turns / sizeof *turns,
    OTHERS = 2,
    ALL = OTHERS + TURNS + NETWORKS
  };
  struct CMUnitTest all[ALL] = {{"enqueue", test_enqueue, NULL, NULL, NULL},
                                {"bundled_f24w", test_bundled_f24w, NULL, NULL, NULL}};
  for (size_t i = 0; i < TURNS; i++)
    all[OTHERS + i] = (struct CMUnitTest){turns[i].name, test_bundled, NULL, NULL, (void *)&turns[i]};
  for (size_t i = 0; i < NETWORKS; i++)
    all[OTHERS + TURNS + i] =
        (struct CMUnitTest){network_cases[i].name, test_network, NULL, NULL, (void *)&network_cases[i]};

  struct CMUnitTest tests[ALL];
  size_t count = 0;
  for (size_t i = 0; i < ALL; i++) {
    int wanted = argc < 2;
    for (int a = 1; a < argc; a++) wanted |= strcmp(argv[a], all[i].name) == 0;
    if (wanted) tests[count++] = all[i];
  }
  if (count == 0 || count < (size_t)(argc - 1)) {
    fprintf(stderr, "test_golden: no such case; known are:");
    for (size_t i = 0; i < ALL; i++) fprintf(stderr, " %s", all[i].name);
    fprintf(stderr, "\n");
    return 2;
  }
  return _cmocka_run_group_tests("golden", tests, count, NULL, NULL);
}
