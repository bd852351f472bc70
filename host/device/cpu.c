/*
 * Finds out which instructions for bf16 kernels may use. An instruction that the processor or the operating system does not have ends
 * the process, so it counts as there only where all agree: this process' processor, the processor that a kernel runs on, and Linux, which
 * has to be asked for the state of tiles before it is first used (Documentation/arch/x86/xstate.rst).
 *
 * Bits are from the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, "CPUID", and volume 1, "Detection of AVX-512
 * Foundation Instructions" and "Recommended system software usage of XFD".
 */
#include "device/cpu.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "device/internal.h"

/* ---- bits */

#define OSXSAVE      (UINT32_C(1) << 27) /* leaf 1, ecx */
#define AVX512F      (UINT32_C(1) << 16) /* leaf 7, ebx */
#define AMX_BF16     (UINT32_C(1) << 22) /* leaf 7, edx */
#define AMX_TILE     (UINT32_C(1) << 24)
#define AVX512_BF16  (UINT32_C(1) << 5) /* leaf 7, sub-leaf 1, eax */
#define VECTOR_STATE UINT32_C(0xE6)     /* XCR0: SSE, AVX, opmask, upper halves of ZMM0-15, ZMM16-31 */
#define TILE_STATE   UINT32_C(0x60000)  /* tiles' configuration and data */

static bool has_all(uint32_t word, uint32_t bits) {
  return (word & bits) == bits;
}

/* Leaf 1Dh, sub-leaf 1: palette 1 as kernels configure it. */
static bool has_tiles(const uint32_t *words) {
  const uint32_t tile_bytes = words[CPU_LEAF_1D_1_EAX] >> 16, row_bytes = words[CPU_LEAF_1D_1_EBX] & 0xFFFF;
  const uint32_t tiles = words[CPU_LEAF_1D_1_EBX] >> 16, rows = words[CPU_LEAF_1D_1_ECX] & 0xFFFF;
  return words[CPU_LEAF_1D_EAX] >= 1 && tile_bytes >= 1024 && row_bytes >= 64 && tiles >= 8 && rows >= 16;
}

cpu_bf16 cpu_read_bits(const uint32_t words[CPU_WORDS]) {
  const bool asked = has_all(words[CPU_LEAF_1_ECX], OSXSAVE);
  return (cpu_bf16){.amx = asked && has_all(words[CPU_XCR0], TILE_STATE) &&
                           has_all(words[CPU_LEAF_7_EDX], AMX_BF16 | AMX_TILE) && has_tiles(words),
                    .avx512 = asked && has_all(words[CPU_XCR0], VECTOR_STATE) &&
                              has_all(words[CPU_LEAF_7_EBX], AVX512F) && words[CPU_LEAF_7_EAX] >= 1 &&
                              has_all(words[CPU_LEAF_7_1_EAX], AVX512_BF16)};
}

/* ---- asking */

#if defined(__x86_64__)
bool cpu_ask_here(uint32_t words[CPU_WORDS]) {
  uint32_t a, b, c, d, unused;
  for (int i = 0; i < CPU_WORDS; i++) words[i] = 0;
  const uint32_t last = __get_cpuid_max(0, NULL);
  if (last < 1) return false;
  __cpuid_count(1, 0, a, b, words[CPU_LEAF_1_ECX], d);
  if (has_all(words[CPU_LEAF_1_ECX], OSXSAVE)) __asm__ volatile("xgetbv" : "=a"(words[CPU_XCR0]), "=d"(d) : "c"(0));
  if (last < 7) return true;
  __cpuid_count(7, 0, words[CPU_LEAF_7_EAX], words[CPU_LEAF_7_EBX], c, words[CPU_LEAF_7_EDX]);
  if (words[CPU_LEAF_7_EAX] >= 1) __cpuid_count(7, 1, words[CPU_LEAF_7_1_EAX], b, c, d);
  if (last < 0x1D) return true;
  __cpuid_count(0x1D, 0, words[CPU_LEAF_1D_EAX], b, c, d);
  __cpuid_count(0x1D, 1, words[CPU_LEAF_1D_1_EAX], words[CPU_LEAF_1D_1_EBX], words[CPU_LEAF_1D_1_ECX], unused);
  (void)a, (void)b, (void)c, (void)d, (void)unused;
  return true;
}
#else
bool cpu_ask_here(uint32_t words[CPU_WORDS]) {
  for (int i = 0; i < CPU_WORDS; i++) words[i] = 0;
  return false;
}
#endif

/* Of the compiler, by CL_PLATFORM_VERSION: "OpenCL 3.0 PoCL 3.1+debian  Linux, None+Asserts, RELOC, SPIR, LLVM 14.0.6, ...". 11 is the
 * first that has all instructions; assembly that one does not know may end the process. */
#define LEAST_LLVM 11

static bool knows_instructions(const char *platform_version) {
  const char *llvm = strstr(platform_version, "LLVM ");
  return llvm != NULL && strtoul(llvm + strlen("LLVM "), NULL, 10) >= LEAST_LLVM;
}

/* CL_DEVICE_VERSION has how PoCL's own drivers for this machine's processor call themselves, "OpenCL 3.0 PoCL HSTR: pthread-x86_64-...". */
bool cpu_is_own(const clvgg_device_info *info) {
  static const char *const drivers[] = {"HSTR: pthread-x86_64", "HSTR: basic-x86_64", "HSTR: cpu-x86_64"};
  if (info->type != CLVGG_DEVICE_CPU || !select_contains(info->platform, "Portable Computing Language")) return false;
  for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
    if (select_contains(info->opencl_version, drivers[i])) return knows_instructions(info->platform_version);
  return false;
}

clvgg_status cpu_ask_device(clvgg_device *dev, uint32_t words[CPU_WORDS]) {
  device_kernel kernel;
  device_buffer buffer = {0};
  const size_t one[3] = {1, 1, 1}, bytes = CPU_WORDS * sizeof *words;
  TRY(device_kernel_create(dev, "cpu_features.cl", "cpu_features", "", &kernel));
  clvgg_status status = device_buffer_create(dev, bytes, &buffer);
  const device_arg args[] = {arg_buffer(buffer.mem)};
  if (!status) status = device_launch(dev, &kernel, args, 1, one, one);
  if (!status) status = device_read(dev, &buffer, 0, words, bytes);
  device_buffer_release(dev, &buffer);
  device_kernel_release(&kernel);
  return status;
}

/* ---- the operating system */

/* Of asm/prctl.h and of the XSAVE feature set, which older headers lack. */
#define REQUEST_STATE 0x1023 /* ARCH_REQ_XCOMP_PERM */
#define TILE_DATA     18     /* XFEATURE_XTILEDATA */

/* For all threads of the process, those of the driver among them; to ask again is no error. */
static bool permit_tiles(void) {
#if defined(__x86_64__) && defined(__linux__) && defined(SYS_arch_prctl)
  return syscall(SYS_arch_prctl, REQUEST_STATE, TILE_DATA) == 0;
#else
  return false;
#endif
}

void cpu_find_bf16(clvgg_device *dev) {
  uint32_t words[CPU_WORDS];
  if (!cpu_is_own(&dev->info) || !cpu_ask_here(words)) return;
  cpu_bf16 has = cpu_read_bits(words);
  /* So that starts elsewhere do not pay for a kernel. */
  if (!has.amx && !has.avx512) return;
  if (cpu_ask_device(dev, words)) {
    base_log("device '%s': its instructions for bf16 are not used: %s", dev->info.name, clvgg_last_error());
    return;
  }
  has = cpu_read_bits(words);
  dev->info.amx_bf16 = has.amx && permit_tiles();
  dev->info.avx512_bf16 = has.avx512;
}
