"""From a moment of the training to a record of it: capture on the training thread, all the rest behind it."""

import time
import weakref
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fm_callback import format
from fm_callback.capture.capture import Arrays, Capture, Captured
from fm_callback.capture.probe import Probe
from fm_callback.format import FINDINGS_TAG, TABLE_TAG, RunFacts, unique
from fm_callback.scores.history import change_table, label_table, markdown, table
from fm_callback.scores.measures import described
from fm_callback.write import event_copies, png
from fm_callback.write.background import Background
from fm_callback.write.cost import Cost, less
from fm_callback.write.layer_record import LayerRecord
from fm_callback.write.limits import refuse_too_much
from fm_callback.write.prediction_record import PredictionRecord
from fm_callback.write.resume import Written, open_run
from fm_callback.write.run_files import refuse_file
from fm_callback.write.say import say, warn_or_say

#: The runs that this process has written of a model. More than one where several callbacks watch it.
_of_models: weakref.WeakKeyDictionary[Any, list[Written]] = weakref.WeakKeyDictionary()


class Moment(NamedTuple):
    """A step and what is left to do of its capture."""

    step: int
    captured: Captured


class Recorder:
    """Records the feature maps of one model over one training run.

    `start` once, then `record` and `keep` as often as steps come, then `close`. What ends it otherwise: `background.py`.

    Attributes:
        tables: When layers became masks, and detected which label, by the steps on disk; none without masks.
        found: What stands out in the log, when all of it is on disk.
        cost: What steps have cost.
        written: What is known of the run; None before `start`.
        goes_on: Whether the steps go to a run that was there.
        told: Why they do not, where that may surprise; else empty.
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
        before: Written | None = None,
        look: Callable[[Path], tuple[Sequence[Any], str]] | None = None,
    ) -> None:
        """Checks everything that can be checked before the model runs.

        Args:
            capture: The pass through the model.
            probe: The samples that go through it.
            log_dir: The directory that TensorBoard watches.
            step_unit: "epoch" or "batch".
            images: Whether to write pictures for TensorBoard's Images tab.
            model: What the log says of the model.
            before: The run of the callback's last training: this one goes on there if it can.
            look: What finds what stands out in the log of a directory: findings, and the same in Markdown.

        Raises:
            ValueError: if the log directory is no directory, or readers would not take the log.
        """
        refuse_file(log_dir)
        self._capture, self._probe, self._log_dir, self._before = capture, probe, log_dir, before
        facts, *pictures = probe.described()
        names = unique(plan.info.path for plan in capture.plans)
        tags = event_copies.layer_tags(
            [(plan.info.number, plan.info.path) for plan in capture.plans], capture.convolutions
        )
        self._layers = [
            LayerRecord(
                plan, name, tag, probe.concepts, probe.section, images, facts.stored, probe.scored, capture.runs_twice
            )
            for plan, name, tag in zip(capture.plans, names, tags, strict=True)
        ]
        self._prediction = PredictionRecord(capture.prediction, probe) if capture.prediction else None
        self._pictures = [[png.encode(picture) for picture in group] for group in pictures]
        self._look = look
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
        refuse_too_much(self._facts)
        self._run_record = b""
        self._background: Background[Moment] | None = None
        self._last = -1
        self._captured = self._refused = 0
        self._error: Exception | None = None
        self._has_told_of_time = False
        self._has_changed = not capture.learns  # what never learns need not change
        self._detach: Callable[[], Any] = lambda: None
        self.tables: list[list[list[str]]] = []
        self.change: list[list[str]] = []
        self.found: Sequence[Any] = ()
        self._scores: dict[str, float] = {}
        self.cost = Cost(images=images)
        self.written: Written | None = None
        self.goes_on, self.told = False, ""

    @property
    def directory(self) -> Path | None:
        """Where the records go; None before the first."""
        return self.written.files.directory if self.written else None

    @property
    def layers(self) -> int:
        """How many layers are recorded."""
        return len(self._layers)

    @property
    def remarks(self) -> str:
        """What is left out, or read otherwise than goes without saying; empty if nothing is."""
        return self._capture.told + (self._prediction.told if self._prediction else "")

    @property
    def size(self) -> int:
        """Bytes of the last step on disk; 0 where it is of an earlier process."""
        return self.written.size if self.written else 0

    @property
    def waited(self) -> float:
        """Seconds that the training thread has waited for the work behind it."""
        return self._background.waited if self._background else 0.0

    def start(self, step: int, owner: object, *, goes_on: bool = False) -> int:
        """Compiles the pass and finds where the steps go; returns when the first is on disk.

        Args:
            step: The first step, as Keras counts.
            owner: When it is gone, recording ends: an interrupted training tells callbacks nothing, and thread and model must
                not stay.
            goes_on: Whether the model was trained before, as Keras says.

        Returns:
            The step at which the model is in its run: another one, where the training goes on with a run.

        Raises:
            Exception: whatever fails; it is for the user to mend before training starts.
        """
        captured = self._capture(self._probe.inputs)
        try:
            step = self._begin(step, goes_on, captured())
        except OSError as error:  # the system's message names neither us nor, of a full disk, any place
            message = f"FeatureMapCallback can't write to {str(self._log_dir)!r}: {error.strerror}"
            raise OSError(error.errno, message) from error
        self._last = step
        self._background = Background(self._record, self._close_files)
        end = weakref.finalize(owner, self.close)
        end.atexit = False  # `Background` is registered there, behind what backends have registered
        self._detach = end.detach
        return step

    def record(self, step: int) -> None:
        """Captures the maps at the weights of this moment, for a record; never raises."""
        if (moment := self._moment(step)) is not None and self._background is not None:
            self._last = step
            self._background.submit(moment)
            if self._background.left_out and not self._has_told_of_time:
                self._tell_of_time(
                    f"steps are left out from now on, but not the last. For more, {less(self.cost.images)}"
                )

    def keep(self, step: int) -> None:
        """Captures as `record` does, but records only if no later moment follows: this may be the last of the training.

        Not at the end of training: by then other callbacks may have put the best weights back.
        """
        if (moment := self._moment(step)) is not None and self._background is not None:
            self._background.keep(moment)

    def scores(self) -> dict[str, float]:
        """The scores of the last step that was recorded, for Keras's logs; waits until they are there, but in vain only once."""
        if self._background is not None and not self._has_told_of_time and not self._background.settle():
            self._tell_of_time("the logs have the scores of an earlier step")
        return dict(self._scores)

    def fail(self, error: Exception | None) -> None:
        """Stops recording because of an error, if there is one, with the one warning."""
        if error is None or self._error is not None:
            return
        self._error = error
        warn_or_say(
            f"FeatureMapCallback stopped logging feature maps to {self.directory or self._log_dir}: "
            f"{type(error).__name__}: {error}. Training goes on; what was logged before stays readable."
        )

    def close(self) -> None:
        """Waits until everything recorded, and what is kept, is on disk, and closes the files."""
        if self._background is None:
            self._close_files()
        else:
            if not self._background.close():
                self._tell_of_time("training has waited as long as it may, and the last steps are still to come")
            self.fail(self._background.error)
            if self._refused and not self._captured and self._error is None:
                warn_or_say(
                    f"FeatureMapCallback has logged step {self._last} alone to {self.directory}: of the {self._refused} moments "
                    "that followed, none had a later step"
                )
            elif self._captured > 1 and not self._has_changed and self._error is None:
                warn_or_say(
                    f"FeatureMapCallback has logged the same maps to {self.directory} at each step, as if the layers that are watched "
                    "did not learn. Where a loop keeps the weights itself, as with `stateless_apply` on JAX, assign them to the "
                    "model's variables before its hooks are called"
                )
        self._detach()

    def _begin(self, step: int, goes_on: bool, captured: Arrays) -> int:
        """Opens the files and writes the first step, if it is not there; returns the step at which the model is in its run."""
        known = _of_models.setdefault(self._capture.model, [])
        facts, numbers = self._facts.starting_at(step), captured.numbers
        start = open_run(self._log_dir, facts, numbers, goes_on=goes_on, of_model=known, of_callback=self._before)
        self.goes_on, self.told = start.goes_on, start.told
        if start.is_new:
            facts = facts.starting_at(start.step + start.is_there)
            self._run_record = format.run_record(facts, *self._pictures)
        if start.before:
            for layer, history in zip(self._layers, start.before.histories, strict=True):
                layer.history = history
        histories = [layer.history for layer in self._layers]
        self.written = Written(
            start.files, facts, start.step, numbers, start.before.size if start.before else 0, histories
        )
        if not start.is_there:
            self._write(self.written, start.step, captured)
        else:
            if not start.before:
                for layer, *of_layer in zip(self._layers, captured.maps, captured.numbers, strict=True):
                    layer.resume(start.step, *of_layer)
            self.tables = self._tables()
            if self._run_record:
                start.files.begin(self._run_record)
                self._run_record = b""
        if not start.goes_on:  # what this one does not go on with, a later one will not
            known[:] = [each for each in known if not (each.files.closed and each.facts.same_run(facts))]
        known[:] = [each for each in known if each.files.directory != start.files.directory] + [self.written]
        return start.step

    def _moment(self, step: int) -> Moment | None:
        """The capture of a step; None if it is there already or recording has ended."""
        if self._background is None:
            return None
        self._background.keep(None)
        self.fail(self._background.error)
        if step <= self._last or self._error is not None:
            self._refused += 1
            return None
        began = time.perf_counter()
        try:
            moment = Moment(step, self._capture(self._probe.inputs))
        except Exception as error:
            self.fail(error)
            return None
        self._captured += 1
        self.cost.capture(time.perf_counter() - began)
        return moment

    def _record(self, moment: Moment) -> None:
        began = time.perf_counter()
        if self.written is not None:
            before, captured = self.written.numbers, moment.captured()
            self._has_changed |= not all(map(np.array_equal, before, captured.numbers))
            size = self._write(self.written, moment.step, captured)
            self.cost.record(time.perf_counter() - began, size)

    def _write(self, run: Written, step: int, captured: Arrays) -> int:
        """Puts a step of the run on disk; returns its bytes."""
        stored, copies = [], []
        scores: dict[str, float] = {}
        arrays = zip(captured.maps, captured.numbers, captured.zeros, strict=True)
        again = zip(*captured.training, strict=True) if captured.training else repeat(None)
        for layer, (maps, numbers, zeros), training in zip(self._layers, arrays, again, strict=False):
            stored.append(layer.step(step, maps, numbers, zeros, training))
            copies += layer.pictures(maps, numbers) + layer.curves(stored[-1])
            scores |= layer.scores(stored[-1])
        prediction = None
        if self._prediction is not None and captured.prediction is not None:
            prediction = self._prediction.step(captured.prediction)
            copies += self._prediction.curves(prediction)
            scores |= self._prediction.scores(prediction)
        tables, change = self._tables(), change_table([layer.history for layer in self._layers])
        if shown := tables or [change]:
            copies.append(
                event_copies.text_value(TABLE_TAG, "\n\n&nbsp;\n\n".join(map(markdown, reversed(shown))))
            )  # the shortest first
        record = format.step_record(step, time.time(), stored, prediction)
        head, self._run_record = self._run_record, b""
        size = run.files.write(step, record, copies, head) - len(head)
        self.tables, self.change, self._scores = tables, change, scores
        run.step, run.numbers, run.size = step, captured.numbers, size
        return size

    def _tables(self) -> list[list[list[str]]]:
        histories = [layer.history for layer in self._layers]
        return [each for each in (table(histories), label_table(histories)) if each]

    def _tell_of_time(self, what: str) -> None:
        """Once with a warning: a disk that hangs is first slow."""
        message = f"FeatureMapCallback: writing to {self.directory} did not keep up with the training: {what}."
        (say if self._has_told_of_time else warn_or_say)(message)
        self._has_told_of_time = True

    def _find(self, run: Written) -> None:
        """Looks at the whole log once more; whatever goes wrong there, the log is whole."""
        if self._look is None or not self._captured or self._background is None or self._background.error:
            return
        try:
            self.found, text = self._look(run.files.directory)
            if text:
                run.files.add(run.step, [event_copies.text_value(FINDINGS_TAG, text)])
        except Exception as error:
            warn_or_say(
                f"FeatureMapCallback has logged all to {run.files.directory}, but could not look for what stands out there: "
                f"{type(error).__name__}: {error}"
            )

    def _close_files(self) -> None:
        if self.written is not None:
            self._find(self.written)
            self.written.files.close()
