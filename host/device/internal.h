/* What the files of this folder share: the device behind clvgg_device, and error texts for OpenCL's codes. */
#ifndef CLVGG_DEVICE_INTERNAL_H
#define CLVGG_DEVICE_INTERNAL_H

#include <CL/cl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "device/device.h"
#include "device/select.h"

/* A program that was built for the device; program.c owns the list. */
typedef struct built_program built_program;

/* Whether the driver's event stamps can be used as a clock; found out when the first timer is opened. */
typedef enum stamp_state { STAMPS_UNKNOWN, STAMPS_VALID, STAMPS_INVALID } stamp_state;

struct clvgg_device {
  atomic_size_t references;
  clvgg_device_info info;
  cl_device_id id;
  cl_context context;
  cl_command_queue queue;      /* in order */
  bool wrapped;                /* context and queue are the application's */
  bool profiling;              /* the queue gives event stamps */
  char *extensions;            /* NULL: not known */
  atomic_uint kernel_multiple; /* the preferred multiple of a work-group's size that a kernel had; 0: none was built */
  atomic_bool used_clblast;
  _Atomic uint64_t bytes_in_use, bytes_peak; /* the peak since device_peak_restart */
  pthread_mutex_t lock;                      /* of what follows */
  built_program *programs;                   /* newest first */
  stamp_state stamps;
  binary_use binaries;
  clvgg_cache_counts cache_counts;
  bool cache_noted; /* one line of log about the cache is enough */
};

/* Every device of every platform. */
typedef struct device_table {
  clvgg_device_info *info; /* (count) */
  cl_device_id *id;        /* (count) */
  size_t count;
} device_table;

/* CLVGG_ERROR_DEVICE when there is no platform, or no platform has a device. is_default is set in the table. */
clvgg_status discover_devices(device_table *out);
void discover_free(device_table *table);
/* Capabilities of one device by its handle: a wrapped one. A failed query makes it unusable, with the reason. */
clvgg_status discover_one(cl_device_id id, clvgg_device_info *out);
/* The device's list of extensions, for free(); NULL when there is none to be had. */
char *discover_extensions(cl_device_id id);
/* The index of the device that selector means; NULL or "" means CLVGG_DEVICE, else the best. */
clvgg_status discover_select(const device_table *table, const char *selector, size_t *index);
/* Likewise of all that it means; index (table->count). */
clvgg_status discover_select_all(const device_table *table, const char *selector, size_t *index, size_t *found);

/* "CL_INVALID_VALUE", or "unknown OpenCL error". */
const char *device_code_name(cl_int code);
/* Fails with "device NAME: what: CL_... (code)"; the status is the one that fits the code. */
clvgg_status device_fail(const clvgg_device *dev, cl_int code, const char *format, ...) BASE_PRINTF(3, 4);

/* Asks for large pages under a new buffer that a CPU works on, before it is written: its driver's memory is the host's, and with pages of
 * 4 KiB a processor that streams weights waits for page tables, too. Failing is no error. */
void pages_ask_large(const clvgg_device *dev, cl_mem mem, size_t bytes);

/* Also writes what the cache of programs lacks, where the driver gives it at once. */
void program_free_all(clvgg_device *dev);

/* The binary that the driver has for the device now; *out is for free(). */
clvgg_status binary_fetch(const clvgg_device *dev, cl_program program, unsigned char **out, size_t *bytes);
/* A built program of a binary. */
clvgg_status binary_load(const clvgg_device *dev, const unsigned char *binary, size_t bytes, const char *options,
                         cl_program *out);
/* Drops CLBlast's own compiled kernels, which keep contexts alive. */
void clblast_forget(void);

#endif
