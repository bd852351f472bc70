/*
 * Compiled programs in files, so that a later process need not compile them. Specification:
 *
 * Folder   $XDG_CACHE_HOME/clvgg/programs (by default ~/.cache/clvgg/programs), one file a program. It may be deleted at any time.
 *
 * Key      text of four lines, all that a binary depends on:
 *              clvgg program 1                            format version
 *              device NAME | VENDOR | DRIVER | PLATFORM VERSION | COMPUTE UNITS
 *              source NAME.cl BYTES HASH                  of the source's text, so that CLVGG_KERNEL_DIR has keys of its own
 *              options -cl-std=CL1.2 ...
 *
 * Name     the key's hash in 16 hexadecimal digits, ".bin". All hashes are FNV-1a of 64 bits. A file with another name is neither
 *          used nor counted nor removed.
 *
 * Bytes    offset  size   (integers are little-endian)
 *               0     8   "CLVGGPRG"
 *               8     4   format version, 1
 *              12     4   K, bytes of the key
 *              16     8   N, bytes of the binary; 0: the driver refused its own binary, and is not asked again
 *              24     8   hash of the bytes before and after this field
 *              32     K   the key
 *            32+K     N   the binary; the file ends here
 *          All of it is verified, the key compared byte by byte, before the driver sees the binary: drivers die of damaged ones.
 *          A file that belongs to another user (other than root) is not used either, since a binary is code.
 *
 * Failure  is never an error: what is missing, damaged, foreign or of another version means that the program is built from source,
 *          and what cannot be written is not kept. A damaged file is removed.
 *
 * Writing  to a temporary name, then renamed: a reader sees a whole file or none, and of processes that write the same entry the
 *          last one wins, with the same content. Readers have their own copy of the bytes; files may vanish under them.
 *          Temporary files of processes that died are removed when they are an hour old.
 *
 * Bounds   CLVGG_CACHE_MB, in MiB, 256 by default; 0: nothing is read or written. After each write the least recently used files
 *          go until the rest fits. A use sets the time of modification (that of access is often not kept).
 *
 * When binaries are fetched from the driver, and handed to it, is program.c's.
 */
#ifndef CLVGG_DEVICE_CACHE_H
#define CLVGG_DEVICE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define CACHE_FOLDER     "programs"
#define CACHE_FORMAT     1
#define CACHE_HEAD_BYTES 32
#define CACHE_KEY_BYTES  4096
#define CACHE_NAME_BYTES 24
#define CACHE_DEFAULT_MB 256
#define CACHE_STALE_S    3600                /* age of a temporary file that nobody is writing any more */
#define CACHE_FILE_MOST  ((size_t)256 << 20) /* larger files were not written here */

typedef struct cache_key {
  char text[CACHE_KEY_BYTES];
  size_t bytes;                /* without the NUL */
  char name[CACHE_NAME_BYTES]; /* of the file */
} cache_key;

/* False when something is too long for a key: then the program is not kept. */
bool cache_key_make(const clvgg_device_info *dev, const char *source, const char *text, size_t length,
                    const char *options, cache_key *out);

typedef enum cache_state {
  CACHE_HIT,
  CACHE_MISS,    /* no file, or another key's or version's */
  CACHE_REFUSED, /* the driver has refused this binary before */
  CACHE_DAMAGED
} cache_state;

/* What bytes of a file are to a key; for a hit, *binary points into them. */
cache_state cache_check(const unsigned char *file, size_t bytes, const cache_key *key, const unsigned char **binary,
                        size_t *binary_bytes);
/* The bytes of a file, which the caller frees; NULL without memory. binary_bytes 0: refused. */
unsigned char *cache_encode(const cache_key *key, const void *binary, size_t binary_bytes, size_t *bytes);

typedef struct cache_entry {
  unsigned char *file; /* owned */
  const unsigned char *binary;
  size_t bytes;
} cache_entry;

/* Most bytes of all files, from CLVGG_CACHE_MB; 0: the cache is off. */
uint64_t cache_limit(void);

/* Anything but CACHE_HIT leaves *out empty. */
cache_state cache_load(const cache_key *key, cache_entry *out);
void cache_entry_free(cache_entry *entry);

/* Writes the entry, then keeps the folder within its limit. */
clvgg_status cache_store(const cache_key *key, const void *binary, size_t binary_bytes);

/* ---- the folder (cache_folder.c) */

/* "FOLDER/name"; name may be "". */
clvgg_status cache_path(const char *name, char *out, size_t bytes);
/* Whether a file of this name is an entry. */
bool cache_is_entry_name(const char *name);
/* Removes stale temporary files, and the least recently used entries until the rest has at most limit bytes. */
void cache_trim(uint64_t limit);
/* All entries, the last used first; *entries is for free(). No folder: none. */
clvgg_status cache_list(clvgg_cache_entry **entries, size_t *count);
/* Removes all entries and temporary files; *files and *bytes are what went. */
clvgg_status cache_clear(size_t *files, uint64_t *bytes);

#endif
