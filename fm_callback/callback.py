"""When to capture: Keras's hooks, nothing else."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fm_callback import __version__
from fm_callback.capture.backends import backend
from fm_callback.capture.capture import Capture
from fm_callback.capture.labels import read_concepts, read_masks
from fm_callback.capture.plan import read_channels
from fm_callback.capture.prediction import Asked, read_prediction
from fm_callback.capture.probe import Probe, read_bands, read_stored
from fm_callback.capture.restore import unbuilt_again_on_error
from fm_callback.capture.samples import as_fit_has_them
from fm_callback.capture.select import Choice
from fm_callback.capture.submodel import Submodel, read_submodel, refuse_keras_2, watched
from fm_callback.capture.tokens import read_grid
from fm_callback.read.finding import Finding
from fm_callback.read.findings import by_kind, markdown
from fm_callback.read.log import open_log
from fm_callback.scores.history import aligned
from fm_callback.write.batches import Batches
from fm_callback.write.claim import release
from fm_callback.write.cost import foretold
from fm_callback.write.recorder import Recorder
from fm_callback.write.resume import Written
from fm_callback.write.say import say, warn_or_say

#: So many lines are printed of what stands out when a training has ended.
_LINES = 5


class FeatureMapCallback(keras.callbacks.Callback):
    """Logs feature maps of chosen layers, so that TensorBoard shows them evolve.

    Acts before the first batch (the maps of the untrained network), at the end of each epoch, and at the end of
    training; in a loop of your own at the hooks that it calls, of which one is enough. Step n is the state after n
    epochs: "Epoch 3" of Keras's progress bar is step 3. (Keras's own `epoch_*`
    scalars carry n - 1.)

    Training is the same with and without it, to the last bit. What is wrong in the configuration raises before the
    first batch; later, a failure to log becomes one warning, and training goes on.

    Example:
        >>> import keras, numpy as np, tempfile
        >>> from fm_callback import FeatureMapCallback
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, name="stem")])
        >>> model.compile("sgd", "mse")
        >>> x, y = np.zeros((4, 32, 32, 3)), np.zeros((4, 30, 30, 8))
        >>> history = model.fit(x, y, verbose=0, callbacks=[FeatureMapCallback(x[:1], tempfile.mkdtemp())])

    Args:
        samples: The probe, as `fit` takes its data: one sample or a batch, scaled as for training; a dict or tuple of
            arrays for a model with several inputs. A batch of a data set may keep its labels. What is one sample is
            decided by `model.input_shape`; where that is unknown, it is what the model can't take as a batch.
        log_dir: The directory for TensorBoard, as of `keras.callbacks.TensorBoard`, with which it can be shared. Maps
            go to `<log_dir>/feature_maps` ("~" is the home directory), or, where another run has left its maps there, to `feature_maps_2`,
            `feature_maps_3`, ... A training goes on in the run whose last step holds its model as it is; `fit` in a loop
            counts on there.
        picture: Of several inputs the one that is the picture (or the volume, or the signal), which is shown, has the
            edges and is labelled by `masks`: its name or position. By default the one of the masks' size that looks
            most like a picture.
        bands: Which channels of the picture are shown: three as red, green and blue, or one in gray. By default of more
            than three the first three.
        masks: Labels of the probe, integer or bool: one for each pixel, (H, W), (N, H, W), (N, H, W, 1) or (N, 1, H,
            W); of volumes one for each voxel, (N, D, H, W); of signals one for each sample in time, (N, L).
            Floats that are whole numbers and one-hot labels, (N, H, W, K), are taken too.
        classes: Names of the labels, `{value: name}`. With more than two labels each has a score of its own, against all
            others: which channel detects which label, since which step.
        foreground: The label of the object, or several labels that together are the object.
        concepts: More to look for, `{name: where}`: bool arrays of the shape of `masks`, such as where the eyes are.
        ignore: Label or labels that count as neither object nor background, such as the border of a trimap.
        slice_axis: Of volumes and videos one slice is stored; numbers and scores are over the whole. Which of the
            three axes it cuts, from 0; the shortest if None.
        slice: Index of the slice along this axis, or one for each sample; if None, through the centre of each sample's
            object, half of which lies before it, or through the middle without masks.
        layers: Which layers. A count: so many convolutions, spread from first to last. "all": every convolution.
            "blocks": what the repeated blocks of a transformer or another network put out. Or a list of convolution
            numbers (1-based, negative from the end), names, paths, globs, and predicates of a layer.
        grid: How the tokens of a transformer lie: (height, width) for all that it fits, or a dict of them by the
            layer's path, name or glob (None there: a row). Needed only where it can't be told by the maps before them.
            Up to eight tokens before those of the picture, such as a class token, are left out.
        channels: Which channels of each layer: the first so many, a list of indices, or "all". Frozen for the whole
            run.
        update_freq: "epoch", "batch", or a number of batches, as of `keras.callbacks.TensorBoard`. With batches, a step
            is the optimizer's count of iterations, or of batches where nobody steps `model.optimizer`.
        every: Take each n-th of these steps, or those for which a predicate of the step is true; the first and the last
            are always taken.
        images: Whether to write the grids for TensorBoard's own Images and Time Series tabs, too.
        stored: Of how many samples, from the first, maps are stored. Numbers are over all of them; more than 16 go
            through the model in chunks of 8, twice.
        prediction: What the model predicts, which is stored with each step, with its IoU where there are masks. None: read
            of the model's output by itself, of several the one that has the size of the masks. A label for each cell of
            an output with a channel for each label (the highest), or with one channel (over .5, or over 0 if no sigmoid
            made it); a class and its probability of an output of one row of numbers a sample. Or the name of an output,
            or a function of what the model returns that gives one such tensor. False: none.
        scores_in_logs: Whether the scores of each step go into Keras's `logs`, for callbacks behind this one, such as
            `EarlyStopping` or `CSVLogger`, and the history: "mask_separation_best/<layer>" and "readout/<layer>" (without
            masks "edge_auroc_best/<layer>"), "prediction_iou" and "prediction_iou/<label>". Training then waits for
            them. Of several processes that train together only the first has them: there, let no other callback decide
            by them.
        submodel: The model inside the trained one that is watched: the name of an attribute or a layer, such as
            "generator", or a function of the model. None: the whole model. `samples` are what it takes: latents for a
            generator.
        training_pass: Whether the probe goes through the model once more in training mode, which training does not notice.
            Each layer's likeness in both modes is stored, "training_cka", and with masks by how much its best channel is better in
            training mode, "training_gap": what batch statistics and dropout make of it. Costs as much as the first pass.

    Raises:
        ValueError: at construction for malformed arguments; when training begins, if the model has no `call` or
            no such submodel, the samples do not fit it, the masks do not fit the samples, a layer, channel or output is
            unknown, or `prediction` can't be read.
    """

    def __init__(
        self,
        samples: Any,
        log_dir: str | bytes | os.PathLike[str] | os.PathLike[bytes] = "logs",
        *,
        picture: str | int | None = None,
        bands: int | Sequence[int] | None = None,
        masks: Any = None,
        classes: Mapping[int, str] | None = None,
        foreground: int | Iterable[int] = 1,
        ignore: int | Iterable[int] | None = None,
        concepts: Mapping[str, Any] | None = None,
        slice_axis: int | None = None,
        slice: int | Sequence[int] | None = None,
        layers: Choice = 8,
        grid: tuple[int, int] | Mapping[str, tuple[int, int] | None] | None = None,
        channels: int | str | Sequence[int] = 32,
        update_freq: int | str = "epoch",
        every: int | Callable[[int], bool] = 1,
        images: bool = True,
        stored: int = 4,
        prediction: Asked = None,
        scores_in_logs: bool = False,
        submodel: Submodel = None,
        training_pass: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(log_dir, (str, bytes, os.PathLike)):
            raise ValueError(f"log_dir must be a directory's path; received {log_dir!r}")
        if "://" in os.fsdecode(log_dir):
            raise ValueError(
                f"log_dir must be a local directory; received {log_dir!r}. Write locally and copy the logs"
            )
        if update_freq not in ("epoch", "batch") and not _positive(update_freq):
            raise ValueError(
                f"update_freq must be 'epoch', 'batch' or a positive number of batches; received {update_freq!r}"
            )
        if not callable(every) and not _positive(every):
            raise ValueError(f"every must be a positive number of steps or a predicate of the step; received {every!r}")
        self.samples = samples
        self.log_dir = os.path.expanduser(os.fsdecode(log_dir))  # as the shell does for `tensorboard --logdir`
        self.picture, self.bands = picture, read_bands(bands)
        if classes is not None and masks is None:
            raise ValueError("`classes` name the labels of `masks`, and none are given")
        self.masks = None if masks is None else read_masks(masks, foreground, ignore, classes)
        self.concepts = read_concepts(concepts, self.masks.labels if self.masks else ())
        self.slice_axis = slice_axis
        self.slice = slice
        self.layers = layers
        self.channels = read_channels(channels)
        self.grid = read_grid(grid)
        self.update_freq = update_freq
        self.every = every
        self.images = images
        self.stored = read_stored(stored)
        self.prediction = read_prediction(prediction)
        self.scores_in_logs = scores_in_logs
        self.submodel = read_submodel(submodel)
        self.training_pass = training_pass
        self._recorder: Recorder | None = None
        self._capture: Capture | None = None
        self._written: Written | None = None
        self._batches: Batches | None = None
        self._is_training = self._began_late = self._started = False
        self._has_logged = self._said_cost = self._said_apart = self._said_elsewhere = self._said_untrained = False
        self._epoch_began = self._epoch_seconds = 0.0
        self._epochs = self._offset = 0
        self._summary = "no training has ended yet"
        self._said: set[tuple[str, str, str | None]] = set()  # findings, by severity, kind and layer
        self._hook()

    def _hook(self) -> None:
        if self.update_freq != "epoch":
            # Only then: a batch hook of any callback makes Keras wait for every batch's logs.
            self.on_train_batch_end = self._on_train_batch_end

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: the configuration, nothing that belongs to a training."""
        nothing = dict.fromkeys(("_recorder", "_capture", "_model", "_written", "_batches"))
        return {**self.__dict__, **nothing, **dict.fromkeys(("_is_training", "_has_logged"), False)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._hook()

    def set_model(self, model: keras.Model) -> None:
        refuse_keras_2(model)  # here: the `fit` of Keras 2 next asks for what its own callbacks have
        if self._began_late and model is not self.model:  # a loop that says nothing of its end
            self._close()
        super().set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        self._close()
        release()  # here, where no callback of this training has begun to write
        self._begin()

    def _begin(self, late: bool = False) -> None:
        """Checks all that can be checked before the model runs."""
        self._started = self._said_cost = False
        self._epochs = self._offset = 0
        if backend.is_chief():
            self._recorder = self._made_recorder()
        elif not self._said_elsewhere and (variable := backend.chief_by_environment()):
            self._said_elsewhere = True
            warn_or_say(
                f"FeatureMapCallback logs nothing in this process: by {variable} another one does. If there is no other, the "
                "variable is left over: unset it"
            )
        self._is_training, self._began_late = True, late

    def _made_recorder(self) -> Recorder:
        if self.model is None:
            raise RuntimeError("FeatureMapCallback has no model: call `set_model` before its other hooks")
        model = watched(self.model, self.submodel)
        with unbuilt_again_on_error(model):
            batch = as_fit_has_them(self.samples, model)
            chosen = model, batch, self.layers, self.channels, self.grid, self.model, self.training_pass
            if self._capture is None or not self._capture.fits(*chosen):  # else nothing is compiled anew
                self._capture = Capture(*chosen)
            probe = Probe.of(
                batch,
                model,
                channels_first=self._capture.channels_first,
                masks=self.masks,
                picture=self.picture,
                bands=self.bands,
                slice_axis=self.slice_axis,
                slice_at=self.slice,
                stored=self.stored,
                named=self.concepts,
            )
            self._capture.predict(self.prediction, probe.section.axes, probe.labels)
        return Recorder(
            self._capture,
            probe,
            Path(self.log_dir),
            step_unit="epoch" if self.update_freq == "epoch" else "batch",
            images=self.images,
            model=_about(model, self.model),
            before=self._written,
            look=_findings,
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        recorder = self._recording()
        if recorder is None:
            return
        if self._batches:
            self._batches.begin_epoch()
        if not self._started:  # Keras tells callbacks no initial epoch: it is the first that begins
            self._start(recorder, epoch, goes_on=epoch > 0)
        self._say_cost()
        self._epoch_began = time.perf_counter()

    def _recording(self) -> Recorder | None:
        """What records, begun now in a loop of the user's own that has not called `on_train_begin`; None if nothing does."""
        if not self._is_training:
            self._begin(late=True)
        return self._recorder

    def _start(self, recorder: Recorder, epoch: int, *, goes_on: bool = False, run: int = 0) -> None:
        """The first step.

        Args:
            recorder: What records it.
            epoch: After how many epochs, as Keras counts.
            goes_on: Whether there were some before this training.
            run: After how many batches of this training.
        """
        step = epoch
        if self.update_freq != "epoch":
            self._batches = Batches(self.model, 1 if self.update_freq == "batch" else int(self.update_freq), run)
            step = self._batches.step(self.model)
            goes_on = goes_on or step > run
        self._say(f"FeatureMapCallback: compiling one pass through {recorder.layers} layers ...", end=" ")
        began = time.perf_counter()
        try:
            there = recorder.start(step, self, goes_on=goes_on)
        except BaseException as error:
            recorder.close()
            self._recorder = None
            self._say("failed")
            if self._has_logged and isinstance(error, Exception):
                recorder.fail(error)  # a disk that is full by now must not end fits in a loop
                return
            self._is_training = False
            raise
        self._started = self._has_logged = True
        self._offset, self._written = there - step, recorder.written
        if self._batches:
            self._batches.go_on_at(there, self.model)
        self._say(f"{time.perf_counter() - began:.1f} s, {self._told(recorder, epoch, step, there)}")

    def _told(self, recorder: Recorder, epoch: int, step: int, there: int) -> str:
        """Where feature maps go, how much they will be, and what may surprise."""
        told = f"feature maps go to {recorder.directory}"
        if recorder.goes_on:
            told = f"feature maps go on in {recorder.directory} behind step {there}"
        if there != step:
            told += f", as which the model begins (Keras counts from {step})"
        if recorder.told and not self._said_apart:
            self._said_apart = True
            told += f": {recorder.told}"
        if recorder.size and (planned := self._planned(epoch, there)):
            told += f", {foretold(recorder.size, *planned, self.images)}"
        waits = "; training waits for the scores of each step, which go into its logs" if self.scores_in_logs else ""
        twice = "; each step takes a second pass, in training mode" if self.training_pass else ""
        return told + recorder.remarks + twice + waits

    def _planned(self, epoch: int, step: int) -> tuple[int, int] | None:
        """How many steps are planned from a step on, and epochs; None where that is not known: by a predicate, or for batches without a count."""
        params = self.params or {}
        epochs = (params.get("epochs") or 0) - epoch
        if callable(self.every) or epochs <= 0:
            return None
        if self._batches is None:
            last = step + epochs
            return 1 + last // self.every - step // self.every + (last % self.every > 0), epochs
        if not params.get("steps"):
            return None
        return 1 + epochs * params["steps"] // (self._batches.frequency * self.every), epochs

    def _on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        recorder = self._recording()
        if recorder is None:
            return
        if not self._started or self._batches is None:
            self._start(recorder, 0, run=batch + 1)
        elif (ordinal := self._batches.end(batch)) is not None and self._due(recorder, self._batches.count, ordinal):
            recorder.record(self._batches.step(self.model))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        recorder = self._recording()
        if recorder is None:
            return
        if not self._started:
            self._start(recorder, epoch + 1, goes_on=epoch > 0)
        else:
            self._epoch_seconds = time.perf_counter() - self._epoch_began
            self._epochs += 1
            step = self._offset + epoch + 1
            ordinal: int | None = step
            if self._batches:
                step = self._batches.step(self.model)
                ordinal = self._batches.end_epoch(step)
            if ordinal is not None and self._due(recorder, step, ordinal):
                recorder.record(step)
            else:
                recorder.keep(step)
        if self.scores_in_logs and logs is not None:
            logs.update(recorder.scores())
        self._epoch_began = time.perf_counter()

    def on_train_end(self, logs: Any = None) -> None:
        self._close()

    def on_test_begin(self, logs: Any = None) -> None:
        self._say_what_is_not_logged("evaluate")

    def on_predict_begin(self, logs: Any = None) -> None:
        self._say_what_is_not_logged("predict")

    def _say_what_is_not_logged(self, by: str) -> None:
        """Once, where no training has been seen."""
        if not (self._is_training or self._has_logged or self._said_untrained):
            self._said_untrained = True
            warn_or_say(
                f"FeatureMapCallback logs nothing in `{by}`, only in training; the maps of a model as it is come from "
                "`FeatureMapExtractor(model)(samples)`"
            )

    def summary(self) -> str:
        """When each layer became a mask, and detected which label, as tables: what TensorBoard's Text tab shows, for a terminal.

        Returns:
            A line a layer: the first step at which the mask separation of its best channel is .9 or more, since when it is, and the last
            step's best channel and scores. With more than two labels, or `concepts`, a line for each: which channel of which layer
            detects it, since which step. Where there is nothing to tell apart, how edge-like, wide, changed and dead each layer is.
        """
        return self._summary

    def _due(self, recorder: Recorder, step: int, ordinal: int) -> bool:
        if not callable(self.every):
            return ordinal % self.every == 0
        try:
            return bool(self.every(step))
        except Exception as error:  # the user's own predicate; still, training goes on
            recorder.fail(error)
            return False

    def _close(self) -> None:
        self._is_training, self._batches = False, None
        if self._recorder is not None:
            self._recorder.close()
            self._say_cost()
            self._say_findings(self._recorder.found)
            without = (
                "no masks were given"
                if self.masks is None and not self.concepts
                else "no logged layer has cells of what was given and others beside them: there is nothing to tell apart"
            )
            tables, change = self._recorder.tables, self._recorder.change
            layers = f"; of the layers themselves:\n\n{aligned(change)}" if change else ""
            self._summary = "\n\n".join(map(aligned, tables)) or without + layers
            self._recorder = None

    def _say_cost(self) -> None:
        """Once, when the first ordinary step is on disk: what each step costs, and what to do if that is much."""
        recorder = self._recorder
        if self._said_cost or recorder is None:
            return
        if told := recorder.cost.told(self._epochs, recorder.waited, self._epoch_seconds):
            self._said_cost = True
            self._say(f"FeatureMapCallback: {told}")

    def _say_findings(self, found: Sequence[Finding]) -> None:
        """Five lines at most, one for each kind; in a loop of `fit` each finding once."""
        new = [each for each in found if (each.severity, each.kind, each.layer) not in self._said]
        self._said |= {(each.severity, each.kind, each.layer) for each in new}
        alike = by_kind(new)
        shown = alike if len(alike) <= _LINES else alike[: _LINES - 1]
        for first, *others in shown:
            more = f", and {len(others)} more" if others else ""
            self._say(f"FeatureMapCallback: {first.severity}: {first.headline} ({first.kind}{more})")
        if left := len(new) - sum(map(len, shown)):
            self._say(f"FeatureMapCallback: and {left} more: fm-callback findings {self.log_dir}")

    def _say(self, text: str, end: str = "\n") -> None:
        if self.params is None or self.params.get("verbose", 1) != 0:
            say(text, end)


def _findings(directory: Path) -> tuple[list[Finding], str]:
    found = open_log(directory)[0].findings()
    return found, markdown(found)


def _about(model: keras.Model, trained: keras.Model) -> dict[str, Any]:
    """What the log says of the model that is watched."""
    about = {
        "name": model.name if model is trained else f"{trained.name}/{model.name}",
        "class": type(model).__name__,
        "backend": keras.backend.backend(),
        "versions": {"keras": keras.__version__, "fm_callback": __version__},
    }
    return {**about, "parameters": model.count_params()} if model.built else about


def _positive(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value > 0)
