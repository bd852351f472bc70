#!/usr/bin/env python3
"""Writes tests/data/image/: image files of every kind that is read, and what Pillow and torchvision make of them.

usage: make_images.py FOLDER        (needs numpy, Pillow, torch, torchvision)

FOLDER gets the fixtures and
  decode.txt  FILE WIDTH HEIGHT CRC      lossless files: CRC-32 of the RGB bytes that they must decode to
  *.rgb                                  lossy files: Pillow's RGB bytes
  resize.txt  W H OUT_W OUT_H FILTER CRC Pillow's resize() of pattern(W, H); FILTER 0 bilinear, 1 bicubic
  fit.txt     W H SHORT OUT_W OUT_H FILTER CRC   torchvision's size of Resize(SHORT), and CenterCrop
  load.txt    FILE SHORT OUT_W OUT_H FILTER INDEX VALUE ...   torchvision's whole pipeline, some elements of its tensor
"""
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from torchvision import transforms

FILTERS = [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC]
MEAN = [123.675, 116.28, 103.53]
STD = [58.395, 57.12, 57.375]


def pattern(width, height):
    """(height, width, 3) that any language can make again: see pattern() in the tests."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3].astype(np.int64)
    v = 3 * (c + 1) * x * x + (5 - c) * y * y + 7 * x * y + (11 + 40 * c) * x + 29 * y + 77 * c
    return (v >> 3 & 255).astype(np.uint8)


def smooth(width, height):
    """A picture that survives JPEG, and whose four corners differ."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([10 * x, 15 * y, np.full_like(x, 128)], axis=2).astype(np.uint8)


def crc(pixels):
    return f"{zlib.crc32(np.ascontiguousarray(pixels).tobytes()):08x}"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_rows(samples, depth):
    """samples (height, width, channels), filter type 0 rows."""
    rows = b""
    for line in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            packed = line.astype(">u2").tobytes()
        elif depth == 8:
            packed = line.astype(np.uint8).tobytes()
        else:
            bits = "".join(format(v, f"0{depth}b") for v in line)
            bits += "0" * (-len(bits) % 8)
            packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
        rows += b"\0" + packed
    return rows


def png(samples, depth, colour, extra=b"", interlace=False):
    """A PNG file of kinds that Pillow does not write."""
    height, width = samples.shape[:2]
    rows = png_rows(samples, depth)
    if interlace:  # Adam7
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        parts = [samples[y0::dy, x0::dx] for x0, y0, dx, dy in passes]
        rows = b"".join(png_rows(p, depth) for p in parts if p.size)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlace))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows, 9))
            + chunk(b"IEND", b""))


def lossless(out):
    rgb = pattern(13, 7)
    grey = rgb[:, :, 0]
    alpha = rgb[:, :, 2]
    grey3 = np.repeat(grey[:, :, None], 3, axis=2)
    index = (np.add.outer(3 * np.arange(7), np.arange(13)) % 11).astype(np.uint8)
    colours = pattern(11, 1)[0]
    bit3 = np.repeat(((grey >> 4) & 1)[:, :, None] * np.uint8(255), 3, axis=2)
    files = {
        "rgb8.png": (Image.fromarray(rgb), rgb),
        "rgba8.png": (Image.fromarray(np.dstack([rgb, alpha])), rgb),
        "grey8.png": (Image.fromarray(grey), grey3),
        "la8.png": (Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]), grey3),
        "bit1.png": (Image.fromarray(bit3[:, :, 0]).convert("1"), bit3),
        "rgb16.png": (png(rgb.astype(np.uint16) * 256 + 255 - rgb, 16, 2), rgb),
        "grey16.png": (png((grey.astype(np.uint16) * 256 + 200)[:, :, None], 16, 0), grey3),
        "grey2.png": (png((grey >> 6)[:, :, None], 2, 0), (grey3 >> 6) * np.uint8(85)),
        "grey4.png": (png((grey >> 4)[:, :, None], 4, 0), (grey3 >> 4) * np.uint8(17)),
        "interlaced.png": (png(rgb, 8, 2, interlace=True), rgb),
        "palette4.png": (png(index[:, :, None], 4, 3, chunk(b"PLTE", colours.tobytes())), colours[index]),
        "palette_short.png": (png(index[:, :, None], 4, 3, chunk(b"PLTE", colours[:5].tobytes())),
                              np.where(index[:, :, None] < 5, colours[index], np.uint8(0))),
        "palette8_trns.png": (png(index[:, :, None], 8, 3, chunk(b"PLTE", colours.tobytes())
                                  + chunk(b"tRNS", bytes(range(0, 110, 10)))), colours[index]),
        "rgb_trns.png": (png(rgb, 8, 2, chunk(b"tRNS", struct.pack(">3H", *map(int, rgb[2, 3])))), rgb),
        "rgb24.bmp": (Image.fromarray(rgb), rgb),
        "rgb32.bmp": (Image.fromarray(np.dstack([rgb, alpha])), rgb),
        "grey8.bmp": (Image.fromarray(grey), grey3),
        "bit1.bmp": (Image.fromarray(bit3[:, :, 0]).convert("1"), bit3),
        "rgb.ppm": (Image.fromarray(rgb), rgb),
        "grey.pgm": (Image.fromarray(grey), grey3),
    }
    palette = Image.fromarray(index).convert("P")
    palette.putpalette(colours.tobytes())
    palette.putdata(index.flatten().tolist())
    files["palette8.bmp"] = (palette, colours[index])
    files["palette8.png"] = (palette, colours[index])
    lines = []
    for name, (made, pixels) in sorted(files.items()):
        if isinstance(made, bytes):
            (out / name).write_bytes(made)
        else:
            made.save(out / name)
        if name != "grey16.png":  # Pillow cuts 16-bit grey to 255 instead of taking its high byte
            assert np.array_equal(np.asarray(Image.open(out / name).convert("RGB")), pixels), name
        lines.append(f"{name} {pixels.shape[1]} {pixels.shape[0]} {crc(pixels)}\n")
    (out / "decode.txt").write_text("".join(lines))


def scene(width, height):
    """Smooth areas and edges in colour."""
    y, x = np.mgrid[0:height, 0:width]
    r = 128 + 100 * np.sin(x / 7.0) * np.cos(y / 5.0)
    g = 255.0 * y / height
    b = np.where((x // 11 + y // 9) % 2, 200, 60)
    return np.stack([r, g, b], axis=2).astype(np.uint8)


def lossy(out):
    picture = Image.fromarray(scene(45, 35))
    kinds = {
        "baseline.jpg": (picture, dict(quality=90)),
        "progressive.jpg": (picture, dict(quality=90, progressive=True)),
        "full_chroma.jpg": (picture, dict(quality=92, subsampling=0)),
        "half_chroma.jpg": (picture, dict(quality=92, subsampling=1)),
        "restart.jpg": (picture, dict(quality=85, restart_marker_blocks=2)),
        "grey.jpg": (picture.convert("L"), dict(quality=90)),
        "cmyk.jpg": (picture.convert("CMYK"), dict(quality=92)),
    }
    for name, (image, options) in kinds.items():
        image.save(out / name, **options)
        pixels = np.asarray(Image.open(out / name).convert("RGB"))
        (out / (Path(name).stem + ".rgb")).write_bytes(pixels.tobytes())


def exif(order, orientation):
    """Two entries before the orientation, as cameras have them."""
    entries = [(0x010F, 2, 4, b"Cam\0"), (0x011A, 4, 1, struct.pack(order + "I", 72)),
               (0x0112, 3, 1, struct.pack(order + "HH", orientation, 0))]
    block = (b"MM" if order == ">" else b"II") + struct.pack(order + "HIH", 42, 8, len(entries))
    for tag, kind, count, value in entries:
        block += struct.pack(order + "HHI", tag, kind, count) + value
    return block + struct.pack(order + "I", 0)


def orientations(out):
    upright = Image.fromarray(smooth(24, 16))
    turn = Image.Transpose
    stored_as = {1: None, 2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE,
                 6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270}  # the inverses of what a viewer does
    for n, way in stored_as.items():
        stored = upright if way is None else upright.transpose(way)
        for order, tag in ((">", "mm"), ("<", "ii")):
            name = out / f"orientation{n}_{tag}.jpg"
            stored.save(name, quality=95, subsampling=0, exif=b"Exif\0\0" + exif(order, n))
            shown = np.asarray(ImageOps.exif_transpose(Image.open(name)).convert("RGB")).astype(int)
            assert shown.shape == (16, 24, 3) and np.abs(shown - smooth(24, 16)).max() <= 4, name
    samples = np.asarray(upright.transpose(turn.ROTATE_90))
    (out / "orientation6.png").write_bytes(png(samples, 8, 2, chunk(b"eXIf", exif("<", 6))))
    shown = np.asarray(ImageOps.exif_transpose(Image.open(out / "orientation6.png")))
    assert np.array_equal(shown, smooth(24, 16))


def resize(image, width, height, kind):
    """Across, then down: Pillow always went so; the newest versions go down first where they find that cheaper."""
    return image.resize((width, image.height), kind).resize((width, height), kind)


def resizes(out):
    sizes = [(500, 375, 341, 256), (375, 500, 256, 341), (33, 17, 15, 8), (17, 33, 8, 16), (7, 5, 64, 45), (5, 7, 64, 91),
             (1, 1, 1, 1), (1, 1, 9, 4), (9, 4, 1, 1), (64, 64, 64, 20), (64, 64, 20, 64), (64, 48, 64, 48),
             (200, 3, 31, 50), (3, 200, 50, 31), (256, 256, 255, 257), (301, 97, 100, 33), (32, 32, 224, 224)]
    lines = []
    for w, h, ow, oh in sizes:
        for f, kind in enumerate(FILTERS):
            pixels = np.asarray(resize(Image.fromarray(pattern(w, h)), ow, oh, kind))
            lines.append(f"{w} {h} {ow} {oh} {f} {crc(pixels)}\n")
    (out / "resize.txt").write_text("".join(lines))

    cases = [(500, 375, 256, 224, 224), (375, 500, 256, 224, 224), (333, 500, 256, 224, 224), (500, 334, 255, 224, 224),
             (33, 17, 8, 8, 8), (7, 5, 64, 60, 61), (1, 1, 4, 3, 2), (10, 7, 0, 5, 4), (11, 8, 0, 4, 3), (12, 12, 0, 12, 12),
             (13, 10, 0, 6, 5), (256, 300, 256, 224, 224), (300, 256, 256, 33, 129), (640, 2, 7, 7, 7), (2, 640, 7, 5, 6)]
    lines = []
    for w, h, short, ow, oh in cases:
        for f, kind in enumerate(FILTERS):
            image = Image.fromarray(pattern(w, h))
            if short:
                image = resize(image, *transforms.Resize(short, kind)(image).size, kind)
            pixels = transforms.CenterCrop((oh, ow))(image)
            lines.append(f"{w} {h} {short} {ow} {oh} {f} {crc(np.asarray(pixels))}\n")
    # Smaller than the crop: torchvision pads, clvgg resizes what it has to the crop's size.
    for w, h, short, ow, oh in [(28, 28, 0, 32, 32), (40, 20, 0, 32, 32), (50, 30, 16, 32, 32)]:
        for f, kind in enumerate(FILTERS):
            image = Image.fromarray(pattern(w, h))
            if short:
                image = resize(image, *transforms.Resize(short, kind)(image).size, kind)
            lines.append(f"{w} {h} {short} {ow} {oh} {f} {crc(np.asarray(resize(image, ow, oh, kind)))}\n")
    (out / "fit.txt").write_text("".join(lines))


def load(out):
    lines = []
    for name, short, ow, oh, f in [("rgb8.png", 32, 28, 24, 0), ("grey8.png", 9, 8, 8, 1), ("orientation6.png", 12, 12, 10, 0)]:
        image = ImageOps.exif_transpose(Image.open(out / name)).convert("RGB")
        steps = [transforms.Resize(short, FILTERS[f]), transforms.CenterCrop((oh, ow)), transforms.ToTensor(),
                 transforms.Normalize([m / 255 for m in MEAN], [s / 255 for s in STD])]
        tensor = transforms.Compose(steps)(image).flatten().tolist()
        chosen = range(0, len(tensor), len(tensor) // 16 + 1)
        lines.append(f"{name} {short} {ow} {oh} {f} " + " ".join(f"{i} {tensor[i]:.6f}" for i in chosen) + "\n")
    (out / "load.txt").write_text("".join(lines))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    lossless(out)
    lossy(out)
    orientations(out)
    resizes(out)
    load(out)


if __name__ == "__main__":
    main()
