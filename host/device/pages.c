/* Large pages for what a CPU's kernels read from end to end. */
#include <stdint.h>
#include <sys/mman.h>

#include "device/internal.h"

/* Of x86-64 and of AArch64 with pages of 4 KiB; elsewhere they are asked for in pieces of another size. */
#define LARGE_PAGE ((size_t)2 << 20)

void pages_ask_large(const clvgg_device *dev, cl_mem mem, size_t bytes) {
#ifdef MADV_HUGEPAGE
  if (dev->info.type != CLVGG_DEVICE_CPU || dev->info.software_rasteriser || bytes < 2 * LARGE_PAGE) return;
  cl_int code = CL_SUCCESS;
  void *mapped =
      clEnqueueMapBuffer(dev->queue, mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, bytes, 0, NULL, NULL, &code);
  if (code != CL_SUCCESS || !mapped) return;
  const uintptr_t begin = (uintptr_t)mapped, end = begin + bytes;
  const uintptr_t first = (begin + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE, last = end / LARGE_PAGE * LARGE_PAGE;
  if (first < last) (void)madvise((void *)first, last - first, MADV_HUGEPAGE); /* a hint: kernels may not know it */
  (void)clEnqueueUnmapMemObject(dev->queue, mem, mapped, 0, NULL, NULL);
#else
  (void)dev, (void)mem, (void)bytes;
#endif
}
