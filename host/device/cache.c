/* Entries of the program cache: their bytes, reading and writing one. No OpenCL here, so that tests need none. */
#include "device/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/size.h"
#include "device/identity.h"

static const char magic[8] = {'C', 'L', 'V', 'G', 'G', 'P', 'R', 'G'};

enum { AT_VERSION = 8, AT_KEY_BYTES = 12, AT_BINARY_BYTES = 16, AT_HASH = 24 };

static void put(unsigned char *at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) at[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char *at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

static uint64_t hash_of_file(const unsigned char *file, size_t bytes) {
  return hash_bytes(hash_bytes(HASH_START, file, AT_HASH), file + CACHE_HEAD_BYTES, bytes - CACHE_HEAD_BYTES);
}

bool cache_key_make(const clvgg_device_info *dev, const char *source, const char *text, size_t length,
                    const char *options, cache_key *out) {
  char identity[IDENTITY_BYTES];
  *out = (cache_key){0};
  if (!identity_of_driver(dev, identity, sizeof identity)) return false;
  const int n =
      snprintf(out->text, sizeof out->text, "clvgg program %d\ndevice %s\nsource %s %zu %016" PRIx64 "\noptions %s\n",
               CACHE_FORMAT, identity, source, length, hash_bytes(HASH_START, text, length), options);
  if (n < 0 || (size_t)n >= sizeof out->text) return false;
  out->bytes = (size_t)n;
  snprintf(out->name, sizeof out->name, "%016" PRIx64 ".bin", hash_bytes(HASH_START, out->text, out->bytes));
  return true;
}

cache_state cache_check(const unsigned char *file, size_t bytes, const cache_key *key, const unsigned char **binary,
                        size_t *binary_bytes) {
  *binary = NULL;
  *binary_bytes = 0;
  if (bytes < CACHE_HEAD_BYTES || memcmp(file, magic, sizeof magic) != 0) return CACHE_DAMAGED;
  /* Before the hash: another version may have it elsewhere. */
  if (get(file + AT_VERSION, 4) != CACHE_FORMAT) return CACHE_MISS;
  if (get(file + AT_HASH, 8) != hash_of_file(file, bytes)) return CACHE_DAMAGED;
  const uint64_t key_bytes = get(file + AT_KEY_BYTES, 4), rest = bytes - CACHE_HEAD_BYTES;
  if (key_bytes > rest || get(file + AT_BINARY_BYTES, 8) != rest - key_bytes) return CACHE_DAMAGED;
  if (key_bytes != key->bytes || memcmp(file + CACHE_HEAD_BYTES, key->text, key->bytes) != 0) return CACHE_MISS;
  if (rest == key_bytes) return CACHE_REFUSED;
  *binary = file + CACHE_HEAD_BYTES + key_bytes;
  *binary_bytes = (size_t)(rest - key_bytes);
  return CACHE_HIT;
}

unsigned char *cache_encode(const cache_key *key, const void *binary, size_t binary_bytes, size_t *bytes) {
  unsigned char *file = NULL;
  if (size_add(CACHE_HEAD_BYTES + key->bytes, binary_bytes, bytes)) file = calloc(1, *bytes);
  if (file == NULL) return NULL;
  memcpy(file, magic, sizeof magic);
  put(file + AT_VERSION, CACHE_FORMAT, 4);
  put(file + AT_KEY_BYTES, key->bytes, 4);
  put(file + AT_BINARY_BYTES, binary_bytes, 8);
  memcpy(file + CACHE_HEAD_BYTES, key->text, key->bytes);
  if (binary_bytes > 0) memcpy(file + CACHE_HEAD_BYTES + key->bytes, binary, binary_bytes);
  put(file + AT_HASH, hash_of_file(file, *bytes), 8);
  return file;
}

uint64_t cache_limit(void) {
  const char *text = getenv("CLVGG_CACHE_MB");
  uint64_t mb = CACHE_DEFAULT_MB;
  if (text != NULL && text[0] != '\0') {
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > UINT64_MAX >> 20)
      base_log("CLVGG_CACHE_MB is '%.40s', expected a number of MiB; %d is taken", text, CACHE_DEFAULT_MB);
    else
      mb = value;
  }
  return mb << 20;
}

/* ---- files */

/* The whole of a regular file that nobody else could have written, in memory of our own: what is verified can then not change. */
static unsigned char *read_whole(int fd, size_t *bytes) {
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return NULL;
  if (info.st_uid != geteuid() && info.st_uid != 0) return NULL;
  if (info.st_size < 0 || (uintmax_t)info.st_size > CACHE_FILE_MOST) return NULL;
  *bytes = (size_t)info.st_size;
  unsigned char *data = malloc(*bytes + 1);
  for (size_t done = 0; data != NULL && done < *bytes;) {
    const ssize_t n = read(fd, data + done, *bytes - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      free(data);
      return NULL;
    }
    if (n == 0) *bytes = done; /* cut off meanwhile */
    done += (size_t)n;
  }
  return data;
}

cache_state cache_load(const cache_key *key, cache_entry *out) {
  *out = (cache_entry){0};
  char path[PATH_MAX];
  if (cache_path(key->name, path, sizeof path) != CLVGG_OK) return CACHE_MISS;
  const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
  if (fd < 0) return CACHE_MISS;
  size_t bytes = 0;
  unsigned char *file = read_whole(fd, &bytes);
  const cache_state state = file != NULL ? cache_check(file, bytes, key, &out->binary, &out->bytes) : CACHE_MISS;
  if (state == CACHE_HIT) {
    out->file = file;
    file = NULL;
    (void)futimens(fd, NULL); /* in a read-only folder the order of use stays as it is */
  }
  if (state == CACHE_DAMAGED) unlink(path);
  close(fd);
  free(file);
  return state;
}

void cache_entry_free(cache_entry *entry) {
  free(entry->file);
  *entry = (cache_entry){0};
}

clvgg_status cache_store(const cache_key *key, const void *binary, size_t binary_bytes) {
  const uint64_t limit = cache_limit();
  size_t bytes = 0;
  if (limit == 0) return CLVGG_OK;
  char path[PATH_MAX];
  TRY(cache_path(key->name, path, sizeof path));
  unsigned char *file = cache_encode(key, binary, binary_bytes, &bytes);
  if (file == NULL) return base_fail(CLVGG_ERROR_MEMORY, "%s: no memory left to write it", path);
  clvgg_status status = CLVGG_OK;
  if (bytes > limit || bytes > CACHE_FILE_MOST)
    status = base_fail(CLVGG_ERROR_TOO_LARGE, "%s: %zu bytes, the cache may have %" PRIu64, path, bytes, limit);
  if (status == CLVGG_OK) status = file_make_folder(path);
  if (status == CLVGG_OK) status = file_write(path, file, bytes);
  free(file);
  if (status == CLVGG_OK) cache_trim(limit);
  return status;
}
