/* Presets as plans and searches take them, and those that come with the library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "algo/text.h"
#include "store/json.h"
#include "tune/preset.h"
#include "tune/rows.h"
#include "unit/made_up_device.h"
#include "unit/tuning_fixture.h"

#define HEAD(match, peak)                                             \
  "{\"format\": \"clvgg tuning\", \"version\": 1, \"match\": {" match \
  "}, \"devices\": [{\"name\": \"p\", "                               \
  "\"peak_gflops\": " peak ", \"peak_gbytes_per_s\": 10.0, \"measurements\": ["
#define ROW(problem, algorithm, parameters, seconds)                                               \
  "{\"problem\": \"" problem "\", \"algorithm\": \"" algorithm "\", \"parameters\": \"" parameters \
  "\", "                                                                                           \
  "\"state\": \"ok\"" seconds "}"
#define TAIL    "]}]}"
#define PROBLEM "conv 64x56x56 64x56x56 relu b1 k4"
#define TILED   "GROUP_X=16 GROUP_Y=8 ITEM_Y=2 ITEM_OC=8 TILE_IC=4"
#define DIRECT  "TILE_X=4 TILE_Y=2 TILE_OC=8"

/* The data folder of this process is the test's, with one preset. */
static char presets[PATH_MAX + 16];

static void make_presets(const char *text) {
  char file[PATH_MAX + 64];
  snprintf(presets, sizeof presets, "%s/presets", folder);
  mkdir(presets, 0755);
  snprintf(file, sizeof file, "%s/index.txt", presets);
  assert_int_equal(file_write(file, "made-up.json\n", 13), CLVGG_OK);
  snprintf(file, sizeof file, "%s/made-up.json", presets);
  assert_int_equal(file_write(file, text, strlen(text)), CLVGG_OK);
  setenv("CLVGG_DATA_DIR", folder, 1);
}

static int remove_presets(void **state) {
  unsetenv("CLVGG_DATA_DIR");
  remove_folder(presets);
  return teardown(state);
}
#define WITH_PRESETS(function) cmocka_unit_test_setup_teardown(function, setup, remove_presets)

/* conv, conv, pool, another conv, fc */
static void make_layers(layer out[5]) {
  const shape3 wide = {64, 56, 56}, half = {64, 28, 28}, deep = {128, 28, 28};
  memset(out, 0, 5 * sizeof *out);
  out[0].shape = out[1].shape = (layer_shape){.op = LAYER_CONV, .relu = true, .in = wide, .out = wide};
  out[2].shape = (layer_shape){.op = LAYER_MAXPOOL, .in = wide, .out = half};
  out[3].shape = (layer_shape){.op = LAYER_CONV, .relu = true, .in = half, .out = deep};
  out[4].shape = (layer_shape){.op = LAYER_FC, .in = deep, .out = {10, 1, 1}};
}

static void times_become_costs(void **state) {
  (void)state;
  make_presets(HEAD("\"type\": \"gpu\"", "1000.0")
                   ROW(PROBLEM, "conv_f32_nchw_tiled", TILED, ", \"seconds\": 0.00001") "," ROW(
                       PROBLEM, "conv_f32_nchw_direct", DIRECT, "") ","              /* without a time */
               ROW("conv", "conv_f32_nchw_direct", DIRECT, ", \"seconds\": 1.0") "," /* of a whole op */
               ROW(PROBLEM, "conv_f32_nchw_magic", "", ", \"seconds\": 1.0") ","     /* of another version */
               ROW(PROBLEM, "conv_f32_nchw_tiled", "GROUP_X=16", ", \"seconds\": 1.0") "," ROW(
                   PROBLEM, "fc_f32_naive", "", ", \"seconds\": 1.0") TAIL); /* of another op */
  const clvgg_device_info gpu = device(CLVGG_DEVICE_GPU), cpu = device(CLVGG_DEVICE_CPU);
  plan_costs costs;
  assert_int_equal(preset_costs(&gpu, &costs), CLVGG_OK);
  assert_int_equal(lines.count, 0);
  assert_int_equal(costs.count, 1);
  assert_true(costs.flops_per_s == 1e12);
  assert_string_equal(costs.entries[0].source, "preset");
  assert_string_equal(costs.entries[0].algo->name, "conv_f32_nchw_tiled");
  assert_true(costs.entries[0].seconds == 0.00001);
  assert_int_equal(costs.entries[0].param[0], 16);
  /* They go before models and rules. */
  layer layers[5];
  plan p;
  make_layers(layers);
  assert_int_equal(plan_make(&gpu, layers, 5, 1, &(plan_options){.measured = &costs}, &p), CLVGG_OK);
  assert_string_equal(p.steps[0].source, "preset");
  assert_int_equal(p.steps[0].param[3], 8);
  plan_free(&p);
  costs_free(&costs);
  assert_int_equal(preset_costs(&cpu, &costs), CLVGG_OK);
  assert_int_equal(costs.count, 0);
  costs_free(&costs);
}

/* A time means nothing without the device's peak. */
static void without_a_peak_there_are_no_costs(void **state) {
  (void)state;
  make_presets(HEAD("\"type\": \"gpu\"", "0.0") ROW(PROBLEM, "conv_f32_nchw_tiled", TILED, ", \"seconds\": 0.002")
                   TAIL);
  const clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  plan_costs costs;
  assert_int_equal(preset_costs(&gpu, &costs), CLVGG_OK);
  assert_int_equal(costs.count, 0);
  costs_free(&costs);
}

static size_t count_known(const tune_task *task, const char *name, const layer_shape *shape) {
  size_t found = 0;
  for (size_t i = 0; i < task->known_count; i++) {
    const algo_problem p = {.shape = *shape, .batch = 3, .block = task->known[i].problem.block};
    found += strcmp(task->known[i].algo->name, name) == 0 && costs_same_problem(&task->known[i].problem, &p);
  }
  return found;
}

static void a_whole_ops_suggestion_is_for_all_its_problems(void **state) {
  (void)state;
  make_presets(HEAD("\"type\": \"gpu\"", "0.0") ROW("conv", "conv_f32_nchw_tiled", TILED, "") "," ROW(
      "conv", "conv_f32_nchwc_winograd", "M=4 TILES=6 OC_BLOCKS=1",
      "") "," ROW("fc", "fc_f32_tiled", "GROUP=64 WIDTH=4 ROWS=4 IMAGES=1",
                  ", \"seconds\": 7.0") "," ROW("fc 9x9x9 9x1x1 b3 k4", "fc_f32_naive", "", ", \"seconds\": 7.0") TAIL);
  const clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  layer layers[5];
  layer_shape pooled, elsewhere = {.op = LAYER_FC, .in = {9, 9, 9}, .out = {9, 1, 1}};
  make_layers(layers);
  assert_true(plan_pooled_shape(layers, 5, 1, &pooled));
  tune_task task = {.options.max_batch = 3};
  assert_int_equal(preset_suggest(&gpu, layers, 5, &task), CLVGG_OK);
  /* Convolutions 0 and 1 are one problem. Only what can pools. */
  assert_int_equal(count_known(&task, "conv_f32_nchw_tiled", &layers[0].shape), 2);
  assert_int_equal(count_known(&task, "conv_f32_nchw_tiled", &layers[3].shape), 1);
  assert_int_equal(count_known(&task, "conv_f32_nchw_tiled", &pooled), 0);
  assert_int_equal(count_known(&task, "conv_f32_nchwc_winograd", &layers[3].shape), 1);
  assert_int_equal(count_known(&task, "conv_f32_nchwc_winograd", &pooled), 1);
  assert_int_equal(count_known(&task, "fc_f32_tiled", &layers[4].shape), 1);
  assert_int_equal(count_known(&task, "fc_f32_naive", &elsewhere), 1);
  assert_int_equal(task.known_count, 3 + 4 + 1 + 1);
  for (size_t i = 0; i < task.known_count; i++) {
    /* Of another device: no time, and no failure. */
    assert_true(task.known[i].seconds == 0 && task.known[i].alone_ms == 0 && task.known[i].fault == FAULT_NONE);
    assert_int_equal(task.known[i].problem.block, algo_block(&gpu));
  }
  task_free(&task);
}

static void a_damaged_preset_is_passed_over_with_a_line(void **state) {
  (void)state;
  static const char *const damaged[] = {"",
                                        "{",
                                        "[]",
                                        "{\"format\": \"clvgg tuning\", \"version\": 1}",
                                        HEAD("\"type\": \"gpu\"", "1.0") "{\"problem\": 5}" TAIL,
                                        HEAD("\"type\": 7", "1.0") TAIL};
  const clvgg_device_info gpu = device(CLVGG_DEVICE_GPU);
  layer layers[5];
  make_layers(layers);
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
    make_presets(damaged[i]);
    plan_costs costs;
    tune_task task = {.options.max_batch = 1};
    lines.count = 0;
    assert_int_equal(preset_costs(&gpu, &costs), CLVGG_OK);
    assert_int_equal(costs.count, 0);
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "presets are not used: "));
    assert_non_null(strstr(lines.last, "made-up.json"));
    assert_int_equal(preset_suggest(&gpu, layers, 5, &task), CLVGG_OK);
    assert_int_equal(task.known_count, 0);
    assert_int_equal(lines.count, 2);
    costs_free(&costs);
    task_free(&task);
  }
}

/* ---- the library's own */

#define OWN HOST_DATA_DIR "/" TUNING_PRESET_INDEX

static clvgg_device_info vendors(clvgg_device_type type, const char *vendor, const char *platform) {
  clvgg_device_info d = device(type);
  snprintf(d.vendor, sizeof d.vendor, "%s", vendor);
  snprintf(d.platform, sizeof d.platform, "%s", platform);
  return d;
}

static void each_vendor_gets_the_preset_meant_for_it(void **state) {
  (void)state;
  static const struct {
    clvgg_device_type type;
    const char *vendor, *platform, *preset; /* how its name begins */
  } cases[] = {
      {CLVGG_DEVICE_GPU, "NVIDIA Corporation", "NVIDIA CUDA", "nvidia-gpu.json"},
      {CLVGG_DEVICE_GPU, "NVIDIA", "rusticl", "nvidia-gpu.json"},
      {CLVGG_DEVICE_GPU, "Advanced Micro Devices, Inc.", "AMD Accelerated Parallel Processing", "amd-gpu.json"},
      {CLVGG_DEVICE_GPU, "AMD", "rusticl", "amd-gpu-mesa.json"},
      {CLVGG_DEVICE_GPU, "AMD", "Clover", "amd-gpu-mesa.json"},
      {CLVGG_DEVICE_GPU, "Intel(R) Corporation", "Intel(R) OpenCL Graphics", "intel-gpu.json"},
      {CLVGG_DEVICE_GPU, "Intel", "rusticl", "intel-gpu.json"},
      {CLVGG_DEVICE_GPU, "ARM", "ARM Platform", "arm-gpu.json"},
      {CLVGG_DEVICE_GPU, "nobody", "nothing", ""},
      {CLVGG_DEVICE_CPU, "GenuineIntel", "Portable Computing Language", "pocl-"},
      {CLVGG_DEVICE_CPU, "Intel(R) Corporation", "Intel(R) OpenCL", ""},
      {CLVGG_DEVICE_CPU, "AuthenticAMD", "Portable Computing Language", "pocl-"},
      {CLVGG_DEVICE_CPU, "ARM", "Portable Computing Language", "pocl-"},
      {CLVGG_DEVICE_CPU, "Mesa/X.org", "Clover", ""},
  };
  const tuning_key key = made_up_key("1.0");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const clvgg_device_info dev = vendors(cases[i].type, cases[i].vendor, cases[i].platform);
    tuning *t;
    char name[256];
    if (tuning_preset_load(OWN, &dev, &key, &t, name)) fail_msg("%s", clvgg_last_error());
    if (cases[i].preset[0] ? strncmp(name, cases[i].preset, strlen(cases[i].preset)) != 0 : name[0])
      fail_msg("%s by %s gets '%s', expected '%s'", cases[i].vendor, cases[i].platform, name, cases[i].preset);
    tuning_close(&t);
  }
}

static const char *member(const json_t *object, const char *name) {
  const char *text = json_string_value(json_object_get(object, name));
  return text ? text : "";
}

/* An algorithm that there is, of the op or problem that the row names, and parameters among its legal ones. */
static void check_row(const char *file, const json_t *measurement) {
  const char *problem = member(measurement, "problem"), *name = member(measurement, "algorithm");
  const char *parameters = member(measurement, "parameters");
  const algo *a = algo_find(name);
  int param[ALGO_MAX_PARAMS];
  algo_problem p;
  if (!a || !algo_params_parse(a, parameters, param)) fail_msg("%s: %s [%s]", file, name, parameters);
  if (strcmp(problem, layer_op_name(a->op)) != 0 && (!algo_problem_parse(problem, &p) || p.shape.op != a->op))
    fail_msg("%s: %s for %s", file, name, problem);
  for (size_t i = 0; a->params && a->params[i].name; i++) {
    bool legal = false;
    for (size_t k = 0; k < sizeof a->params->legal / sizeof *a->params->legal && a->params[i].legal[k]; k++)
      legal = legal || a->params[i].legal[k] == param[i];
    if (!legal) fail_msg("%s: %s [%s]: %s", file, name, parameters, a->params[i].name);
  }
}

/* By itself it loads for a device that is what it asks for, with rows that search and plan see. */
static void check_alone(const char *file, const json_t *match) {
  clvgg_device_info dev = vendors(strcmp(member(match, "type"), "cpu") == 0 ? CLVGG_DEVICE_CPU : CLVGG_DEVICE_GPU,
                                  member(match, "vendor"), member(match, "platform"));
  const tuning_key key = made_up_key("1.0");
  char index[PATH_MAX + 32], copy[PATH_MAX + 32], name[256];
  tuning_measurement *rows = NULL;
  size_t count = 0;
  file_map text;
  tuning *t;
  assert_true(json_object_size(match) > 0);
  snprintf(dev.name, sizeof dev.name, "%s", member(match, "name"));
  snprintf(index, sizeof index, "%s/index.txt", folder);
  snprintf(copy, sizeof copy, "%s/one.json", folder);
  assert_int_equal(file_map_open(file, &text), CLVGG_OK);
  assert_int_equal(file_write(copy, text.data, text.bytes), CLVGG_OK);
  assert_int_equal(file_write(index, "one.json\n", 9), CLVGG_OK);
  file_map_close(&text);
  if (tuning_preset_load(index, &dev, &key, &t, name)) fail_msg("%s: %s", file, clvgg_last_error());
  assert_string_equal(name, "one.json");
  assert_int_equal(tuning_list(t, &key, &rows, &count), CLVGG_OK);
  if (count == 0) fail_msg("%s: no rows", file);
  free(rows);
  tuning_close(&t);
}

/* Every file that the index names: it loads as a preset, and every row of it is of use. */
static void own_presets_are_sound(void **state) {
  (void)state;
  FILE *index = fopen(OWN, "r");
  char line[256], file[PATH_MAX];
  size_t files = 0;
  assert_non_null(index);
  while (fgets(line, sizeof line, index)) {
    line[strcspn(line, "\n")] = '\0';
    if (!*line) continue;
    files++;
    snprintf(file, sizeof file, "%s/presets/%s", HOST_DATA_DIR, line);
    json_t *root = NULL;
    if (tuning_json_load(file, &root)) fail_msg("%s", clvgg_last_error());
    check_alone(file, json_object_get(root, "match"));
    size_t i, k;
    json_t *dev, *measurement;
    json_array_foreach(json_object_get(root, "devices"), i, dev)
        json_array_foreach(json_object_get(dev, "measurements"), k, measurement) check_row(file, measurement);
    json_decref(root);
  }
  fclose(index);
  assert_true(files >= 5);
}

/* Suggestions that the task has for a, and that dev can run. */
static size_t count_runnable(const tune_task *task, const clvgg_device_info *dev, const char *name) {
  size_t found = 0;
  for (size_t k = 0; k < task->known_count; k++) {
    const tune_known *one = &task->known[k];
    char why[ALGO_WHY_BYTES];
    found += strcmp(one->algo->name, name) == 0 && algo_supports(one->algo, dev, &one->problem, one->param, why);
  }
  return found;
}

/* On a device of its kind each of a preset's suggestions can be tried, but for sub-groups of the size that other GPUs of Intel have. */
static void own_suggestions_can_run(void **state) {
  (void)state;
  static const struct {
    const char *vendor, *platform;
    size_t group;
    int subgroups, capability;
    unsigned matrices_of; /* the smallest sub-groups of a GPU with matrix engines */
    const char *matrices; /* the algorithm by matrix instructions, which has suggestions */
  } gpus[] = {{"NVIDIA Corporation", "NVIDIA CUDA", 1024, 0, 80, 0, "conv_f16_nchw_mma"},
              {"Advanced Micro Devices, Inc.", "AMD Accelerated Parallel Processing", 256, 1, 0, 0, NULL},
              {"AMD", "rusticl", 256, 0, 0, 0, NULL},
              {"Intel(R) Corporation", "Intel(R) OpenCL Graphics", 256, 1, 0, 8, "conv_f16_nchw_dpas"},
              {"Intel(R) Corporation", "Intel(R) OpenCL Graphics", 256, 1, 0, 16, "conv_f16_nchw_dpas"},
              {"ARM", "ARM Platform", 64, 0, 0, 0, NULL}};
  setenv("CLVGG_DATA_DIR", HOST_DATA_DIR, 1);
  layer layers[5];
  make_layers(layers);
  for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++) {
    clvgg_device_info dev = vendors(CLVGG_DEVICE_GPU, gpus[i].vendor, gpus[i].platform);
    dev.max_work_group = dev.max_work_item[0] = dev.max_work_item[1] = dev.max_work_item[2] = gpus[i].group;
    dev.subgroups = gpus[i].subgroups;
    dev.nvidia_capability = gpus[i].capability;
    dev.intel_matrix_multiply = gpus[i].matrices_of > 0;
    dev.sub_group_sizes[0] = gpus[i].matrices_of;
    tune_task task = {.options.max_batch = 8};
    assert_int_equal(preset_suggest(&dev, layers, 5, &task), CLVGG_OK);
    assert_int_equal(lines.count, 0);
    assert_true(task.known_count > 0);
    for (size_t k = 0; k < task.known_count; k++) {
      const tune_known *one = &task.known[k];
      char why[ALGO_WHY_BYTES], params[ALGO_PARAMS_BYTES];
      if (!algo_supports(one->algo, &dev, &one->problem, one->param, why) && !strstr(why, "smallest sub-groups"))
        fail_msg("%s: %s [%s]: %s", gpus[i].vendor, one->algo->name,
                 algo_params_text(one->algo, one->param, params, sizeof params), why);
    }
    if (gpus[i].matrices) assert_true(count_runnable(&task, &dev, gpus[i].matrices) > 0);
    task_free(&task);
  }
  unsetenv("CLVGG_DATA_DIR");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_PRESETS(times_become_costs),
      WITH_PRESETS(without_a_peak_there_are_no_costs),
      WITH_PRESETS(a_whole_ops_suggestion_is_for_all_its_problems),
      WITH_PRESETS(a_damaged_preset_is_passed_over_with_a_line),
      TEST(each_vendor_gets_the_preset_meant_for_it),
      TEST(own_presets_are_sound),
      TEST(own_suggestions_can_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
