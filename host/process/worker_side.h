/* A worker's own end: messages from and to the process that started it, and no life without that process. */
#ifndef CLVGG_PROCESS_WORKER_SIDE_H
#define CLVGG_PROCESS_WORKER_SIDE_H

#include <stdbool.h>

#include "base/status.h"
#include "process/message.h"

typedef struct worker_side worker_side;

/* Called first, before there are threads. Takes stdin and stdout for messages; from then on stdin is empty, and what is written
 * to stdout by others, drivers for example, goes to stderr. When the starting process ends, however it does, this process
 * and all of its process group are killed; when that closes its end, after a second, so that an idle worker can leave by
 * itself. Core dumps are turned off. CLVGG_ERROR_ARGUMENT when worker_start did not start this process. Once a process. */
clvgg_status worker_side_open(worker_side **out);

/* Waits for a line. *ended when there will be none any more: the worker has to leave. CLVGG_ERROR_FORMAT for what is no
 * message. */
clvgg_status worker_side_receive(worker_side *side, char line[MESSAGE_BYTES], bool *ended);

/* Sends one line, given without its newline; waits until there is room. */
clvgg_status worker_side_send(worker_side *side, const char *line);

#endif
