/* The public view of the model family table, its numbers computed once. */
#include <pthread.h>
#include <stdio.h>

#include "base/file.h"
#include "network/family.h"

static clvgg_family_info infos[FAMILY_COUNT];
static pthread_once_t infos_once = PTHREAD_ONCE_INIT;

static void fill_infos(void) {
  for (size_t i = 0; i < FAMILY_COUNT; i++) {
    const family *f = &families[i];
    uint64_t params, flops;
    family_count(f, &params, &flops);
    infos[i] = (clvgg_family_info){f->name, (double)params / 1e6, (double)flops / 1e9, f->top1, f->top5, f->checkpoint};
  }
}

size_t clvgg_family_count(void) {
  return FAMILY_COUNT;
}

const clvgg_family_info *clvgg_family_get(size_t index) {
  if (index >= FAMILY_COUNT) return NULL;
  pthread_once(&infos_once, fill_infos);
  return &infos[index];
}

int clvgg_family_find(const char *name, char *path, size_t bytes) {
  char found[4096];
  if (bytes > 0) path[0] = '\0';
  const family *f = family_find(name);
  if (!f || file_user_path(f->checkpoint, found, sizeof found) != CLVGG_OK) return 0;
  if (bytes > 0) snprintf(path, bytes, "%s", found);
  return file_exists(found);
}
