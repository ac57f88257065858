"""What the benchmarks drive: SD_UNet, a picture, and the callback as `fit` would drive it, one epoch's end at a time."""

import argparse
import os
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import keras  # noqa: E402
import numpy as np  # noqa: E402
from drawn_pets import BORDER, PET, drawn_pets  # noqa: E402
from sd_unet import sd_unet  # noqa: E402
from timing import Spent, spent  # noqa: E402

from fm_callback import FeatureMapCallback  # noqa: E402
from fm_callback.capture.backends import backend  # noqa: E402


class Subject(NamedTuple):
    """A model, and what it is watched on: images (N, H, W, 3) from 0 to 255 and their trimaps (N, H, W)."""

    model: keras.Model
    images: np.ndarray
    labels: np.ndarray


def arguments(description: str | None, *, repeats: int) -> argparse.ArgumentParser:
    """The options that benchmarks on SD_UNet have in common."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a trained full SD_UNet, a .keras file (default: untrained)")
    parser.add_argument(
        "--arrays",
        type=Path,
        help="an .npz file of photographs, `test_images` and `test_labels` (default: a drawn pet)",
    )
    parser.add_argument("--size", type=int, default=160, help="side of the image, a multiple of 32 (default 160)")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"of which medians are taken (default {repeats})")
    parser.add_argument("--quick", action="store_true", help="a small model, few repetitions: to see that it runs")
    return parser


def subject(options: argparse.Namespace) -> Subject:
    """SD_UNet and one picture, as the options say."""
    keras.utils.set_random_seed(1)
    if options.quick:
        options.size, options.repeats = 32, 2
    shape = (options.size, options.size, 3)
    model = sd_unet(shape, filters=(8, 8, 16, 16, 16), neck=16) if options.quick else sd_unet(shape)
    if options.model is not None:  # its weights alone: it may have been trained at another size
        model.set_weights(keras.models.load_model(options.model, compile=False).get_weights())
    if options.arrays is not None:
        arrays = np.load(options.arrays)
        images, labels = arrays["test_images"][:1], arrays["test_labels"][:1]
    else:
        images, labels = drawn_pets(1, options.size, seed=1)
    weights = "untrained" if options.model is None else "trained"
    source = "a drawn pet" if options.arrays is None else "a photograph"
    print(f"SD_UNet of {model.count_params():,} parameters, {weights}, {source} of {options.size}×{options.size}")
    return Subject(model, images.astype("float32"), labels)


class Watched:
    """The callback on a model, one epoch's end at a time.

    Attributes:
        blocked: What the training thread waited for, each time: `on_epoch_end` alone, while the thread behind is idle.
        behind: What followed until the step was on disk.
        file: The file that is written last, TensorBoard's copies.
    """

    def __init__(self, subject: Subject, layers: Any = "all", channels: int | str = 32) -> None:
        self.directory = tempfile.mkdtemp()
        self.callback = FeatureMapCallback(
            subject.images,
            self.directory,
            masks=subject.labels,
            foreground=PET,
            ignore=BORDER,
            layers=layers,
            channels=channels,
        )
        self.callback.set_params({"verbose": 0, "epochs": 10**6})
        self.callback.set_model(subject.model)
        self.blocked: list[Spent] = []
        self.behind: list[Spent] = []

    def __enter__(self) -> "Watched":
        self.callback.on_train_begin()
        began = time.perf_counter()
        self.callback.on_epoch_begin(0)
        self.step_zero = time.perf_counter() - began
        (self.file,) = Path(self.directory).rglob("events.out.tfevents.*")
        self._written = self.file.stat().st_size
        return self

    def __exit__(self, *_: object) -> None:
        self.callback.on_train_end()
        shutil.rmtree(self.directory)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in self.file.parent.iterdir())

    def step(self) -> None:
        """The end of an epoch, until its step is on disk."""
        self.blocked.append(spent(lambda: self.callback.on_epoch_end(len(self.blocked))))
        self.behind.append(spent(self._drain))

    def _drain(self) -> None:
        """Waits until the file that is written last holds whole records more, and nothing behind them."""
        deadline = time.monotonic() + 60
        with open(self.file, "rb") as file:
            while time.monotonic() < deadline:
                size, end = os.fstat(file.fileno()).st_size, self._written
                while size >= end + 8:
                    file.seek(end)
                    (length,) = struct.unpack("<Q", file.read(8))
                    end += length + 16
                if self._written < end == size:
                    self._written = end
                    return
                time.sleep(0.001)
        raise SystemExit("the step was not on disk within a minute")


def wait(tensors: Any) -> None:
    """Until the device is done."""
    if backend.name == "jax":
        for tensor in keras.tree.flatten(tensors):
            tensor.block_until_ready()
    elif backend.name == "torch" and sys.modules["torch"].cuda.is_available():
        sys.modules["torch"].cuda.synchronize()
    elif backend.name == "tensorflow" and sys.modules["tensorflow"].config.list_physical_devices("GPU"):
        sys.modules["tensorflow"].test.experimental.sync_devices()


def device() -> str:
    """The backend, and where its tensors live."""
    return f"{backend.name} on {getattr(keras.ops.zeros(()), 'device', 'an unknown device')}"


def accelerated() -> bool:
    """Whether that is something else than a CPU."""
    return "cpu" not in device().lower()
