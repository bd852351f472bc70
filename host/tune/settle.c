/* Of the plan found and the one without tuning, the better steps. A search lasts, and a shared machine's speed changes meanwhile: of many
 * ways the one that was timed in the best moment looks fastest. So both plans are timed again, in turns, and those times alone decide
 * which steps differ. */
#include "tune/internal.h"

/* Turns, and timed runs of a plan in a turn. Slow devices have fewer turns. */
#define TURNS     4
#define TURN_RUNS 3
#define SETTLE_MS 4000.0

clvgg_status chain_use(chain *c, const plan *p) {
  plan copy;
  TRY(plan_copy(p, &copy));
  return engine_change_plan(c->engine, c->layers, &copy);
}

static clvgg_status time_in_turns(chain *c, const plan *found, plan_costs *times) {
  const plan *plans[2] = {&c->untuned, found};
  const double start = device_host_ms();
  for (size_t turn = 0; turn < TURNS && (turn == 0 || device_host_ms() - start < SETTLE_MS); turn++)
    for (size_t i = 0; i < 2; i++) {
      double ms;
      TRY(chain_use(c, plans[chain_turn(turn, i)]));
      TRY(chain_profile(c, TURN_RUNS, times, &ms));
    }
  return CLVGG_OK;
}

clvgg_status chain_settle(chain *c, const plan *found) {
  if (plan_same(found, &c->untuned)) return chain_use(c, found);
  plan_costs times = {.flops_per_s = c->measured.flops_per_s};
  plan settled = {0};
  clvgg_status status = time_in_turns(c, found, &times);
  if (!status) status = chain_make_plan(c, &times, false, &settled);
  if (!status) status = engine_change_plan(c->engine, c->layers, &settled);
  costs_free(&times);
  /* What fails now is not used. */
  return chain_is_fault(status) ? chain_use(c, &c->untuned) : status;
}
