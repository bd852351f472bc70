/* Options that an application gives, made whole and checked. */
#ifndef CLVGG_API_OPTIONS_H
#define CLVGG_API_OPTIONS_H

#include "base/status.h"

/* options NULL: the defaults. preprocess is passed on as it is. */
clvgg_status engine_options_read(const clvgg_engine_options *options, clvgg_engine_options *all);

#endif
