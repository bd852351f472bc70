/* A program's binary: asking the driver for it, and making a program of one. What is kept, and where, is program.c's. */
#include <stdlib.h>

#include "base/size.h"
#include "device/internal.h"

/* The context of a wrapped device may have more devices, and a program then binaries of each. */
typedef struct program_devices {
  cl_uint count;
  cl_device_id *ids;
  size_t *sizes;
  unsigned char **binaries;
} program_devices;

static cl_int ask(cl_program program, const clvgg_device *dev, program_devices *d, size_t *index) {
  cl_int code = clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof d->count, &d->count, NULL);
  if (code != CL_SUCCESS) return code;
  d->ids = calloc(d->count + 1, sizeof(cl_device_id));
  d->sizes = calloc(d->count + 1, sizeof *d->sizes);
  d->binaries = calloc(d->count + 1, sizeof *d->binaries);
  if (d->ids == NULL || d->sizes == NULL || d->binaries == NULL) return CL_OUT_OF_HOST_MEMORY;
  code = clGetProgramInfo(program, CL_PROGRAM_DEVICES, d->count * sizeof(cl_device_id), d->ids, NULL);
  if (code == CL_SUCCESS)
    code = clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, d->count * sizeof *d->sizes, d->sizes, NULL);
  if (code != CL_SUCCESS) return code;
  for (*index = 0; *index < d->count && d->ids[*index] != dev->id;) *index += 1;
  if (*index == d->count || d->sizes[*index] == 0) return CL_INVALID_PROGRAM_EXECUTABLE; /* no binary */
  /* The others stay NULL, which is to say that they are not wanted. */
  d->binaries[*index] = malloc(d->sizes[*index]);
  if (d->binaries[*index] == NULL) return CL_OUT_OF_HOST_MEMORY;
  return clGetProgramInfo(program, CL_PROGRAM_BINARIES, d->count * sizeof *d->binaries, d->binaries, NULL);
}

clvgg_status binary_fetch(const clvgg_device *dev, cl_program program, unsigned char **out, size_t *bytes) {
  program_devices d = {0};
  size_t index = 0;
  *out = NULL;
  const cl_int code = ask(program, dev, &d, &index);
  if (code == CL_SUCCESS) {
    *out = d.binaries[index];
    *bytes = d.sizes[index];
  } else if (d.binaries != NULL && index < d.count) {
    free(d.binaries[index]);
  }
  free(d.binaries);
  free(d.sizes);
  free(d.ids);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot get the binary of a program");
}

static cl_int load(const clvgg_device *dev, const unsigned char *binary, size_t bytes, const char *options,
                   cl_program *out) {
  cl_int code = CL_SUCCESS, state = CL_SUCCESS;
  *out = clCreateProgramWithBinary(dev->context, 1, &dev->id, &bytes, &binary, &state, &code);
  if (code == CL_SUCCESS) code = state;
  if (code == CL_SUCCESS && *out == NULL) code = CL_INVALID_BINARY;
  if (code == CL_SUCCESS) code = clBuildProgram(*out, 1, &dev->id, options, NULL, NULL);
  if (code != CL_SUCCESS && *out != NULL) clReleaseProgram(*out);
  if (code != CL_SUCCESS) *out = NULL;
  return code;
}

clvgg_status binary_load(const clvgg_device *dev, const unsigned char *binary, size_t bytes, const char *options,
                         cl_program *out) {
  cl_int code = load(dev, binary, bytes, options, out);
  /* PoCL unpacks binaries into its own cache, which races between processes. */
  if (code != CL_SUCCESS) code = load(dev, binary, bytes, options, out);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot load a binary");
}
