/* An algorithm run between guards: its buffers are full of NaN and have more of it behind their ends. */
#include "kernels/guarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/fixture.h"

#define GUARD_BYTES ((size_t)4096)
#define POISON      0x7fc0beefu /* a quiet NaN */

void *allocate(size_t floats) {
  void *p = calloc(floats + 1, sizeof(float));
  if (!p) fail_msg("no memory for %zu floats", floats);
  return p;
}

/* Written, not filled: of a buffer that was filled oclgrind 21.10 reports values as uninitialised that a kernel wrote since. */
static guarded guarded_make(clvgg_device *dev, size_t bytes) {
  guarded g = {.bytes = bytes};
  const size_t all = size_round_up(bytes, sizeof(float)) + GUARD_BYTES;
  uint32_t *poison = allocate(all / sizeof *poison);
  for (size_t i = 0; i < all / sizeof *poison; i++) poison[i] = POISON;
  must(device_buffer_create(dev, all, &g.buffer));
  must(device_write(dev, &g.buffer, 0, poison, all));
  free(poison);
  return g;
}

static void *guarded_read(clvgg_device *dev, const guarded *g) {
  void *values = allocate(g->buffer.bytes / sizeof(float));
  must(device_read(dev, &g->buffer, 0, values, g->buffer.bytes));
  return values;
}

void guarded_open(clvgg_device *dev, const algo *a, const algo_problem *p, const int *param, const layer *l,
                  guarded_run *out) {
  int chosen[ALGO_MAX_PARAMS] = {0};
  if (!param && a->choose) a->choose(device_info(dev), p, chosen);
  *out = (guarded_run){.images = 0};
  must(algo_open(a, dev, p, param ? param : chosen, l, &out->inst));
  out->in = guarded_make(dev, algo_bytes(a->in, p->shape.in, p->batch, p->block));
  out->out = guarded_make(dev, algo_bytes(a->out, p->shape.out, p->batch, p->block));
  out->workspace = guarded_make(dev, algo_workspace_bytes(a, device_info(dev), p, out->inst.param));
  out->sent = allocate(size_ceil_div(out->in.bytes, sizeof(float)));
}

void guarded_close(guarded_run *r) {
  clvgg_device *dev = r->inst.dev;
  algo_close(&r->inst);
  device_buffer_release(dev, &r->in.buffer);
  device_buffer_release(dev, &r->out.buffer);
  device_buffer_release(dev, &r->workspace.buffer);
  free(r->sent);
  free(r->raw);
}

void guarded_execute(guarded_run *r, size_t n, const float *in) {
  const algo_problem *p = &r->inst.problem;
  const device_buffer *workspace = r->workspace.bytes ? &r->workspace.buffer : NULL;
  r->images = n;
  if (r->inst.algo->in == ALGO_RGB8)
    pixels_from_plain(&r->inst.pixels, n, p->shape.in.h * p->shape.in.w, in, r->sent);
  else
    algo_to_layout(r->inst.algo->in, p->shape.in, n, p->block, in, r->sent);
  const size_t bytes = algo_bytes(r->inst.algo->in, p->shape.in, n, p->block);
  must(device_write(r->inst.dev, &r->in.buffer, 0, r->sent, bytes));
  /* Twice, and once with one image less: an instance is used again and again. */
  if (n > 1) must(algo_enqueue(&r->inst, n - 1, &r->in.buffer, &r->out.buffer, workspace));
  must(algo_enqueue(&r->inst, n, &r->in.buffer, &r->out.buffer, workspace));
  must(device_finish(r->inst.dev));
  free(r->raw);
  r->raw = guarded_read(r->inst.dev, &r->out);
}

float *guarded_output(const guarded_run *r) {
  const algo_problem *p = &r->inst.problem;
  float *plain = allocate(r->images * shape3_elements(p->shape.out));
  algo_from_layout(r->inst.algo->out, p->shape.out, r->images, p->block, r->raw, plain);
  return plain;
}

static void expect_poison(const void *values, const guarded *g, size_t first, const char *what, const char *label) {
  const uint32_t poison = POISON;
  unsigned char pattern[sizeof poison];
  memcpy(pattern, &poison, sizeof poison);
  for (size_t i = first; i < g->buffer.bytes; i++)
    if (((const unsigned char *)values)[i] != pattern[i % sizeof poison])
      fail_msg("%s: wrote byte %zu of the %s, which ends at %zu", label, i, what, first);
}

static void check_output(const guarded_run *r, const char *label) {
  const algo_problem *p = &r->inst.problem;
  const algo_layout layout = r->inst.algo->out;
  const size_t stored = algo_elements(layout, p->shape.out, r->images, p->block);
  float *plain = guarded_output(r), *zeros = allocate(stored);
  algo_to_layout(layout, p->shape.out, r->images, p->block, plain, zeros);
  for (size_t i = 0; i < stored; i++)
    if (r->raw[i] != zeros[i]) fail_msg("%s: element %zu, of a surplus channel, is %g, not 0", label, i, r->raw[i]);
  expect_poison(r->raw, &r->out, stored * sizeof *r->raw, "output", label);
  free(zeros);
  free(plain);
}

void guarded_check(const guarded_run *r, const char *label) {
  const algo_problem *p = &r->inst.problem;
  check_output(r, label);
  const size_t stored = algo_bytes(r->inst.algo->in, p->shape.in, r->images, p->block);
  void *after = guarded_read(r->inst.dev, &r->in);
  if (memcmp(after, r->sent, stored) != 0) fail_msg("%s: changed its input", label);
  expect_poison(after, &r->in, stored, "input", label);
  free(after);
  after = guarded_read(r->inst.dev, &r->workspace);
  expect_poison(after, &r->workspace, r->workspace.bytes, "workspace", label);
  free(after);
}
