/* clvgg_verify: checks the arguments. */
#include "verify/verify.h"

#include "api/model.h"

clvgg_status clvgg_verify(clvgg_device *device, const clvgg_model *model, size_t batch, clvgg_verify_fn fn,
                          void *user) {
  if (!device || !model) return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_verify: device and model must not be NULL");
  if (batch < 1 || batch > CLVGG_MAX_BATCH)
    return base_fail(CLVGG_ERROR_ARGUMENT, "clvgg_verify: batch is %zu, expected 1 to %d", batch, CLVGG_MAX_BATCH);
  return verify_network(device, model_network(model), &model->preprocess, batch, fn, user);
}
