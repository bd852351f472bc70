"""Writes tests/data/checkpoint/: the checkpoint forms that the readers must understand, with values known by formula.

    python tests/golden/make_checkpoints.py        (needs torch, numpy and safetensors)

Every file but strided.* holds, in its own dtype:
    features.0.weight  (2, 3, 2, 2)  element i = 0.25 * i - 1
    classifier.bias    (3,)          element i = -0.5 * (i + 1)
    seen               ()            7, i64
These values are exact in f32, f16 and bf16. The files come out the same each time: legacy files name a storage by its
address, which is replaced here by a counter of the same length.
"""
import collections
import datetime
import pathlib
import re

import numpy
import safetensors.torch
import torch

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "checkpoint"
CLASSES = ("tench", "goldfish, Carassius auratus", "caf\u00e9")


def values(dtype):
    state = collections.OrderedDict()
    state["features.0.weight"] = (torch.arange(24, dtype=torch.float32) * 0.25 - 1).reshape(2, 3, 2, 2).to(dtype)
    state["classifier.bias"] = (-0.5 * torch.arange(1, 4, dtype=torch.float32)).to(dtype)
    state["seen"] = torch.tensor(7)
    state._metadata = collections.OrderedDict([("", {"version": 1}), ("features.0", {"version": 2})])
    return state


def strided():
    """One storage of 0, 1, ..., 59, looked at in several ways."""
    base = torch.arange(60, dtype=torch.float32)
    nchw = base[:24].reshape(1, 2, 3, 4)
    return {
        "plain": base,
        "offset": base[10:16].reshape(2, 3),  # element (i, j) = 10 + 3i + j
        "transposed": base[:12].reshape(3, 4).t(),  # (4, 3): element (i, j) = i + 4j
        "channels_last": nchw.contiguous(memory_format=torch.channels_last),  # (1, 2, 3, 4): 0..23 in order
        "every_second": base[1:20:2],  # (10,): element i = 1 + 2i
        "expanded": base[5:6].expand(2, 3),  # six times 5
        "parameter": torch.nn.Parameter(base[2:4], requires_grad=True),  # 2, 3
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
    }


def mmcls():
    """What mmclassification's runner saves."""
    meta = {
        "mmcls_version": "0.20.0",
        "epoch": 100,
        "iter": 2**40,
        "seed": numpy.float64(0.5),
        "history": numpy.arange(3),
        "when": datetime.datetime(2021, 2, 8, 1, 2, 3),
        "nested": [{"a": (1, -2, None, True, False, 1.5, b"bytes", 2**80), "set": {1}, "deep": [[[]]]}],
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "size": torch.Size([1, 2]),
        "CLASSES": CLASSES,
    }
    meta["itself"] = meta
    state = values(torch.float32)
    momentum = {0: {"momentum_buffer": torch.ones(4)}}
    return {"meta": meta, "state_dict": state, "optimizer": {"state": momentum, "param_groups": [{"lr": 0.1}]}}


def save_zip(name, tree, **options):
    torch.save(tree, OUT / name, **options)


def save_legacy(name, tree, **options):
    torch.serialization.sorted = list  # storages in the order of the tree, not of their addresses
    torch.save(tree, OUT / name, _use_new_zipfile_serialization=False, **options)
    del torch.serialization.sorted
    data = (OUT / name).read_bytes()
    keys = []
    for key in re.findall(rb"(?<![0-9])[0-9]{6,20}(?![0-9])", data):
        if key not in keys:
            keys.append(key)
    for number, key in enumerate(keys):
        data = data.replace(key, str(number).zfill(len(key)).encode())
    (OUT / name).write_bytes(data)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for save, kind in ((save_zip, "zip"), (save_legacy, "legacy")):
        save(f"{kind}_f32.pth", values(torch.float32))
        save(f"{kind}_f16.pth", values(torch.float16))
        save(f"{kind}_bf16.pth", values(torch.bfloat16))
        save(f"{kind}_f64.pth", values(torch.float64), pickle_protocol=4)
        save(f"{kind}_mmcls.pth", mmcls())
        save(f"strided_{kind}.pth", strided(), pickle_protocol=5)
    save_zip("zip_mmpretrain.pth", {"meta": {"dataset_meta": {"classes": list(CLASSES)}}, "message_hub": {},
                                    "state_dict": values(torch.float32)})
    save_zip("zip_wrapped.pth", {"epoch": 3, "model": {"state_dict": values(torch.float32)}, "classes": list(CLASSES)})
    save_zip("zip_module.pth", torch.nn.Linear(2, 2))
    for name in ("f32", "f16", "bf16", "f64"):
        dtype = getattr(torch, name.replace("f", "float", 1))
        data = safetensors.torch.save(dict(values(dtype)), metadata={"note": "caf\u00e9"})
        (OUT / f"{name}.safetensors").write_bytes(data)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
