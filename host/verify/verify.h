/* Every algorithm on every layer against the plain C reference, on one device. */
#ifndef CLVGG_VERIFY_VERIFY_H
#define CLVGG_VERIFY_VERIFY_H

#include "device/device.h"
#include "network/network.h"

/* As clvgg_verify. preprocess: how pixels become the network's input; valid. */
clvgg_status verify_network(clvgg_device *dev, const network *net, const clvgg_preprocess *preprocess, size_t batch,
                            clvgg_verify_fn fn, void *user);

#endif
