/* Starts kernels: arguments, the grid rounded up to whole work-groups, and the checks that drivers do not all make. */
#include "base/size.h"
#include "device/internal.h"

static clvgg_status set_args(const clvgg_device *dev, const device_kernel *kernel, const device_arg *args,
                             size_t count) {
  for (size_t i = 0; i < count; i++) {
    const device_arg *a = &args[i];
    cl_int code = CL_INVALID_ARG_VALUE;
    switch (a->type) {
      case DEVICE_ARG_BUFFER:
        code = clSetKernelArg(kernel->kernel, (cl_uint)i, sizeof(cl_mem), &a->value.mem);
        break;
      case DEVICE_ARG_INT:
        code = clSetKernelArg(kernel->kernel, (cl_uint)i, sizeof a->value.i, &a->value.i);
        break;
      case DEVICE_ARG_FLOAT:
        code = clSetKernelArg(kernel->kernel, (cl_uint)i, sizeof a->value.f, &a->value.f);
        break;
    }
    if (code != CL_SUCCESS) return device_fail(dev, code, "kernel %s: argument %zu of %zu", kernel->name, i, count);
  }
  return CLVGG_OK;
}

static clvgg_status check_group(const clvgg_device *dev, const device_kernel *kernel, const size_t local[3]) {
  size_t items = 0;
  const bool fits = size_product(local, 3, &items);
  if (!fits || items == 0 || items > kernel->max_work_group)
    return base_fail(items == 0 && fits ? CLVGG_ERROR_ARGUMENT : CLVGG_ERROR_TOO_LARGE,
                     "device '%s': kernel %s: a work-group of %zux%zux%zu is %zu work-items, possible are 1 to %zu",
                     dev->info.name, kernel->name, local[0], local[1], local[2], fits ? items : SIZE_MAX,
                     kernel->max_work_group);
  for (int d = 0; d < 3; d++)
    if (local[d] > dev->info.max_work_item[d])
      return base_fail(
          CLVGG_ERROR_TOO_LARGE,
          "device '%s': kernel %s: a work-group of %zux%zux%zu has %zu work-items in dimension %d, at most "
          "%zu are possible",
          dev->info.name, kernel->name, local[0], local[1], local[2], local[d], d, dev->info.max_work_item[d]);
  return CLVGG_OK;
}

/* A whole number of groups in each dimension; false when it or the number of all work-items overflows. */
static bool round_up(const size_t global[3], const size_t local[3], size_t grid[3]) {
  size_t items = 0;
  for (int d = 0; d < 3; d++)
    if (!size_mul(size_ceil_div(global[d], local[d]), local[d], &grid[d])) return false;
  return size_product(grid, 3, &items);
}

clvgg_status device_launch(clvgg_device *dev, const device_kernel *kernel, const device_arg *args, size_t count,
                           const size_t global[3], const size_t local[3]) {
  static const size_t one[3] = {1, 1, 1};
  const bool sized = local != NULL && local[0] != 0;
  size_t grid[3];
  for (int d = 0; d < 3; d++)
    if (global[d] == 0) return CLVGG_OK;
  if (sized) TRY(check_group(dev, kernel, local));
  if (!round_up(global, sized ? local : one, grid))
    return base_fail(CLVGG_ERROR_TOO_LARGE, "device '%s': kernel %s: a grid of %zux%zux%zu work-items is too large",
                     dev->info.name, kernel->name, global[0], global[1], global[2]);
  TRY(set_args(dev, kernel, args, count));
  const cl_int code =
      clEnqueueNDRangeKernel(dev->queue, kernel->kernel, 3, NULL, grid, sized ? local : NULL, 0, NULL, NULL);
  if (code == CL_SUCCESS) return CLVGG_OK;
  return device_fail(dev, code, "kernel %s on %zux%zux%zu work-items in groups of %zux%zux%zu", kernel->name, grid[0],
                     grid[1], grid[2], sized ? local[0] : 0, sized ? local[1] : 0, sized ? local[2] : 0);
}
