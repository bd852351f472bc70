/* CLBlast's configurations, their constraints, and the rules that pick one. */
#include "algo/clblast_space.h"

#include "algo/common.h"

/* Items of the largest group of the kernels that make an indirect product's copies, in CLBlast's values for unknown devices. */
#define COPY_GROUP 256
/* More than any product's cube root, so that it is never indirect. */
#define NEVER_INDIRECT 1000000

/* Of the kernel that a configuration leaves unused: it is compiled all the same, and the less there is of it the sooner. */
#define UNUSED_XGEMM  0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1
#define UNUSED_DIRECT 1, 1, 1, 1, 1, 1, 1, 1, 0, 0

#define INDIRECT(...) \
  { __VA_ARGS__, UNUSED_DIRECT, 1 }
#define DIRECT(...) \
  { UNUSED_XGEMM, __VA_ARGS__, NEVER_INDIRECT }

/*
 * A row's number, from 1 on, is kept in files: rows are only added, and never change. Rows for GPUs are the best values that CLBlast's
 * authors found and publish for many devices (src/database/kernels/xgemm/xgemm_32.hpp and xgemm_direct/xgemm_direct_32.hpp in
 * CLBlast 1.5); those for CPUs with vectors of 16 were measured with PoCL, those
 * with vectors of 8 and 4 only found to be right: groups of one item, whose tile in registers is rows of whole vectors.
 * Kernel 1 with VWN below VWM gives wrong values in CLBlast 1.5.3 (VWM=16 VWN=8, k=45 and 257), though its tuner allows it.
 */
static const size_t configurations[][CLBLAST_VALUES] = {
    /* GEMMK, MWG, NWG, KWG, MDIMC, NDIMC, MDIMA, NDIMB, KWI, VWM, VWN, STRM, STRN, SA, SB, KREG */
    INDIRECT(0, 32, 32, 32, 8, 16, 8, 16, 2, 4, 2, 0, 0, 1, 1, 1),   /* 1: devices that CLBlast does not know */
    INDIRECT(0, 64, 64, 32, 16, 8, 16, 8, 2, 4, 4, 0, 0, 1, 1, 1),   /* 2: NVIDIA SM6.1, AMD, Intel */
    INDIRECT(0, 32, 64, 32, 8, 32, 8, 32, 2, 4, 2, 0, 0, 1, 1, 1),   /* 3: other NVIDIA */
    INDIRECT(0, 64, 128, 16, 16, 8, 16, 16, 2, 4, 8, 1, 0, 1, 1, 1), /* 4: GeForce GTX 980 */
    INDIRECT(0, 32, 32, 32, 8, 8, 8, 8, 2, 4, 4, 0, 0, 1, 1, 1),     /* 5: Tesla P100 */
    INDIRECT(0, 128, 64, 32, 32, 8, 16, 16, 2, 4, 1, 0, 0, 0, 0, 1), /* 6: Radeon HD 7970, without local memory */
    INDIRECT(1, 64, 64, 1, 8, 8, 8, 8, 1, 4, 4, 0, 0, 0, 0, 4),      /* 7: Intel HD 6000, without local memory */
    INDIRECT(0, 32, 8, 16, 1, 1, 1, 1, 1, 16, 1, 0, 0, 0, 0, 1),     /* 8: CPUs with vectors of 16 */
    INDIRECT(0, 16, 4, 16, 1, 1, 1, 1, 1, 8, 1, 0, 0, 0, 0, 1),      /* 9: CPUs with vectors of 8 */
    INDIRECT(0, 8, 4, 16, 1, 1, 1, 1, 1, 4, 1, 0, 0, 0, 0, 1),       /* 10: CPUs with vectors of 4 */
    /* WGD, MDIMCD, NDIMCD, MDIMAD, NDIMBD, KWID, VWMD, VWND, PADA, PADB */
    DIRECT(16, 8, 8, 8, 8, 2, 1, 2, 1, 1),   /* 11: devices that CLBlast does not know */
    DIRECT(32, 8, 16, 8, 16, 2, 4, 2, 1, 1), /* 12: NVIDIA */
};

/* Those that rules pick; see above. */
enum { ANY_INDIRECT = 1, GPU_INDIRECT = 2, CPU_16 = 8, CPU_8 = 9, CPU_4 = 10, ANY_DIRECT = 11, GPU_DIRECT = 12 };

/* On GPUs, products from this to the third on are indirect: CLBlast's rule for devices that it does not know
 * (src/database/kernels/gemm_routine/gemm_routine_32.hpp). */
#define INDIRECT_FROM 704
/* On CPUs a copy of an operand pays off where it serves that many rows or columns: measured with PoCL, fc6 at batches 1, 2, 8 and 64 is
 * 1.6, 1.6, 1.6 and 0.5 times as fast direct. */
#define CPU_INDIRECT_FROM 16

const algo_param clblast_params[] = {
    {.name = "CONFIG",
     .meaning = "a row of the table in host/algo/clblast_space.c",
     .legal = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
     .launched = true,
     .unordered = true},
    {0},
};

static const char *const names[CLBLAST_VALUES] = {
    "GEMMK",  "MWG",    "NWG",    "KWG",  "MDIMC", "NDIMC", "MDIMA", "NDIMB", "KWI",
    "VWM",    "VWN",    "STRM",   "STRN", "SA",    "SB",    "KREG",  "WGD",   "MDIMCD",
    "NDIMCD", "MDIMAD", "NDIMBD", "KWID", "VWMD",  "VWND",  "PADA",  "PADB",  "XGEMM_MIN_INDIRECT_SIZE"};

/*
 * left is a multiple of a * b / c, or of 1 where those are left out. As CLBlast's tuners state them (src/tuning/kernels/xgemm.hpp and
 * xgemm_direct.hpp), with the reasons that they give.
 */
enum { ONE = CLBLAST_VALUES, SIXTEEN };

typedef struct constraint {
  int left, a, b, c;
  enum { ALWAYS, KERNEL_0, KERNEL_1 } when; /* GEMMK */
  const char *reason;
} constraint;

static const constraint constraints[] = {
    {CLBLAST_KWG, CLBLAST_KWI, ONE, ONE, ALWAYS, "KWG must be a multiple of KWI: the loop over KWG is unrolled by it"},
    {CLBLAST_MWG, CLBLAST_MDIMC, CLBLAST_VWM, ONE, ALWAYS,
     "MWG must be a multiple of MDIMC * VWM: an item computes whole vectors"},
    {CLBLAST_NWG, CLBLAST_NDIMC, CLBLAST_VWN, ONE, ALWAYS,
     "NWG must be a multiple of NDIMC * VWN: an item computes whole vectors"},
    {CLBLAST_MWG, CLBLAST_MDIMA, CLBLAST_VWM, ONE, ALWAYS,
     "MWG must be a multiple of MDIMA * VWM: an item loads whole vectors of A"},
    {CLBLAST_NWG, CLBLAST_NDIMB, CLBLAST_VWN, ONE, ALWAYS,
     "NWG must be a multiple of NDIMB * VWN: an item loads whole vectors of B"},
    {CLBLAST_KWG, CLBLAST_MDIMC, CLBLAST_NDIMC, CLBLAST_MDIMA, KERNEL_0,
     "KWG must be a multiple of MDIMC * NDIMC / MDIMA: the group's items load the tile of A in whole passes"},
    {CLBLAST_KWG, CLBLAST_MDIMC, CLBLAST_NDIMC, CLBLAST_NDIMB, KERNEL_0,
     "KWG must be a multiple of MDIMC * NDIMC / NDIMB: the group's items load the tile of B in whole passes"},
    {CLBLAST_KREG, CLBLAST_VWN, ONE, ONE, KERNEL_1, "KREG must be a multiple of VWN: k is read by whole vectors"},
    {ONE, CLBLAST_KWG, ONE, ONE, KERNEL_1, "KWG must be 1: kernel 1 takes KREG steps of k at a time"},
    {ONE, CLBLAST_KREG, ONE, ONE, KERNEL_0, "KREG must be 1: kernel 0 takes KWG steps of k at a time"},
    {SIXTEEN, CLBLAST_VWM, ONE, ONE, ALWAYS, "VWM must be a width of OpenCL's vectors"},
    {SIXTEEN, CLBLAST_VWN, ONE, ONE, ALWAYS, "VWN must be a width of OpenCL's vectors"},
    {CLBLAST_WGD, CLBLAST_KWID, ONE, ONE, ALWAYS,
     "WGD must be a multiple of KWID: the loop over WGD is unrolled by it"},
    {CLBLAST_WGD, CLBLAST_MDIMCD, CLBLAST_VWMD, ONE, ALWAYS,
     "WGD must be a multiple of MDIMCD * VWMD: an item computes whole vectors"},
    {CLBLAST_WGD, CLBLAST_NDIMCD, CLBLAST_VWND, ONE, ALWAYS,
     "WGD must be a multiple of NDIMCD * VWND: an item computes whole vectors"},
    {CLBLAST_WGD, CLBLAST_MDIMAD, CLBLAST_VWMD, ONE, ALWAYS,
     "WGD must be a multiple of MDIMAD * VWMD: an item loads whole vectors of A"},
    {CLBLAST_WGD, CLBLAST_NDIMBD, CLBLAST_VWND, ONE, ALWAYS,
     "WGD must be a multiple of NDIMBD * VWND: an item loads whole vectors of B"},
    {CLBLAST_WGD, CLBLAST_MDIMCD, CLBLAST_NDIMCD, CLBLAST_MDIMAD, ALWAYS,
     "WGD must be a multiple of MDIMCD * NDIMCD / MDIMAD: the group's items load the tile of A in whole passes"},
    {CLBLAST_WGD, CLBLAST_MDIMCD, CLBLAST_NDIMCD, CLBLAST_NDIMBD, ALWAYS,
     "WGD must be a multiple of MDIMCD * NDIMCD / NDIMBD: the group's items load the tile of B in whole passes"},
    {SIXTEEN, CLBLAST_VWMD, ONE, ONE, ALWAYS, "VWMD must be a width of OpenCL's vectors"},
    {SIXTEEN, CLBLAST_VWND, ONE, ONE, ALWAYS, "VWND must be a width of OpenCL's vectors"},
};

static size_t operand(const size_t *values, int which) {
  return which == ONE ? 1 : which == SIXTEEN ? 16 : values[which];
}

static bool holds(const constraint *rule, const size_t *values) {
  if (rule->when != ALWAYS && (values[CLBLAST_GEMMK] == 1) != (rule->when == KERNEL_1)) return true;
  const size_t product = operand(values, rule->a) * operand(values, rule->b), divisor = operand(values, rule->c);
  const size_t step = divisor && product % divisor == 0 ? product / divisor : 0;
  return step > 0 && operand(values, rule->left) % step == 0;
}

const char *clblast_broken(const size_t *values) {
  for (size_t i = 0; i < COUNT_OF(constraints); i++)
    if (!holds(&constraints[i], values)) return constraints[i].reason;
  return NULL;
}

bool clblast_is_direct(const size_t *values) {
  return values[CLBLAST_MIN_INDIRECT] == NEVER_INDIRECT;
}

/* As the tuners' ComputeLocalMemSize (the files named above). */
uint64_t clblast_local_bytes(const size_t *values) {
  const uint64_t tile = values[CLBLAST_WGD], k = values[CLBLAST_KWG];
  if (clblast_is_direct(values))
    return sizeof(float) * tile * (tile + values[CLBLAST_PADA] + tile + values[CLBLAST_PADB]);
  return sizeof(float) * k * (values[CLBLAST_SA] * values[CLBLAST_MWG] + values[CLBLAST_SB] * values[CLBLAST_NWG]);
}

size_t clblast_count(void) {
  return COUNT_OF(configurations);
}

const size_t *clblast_values(int config) {
  return config >= 1 && (size_t)config <= COUNT_OF(configurations) ? configurations[config - 1] : NULL;
}

/* ---- on a device */

/* Bytes of the padded copies of all three matrices, the most that an indirect product makes (GemmIndirect in CLBlast's
 * src/routines/level3/xgemm.cpp); CLBlast keeps them in one buffer. 0 when they do not fit size_t. Which of the operands is M is CLBlast's
 * affair, so both are rounded up to both. */
static size_t copies_bytes(const size_t *values, clblast_product p) {
  const size_t step = values[CLBLAST_KWG] * values[CLBLAST_KREG];
  const size_t tile = values[CLBLAST_MWG] > values[CLBLAST_NWG] ? values[CLBLAST_MWG] : values[CLBLAST_NWG];
  const size_t m = size_round_up(p.m, tile), n = size_round_up(p.n, tile), k = size_round_up(p.k, step);
  size_t a, b, c, all;
  const bool fits = size_mul(m, k, &a) && size_mul(k, n, &b) && size_mul(m, n, &c) && size_add(a, b, &all) &&
                    size_add(all, c, &all) && size_mul(all, sizeof(float), &all);
  return fits ? all : 0;
}

bool clblast_supports(const clvgg_device_info *dev, int config, clblast_product p, char *why) {
  if (!device_has_clblast()) return algo_refuse(why, "the library was built without CLBlast");
  const size_t *values = clblast_values(config);
  if (!values) return algo_refuse(why, "CLBlast has no configuration %d here", config);
  const char *broken = clblast_broken(values);
  if (broken) return algo_refuse(why, "%s", broken);
  const bool direct = clblast_is_direct(values);
  const size_t x = values[direct ? CLBLAST_MDIMCD : CLBLAST_MDIMC], y = values[direct ? CLBLAST_NDIMCD : CLBLAST_NDIMC];
  if (x * y > dev->max_work_group || x > dev->max_work_item[0] || y > dev->max_work_item[1])
    return algo_refuse(why, "a work-group of %zu x %zu exceeds the device's limits, %zu in all", x, y,
                       dev->max_work_group);
  if (!direct && dev->max_work_group < COPY_GROUP)
    return algo_refuse(why, "CLBlast copies in work-groups of %d, the device's limit is %zu", COPY_GROUP,
                       dev->max_work_group);
  const uint64_t local = clblast_local_bytes(values);
  if (local > dev->local_bytes)
    return algo_refuse(why, "it needs %llu bytes of local memory, the device has %llu", (unsigned long long)local,
                       (unsigned long long)dev->local_bytes);
  const size_t copies = direct ? 1 : copies_bytes(values, p);
  if (copies == 0 || copies > dev->max_alloc_bytes)
    return algo_refuse(why, "CLBlast's copies of the matrices need %zu bytes, more than a buffer may have", copies);
  return true;
}

static bool is_small(bool cpu, clblast_product p) {
  if (cpu) return p.m < CPU_INDIRECT_FROM || p.n < CPU_INDIRECT_FROM;
  return (double)p.m * (double)p.n * (double)p.k < (double)INDIRECT_FROM * INDIRECT_FROM * INDIRECT_FROM;
}

int clblast_choose(const clvgg_device_info *dev, clblast_product p) {
  char why[ALGO_WHY_BYTES];
  const bool cpu = dev->type == CLVGG_DEVICE_CPU && !dev->software_rasteriser;
  const size_t width = algo_block(dev);
  const int cpu_indirect = width >= 16 ? CPU_16 : width >= 8 ? CPU_8 : CPU_4;
  const int indirect[] = {cpu ? cpu_indirect : GPU_INDIRECT, ANY_INDIRECT};
  const int direct[] = {cpu ? ANY_DIRECT : GPU_DIRECT, ANY_DIRECT};
  const bool small = is_small(cpu, p);
  const int order[] = {(small ? direct : indirect)[0], (small ? direct : indirect)[1], ANY_DIRECT, cpu_indirect};
  for (size_t i = 0; i < COUNT_OF(order); i++)
    if (clblast_supports(dev, order[i], p, why)) return order[i];
  return ANY_DIRECT;
}

clvgg_status clblast_gemm(clvgg_device *dev, int config, clblast_product p, device_matrix a, device_matrix b,
                          device_matrix c) {
  const size_t *values = clblast_values(config);
  if (!values) return base_fail(CLVGG_ERROR_ARGUMENT, "CLBlast has no configuration %d here", config);
  const device_gemm_config all = {
      .id = config,
      .part = {{"Xgemm", CLBLAST_WGD, names, values},
               {"XgemmDirect", CLBLAST_MIN_INDIRECT - CLBLAST_WGD, names + CLBLAST_WGD, values + CLBLAST_WGD},
               {"GemmRoutine", 1, names + CLBLAST_MIN_INDIRECT, values + CLBLAST_MIN_INDIRECT}},
  };
  return device_gemm(dev, &all, p.m, p.n, p.k, a, b, false, c);
}
