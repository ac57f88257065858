"""What the callback does to a training: the demo's, with and without it, in turns.

    python benchmarks/train_overhead.py                              # SD_UNet of the demo, eight layers, drawn pets, 96x96
    KERAS_BACKEND=jax python benchmarks/train_overhead.py --full     # full SD_UNet at 160x160, all 51 layers: for a GPU
    python benchmarks/train_overhead.py --quick

Fits of a few epochs in one process, one with and one without the callback, then the other way round; a fit that compiles goes before.
"Hooks" is the time that Keras waits in the callback's methods, the end of training included, where the last step is brought
to disk. The record before the first batch (step 0) is left out of all figures. "With / without" is the median of the ratios of
epochs that stand at the same place in the two fits of a pair, the end of training counted to the last: on a machine whose speed
changes from minute to minute, more and shorter pairs say more than few long ones. Their whole fits' ratios are printed beside it.
The effect on an epoch is the median time from the beginning of one epoch to that of the next, with the callback less without it.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from driving import BORDER, PET, accelerated, device, drawn_pets, keras, sd_unet
from timing import Spent, cpu, figure, ratio, spent, wall
from train_pets import CLASSES, EIGHT, PROBE, RECIPES, Batches, compile_model, scaled

from fm_callback import FeatureMapCallback
from fm_callback.capture.backends import backend


class Setting(NamedTuple):
    """A training and what is logged of it."""

    size: int
    filters: tuple[int, ...]
    neck: int
    batch: int
    steps: int
    drawn: bool
    layers: Any
    held_out: int
    probe: int
    epochs: int
    pairs: int


DEMO, FULL = RECIPES["drawn"], RECIPES["oxford_iiit_pet"]
SETTINGS = {
    "demo": Setting(DEMO.size, DEMO.filters, DEMO.neck, DEMO.batch, 50, True, EIGHT, 100, PROBE, epochs=3, pairs=5),
    "full": Setting(FULL.size, FULL.filters, FULL.neck, FULL.batch, 20, False, "all", 0, 1, epochs=8, pairs=5),
    "quick": Setting(32, (8, 8, 8, 8, 8), 8, 4, 5, True, [1, 51], 8, 1, epochs=3, pairs=1),
}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--full", action="store_const", const="full", dest="kind", help="the full model, for a GPU")
    kinds.add_argument("--quick", action="store_const", const="quick", dest="kind", help="to see that it runs")
    parser.add_argument("--pairs", type=int, help="fits with the callback, and as many without (default 5)")
    parser.add_argument("--epochs", type=int, help="epochs of a fit (default 3, with --full 8)")
    options = parser.parse_args()
    setting = SETTINGS[options.kind or "demo"]
    setting = setting._replace(pairs=options.pairs or setting.pairs, epochs=options.epochs or setting.epochs)
    with tempfile.TemporaryDirectory() as folder:
        compare(setting, options.kind, Path(folder))


def compare(setting: Setting, kind: str | None, folder: Path) -> None:
    """Trains in pairs and prints what differs."""
    keras.utils.set_random_seed(0)
    model = sd_unet((setting.size, setting.size, 3), len(CLASSES), filters=setting.filters, neck=setting.neck)
    compile_model(model, setting.drawn, 2 * setting.pairs * setting.epochs * setting.steps)
    train, held_out = drawn_pets(100, setting.size), drawn_pets(max(setting.held_out, PROBE), setting.size, seed=1)
    ours = Timed(
        scaled(held_out[0][: setting.probe], setting.drawn),
        folder / "ours",
        masks=held_out[1][: setting.probe],
        foreground=PET,
        ignore=BORDER,
        layers=setting.layers,
    )
    print(f"{device()}; fits of {setting.epochs} epochs of {setting.steps} steps of {setting.batch} images")

    def fit(ours: Timed | None = None, epochs: int = setting.epochs) -> Fit:
        clock = Clock()
        batches = Batches(train, setting.batch, steps=setting.steps, drawn=setting.drawn, seed=0)
        validation = Batches(held_out, setting.batch, drawn=setting.drawn) if setting.held_out else None
        callbacks = [each for each in (ours, clock) if each is not None]
        if backend.name == "tensorflow":  # as the demo has it
            callbacks.insert(0, keras.callbacks.TensorBoard(folder / "keras", write_graph=False))
        taken = spent(
            lambda: model.fit(batches, validation_data=validation, epochs=epochs, verbose=0, callbacks=callbacks)
        )
        if ours is not None:
            taken = Spent(taken.wall - ours.step_zero.wall, taken.cpu - ours.step_zero.cpu)
        return Fit(taken, clock.epochs)

    try:
        fit(epochs=1)
    except RuntimeError as error:
        print(f"this backend can't train the model on this device: {error}")
        return
    fit(ours, epochs=2)
    with_us, without = [], []
    hooks, ends, drains = [], [], []
    for pair in range(setting.pairs):
        for is_ours in (True, False) if pair % 2 else (False, True):
            if not is_ours:
                without.append(fit())
                continue
            with_us.append(fit(ours))
            hooks.append(sum(ours.hooks))
            ends += ours.ends
            drains.append(ours.drain)

    walls = [fit.taken.wall for fit in with_us]
    effects = [one.epoch - other.epoch for one, other in zip(with_us, without, strict=True)]
    epoch = median(fit.epoch for fit in without)
    print(f"an epoch without the callback: {epoch:.3f} s; step 0: {ours.step_zero.wall:.2f} s")
    ratios = {}
    for name, measured in (("wall", wall), ("cpu", cpu)):
        one, other = ([measured([fit.taken, *fit.epochs]) for fit in fits] for fits in (with_us, without))
        fits, *epochs = zip(*(np.divide(*pair) for pair in zip(one, other, strict=True)), strict=True)
        print(f"{name} of fits, with / without: {', '.join(f'{each:.3f}' for each in sorted(fits))}")
        ratios[name] = sorted(each for place in epochs for each in place)
    lowest, *_, highest = ratios["wall"]
    demo, gpu = kind is None, kind == "full" and accelerated() and backend.name == "jax"  # what the targets are set for
    figure("hooks / wall time of fit", ratio(hooks, walls), at_most=0.02 if demo else None)
    figure("cpu seconds, with / without", median(ratios["cpu"]), at_most=1.03 if demo else None)
    figure(f"wall time, with / without ({lowest:.3f} to {highest:.3f})", median(ratios["wall"]))
    figure("on_epoch_end in the training thread", 1e3 * median(ends), unit=" ms", at_most=5 if gpu else None)
    figure("effect on an epoch, wall time", 1e3 * median(effects), unit=" ms", at_most=50 if gpu else None)
    figure("end of training, once a fit", 1e3 * median(drains), unit=" ms")


class Fit(NamedTuple):
    """What a call of `fit` took, step 0 left out, and each of its epochs, the last with the end of training."""

    taken: Spent
    epochs: list[Spent]

    @property
    def epoch(self) -> float:
        """Seconds of an epoch, without the first, which starts the threads that read data, and the last, where there are others."""
        return median(wall(self.epochs[1:-1] or self.epochs))


class Clock(keras.callbacks.Callback):
    """What each epoch takes, from its beginning to that of the next or the end of training; the last of the callbacks."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.epochs: list[Spent] = []
        self._began: Spent | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._next()

    def on_train_end(self, logs: Any = None) -> None:
        self._next()

    def _next(self) -> None:
        now = Spent(time.perf_counter(), time.process_time())
        if self._began is not None:
            self.epochs.append(Spent(*np.subtract(now, self._began).tolist()))
        self._began = now


class Timed(FeatureMapCallback):
    """The callback, and how long Keras waits in each of its methods.

    Attributes:
        step_zero: What the record before the first batch took.
        ends: Seconds of each `on_epoch_end`.
        drain: Seconds of the end of training.
        hooks: Seconds of all methods, `step_zero` apart.
    """

    def on_train_begin(self, logs: Any = None) -> None:
        self.ends: list[float] = []
        self.hooks = [spent(lambda: super(Timed, self).on_train_begin(logs)).wall]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        taken = spent(lambda: super(Timed, self).on_epoch_begin(epoch, logs))
        if epoch == 0:
            self.step_zero = taken
        else:
            self.hooks.append(taken.wall)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append(spent(lambda: super(Timed, self).on_epoch_end(epoch, logs)).wall)
        self.hooks.append(self.ends[-1])

    def on_train_end(self, logs: Any = None) -> None:
        self.drain = spent(lambda: super(Timed, self).on_train_end(logs)).wall
        self.hooks.append(self.drain)


if __name__ == "__main__":
    main()
