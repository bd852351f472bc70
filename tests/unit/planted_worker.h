/* The worker processes that the tests of workers start: each misbehaves in one way. */
#ifndef CLVGG_TESTS_PLANTED_WORKER_H
#define CLVGG_TESTS_PLANTED_WORKER_H

/* What the process does that was started as "TEST --worker MODE". */
int planted_worker(const char *mode);

#endif
