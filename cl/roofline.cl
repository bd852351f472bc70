/*
 * The two ceilings of a device, for the roofline model (S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual
 * performance model for multicore architectures", 2009): multiply-adds a second, and bytes read from memory a second.
 *
 * roofline_f32_fma: CHAINS independent sums a work-item, sum = sum * factor + term, nothing but registers. A chain waits for its
 * own last result, so there must be more chains than additions in flight: on current CPUs 2 to 4 ports x 4 cycles.
 * The chains are written out, not looped over: `steps` is then a work-item's only loop, which some drivers cap.
 *   lane l of work-item i, chain c:   sum = l + i % 8 + c,   then REPEAT * steps times   sum * factor + term
 * Start and operands are arguments, and no two chains or neighbouring work-items are equal: a compiler can drop nothing.
 *
 * roofline_f32_read: every vector of `in` is read by exactly one work-item, in the order
 *   id * item_stride + (step * LOADS + load) * stride
 * stride 1 gives each work-item a piece of its own, for CPUs; stride = work-items puts neighbours' loads side by side, for GPUs.
 *
 * Both write what the host can compute too, so that a driver that skips work is noticed.
 */
#ifndef VEC
#define VEC 16  // width of a vector (2, 4, 8, 16)
#endif
#ifndef CHAINS
#define CHAINS 24  // sums of a work-item: 24 where there are 32 registers, else 12
#endif
/* Some compilers leave mad as two instructions, others make a long function of fma: the first are told by their target. */
#if defined(__FMA__) || defined(__aarch64__) || defined(__powerpc64__)
#define MULTIPLY_ADD fma
#else
#define MULTIPLY_ADD mad
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
typedef JOIN(float, VEC) vec;

#define TWELVE(F, a, b) F(a##0) F(a##1) F(a##2) F(a##3) F(a##4) F(a##5) F(b##0) F(b##1) F(b##2) F(b##3) F(b##4) F(b##5)
#if CHAINS == 24
#define EACH(F) TWELVE(F, 1, 2) TWELVE(F, 3, 4)
#else
#define EACH(F) TWELVE(F, 1, 2)
#endif

#define START(c) vec sum##c = first + (float)(c);
#define STEP(c)  sum##c = MULTIPLY_ADD(sum##c, x, y);
#define ADD(c)   total += sum##c;
#define REPEATED /* REPEAT is 8 */ \
  EACH (STEP)                      \
    EACH (STEP)                    \
      EACH (STEP)                  \
        EACH (STEP)                \
          EACH (STEP)              \
            EACH (STEP)            \
              EACH (STEP)          \
                EACH (STEP)

/* Chains are numbered 10 to 15, 20 to 25 and so on. lanes holds 0, 1, 2, ... */
__kernel void roofline_f32_fma(__global const vec *restrict lanes, __global vec *restrict out, float factor, float term,
                               int steps) {
  const vec first = lanes[0] + (float)(get_global_id(0) % 8), x = (vec)(factor), y = (vec)(term);
  EACH (START)
    for (int i = 0; i < steps; i++) {
      REPEATED
    }
  vec total = (vec)(0.0f);
  EACH (ADD) out[get_global_id(0)] = total;
}

#define EIGHT(F)   F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) /* LOADS is 8 */
#define NOTHING(j) vec read##j = (vec)(0.0f);
#define READ(j)    read##j += at[one_load * j];
#define GATHER(j)  total += read##j;

__kernel void roofline_f32_read(__global const vec *restrict in, __global vec *restrict out, int steps, int item_stride,
                                int stride) {
  const size_t one_load = (size_t)stride;
  __global const vec *at = in + get_global_id(0) * (size_t)item_stride;
  EIGHT(NOTHING)
  for (int i = 0; i < steps; i++, at += 8 * one_load) {
    EIGHT(READ)
  }
  vec total = (vec)(0.0f);
  EIGHT(GATHER)
  out[get_global_id(0)] = total;
}
