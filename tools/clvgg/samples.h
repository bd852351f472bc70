/* The images of --samples, for an engine's options. */
#ifndef CLVGG_TOOLS_SAMPLES_H
#define CLVGG_TOOLS_SAMPLES_H

#include "cli.h"

/* Reads them, prepared as preprocess says, for the channels, size and input of engine, and puts them into it: *data is theirs, to be freed after
 * the engine was opened. Nothing without --samples or with f32. 1: done; 0: reported. */
int cli_load_samples(const cli_shared *shared, size_t channels, const clvgg_preprocess *preprocess,
                     clvgg_engine_options *engine, void **data);

#endif
