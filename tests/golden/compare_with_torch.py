#!/usr/bin/env python3
"""Full-size networks through PyTorch and through clvgg, side by side, from the same checkpoint file and the same photo.

Makes torchvision networks with seeded weights, saves each in mmclassification's key names in both of torch.save's
containers (zip and legacy), prepares one photo with Pillow as mmclassification does, and prints PyTorch's five best
answers beside `clvgg classify`'s. Exits 1 when an answer or a probability (1e-4) differs.

Needs torch, torchvision, numpy, pillow and about 2 GB of disk.
Usage: compare_with_torch.py CLVGG FOLDER [PHOTO] [ARCH ...]      e.g. compare_with_torch.py build/tools/clvgg /tmp/compare
"""
import json
import os
import subprocess
import sys

import numpy as np
import torch
import torchvision
from PIL import Image, ImageDraw


def mmcls_names(model):
    """torchvision's state dict under mmclassification's names: a ConvModule is one entry, ReLU has none of its own."""
    state, out, index = model.state_dict(), {}, 0
    layers = list(model.features)
    i = 0
    while i < len(layers):
        if isinstance(layers[i], torch.nn.Conv2d):
            for key in ("weight", "bias"):
                out[f"backbone.features.{index}.conv.{key}"] = state[f"features.{i}.{key}"]
            if i + 1 < len(layers) and isinstance(layers[i + 1], torch.nn.BatchNorm2d):
                for key in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                    out[f"backbone.features.{index}.bn.{key}"] = state[f"features.{i + 1}.{key}"]
                i += 1
            i += 2  # the ReLU
        else:
            i += 1
        index += 1
    for n in (0, 3, 6):
        for key in ("weight", "bias"):
            out[f"backbone.classifier.{n}.{key}"] = state[f"classifier.{n}.{key}"]
    return out


def draw_photo(path):
    """A picture with edges, gradients and noise, so that every step of the preparation shows."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:375, 0:500]
    pixels = np.stack([x * 255 / 499, y * 255 / 374, (x + y) * 255 / 873], -1) + rng.normal(0, 12, (375, 500, 3))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((120, 60, 330, 300), fill=(210, 140, 40))
    draw.rectangle((260, 180, 450, 350), fill=(30, 60, 160))
    image.save(path)


def prepare(path):
    """Short side 256 (Pillow's bilinear), centre crop 224, mean and standard deviation of ImageNet."""
    image = Image.open(path).convert("RGB")
    width, height = image.size
    short = min(width, height)
    image = image.resize((int(256 * width / short), int(256 * height / short)), Image.BILINEAR)
    left, top = round((image.size[0] - 224) / 2), round((image.size[1] - 224) / 2)
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    mean = np.array([123.675, 116.28, 103.53], np.float32)
    std = np.array([58.395, 57.12, 57.375], np.float32)
    return torch.from_numpy(((pixels - mean) / std).transpose(2, 0, 1)[None].copy())


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    clvgg, folder, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(folder, exist_ok=True)
    photo = rest[0] if rest else os.path.join(folder, "photo.png")
    if not rest:
        draw_photo(photo)
    names = torchvision.models._meta._IMAGENET_CATEGORIES
    failed = False
    for arch in rest[1:] or ("vgg16", "vgg19_bn"):
        torch.manual_seed(3)
        model = getattr(torchvision.models, arch)(weights=None).eval()
        for module in model.modules():  # statistics as training would leave them, not 0 and 1
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
                torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        torch.nn.init.normal_(model.classifier[6].weight, 0, 0.2)  # answers that differ, not 1000 times 0.001
        with torch.inference_mode():
            probability = torch.softmax(model(prepare(photo)).double(), 1)[0]
        want = torch.topk(probability, 5)
        file = {"meta": {"CLASSES": tuple(names), "epoch": 100, "config": "model = ..."}, "state_dict": mmcls_names(model)}
        for container in ("zip", "legacy"):
            path = os.path.join(folder, f"{arch}_{container}.pth")
            torch.save(file, path, _use_new_zipfile_serialization=container == "zip")
            run = subprocess.run([clvgg, "classify", "--json", "-m", path, photo], capture_output=True, text=True)
            if run.returncode:
                print(f"{arch} {container}: {run.stderr.strip()}")
                failed = True
                continue
            print(f"{arch}, {container} container ({os.path.getsize(path) >> 20} MiB)")
            print(f"  {'PyTorch':36}  clvgg")
            for p, i, got in zip(want.values.tolist(), want.indices.tolist(), json.loads(run.stdout)[0]["top"]):
                same = got["index"] == i and abs(got["probability"] - p) < 1e-4
                failed |= not same
                print(f"  {p:8.5f} {names[i]:27}  {got['probability']:8.5f} {got['label']}{'' if same else '   DIFFERS'}")
            os.remove(path)
    sys.exit(1 if failed else 0)


main()
