#!/usr/bin/env python3
"""Computes the logits that tests/e2e/test_golden.c expects, with torchvision's networks in float64: tests/data/golden/*.f32

    make_golden.py [OUT]

Weights and input are the seeded numbers of clvgg_model_random(NAME, 1) (host/network/random.c, host/base/random.h): tensor t
of the network, in the order of torchvision's state dict, is stream seed * 1000 + t; the input is stream 999. Only the
numbers are shared with the C code; layers, batch normalisation and pooling are torchvision's own.
A file is raw little-endian f32 (images, 1000). Needs torch, torchvision, numpy and 4 GB of memory; takes some minutes.
"""
import pathlib
import sys

import numpy as np
import torch
import torchvision

SEED = 1
INPUT_STREAM = 999
CHUNK = 1 << 22  # elements at once: bounds the memory of the 64-bit arithmetic

# file name: torchvision's constructor, images, height, width
CASES = {name: (name, 1, 224, 224) for name in
         ("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn")}
CASES["vgg11_160x192"] = ("vgg11", 1, 160, 192)
CASES["vgg16_batch2"] = ("vgg16", 2, 224, 224)


def fill(stream, low, high, shape):
    """random_fill() of host/base/random.c: splitmix64 of a counter, scaled in f32."""
    low, high = np.float32(low), np.float32(high)
    n = int(np.prod(shape))
    out = np.empty(n, np.float32)
    base = np.uint64((stream * 0xD1342543DE82EF95) & (2**64 - 1))
    for start in range(0, n, CHUNK):
        i = np.arange(start + 1, min(n, start + CHUNK) + 1, dtype=np.uint64)
        z = base + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        u = (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        out[start:start + len(i)] = low + (high - low) * u
    return torch.from_numpy(out.reshape(shape))


def bounds(key, shape, batch_norm_weight):
    """The range of a tensor's uniform numbers."""
    if key.endswith("running_mean"):
        return -0.1, 0.1
    if key.endswith("running_var"):
        return 0.5, 1.5
    if batch_norm_weight:
        return (0.8, 1.2) if key.endswith("weight") else (-0.1, 0.1)
    if key.endswith("bias"):
        return -0.05, 0.05
    fan_in = int(np.prod(shape[1:]))
    a = np.float32(np.sqrt(6 / fan_in))
    return -a, a


def build(name):
    model = getattr(torchvision.models, name)(weights=None, init_weights=False)
    batch_norms = {n for n, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    keys = [k for k in model.state_dict() if not k.endswith("num_batches_tracked")]
    with torch.no_grad():
        for t, key in enumerate(keys):
            target = model.state_dict()[key]
            module = key.rsplit(".", 1)[0]
            target.copy_(fill(SEED * 1000 + t, *bounds(key, target.shape, module in batch_norms), tuple(target.shape)))
    return model.eval()


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1] / "data/golden"
    torch.set_num_threads(2)
    made = None
    for case, (name, images, height, width) in sorted(CASES.items(), key=lambda c: c[1][0]):
        if made is None or made[0] != name:
            made = (name, build(name))
        x = fill(INPUT_STREAM, -2, 2, (images, 3, height, width))
        with torch.no_grad():
            single = made[1].float()(x).double()
            exact = made[1].double()(x.double())
        scale = exact.abs().max()
        exact.numpy().astype("<f4").tofile(out / f"{case}.f32")
        print(f"{case}: max |logit| {scale:.4f}, std {exact.std():.4f}, torch's own f32 differs by "
              f"{(single - exact).abs().max() / scale:.2e} of it", flush=True)


if __name__ == "__main__":
    main()
