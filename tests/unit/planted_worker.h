/* The worker processes that test_worker starts: each misbehaves in one way. */
#ifndef CLVGG_TESTS_PLANTED_WORKER_H
#define CLVGG_TESTS_PLANTED_WORKER_H

/* What the process does that was started as "test_worker --worker MODE". */
int planted_worker(const char *mode);

#endif
