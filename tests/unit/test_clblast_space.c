/* CLBlast's configurations and their constraints; no OpenCL is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After those, which it uses. */
#include <cmocka.h>

#include "algo/clblast_space.h"
#include "unit/made_up_device.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const clblast_product medium = {256, 3136, 2304};

/* The first configuration of a kind, by a value that it must have. */
static int first_with(clblast_value which, size_t value, bool direct) {
  for (int config = 1; config <= (int)clblast_count(); config++) {
    const size_t *values = clblast_values(config);
    if (values[which] == value && clblast_is_direct(values) == direct) return config;
  }
  fail_msg("no configuration has %zu as its value %d", value, (int)which);
  return 0;
}

static void every_row_keeps_every_constraint(void **state) {
  (void)state;
  size_t legal = 0;
  while (legal < COUNT(clblast_params[0].legal) && clblast_params[0].legal[legal]) legal++;
  assert_int_equal(legal, clblast_count());
  for (size_t i = 0; i < legal; i++) {
    assert_int_equal(clblast_params[0].legal[i], i + 1);
    const char *broken = clblast_broken(clblast_values((int)i + 1));
    if (broken) fail_msg("configuration %zu: %s", i + 1, broken);
    for (size_t k = 0; k < i; k++)
      assert_memory_not_equal(clblast_values((int)k + 1), clblast_values((int)i + 1), CLBLAST_VALUES * sizeof(size_t));
  }
  assert_null(clblast_values(0));
  assert_null(clblast_values(-1));
  assert_null(clblast_values((int)legal + 1));
  assert_null(clblast_params[1].name);
}

/* Each constraint alone: legal values with one, or two, of them changed. */
static void every_constraint_is_seen(void **state) {
  (void)state;
  const int k0 = first_with(CLBLAST_MWG, 64, false), k1 = first_with(CLBLAST_GEMMK, 1, false);
  const int direct = first_with(CLBLAST_WGD, 32, true);
  const struct {
    int from;
    clblast_value first, second;
    size_t first_value, second_value;
    const char *begin;
  } cases[] = {
      {k0, CLBLAST_KWI, CLBLAST_KWI, 3, 3, "KWG must be a multiple of KWI"},
      {k0, CLBLAST_KWI, CLBLAST_KWI, 0, 0, "KWG must be a multiple of KWI"},
      {k0, CLBLAST_VWM, CLBLAST_VWM, 8, 8, "MWG must be a multiple of MDIMC * VWM"},
      {k0, CLBLAST_VWN, CLBLAST_VWN, 16, 16, "NWG must be a multiple of NDIMC * VWN"},
      {k0, CLBLAST_MDIMA, CLBLAST_MDIMA, 32, 32, "MWG must be a multiple of MDIMA * VWM"},
      {k0, CLBLAST_NDIMB, CLBLAST_NDIMB, 32, 32, "NWG must be a multiple of NDIMB * VWN"},
      {k0, CLBLAST_MDIMA, CLBLAST_MDIMA, 2, 2, "KWG must be a multiple of MDIMC * NDIMC / MDIMA"},
      {k0, CLBLAST_NDIMB, CLBLAST_NDIMB, 1, 1, "KWG must be a multiple of MDIMC * NDIMC / NDIMB"},
      {k0, CLBLAST_KREG, CLBLAST_KREG, 2, 2, "KREG must be 1"},
      {k1, CLBLAST_KREG, CLBLAST_KREG, 2, 2, "KREG must be a multiple of VWN"},
      {k1, CLBLAST_KWG, CLBLAST_KWG, 2, 2, "KWG must be 1"},
      {k0, CLBLAST_VWM, CLBLAST_MWG, 3, 96, "VWM must be a width"},
      {k0, CLBLAST_VWN, CLBLAST_NWG, 3, 96, "VWN must be a width"},
      {direct, CLBLAST_KWID, CLBLAST_KWID, 3, 3, "WGD must be a multiple of KWID"},
      {direct, CLBLAST_VWMD, CLBLAST_VWMD, 8, 8, "WGD must be a multiple of MDIMCD * VWMD"},
      {direct, CLBLAST_VWND, CLBLAST_VWND, 4, 4, "WGD must be a multiple of NDIMCD * VWND"},
      {direct, CLBLAST_MDIMAD, CLBLAST_MDIMAD, 16, 16, "WGD must be a multiple of MDIMAD * VWMD"},
      {direct, CLBLAST_NDIMBD, CLBLAST_NDIMBD, 32, 32, "WGD must be a multiple of NDIMBD * VWND"},
      {direct, CLBLAST_MDIMAD, CLBLAST_MDIMAD, 2, 2, "WGD must be a multiple of MDIMCD * NDIMCD / MDIMAD"},
      {direct, CLBLAST_NDIMBD, CLBLAST_NDIMBD, 2, 2, "WGD must be a multiple of MDIMCD * NDIMCD / NDIMBD"},
  };
  assert_int_equal(clblast_values(k0)[CLBLAST_GEMMK], 0);
  for (size_t i = 0; i < COUNT(cases); i++) {
    size_t values[CLBLAST_VALUES];
    memcpy(values, clblast_values(cases[i].from), sizeof values);
    values[cases[i].first] = cases[i].first_value;
    values[cases[i].second] = cases[i].second_value;
    const char *broken = clblast_broken(values);
    if (!broken || strncmp(broken, cases[i].begin, strlen(cases[i].begin)) != 0)
      fail_msg("case %zu: '%s', expected '%s'", i, broken ? broken : "", cases[i].begin);
  }
}

static void local_memory_is_that_of_the_kernel_in_use(void **state) {
  (void)state;
  const size_t *large = clblast_values(first_with(CLBLAST_MWG, 64, false));
  assert_int_equal(clblast_local_bytes(large), 4 * 32 * (64 + 64));
  const size_t *kernel_1 = clblast_values(first_with(CLBLAST_GEMMK, 1, false));
  assert_int_equal(clblast_local_bytes(kernel_1), 0);
  const size_t *direct = clblast_values(first_with(CLBLAST_WGD, 32, true));
  assert_int_equal(clblast_local_bytes(direct), 4 * 2 * 32 * 33);
}

static void refused(const clvgg_device_info *dev, int config, clblast_product p, const char *text) {
  char why[ALGO_WHY_BYTES] = "";
  assert_false(clblast_supports(dev, config, p, why));
  if (!strstr(why, text)) fail_msg("'%s', expected '%s'", why, text);
}

static void what_a_device_cannot_do_is_refused(void **state) {
  (void)state;
  if (!device_has_clblast()) {
    const clvgg_device_info any = device(CLVGG_DEVICE_GPU);
    refused(&any, 1, medium, "without CLBlast");
    skip();
  }
  const int large = first_with(CLBLAST_MWG, 64, false);
  clvgg_device_info dev = device(CLVGG_DEVICE_GPU);
  char why[ALGO_WHY_BYTES];
  assert_true(clblast_supports(&dev, large, medium, why));
  refused(&dev, 0, medium, "no configuration 0");
  refused(&dev, (int)clblast_count() + 1, medium, "no configuration");
  dev.max_work_group = 127;
  refused(&dev, large, medium, "work-group of 16 x 8");
  dev.max_work_group = 255;
  refused(&dev, large, medium, "copies in work-groups of 256");
  dev = device(CLVGG_DEVICE_GPU);
  dev.max_work_item[0] = 15;
  refused(&dev, large, medium, "work-group of 16 x 8");
  dev = device(CLVGG_DEVICE_GPU);
  dev.local_bytes = 16383;
  refused(&dev, large, medium, "16384 bytes of local memory");
  dev = device(CLVGG_DEVICE_GPU);
  /* 256 x 2304, 2304 x 3136 and 256 x 3136 floats, all of which are whole tiles */
  dev.max_alloc_bytes = (uint64_t)4 * (256 * 2304 + 2304 * 3136 + 256 * 3136);
  assert_true(clblast_supports(&dev, large, medium, why));
  dev.max_alloc_bytes--;
  refused(&dev, large, medium, "copies");
  assert_true(clblast_supports(&dev, first_with(CLBLAST_WGD, 32, true), medium, why));
  dev.max_alloc_bytes = UINT64_MAX;
  refused(&dev, large, (clblast_product){SIZE_MAX / 8, SIZE_MAX / 8, 8}, "copies");
}

/* Whatever the device and the product, the choice is possible or nothing is. */
static void the_choice_fits_the_device(void **state) {
  (void)state;
  if (!device_has_clblast()) skip();
  static const clblast_product products[] = {{1, 1, 1}, {8, 4096, 25088}, {256, 3136, 2304}};
  static const size_t groups[] = {1, 64, 256}, widths[] = {1, 4, 8, 16};
  char why[ALGO_WHY_BYTES];
  for (size_t i = 0; i < COUNT(products) * COUNT(groups) * COUNT(widths); i++)
    for (int cpu = 0; cpu < 2; cpu++) {
      clvgg_device_info dev = device(cpu ? CLVGG_DEVICE_CPU : CLVGG_DEVICE_GPU);
      dev.max_work_group = groups[i / COUNT(products) % COUNT(groups)];
      dev.native_float_width = dev.preferred_float_width = (uint32_t)widths[i / COUNT(products) / COUNT(groups)];
      const clblast_product p = products[i % COUNT(products)];
      const bool any = dev.max_work_group >= 64; /* copies need groups of 256, and direct products of 64 */
      if (any && !clblast_supports(&dev, clblast_choose(&dev, p), p, why)) fail_msg("case %zu: %s", i, why);
    }
  const clvgg_device_info cpu = device(CLVGG_DEVICE_CPU), gpu = device(CLVGG_DEVICE_GPU);
  assert_int_equal(clblast_values(clblast_choose(&cpu, medium))[CLBLAST_VWM], 16);
  assert_false(clblast_is_direct(clblast_values(clblast_choose(&gpu, medium))));
  assert_true(clblast_is_direct(clblast_values(clblast_choose(&gpu, products[0]))));
  assert_true(clblast_is_direct(clblast_values(clblast_choose(&cpu, products[1]))));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_keeps_every_constraint),
      cmocka_unit_test(every_constraint_is_seen),
      cmocka_unit_test(local_memory_is_that_of_the_kernel_in_use),
      cmocka_unit_test(what_a_device_cannot_do_is_refused),
      cmocka_unit_test(the_choice_fits_the_device),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
