"""From a moment of the training to a record of it: capture on the training thread, all the rest behind it."""

import atexit
import contextlib
import hashlib
import os
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from fm_callback.capture import probe
from fm_callback.capture.capture import Capture, Captured
from fm_callback.capture.select import Choice
from fm_callback.format import STORED_IMAGES, TABLE_TAG, layer_tags
from fm_callback.scores.concepts import Concepts, luminance
from fm_callback.scores.history import markdown, table
from fm_callback.write import events
from fm_callback.write.background import Background
from fm_callback.write.layer_log import LayerLog


class Moment(NamedTuple):
    """A step and what is left to do of its capture."""

    step: int
    captured: Captured


class Cost(NamedTuple):
    """What one step costs: seconds of the training thread, seconds of work behind it, bytes on disk."""

    blocked: float
    behind: float
    size: int

    def said(self, captures: float, records: float, waited: float, epoch: float) -> str:
        """The cost in words, and what to turn down if either part is more than 5 % of an epoch.

        Args:
            captures: How many steps an epoch the training thread captures.
            records: How many steps an epoch are recorded behind it.
            waited: Seconds an epoch that the training thread waits for the work behind it.
            epoch: Seconds of an epoch.
        """
        each = self.blocked + waited / max(captures, 1e-9)
        blocked, behind = (part / max(epoch, 1e-9) for part in (captures * each, records * self.behind))
        advice = ". For less, log fewer `layers` or `channels`, a smaller probe, fewer steps, or `images=False`"
        return (
            f"a step costs {each * 1e3:.0f} ms in the training thread, {self.behind * 1e3:.0f} ms behind it and "
            f"{self.size / 1e6:.1f} MB; of the time of an epoch that is {blocked:.1%} and {behind:.1%}"
            f"{advice if max(blocked, behind) > 0.05 else ''}"
        )


class Recorder:
    """Records the feature maps of one model over one training run.

    Attributes:
        capture: The pass through the model.
        plans: What is captured of each layer.
        directory: Where the records go; None before the first.
        rows: When each layer became a mask, by the steps on disk; None without masks.
        cost: What the first step after the one that compiles has cost; None until it is on disk.
        captured: How many steps have been captured after that which compiles.
        recorded: How many of them are on disk.
    """

    def __init__(
        self,
        model: keras.Model,
        samples: Any,
        masks: probe.Masks | None,
        layers: Choice,
        channels: int | str | Sequence[int],
        log_dir: Path,
        step_unit: str,
        images: bool,
        capture: Capture | None = None,
        before: Path | None = None,
    ) -> None:
        """Checks everything that can be checked before the model runs.

        Args:
            model: The model.
            samples: As for `FeatureMapCallback`, like the following.
            masks: The labels of the probe, read.
            layers: Which layers.
            channels: Which channels.
            log_dir: The directory that TensorBoard watches.
            step_unit: "epoch" or "batch".
            images: Whether to write pictures for TensorBoard's Images tab.
            capture: That of an earlier training, used again if it still fits: nothing is compiled anew then.
            before: The directory of an earlier training, gone on with if that is possible.

        Raises:
            ValueError: if the samples do not fit the model, the masks do not fit the samples, a layer or channel can't
                be chosen, or the log directory is no directory.
        """
        batch = probe.as_batch(samples, model)
        self._probe = _probe_value(batch, masks)
        fits = capture is not None and capture.fits(model, batch, layers, channels)
        self.capture = capture if capture is not None and fits else Capture(model, batch, layers, channels)
        self.plans = self.capture.plans
        self._samples = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
        shown = probe.images(batch)
        concepts = Concepts(None if shown is None else luminance(shown), masks)
        count = len(keras.tree.flatten(batch)[0])
        self._layers = [
            LayerLog(plan, tag, concepts, step_unit, count, images)
            for plan, tag in zip(self.plans, layer_tags(plan.info.path for plan in self.plans), strict=True)
        ]
        _refuse_file(log_dir)
        self._log_dir, self._before = log_dir, before
        self._file: events.EventFile | None = None
        self._background: Background[Moment] | None = None
        self._held: Moment | None = None
        self._last = -1
        self._error: Exception | None = None
        self._blocked = 0.0
        self._detach: Callable[[], Any] = lambda: None
        self.rows: list[list[str]] | None = None
        self.cost: Cost | None = None
        self.captured = self.recorded = 0

    @property
    def directory(self) -> Path | None:
        return self._file.path.parent if self._file else None

    @property
    def waited(self) -> float:
        """Seconds that the training thread has waited for the work behind it."""
        return self._background.waited if self._background else 0.0

    def take(self, step: int) -> None:
        """Captures the maps at the weights of this moment.

        The first call compiles, and waits until its record is on disk: what fails there is for the user to mend before
        training starts, and raises. Later calls return as soon as the pass is done; they never raise.
        """
        if self._background is None:
            moment = Moment(step, self.capture(self._samples))
            try:
                self._record(moment)
            except OSError as error:  # the system's message names neither us nor, of a full disk, any place
                message = f"FeatureMapCallback can't write to {str(self._log_dir)!r}: {error.strerror}"
                raise OSError(error.errno, message) from error
            self._last = step
            self._background = Background(self._record, self._close_file)
            atexit.register(self.close)  # after an interrupt nobody else writes what is held
            return
        self.hold(step)
        self._submit()

    def hold(self, step: int) -> None:
        """Captures as `take` does, but records only if no later moment follows: this may be the last of the training.

        Not at the end of training: by then other callbacks may have put the best weights back.
        """
        self._held = None
        if self._background is not None:
            self.fail(self._background.error)
        if step > self._last and self._error is None:
            began = time.perf_counter()
            try:
                self._held = Moment(step, self.capture(self._samples))
            except Exception as error:
                self.fail(error)
            self._blocked = self._blocked or time.perf_counter() - began
            self.captured += 1

    def fail(self, error: Exception | None) -> None:
        """Stops recording because of an error, if there is one, with the one warning."""
        if error is None or self._error is not None:
            return
        self._error = error
        message = (
            f"FeatureMapCallback stopped logging feature maps to {self.directory or self._log_dir}: {type(error).__name__}: {error}. "
            "Training goes on; what was logged before stays readable."
        )
        try:
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        except RuntimeWarning:  # where warnings are errors, they still must not stop the training
            say(message)

    def end_with(self, owner: object) -> None:
        """Closes when `owner` is gone: an interrupted training tells callbacks nothing, and thread and model must not stay."""
        end = weakref.finalize(owner, self.close)
        end.atexit = False
        self._detach = end.detach

    def close(self) -> None:
        """Waits until everything taken, and what is held, is on disk, and closes the file."""
        if self._background is None:
            self._close_file()
        else:
            self._submit()
            self._background.close()
            self.fail(self._background.error)
        atexit.unregister(self.close)
        self._detach()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def _submit(self) -> None:
        if self._background is not None and self._held is not None:
            moment, self._held = self._held, None  # before it is on its way: an interrupt must not send it twice
            self._last = moment.step
            self._background.submit(moment)

    def _record(self, moment: Moment) -> None:
        began = time.perf_counter()
        values = [] if self._file is not None else [self._probe]
        for layer, maps, numbers in zip(self._layers, *self.capture.arrays(moment.captured), strict=True):
            values += layer.values(moment.step, maps, numbers)
        if (rows := table([layer.history for layer in self._layers])) is not None:
            values.append(events.text_value(TABLE_TAG, markdown(rows)))
        first = self._file is None
        if self._file is None:
            self._file = events.open_run(self._log_dir, moment.step, values, self._before)
        size = self._file.write(moment.step, values)
        self.rows = rows
        if not first:
            self.cost = self.cost or Cost(self._blocked, time.perf_counter() - began, size)
            self.recorded += 1


def say(text: str, end: str = "\n") -> None:
    """Prints, and lets no trouble with it reach the training: a terminal without these letters, or one that is gone."""
    with contextlib.suppress(OSError, ValueError):
        try:
            print(text, end=end, flush=True)
        except UnicodeEncodeError:
            print(text.encode("ascii", "backslashreplace").decode(), end=end, flush=True)


def _probe_value(batch: Any, masks: probe.Masks | None) -> events.Value:
    shown = probe.images(batch)
    if masks is not None:
        if shown is None:
            shapes = [leaf.shape for leaf in keras.tree.flatten(batch)]
            raise ValueError(
                f"`masks` are given, but no input is a batch of images: `samples` have the shapes {shapes}"
            )
        if masks.foreground.shape != shown.shape[:3]:
            raise ValueError(
                f"`masks` of shape {masks.foreground.shape} do not fit `samples`: {shown.shape[0]} images of {shown.shape[1]}×{shown.shape[2]}. "
                "Give one label for each pixel of each sample (resize labels with nearest neighbour)"
            )
    pictures, scaling = (None, None) if shown is None else probe.pictures(shown[:STORED_IMAGES])
    labels = None if masks is None else masks.pictures()
    digest = hashlib.sha256()  # of all that is measured, not of what is stored: another probe is another run
    for array in [*keras.tree.flatten(batch), *([] if labels is None else [labels])]:
        digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    stored = None if labels is None else labels[:STORED_IMAGES]
    return events.probe_value(pictures, scaling, stored, digest.hexdigest())


def _refuse_file(log_dir: Path) -> None:
    for path in (log_dir, *log_dir.parents):
        if os.path.isdir(path):
            return
        if os.path.exists(path):
            raise ValueError(f"log_dir {str(log_dir)!r} can't be made: {str(path)!r} is a file; give a directory")
