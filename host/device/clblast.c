/* CLBlast's matrix product behind the library's own types. */
#include "device/internal.h"

bool device_has_clblast(void) {
#ifdef CLVGG_WITH_CLBLAST
  return true;
#else
  return false;
#endif
}

#ifdef CLVGG_WITH_CLBLAST
#include <clblast_c.h>

/* Codes that CLBlast has besides OpenCL's. */
static const struct {
  CLBlastStatusCode code;
  clvgg_status status;
  const char *text;
} codes[] = {
    {CLBlastNotImplemented, CLVGG_ERROR_UNSUPPORTED, "not implemented"},
    {CLBlastInvalidMatrixA, CLVGG_ERROR_ARGUMENT, "matrix A is not a buffer"},
    {CLBlastInvalidMatrixB, CLVGG_ERROR_ARGUMENT, "matrix B is not a buffer"},
    {CLBlastInvalidMatrixC, CLVGG_ERROR_ARGUMENT, "matrix C is not a buffer"},
    {CLBlastInvalidDimension, CLVGG_ERROR_ARGUMENT, "m, n and k must be larger than 0"},
    {CLBlastInvalidLeadDimA, CLVGG_ERROR_ARGUMENT, "the leading dimension of A is smaller than its row"},
    {CLBlastInvalidLeadDimB, CLVGG_ERROR_ARGUMENT, "the leading dimension of B is smaller than its row"},
    {CLBlastInvalidLeadDimC, CLVGG_ERROR_ARGUMENT, "the leading dimension of C is smaller than its row"},
    {CLBlastInsufficientMemoryA, CLVGG_ERROR_ARGUMENT, "the buffer of A is too small"},
    {CLBlastInsufficientMemoryB, CLVGG_ERROR_ARGUMENT, "the buffer of B is too small"},
    {CLBlastInsufficientMemoryC, CLVGG_ERROR_ARGUMENT, "the buffer of C is too small"},
    {CLBlastInsufficientMemoryTemp, CLVGG_ERROR_TOO_LARGE, "the temporary buffer is too small"},
    {CLBlastInvalidLocalMemUsage, CLVGG_ERROR_UNSUPPORTED, "the device has too little local memory"},
    {CLBlastDatabaseError, CLVGG_ERROR_UNSUPPORTED, "the device is not in CLBlast's database"},
    {CLBlastUnknownError, CLVGG_ERROR_DEVICE, "unknown error"},
    {CLBlastUnexpectedError, CLVGG_ERROR_DEVICE, "unexpected exception"},
};

static clvgg_status fail(const clvgg_device *dev, CLBlastStatusCode code, size_t m, size_t n, size_t k) {
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (codes[i].code == code)
      return base_fail(codes[i].status, "device '%s': CLBlast: product of %zux%zu and %zux%zu: %s (%d)", dev->info.name,
                       m, k, k, n, codes[i].text, (int)code);
  return device_fail(dev, (cl_int)code, "CLBlast: product of %zux%zu and %zux%zu", m, k, k, n);
}

/* ---- configurations */

/* Orders changes of CLBlast's parameters, which belong to the process, and what is enqueued with them. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The configuration that was set last for a device; more devices than these are set each time. */
#define MOST_DEVICES 16
#define MOST_VALUES  32
static struct {
  cl_device_id id;
  int config; /* 0: not known */
} in_force[MOST_DEVICES];

static int *in_force_for(cl_device_id id) {
  for (size_t i = 0; i < MOST_DEVICES; i++) {
    if (!in_force[i].id) in_force[i].id = id;
    if (in_force[i].id == id) return &in_force[i].config;
  }
  in_force[0].id = id;
  in_force[0].config = 0;
  return &in_force[0].config;
}

static clvgg_status set_part(const clvgg_device *dev, int config, const device_gemm_part *part) {
  const char *given[MOST_VALUES];
  if (part->count > MOST_VALUES)
    return base_fail(CLVGG_ERROR_ARGUMENT, "CLBlast: %zu parameters for %s", part->count, part->kernel);
  for (size_t i = 0; i < part->count; i++) given[i] = part->names[i];
  const CLBlastStatusCode code =
      CLBlastOverrideParameters(dev->id, part->kernel, CLBlastPrecisionSingle, part->count, given, part->values);
  if (code == CLBlastSuccess) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_BUILD, "device '%s': CLBlast refuses configuration %d of its kernel %s (%d)",
                   dev->info.name, config, part->kernel, (int)code);
}

static clvgg_status configure(const clvgg_device *dev, const device_gemm_config *config) {
  int *now = in_force_for(dev->id);
  if (*now == config->id) return CLVGG_OK;
  *now = 0; /* part of it may be set, and the rest not */
  for (size_t i = 0; i < DEVICE_GEMM_PARTS; i++) TRY(set_part(dev, config->id, &config->part[i]));
  *now = config->id;
  return CLVGG_OK;
}

static clvgg_status product(clvgg_device *dev, const device_gemm_config *config, size_t m, size_t n, size_t k,
                            device_matrix a, device_matrix b, bool accumulate, device_matrix c) {
  if (config) TRY(configure(dev, config));
  const CLBlastStatusCode code =
      CLBlastSgemm(CLBlastLayoutRowMajor, a.transposed ? CLBlastTransposeYes : CLBlastTransposeNo,
                   b.transposed ? CLBlastTransposeYes : CLBlastTransposeNo, m, n, k, 1.0f, a.mem, a.offset, a.ld, b.mem,
                   b.offset, b.ld, accumulate ? 1.0f : 0.0f, c.mem, c.offset, c.ld, &dev->queue, NULL);
  return code == CLBlastSuccess ? CLVGG_OK : fail(dev, code, m, n, k);
}

clvgg_status device_gemm(clvgg_device *dev, const device_gemm_config *config, size_t m, size_t n, size_t k,
                         device_matrix a, device_matrix b, bool accumulate, device_matrix c) {
  if (c.transposed) return base_fail(CLVGG_ERROR_ARGUMENT, "CLBlast: the result of a product cannot be transposed");
  atomic_store(&dev->used_clblast, true);
  pthread_mutex_lock(&lock);
  const clvgg_status status = product(dev, config, m, n, k, a, b, accumulate, c);
  pthread_mutex_unlock(&lock);
  return status;
}

void clblast_forget(void) {
  pthread_mutex_lock(&lock);
  CLBlastClearCache();
  pthread_mutex_unlock(&lock);
}

#else

clvgg_status device_gemm(clvgg_device *dev, const device_gemm_config *config, size_t m, size_t n, size_t k,
                         device_matrix a, device_matrix b, bool accumulate, device_matrix c) {
  (void)config, (void)a, (void)b, (void)accumulate, (void)c;
  return base_fail(CLVGG_ERROR_UNSUPPORTED,
                   "device '%s': product of %zux%zu and %zux%zu: this library was built without CLBlast",
                   dev->info.name, m, k, k, n);
}

void clblast_forget(void) {}

#endif
