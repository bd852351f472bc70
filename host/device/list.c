/* The public calls that list devices: all of them, and those that a selector means. */
#include <stdlib.h>

#include "device/internal.h"

clvgg_status clvgg_device_list(clvgg_device_info **devices, size_t *count) {
  if (devices != NULL) *devices = NULL;
  if (count != NULL) *count = 0;
  if (devices == NULL || count == NULL)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_list: %s is NULL", devices == NULL ? "devices" : "count");
  device_table table;
  TRY(discover_devices(&table));
  *devices = table.info;
  *count = table.count;
  table.info = NULL;
  discover_free(&table);
  return CLVGG_OK;
}

clvgg_status clvgg_device_select(const char *selector, clvgg_device_info **devices, size_t *count) {
  if (devices != NULL) *devices = NULL;
  if (count != NULL) *count = 0;
  if (devices == NULL || count == NULL)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_device_select: %s is NULL", devices == NULL ? "devices" : "count");
  device_table table;
  TRY(discover_devices(&table));
  size_t *index = calloc(table.count, sizeof *index), found = 0;
  clvgg_device_info *chosen = calloc(table.count, sizeof *chosen);
  clvgg_status status = index != NULL && chosen != NULL
                            ? discover_select_all(&table, selector, index, &found)
                            : base_fail(CLVGG_ERROR_MEMORY, "no memory for %zu devices", table.count);
  if (status == CLVGG_OK) {
    for (size_t i = 0; i < found; i++) chosen[i] = table.info[index[i]];
    *devices = chosen;
    *count = found;
    chosen = NULL;
  }
  free(chosen);
  free(index);
  discover_free(&table);
  return status;
}

void clvgg_device_list_free(clvgg_device_info *devices) {
  free(devices);
}
