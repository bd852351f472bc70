/* A loop whose turns are handed out to threads by a shared counter. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { MAX_THREADS = 256 };

typedef struct loop {
  atomic_size_t next;
  size_t count;
  void (*body)(size_t i, void *context);
  void *context;
} loop;

static void *work(void *argument) {
  loop *l = argument;
  for (;;) {
    const size_t i = atomic_fetch_add(&l->next, 1);
    if (i >= l->count) return NULL;
    l->body(i, l->context);
  }
}

size_t parallel_width(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int n = CPU_COUNT(&set);
  return n < 1 ? 1 : (size_t)n;
}

void parallel_for(size_t count, void (*body)(size_t i, void *context), void *context) {
  loop l = {.count = count, .body = body, .context = context};
  atomic_init(&l.next, 0);
  pthread_t threads[MAX_THREADS];
  size_t wanted = parallel_width();
  if (wanted > count) wanted = count;
  if (wanted > MAX_THREADS) wanted = MAX_THREADS;

  size_t made = 0; /* besides the caller's own */
  while (made + 1 < wanted && pthread_create(&threads[made], NULL, work, &l) == 0) made++;
  work(&l);
  for (size_t t = 0; t < made; t++) pthread_join(threads[t], NULL);
}
