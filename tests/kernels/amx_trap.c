/*
 * Decodes and does the instructions on tiles that trap: LDTILECFG, TILERELEASE, TILEZERO, TILELOADD, TILESTORED, TDPBF16PS, as the Intel 64
 * and IA-32 Architectures Software Developer's Manual, volume 2, has their encodings and operations. Written from that, not from the kernel.
 */
#define _GNU_SOURCE /* names of registers in a signal's context */
#include "kernels/amx_trap.h"

#if defined(__x86_64__) && defined(__linux__)

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#define ROWS  16
#define BYTES 64

/* A thread's. */
typedef struct tiles {
  bool configured;
  uint8_t rows[8];
  uint16_t bytes[8];
  uint8_t data[8][ROWS][BYTES];
} tiles;
static _Thread_local tiles mine;

static atomic_size_t configurations, releases, loads, stores, products, misuses;

/* An instruction with a three-byte VEX prefix. */
typedef struct instruction {
  unsigned opcode, prefix; /* prefix: 0 none, 1 66, 2 F3, 3 F2 */
  unsigned reg, rm, vvvv;  /* of registers and tiles */
  bool has_memory;
  uint64_t base, index; /* index: what tiles take for the distance of rows */
  size_t length;
} instruction;

static uint64_t register_of(const ucontext_t *u, unsigned number) {
  static const int places[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                               REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return (uint64_t)u->uc_mcontext.gregs[places[number]];
}

/* False for what is none of map 0F38 in 128 bits, or relative to the instruction pointer. */
static bool decode(const ucontext_t *u, instruction *out) {
  const uint8_t *at = (const uint8_t *)u->uc_mcontext.gregs[REG_RIP]; /* NOLINT: an address */
  if (at[0] != 0xC4 || (at[1] & 0x1F) != 2 || (at[2] & 0x84) != 0) return false;
  const unsigned r = !(at[1] & 0x80), x = !(at[1] & 0x40), b = !(at[1] & 0x20), mod = at[4] >> 6;
  *out = (instruction){.opcode = at[3],
                       .prefix = at[2] & 3,
                       .reg = (at[4] >> 3 & 7) | r << 3,
                       .rm = (at[4] & 7) | b << 3,
                       .vvvv = ~at[2] >> 3 & 15,
                       .has_memory = mod != 3,
                       .length = 5};
  if (!out->has_memory) return true;
  unsigned base = at[4] & 7;
  if (base == 4) {
    const uint8_t sib = at[out->length++];
    const unsigned index = (sib >> 3 & 7) | x << 3;
    base = sib & 7;
    if (index != 4) out->index = register_of(u, index) << (sib >> 6);
  }
  if (mod == 0 && base == 5) return false;
  out->base = register_of(u, base | b << 3);
  int32_t displacement = 0;
  if (mod == 1) displacement = (at[out->length] ^ 0x80) - 0x80; /* signed */
  if (mod == 2) memcpy(&displacement, at + out->length, sizeof displacement);
  out->length += mod == 1 ? 1 : mod == 2 ? 4 : 0;
  out->base += (uint64_t)(int64_t)displacement;
  return true;
}

static void *memory(uint64_t address) {
  return (void *)address; /* NOLINT: that is what it is */
}

static void configure(const uint8_t *from) {
  memset(&mine, 0, sizeof mine);
  mine.configured = from[0] == 1;
  for (size_t t = 0; t < 8; t++) {
    memcpy(&mine.bytes[t], from + 16 + 2 * t, sizeof *mine.bytes);
    mine.rows[t] = from[48 + t];
    if (mine.rows[t] != ROWS || mine.bytes[t] != BYTES) misuses++;
  }
  for (size_t i = 1; i < 16; i++) misuses += from[i] != 0; /* start row, reserved */
  configurations++;
}

static float upper_half(const uint8_t *bf16) {
  float value;
  const uint32_t bits = (uint32_t)bf16[0] << 16 | (uint32_t)bf16[1] << 24;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* sum[m][n] += v[m][2k] * w[k][2n] + v[m][2k + 1] * w[k][2n + 1] */
static void multiply(unsigned sum, unsigned v, unsigned w) {
  for (size_t m = 0; m < ROWS; m++)
    for (size_t n = 0; n < BYTES / 4; n++) {
      float s;
      memcpy(&s, &mine.data[sum][m][n * 4], sizeof s);
      for (size_t k = 0; k < ROWS; k++)
        for (size_t half = 0; half < 2; half++)
          s += upper_half(&mine.data[v][m][k * 4 + half * 2]) * upper_half(&mine.data[w][k][n * 4 + half * 2]);
      memcpy(&mine.data[sum][m][n * 4], &s, sizeof s);
    }
  products++;
}

/* False when it is none of them. */
static bool execute(const instruction *i) {
  const unsigned kind = i->opcode << 4 | i->prefix << 1 | i->has_memory;
  if (kind != 0x491 && !mine.configured) misuses++;
  switch (kind) {
    case 0x491:
      configure(memory(i->base));
      return i->reg == 0;
    case 0x490:
      memset(&mine, 0, sizeof mine);
      releases++;
      return i->reg == 0 && i->rm == 0;
    case 0x496:
      memset(mine.data[i->reg & 7], 0, sizeof *mine.data);
      return true;
    case 0x4B7:
      for (uint64_t row = 0; row < ROWS; row++)
        memcpy(mine.data[i->reg & 7][row], memory(i->base + row * i->index), BYTES);
      loads++;
      return true;
    case 0x4B5:
      for (uint64_t row = 0; row < ROWS; row++)
        memcpy(memory(i->base + row * i->index), mine.data[i->reg & 7][row], BYTES);
      stores++;
      return true;
    case 0x5C4:
      multiply(i->reg & 7, i->rm & 7, i->vvvv & 7);
      return true;
    default:
      return false;
  }
}

static void on_trap(int number, siginfo_t *info, void *context) {
  (void)info;
  ucontext_t *u = context;
  instruction i;
  if (decode(u, &i) && execute(&i))
    u->uc_mcontext.gregs[REG_RIP] += (greg_t)i.length;
  else
    signal(number, SIG_DFL); /* it traps again */
}

bool amx_trap_install(void) {
  struct sigaction action = {.sa_flags = SA_SIGINFO};
  action.sa_sigaction = on_trap;
  sigemptyset(&action.sa_mask);
  return sigaction(SIGILL, &action, NULL) == 0;
}

amx_counts amx_trap_counts(void) {
  return (amx_counts){.configurations = configurations,
                      .releases = releases,
                      .loads = loads,
                      .stores = stores,
                      .products = products,
                      .misuses = misuses};
}

#else

bool amx_trap_install(void) {
  return false;
}

amx_counts amx_trap_counts(void) {
  return (amx_counts){0};
}

#endif
