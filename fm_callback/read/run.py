"""A run, its layers and its probe."""

import os
import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fm_callback import format
from fm_callback.format import DamagedError, Label, LayerFacts, Problem, RunFacts
from fm_callback.read import pictures
from fm_callback.read.label_table import label_table
from fm_callback.read.log_file import LogFile, ReplacedError
from fm_callback.read.predicted import labels_at, scores_of
from fm_callback.read.reader import Cache, Reader
from fm_callback.read.snapshot import Snapshot, join
from fm_callback.read.table import Table
from fm_callback.read.unknown import UnknownError, unknown
from fm_callback.read.walk import logs_in

if TYPE_CHECKING:
    from fm_callback.read.finding import Finding


class Run:
    """One run: what a training logged, and those that went on with it.

    Attributes:
        name: Its path below the directory that was opened.
        directory: Its real path.
    """

    def __init__(self, directory: str, cache: Cache) -> None:
        self.name = os.path.basename(directory)
        self.directory = directory
        self._cache = cache
        self._lock = threading.Lock()
        self._files: dict[str, LogFile] = {}
        self._met: dict[str, None] = {}  # damage that was met while reading, in order
        self._unread: dict[str, str] = {}  # files that may not be read, with the reason
        self._verified: dict[LogFile, int] = {}  # up to which record all checksums were looked at
        self._now = Snapshot()

    def refresh(self, names: Iterable[str] | None = None) -> bool:
        """Looks for new steps; returns whether anything is new.

        Args:
            names: The names of its files, by who has just listed them.
        """
        with self._lock:
            files, unread, changed = {}, {}, False
            for name in logs_in(self.directory) if names is None else names:
                path = os.path.join(self.directory, name)
                file = self._files.get(name) or LogFile(path)
                try:
                    try:
                        changed |= file.refresh()
                    except ReplacedError:
                        file, changed = LogFile(path), True
                        self._met.clear()  # of the one before
                        file.refresh()
                except (FileNotFoundError, NotADirectoryError):  # gone
                    continue
                except OSError as error:  # a network that has hiccups is no reason to forget what is known
                    unread[name] = f"{path} can't be read: {error.strerror or error}"
                    if name not in self._files or isinstance(error, PermissionError):
                        continue
                files[name] = file
            changed |= files.keys() != self._files.keys() or unread != self._unread
            self._files, self._unread = files, unread
            if changed:
                self._now = join(sorted(files.values(), key=lambda file: file.order))
                self._verified = {file: start for file, start in self._verified.items() if file in self._now.files}
            return changed

    def verify(self, most: int) -> int:
        """Looks at all checksums of records of which that was not done yet; damage is added to the problems.

        Args:
            most: Of how many bytes, about.

        Returns:
            How many bytes were read.
        """
        read = 0
        for file in self._now.files:
            records = np.sort(np.append(file.steps["start"], 0))
            new = records[records > self._verified.get(file, -1)].tolist()
            if not new or read >= most:
                continue
            try:
                with file.open() as opened:
                    for start in new:
                        damages, size = file.check_record(opened, start)
                        for damage in damages:
                            self._meet(damage.what)
                        self._verified[file] = start
                        read += size
                        if read >= most:
                            break
            except OSError:  # gone, or another: the next refresh tells
                continue
        return read

    @property
    def snapshot(self) -> Snapshot:
        """All that is known of it now, for who reads several things that must fit each other."""
        return self._now

    @property
    def display_name(self) -> str:
        """What people call it."""
        return format.display_name(self.name)

    @property
    def facts(self) -> RunFacts:
        """What its run record says."""
        facts = self._now.facts
        if facts is None:
            raise UnknownError(f"run {self.name!r} has no whole step")
        return facts

    @property
    def steps(self) -> tuple[int, ...]:
        """Its steps, rising; 0 is before training."""
        return tuple(self._now.steps["step"].tolist())

    @property
    def step_unit(self) -> str:
        """What a step is: "epoch" or "batch"."""
        return self.facts.step_unit

    @property
    def layers(self) -> tuple["Layer", ...]:
        """Its layers, in the order of their numbers."""
        return tuple(Layer(self, at, each) for at, each in enumerate(self.facts.layers) if isinstance(each, LayerFacts))

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels of the probe's masks; a pixel of `probe.labels` is a position here."""
        return self.facts.labels

    @property
    def measures(self) -> Mapping[str, Mapping[str, Any]]:
        """What people call its fields and summaries."""
        return self.facts.measures

    @property
    def model(self) -> Mapping[str, Any]:
        """What is known of the model: name, class, parameters, backend, versions."""
        return self.facts.model

    @property
    def probe(self) -> "Probe":
        """The samples that are shown at every step."""
        return Probe(self)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is damaged or left out, in words; also what was met while reading."""
        facts = self._now.facts
        layers = [each for each in facts.layers if isinstance(each, Problem)] if facts else []
        told = [f"layer {each.name!r} can't be shown: {each.reason}" for each in layers]
        return (*self._unread.values(), *self._now.damages, *self._met, *told)

    def wall_time(self, step: int | None = None) -> float:
        """When a step was written, the newest by default, in seconds since the epoch."""
        now = self._now
        return float(now.steps["wall_time"][self.at(now, step)])

    def table(self, of: str) -> Table:
        """All numbers of the run as columns.

        Args:
            of: "layer" for `step`, `layer` and the layers' summaries; "channel" for `step`, `layer`, `channel` and the
                channels' fields. A column that a layer does not have is NaN there, and so is a damaged step. "label" for which
                channel detects which label, since when: `label` (or the name of a concept), `layer`, at the last step the `channel` that
                tells it best, its `auroc`, and its `excess`, what of that is no position (NaN of one image), the `first` step at which a
                channel of the layer detected it, and since when, `since`, one does without a gap; what a detection is says
                `fm_callback.scores.detection`.

        Returns:
            int64 `step` and `channel`, `layer` and `label` of names, float32 all others; rows by step, then layer, then
            channel; or by label, then layer. `first` and `since` are float64, NaN where there was no detection, or is none now.
        """
        if of == "label":
            return label_table(self.snapshot, self.layers, self.labels, self.reader)
        if of not in ("layer", "channel"):
            raise ValueError(f'a table is of each "layer", of each "channel" or of each "label"; received {of!r}')
        now, layers = self._now, self.layers
        channels = of == "channel"
        columns = list(dict.fromkeys(name for each in layers for name in _columns(each.facts, channels)))
        rows = [len(each.channels) if channels else 1 for each in layers]
        values = {name: np.full((len(now.steps), sum(rows)), np.nan, np.float32) for name in columns}
        at = np.cumsum([0, *rows])
        with self.reader(now) as reader:
            for step in range(len(now.steps)):
                for layer, start, end in zip(layers, at, at[1:], strict=False):
                    array = reader.numbers(step, layer.position, not channels)
                    if array is not None:
                        for column, name in enumerate(_columns(layer.facts, channels)):
                            values[name][step, start:end] = array[..., column]
        names = np.empty(len(layers), object)
        names[:] = [each.name for each in layers]
        table = Table(
            step=np.repeat(now.steps["step"], sum(rows)), layer=np.tile(np.repeat(names, rows), len(now.steps))
        )
        if channels:
            numbers = np.concatenate([np.array(each.channels, np.int64) for each in layers] or [np.empty(0, np.int64)])
            table["channel"] = np.tile(numbers, len(now.steps))
        return Table(table | {name: column.ravel() for name, column in values.items()})

    def prediction(self, step: int | None = None) -> np.ndarray:
        """What the model predicts at a step, the newest by default.

        Returns:
            int64 (stored images, height, width), the value of each cell's label, in the size of the model's output;
            of a model that tells classes apart (stored images,). -1 where the output is not a number.

        Raises:
            UnknownError: if the run, or the step, has no prediction.
            DamagedError: if it is damaged.
        """
        now = self._now
        at, facts = self.at(now, step), now.facts
        if facts is None or facts.prediction is None:
            raise UnknownError(f"run {self.name!r} has no prediction: none was read of the model's output")
        with self.reader(now) as reader:
            return labels_at(facts, facts.prediction, reader, at)

    def findings(self) -> "list[Finding]":
        """What stands out in it, in words, the gravest first; empty where nothing does. See `read.findings`."""
        from fm_callback.read.findings import findings

        return findings(self)

    @property
    def scores(self) -> Table:
        """How well the model predicts, as columns.

        Returns:
            `step`, `image`, `label` (its name), `iou`, `share`, `true_share`: a row for each label of each probe image at
            each step, NaN where one is not defined. Of a model that tells classes apart `step`, `image`, `label`,
            `probability`: a row for each image. Steps without a prediction have no row.
        """
        now = self._now
        with self.reader(now) as reader:
            return scores_of(now, reader)

    def __getitem__(self, key: str | int) -> "Layer":
        layers = self.layers
        if isinstance(key, str):
            for attribute in ("name", "path"):
                found = [each for each in layers if getattr(each, attribute) == key]
                if found:
                    return found[0]
            found = [each for each in layers if each.path.rsplit("/", 1)[-1] == key]
            if len(found) == 1:
                return found[0]
        elif isinstance(key, int):
            numbered = [each for each in layers if each.number is not None]
            found = [each for each in numbered if each.number == key] if key > 0 else numbered[key : key + 1 or None]
            if found and key:
                return found[0]
            if key == 0:
                raise UnknownError(
                    f"run {self.name!r} has no layer 0: layers are counted from 1, as in `conv_layers`; -1 is the last"
                )
        for problem in self.facts.layers:
            if isinstance(problem, Problem) and problem.name == key:
                raise UnknownError(f"layer {key!r} can't be shown: {problem.reason}")
        raise unknown("layer", key, [each.name for each in layers], f"run {self.name!r}")

    def __repr__(self) -> str:
        facts = self._now.facts
        return f"<Run {self.name!r}: {len(self.steps)} steps of {len(facts.layers) if facts else 0} layers>"

    def _repr_html_(self) -> str:
        from fm_callback.read.notebook import run_html

        return run_html(self) if self.steps else ""

    def at(self, now: Snapshot, step: int | None) -> int:
        """The position of a step among those of a snapshot; of the newest for None.

        Raises:
            UnknownError: if there is none.
        """
        steps = now.steps["step"]
        if step is None and len(steps):
            return len(steps) - 1
        if isinstance(step, int | np.integer) and 0 <= step < format.MOST_STEP:
            at = int(np.searchsorted(steps, step))
            if at < len(steps) and steps[at] == step:
                return at
        known = _spans(steps.tolist())
        raise UnknownError(
            f"run {self.name!r} has no step {step!r}. It has {known}" if known else f"run {self.name!r} has no step"
        )

    def reader(self, now: Snapshot) -> Reader:
        """Reads what is stored of its steps; a context manager, which closes the files."""
        return Reader(now, self._cache, self._meet)

    def _meet(self, what: str) -> None:
        if len(self._met) < 100:
            self._met.setdefault(what)


class Layer:
    """One layer of a run.

    Attributes:
        facts: What is the same at all steps.
        position: Its place among all layers of the run.
    """

    def __init__(self, run: Run, position: int, facts: LayerFacts) -> None:
        self._run = run
        self.position = position
        self.facts = facts

    @property
    def run(self) -> Run:
        """The run that it is of."""
        return self._run

    @property
    def name(self) -> str:
        """What it is asked for by: its path, made unique in the run."""
        return self.facts.name

    @property
    def path(self) -> str:
        """Its path in the model."""
        return self.facts.path

    @property
    def number(self) -> int | None:
        """Its number among the model's convolutions, from 1; None for another kind of layer."""
        return self.facts.number

    @property
    def kind(self) -> str:
        """Its class, such as "Conv2D"."""
        return self.facts.kind

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of its output for one image, channels last."""
        return self.facts.shape

    @property
    def channels(self) -> tuple[int, ...]:
        """Indices of the logged channels."""
        return self.facts.channels

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of what is known of a channel at a step."""
        return self.facts.fields

    def maps(self, step: int | None = None) -> np.ndarray:
        """The maps at a step, the newest by default.

        Returns:
            float32 (stored images, height, width, channels) in activation units, off by at most half of 1 / 255 of the
            channel's range; NaN where a channel has no finite value, and for an image whose maps are damaged, of which
            one warning tells.

        Raises:
            DamagedError: if the step, or the layer's numbers at it, are damaged.
        """
        now = self._now()
        at = self._run.at(now, step)
        with self._run.reader(now) as reader:
            pixels, damaged = self._pixels(reader, at)
            numbers = reader.numbers(at, self.position)
        if numbers is None:
            raise DamagedError(f"the numbers of layer {self.name!r} at step {now.steps['step'][at]} are damaged")
        low, high = (numbers[:, self._field(name)] for name in ("low", "high"))
        values = format.to_values(pixels, low, high)
        if damaged:
            values[list(damaged)] = np.nan
            told = "; ".join(str(error) for error in damaged.values())
            warnings.warn(f"run {self._run.name!r}, {told}; its values are NaN", stacklevel=2)
        return values

    def pixels(self, step: int | None = None) -> np.ndarray:
        """The maps at a step as they are stored, each channel from its lowest value, 0, to its highest, 255.

        Returns:
            uint8 (stored images, height, width, channels).

        Raises:
            DamagedError: if the maps of an image are damaged; no pixel can say so. `maps` gives the others.
        """
        now = self._now()
        with self._run.reader(now) as reader:
            pixels, damaged = self._pixels(reader, self._run.at(now, step))
        for error in damaged.values():
            raise error
        return pixels

    def numbers(self, field: str) -> np.ndarray:
        """A field of its channels at all steps.

        Returns:
            float32 (steps, channels); NaN at a step that is damaged.
        """
        now, column = self._now(), self._field(field)
        result = np.full((len(now.steps), len(self.channels)), np.nan, np.float32)
        with self._run.reader(now) as reader:
            for at, row in enumerate(result):
                stored = reader.numbers(at, self.position)
                if stored is not None:
                    row[:] = stored[:, column]
        return result

    def summaries(self, name: str) -> np.ndarray:
        """A summary of the layer at all steps.

        Returns:
            float32 (steps,); NaN where it is not defined, and at a step that is damaged.
        """
        if name not in self.facts.summaries:
            raise unknown("summary", name, list(self.facts.summaries), f"layer {self.name!r}")
        now, column = self._now(), self.facts.summaries.index(name)
        with self._run.reader(now) as reader:
            found = [reader.numbers(at, self.position, summaries=True) for at in range(len(now.steps))]
        return np.array([np.nan if stored is None else stored[column] for stored in found], np.float32)

    def _pixels(self, reader: Reader, at: int) -> tuple[np.ndarray, dict[int, DamagedError]]:
        """The pixels of all stored images, and what is wrong with those whose maps are damaged: they are 0."""
        facts = self.facts
        images = reader.images(at, self.position)
        pixels = np.zeros((images, *facts.map, len(facts.channels)), np.uint8)
        damaged: dict[int, DamagedError] = {}
        for image in range(images):
            try:
                grid = reader.decoded(at, self.position, image)
            except DamagedError as error:
                damaged[image] = error
                continue
            tiles = format.to_tiles(grid, facts.rows, facts.columns, len(facts.channels))
            pixels[image] = np.moveaxis(tiles, 0, -1)
        return pixels, damaged

    def _field(self, name: str) -> int:
        if name not in self.fields:
            raise unknown("field", name, list(self.fields), f"layer {self.name!r}")
        return int(self.fields.index(name))

    def _now(self) -> Snapshot:
        now = self._run.snapshot
        if now.facts is None or now.facts.layers[self.position : self.position + 1] != (self.facts,):
            raise UnknownError(f"run {self._run.name!r} was replaced by another: ask it for layer {self.name!r} again")
        return now

    def __repr__(self) -> str:
        number = "" if self.number is None else f" #{self.number}"
        count = len(self.channels)
        return f"<Layer{number} {self.name!r}: {self.kind}, {count} channel{'' if count == 1 else 's'} of {self.facts.map}>"

    def _repr_html_(self) -> str:
        from fm_callback.read.notebook import layer_html

        return layer_html(self)


class Probe:
    """The samples that are shown at every step."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._now = run.snapshot
        self.facts = run.facts.probe

    @property
    def count(self) -> int:
        """How many samples all numbers are over."""
        return self.facts.images

    @property
    def stored(self) -> int:
        """Of how many of them maps are stored."""
        return self.facts.stored

    @property
    def scaling(self) -> str | None:
        """How values became pixels."""
        return self.facts.scaling

    @property
    def images(self) -> list[np.ndarray]:
        """The stored pictures, each uint8 (height, width) or (height, width, 3 or 4)."""
        return [self._picture("picture", image) for image in range(len(self.facts.pictures))]

    @property
    def labels(self) -> list[np.ndarray]:
        """The labels of the stored samples, each uint8 (height, width): positions in `run.labels`."""
        return [self._picture("label", image) for image in range(len(self.facts.labels))]

    def _picture(self, kind: str, image: int) -> np.ndarray:
        with self._run.reader(self._now) as reader:
            return pictures.decode(reader.probe(kind, image))


def _columns(facts: LayerFacts, channels: bool) -> tuple[str, ...]:
    return facts.fields if channels else facts.summaries


def _spans(steps: list[int]) -> str:
    if len(steps) <= 30:
        return ", ".join(map(str, steps))
    return f"{len(steps)}, from {steps[0]} to {steps[-1]}"
