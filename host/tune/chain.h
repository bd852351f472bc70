/*
 * Plans by measuring in the chain: every time is that of a step of the whole network, since a layer alone, its weights and
 * activations warm in the caches from the run before, can be much faster than in its place.
 *
 * One engine runs plan after plan. Each is the shortest path where ways that were measured are as long as their times and those
 * that were not yet have next to no length: so it takes a new way for every layer that has one left, passes over what could
 * not win even if it took no time at all (the changes of layout around it already cost more than the best known way), and is
 * a whole network. All its steps are timed. The end is a plan with nothing new, or a number of plans, or the end of the time. It begins with
 * candidates by themselves (screen.h), so that only what may win is timed in the network.
 */
#ifndef CLVGG_TUNE_CHAIN_H
#define CLVGG_TUNE_CHAIN_H

#include "engine/engine.h"
#include "tune/search.h"

typedef struct chain chain;

/* Opens an engine with the plan that the models make, and lists candidates. search must outlive the chain; its budget counts from here. The network's weights are needed as long as the chain. */
clvgg_status chain_open(clvgg_device *dev, const network *net, const clvgg_engine_options *options,
                        const search_options *search, chain **out);
void chain_close(chain **pointer);

/* What was found out before on the same device and driver: the candidate's fault (not tried again), else its time by itself in
 * milliseconds and in the network in seconds, 0 where that is not known; when neither is,
 * it is tried before others. False: it is no candidate of this network. */
bool chain_know(chain *c, const algo *a, const algo_problem *p, const int *param, candidate_fault fault,
                double alone_ms, double seconds);

/* Searches, and makes the engine run the best plan. */
clvgg_status chain_search(chain *c);

/* How the plan found compares with the one that the models made, both run in turns. */
typedef struct chain_verdict {
  double ms, untuned_ms; /* the least time of a run, images and logits copied */
  double ratio;          /* the median of the turns' ratios, found / untuned */
  double logits_error;   /* the largest difference of the logits, relative to the largest logit */
  bool right;            /* logits agree as far as the precision says */
} chain_verdict;
/* Leaves the engine with the plan found where that is right and clearly faster, else with the untuned one. */
clvgg_status chain_compare(chain *c, chain_verdict *out);

/* Of the chain's engine. */
const plan *chain_plan(const chain *c);
const plan *chain_untuned(const chain *c); /* the models' */
double chain_flops_per_s(const chain *c);  /* the device's measured peak */
double chain_bytes_per_s(const chain *c);

#endif
