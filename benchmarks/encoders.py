"""Which PNG encoder: bytes, milliseconds and the GIL, on the maps of SD_UNet.

    python benchmarks/encoders.py                                          # an untrained model, a drawn pet
    python benchmarks/encoders.py --model MODEL.keras --arrays FILE.npz    # trained; `test_images` of the file, uint8 (N, H, W, 3)

Two kinds of work: the grids that are stored (8-bit gray, native resolution) and the pictures for TensorBoard's Images tab (a
palette, small maps magnified). All 51 layers, 32 channels, one image of 160x160. Bytes are given as a share of the raw 8-bit
maps. "two threads" is how much faster two threads are than one: 2 where the encoder releases the GIL and a second core
is idle, 1 where it holds it.
"""

import io
import os
import struct
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import keras
import numpy as np
from driving import arguments, subject
from PIL import Image
from timing import cpu, figure, interleaved, ratio, wall

from fm_callback.capture.capture import Capture
from fm_callback.format import to_grid
from fm_callback.write import grid, png

Encoder = Callable[[Image.Image], bytes]


def main() -> None:
    """Measures and prints."""
    options = arguments(__doc__, repeats=7).parse_args()
    model, batch, _ = subject(options)
    capture = Capture(model, batch, "all", 32)
    maps, numbers, *_ = capture(keras.ops.convert_to_tensor(batch))()
    raw = sum(each.size for each in maps)
    grids, pictures = [], []
    for plan, layer, rows in zip(capture.plans, maps, numbers, strict=True):
        shape = grid.layout(len(plan.channels), *plan.axes)
        grids.append(Image.fromarray(to_grid(layer[0], *shape)))
        pictures.append(Image.fromarray(grid.picture(layer[0], rows, plan.channels, *shape)))
        pictures[-1].putpalette(grid.PALETTE)
    print(f"{len(maps)} layers, {raw / 1e6:.2f} MB of raw maps, {os.cpu_count()} cores")
    known = encoders()
    stored = compare("stored grids", known, grids, raw, options.repeats)
    copies = compare(f"Images pictures, tiles up to {grid.TILE}", known, pictures, raw, options.repeats)
    figure("stored maps / raw", stored, at_most=None if options.quick else 0.75)
    figure("Images copy / raw", copies, at_most=None if options.quick else 0.45)


def compare(title: str, known: dict[str, Encoder], images: Sequence[Image.Image], raw: int, repeats: int) -> float:
    """Prints a table of the encoders; returns the bytes of the package's own, as a share of the raw ones."""
    print(f"\n{title:32} bytes/raw   ms  cpu ms  two threads")
    halves = images[::2], images[1::2]  # layers of one size stand side by side
    with ThreadPoolExecutor(2) as pool:
        for name, encode in known.items():
            share = sum(len(checked(encode, image)) for image in images) / raw

            def work(part: Sequence[Image.Image], encode: Encoder = encode) -> None:
                for image in part:
                    encode(image)

            times = interleaved(
                {"one": lambda work=work: work(images), "two": lambda work=work: list(pool.map(work, halves))}, repeats
            )
            one, two = wall(times["one"]), wall(times["two"])
            print(
                f"{name:32} {share:9.3f} {1e3 * median(one):6.1f} {1e3 * median(cpu(times['one'])):6.1f} {ratio(one, two):8.2f}",
                flush=True,
            )
            if name == OURS:
                own = share
    return own


def checked(encode: Encoder, image: Image.Image) -> bytes:
    """What the encoder makes, if it holds the same pixels."""
    data = encode(image)
    if not np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(image)):
        raise SystemExit("an encoder changes the picture")
    return data


OURS = "fm_callback.write.png"


def encoders() -> dict[str, Encoder]:
    """All that can be imported."""
    found: dict[str, Encoder] = {
        OURS: lambda image: png.encode(np.asarray(image), grid.PALETTE if image.mode == "P" else None),
        "Pillow level 6": lambda image: pillow(image, compress_level=6),
        "Pillow level 1": lambda image: pillow(image, compress_level=1),
        "Pillow Z_RLE": lambda image: pillow(image, compress_type=zlib.Z_RLE),
    }
    packers: dict[str, Callable[[bytes], bytes]] = {
        "zlib Z_RLE": lambda data: deflated(zlib.compressobj(6, zlib.DEFLATED, 15, 8, zlib.Z_RLE), data),
        "zlib level 1": lambda data: zlib.compress(data, 1),
    }
    try:
        from isal import isal_zlib

        for level in range(4):
            packers[f"isal level {level}"] = lambda data, level=level: isal_zlib.compress(data, level)
    except ImportError as error:
        print(f"isal is left out: {error}")
    try:
        from zlib_ng import zlib_ng

        packers["zlib-ng level 1"] = lambda data: zlib_ng.compress(data, 1)
        packers["zlib-ng level 2"] = lambda data: zlib_ng.compress(data, 2)
        packers["zlib-ng Z_RLE"] = lambda data: deflated(
            zlib_ng.compressobj(6, zlib_ng.DEFLATED, 15, 8, zlib_ng.Z_RLE), data
        )
    except ImportError as error:
        print(f"zlib-ng is left out: {error}")
    try:
        import deflate

        packers["libdeflate level 1"] = lambda data: deflate.zlib_compress(data, 1)
    except ImportError as error:
        print(f"libdeflate is left out: {error}")
    for name, pack in packers.items():
        for filter_name, filtered in FILTERS.items():
            found[f"{filter_name} + {name}"] = lambda image, filtered=filtered, pack=pack: packed(image, filtered, pack)
    try:
        import cv2

        found["cv2 (leaves the palette out)"] = lambda image: bytes(cv2.imencode(".png", np.asarray(image))[1])
    except ImportError as error:
        print(f"cv2 is left out: {error}")
    return found


def pillow(image: Image.Image, **settings: int) -> bytes:
    """Pillow's encoder: filters by least sum of differences, none for a palette."""
    file = io.BytesIO()
    image.save(file, "PNG", **settings)
    return file.getvalue()


def deflated(packer: "zlib._Compress", data: bytes) -> bytes:
    """All of it at once."""
    return packer.compress(data) + packer.flush()


def sub(pixels: np.ndarray) -> np.ndarray:
    """Each pixel less its left neighbour."""
    rows = np.empty((pixels.shape[0], pixels.shape[1] + 1), np.uint8)
    rows[:, 0], rows[:, 1] = 1, pixels[:, 0]
    np.subtract(pixels[:, 1:], pixels[:, :-1], out=rows[:, 2:])
    return rows


def up(pixels: np.ndarray) -> np.ndarray:
    """Each pixel less the one above it."""
    rows = np.empty((pixels.shape[0], pixels.shape[1] + 1), np.uint8)
    rows[:, 0], rows[0, 1:] = 2, pixels[0]
    np.subtract(pixels[1:], pixels[:-1], out=rows[1:, 1:])
    return rows


FILTERS = {"Up": up, "Sub": sub}


def packed(image: Image.Image, filtered: Callable[[np.ndarray], np.ndarray], pack: Callable[[bytes], bytes]) -> bytes:
    """A PNG with one filter for all rows."""
    palette = image.getpalette()
    header = struct.pack(">IIBBBBB", *image.size, 8, 0 if palette is None else 3, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pack(filtered(np.asarray(image)).tobytes())), (b"IEND", b"")]
    if palette is not None:
        chunks.insert(1, (b"PLTE", bytes(palette)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


if __name__ == "__main__":
    main()
