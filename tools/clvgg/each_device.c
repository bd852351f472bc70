/* Commands that do the same on each of several devices. */
#include <stdio.h>

#include "cli.h"
#include "output.h"

static void print_heading(clvgg_device_info *device, int first) {
  printf("%sDevice  %s %s\n", first ? "" : "\n", device->id, cli_clean(device->name));
  output_flush();
}

int cli_each_device(const cli_shared *shared, int (*fn)(const cli_shared *shared, void *user), void *user) {
  clvgg_device_info *devices = NULL;
  size_t count = 0;
  if (!cli_select_devices(shared, &devices, &count)) return CLI_FAILED;
  const int several = count > 1;
  int code = CLI_DONE;
  if (several && shared->json) output_array_begin();
  for (size_t i = 0; i < count; i++) {
    cli_shared one = *shared;
    one.device = devices[i].id;
    if (several && !shared->json) print_heading(&devices[i], i == 0);
    if (fn(&one, user) != CLI_DONE) code = CLI_FAILED;
  }
  if (several && shared->json && !output_array_end()) code = CLI_FAILED;
  clvgg_device_list_free(devices);
  return code;
}
