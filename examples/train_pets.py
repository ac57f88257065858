"""Trains SD_UNet to tell pet, background and border apart, and logs its feature maps after every epoch.

The default is a slim variant on drawn pets: no download, about two and a half minutes on two CPU cores. With
`--data oxford_iiit_pet` it is the full model on photographs, for 30 epochs: a matter for a GPU.
"""

import argparse
import fnmatch
import os
import shlex
import shutil
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from quiet import quiet

INSTALL = "Install what the examples need: pip install -e '.[examples]'"

try:
    with quiet():
        import keras

        keras.ops.transpose(keras.ops.zeros((2, 2), "int32"))  # the first operations look for devices, and say so
    from pets import BORDER, CLASSES, PET, drawn_pets, oxford_iiit_pet
    from sd_unet import sd_unet

    from fm_callback import FeatureMapCallback, conv_layers
except ImportError as error:
    sys.exit(f"{error}. {INSTALL}")

EIGHT = [1, 5, 12, 24, 33, 43, 50, 51]  # from the first squeeze-and-attention to the softmax head
PROBE = 4  # held-out pictures whose feature maps are logged
HELD_OUT = 48  # drawn pictures that measure progress
#: What a short training in batches of two learns most with.
SHORT = {"rate": 4e-3, "warm_up": 0.2, "beta_2": 0.95, "overlap": 1.0}


@dataclass(frozen=True)
class Recipe:
    """What suits one data set.

    Attributes:
        size: Side of the pictures.
        filters: Filters of the four encoder levels and of the bottom.
        neck: Filters of DASPP.
        epochs: Number of epochs.
        batch: Pictures in a step.
        steps: Steps in an epoch; None is one pass through the data.
    """

    size: int
    filters: tuple[int, ...]
    neck: int
    epochs: int
    batch: int
    steps: int | None


RECIPES = {
    "drawn": Recipe(96, (32,) * 5, 32, epochs=12, batch=2, steps=45),
    "oxford_iiit_pet": Recipe(160, (32, 64, 128, 256, 512), 256, epochs=30, batch=32, steps=None),
}


class Batches(keras.utils.PyDataset):
    """Pictures in batches, shuffled anew on each pass; an epoch may be shorter than a pass, which then goes on."""

    def __init__(
        self, pairs: tuple, batch: int, *, drawn: bool, steps: int | None = None, seed: int | None = None
    ) -> None:
        super().__init__()
        self.images, self.labels = pairs
        self.batch = min(batch, len(self.images))
        self.steps = steps or -(-len(self.images) // batch)
        self.drawn = drawn
        self.rng = None if seed is None else np.random.default_rng(seed)
        self.queue = np.arange(0)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.rng is None:  # held out: always the same, in order
            picked = np.arange(len(self.images))[index * self.batch : (index + 1) * self.batch]
        else:
            if len(self.queue) < self.batch:
                self.queue = np.append(self.queue, self.rng.permutation(len(self.images)))
            picked, self.queue = self.queue[: self.batch], self.queue[self.batch :]
        images, labels = scaled(self.images[picked], self.drawn), self.labels[picked]
        if self.drawn and self.rng is not None:
            mirrored = self.rng.random(len(picked)) < 0.5
            images[mirrored], labels[mirrored] = images[mirrored, :, ::-1], labels[mirrored, :, ::-1]
        return images, labels


def scaled(images: np.ndarray, drawn: bool) -> np.ndarray:
    """What the network sees: -1 to 1 for drawn pets, 0 to 255 in the reference training."""
    return images.astype(np.float32) / 127.5 - 1 if drawn else images.astype(np.float32)


def border_jaccard(labels: Any, probabilities: Any, overlap: float = 0.5) -> Any:
    """Cross-entropy that counts the thin border half as much again, plus `overlap` times one minus the soft Jaccard index."""
    truth = keras.ops.one_hot(keras.ops.cast(labels, "int32"), len(CLASSES))
    weight = 1 + 0.5 * truth[..., BORDER]
    entropy = -keras.ops.log(keras.ops.sum(truth * probabilities, -1) + 1e-7)
    common = keras.ops.sum(truth * probabilities, (0, 1, 2))
    either = keras.ops.sum(truth + probabilities, (0, 1, 2)) - common
    return keras.ops.mean(weight * entropy) + overlap * (1 - keras.ops.mean((common + 1) / (either + 1)))


class IoU(keras.Metric):
    """Intersection over union of each class and their mean, from one confusion matrix over all that was seen."""

    def __init__(self) -> None:
        super().__init__(name="iou")
        self.confusion = self.add_variable((len(CLASSES), len(CLASSES)), "zeros", name="confusion")

    def update_state(self, labels: Any, probabilities: Any, sample_weight: Any = None) -> None:
        """Counts a batch: rows are the truth, columns the answer."""
        flat = keras.ops.reshape(probabilities, (-1, len(CLASSES)))
        answer = keras.ops.one_hot(keras.ops.argmax(flat, -1), len(CLASSES))
        truth = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32"), len(CLASSES))
        self.confusion.assign_add(keras.ops.matmul(keras.ops.transpose(truth), answer))

    def result(self) -> dict[str, Any]:
        """Gives `iou_pet`, `iou_background`, `iou_border` and `mean_iou`."""
        common = keras.ops.diagonal(self.confusion)
        either = keras.ops.sum(self.confusion, 0) + keras.ops.sum(self.confusion, 1) - common
        iou = common / keras.ops.maximum(either, 1)
        return {**{f"iou_{name}": iou[i] for i, name in enumerate(CLASSES)}, "mean_iou": keras.ops.mean(iou)}


def compile_model(
    model: keras.Model,
    drawn: bool,
    steps: int,
    *,
    rate: float = 2e-3,
    warm_up: float = 0.05,
    beta_2: float = 0.99,
    overlap: float = 0.5,
) -> None:
    """Compiles the model for `steps` training steps in all; the rest is for drawn pets: a share of steps is warm-up."""
    if drawn:
        rates = keras.optimizers.schedules.CosineDecay(
            0.0, steps, warmup_target=rate, warmup_steps=max(int(warm_up * steps), 1)
        )
        optimizer, loss = keras.optimizers.Adam(rates, beta_2=beta_2), partial(border_jaccard, overlap=overlap)
        optimizer.build(model.trainable_variables)  # TensorFlow would trace the first step twice to make its variables
    else:
        optimizer, loss = "rmsprop", "sparse_categorical_crossentropy"
    jit = False if keras.backend.backend() == "tensorflow" else "auto"  # XLA slows this model down on a CPU
    model.compile(optimizer, loss, metrics=[IoU()], jit_compile=jit)


class Progress(keras.callbacks.Callback):
    """One plain line after every epoch."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        names = "  ".join(f"{name} {logs[f'val_iou_{name}']:.3f}" for name in CLASSES)
        print(
            f"Epoch {epoch + 1:2}/{self.params['epochs']}  {time.perf_counter() - self.began:5.1f} s  "
            f"loss {logs['loss']:.3f}  held out: loss {logs['val_loss']:.3f}  "
            f"IoU {names}  mean {logs['val_mean_iou']:.3f}",
            flush=True,
        )


def check_layers(model: keras.Model, layers: list[int | str] | str) -> None:
    """Fails on an unknown layer now, and not after the data is made."""
    convs = conv_layers(model)
    names = [layer.name for layer in model.layers]
    for item in [] if layers == "all" else layers:
        if isinstance(item, int) and not 1 <= abs(item) <= len(convs):
            raise ValueError(f"There is no layer {item}: the model has convolutions 1 to {len(convs)}.")
        if isinstance(item, str) and not fnmatch.filter(names, item):
            known = ", ".join(layer.name for layer in convs)
            raise ValueError(f"No layer is called {item!r}. The convolutions are: {known}.")


def layer_list(text: str) -> list[int | str] | str:
    """Reads "1,5,enc1_*" or "all"."""
    items = [item.strip() for item in text.split(",") if item.strip()]
    return "all" if items == ["all"] else [int(item) if item.lstrip("-").isdigit() else item for item in items]


def filter_list(text: str) -> tuple[int, ...]:
    """Reads "32,64,128,256,512", or one number for all levels."""
    try:
        numbers = tuple(int(item) for item in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor five, comma separated") from None
    return numbers * 5 if len(numbers) == 1 else numbers


def arguments() -> argparse.Namespace:
    """Reads the command line; what is not given comes from the data set's recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=RECIPES, default="drawn", help="data set (default: drawn)")
    parser.add_argument("--size", type=int, help="side of the pictures, a multiple of 32")
    parser.add_argument("--filters", type=filter_list, help="five numbers, comma separated, or one for all levels")
    parser.add_argument("--neck", type=int, help="filters of the neck")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int, help="pictures in a step")
    parser.add_argument("--images", type=int, default=400, help="number of drawn pets to train on (default: 400)")
    parser.add_argument("--layers", type=layer_list, default=EIGHT, help="numbers, names, globs; or: all")
    parser.add_argument("--log-dir", type=Path, default=Path("logs"), help="for TensorBoard (default: logs)")
    parser.add_argument("--data-dir", type=Path, help="where TensorFlow Datasets keeps prepared data")
    parser.add_argument("--archives", type=Path, help="folder that holds what would be downloaded")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, metavar="MODEL.keras", help="save the trained model here")
    args = parser.parse_args()
    for name in ("size", "filters", "neck", "epochs", "batch"):
        if getattr(args, name) is None:
            setattr(args, name, getattr(RECIPES[args.data], name))
    for name in ("epochs", "batch", "images"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(args, name)}")
    if args.save and args.save.suffix != ".keras":
        parser.error(f"--save {args.save} must end in .keras")
    return args


def load(args: argparse.Namespace) -> tuple[tuple, tuple]:
    """Makes or reads the training pairs and the held-out pairs."""
    if args.data == "oxford_iiit_pet":
        return oxford_iiit_pet(args.size, data_dir=args.data_dir, archives=args.archives)
    print(f"Drawing {args.images} + {HELD_OUT} pets ...", end=" ", flush=True)
    began = time.perf_counter()
    train = drawn_pets(args.images, args.size, seed=2 * args.seed)
    held_out = drawn_pets(HELD_OUT, args.size, seed=2 * args.seed + 1)
    print(f"{time.perf_counter() - began:.0f} s")
    return train, held_out


def tensorboard(log_dir: Path) -> str:
    """The command that shows a log, TensorBoard's with its folder if a shell would not find it."""
    beside = Path(sys.executable).with_name("tensorboard")
    command = "tensorboard" if shutil.which("tensorboard") or not beside.exists() else os.path.relpath(beside)
    return shlex.join([command, "--logdir", str(log_dir)])


def main() -> None:
    """Runs the job."""
    args = arguments()
    drawn = args.data == "drawn"
    keras.utils.set_random_seed(args.seed)
    try:
        model = sd_unet((args.size, args.size, 3), len(CLASSES), filters=args.filters, neck=args.neck)
        check_layers(model, args.layers)
        print(f"To watch it learn, run in another shell\n\n    {tensorboard(args.log_dir)}\n")
        print("and open http://localhost:6006, Feature maps tab.\n", flush=True)
        train, held_out = load(args)
    except ImportError as error:
        sys.exit(f"{error}. {INSTALL}")
    except (ValueError, OSError) as error:
        sys.exit(f"{error}")

    batches = Batches(train, args.batch, steps=RECIPES[args.data].steps, drawn=drawn, seed=args.seed)
    compile_model(model, drawn, args.epochs * len(batches), **SHORT)
    probe, trimaps = held_out[0][:PROBE], held_out[1][:PROBE]
    print(f"{model.count_params():,} parameters; {args.epochs} epochs of {len(batches)} steps")
    feature_maps = FeatureMapCallback(
        scaled(probe, drawn),
        args.log_dir,
        masks=trimaps,
        classes=dict(enumerate(CLASSES)),
        foreground=PET,
        layers=args.layers,
    )
    model.fit(
        batches,
        validation_data=Batches(held_out, 16 if drawn else args.batch, drawn=drawn),
        epochs=args.epochs,
        verbose=0,
        callbacks=[Progress(), keras.callbacks.TensorBoard(args.log_dir, write_graph=False), feature_maps],
    )
    print(f"\nOn {PROBE} held-out pictures, the pet against all else, then each label:\n\n{feature_maps.summary()}\n")
    if args.save:
        model.compile(loss="sparse_categorical_crossentropy")  # so that the file loads without this script's loss
        model.save(args.save)
        print(f"Saved {args.save}")
    print(f"To see how it learned: {tensorboard(args.log_dir)}")


if __name__ == "__main__":
    main()
