#!/usr/bin/env python3
"""Prints the constants of tests/unit/test_network.c: seeded weights and folded batch norm, from numpy alone."""
import numpy as np

STAGES = {"vgg11": (1, 1, 2, 2, 2), "vgg16_bn": (2, 2, 3, 3, 3)}


def uniform(stream, i):
    mask = 2**64 - 1
    z = (stream * 0xD1342543DE82EF95 + (i + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
    return np.float32((z ^ z >> 31) >> 40) * np.float32(2.0**-24)


def value(seed, t, i, low, high):
    low, high = np.float32(low), np.float32(high)
    return low + (high - low) * uniform((seed * 1000 + t) % 2**64, i)


def bound(inputs):
    return np.float32(np.sqrt(6.0 / inputs))


def exact(x):
    return float(x).hex()


def main():
    a = bound(27)
    print("vgg11 seed 7, features.0.weight[0, 1, 1727]", *[exact(value(7, 0, i, -a, a)) for i in (0, 1, 1727)])
    a = bound(512 * 49)  # fc6 is tensor 2 * 8
    print("vgg11 seed 7, classifier.0.weight[102760447]", exact(value(7, 16, 102760447, -a, a)))
    print("vgg11 seed 7, classifier.6.bias[999]", exact(value(7, 21, 999, -0.05, 0.05)))

    # vgg16_bn, seed 2^63 + 5 (the stream wraps), conv1_2 is tensors 6..11: weight, bias, then the BN
    seed, channel = 2**63 + 5, 63
    bias, gamma, beta, mean, var = [
        np.float64(value(seed, 7 + k, channel, low, high))
        for k, (low, high) in enumerate([(-0.05, 0.05), (0.8, 1.2), (-0.1, 0.1), (-0.1, 0.1), (0.5, 1.5)])
    ]
    scale = gamma / np.sqrt(var + 1e-5)
    print("vgg16_bn seed 2^63+5, conv1_2 channel 63: scale", exact(np.float32(scale)), "bias",
          exact(np.float32((bias - mean) * scale + beta)))
    a = bound(64 * 9)
    print("its last folded weight", exact(value(seed, 6, 64 * 64 * 9 - 1, -a, a) * np.float32(scale)))


main()
