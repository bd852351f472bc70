/*
 * Time between points of the queue. A mark is a marker event, and its CL_PROFILING_COMMAND_END the device's own stamp: it is
 * the end of all that was enqueued before, so the difference of two marks is the time of what lies between them, and
 * no kernel needs an event of its own.
 *
 * Not every driver's stamps can be believed: Mesa 22.3's rusticl returns CL_SUCCESS and 0 for all of them. So the first
 * timer of a device tries them once against known facts: a marker's stamp is not before the end of the command before it,
 * and the time that passes while the host sleeps agrees with the host's clock. PoCL 3.1 passes (within 0.1 ms of the host).
 * A device that fails is timed with the host's clock, the queue being finished at each mark; that is truthful too, but
 * includes the time that it takes to submit work and to wait for it.
 */
#include <stdlib.h>
#include <time.h>

#include "device/internal.h"

struct device_timer {
  clvgg_device *dev; /* retained */
  bool use_stamps;
  size_t max_marks, marks;
  cl_event *events; /* (max_marks), where stamps are used */
  double *host_ms;  /* (max_marks), where they are not */
};

double device_host_ms(void) {
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static bool read_stamp(cl_event event, cl_profiling_info which, uint64_t *ns) {
  cl_ulong stamp = 0;
  if (clGetEventProfilingInfo(event, which, sizeof stamp, &stamp, NULL) != CL_SUCCESS) return false;
  *ns = stamp;
  return stamp != 0;
}

/* The stamps of [a marker, a fill, a marker, a sleep, a marker] are as they must be. */
static bool stamps_agree(const cl_event marks[3], cl_event fill, double least_ms, double most_ms) {
  const uint64_t slack_ns = 50000; /* copy engines may have a clock domain of their own */
  uint64_t at[3] = {0}, fill_start = 0, fill_end = 0;
  for (int i = 0; i < 3; i++)
    if (!read_stamp(marks[i], CL_PROFILING_COMMAND_END, &at[i])) return false;
  if (!read_stamp(fill, CL_PROFILING_COMMAND_START, &fill_start)) return false;
  if (!read_stamp(fill, CL_PROFILING_COMMAND_END, &fill_end)) return false;
  if (at[0] > at[1] || at[1] >= at[2] || fill_start > fill_end) return false;
  if (at[0] > fill_start + slack_ns || fill_end > at[1] + slack_ns) return false;
  const double ms = (double)(at[2] - at[1]) * 1e-6;
  return ms >= 0.8 * least_ms && ms <= 1.25 * most_ms;
}

/* Runs the trial that the head of this file tells of. With the device's lock held. */
static bool try_stamps(clvgg_device *dev) {
  enum { FILL_BYTES = 1 << 20 };
  const struct timespec pause = {.tv_nsec = 3000000};
  const uint32_t zero = 0;
  cl_event marks[3] = {NULL}, fill = NULL;
  device_buffer buffer = {0};
  bool agree = false;
  if (!dev->profiling || device_buffer_create(dev, FILL_BYTES, &buffer) != CLVGG_OK) return false;

  bool ran =
      clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, &marks[0]) == CL_SUCCESS &&
      clEnqueueFillBuffer(dev->queue, buffer.mem, &zero, sizeof zero, 0, FILL_BYTES, 0, NULL, &fill) == CL_SUCCESS;
  const double before_second = device_host_ms();
  ran = ran && clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, &marks[1]) == CL_SUCCESS &&
        clFinish(dev->queue) == CL_SUCCESS;
  const double after_second = device_host_ms();
  if (ran) nanosleep(&pause, NULL);
  const double before_third = device_host_ms();
  ran = ran && clEnqueueMarkerWithWaitList(dev->queue, 0, NULL, &marks[2]) == CL_SUCCESS &&
        clFinish(dev->queue) == CL_SUCCESS;
  const double after_third = device_host_ms();
  if (ran) agree = stamps_agree(marks, fill, before_third - after_second, after_third - before_second);

  for (int i = 0; i < 3; i++)
    if (marks[i] != NULL) clReleaseEvent(marks[i]);
  if (fill != NULL) clReleaseEvent(fill);
  device_buffer_release(dev, &buffer);
  return agree;
}

static bool can_use_stamps(clvgg_device *dev) {
  pthread_mutex_lock(&dev->lock);
  if (dev->stamps == STAMPS_UNKNOWN) {
    dev->stamps = try_stamps(dev) ? STAMPS_VALID : STAMPS_INVALID;
    if (dev->stamps == STAMPS_INVALID)
      base_log("device '%s': no valid event stamps, times are taken with the host's clock", dev->info.name);
  }
  const bool valid = dev->stamps == STAMPS_VALID;
  pthread_mutex_unlock(&dev->lock);
  return valid;
}

clvgg_status device_timer_open(clvgg_device *dev, size_t max_marks, device_timer **out) {
  *out = NULL;
  if (max_marks == 0) return base_fail(CLVGG_ERROR_ARGUMENT, "a timer with 0 marks was asked for");
  device_timer *t = calloc(1, sizeof *t);
  if (t != NULL) {
    t->dev = device_retain(dev);
    t->use_stamps = can_use_stamps(dev);
    t->max_marks = max_marks;
    if (t->use_stamps)
      t->events = calloc(max_marks, sizeof *t->events);
    else
      t->host_ms = calloc(max_marks, sizeof *t->host_ms);
  }
  if (t == NULL || (t->events == NULL && t->host_ms == NULL)) {
    device_timer_close(&t);
    return base_fail(CLVGG_ERROR_MEMORY, "no memory for a timer of %zu marks", max_marks);
  }
  *out = t;
  return CLVGG_OK;
}

void device_timer_reset(device_timer *timer) {
  for (size_t i = 0; timer->events != NULL && i < timer->marks; i++) clReleaseEvent(timer->events[i]);
  timer->marks = 0;
}

void device_timer_close(device_timer **timer) {
  if (timer == NULL || *timer == NULL) return;
  device_timer *t = *timer;
  *timer = NULL;
  device_timer_reset(t);
  free(t->events);
  free(t->host_ms);
  clvgg_device_close(&t->dev);
  free(t);
}

clvgg_status device_timer_mark(device_timer *timer) {
  if (timer->marks == timer->max_marks)
    return base_fail(CLVGG_ERROR_ARGUMENT, "a timer of %zu marks is full", timer->max_marks);
  if (timer->use_stamps) {
    const cl_int code = clEnqueueMarkerWithWaitList(timer->dev->queue, 0, NULL, &timer->events[timer->marks]);
    if (code != CL_SUCCESS) return device_fail(timer->dev, code, "cannot enqueue the marker of a timer");
  } else {
    TRY(device_finish(timer->dev));
    timer->host_ms[timer->marks] = device_host_ms();
  }
  timer->marks++;
  return CLVGG_OK;
}

/* Stamps that went wrong after the trial: this measurement is lost, the next ones take the host's clock. */
static clvgg_status fail_stamps(device_timer *timer, size_t mark) {
  clvgg_device *dev = timer->dev;
  pthread_mutex_lock(&dev->lock);
  dev->stamps = STAMPS_INVALID;
  pthread_mutex_unlock(&dev->lock);
  return base_fail(CLVGG_ERROR_DEVICE,
                   "device '%s': the event stamp of mark %zu is missing or before that of the mark before it; timers "
                   "opened from now on use the host's clock",
                   dev->info.name, mark);
}

clvgg_status device_timer_read(device_timer *timer, double *ms) {
  TRY(device_finish(timer->dev));
  if (!timer->use_stamps) {
    for (size_t i = 1; i < timer->marks; i++) ms[i - 1] = timer->host_ms[i] - timer->host_ms[i - 1];
    return CLVGG_OK;
  }
  uint64_t before = 0, now = 0;
  for (size_t i = 0; i < timer->marks; i++, before = now) {
    if (!read_stamp(timer->events[i], CL_PROFILING_COMMAND_END, &now) || now < before) return fail_stamps(timer, i);
    if (i > 0) ms[i - 1] = (double)(now - before) * 1e-6;
  }
  return CLVGG_OK;
}
