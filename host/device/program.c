/*
 * Kernels from source: a program is built once for each (source, options) of a device and kept until the device closes.
 * The device's lock is held while a program is built, so that two threads that want the same one do not build it twice.
 * Kernel objects are made for each caller, because setting arguments of one object from two threads is not safe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "device/internal.h"
#include "device/kernels.h"

struct built_program {
  struct built_program *next;
  cl_program program;
  char *source, *options;
};

static void free_program(built_program *p) {
  if (p == NULL) return;
  if (p->program != NULL) clReleaseProgram(p->program);
  free(p->source);
  free(p->options);
  free(p);
}

void program_free_all(clvgg_device *dev) {
  for (built_program *p = dev->programs, *next = NULL; p != NULL; p = next) {
    next = p->next;
    free_program(p);
  }
  dev->programs = NULL;
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

static clvgg_status build(clvgg_device *dev, built_program *p) {
  file_map file;
  const char *text = NULL;
  size_t length = 0;
  TRY(find_source(p->source, &file, &text, &length));
  clvgg_status status = build_once(dev, text, length, p);
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
    status = build(dev, p);
  if (status == CLVGG_OK)
    *out = p;
  else
    free_program(p);
  return status;
}

/* With the device's lock held. */
static clvgg_status find_program(clvgg_device *dev, const char *source, const char *options, cl_program *out) {
  for (const built_program *p = dev->programs; p != NULL; p = p->next)
    if (strcmp(p->source, source) == 0 && strcmp(p->options, options) == 0) {
      *out = p->program;
      return CLVGG_OK;
    }
  built_program *p = NULL;
  TRY(new_program(dev, source, options, &p));
  p->next = dev->programs;
  dev->programs = p;
  *out = p->program;
  return CLVGG_OK;
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

  cl_program program = NULL;
  pthread_mutex_lock(&dev->lock);
  const clvgg_status status = find_program(dev, source, all_options, &program);
  pthread_mutex_unlock(&dev->lock);
  if (status != CLVGG_OK) return status;

  cl_int code = CL_SUCCESS;
  cl_kernel kernel = clCreateKernel(program, name, &code);
  if (kernel == NULL) return device_fail(dev, code, "cannot create kernel %s of %s", name, source);
  size_t most = 0;
  code = clGetKernelWorkGroupInfo(kernel, dev->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
  if (code != CL_SUCCESS) {
    clReleaseKernel(kernel);
    return device_fail(dev, code, "kernel %s: CL_KERNEL_WORK_GROUP_SIZE", name);
  }
  out->kernel = kernel;
  out->max_work_group = most < dev->info.max_work_group ? most : dev->info.max_work_group;
  snprintf(out->name, sizeof out->name, "%s", name);
  return CLVGG_OK;
}

void device_kernel_release(device_kernel *kernel) {
  if (kernel == NULL) return;
  if (kernel->kernel != NULL) clReleaseKernel(kernel->kernel);
  *kernel = (device_kernel){0};
}
