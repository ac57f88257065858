"""How long all measures of one step take: 51 layers of SD_UNet, 32 channels each, of 1, 4 and 16 images of 160x160.

Maps are random, normally distributed: only their sizes matter. One core: the thread that measures has no more beside a training.

    python benchmarks/measures.py [--forward]
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from timing import figure

from fm_callback.format import Label
from fm_callback.scores.activations import Activations
from fm_callback.scores.concepts import Concepts, Masks
from fm_callback.scores.layer_scores import LayerStep
from fm_callback.scores.measures import measure, measure_layer

CHANNELS = 32

# Side of the output of each convolution at 160x160, from first to last.
ATTENTION = [(side // 2, side, side // 2, side) for side in (160, 80, 40, 20, 10)]
ENCODER = [side for block in ATTENTION[:4] for side in (*block, block[0])]
DECODER = [side for block in ATTENTION[3::-1] for side in (block[1], *block)]
SIDES = [*ENCODER, *ATTENTION[4], 10, 10, 1, 10, 10, 10, *DECODER, 160]
assert len(SIDES) == 51

Layer = tuple[np.ndarray, np.ndarray]


def layers(images: int, seed: int) -> list[Layer]:
    """Maps and numbers of one step."""
    generator = np.random.default_rng(seed)
    result = []
    for number, side in enumerate(SIDES, start=1):
        channels = 3 if number == len(SIDES) else CHANNELS
        maps = generator.normal(128, 28, (images, channels, side, side)).clip(0, 255).astype(np.uint8)
        numbers = np.tile(np.array([-1, 1, 0, 0.2, 0.25, 0, 0], np.float32), (channels, 1))
        result.append((maps, numbers))
    return result


def concepts(images: int) -> Concepts:
    """A disc in noise, in each image at a place of its own, with a border of ignored pixels."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:160, :160]
    radius = np.stack(
        [np.hypot(rows - row, columns - column) for row, column in generator.uniform(60, 100, (images, 2))]
    )
    labels = (Label("disc", 0, foreground=True), Label("noise", 1), Label("border", 2, ignored=True))
    masks = Masks(np.where(radius < 48, 0, np.where(radius < 54, 2, 1)).astype(np.uint8), labels)
    return Concepts(generator.random((images, 160, 160)), masks)


def milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Median of the processor time: another job on the machine does not count."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1000 * median(times)


def rows(images: int, repeats: int) -> list[tuple[str, float]]:
    """What each part of a step costs."""
    step, probe = layers(images, seed=1), concepts(images)
    started = time.process_time()
    cells = [probe.at(*maps.shape[2:]) for maps, _ in step]
    for each in cells:
        _ = each.classes
    once = 1000 * (time.process_time() - started)
    first, previous = ([Activations.of(*layer) for layer in layers(images, seed)] for seed in (2, 3))
    for kept in (*first, *previous):
        _ = kept.gram

    scores = [measure(*layer, at) for layer, at in zip(step, cells, strict=True)]

    def channel_scores() -> None:
        for layer, at in zip(step, cells, strict=True):
            measure(*layer, at)

    def layer_scores() -> None:
        for (maps, numbers), before, start, known, at in zip(step, previous, first, scores, cells, strict=True):
            measure_layer(LayerStep(numbers, Activations.of(maps, numbers), before, start, known, maps, at, 2, 2))

    def everything() -> None:
        channel_scores()
        layer_scores()

    return [
        ("concepts, once a run", once),
        ("scores of each channel", milliseconds(channel_scores, repeats)),
        ("measures of each layer", milliseconds(layer_scores, repeats)),
        ("all of one step", milliseconds(everything, repeats)),
    ]


def forward(images: int, repeats: int) -> float:
    """What the model's own pass costs, of all cores together."""
    sys.path.append(str(Path(__file__).parents[1] / "examples"))
    from sd_unet import sd_unet

    model, batch = sd_unet(), np.zeros((images, 160, 160, 3), np.float32)
    model.predict_on_batch(batch)
    return milliseconds(lambda: model.predict_on_batch(batch), repeats)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1, 4, 16], help="sizes of the probe")
    parser.add_argument("--repeats", type=int, default=9, help="of which the median is printed")
    parser.add_argument("--quick", action="store_true", help="one image, one repetition: to see that it runs")
    parser.add_argument(
        "--forward", action="store_true", help="also time the forward pass of the model, for comparison"
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.images, options.repeats = [1], 1
    values = sum((3 if side == len(SIDES) - 1 else CHANNELS) * SIDES[side] ** 2 for side in range(len(SIDES)))
    print(
        f"{len(SIDES)} layers, {values / 1e6:.1f} million cells an image; milliseconds of one core, median of {options.repeats}"
    )
    table = {images: rows(images, options.repeats) for images in options.images}
    print(f"{'':32}" + "".join(f"{f'images: {images}':>12}" for images in options.images))
    for at, (name, _) in enumerate(table[options.images[0]]):
        print(f"{name:32}" + "".join(f"{table[images][at][1]:12.1f}" for images in options.images))
    if options.forward:
        passes = [forward(images, options.repeats) for images in options.images]
        print(f"{'forward pass of SD_UNet':32}" + "".join(f"{each:12.1f}" for each in passes))
        ratios = [table[images][-1][1] / each for images, each in zip(options.images, passes, strict=True)]
        print(f"{'measures / forward pass':32}" + "".join(f"{ratio:12.2f}" for ratio in ratios))
    for images, most in ((1, 150), (16, 1200)):
        if images in options.images:
            name = f"all measures of one step, images: {images}, one core"
            figure(name, table[images][-1][1], at_most=most, unit=" ms")


if __name__ == "__main__":
    main()
