/* CLBlast's matrix product: right between paddings, in each of its configurations, and refused where matrices do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "kernels/device_fixture.h"

enum { M = 33, N = 20, K = 47, PAD = 3, OFFSET = 5 };

static float value(size_t i) {
  return (float)((i * 2654435761u) % 1000) / 500.0f - 1.0f;
}

static void check_gemm(const device_gemm_config *config, bool ta, bool tb, bool accumulate) {
  static float a[OFFSET + (M + K) * (M + K + PAD)], b[OFFSET + (N + K) * (N + K + PAD)], c[OFFSET + M * (N + PAD)];
  static float got[OFFSET + M * (N + PAD)];
  const size_t lda = (ta ? M : K) + PAD, ldb = (tb ? K : N) + PAD, ldc = N + PAD;
  for (size_t i = 0; i < sizeof a / sizeof *a; i++) a[i] = value(i);
  for (size_t i = 0; i < sizeof b / sizeof *b; i++) b[i] = value(i + 7777);
  /* What is there before must not matter unless it is added to. */
  for (size_t i = 0; i < sizeof c / sizeof *c; i++) c[i] = accumulate ? value(i + 99) : NAN;
  device_buffer da = {0}, db = {0}, dc = {0};
  ASSERT_OK(device_buffer_create(dev, sizeof a, &da));
  ASSERT_OK(device_buffer_create(dev, sizeof b, &db));
  ASSERT_OK(device_buffer_create(dev, sizeof c, &dc));
  ASSERT_OK(device_write(dev, &da, 0, a, sizeof a));
  ASSERT_OK(device_write(dev, &db, 0, b, sizeof b));
  ASSERT_OK(device_write(dev, &dc, 0, c, sizeof c));
  ASSERT_OK(device_gemm(dev, config, M, N, K, (device_matrix){da.mem, OFFSET, lda, ta},
                        (device_matrix){db.mem, OFFSET, ldb, tb}, accumulate,
                        (device_matrix){dc.mem, OFFSET, ldc, false}));
  ASSERT_OK(device_read(dev, &dc, 0, got, sizeof got));
  for (size_t i = 0; i < OFFSET; i++) assert_memory_equal(&got[i], &c[i], sizeof c[i]);
  for (size_t y = 0; y < M; y++)
    for (size_t x = 0; x < ldc; x++) {
      const size_t at = OFFSET + y * ldc + x;
      if (x >= N) {
        assert_memory_equal(&got[at], &c[at], sizeof c[at]); /* the padding of a row is not the product's */
        continue;
      }
      double sum = accumulate ? c[at] : 0;
      for (size_t z = 0; z < K; z++)
        sum += (double)a[OFFSET + (ta ? z * lda + y : y * lda + z)] * b[OFFSET + (tb ? x * ldb + z : z * ldb + x)];
      if (!(fabs(got[at] - sum) <= 1e-5 * K))
        fail_msg("ta %d tb %d accumulate %d: C[%zu][%zu] is %g, expected %g", ta, tb, accumulate, y, x, got[at], sum);
    }
  device_buffer_release(dev, &da);
  device_buffer_release(dev, &db);
  device_buffer_release(dev, &dc);
}

static void test_gemm(void **state) {
  (void)state;
  if (!device_has_clblast()) {
    const device_matrix none = {0};
    ASSERT_FAILS(device_gemm(dev, NULL, 1, 1, 1, none, none, false, none), CLVGG_ERROR_UNSUPPORTED, "without CLBlast");
    skip();
  }
  for (int i = 0; i < 8; i++) check_gemm(NULL, i & 1, i & 2, i & 4);
}

static void test_gemm_errors(void **state) {
  (void)state;
  if (!device_has_clblast()) skip();
  device_buffer b = {0};
  ASSERT_OK(device_buffer_create(dev, 400, &b));
  const device_matrix good = {b.mem, 0, 10, false}, narrow = {b.mem, 0, 9, false}, late = {b.mem, 1, 10, false};
  const device_matrix turned = {b.mem, 0, 10, true};
  ASSERT_FAILS(device_gemm(dev, NULL, 10, 10, 10, narrow, good, false, good), CLVGG_ERROR_ARGUMENT,
               "leading dimension of A");
  ASSERT_FAILS(device_gemm(dev, NULL, 10, 10, 10, good, late, false, good), CLVGG_ERROR_ARGUMENT,
               "buffer of B is too small");
  ASSERT_FAILS(device_gemm(dev, NULL, 10, 0, 10, good, good, false, good), CLVGG_ERROR_ARGUMENT, "larger than 0");
  ASSERT_FAILS(device_gemm(dev, NULL, 10, 10, 10, good, good, false, turned), CLVGG_ERROR_ARGUMENT, "transposed");
  device_buffer_release(dev, &b);
}

#define XGEMM_VALUES  16
#define DIRECT_VALUES 10

/* Groups of one item with the tile given, for all three kernels. */
static device_gemm_config make_config(int id, size_t values[XGEMM_VALUES + DIRECT_VALUES + 1], size_t tile,
                                      size_t width) {
  static const char *const names[] = {
      "MWG",   "NWG",    "VWM",    "GEMMK",  "STRM",   "STRN", "SA",   "SB",   "KWG",
      "MDIMC", "NDIMC",  "MDIMA",  "NDIMB",  "KWI",    "VWN",  "KREG", "WGD",  "PADA",
      "PADB",  "MDIMCD", "NDIMCD", "MDIMAD", "NDIMBD", "KWID", "VWMD", "VWND", "XGEMM_MIN_INDIRECT_SIZE"};
  for (size_t i = 0; i < XGEMM_VALUES + DIRECT_VALUES + 1; i++) values[i] = 1;
  values[0] = values[1] = tile;
  values[2] = width;
  for (size_t i = 3; i < 8; i++) values[i] = 0;
  return (device_gemm_config){
      .id = id,
      .part = {{"Xgemm", XGEMM_VALUES, names, values},
               {"XgemmDirect", DIRECT_VALUES, names + XGEMM_VALUES, values + XGEMM_VALUES},
               {"GemmRoutine", 1, names + XGEMM_VALUES + DIRECT_VALUES, values + XGEMM_VALUES + DIRECT_VALUES}}};
}

/* What one configuration does wrong is over with the next; results do not depend on what was set before. */
static void test_gemm_configurations(void **state) {
  (void)state;
  if (!device_has_clblast()) skip();
  size_t values[5][XGEMM_VALUES + DIRECT_VALUES + 1];
  const device_gemm_config four = make_config(101, values[0], 4, 4), two = make_config(102, values[1], 2, 2);
  const device_gemm_config odd = make_config(103, values[2], 3, 3); /* no vector has three elements */
  device_gemm_config incomplete = make_config(104, values[3], 4, 4), unknown = make_config(105, values[4], 4, 4);
  incomplete.part[0].count--;
  unknown.part[1].kernel = "no kernel";
  device_buffer b = {0};
  ASSERT_OK(device_buffer_create(dev, 400, &b));
  const device_matrix any = {b.mem, 0, 10, false};
  for (int round = 0; round < 2; round++) {
    check_gemm(&four, false, true, false);
    ASSERT_FAILS(device_gemm(dev, &incomplete, 10, 10, 10, any, any, false, any), CLVGG_ERROR_BUILD,
                 "configuration 104");
    check_gemm(&two, false, false, false);
    ASSERT_FAILS(device_gemm(dev, &odd, 10, 10, 10, any, any, false, any), CLVGG_ERROR_BUILD, "product of 10x10");
    check_gemm(&four, false, false, false);
    ASSERT_FAILS(device_gemm(dev, &unknown, 10, 10, 10, any, any, false, any), CLVGG_ERROR_BUILD, "no kernel");
  }
  check_gemm(&two, true, true, true);
  device_buffer_release(dev, &b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gemm),
      cmocka_unit_test(test_gemm_errors),
      cmocka_unit_test(test_gemm_configurations),
  };
  return cmocka_run_group_tests(tests, open_device, close_device);
}
