/*
 * Everything that the rest of the library asks of OpenCL. Only the files of this folder call cl* functions.
 *   discover.c  platforms, devices, capabilities            program.c  compiling kernels
 *   select.c    selectors, ranking, quirks, limits          buffer.c   memory
 *   device.c    context, queue, opening, wrapping           launch.c   kernels and their arguments
 *   timer.c     time between points of the queue            clblast.c  CLBlast's GEMM
 *   identity.c  what names a device and driver in files     binary.c   a program's binary
 *   cache.c     compiled programs in files                  cache_folder.c  their folder
 *   cpu.c       instructions for bf16 that CPUs have
 */
#ifndef CLVGG_DEVICE_DEVICE_H
#define CLVGG_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* ---- the device. Reference counted: an engine keeps it alive. */
const clvgg_device_info *device_info(const clvgg_device *dev);
clvgg_device *device_retain(clvgg_device *dev);

/* ---- memory. Sizes are checked against the device's largest allocation and its memory before the driver is asked;
 * too large is CLVGG_ERROR_TOO_LARGE with both numbers in the text. */
typedef struct device_buffer {
  struct _cl_mem *mem;
  size_t bytes;
} device_buffer;

clvgg_status device_buffer_create(clvgg_device *dev, size_t bytes, device_buffer *out);
void device_buffer_release(clvgg_device *dev, device_buffer *buffer); /* takes an empty one too */
/* Blocking copies; offset and bytes must lie inside the buffer. */
clvgg_status device_write(clvgg_device *dev, const device_buffer *to, size_t offset, const void *from, size_t bytes);
clvgg_status device_read(clvgg_device *dev, const device_buffer *from, size_t offset, void *to, size_t bytes);
/* bytes from offset on as host memory, to be written whole before device_unmap. No copy where host and device share memory. */
clvgg_status device_map(clvgg_device *dev, const device_buffer *buffer, size_t offset, size_t bytes, void **out);
clvgg_status device_unmap(clvgg_device *dev, const device_buffer *buffer, void *mapped);
/* Enqueued, device to device. */
clvgg_status device_copy(clvgg_device *dev, struct _cl_mem *from, size_t from_offset, struct _cl_mem *to,
                         size_t to_offset, size_t bytes);
/* Enqueued; repeats the 4-byte pattern over [offset, offset + bytes). */
clvgg_status device_fill(clvgg_device *dev, const device_buffer *buffer, uint32_t pattern, size_t offset, size_t bytes);
/* Bytes that live buffers of this device hold now. */
uint64_t device_bytes_in_use(const clvgg_device *dev);
/* The most that they held at once since the last device_peak_restart. */
uint64_t device_bytes_peak(const clvgg_device *dev);
void device_peak_restart(clvgg_device *dev);

/* A caller's own buffer, checked: it is a buffer of the device's context and has at least bytes bytes. */
clvgg_status device_check_foreign(clvgg_device *dev, struct _cl_mem *mem, size_t bytes, const char *what);

/* ---- kernels. A source is a file of cl/ by name ("conv_direct.cl"), embedded, or from $CLVGG_KERNEL_DIR when that is set.
 * Programs are built once per (source, options) and device and kept; kernels belong to the caller. Thread-safe.
 * Every build gets -cl-std=CL1.2 and nothing that loosens arithmetic. */
typedef struct device_kernel {
  struct _cl_kernel *kernel;
  char name[64];
  size_t max_work_group; /* CL_KERNEL_WORK_GROUP_SIZE on this device */
} device_kernel;

clvgg_status device_kernel_create(clvgg_device *dev, const char *source, const char *name, const char *options,
                                  device_kernel *out);
void device_kernel_release(device_kernel *kernel);
/* Compiled programs are kept in files (cache.h); clvgg_device_get_cache_counts and clvgg_device_save_programs are the calls. */

/* ---- launches */
typedef struct device_arg {
  enum { DEVICE_ARG_BUFFER, DEVICE_ARG_INT, DEVICE_ARG_FLOAT } type;
  union {
    struct _cl_mem *mem;
    int32_t i;
    float f;
  } value;
} device_arg;

static inline device_arg arg_buffer(struct _cl_mem *mem) {
  return (device_arg){.type = DEVICE_ARG_BUFFER, .value.mem = mem};
}
/* Values above INT32_MAX are the caller's error: supports() has bounded them. */
static inline device_arg arg_int(size_t i) {
  return (device_arg){.type = DEVICE_ARG_INT, .value.i = (int32_t)i};
}
static inline device_arg arg_float(float f) {
  return (device_arg){.type = DEVICE_ARG_FLOAT, .value.f = f};
}

/* Enqueues a kernel with count arguments over a grid of global work-items in groups of local (each dimension of global is
 * rounded up to a multiple of local: kernels check their ids). local[0] == 0 leaves the group size to the driver. */
clvgg_status device_launch(clvgg_device *dev, const device_kernel *kernel, const device_arg *args, size_t count,
                           const size_t global[3], const size_t local[3]);

/* Waits until everything enqueued is done, and reports what failed meanwhile. */
clvgg_status device_finish(clvgg_device *dev);
/* Orders what follows after the events; a marker event of all that is enqueued, which the caller releases. */
clvgg_status device_wait_for(clvgg_device *dev, uint32_t count, struct _cl_event *const *events);
clvgg_status device_signal(clvgg_device *dev, struct _cl_event **done);

/* ---- time. Marks are points of the queue; the time between two is from the device's own event clock where the driver's is
 * valid (queue made with profiling, increasing stamps), else from the host's clock with a finish at each mark. */
typedef struct device_timer device_timer;
clvgg_status device_timer_open(clvgg_device *dev, size_t max_marks, device_timer **out);
void device_timer_close(device_timer **timer);
void device_timer_reset(device_timer *timer);
clvgg_status device_timer_mark(device_timer *timer);
/* Waits; ms[i] = time from mark i to mark i + 1, for marks - 1 intervals. */
clvgg_status device_timer_read(device_timer *timer, double *ms);
/* The host's monotonic clock in milliseconds. */
double device_host_ms(void);

/* ---- CLBlast: C (m, n) = A (m, k) * B (k, n) [+ C when accumulate], f32, row-major; offsets and leading dimensions in elements.
 * A transposed operand is stored (k, m) or (n, k). CLVGG_ERROR_UNSUPPORTED when the library was built without CLBlast. */
typedef struct device_matrix {
  struct _cl_mem *mem;
  size_t offset, ld;
  bool transposed;
} device_matrix;
/*
 * Values for all tuning parameters of the kernels that a product uses, by CLBlast's names. CLBlast keeps them for a device in the whole
 * process, and compiles its kernels once for each set; its C interface cannot read what it had before, so nothing undoes them
 * before the process ends. They change no result but in rounding.
 */
typedef struct device_gemm_part {
  const char *kernel;
  size_t count;
  const char *const *names; /* (count) */
  const size_t *values;     /* (count) */
} device_gemm_part;
#define DEVICE_GEMM_PARTS 3
typedef struct device_gemm_config {
  int id; /* above 0; another for other values */
  device_gemm_part part[DEVICE_GEMM_PARTS];
} device_gemm_config;
bool device_has_clblast(void);
/* config NULL: with what CLBlast has. CLVGG_ERROR_BUILD when CLBlast refuses the values or they do not compile. Thread-safe. */
clvgg_status device_gemm(clvgg_device *dev, const device_gemm_config *config, size_t m, size_t n, size_t k,
                         device_matrix a, device_matrix b, bool accumulate, device_matrix c);

#endif
