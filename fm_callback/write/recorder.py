"""From a moment of the training to a record of it: capture on the training thread, all the rest behind it."""

import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fm_callback import format
from fm_callback.capture.capture import Capture, Captured
from fm_callback.capture.probe import Probe
from fm_callback.capture.warn import warn
from fm_callback.format import RunFacts, unique
from fm_callback.scores.history import label_table, markdown, table
from fm_callback.scores.measures import described
from fm_callback.write import event_copies, png
from fm_callback.write.background import Background
from fm_callback.write.claim import release
from fm_callback.write.cost import Cost
from fm_callback.write.layer_record import LayerRecord
from fm_callback.write.prediction_record import PredictionRecord
from fm_callback.write.run_files import RunFiles, open_run, refuse_file
from fm_callback.write.say import say


class Moment(NamedTuple):
    """A step and what is left to do of its capture."""

    step: int
    captured: Captured


class Recorder:
    """Records the feature maps of one model over one training run.

    `start` once, then `record` and `keep` as often as steps come, then `close`. What ends it otherwise: `background.py`.

    Attributes:
        directory: Where the records go; None before the first.
        tables: When layers became masks, and detected which label, by the steps on disk; none without masks.
        cost: What steps have cost.
        size: Bytes of the first step on disk.
    """

    def __init__(
        self,
        capture: Capture,
        probe: Probe,
        log_dir: Path,
        *,
        step_unit: str = "epoch",
        images: bool = True,
        model: dict[str, Any] | None = None,
        before: Path | None = None,
    ) -> None:
        """Checks everything that can be checked before the model runs.

        Args:
            capture: The pass through the model.
            probe: The samples that go through it.
            log_dir: The directory that TensorBoard watches.
            step_unit: "epoch" or "batch".
            images: Whether to write pictures for TensorBoard's Images tab.
            model: What the log says of the model.
            before: The directory of an earlier training: this one goes on there if it can.

        Raises:
            ValueError: if the log directory is no directory.
        """
        refuse_file(log_dir)
        release()  # here, where no callback of this training has begun to write
        self._capture, self._probe, self._log_dir, self._before = capture, probe, log_dir, before
        facts, *pictures = probe.described()
        paths = [plan.info.path for plan in capture.plans]
        self._layers = [
            LayerRecord(plan, name, tag, probe.concepts, probe.section, images, facts.stored, probe.scored)
            for plan, name, tag in zip(capture.plans, unique(paths), event_copies.tags(paths), strict=True)
        ]
        self._prediction = PredictionRecord(capture.prediction, probe) if capture.prediction else None
        self._pictures = [[png.encode(picture) for picture in group] for group in pictures]
        self._facts = RunFacts(
            first_step=0,
            layers=tuple(layer.facts for layer in self._layers),
            step_unit=step_unit,
            probe=facts,
            labels=probe.labels,
            measures=described(dict.fromkeys(field for layer in self._layers for field in layer.facts.fields)),
            model=model or {},
            images=images,
            prediction=self._prediction.facts if self._prediction else None,
        )
        self._files: RunFiles | None = None
        self._background: Background[Moment] | None = None
        self._last = -1
        self._error: Exception | None = None
        self._detach: Callable[[], Any] = lambda: None
        self.tables: list[list[list[str]]] = []
        self.cost = Cost(images=images)
        self.size = 0

    @property
    def directory(self) -> Path | None:
        return self._files.directory if self._files else None

    @property
    def layers(self) -> int:
        """How many layers are recorded."""
        return len(self._layers)

    @property
    def remarks(self) -> str:
        """What is left out, or read otherwise than goes without saying; empty if nothing is."""
        return self._capture.told + (self._prediction.told if self._prediction else "")

    @property
    def waited(self) -> float:
        """Seconds that the training thread has waited for the work behind it."""
        return self._background.waited if self._background else 0.0

    def start(self, step: int, owner: object) -> None:
        """Compiles the pass and records the first step; returns when it is on disk.

        Args:
            step: The first step.
            owner: When it is gone, recording ends: an interrupted training tells callbacks nothing, and thread and model must
                not stay.

        Raises:
            Exception: whatever fails; it is for the user to mend before training starts.
        """
        moment = Moment(step, self._capture(self._probe.inputs))
        try:
            self.size = self._write(moment)
        except OSError as error:  # the system's message names neither us nor, of a full disk, any place
            message = f"FeatureMapCallback can't write to {str(self._log_dir)!r}: {error.strerror}"
            raise OSError(error.errno, message) from error
        self._last = step
        self._background = Background(self._record, self._close_files)
        end = weakref.finalize(owner, self.close)
        end.atexit = False  # `Background` is registered there, behind what backends have registered
        self._detach = end.detach

    def record(self, step: int) -> None:
        """Captures the maps at the weights of this moment, for a record; never raises."""
        if (moment := self._moment(step)) is not None and self._background is not None:
            self._last = step
            self._background.submit(moment)

    def keep(self, step: int) -> None:
        """Captures as `record` does, but records only if no later moment follows: this may be the last of the training.

        Not at the end of training: by then other callbacks may have put the best weights back.
        """
        if (moment := self._moment(step)) is not None and self._background is not None:
            self._background.keep(moment)

    def fail(self, error: Exception | None) -> None:
        """Stops recording because of an error, if there is one, with the one warning."""
        if error is None or self._error is not None:
            return
        self._error = error
        message = (
            f"FeatureMapCallback stopped logging feature maps to {self.directory or self._log_dir}: "
            f"{type(error).__name__}: {error}. Training goes on; what was logged before stays readable."
        )
        try:
            warn(message)
        except RuntimeWarning:  # where warnings are errors, they still must not stop the training
            say(message)

    def close(self) -> None:
        """Waits until everything recorded, and what is kept, is on disk, and closes the files."""
        if self._background is None:
            self._close_files()
        else:
            self._background.close()
            self.fail(self._background.error)
        self._detach()

    def _moment(self, step: int) -> Moment | None:
        """The capture of a step; None if it is there already or recording has ended."""
        if self._background is None:
            return None
        self._background.keep(None)
        self.fail(self._background.error)
        if step <= self._last or self._error is not None:
            return None
        began = time.perf_counter()
        try:
            moment = Moment(step, self._capture(self._probe.inputs))
        except Exception as error:
            self.fail(error)
            return None
        self.cost.capture(time.perf_counter() - began)
        return moment

    def _record(self, moment: Moment) -> None:
        began = time.perf_counter()
        size = self._write(moment)
        self.cost.record(time.perf_counter() - began, size)

    def _write(self, moment: Moment) -> int:
        """Puts a step on disk; returns its bytes."""
        captured = moment.captured()
        stored, copies = [], []
        for layer, maps, numbers in zip(self._layers, captured.maps, captured.numbers, strict=True):
            stored.append(layer.step(moment.step, maps, numbers))
            copies += layer.pictures(maps, numbers) + layer.curves(stored[-1])
        prediction = None
        if self._prediction is not None and captured.prediction is not None:
            prediction = self._prediction.step(moment.step, captured.prediction)
            copies += self._prediction.curves(prediction)
        histories = [layer.history for layer in self._layers]
        tables = [each for each in (table(histories), label_table(histories)) if each]
        if tables:
            copies.append(event_copies.table_value("\n\n".join(map(markdown, tables))))
        record, head = format.step_record(moment.step, time.time(), stored, prediction), b""
        if self._files is None:
            facts = self._facts.starting_at(moment.step)
            self._files = open_run(self._log_dir, facts, self._before)
            head = format.run_record(facts, *self._pictures)
        size = self._files.write(moment.step, record, copies, head)
        self.tables = tables
        return size - len(head)

    def _close_files(self) -> None:
        if self._files is not None:
            self._files.close()
