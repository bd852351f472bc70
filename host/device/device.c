/* Opens, wraps and closes a device: its context and in-order queue; and turns OpenCL's codes into statuses and texts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "device/cpu.h"
#include "device/identity.h"
#include "device/internal.h"

/* ---- errors */

static const struct {
  cl_int code;
  clvgg_status status;
  const char *name;
} codes[] = {
#define ROW(code, status) \
  { code, CLVGG_ERROR_##status, #code }
    ROW(CL_DEVICE_NOT_FOUND, DEVICE),
    ROW(CL_DEVICE_NOT_AVAILABLE, DEVICE),
    ROW(CL_COMPILER_NOT_AVAILABLE, BUILD),
    ROW(CL_MEM_OBJECT_ALLOCATION_FAILURE, TOO_LARGE),
    ROW(CL_OUT_OF_RESOURCES, DEVICE),
    ROW(CL_OUT_OF_HOST_MEMORY, MEMORY),
    ROW(CL_PROFILING_INFO_NOT_AVAILABLE, DEVICE),
    ROW(CL_MEM_COPY_OVERLAP, ARGUMENT),
    ROW(CL_BUILD_PROGRAM_FAILURE, BUILD),
    ROW(CL_MAP_FAILURE, DEVICE),
    ROW(CL_MISALIGNED_SUB_BUFFER_OFFSET, DEVICE),
    ROW(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, DEVICE),
    ROW(CL_COMPILE_PROGRAM_FAILURE, BUILD),
    ROW(CL_LINKER_NOT_AVAILABLE, BUILD),
    ROW(CL_LINK_PROGRAM_FAILURE, BUILD),
    ROW(CL_DEVICE_PARTITION_FAILED, DEVICE),
    ROW(CL_KERNEL_ARG_INFO_NOT_AVAILABLE, DEVICE),
    ROW(CL_INVALID_VALUE, DEVICE),
    ROW(CL_INVALID_DEVICE_TYPE, DEVICE),
    ROW(CL_INVALID_PLATFORM, DEVICE),
    ROW(CL_INVALID_DEVICE, DEVICE),
    ROW(CL_INVALID_CONTEXT, DEVICE),
    ROW(CL_INVALID_QUEUE_PROPERTIES, DEVICE),
    ROW(CL_INVALID_COMMAND_QUEUE, DEVICE),
    ROW(CL_INVALID_HOST_PTR, DEVICE),
    ROW(CL_INVALID_MEM_OBJECT, DEVICE),
    ROW(CL_INVALID_BINARY, BUILD),
    ROW(CL_INVALID_BUILD_OPTIONS, BUILD),
    ROW(CL_INVALID_PROGRAM, DEVICE),
    ROW(CL_INVALID_PROGRAM_EXECUTABLE, BUILD),
    ROW(CL_INVALID_KERNEL_NAME, BUILD),
    ROW(CL_INVALID_KERNEL_DEFINITION, BUILD),
    ROW(CL_INVALID_KERNEL, DEVICE),
    ROW(CL_INVALID_ARG_INDEX, DEVICE),
    ROW(CL_INVALID_ARG_VALUE, DEVICE),
    ROW(CL_INVALID_ARG_SIZE, DEVICE),
    ROW(CL_INVALID_KERNEL_ARGS, DEVICE),
    ROW(CL_INVALID_WORK_DIMENSION, DEVICE),
    ROW(CL_INVALID_WORK_GROUP_SIZE, DEVICE),
    ROW(CL_INVALID_WORK_ITEM_SIZE, DEVICE),
    ROW(CL_INVALID_GLOBAL_OFFSET, DEVICE),
    ROW(CL_INVALID_EVENT_WAIT_LIST, DEVICE),
    ROW(CL_INVALID_EVENT, DEVICE),
    ROW(CL_INVALID_OPERATION, DEVICE),
    ROW(CL_INVALID_BUFFER_SIZE, TOO_LARGE),
    ROW(CL_INVALID_GLOBAL_WORK_SIZE, DEVICE),
    ROW(CL_INVALID_PROPERTY, DEVICE),
    ROW(CL_INVALID_COMPILER_OPTIONS, BUILD),
    ROW(CL_INVALID_LINKER_OPTIONS, BUILD),
#undef ROW
    {-1001, CLVGG_ERROR_DEVICE, "CL_PLATFORM_NOT_FOUND_KHR"},
};

const char *device_code_name(cl_int code) {
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (codes[i].code == code) return codes[i].name;
  return "unknown OpenCL error";
}

static clvgg_status code_status(cl_int code) {
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (codes[i].code == code) return codes[i].status;
  return CLVGG_ERROR_DEVICE;
}

clvgg_status device_fail(const clvgg_device *dev, cl_int code, const char *format, ...) {
  char what[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  return base_fail(code_status(code), "device '%s': %s: %s (%d)", dev->info.name, what, device_code_name(code),
                   (int)code);
}

/* ---- life and death */

static void CL_CALLBACK on_context_error(const char *text, const void *data, size_t bytes, void *user) {
  (void)data, (void)bytes, (void)user; /* the device may be gone by now: nothing of it is used */
  base_log("OpenCL driver: %s", text != NULL ? text : "unspecified error");
}

/* NULL when there is no memory. */
static clvgg_device *allocate(void) {
  clvgg_device *dev = calloc(1, sizeof *dev);
  if (dev == NULL || pthread_mutex_init(&dev->lock, NULL) != 0) {
    free(dev);
    return NULL;
  }
  atomic_init(&dev->references, 1);
  atomic_init(&dev->kernel_multiple, 0);
  atomic_init(&dev->used_clblast, false);
  atomic_init(&dev->bytes_in_use, 0);
  return dev;
}

static clvgg_status fail_without_memory(void) {
  return base_fail(CLVGG_ERROR_MEMORY, "no memory for a device");
}

static void destroy(clvgg_device *dev) {
  /* What is still running uses the programs; an application waits for its own queue itself. */
  if (dev->queue != NULL && !dev->wrapped) clFinish(dev->queue);
  program_free_all(dev);
  if (atomic_load(&dev->used_clblast)) clblast_forget();
  if (dev->queue != NULL) clReleaseCommandQueue(dev->queue);
  if (dev->context != NULL) clReleaseContext(dev->context);
  pthread_mutex_destroy(&dev->lock);
  free(dev->extensions);
  free(dev);
}

static clvgg_status create_queue(clvgg_device *dev) {
  cl_int code = CL_SUCCESS;
  dev->queue = clCreateCommandQueue(dev->context, dev->id, CL_QUEUE_PROFILING_ENABLE, &code);
  dev->profiling = dev->queue != NULL;
  if (dev->queue == NULL) dev->queue = clCreateCommandQueue(dev->context, dev->id, 0, &code);
  return dev->queue != NULL ? CLVGG_OK : device_fail(dev, code, "cannot create a command queue");
}

static clvgg_status connect(clvgg_device *dev) {
  cl_platform_id platform = NULL;
  cl_int code = clGetDeviceInfo(dev->id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL);
  if (code != CL_SUCCESS) return device_fail(dev, code, "CL_DEVICE_PLATFORM");
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)platform, 0};
  dev->context = clCreateContext(properties, 1, &dev->id, on_context_error, NULL, &code);
  if (dev->context == NULL) return device_fail(dev, code, "cannot create a context");
  return create_queue(dev);
}

clvgg_status clvgg_device_open(const char *selector, clvgg_device **out) {
  if (out == NULL) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_open: out is NULL");
  *out = NULL;
  device_table table;
  TRY(discover_devices(&table));
  clvgg_device *dev = NULL;
  size_t index = 0;
  clvgg_status status = discover_select(&table, selector, &index);
  if (status == CLVGG_OK) {
    dev = allocate();
    if (dev == NULL) status = fail_without_memory();
  }
  if (dev != NULL) {
    dev->info = table.info[index];
    dev->id = table.id[index];
    dev->extensions = discover_extensions(dev->id);
    dev->binaries = select_binary_use(&dev->info);
    status = connect(dev);
  }
  discover_free(&table);
  if (status == CLVGG_OK) {
    cpu_find_bf16(dev);
    *out = dev;
  } else if (dev != NULL) {
    destroy(dev);
  }
  return status;
}

/* Takes over context and queue, both retained, and what the queue says of itself. */
static clvgg_status adopt(clvgg_device *dev, cl_context context, cl_command_queue queue) {
  cl_context of_queue = NULL;
  cl_command_queue_properties properties = 0;
  cl_int code = clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof of_queue, &of_queue, NULL);
  if (code == CL_SUCCESS) code = clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof dev->id, &dev->id, NULL);
  if (code == CL_SUCCESS)
    code = clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL);
  if (code != CL_SUCCESS)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_wrap: the queue cannot be asked: %s (%d)",
                     device_code_name(code), (int)code);
  if (of_queue != context)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_wrap: the queue belongs to another context");
  TRY(discover_one(dev->id, &dev->info));
  dev->extensions = discover_extensions(dev->id);
  dev->binaries = select_binary_use(&dev->info);
  if (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE)
    return base_fail(CLVGG_ERROR_ARGUMENT,
                     "clvgg_device_wrap: device '%s': the queue is out of order, an in-order queue is needed",
                     dev->info.name);
  if (!dev->info.usable)
    return base_fail(CLVGG_ERROR_DEVICE, "device '%s' cannot be used: %s", dev->info.name, dev->info.reason);
  dev->wrapped = true;
  dev->profiling = (properties & CL_QUEUE_PROFILING_ENABLE) != 0;

  code = clRetainContext(context);
  if (code != CL_SUCCESS) return device_fail(dev, code, "cannot retain the context");
  dev->context = context;
  code = clRetainCommandQueue(queue);
  if (code != CL_SUCCESS) return device_fail(dev, code, "cannot retain the queue");
  dev->queue = queue;
  return CLVGG_OK;
}

clvgg_status clvgg_device_wrap(struct _cl_context *context, struct _cl_command_queue *queue, clvgg_device **out) {
  if (out == NULL) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_wrap: out is NULL");
  *out = NULL;
  if (context == NULL || queue == NULL)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_wrap: %s is NULL", context == NULL ? "context" : "queue");
  clvgg_device *dev = allocate();
  if (dev == NULL) return fail_without_memory();
  const clvgg_status status = adopt(dev, context, queue);
  if (status == CLVGG_OK) {
    cpu_find_bf16(dev);
    *out = dev;
  } else {
    destroy(dev);
  }
  return status;
}

clvgg_device *device_retain(clvgg_device *dev) {
  atomic_fetch_add(&dev->references, 1);
  return dev;
}

void clvgg_device_close(clvgg_device **device) {
  if (device == NULL || *device == NULL) return;
  clvgg_device *dev = *device;
  *device = NULL;
  if (atomic_fetch_sub(&dev->references, 1) == 1) destroy(dev);
}

const clvgg_device_info *device_info(const clvgg_device *dev) {
  return &dev->info;
}

void clvgg_device_get_info(const clvgg_device *device, clvgg_device_info *out) {
  if (out == NULL) return;
  *out = device != NULL ? device->info : (clvgg_device_info){0};
  if (device != NULL && out->preferred_multiple == 0) out->preferred_multiple = atomic_load(&device->kernel_multiple);
}

const char *clvgg_device_get_extensions(const clvgg_device *device) {
  return device != NULL && device->extensions != NULL ? device->extensions : "";
}

uint64_t clvgg_kernel_digest(void) {
  return identity_of_kernels();
}

/* ---- the queue */

static cl_int finish(clvgg_device *dev) {
  /* clFinish succeeds on some drivers when a command before it failed; the event of a marker tells. */
  cl_event last = NULL;
  cl_int state = CL_COMPLETE;
  cl_int code = clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, &last);
  if (code != CL_SUCCESS) return code;
  code = clFinish(dev->queue);
  if (code == CL_SUCCESS) code = clGetEventInfo(last, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL);
  clReleaseEvent(last);
  return code != CL_SUCCESS ? code : state < 0 ? state : CL_SUCCESS;
}

clvgg_status device_finish(clvgg_device *dev) {
  const cl_int code = finish(dev);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "waiting for the queue");
}

clvgg_status device_wait_for(clvgg_device *dev, uint32_t count, struct _cl_event *const *events) {
  if (count == 0) return CLVGG_OK;
  if (events == NULL)
    return base_fail(CLVGG_ERROR_ARGUMENT, "%u events to wait for, but the list is NULL", (unsigned)count);
  const cl_int code = clEnqueueBarrierWithWaitList(dev->queue, count, events, NULL);
  return code == CL_SUCCESS ? CLVGG_OK : device_fail(dev, code, "cannot wait for %u events", (unsigned)count);
}

clvgg_status device_signal(clvgg_device *dev, struct _cl_event **done) {
  *done = NULL;
  cl_int code = clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, done);
  if (code == CL_SUCCESS) code = clFlush(dev->queue);
  if (code == CL_SUCCESS) return CLVGG_OK;
  if (*done != NULL) clReleaseEvent(*done);
  *done = NULL;
  return device_fail(dev, code, "cannot enqueue the event that says done");
}
