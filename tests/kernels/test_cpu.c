/*
 * Instructions for bf16: what CPUs say of them, asked here and on the device, and conv_bf16_nchwc_amx with its instructions. Where the
 * processor has none of them they trap, and what they are to do is done by amx_trap.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "device/cpu.h"
#include "kernels/amx_trap.h"
#include "kernels/emulated_bf16.h"
#include "kernels/suite.h"

/* ---- what the registers mean */

/* Of a Xeon of the fourth generation ("Sapphire Rapids"): those bits alone that count. */
static const uint32_t new_xeon[CPU_WORDS] = {[CPU_LEAF_1_ECX] = 1u << 27,
                                             [CPU_XCR0] = 0x602E7,
                                             [CPU_LEAF_7_EAX] = 2,
                                             [CPU_LEAF_7_EBX] = 1u << 16,
                                             [CPU_LEAF_7_EDX] = 1u << 22 | 1u << 24,
                                             [CPU_LEAF_7_1_EAX] = 1u << 5,
                                             [CPU_LEAF_1D_EAX] = 1,
                                             [CPU_LEAF_1D_1_EAX] = 1024u << 16 | 8192,
                                             [CPU_LEAF_1D_1_EBX] = 8u << 16 | 64,
                                             [CPU_LEAF_1D_1_ECX] = 16};

static void both_have_to_have_it(void **state) {
  (void)state;
  static const struct {
    int word;
    uint32_t value;
    bool amx, avx512;
  } cases[] = {
      {CPU_LEAF_1_ECX, 0, false, false},           /* an operating system that keeps nothing */
      {CPU_XCR0, 0x2E7, false, true},              /* one that keeps no tiles */
      {CPU_XCR0, 0x402E7, false, true},            /* nor their configuration */
      {CPU_XCR0, 0x60207, true, false},            /* no vectors of 512 bits */
      {CPU_XCR0, 0x60267, true, false},            /* half of their registers */
      {CPU_LEAF_7_EAX, 0, true, false},            /* leaf 7 has no sub-leaf 1 */
      {CPU_LEAF_7_EBX, 0, true, false},            /* no AVX512F */
      {CPU_LEAF_7_EDX, 1u << 24, false, true},     /* tiles for bytes */
      {CPU_LEAF_7_EDX, 1u << 22, false, true},     /* no tiles */
      {CPU_LEAF_7_1_EAX, ~(1u << 5), true, false}, /* all but AVX512-BF16 */
      {CPU_LEAF_1D_EAX, 0, false, true},
      {CPU_LEAF_1D_1_EAX, 512u << 16 | 4096, false, true},
      {CPU_LEAF_1D_1_EBX, 4u << 16 | 64, false, true},
      {CPU_LEAF_1D_1_EBX, 8u << 16 | 32, false, true},
      {CPU_LEAF_1D_1_ECX, 8, false, true},
  };
  cpu_bf16 has = cpu_read_bits(new_xeon);
  assert_true(has.amx && has.avx512);
  for (size_t i = 0; i < COUNT(cases); i++) {
    uint32_t words[CPU_WORDS];
    memcpy(words, new_xeon, sizeof words);
    words[cases[i].word] = cases[i].value;
    has = cpu_read_bits(words);
    if (has.amx != cases[i].amx || has.avx512 != cases[i].avx512) fail_msg("case %zu: %d %d", i, has.amx, has.avx512);
  }
  has = cpu_read_bits((const uint32_t[CPU_WORDS]){0});
  assert_true(!has.amx && !has.avx512);
}

static void only_pocl_on_this_processor_is_asked(void **state) {
  (void)state;
  static const struct {
    clvgg_device_type type;
    const char *platform, *version, *compiler;
    bool own;
  } cases[] = {
      {CLVGG_DEVICE_CPU, "Portable Computing Language", "OpenCL 3.0 PoCL HSTR: pthread-x86_64-pc-linux-gnu-znver3",
       "RELOC, LLVM 14.0.6, SLEEF", true},
      {CLVGG_DEVICE_CPU, "Portable Computing Language", "OpenCL 3.0 PoCL HSTR: cpu-x86_64-pc-linux-gnu-znver4",
       "RELOC, LLVM 14.0.6, SLEEF", true},
      {CLVGG_DEVICE_CPU, "Portable Computing Language", "OpenCL 3.0 PoCL HSTR: pthread-aarch64-unknown-linux-gnu",
       "RELOC, LLVM 14.0.6, SLEEF", false},
      {CLVGG_DEVICE_CPU, "Portable Computing Language", "OpenCL 3.0 PoCL HSTR: remote", "RELOC, LLVM 14.0.6, SLEEF",
       false},
      {CLVGG_DEVICE_GPU, "Portable Computing Language", "OpenCL 3.0 PoCL HSTR: CUDA-sm_86", "RELOC, LLVM 14.0.6, SLEEF",
       false},
      {CLVGG_DEVICE_CPU, "Intel(R) OpenCL", "OpenCL 3.0 (Build 0)", "RELOC, LLVM 14.0.6, SLEEF", false},
      {CLVGG_DEVICE_CPU, "rusticl", "OpenCL 3.0", "RELOC, LLVM 14.0.6, SLEEF", false},
      {CLVGG_DEVICE_CPU, "Portable Computing Language", "OpenCL 2.0 pocl HSTR: pthread-x86_64-pc-linux-gnu",
       "LLVM 9.0.1", false},
      {CLVGG_DEVICE_CPU, "Portable Computing Language", "OpenCL 3.0 PoCL HSTR: pthread-x86_64-pc-linux-gnu", "", false},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    clvgg_device_info d = {.type = cases[i].type};
    snprintf(d.platform, sizeof d.platform, "%s", cases[i].platform);
    snprintf(d.platform_version, sizeof d.platform_version, "%s", cases[i].compiler);
    snprintf(d.opencl_version, sizeof d.opencl_version, "%s", cases[i].version);
    assert_int_equal(cpu_is_own(&d), cases[i].own);
  }
}

/* ---- the device */

static void the_device_says_what_its_processor_does(void **state) {
  (void)state;
  uint32_t here[CPU_WORDS], there[CPU_WORDS];
  const clvgg_device_info *dev = device_info(suite.device);
  if (!cpu_is_own(dev)) {
    assert_false(dev->amx_bf16 || dev->avx512_bf16);
    skip();
  }
  assert_true(cpu_ask_here(here));
  must(cpu_ask_device(suite.device, there));
  assert_memory_equal(here, there, sizeof here);
  const cpu_bf16 has = cpu_read_bits(here);
  print_message("XCR0 %#x, AMX-BF16 %d, AVX512-BF16 %d; used: %d, %d\n", here[CPU_XCR0], has.amx, has.avx512,
                dev->amx_bf16, dev->avx512_bf16);
  assert_true(!dev->amx_bf16 || has.amx); /* where Linux allows it */
  assert_int_equal(dev->avx512_bf16, has.avx512);
}

/* The rows themselves, as an engine would ask. */
static void what_is_missing_is_refused(void **state) {
  (void)state;
  static const char *const names[] = {"conv_bf16_nchwc_amx", "conv_bf16_nchwc_avx512"}, *const needs[] = {
                                                                                            "AMX-BF16", "AVX512-BF16"};
  const clvgg_device_info *dev = device_info(suite.device);
  for (size_t i = 0; i < 2; i++) {
    if (i ? dev->avx512_bf16 : dev->amx_bf16) continue;
    const algo_problem p = {.shape = conv_shape(64, 64, 14, 14, true), .batch = 1, .block = algo_block(dev)};
    const algo *a = algo_find(names[i]);
    int param[ALGO_MAX_PARAMS] = {0};
    char why[ALGO_WHY_BYTES] = "";
    a->choose(dev, &p, param);
    assert_false(algo_supports(a, dev, &p, param, why));
    if (dev->type == CLVGG_DEVICE_CPU) assert_non_null(strstr(why, needs[i]));
    test_layer t;
    algo_instance inst;
    layer_make(&p.shape, false, 1, &t);
    assert_int_equal(algo_open(a, suite.device, &p, param, &t.l, &inst), CLVGG_ERROR_UNSUPPORTED);
    layer_free(&t);
  }
}

static void amx_is_right(void **state) {
  (void)state;
  static const struct {
    size_t in, out, h, w;
    bool pool;
  } cases[] = {
      {1, 1, 1, 1, false}, {33, 17, 3, 5, false}, {64, 33, 7, 7, false}, {3, 40, 9, 6, true}, {70, 48, 6, 17, true}};
  const clvgg_device_info *dev = device_info(suite.device);
  if (!cpu_is_own(dev) || !amx_trap_install()) skip();
  const subject sub = {unchecked_amx(), algo_block(dev)};
  for (size_t i = 0; i < COUNT(cases); i++)
    for (int block = 1; block <= 2; block++)
      for (int oc = 1; oc <= 2; oc++) {
        const layer_shape plain = conv_shape(cases[i].in, cases[i].out, cases[i].h, cases[i].w, i % 2);
        const layer_shape s = cases[i].pool ? pooled_shape(plain) : plain;
        const int param[ALGO_MAX_PARAMS] = {block, oc, i % 2 ? 4 : 16};
        test_layer t;
        layer_make(&s, true, 500 + i, &t);
        suite_case(&sub, &t.l, param, 3, 1 + i % 3, 600 + i);
        layer_free(&t);
      }
  assert_int_equal(suite.cases_refused, 0);
  const amx_counts done = amx_trap_counts();
  print_message("%zu configurations, %zu loads, %zu products and %zu stores of tiles trapped%s\n", done.configurations,
                done.loads, done.products, done.stores, dev->amx_bf16 ? "" : "; the device has no AMX");
  assert_int_equal(done.misuses, 0);
  assert_int_equal(done.configurations, done.releases);
  if (!dev->amx_bf16) assert_true(done.products > 0 && done.stores > 0);
}

int main(void) {
  cache_make();
  if (clvgg_device_open(NULL, &suite.device) != CLVGG_OK) {
    fprintf(stderr, "no device: %s\n", clvgg_last_error());
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_have_to_have_it),
      cmocka_unit_test(only_pocl_on_this_processor_is_asked),
      cmocka_unit_test(the_device_says_what_its_processor_does),
      cmocka_unit_test(what_is_missing_is_refused),
      cmocka_unit_test(amx_is_right),
  };
  const int failed = cmocka_run_group_tests_name("cpu", tests, NULL, NULL);
  clvgg_device_close(&suite.device);
  return failed;
}
