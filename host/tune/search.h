/* What the stages of a search share: who is told of it, and when it ends. */
#ifndef CLVGG_TUNE_SEARCH_H
#define CLVGG_TUNE_SEARCH_H

#include "tune/candidates.h"

/* Who is told of a search, on the thread that searches; each may be NULL. */
typedef struct search_watch {
  /* Before anything of it is built or run for the first time: whatever happens from here to ended is its doing. */
  void (*begin)(const candidate *one, void *user);
  /* It was found wrong (state, fault, why), or right and timed by itself (alone_ms). */
  void (*ended)(const candidate *one, void *user);
  /* Its time in the network. */
  void (*timed)(const candidate *one, double seconds, void *user);
  /* A plan that was run: its steps' times added up. */
  void (*ran)(const plan *p, double ms, void *user);
  /* Between things that may take long. */
  void (*alive)(void *user);
  /* True: the search is to end early, with what it has. */
  bool (*stop)(void *user);
  void *user;
} search_watch;

typedef struct search_options {
  double budget_ms;          /* 0: as long as it takes */
  bool exhaustive;           /* everything legal, not only what may be fast */
  const char *layer;         /* NULL, or the only layer whose candidates are looked at: "conv3_1", "conv1_2+pool1" */
  const search_watch *watch; /* NULL: nobody */
} search_options;

#endif
