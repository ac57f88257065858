"""How the cost of a step grows: with layers, channels, the side of the maps, images, and steps so far.

    python benchmarks/scale.py            # some ten minutes
    python benchmarks/scale.py --quick

Every line changes one thing of a step of 8 layers x 32 channels x 96x96 x 1 image. The model is as wide as the line asks: its
layers, depthwise 3x3 convolutions, stand side by side and see the same, so that all maps are of one kind. "behind" is the work
until the step is on disk, in milliseconds of the clock and of the processor; "ns / cell" the latter by cells of all maps. The
last column says with which power of the cells that work has grown since the line's first row: 1 is linear, 0 flat.

Then a thousand steps in one process: memory, open files, threads, and the cost of a step against that of a fresh callback.
"""

import argparse
import gc
import math
import os
from collections.abc import Sequence
from statistics import median

import keras
from driving import Subject, Watched, device, drawn_pets, wait
from timing import cpu, figure, growth, interleaved, ratio, wall

from fm_callback.capture.backends import backend

BASE = {"layers": 8, "channels": 32, "side": 96, "images": 1}
LINES = {"layers": (1, 8, 51, 200), "channels": (32, 512), "side": (96, 160, 256, 512), "images": (1, 8)}
QUICK = {"layers": (1, 4), "channels": (8, 16), "side": (32, 64), "images": (1, 2)}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="of which medians are taken (default 7)")
    parser.add_argument("--steps", type=int, default=1000, help="steps in one process (default 1,000)")
    parser.add_argument("--quick", action="store_true", help="small maps, few repetitions: to see that it runs")
    options = parser.parse_args()
    lines, base = (QUICK, BASE | {"side": 32}) if options.quick else (LINES, BASE)
    if options.quick:
        options.repeats, options.steps = 2, 120
    print(f"{device()}, medians of {options.repeats}")
    print(f"{'':14} M cells   bare ms  training thread ms   behind ms   cpu ms   ns / cell   bytes / cell   power")
    for name, sizes in lines.items():
        line(name, sizes, base, options.repeats)
    long_run(base, options.steps)


def line(name: str, sizes: Sequence[int], base: dict[str, int], repeats: int) -> None:
    """One line of the table, a row for each size."""
    first: tuple[float, float] | None = None
    for size in sizes:
        setting = base | {name: size}
        bare, blocked, clock, behind, grown = cost(setting, repeats)
        cells = setting["layers"] * setting["channels"] * setting["side"] ** 2 * setting["images"]
        power = math.log(behind / first[1]) / math.log(cells / first[0]) if first else None
        first = first or (cells, behind)
        print(
            f"{name:8}{size:6,}{cells / 1e6:8.2f}{1e3 * bare:10.1f}{1e3 * blocked:20.1f}{1e3 * clock:12.1f}{1e3 * behind:9.1f}"
            f"{1e9 * behind / cells:12.1f}{grown / cells:15.2f}" + ("" if power is None else f"{power:8.2f}"),
            flush=True,
        )
    figure(f"power of the work behind, {name} {sizes[0]:,} to {sizes[-1]:,}", power, at_most=1.1)


def cost(setting: dict[str, int], repeats: int) -> tuple[float, float, float, float, float]:
    """Seconds of the bare pass, of the training thread and, by the clock and the processor, behind it; bytes of one step."""
    subject = watched(**setting)
    tensor = keras.ops.convert_to_tensor(subject.images)
    forward = backend.compile(subject.model, lambda inputs: subject.model(inputs, training=False))
    with Watched(subject, layers=["map*"], channels="all") as ours:
        before = ours.size
        times = interleaved({"bare": lambda: wait(forward(tensor)), "ours": ours.step}, repeats)
        grown = (ours.size - before) / (repeats + 1)
        blocked, behind = ours.blocked[-repeats:], ours.behind[-repeats:]
    keras.backend.clear_session()
    gc.collect()
    return median(wall(times["bare"])), median(wall(blocked)), median(wall(behind)), median(cpu(behind)), grown


def watched(layers: int, channels: int, side: int, images: int) -> Subject:
    """A model of so many layers with so many channels each, and drawn pets."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((side, side, 3))
    x = keras.layers.Conv2D(channels, 1, name="first")(inputs)
    outputs = [keras.layers.DepthwiseConv2D(3, padding="same", name=f"map{at}")(x) for at in range(layers)]
    pets, labels = drawn_pets(images, side, seed=1)
    return Subject(keras.Model(inputs, outputs), pets.astype("float32"), labels)


def long_run(base: dict[str, int], steps: int) -> None:
    """Many steps in one process: what grows, and whether a step then costs more than one of a fresh callback."""
    files, threads = [], []
    subject = watched(**base)

    def step() -> None:
        ours.step()
        files.append(len(os.listdir("/proc/self/fd")))
        threads.append(len(os.listdir("/proc/self/task")))

    with Watched(subject, layers=["map*"], channels="all") as ours:
        growth("steps in one process", step, steps, settled=50, at_most=10)
        with Watched(subject, layers=["map*"], channels="all") as fresh:
            times = interleaved({"late": ours.step, "early": fresh.step}, 25)
    figure(f"open files, most of {steps:,} steps, more than after 50", max(files[50:]) - files[49], at_most=0)
    figure(f"threads, most of {steps:,} steps, more than after 50", max(threads[50:]) - threads[49], at_most=0)
    for clock, seconds in (("wall time", wall), ("cpu", cpu)):
        late = ratio(seconds(times["late"]), seconds(times["early"]))
        figure(f"a step after {steps:,} / a first one, {clock}", late, at_most=1.1)


if __name__ == "__main__":
    main()
