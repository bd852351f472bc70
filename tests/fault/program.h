/* What the fault tests of the whole program share: its answers, its database, and processes of it that run beside the test. */
#ifndef CLVGG_TESTS_PROGRAM_H
#define CLVGG_TESTS_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "e2e/cli.h"
#include "store/tuning.h"

#define MODEL    HOST_DATA_DIR "/vgg16_bn_half_cifar10.safetensors"
#define CLASSIFY "classify --json -m " MODEL " %s"

extern char database[4096]; /* of this run's XDG_DATA_HOME */

/* For cmocka_run_group_tests: as the command line's, with a cache of its own, and what the bundled model says of image untuned. */
int set_up_program(void **state);

/* Whether a classification's JSON says of its one image what was said untuned. */
bool is_right_answer(const char *json);
/* Classifies, which has to end well and right. */
void expect_right_answer(void);

/* The database, which has to be stored. */
tuning *open_database(void);
/* The one device in it. */
tuning_key only_key(tuning *t);

/* Starts clvgg with the words of a line, in a process group of its own, its output to files NAME.out and NAME.err in folder. setting:
 * NULL, or a variable "NAME=value" that it has besides this process's. */
pid_t start(const char *name, const char *setting, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Its exit status, or 128 + signal; the time limit is run_seconds. */
int wait_for(pid_t pid);
/* What it wrote, up to a limit; the caller frees it. suffix: "out", "err". */
char *written(const char *name, const char *suffix);
/* Running processes whose environment has the setting. */
int count_with(const char *setting);
void sleep_ms(unsigned ms);

#endif
