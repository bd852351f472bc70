/* BASE_CLONES in front of a function: compiled for AVX2 as well, and chosen when the program is loaded, where that is possible. */
#ifndef CLVGG_BASE_CLONES_H
#define CLVGG_BASE_CLONES_H

#include <stdint.h> /* defines __GLIBC__ where that is the C library */

/* The choice is made by an indirect function of glibc, which the sanitizers' start-up does not survive. Not AVX2 with FMA:
 * the same weights on every machine. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BASE_CLONES_INSTRUMENTED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define BASE_CLONES_INSTRUMENTED
#endif
#endif

/* Before version 18, clang gave the indirect function another name than its callers use. */
#if defined(__clang__) && __clang_major__ < 18
#define BASE_CLONES_UNNAMED
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && !defined(BASE_CLONES_INSTRUMENTED) && !defined(BASE_CLONES_UNNAMED)
#define BASE_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define BASE_CLONES
#endif

#endif
