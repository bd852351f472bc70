#!/usr/bin/env python3
"""Picks 200 images of CIFAR-10's test set and their logits by PyTorch: tests/data/cifar10/ and tests/data/golden/cifar10_200.*

    make_cifar10.py IMAGES RESULT.json LOGITS.npy [OUT]

IMAGES       folder of the 10,000 test images, <class>/<number>.png
RESULT.json  "files": the image of each row of LOGITS, relative to IMAGES; "classes": the class names in the network's order
LOGITS.npy   (10000, 10) f32, computed by PyTorch with the bundled model's f16 weights and f32 arithmetic
OUT          tests/data by default

Every 50th image of a class, by file name, is taken: 20 a class. Written are the images, the logits as raw little-endian f32
(200, 10), and a text file with "path label" for each row of them. Needs numpy.
"""
import json
import pathlib
import shutil
import sys

import numpy as np


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    images, result, logits = (pathlib.Path(a) for a in sys.argv[1:4])
    out = pathlib.Path(sys.argv[4]) if len(sys.argv) == 5 else pathlib.Path(__file__).resolve().parents[1] / "data"
    result = json.loads(result.read_text())
    row_of = {name: i for i, name in enumerate(result["files"])}
    logits = np.load(logits)
    assert logits.shape == (len(row_of), len(result["classes"])), logits.shape

    chosen = []
    for label, name in enumerate(result["classes"]):
        files = sorted(p.name for p in (images / name).iterdir())
        chosen += [(f"{name}/{f}", label) for f in files[::50]]
    for path, _ in chosen:
        target = out / "cifar10" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(images / path, target)

    rows = logits[[row_of[path] for path, _ in chosen]].astype("<f4")
    golden = out / "golden"
    golden.mkdir(parents=True, exist_ok=True)
    rows.tofile(golden / "cifar10_200.f32")
    (golden / "cifar10_200.txt").write_text("".join(f"{path} {label}\n" for path, label in chosen))

    labels = np.array([label for _, label in chosen])
    order = np.argsort(-rows, axis=1, kind="stable")
    print(f"{len(rows)} images, top-1 {100 * np.mean(order[:, 0] == labels):.2f} %,",
          f"top-5 {100 * np.mean((order[:, :5] == labels[:, None]).any(1)):.2f} %")


if __name__ == "__main__":
    main()
