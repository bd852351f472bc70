/* Wrong kernels: what CLVGG_KERNEL_DIR is for in tests. */
#ifndef CLVGG_TESTS_PLANTED_H
#define CLVGG_TESTS_PLANTED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "device/kernels.h"

/* Writes the kernels of cl/ to the folder into, which is there, with the first from in file name replaced by to. NULL: as they are. */
static inline void planted_kernels(const char *into, const char *name, const char *from, const char *to) {
  char path[256];
  bool planted = !name;
  for (const kernel_source *s = kernel_sources; s->name; s++) {
    snprintf(path, sizeof path, "%s/%s", into, s->name);
    const char *at = name && strcmp(name, s->name) == 0 ? strstr(s->text, from) : NULL;
    const size_t bytes = s->length + (at ? strlen(to) - strlen(from) : 0);
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    if (at)
      snprintf(text, bytes + 1, "%.*s%s%s", (int)(at - s->text), s->text, to, at + strlen(from));
    else
      memcpy(text, s->text, s->length);
    assert_int_equal(file_write(path, text, bytes), CLVGG_OK);
    free(text);
    planted = planted || at;
  }
  if (!planted) fail_msg("%s has no '%s' any more", name, from);
}

#endif
