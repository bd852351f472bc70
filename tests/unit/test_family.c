/* The family table: computed parameters and operations against the published figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "network/family.h"

/* As mmclassification's model zoo prints them: trailing zeros dropped. */
static const struct {
  const char *name, *params_m, *flops_g;
} published[FAMILY_COUNT] = {
    {"vgg11", "132.86", "7.63"},     {"vgg13", "133.05", "11.34"},   {"vgg16", "138.36", "15.5"},
    {"vgg19", "143.67", "19.67"},    {"vgg11_bn", "132.87", "7.64"}, {"vgg13_bn", "133.05", "11.36"},
    {"vgg16_bn", "138.37", "15.53"}, {"vgg19_bn", "143.68", "19.7"},
};

static void check_printed(const char *name, double value, const char *expected) {
  char text[32];
  snprintf(text, sizeof text, "%.2f", value);
  for (size_t n = strlen(text); text[n - 1] == '0'; n--) text[n - 1] = '\0';
  if (strcmp(text, expected) != 0) fail_msg("%s: computed %s, published %s", name, text, expected);
}

static void figures_are_the_published_ones(void **state) {
  (void)state;
  for (size_t i = 0; i < FAMILY_COUNT; i++) {
    const family *f = family_find(published[i].name);
    assert_non_null(f);
    uint64_t params, flops;
    family_count(f, &params, &flops);
    check_printed(f->name, (double)params / 1e6, published[i].params_m);
    check_printed(f->name, (double)flops / 1e9, published[i].flops_g);
  }
}

/* torchvision 0.29 prints these for sum(p.numel() for p in model.parameters()). */
static void parameters_are_torchvisions(void **state) {
  (void)state;
  static const uint64_t numel[FAMILY_COUNT] = {132863336, 133047848, 138357544, 143667240,
                                               132868840, 133053736, 138365992, 143678248};
  for (size_t i = 0; i < FAMILY_COUNT; i++) {
    uint64_t params, flops;
    family_count(family_find(published[i].name), &params, &flops);
    assert_int_equal(params, numel[i]);
  }
}

static void depth_is_in_the_name(void **state) {
  (void)state;
  for (size_t i = 0; i < FAMILY_COUNT; i++) {
    unsigned depth = 0, layers = 3;
    assert_int_equal(sscanf(families[i].name, "vgg%u", &depth), 1);
    for (size_t s = 0; s < 5; s++) layers += families[i].stage_convs[s];
    assert_int_equal(layers, depth);
    assert_int_equal(families[i].batch_norm, strstr(families[i].name, "_bn") != NULL);
    assert_int_equal(strncmp(families[i].checkpoint, families[i].name, strlen(families[i].name)), 0);
    assert_true(families[i].top1 < families[i].top5);
  }
}

static void unknown_names_are_not_found(void **state) {
  (void)state;
  assert_null(family_find("vgg"));
  assert_null(family_find("VGG16"));
  assert_null(family_find(""));
  assert_null(family_find(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(figures_are_the_published_ones),
      cmocka_unit_test(parameters_are_torchvisions),
      cmocka_unit_test(depth_is_in_the_name),
      cmocka_unit_test(unknown_names_are_not_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
