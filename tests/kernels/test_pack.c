/* Weights on the device: interleaving, padding, and panels where a buffer may be no larger than a few rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "algo/common.h"
#include "algo/pack.h"
#include "algo/pack_rows.h"
#include "base/half.h"
#include "kernels/fixture.h"

static clvgg_device *open_with(const char *limits) {
  clvgg_device *dev = NULL;
  if (limits)
    setenv("CLVGG_DEVICE_LIMITS", limits, 1);
  else
    unsetenv("CLVGG_DEVICE_LIMITS");
  must(clvgg_device_open(NULL, &dev));
  return dev;
}

/* What lies in the panels is what the layer's rows say, and zeros after the last. */
static void expect_rows(clvgg_device *dev, const packed_weights *w, const layer *l) {
  float *row = malloc(w->length * sizeof *row);
  for (size_t i = 0; i < w->panels; i++) {
    const size_t rows = size_round_up(pack_row_count(w, i), w->group), bytes = rows * w->length * sizeof(float);
    assert_int_equal(w->panel[i].bytes, bytes);
    assert_true(bytes <= device_info(dev)->max_alloc_bytes);
    float *panel = malloc(bytes);
    must(device_read(dev, &w->panel[i], 0, panel, bytes));
    for (size_t r = 0; r < rows; r++) {
      const size_t o = pack_first_row(w, i) + r;
      if (o < w->rows)
        layer_read_rows(l, o, 1, row);
      else
        memset(row, 0, w->length * sizeof *row);
      for (size_t k = 0; k < w->length; k++) {
        const float got = panel[r / w->group * w->group * w->length + k * w->group + r % w->group];
        if (got != row[k]) fail_msg("row %zu, element %zu is %g, expected %g", o, k, got, row[k]);
      }
    }
    free(panel);
  }
  free(row);
  const size_t padded = size_round_up(w->rows, w->group);
  float *bias = malloc(padded * sizeof *bias);
  assert_int_equal(w->bias.bytes, padded * sizeof *bias);
  must(device_read(dev, &w->bias, 0, bias, padded * sizeof *bias));
  for (size_t o = 0; o < padded; o++) assert_true(bias[o] == (o < w->rows ? l->bias[o] : 0));
  free(bias);
}

static void pack(const char *limits, const layer_shape *s, bool batch_norm, size_t group, size_t panels) {
  clvgg_device *dev = open_with(limits);
  test_layer t;
  layer_make(s, batch_norm, 3, &t);
  packed_weights w;
  must(pack_upload(dev, &t.l, group, &w));
  assert_int_equal(w.panels, panels);
  size_t rows = 0;
  for (size_t i = 0; i < w.panels; i++) rows += pack_row_count(&w, i);
  assert_int_equal(rows, s->out.c);
  expect_rows(dev, &w, &t.l);
  pack_release(dev, &w);
  assert_int_equal(device_bytes_in_use(dev), 0);
  layer_free(&t);
  clvgg_device_close(&dev);
}

static void rows_are_interleaved(void **state) {
  (void)state;
  const layer_shape conv = conv_shape(5, 19, 3, 3, true);
  for (size_t group = 1; group <= 16; group *= 2) {
    pack(NULL, &conv, false, group, 1);
    pack(NULL, &conv, true, group, 1);
  }
}

/* As halves they lie in the same order, rounded. */
static void halves_are_interleaved(void **state) {
  (void)state;
  const layer_shape conv = conv_shape(5, 19, 3, 3, true);
  enum { LENGTH = 45, GROUP = 8, ROWS = 24 };
  clvgg_device *dev = open_with(NULL);
  test_layer t;
  layer_make(&conv, true, 3, &t);
  packed_weights w;
  must(pack_upload_half(dev, &t.l, GROUP, &w));
  uint16_t panel[ROWS * LENGTH];
  assert_int_equal(w.panels, 1);
  assert_int_equal(w.panel[0].bytes, sizeof panel);
  must(device_read(dev, &w.panel[0], 0, panel, sizeof panel));
  float row[LENGTH];
  for (size_t r = 0; r < ROWS; r++) {
    memset(row, 0, sizeof row);
    if (r < 19) layer_read_rows(&t.l, r, 1, row);
    for (size_t k = 0; k < LENGTH; k++)
      assert_int_equal(panel[(r / GROUP * LENGTH + k) * GROUP + r % GROUP], float_to_half(row[k]));
  }
  pack_release(dev, &w);
  layer_free(&t);
  clvgg_device_close(&dev);
}

static void halves_have_their_range(void **state) {
  (void)state;
  const layer_shape conv = conv_shape(1, 2, 3, 3, true);
  clvgg_device *dev = open_with("alloc=36"); /* two rows of halves, one of floats */
  char why[ALGO_WHY_BYTES];
  assert_false(pack_fits(device_info(dev), &conv, 2, false, why));
  assert_true(pack_fits_half(device_info(dev), &conv, 2, false, why));
  test_layer t;
  layer_make(&conv, false, 3, &t);
  static const float values[] = {65519.0f, 65520.0f, -1e6f}; /* the first rounds to the largest, 65504 */
  for (size_t i = 0; i < COUNT(values); i++) {
    packed_weights w;
    t.values[7] = values[i];
    assert_int_equal(pack_upload_half(dev, &t.l, 2, &w), i == 0 ? CLVGG_OK : CLVGG_ERROR_UNSUPPORTED);
    pack_release(dev, &w);
  }
  assert_int_equal(device_bytes_in_use(dev), 0);
  layer_free(&t);
  clvgg_device_close(&dev);
}

static void large_weights_take_several_pieces(void **state) {
  (void)state;
  const layer_shape s = fc_shape((shape3){5000, 1, 1}, 1001, false); /* 20 MB, more than is staged at a time */
  pack(NULL, &s, false, 1, 1);
  pack(NULL, &s, true, 4, 1);
}

static void panels_are_whole_blocks(void **state) {
  (void)state;
  const layer_shape s = fc_shape((shape3){257, 1, 1}, 33, true); /* a row is 1028 bytes */
  pack("alloc=8192", &s, true, 1, 5);                            /* 7 rows each */
  pack("alloc=8224", &s, false, 1, 5);                           /* 8 rows and not a byte more: 8 8 8 8 1 */
  pack("alloc=8223", &s, false, 1, 5);                           /* 7 7 7 7 5 */
  pack("alloc=8223", &s, false, 4, 9);                           /* one block of 4 rows each, the last with 1 */
  pack("alloc=1028", &s, false, 1, 33);                          /* a panel a row */
}

static void what_cannot_fit_is_refused(void **state) {
  (void)state;
  const layer_shape s = fc_shape((shape3){257, 1, 1}, 33, true);
  clvgg_device *dev = open_with("alloc=4000");
  char why[ALGO_WHY_BYTES] = "";
  assert_true(pack_fits(device_info(dev), &s, 1, true, why));
  assert_false(pack_fits(device_info(dev), &s, 1, false, why));
  assert_non_null(strstr(why, "33 x 257"));
  assert_false(pack_fits(device_info(dev), &s, 4, true, why));
  test_layer t;
  layer_make(&s, false, 3, &t);
  packed_weights w;
  assert_int_equal(pack_upload(dev, &t.l, 4, &w), CLVGG_ERROR_TOO_LARGE);
  pack_release(dev, &w);
  t.l.weight = NULL;
  assert_int_equal(pack_upload(dev, &t.l, 1, &w), CLVGG_ERROR_ARGUMENT);
  pack_release(dev, &w);
  layer_free(&t);
  clvgg_device_close(&dev);
}

/* The fc algorithms compute from panels what they compute from one buffer; test_kernels has checked that one. */
static void panels_change_no_bit(void **state) {
  (void)state;
  const layer_shape s = fc_shape((shape3){257, 1, 1}, 33, true);
  static const char *const names[] = {"fc_f32_naive",  "fc_f32_tiled",    "fc_f24w_tiled",
                                      "fc_f16w_tiled", "fc_f32_subgroup", "fc_f16w_subgroup"};
  test_layer t;
  layer_make(&s, false, 3, &t);
  float in[3 * 257], out[2][3 * 33] = {{0}};
  random_fill(5, -1, 1, in, COUNT(in));
  for (size_t i = 0; i < COUNT(names); i++) {
    for (size_t limited = 0; limited < 2; limited++) {
      clvgg_device *dev = open_with(limited ? "alloc=8192" : NULL);
      if (strstr(names[i], "_subgroup") && !device_info(dev)->subgroups) {
        clvgg_device_close(&dev);
        continue;
      }
      const algo_problem problem = {.shape = s, .batch = 3};
      const algo *a = algo_find(names[i]);
      int param[ALGO_MAX_PARAMS] = {0};
      if (a->choose) a->choose(device_info(dev), &problem, param);
      algo_instance inst;
      must(algo_open(a, dev, &problem, param, &t.l, &inst));
      assert_true((algo_state_of(&inst)->weights.panels > 1) == (limited == 1));
      device_buffer from, to;
      must(device_buffer_create(dev, sizeof in, &from));
      must(device_buffer_create(dev, sizeof out[0], &to));
      must(device_write(dev, &from, 0, in, sizeof in));
      must(algo_enqueue(&inst, 3, &from, &to, NULL));
      must(device_read(dev, &to, 0, out[limited], sizeof out[0]));
      algo_close(&inst);
      device_buffer_release(dev, &from);
      device_buffer_release(dev, &to);
      clvgg_device_close(&dev);
    }
    assert_memory_equal(out[0], out[1], sizeof out[0]);
  }
  layer_free(&t);
}

/* Weight k of a row of padded weights, by the description in pack_rows.h. */
static float weight_of(algo_form form, const unsigned char *row, size_t padded, size_t k) {
  float value;
  uint16_t half;
  int16_t high;
  switch (form) {
    case ALGO_F16:
      memcpy(&half, row + 2 * k, sizeof half);
      return half_to_float(half);
    case ALGO_F24:
      memcpy(&high, row + 2 * k, sizeof high);
      memcpy(&value, row + 3 * padded, sizeof value); /* the scale */
      return (float)(high * 256 + row[2 * padded + k]) * value;
    default:
      memcpy(&value, row + k * sizeof value, sizeof value);
      return value;
  }
}

static void rows_are_stored_in_each_form(void **state) {
  (void)state;
  enum { LENGTH = 257, ROWS = 5 };
  const size_t padded = 272;
  static const struct {
    algo_form form;
    size_t row_bytes; /* 272 weights, a scale, and up to the next multiple of 64 */
  } cases[] = {{ALGO_F32, 1088}, {ALGO_F24, 832}, {ALGO_F16, 576}};
  const layer_shape s = fc_shape((shape3){LENGTH, 1, 1}, ROWS, true);
  test_layer t;
  layer_make(&s, true, 3, &t);
  clvgg_device *dev = open_with(NULL);
  for (size_t i = 0; i < COUNT(cases); i++) {
    packed_weights w;
    must(pack_rows_upload(dev, &t.l, cases[i].form, &w));
    assert_int_equal(pack_rows_bytes(cases[i].form, LENGTH), cases[i].row_bytes);
    assert_int_equal(w.panel[0].bytes, ROWS * cases[i].row_bytes);
    unsigned char *panel = malloc(w.panel[0].bytes);
    must(device_read(dev, &w.panel[0], 0, panel, w.panel[0].bytes));
    for (size_t r = 0; r < ROWS; r++) {
      const unsigned char *row = panel + r * cases[i].row_bytes;
      float want[272] = {0};
      layer_read_rows(&t.l, r, 1, want);
      for (size_t k = 0; k < padded; k++) {
        const float got = weight_of(cases[i].form, row, padded, k);
        const float allowed = cases[i].form == ALGO_F32 ? 0 : cases[i].form == ALGO_F16 ? 0x1p-11f : 0x1p-23f;
        if (fabsf(got - want[k]) > allowed) fail_msg("row %zu, element %zu is %g, expected %g", r, k, got, want[k]);
      }
    }
    free(panel);
    pack_release(dev, &w);
  }
  assert_int_equal(device_bytes_in_use(dev), 0);
  layer_free(&t);
  clvgg_device_close(&dev);
}

static void what_a_form_cannot_hold_is_refused(void **state) {
  (void)state;
  const layer_shape s = fc_shape((shape3){20, 1, 1}, 3, true);
  test_layer t;
  layer_make(&s, false, 3, &t);
  clvgg_device *dev = open_with(NULL);
  static const struct {
    algo_form form;
    float weight;
    clvgg_status status;
  } cases[] = {{ALGO_F16, 65519, CLVGG_OK},
               {ALGO_F16, 65520, CLVGG_ERROR_UNSUPPORTED},
               {ALGO_F24, 65520, CLVGG_OK},
               {ALGO_F24, INFINITY, CLVGG_ERROR_UNSUPPORTED},
               {ALGO_F32, INFINITY, CLVGG_OK}};
  for (size_t i = 0; i < COUNT(cases); i++) {
    packed_weights w;
    t.values[59] = cases[i].weight;
    assert_int_equal(pack_rows_upload(dev, &t.l, cases[i].form, &w), cases[i].status);
    pack_release(dev, &w);
  }
  assert_int_equal(device_bytes_in_use(dev), 0);
  layer_free(&t);
  clvgg_device_close(&dev);
}

int main(void) {
  cache_make();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_interleaved),
      cmocka_unit_test(large_weights_take_several_pieces),
      cmocka_unit_test(panels_are_whole_blocks),
      cmocka_unit_test(what_cannot_fit_is_refused),
      cmocka_unit_test(panels_change_no_bit),
      cmocka_unit_test(halves_are_interleaved),
      cmocka_unit_test(halves_have_their_range),
      cmocka_unit_test(rows_are_stored_in_each_form),
      cmocka_unit_test(what_a_form_cannot_hold_is_refused),
  };
  return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
