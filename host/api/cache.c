/* The public calls about cached files: compiled programs of host/device, verdicts of host/trust. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "device/cache.h"
#include "trust/verdicts.h"

static clvgg_status fill_info(clvgg_cache_info *info, const clvgg_cache_entry *entries, size_t count) {
  struct stat file;
  *info = (clvgg_cache_info){.limit_bytes = cache_limit()};
  TRY(cache_path("", info->folder, sizeof info->folder));
  info->folder[strlen(info->folder) - 1] = '\0'; /* its slash */
  TRY(file_cache_path(VERDICTS_FILE, info->verdicts, sizeof info->verdicts));
  if (stat(info->verdicts, &file) == 0 && S_ISREG(file.st_mode)) {
    info->verdict_bytes = (uint64_t)file.st_size;
    info->verdicts_last_s = (int64_t)file.st_mtime;
  }
  for (size_t i = 0; i < count; i++) info->bytes += entries[i].bytes;
  return CLVGG_OK;
}

clvgg_status clvgg_cache_list(clvgg_cache_info *info, clvgg_cache_entry **entries, size_t *count) {
  if (info != NULL) *info = (clvgg_cache_info){0};
  if (entries == NULL || count == NULL)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_cache_list: entries and count must not be NULL");
  TRY(cache_list(entries, count));
  const clvgg_status status = info != NULL ? fill_info(info, *entries, *count) : CLVGG_OK;
  if (status != CLVGG_OK) {
    free(*entries);
    *entries = NULL;
    *count = 0;
  }
  return status;
}

void clvgg_cache_list_free(clvgg_cache_entry *entries) {
  free(entries);
}

clvgg_status clvgg_cache_clear(size_t *files, uint64_t *bytes) {
  size_t removed = 0;
  uint64_t size = 0;
  char path[PATH_MAX];
  struct stat file;
  clvgg_status status = cache_clear(&removed, &size);
  if (status == CLVGG_OK) status = file_cache_path(VERDICTS_FILE, path, sizeof path);
  if (status == CLVGG_OK && stat(path, &file) == 0 && S_ISREG(file.st_mode)) {
    if (unlink(path) == 0) {
      removed++;
      size += (uint64_t)file.st_size;
    } else {
      status = base_fail(CLVGG_ERROR_IO, "%s: cannot be removed", path);
    }
  }
  if (files != NULL) *files = removed;
  if (bytes != NULL) *bytes = size;
  return status;
}
