/* clvgg: finds the command, runs it, and makes sure that what it printed has arrived. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "output.h"

typedef struct command {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    {"devices", "list the OpenCL devices, and why one cannot be used", cmd_devices},
    {"models", "list the VGG family with published accuracy and checkpoints", cmd_models},
    {"info", "describe a checkpoint: its network, layers and preprocessing", cmd_info},
    {"classify", "print the most probable classes of images", cmd_classify},
    {"eval", "measure Top-1 and Top-5 accuracy on labelled images", cmd_eval},
    {"verify", "check every algorithm on this device against the C reference", cmd_verify},
    {"bench", "measure time, throughput and memory", cmd_bench},
    {"tune", "find a faster plan by measuring, and keep it", cmd_tune},
    {"explain", "show the plan with each step's time and how near it comes to the device's limits", cmd_explain},
    {"cache", "show, fill or clear what is kept to start faster", cmd_cache},
};

static void print_help(FILE *out) {
  fprintf(out,
          "Usage: clvgg COMMAND [OPTION...] [ARGUMENT...]\n\nRuns VGG image classifiers on any OpenCL device.\n\n");
  for (size_t i = 0; i < CLI_LENGTH(commands); i++) fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
  fprintf(
      out,
      "  %-10s %s\n\n"
      "'clvgg COMMAND --help' describes a command. 'clvgg --version' prints the version.\n"
      "Exit status: 0 done, 1 ran but failed, 2 wrong usage.\n\n"
      "Environment:\n"
      "  CLVGG_DEVICE      the device when -d is not given\n"
      "  CLVGG_CACHE_MB    most MiB of compiled programs that are kept, 256 without it; 0: none\n"
      "  CLVGG_TRUST       never: check algorithms and precisions at each start, not only at the first on a device;\n"
      "                    always: do not check them\n"
      "  CLVGG_TUNING      off: do not use the plans that 'clvgg tune' found\n"
      "  CLVGG_KERNEL_DIR  kernels from this folder instead of those in the program\n\n"
      "Examples:\n"
      "  clvgg devices\n"
      "  clvgg classify photo.jpg -m vgg16.pth\n",
      "help", "describe a command");
}

static const command *find_command(const char *name) {
  for (size_t i = 0; i < CLI_LENGTH(commands); i++)
    if (!strcmp(commands[i].name, name)) return &commands[i];
  const char *names[CLI_LENGTH(commands) + 1];
  for (size_t i = 0; i < CLI_LENGTH(commands); i++) names[i] = commands[i].name;
  names[CLI_LENGTH(commands)] = "help";
  const char *nearest = cli_nearest(name, names, CLI_LENGTH(names));
  if (nearest)
    cli_error("unknown command '%s'; did you mean '%s'?", name, nearest);
  else
    cli_error("unknown command '%s'; 'clvgg help' lists them", name);
  return NULL;
}

static int help(int argc, char **argv) {
  if (argc < 2 || argv[1][0] == '-' || !strcmp(argv[1], "help")) {
    print_help(stdout);
    return CLI_DONE;
  }
  const command *found = find_command(argv[1]);
  if (!found) return CLI_USAGE;
  char option[] = "--help";
  char *arguments[] = {argv[1], option, NULL};
  return found->run(2, arguments);
}

static int run(int argc, char **argv) {
  if (argc < 2) {
    print_help(stderr);
    return CLI_USAGE;
  }
  const char *word = argv[1];
  if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
    printf("clvgg %s\n", clvgg_version());
    return CLI_DONE;
  }
  if (!strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h")) return help(argc - 1, argv + 1);
  if (word[0] == '-') {
    cli_error("unknown option '%s' before the command; 'clvgg help' lists the commands", word);
    return CLI_USAGE;
  }
  const command *found = find_command(word);
  return found ? found->run(argc - 1, argv + 1) : CLI_USAGE;
}

int main(int argc, char **argv) {
  /* Started by clvgg_tune. */
  if (argc == 2 && !strcmp(argv[1], CLVGG_TUNE_WORKER_ARGUMENT)) return clvgg_tune_worker();
  /* A reader that went away is then a write error, reported like a full disk. */
  signal(SIGPIPE, SIG_IGN);
  int code = run(argc, argv);
  if (!output_flush() && code == CLI_DONE) code = CLI_FAILED;
  return code;
}
