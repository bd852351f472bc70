/* The public header alone, as C11; and the shared library exports everything that it declares. */
#include "clvgg/clvgg.h"
/* Twice, which its guard must allow. */
#include "clvgg/clvgg.h"

typedef void (*any_function)(void);
#define F(name) (any_function) name

/* clang-format off: columns */
static const any_function functions[] = {
    F(clvgg_status_name),     F(clvgg_last_error),      F(clvgg_version),
    F(clvgg_set_log),         F(clvgg_device_list),     F(clvgg_device_list_free),
    F(clvgg_device_open),     F(clvgg_device_wrap),     F(clvgg_device_close),
    F(clvgg_device_get_info), F(clvgg_device_measure),  F(clvgg_family_count),
    F(clvgg_family_get),      F(clvgg_family_find),     F(clvgg_model_options_init),
    F(clvgg_model_open),      F(clvgg_model_random),    F(clvgg_model_close),
    F(clvgg_model_get_info),  F(clvgg_model_get_layer), F(clvgg_model_class_name),
    F(clvgg_preprocess_init), F(clvgg_image_load),      F(clvgg_engine_options_init),
    F(clvgg_engine_open),     F(clvgg_engine_close),    F(clvgg_engine_run),
    F(clvgg_engine_enqueue),  F(clvgg_engine_get_info), F(clvgg_engine_get_layer),
    F(clvgg_engine_profile),  F(clvgg_top_k),           F(clvgg_verify),
    F(clvgg_image_load_rgb8), F(clvgg_engine_run_rgb8), F(clvgg_engine_profile_rgb8),
    F(clvgg_device_select)};
/* clang-format on */

int main(void) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (!functions[i]) return 1;
  return clvgg_version()[0] == '0' + CLVGG_VERSION_MAJOR ? 0 : 1;
}
