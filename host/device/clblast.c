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

clvgg_status device_gemm(clvgg_device *dev, size_t m, size_t n, size_t k, device_matrix a, device_matrix b,
                         bool accumulate, device_matrix c) {
  if (c.transposed) return base_fail(CLVGG_ERROR_ARGUMENT, "CLBlast: the result of a product cannot be transposed");
  atomic_store(&dev->used_clblast, true);
  const CLBlastStatusCode code =
      CLBlastSgemm(CLBlastLayoutRowMajor, a.transposed ? CLBlastTransposeYes : CLBlastTransposeNo,
                   b.transposed ? CLBlastTransposeYes : CLBlastTransposeNo, m, n, k, 1.0f, a.mem, a.offset, a.ld, b.mem,
                   b.offset, b.ld, accumulate ? 1.0f : 0.0f, c.mem, c.offset, c.ld, &dev->queue, NULL);
  return code == CLBlastSuccess ? CLVGG_OK : fail(dev, code, m, n, k);
}

void clblast_forget(void) {
  CLBlastClearCache();
}

#else

clvgg_status device_gemm(clvgg_device *dev, size_t m, size_t n, size_t k, device_matrix a, device_matrix b,
                         bool accumulate, device_matrix c) {
  (void)a, (void)b, (void)accumulate, (void)c;
  return base_fail(CLVGG_ERROR_UNSUPPORTED,
                   "device '%s': product of %zux%zu and %zux%zu: this library was built without CLBlast",
                   dev->info.name, m, k, k, n);
}

void clblast_forget(void) {}

#endif
