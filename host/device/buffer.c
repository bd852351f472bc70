/* Device memory: sizes and ranges are checked here, so that a driver is never asked for what cannot be. */
#include <string.h>

#include "base/size.h"
#include "device/internal.h"

static double mib(uint64_t bytes) {
  return (double)bytes / (1024.0 * 1024.0);
}

/* Counts bytes as in use; false, and nothing counted, when the device's memory is too small for them besides the rest. */
static bool claim(clvgg_device *dev, uint64_t bytes, uint64_t *in_use) {
  *in_use = atomic_load(&dev->bytes_in_use);
  do {
    if (*in_use > dev->info.global_bytes || bytes > dev->info.global_bytes - *in_use) return false;
  } while (!atomic_compare_exchange_weak(&dev->bytes_in_use, in_use, *in_use + bytes));
  return true;
}

static void raise_peak(clvgg_device *dev, uint64_t bytes) {
  uint64_t peak = atomic_load(&dev->bytes_peak);
  while (peak < bytes && !atomic_compare_exchange_weak(&dev->bytes_peak, &peak, bytes)) continue;
}

static clvgg_status fail_to_allocate(const clvgg_device *dev, cl_int code, size_t bytes) {
  switch (code) {
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_INVALID_BUFFER_SIZE:
      return base_fail(
          CLVGG_ERROR_TOO_LARGE,
          "device '%s': no room for a buffer of %.2f MiB besides the %.2f MiB in use, of %.2f MiB: %s (%d)",
          dev->info.name, mib(bytes), mib(device_bytes_in_use(dev)), mib(dev->info.global_bytes),
          device_code_name(code), (int)code);
    default:
      return device_fail(dev, code, "cannot create a buffer of %.2f MiB", mib(bytes));
  }
}

clvgg_status device_buffer_create(clvgg_device *dev, size_t bytes, device_buffer *out) {
  *out = (device_buffer){0};
  uint64_t in_use = 0;
  if (bytes == 0)
    return base_fail(CLVGG_ERROR_ARGUMENT, "device '%s': a buffer of 0 bytes was asked for", dev->info.name);
  if (bytes > dev->info.max_alloc_bytes)
    return base_fail(CLVGG_ERROR_TOO_LARGE,
                     "device '%s': a buffer of %.2f MiB is larger than the largest it can allocate, %.2f MiB",
                     dev->info.name, mib(bytes), mib(dev->info.max_alloc_bytes));
  if (!claim(dev, bytes, &in_use))
    return base_fail(
        CLVGG_ERROR_TOO_LARGE,
        "device '%s': a buffer of %.2f MiB besides the %.2f MiB in use does not fit its memory of %.2f MiB",
        dev->info.name, mib(bytes), mib(in_use), mib(dev->info.global_bytes));
  cl_int code = CL_SUCCESS;
  cl_mem mem = clCreateBuffer(dev->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
  if (mem == NULL) {
    atomic_fetch_sub(&dev->bytes_in_use, bytes);
    return fail_to_allocate(dev, code, bytes);
  }
  pages_ask_large(dev, mem, bytes);
  *out = (device_buffer){.mem = mem, .bytes = bytes};
  raise_peak(dev, in_use + bytes);
  return CLVGG_OK;
}

void device_buffer_release(clvgg_device *dev, device_buffer *buffer) {
  if (buffer == NULL || buffer->mem == NULL) return;
  clReleaseMemObject(buffer->mem);
  atomic_fetch_sub(&dev->bytes_in_use, buffer->bytes);
  *buffer = (device_buffer){0};
}

uint64_t device_bytes_in_use(const clvgg_device *dev) {
  return atomic_load(&dev->bytes_in_use);
}

uint64_t device_bytes_peak(const clvgg_device *dev) {
  return atomic_load(&dev->bytes_peak);
}

void device_peak_restart(clvgg_device *dev) {
  atomic_store(&dev->bytes_peak, device_bytes_in_use(dev));
}

static clvgg_status check_range(const clvgg_device *dev, const char *what, size_t size, size_t offset, size_t bytes) {
  size_t end = 0;
  if (size_add(offset, bytes, &end) && end <= size) return CLVGG_OK;
  return base_fail(CLVGG_ERROR_ARGUMENT,
                   "device '%s': %s: %zu bytes from byte %zu on are outside the buffer of %zu bytes", dev->info.name,
                   what, bytes, offset, size);
}

static void *map(clvgg_device *dev, const device_buffer *buffer, cl_map_flags flags, size_t offset, size_t bytes,
                 cl_int *code) {
  void *mapped = clEnqueueMapBuffer(dev->queue, buffer->mem, CL_TRUE, flags, offset, bytes, 0, NULL, NULL, code);
  if (*code == CL_SUCCESS && mapped == NULL) *code = CL_MAP_FAILURE;
  return mapped;
}

/* Mapped memory is the buffer itself there, so the host's copy is the only one. Not on CPUs, whose drivers copy once, too: mapping is a
 * command more each way, 4 to 20 us with PoCL. */
static bool copies_by_mapping(const clvgg_device *dev) {
  return dev->info.unified_memory && dev->info.type == CLVGG_DEVICE_GPU && !dev->info.software_rasteriser;
}

static cl_int write_mapped(clvgg_device *dev, const device_buffer *to, size_t offset, const void *from, size_t bytes) {
  cl_int code = CL_SUCCESS;
  void *mapped = map(dev, to, CL_MAP_WRITE_INVALIDATE_REGION, offset, bytes, &code);
  if (code != CL_SUCCESS) return code;
  memcpy(mapped, from, bytes);
  return clEnqueueUnmapMemObject(dev->queue, to->mem, mapped, 0, NULL, NULL);
}

static cl_int read_mapped(clvgg_device *dev, const device_buffer *from, size_t offset, void *to, size_t bytes) {
  cl_int code = CL_SUCCESS;
  void *mapped = map(dev, from, CL_MAP_READ, offset, bytes, &code);
  if (code != CL_SUCCESS) return code;
  memcpy(to, mapped, bytes);
  return clEnqueueUnmapMemObject(dev->queue, from->mem, mapped, 0, NULL, NULL);
}

clvgg_status device_write(clvgg_device *dev, const device_buffer *to, size_t offset, const void *from, size_t bytes) {
  TRY(check_range(dev, "write", to->bytes, offset, bytes));
  if (bytes == 0) return CLVGG_OK;
  const cl_int code = copies_by_mapping(dev)
                          ? write_mapped(dev, to, offset, from, bytes)
                          : clEnqueueWriteBuffer(dev->queue, to->mem, CL_TRUE, offset, bytes, from, 0, NULL, NULL);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot write %zu bytes to a buffer", bytes);
}

clvgg_status device_read(clvgg_device *dev, const device_buffer *from, size_t offset, void *to, size_t bytes) {
  TRY(check_range(dev, "read", from->bytes, offset, bytes));
  if (bytes == 0) return CLVGG_OK;
  const cl_int code = copies_by_mapping(dev)
                          ? read_mapped(dev, from, offset, to, bytes)
                          : clEnqueueReadBuffer(dev->queue, from->mem, CL_TRUE, offset, bytes, to, 0, NULL, NULL);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot read %zu bytes from a buffer", bytes);
}

clvgg_status device_map(clvgg_device *dev, const device_buffer *buffer, size_t offset, size_t bytes, void **out) {
  *out = NULL;
  TRY(check_range(dev, "map", buffer->bytes, offset, bytes));
  cl_int code = CL_SUCCESS;
  *out = map(dev, buffer, CL_MAP_WRITE_INVALIDATE_REGION, offset, bytes, &code);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot map %zu bytes of a buffer", bytes);
}

clvgg_status device_unmap(clvgg_device *dev, const device_buffer *buffer, void *mapped) {
  const cl_int code = clEnqueueUnmapMemObject(dev->queue, buffer->mem, mapped, 0, NULL, NULL);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot unmap a buffer");
}

static clvgg_status memory_size(const clvgg_device *dev, cl_mem mem, size_t *bytes) {
  const cl_int code =
      mem == NULL ? CL_INVALID_MEM_OBJECT : clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof *bytes, bytes, NULL);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot ask a buffer for its size");
}

clvgg_status device_copy(clvgg_device *dev, struct _cl_mem *from, size_t from_offset, struct _cl_mem *to,
                         size_t to_offset, size_t bytes) {
  size_t from_bytes = 0, to_bytes = 0;
  TRY(memory_size(dev, from, &from_bytes));
  TRY(memory_size(dev, to, &to_bytes));
  TRY(check_range(dev, "copy from", from_bytes, from_offset, bytes));
  TRY(check_range(dev, "copy to", to_bytes, to_offset, bytes));
  if (bytes == 0) return CLVGG_OK;
  const cl_int code = clEnqueueCopyBuffer(dev->queue, from, to, from_offset, to_offset, bytes, 0, NULL, NULL);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot copy %zu bytes", bytes);
}

clvgg_status device_fill(clvgg_device *dev, const device_buffer *buffer, uint32_t pattern, size_t offset,
                         size_t bytes) {
  TRY(check_range(dev, "fill", buffer->bytes, offset, bytes));
  if (offset % sizeof pattern != 0 || bytes % sizeof pattern != 0)
    return base_fail(CLVGG_ERROR_ARGUMENT,
                     "device '%s': fill: %zu bytes from byte %zu on; both must be multiples of %zu", dev->info.name,
                     bytes, offset, sizeof pattern);
  if (bytes == 0) return CLVGG_OK;
  const cl_int code =
      clEnqueueFillBuffer(dev->queue, buffer->mem, &pattern, sizeof pattern, offset, bytes, 0, NULL, NULL);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot fill %zu bytes of a buffer", bytes);
}

clvgg_status device_check_foreign(clvgg_device *dev, struct _cl_mem *mem, size_t bytes, const char *what) {
  if (mem == NULL) return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the buffer is NULL", what);
  cl_mem_object_type type = 0;
  cl_context context = NULL;
  size_t found = 0;
  cl_int code = clGetMemObjectInfo(mem, CL_MEM_TYPE, sizeof type, &type, NULL);
  if (code == CL_SUCCESS) code = clGetMemObjectInfo(mem, CL_MEM_CONTEXT, sizeof context, &context, NULL);
  if (code == CL_SUCCESS) code = clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof found, &found, NULL);
  if (code != CL_SUCCESS)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the buffer cannot be asked: %s (%d)", what, device_code_name(code),
                     (int)code);
  if (type != CL_MEM_OBJECT_BUFFER)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the memory object is of type 0x%x, expected a buffer, 0x%x", what,
                     (unsigned)type, (unsigned)CL_MEM_OBJECT_BUFFER);
  if (context != dev->context)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the buffer belongs to another context than device '%s'", what,
                     dev->info.name);
  if (found < bytes)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the buffer has %zu bytes, expected at least %zu", what, found, bytes);
  return CLVGG_OK;
}
