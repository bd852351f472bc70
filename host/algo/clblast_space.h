/*
 * The configurations of CLBlast's GEMM that are worth trying, as data: the parameter CONFIG of the algorithms that use it. A
 * configuration names every tuning parameter, so that it means the same with every version and after any other one: CLBlast's C
 * interface sets parameters and cannot read them, so what it would have chosen itself is lost once anything was set.
 */
#ifndef CLVGG_ALGO_CLBLAST_SPACE_H
#define CLVGG_ALGO_CLBLAST_SPACE_H

#include "algo/algo.h"

/*
 * By CLBlast's names. The first sixteen are those of its kernel "Xgemm", which needs copies of the operands that are padded, and
 * transposed where they have to be ("indirect"). The next ten are those of "XgemmDirect", which needs no copies. The last decides
 * between them: products of m * n * k >= its cube are indirect.
 */
typedef enum clblast_value {
  CLBLAST_GEMMK, /* 0: operands by way of local memory, if SA or SB; 1: tiles in registers in two dimensions */
  CLBLAST_MWG,   /* a work-group's tile */
  CLBLAST_NWG,
  CLBLAST_KWG,
  CLBLAST_MDIMC, /* a work-group's items */
  CLBLAST_NDIMC,
  CLBLAST_MDIMA, /* the same items where they load A, and B */
  CLBLAST_NDIMB,
  CLBLAST_KWI, /* steps of the loop over KWG that are unrolled */
  CLBLAST_VWM, /* widths of vectors */
  CLBLAST_VWN,
  CLBLAST_STRM, /* an item's elements are a group apart */
  CLBLAST_STRN,
  CLBLAST_SA, /* in local memory */
  CLBLAST_SB,
  CLBLAST_KREG, /* steps of k in registers, of kernel 1 */
  CLBLAST_WGD,  /* the same of the direct kernel; its tile is WGD in all three */
  CLBLAST_MDIMCD,
  CLBLAST_NDIMCD,
  CLBLAST_MDIMAD,
  CLBLAST_NDIMBD,
  CLBLAST_KWID,
  CLBLAST_VWMD,
  CLBLAST_VWND,
  CLBLAST_PADA, /* a column more in local memory, against conflicts of its banks */
  CLBLAST_PADB,
  CLBLAST_MIN_INDIRECT, /* XGEMM_MIN_INDIRECT_SIZE */
  CLBLAST_VALUES
} clblast_value;

/* C (m, n) = A (m, k) * B (k, n). */
typedef struct clblast_product {
  size_t m, n, k;
} clblast_product;

/* The parameter table of an algorithm that has no other parameters. CONFIG is from 1 to clblast_count. */
extern const algo_param clblast_params[];

size_t clblast_count(void);
/* The values of a configuration (CLBLAST_VALUES); NULL when there is none of this number. */
const size_t *clblast_values(int config);
/* The reason of the first constraint that the values break, or NULL: what CLBlast's kernels take for granted. */
const char *clblast_broken(const size_t *values);
/* Local memory that a group of the kernel takes that the values lead to. */
uint64_t clblast_local_bytes(const size_t *values);
bool clblast_is_direct(const size_t *values);

/* The configuration for a product by rules. */
int clblast_choose(const clvgg_device_info *dev, clblast_product p);
/* False, with the reason in why (ALGO_WHY_BYTES), when the configuration cannot compute products of this size on the device. */
bool clblast_supports(const clvgg_device_info *dev, int config, clblast_product p, char *why);

/* device_gemm with a configuration. */
clvgg_status clblast_gemm(clvgg_device *dev, int config, clblast_product p, device_matrix a, device_matrix b,
                          device_matrix c);

#endif
