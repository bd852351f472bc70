/*
 * Kernels from source: a program is built once for each (source, options) of a device and kept until the device closes.
 * The device's lock is held while a program is built, so that two threads that want the same one do not build it twice.
 * Kernel objects are made for each caller, because setting arguments of one object from two threads is not safe.
 *
 * A program that the cache (cache.h) has is loaded instead. A binary that the driver refuses, or that lacks a kernel which the source
 * has, is replaced by the source, and the cache is told not to offer it again. Binaries are fetched as late as possible, when the
 * device closes or somebody asks, since drivers that compile a kernel at its launch have more in them then. What was loaded is not
 * fetched again: PoCL would give the very same bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "device/cache.h"
#include "device/internal.h"
#include "device/kernels.h"

struct built_program {
  struct built_program *next;
  cl_program program;
  char *source, *options;
  bool from_cache;
  bool to_save;  /* the cache lacks it */
  cache_key key; /* empty: it is not kept */
};

static void free_program(built_program *p) {
  if (p == NULL) return;
  if (p->program != NULL) clReleaseProgram(p->program);
  free(p->source);
  free(p->options);
  free(p);
}

/* The text of a source; file is what to close afterwards, empty for an embedded one. */
static clvgg_status find_source(const char *name, file_map *file, const char **text, size_t *length) {
  *file = (file_map){0};
  const char *folder = getenv("CLVGG_KERNEL_DIR");
  if (folder != NULL && folder[0] != '\0') {
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path)
      return base_fail(CLVGG_ERROR_IO, "the path of %s in CLVGG_KERNEL_DIR is longer than %zu bytes", name,
                       sizeof path);
    const clvgg_status status = file_map_open(path, file);
    if (status != CLVGG_OK) return base_fail_in(status, "CLVGG_KERNEL_DIR");
    *text = file->data != NULL ? (const char *)file->data : "";
    *length = file->bytes;
    return CLVGG_OK;
  }
  for (const kernel_source *s = kernel_sources; s->name != NULL; s++) {
    if (strcmp(s->name, name) != 0) continue;
    *text = s->text;
    *length = s->length;
    return CLVGG_OK;
  }
  return base_fail(CLVGG_ERROR_ARGUMENT, "no kernel source '%s' is embedded in the library", name);
}

/* The compiler's log on one line, "line | line", cut to bytes. Where it is long, warnings before the first error go. */
static void read_log(const clvgg_device *dev, cl_program program, char *out, size_t bytes) {
  size_t size = 0, used = 0, with_nul = 0;
  out[0] = '\0';
  if (clGetProgramBuildInfo(program, dev->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) != CL_SUCCESS) return;
  char *log = size_add(size, 1, &with_nul) ? calloc(1, with_nul) : NULL;
  if (log != NULL && size > 0 &&
      clGetProgramBuildInfo(program, dev->id, CL_PROGRAM_BUILD_LOG, size, log, NULL) == CL_SUCCESS) {
    const char *from = log;
    const char *error = strstr(log, "error:");
    if (strlen(log) >= bytes && error != NULL) {
      from = error;
      while (from > log && from[-1] != '\n') from--;
    }
    bool new_line = false;
    for (; *from != '\0' && used + 5 < bytes; from++) {
      if (*from == '\n' || *from == '\r') {
        new_line = used > 0;
        continue;
      }
      if (new_line) {
        memcpy(out + used, " | ", 3);
        used += 3;
      }
      new_line = false;
      out[used++] = *from;
    }
    out[used] = '\0';
  }
  free(log);
}

static clvgg_status build_once(clvgg_device *dev, const char *text, size_t length, built_program *p) {
  cl_int code = CL_SUCCESS;
  p->program = clCreateProgramWithSource(dev->context, 1, &text, &length, &code);
  if (p->program == NULL) return device_fail(dev, code, "cannot create a program of %s", p->source);
  code = clBuildProgram(p->program, 1, &dev->id, p->options, NULL, NULL);
  if (code == CL_SUCCESS) return CLVGG_OK;
  char log[600];
  read_log(dev, p->program, log, sizeof log);
  clReleaseProgram(p->program);
  p->program = NULL;
  return base_fail(code == CL_OUT_OF_HOST_MEMORY ? CLVGG_ERROR_MEMORY : CLVGG_ERROR_BUILD,
                   "device '%.100s': cannot build %.60s with options '%.150s': %s (%d): %s", dev->info.name, p->source,
                   p->options, device_code_name(code), (int)code, log[0] != '\0' ? log : "no log");
}

static void note(clvgg_device *dev, const char *what, const char *detail) {
  if (!dev->cache_noted) base_log("%s%s", what, detail);
  dev->cache_noted = true;
}

/* The cache is not to offer this entry again. Without memory, the binary need not be at fault. */
static void refuse(clvgg_device *dev, const built_program *p, clvgg_status why) {
  dev->cache_counts.refused++;
  if (why != CLVGG_ERROR_MEMORY) (void)cache_store(&p->key, NULL, 0);
}

/* Makes the key, and the program where the cache has it. */
static void load(clvgg_device *dev, const char *text, size_t length, built_program *p) {
  cache_entry entry;
  clvgg_status status;
  if (dev->binaries == BINARIES_NEVER || cache_limit() == 0) return;
  if (!cache_key_make(&dev->info, p->source, text, length, p->options, &p->key)) return;
  switch (cache_load(&p->key, &entry)) {
    case CACHE_HIT:
      status = binary_load(dev, entry.binary, entry.bytes, p->options, &p->program);
      p->from_cache = status == CLVGG_OK;
      if (p->from_cache)
        dev->cache_counts.hits++;
      else
        refuse(dev, p, status);
      break;
    case CACHE_REFUSED:
      dev->cache_counts.refused++;
      break;
    case CACHE_DAMAGED:
      dev->cache_counts.damaged++;
      p->to_save = true;
      note(dev, "a damaged file of compiled kernels was removed, they are compiled again: ", p->key.name);
      break;
    case CACHE_MISS:
      dev->cache_counts.misses++;
      p->to_save = true;
      break;
  }
  cache_entry_free(&entry);
}

/* From the cache when it may be. */
static clvgg_status build(clvgg_device *dev, built_program *p, bool may_load) {
  file_map file;
  const char *text = NULL;
  size_t length = 0;
  TRY(find_source(p->source, &file, &text, &length));
  clvgg_status status = CLVGG_OK;
  if (may_load) load(dev, text, length, p);
  if (p->program == NULL) status = build_once(dev, text, length, p);
  /* PoCL's cache of compiled programs races between processes: the second attempt finds it in order. */
  if (status == CLVGG_ERROR_BUILD) status = build_once(dev, text, length, p);
  file_map_close(&file);
  return status;
}

static clvgg_status new_program(clvgg_device *dev, const char *source, const char *options, built_program **out) {
  built_program *p = calloc(1, sizeof *p);
  if (p != NULL) {
    p->source = strdup(source);
    p->options = strdup(options);
  }
  clvgg_status status = CLVGG_OK;
  if (p == NULL || p->source == NULL || p->options == NULL)
    status = base_fail(CLVGG_ERROR_MEMORY, "no memory for the program of %s", source);
  else
    status = build(dev, p, true);
  if (status == CLVGG_OK)
    *out = p;
  else
    free_program(p);
  return status;
}

/* With the device's lock held. */
static clvgg_status find_program(clvgg_device *dev, const char *source, const char *options, built_program **out) {
  for (built_program *p = dev->programs; p != NULL; p = p->next)
    if (strcmp(p->source, source) == 0 && strcmp(p->options, options) == 0) {
      *out = p;
      return CLVGG_OK;
    }
  built_program *p = NULL;
  TRY(new_program(dev, source, options, &p));
  p->next = dev->programs;
  dev->programs = p;
  *out = p;
  return CLVGG_OK;
}

static clvgg_status make_kernel(clvgg_device *dev, const built_program *p, const char *name, device_kernel *out) {
  cl_int code = CL_SUCCESS;
  cl_kernel kernel = clCreateKernel(p->program, name, &code);
  if (kernel == NULL) return device_fail(dev, code, "cannot create kernel %s of %s", name, p->source);
  size_t most = 0;
  code = clGetKernelWorkGroupInfo(kernel, dev->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
  if (code != CL_SUCCESS) {
    clReleaseKernel(kernel);
    return device_fail(dev, code, "kernel %s: CL_KERNEL_WORK_GROUP_SIZE", name);
  }
  size_t multiple = 0;
  code = clGetKernelWorkGroupInfo(kernel, dev->id, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof multiple,
                                  &multiple, NULL);
  if (code == CL_SUCCESS && multiple > 0) atomic_store(&dev->kernel_multiple, (unsigned)multiple);
  out->kernel = kernel;
  out->max_work_group = most < dev->info.max_work_group ? most : dev->info.max_work_group;
  snprintf(out->name, sizeof out->name, "%s", name);
  return CLVGG_OK;
}

/* A loaded program that cannot make a kernel: the source, once. Kernels made before keep the old program alive. */
static clvgg_status make_kernel_of_source(clvgg_device *dev, built_program *p, const char *name, device_kernel *out) {
  cl_program loaded = p->program;
  p->program = NULL;
  clvgg_status status = build(dev, p, false);
  if (status != CLVGG_OK) {
    p->program = loaded;
    return status;
  }
  clReleaseProgram(loaded);
  p->from_cache = false;
  status = make_kernel(dev, p, name, out);
  if (status == CLVGG_OK) refuse(dev, p, CLVGG_OK); /* else the name was wrong, not the binary */
  return status;
}

clvgg_status device_kernel_create(clvgg_device *dev, const char *source, const char *name, const char *options,
                                  device_kernel *out) {
  *out = (device_kernel){0};
  char all_options[2048];
  const int n = snprintf(all_options, sizeof all_options, "-cl-std=CL1.2%s%s", options != NULL && options[0] ? " " : "",
                         options != NULL ? options : "");
  if (n < 0 || (size_t)n >= sizeof all_options)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%s: the build options are longer than %zu bytes", source,
                     sizeof all_options);

  built_program *p = NULL;
  pthread_mutex_lock(&dev->lock);
  clvgg_status status = find_program(dev, source, all_options, &p);
  if (status == CLVGG_OK) {
    status = make_kernel(dev, p, name, out);
    if (status != CLVGG_OK && p->from_cache) status = make_kernel_of_source(dev, p, name, out);
  }
  pthread_mutex_unlock(&dev->lock);
  return status;
}

void device_kernel_release(device_kernel *kernel) {
  if (kernel == NULL) return;
  if (kernel->kernel != NULL) clReleaseKernel(kernel->kernel);
  *kernel = (device_kernel){0};
}

/* ---- keeping */

static clvgg_status save(clvgg_device *dev, built_program *p) {
  unsigned char *binary = NULL;
  size_t bytes = 0;
  TRY(binary_fetch(dev, p->program, &binary, &bytes));
  const clvgg_status status = cache_store(&p->key, binary, bytes);
  free(binary);
  if (status != CLVGG_OK) return status;
  p->to_save = false;
  dev->cache_counts.written++;
  return CLVGG_OK;
}

clvgg_status clvgg_device_save_programs(clvgg_device *dev, size_t *count) {
  if (count != NULL) *count = 0;
  if (dev == NULL) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_save_programs: device is NULL");
  if (cache_limit() == 0) return CLVGG_OK;
  clvgg_status status = CLVGG_OK;
  pthread_mutex_lock(&dev->lock);
  for (built_program *p = dev->programs; p != NULL && status == CLVGG_OK; p = p->next) {
    if (!p->to_save) continue;
    status = save(dev, p);
    if (status == CLVGG_OK && count != NULL) *count += 1;
  }
  pthread_mutex_unlock(&dev->lock);
  return status;
}

void clvgg_device_get_cache_counts(clvgg_device *dev, clvgg_cache_counts *out) {
  if (out == NULL) return;
  *out = (clvgg_cache_counts){0};
  if (dev == NULL) return;
  pthread_mutex_lock(&dev->lock);
  *out = dev->cache_counts;
  pthread_mutex_unlock(&dev->lock);
}

void program_free_all(clvgg_device *dev) {
  if (dev->binaries == BINARIES_AT_CLOSE && clvgg_device_save_programs(dev, NULL) != CLVGG_OK)
    note(dev, "compiled kernels are not kept: ", clvgg_last_error());
  for (built_program *p = dev->programs, *next = NULL; p != NULL; p = next) {
    next = p->next;
    free_program(p);
  }
  dev->programs = NULL;
}
