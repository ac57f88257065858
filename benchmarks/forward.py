"""What one step of the callback costs, against one bare forward pass: one run, medians of interleaved repetitions.

    python benchmarks/forward.py                      # full SD_UNet, 160x160, one image, all 51 layers, 32 channels
    KERAS_BACKEND=jax python benchmarks/forward.py
    python benchmarks/forward.py --quick              # a small SD_UNet, to see that it runs

Runs on whichever backend and device Keras sees. Every ratio is to the bare pass: `model(image, training=False)` compiled once, its
output awaited. "Training thread" is what `on_epoch_end` takes while the thread behind it is idle; "all work" lasts until
the step is on disk.
"""

import argparse
import os
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import keras  # noqa: E402
import numpy as np  # noqa: E402
from sd_unet import sd_unet  # noqa: E402

from fm_callback import FeatureMapCallback  # noqa: E402
from fm_callback.backends import BACKEND, compiled, to_host  # noqa: E402
from fm_callback.extractor import Capture  # noqa: E402


def main() -> None:
    """Measures and prints."""
    options = arguments()
    model, image, choice = setting(options)
    batch = image[None]
    tensor = keras.ops.convert_to_tensor(batch)
    forward = compiled(model, lambda inputs: model(inputs, training=False))
    capture = Capture(model, batch, choice, 32)
    bare = lambda: wait(forward(tensor))  # noqa: E731
    print(
        f"{BACKEND} on {device(tensor)}, {image.shape[0]}×{image.shape[1]}, {len(capture.plans)} layers, medians of {options.repeats}"
    )

    with Watched(model, image, choice) as ours:
        ways: dict[str, Callable[[], Any]] = {
            "bare forward pass": bare,
            "forward pass that keeps the maps, awaited": lambda: wait(capture(tensor)),
            "the same and its summary, awaited on the device": lambda: wait(capture._summarise(capture(tensor))),
            "the same, on the host": lambda: to_host(capture._summarise(capture(tensor))),
            "ours, training thread (on_epoch_end)": ours.step,
            "the reference's way: new Model + predict": reference(model, batch, capture),
        }
        explained = tf_explain(model, batch, capture)
        if explained is not None:
            ways["tf-explain's callback"] = explained
        rivals = set(list(ways)[5:])
        times = interleaved(ways, options.repeats, rivals, after={"ours, training thread (on_epoch_end)": ours.drain})
        both = [
            step + drain
            for step, drain in zip(times["ours, training thread (on_epoch_end)"], times.pop("drain"), strict=True)
        ]
        times["ours, all work, threads included"] = both
        table(times)
        growth(ours, options.captures)
    if BACKEND == "torch":
        print("torch runs eagerly: nothing is compiled, and the bare pass is one eager call")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", default="all", help="'all' (default) or a count")
    parser.add_argument("--size", type=int, default=160, help="side of the image, a multiple of 32 (default 160)")
    parser.add_argument("--repeats", type=int, default=15, help="repetitions of each way (default 15)")
    parser.add_argument("--captures", type=int, default=300, help="captures over which memory is watched (default 300)")
    parser.add_argument("--quick", action="store_true", help="a small model, few repetitions")
    options = parser.parse_args()
    if options.quick:
        options.size, options.repeats, options.captures = 32, 3, 30
    return options


def setting(options: argparse.Namespace) -> tuple[keras.Model, np.ndarray, int | str]:
    """The model, the image, the choice of layers."""
    keras.utils.set_random_seed(1)
    shape = (options.size, options.size, 3)
    model = sd_unet(shape, filters=(8, 8, 16, 16, 16), neck=16) if options.quick else sd_unet(shape)
    image = np.random.default_rng(0).random(shape, "float32")
    return model, image, "all" if options.layers == "all" else int(options.layers)


class Watched:
    """The callback as `fit` would drive it, one epoch's end at a time."""

    def __init__(self, model: keras.Model, image: np.ndarray, choice: int | str) -> None:
        self.directory = tempfile.mkdtemp()
        self.callback = FeatureMapCallback(image, self.directory, layers=choice, channels=32)
        self.callback.set_params({"verbose": 0, "epochs": 10**6})
        self.callback.set_model(model)
        self.epoch = 0

    def __enter__(self) -> "Watched":
        began = time.perf_counter()
        self.callback.on_train_begin()
        self.callback.on_epoch_begin(0)
        self.written = self.callback._recorder._file.path.stat().st_size
        print(f"step 0, compilation included: {time.perf_counter() - began:.1f} s")
        return self

    def __exit__(self, *_: object) -> None:
        self.callback.on_train_end()
        shutil.rmtree(self.directory)

    def step(self) -> None:
        self.callback.on_epoch_end(self.epoch)
        self.epoch += 1

    def drain(self) -> None:
        """Waits until the thread behind has written the step: until the event file holds one whole record more."""
        with open(self.callback._recorder._file.path, "rb") as file:
            while True:
                size = os.fstat(file.fileno()).st_size
                if size >= self.written + 8:
                    file.seek(self.written)
                    (length,) = struct.unpack("<Q", file.read(8))
                    if size >= self.written + length + 16:
                        self.written += length + 16
                        return
                time.sleep(0.0005)


def reference(model: keras.Model, batch: np.ndarray, capture: Capture) -> Callable[[], None]:
    """A new model of all the layers' outputs, and `predict`, at each epoch."""
    names = [plan.info.path for plan in capture.plans]

    def way() -> None:
        keras.Model(model.input, [model.get_layer(name).output for name in names]).predict(batch, verbose=0)

    return way


def tf_explain(model: keras.Model, batch: np.ndarray, capture: Capture) -> Callable[[], None] | None:
    """tf-explain's callback for the same layers, if it is installed."""
    try:
        from tf_explain.callbacks.activations_visualization import ActivationsVisualizationCallback
    except Exception as error:
        print(f"tf-explain is left out: {type(error).__name__}: {error}")
        return None
    names = [plan.info.path for plan in capture.plans]
    callback = ActivationsVisualizationCallback((batch, None), names, output_dir=tempfile.mkdtemp())
    callback.set_model(model)
    epochs = iter(range(10**6))
    return lambda: callback.on_epoch_end(next(epochs))


def interleaved(
    ways: dict[str, Callable[[], Any]], repeats: int, rivals: set[str], after: dict[str, Callable[[], None]]
) -> dict[str, list[float]]:
    """Seconds of each way, in turns, so that a busy machine is busy for all; one turn goes before, rivals take three at most."""
    times: dict[str, list[float]] = {name: [] for name in [*ways, "drain"]}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            if name in rivals and turn > 3:
                continue
            spent = seconds(way)
            left = seconds(after[name]) if name in after else None
            if turn:
                times[name].append(spent)
                if left is not None:
                    times["drain"].append(left)
    return times


def seconds(way: Callable[[], Any]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    way()
    return time.perf_counter() - began


def table(times: dict[str, list[float]]) -> None:
    """Prints medians and their ratios to the first row."""
    base = median(next(iter(times.values())))
    width = max(map(len, times))
    print(f"{'':{width}}       ms  lowest  / bare")
    for name, taken in times.items():
        print(f"{name:{width}} {1e3 * median(taken):8.1f} {1e3 * min(taken):7.1f} {median(taken) / base:7.2f}")


def growth(ours: Watched, captures: int) -> None:
    """Resident memory over many captures, the first twenty apart: it swings by one step's pictures, so medians of many."""
    sizes = []
    for _ in range(captures):
        ours.step()
        ours.drain()
        sizes.append(resident())
    later = sizes[min(20, captures // 2) :]
    part = max(1, len(later) // 4)
    change = median(later[-part:]) - median(later[:part])
    swing = max(later) - min(later)
    print(
        f"resident memory, last quarter of {len(later)} captures against the first: {change:+.1f} MB (swing {swing:.1f} MB)"
    )


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def wait(tensors: Any) -> None:
    """Until the device is done."""
    for tensor in keras.tree.flatten(tensors):
        if BACKEND == "jax":
            tensor.block_until_ready()
    if BACKEND == "torch" and sys.modules["torch"].cuda.is_available():
        sys.modules["torch"].cuda.synchronize()
    elif BACKEND == "tensorflow" and sys.modules["tensorflow"].config.list_physical_devices("GPU"):
        sys.modules["tensorflow"].test.experimental.sync_devices()


def device(tensor: Any) -> str:
    """Where a tensor lives."""
    return str(getattr(tensor, "device", "an unknown device"))


if __name__ == "__main__":
    main()
