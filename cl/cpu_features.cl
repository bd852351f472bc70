/*
 * What the processor that runs kernels says of itself: CPUID's and XCR0's bits about instructions for bf16, for host/device/cpu.c, which has
 * their meaning. It runs on x86-64 CPUs, and does not compile for anything else.
 */

/* A leaf of CPUID: eax, ebx, ecx, edx. */
uint4 ask(uint leaf, uint sub_leaf) {
  uint a, b, c, d;
  __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(sub_leaf));
  return (uint4)(a, b, c, d);
}

/* The state that the operating system keeps for threads. Only where it says that it can be asked. */
uint kept_state(void) {
  uint low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

__attribute__((reqd_work_group_size(1, 1, 1))) __kernel void cpu_features(
    __global uint *restrict words)  // (10), in the order of cpu.h; zeros where there is no such leaf
{
  const uint last = ask(0, 0).x;
  for (int i = 0; i < 10; i++) words[i] = 0;
  words[0] = ask(1, 0).z;
  if (words[0] >> 27 & 1) words[1] = kept_state();
  if (last < 7) return;
  const uint4 features = ask(7, 0);
  words[2] = features.x;
  words[3] = features.y;
  words[4] = features.w;
  if (features.x >= 1) words[5] = ask(7, 1).x;
  if (last < 0x1D) return;
  const uint4 tiles = ask(0x1D, 1);
  words[6] = ask(0x1D, 0).x;
  words[7] = tiles.x;
  words[8] = tiles.y;
  words[9] = tiles.z;
}
