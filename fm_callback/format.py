"""The stored format, version 2: the contract between the side that writes and the side that reads.

A run of training has a directory, `<log_dir>/feature_maps` by default. In it, one file `<stamp>.<host>.<pid>.<count>.fmlog` for each
time that training started, but for further `fit`s of a process, which go on in its file: TFRecord framing (`fm_callback.tfrecord`),
append only, never renamed. Beside them TensorBoard's own event
files, which hold copies for its Images, Scalars and Text tabs; nothing of ours reads those.

**A record's data**

| bytes | what |
|---|---|
| 4 | `MAGIC`, by which readers find the next record behind damage |
| 4 | length of the head, u32 little-endian |
| 4 | masked CRC-32C of the head, so that it can be trusted without reading the rest |
| | head: UTF-8 JSON, one spelling for one content; `kind` says what the record is |
| | blobs, addressed from the end of the head by references `[offset, length, CRC-32C]` |

**The run record** (`kind` "run") is the first of a file. What it says does not change while the run is written.

| key | what |
|---|---|
| `format` | 2 |
| `first_step` | from this step on, the steps of files with earlier stamps are gone, once this file holds a whole step |
| `step_unit` | "epoch" or "batch" |
| `layers` | `LayerFacts` of each logged layer, in the order of their numbers |
| `probe` | `images`: how many samples all numbers are over; `stored`: of how many the maps are stored; `digest`: tells this probe from others; `scaling`: how values became pixels; `axes`, `slice_axis`, `slices`: of volumes, which slice; `pictures`, `labels`: references to PNGs of the stored samples and of their labels |
| `labels` | `Label`s; a pixel of a label picture is the position of its label here |
| `prediction` | `PredictionFacts`, if what the model predicts is stored with each step; else null |
| `measures` | `{field or summary: {"label", "short", "kind", "chance", "says"}}`: what people call them |
| `model` | `name`, `class`, `parameters`, `backend`, `versions` |
| `images` | whether pictures are copied for TensorBoard's Images tab |

**A step record** (`kind` "step"): `step`, `wall_time` in seconds, and `layers`, a reference to JSON: for each layer, in the run's order,

| key | what |
|---|---|
| `maps` | a reference for each stored sample: an 8-bit gray PNG, the layer's channels row by row in a grid without gaps (`to_grid`, `to_tiles`) |
| `numbers` | float32 (channels, fields), little-endian, over all samples; the fields are the layer's `fields` |
| `summaries` | float32 (summaries,): the layer's scalars, by the layer's `summaries`; NaN where one is not defined |

Where the run has a `prediction`, also `prediction`, a reference to JSON:

| key | what |
|---|---|
| `maps` | of labels a reference for each stored sample: an 8-bit PNG, gray or indexed, of the prediction's `size`; a pixel is a position in the prediction's `labels`, or `NO_LABEL` where the output is not a number. Of a class none |
| `scores` | float32 over all samples, little-endian. Of labels (images, labels, 3): `SCORES` of each label in each image. Of a class (images, 2): its position in the prediction's `labels`, -1 where the output is not a number, and its probability |

`iou` is that of the predicted pixels of a label and its true ones, `share` and `true_share` are the parts of the image that they take up,
all in pixels of the masks, to which a prediction of another size is brought by the nearest cell. Pixels whose true label is ignored do not
count. NaN is what is not defined: IoU where a label is neither predicted nor true, and what is true where nothing of it is known.

**Pixel and value.** With `low` and `high` of a channel at a step, over all samples: value = low + pixel / 255 * (high - low)
(`to_values`), and pixel = floor((value - low) / (high - low) * 255 + 1/2) (`to_pixels`). A cell that is not finite has pixel 0; a
channel without any finite value has low and high NaN.

**Rules for readers.** A step is whole or absent: what is cut off at the end of a file is passed over. A file without a whole step does
not count. A damaged record costs that step alone. Keys that are not known are ignored, missing ones have the defaults below; the facts
without a default must be there. Records of an unknown kind are passed over. A newer `format` is shown as far as it can be.

Nothing here needs Keras, a backend or TensorBoard.
"""

import contextlib
import dataclasses
import json
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import google_crc32c
import numpy as np

from fm_callback import tfrecord

VERSION = 2
MAGIC = b"fmap"
SUFFIX = ".fmlog"
#: Name of a run's directory, of our plugin, and of the first part of our copies' tags.
PLUGIN = "feature_maps"
#: Markdown for TensorBoard's Text tab: when each layer became a mask, by the steps so far.
TABLE_TAG = "mask_table"
#: And that of what stands out.
FINDINGS_TAG = "findings"

#: What is known of a channel at a step without any mask, over all probe images; the order in which it is stored.
NUMBERS = ("low", "high", "mean", "mean_abs", "std", "zeros", "nonfinite")
#: And, behind these, of a layer whose output a ReLU takes: the share of cells that are 0 behind that.
BEHIND = "activation_zeros"

#: A log may be hostile. Readers take no head that is longer, no JSON of more objects and lists, no more layers, no picture
#: of more pixels, no blob of more bytes (what is written has neither: what does not get smaller by packing fits, too). Steps
#: are below the first whole number that JavaScript can't tell from the next.
MOST_HEAD, MOST_OBJECTS, MOST_LAYERS, MOST_CHANNELS = 2**24, 2**20, 10_000, 2**20
MOST_PIXELS = MOST_BLOB = 48 * 2**20
MOST_STEP = 2**53

#: Of no more samples maps are stored.
MOST_STORED = 10_000

#: In a predicted label map, where the model's output is not a number; so that labels have the positions before it. Of a
#: class no more are told apart.
NO_LABEL, MOST_CLASSES = 255, 1024

#: What is known of a label in an image, by its prediction.
SCORES = ("iou", "share", "true_share")

_PREFIX = struct.Struct("<4sI4s")
PREFIX = _PREFIX.size

#: Offset from the end of the head, length, and CRC-32C of a blob.
Reference: TypeAlias = Sequence[int]


class DamagedError(ValueError):
    """What is stored can't be used: cut off, changed, or not what the format says."""


@dataclass(frozen=True)
class LayerFacts:
    """What does not change from step to step about one logged layer.

    Attributes:
        name: Its path, made unique in the run: what it is asked for by.
        path: Path in the model.
        shape: Shape of the layer's output for one image, channels last.
        map: Height and width of a stored map: a row of cells for one axis, one cell for none, a slice of the third for three.
        channels: Indices of the logged channels, frozen for the run.
        rows: Rows of the stored grid.
        columns: Columns of the stored grid.
        fields: Names of the columns of its numbers.
        summaries: Names of its scalars at a step.
        kind: Class of the layer, such as "Conv2D".
        number: 1-based number among the model's convolutions, None for another kind of layer.
        kernel: Spatial size of the kernel, None where the layer has none.
        activation: Name of the activation that the layer itself applies, None where it has none.
        planar: Whether a map lies over the sample, so that its labels can be laid over it: two axes over a picture, one
            over a signal, three over a volume.
        slice: Index of the slice that is stored of a map with a third axis (Conv3D's depth, TimeDistributed's time),
            of the first image; else None.
        slice_axis: Which of the axes of `shape` is cut there; of a map with four, the middle of the first is stored.
        slices: Index of the slice for each stored image.
        prefix: How many tokens before those of the picture are left out, where the layer puts out tokens; `shape` is
            without them.
        cells: How many cells of all probe images stand behind a measure, by concept ("foreground", "background", "edges",
            "outline"); of single labels and named concepts by the measure ("cat_auroc").
        images: In how many of these images there is one of them, by the same names.
        trainable: Whether the training may change its weights; None where it has none, or that is not known.
        period: By how much an upsampling before it, or the layer itself, has enlarged its maps; 0 if none has.
        dilation: The largest dilation rate of its kernel.
        order: Which of all calls of layers it was in a pass; None where that is not known.
    """

    name: str
    path: str
    shape: tuple[int, ...]
    map: tuple[int, int]
    channels: tuple[int, ...]
    rows: int
    columns: int
    fields: tuple[str, ...]
    summaries: tuple[str, ...] = ()
    kind: str = ""
    number: int | None = None
    kernel: tuple[int, ...] | None = None
    activation: str | None = None
    planar: bool = False
    slice: int | None = None
    slice_axis: int | None = None
    slices: tuple[int, ...] = ()
    prefix: int = 0
    cells: Mapping[str, int] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    trainable: bool | None = field(default=None, compare=False)  # says nothing of how a step is read
    period: int = field(default=0, compare=False)
    dilation: int = field(default=1, compare=False)
    order: int | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, stored: Any) -> "LayerFacts":
        """Reads what a run record holds of a layer.

        Raises:
            DamagedError: if a required fact is missing, or one is not what it must be.
        """
        layer = cls(**{key: _tuple(value) for key, value in _known(cls, stored, "a layer's facts").items()})
        try:
            sound = layer._sound()
        except (TypeError, AttributeError):  # a number where a list belongs, and the like
            sound = False
        if not sound:
            raise DamagedError(f"the facts of layer {str(layer.path)[:200]!r} contradict each other")
        return layer

    def _sound(self) -> bool:
        lists = (self.shape, self.map, self.channels, self.fields, self.summaries, self.slices)
        if not _all(tuple, *lists, *_given(self.kernel)) or 4 * len(self.channels) * len(self.fields) > MOST_BLOB:
            return False
        texts = (self.name, self.path, self.kind, *self.fields, *self.summaries, *_given(self.activation))
        counts = (*self.shape, *self.map, *self.channels, self.rows, self.columns, *(self.kernel or ()))
        counts += (*_given(self.slice), *_given(self.slice_axis), *self.slices, self.prefix, self.period, self.dilation)
        counts += (*self.cells.values(), *self.images.values(), *_given(self.order))
        return (
            _all(str, *texts)
            and _all(int, *counts, *_given(self.number))
            and _all(bool, self.planar, *_given(self.trainable))
            and all(0 <= count < 2**31 for count in counts)
            and (self.number is None or 0 < self.number < 2**31)
            and len(self.map) == 2
            and len(self.shape) > 0
            and all((*self.shape, *self.map))
            and self.rows * self.columns >= len(self.channels) > 0
            and self.rows * self.columns * self.map[0] * self.map[1] <= MOST_PIXELS
            and all(len(set(names)) == len(names) for names in (self.channels, self.fields, self.summaries))
        )

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of a stored picture."""
        return self.rows * self.map[0], self.columns * self.map[1]


@dataclass(frozen=True)
class Label:
    """One label of the probe's masks.

    Attributes:
        name: What people call it.
        value: Its value in the masks; None where several values together are it.
        colour: "#rrggbb", or None.
        foreground: Whether it is the object, or part of it.
        ignored: Whether it is neither object nor background.
    """

    name: str
    value: int | None = None
    colour: str | None = None
    foreground: bool = False
    ignored: bool = False

    @classmethod
    def parse(cls, stored: Any) -> "Label":
        """Reads one label of a run record."""
        label = cls(**_known(cls, stored, "a label"))
        if not (
            _all(str, label.name, *_given(label.colour))
            and _all(int, *_given(label.value))
            and _all(bool, label.foreground, label.ignored)
            and (label.colour is None or re.fullmatch("#[0-9a-fA-F]{6}", label.colour))
        ):
            raise DamagedError("a label is not what it must be")
        return label


@dataclass(frozen=True)
class ProbeFacts:
    """What is known of the samples that are shown at every step.

    Attributes:
        images: How many samples all numbers are over.
        stored: Of how many of them maps are stored.
        digest: Tells this probe from others.
        scaling: How values became pixels; None for a probe that is no image.
        axes: Sizes of the axes of a sample that can be seen: one of a signal, two of a picture, three of a volume or
            video.
        slice_axis: Which of three is cut: pictures and label pictures are of that slice.
        slices: Index of the slice of each stored sample.
        pictures: References to the stored pictures.
        labels: References to the stored label pictures.
    """

    images: int = 1
    stored: int = 1
    digest: str = ""
    scaling: str | None = None
    axes: tuple[int, ...] = ()
    slice_axis: int | None = None
    slices: tuple[int, ...] = ()
    pictures: tuple[Reference, ...] = ()
    labels: tuple[Reference, ...] = ()

    @property
    def plane(self) -> tuple[int, int] | None:
        """Height and width of its pictures; None where the axes do not tell."""
        cut = self.slice_axis if len(self.axes) == 3 else None
        kept = [size for axis, size in enumerate(self.axes) if axis != cut]
        height, width = [1, *kept][-2:] if kept else (0, 0)
        return (height, width) if 0 < len(kept) < 3 else None

    @classmethod
    def parse(cls, stored: Any) -> "ProbeFacts":
        """Reads the probe of a run record."""
        probe = cls(**{key: _tuple(value) for key, value in _known(cls, stored, "the probe").items()})
        sound = (
            _all(tuple, probe.axes, probe.slices, probe.pictures, probe.labels)
            and _all(int, probe.images, probe.stored, *probe.axes, *_given(probe.slice_axis), *probe.slices)
            and _all(str, probe.digest, *_given(probe.scaling))
        )
        if not (sound and 0 < probe.images < 2**31 and 0 <= probe.stored <= MOST_STORED):
            raise DamagedError("what is stored of the probe is not what it must be")
        return probe


@dataclass(frozen=True)
class PredictionFacts:
    """What does not change from step to step about what the model predicts.

    Attributes:
        kind: "labels", one for each cell, or "class", one for each sample.
        labels: What a pixel, or a class, stands for, by position.
        output: Name of the model's output, where it has several.
        truth: For each label of the masks its position in `labels`; -1 where it is ignored, or nothing of it is known.
        size: Height and width of a stored prediction; empty for a class.
    """

    kind: str
    labels: tuple[Label, ...]
    output: str | None = None
    truth: tuple[int, ...] = ()
    size: tuple[int, ...] = ()

    @classmethod
    def parse(cls, stored: Any, images: int, masks: int) -> "PredictionFacts":
        """Reads the prediction of a run record.

        Args:
            stored: What the record holds of it.
            images: How many samples there are.
            masks: How many labels the masks have.

        Raises:
            DamagedError: if it can't be used.
        """
        given = {key: _tuple(value) for key, value in _known(cls, stored, "the prediction").items()}
        most = {"labels": NO_LABEL, "class": MOST_CLASSES}.get(str(given["kind"]), 0)
        if not isinstance(given["labels"], tuple) or not 0 < len(given["labels"]) <= most:
            raise DamagedError("the labels of the prediction are not what they must be")
        facts = cls(**given | {"labels": tuple(map(Label.parse, given["labels"]))})
        if not (
            _all(tuple, facts.truth, facts.size)
            and _all(int, *facts.truth, *facts.size)
            and _all(str, *_given(facts.output))
            and len(facts.truth) == masks
            and all(-1 <= position < len(facts.labels) for position in facts.truth)
            and len(facts.size) == (2 if facts.kind == "labels" else 0)
            and all(0 < side <= MOST_PIXELS for side in facts.size)
            and math.prod(facts.size) <= MOST_PIXELS
            and 4 * math.prod(facts.scores(images)) <= MOST_BLOB
        ):
            raise DamagedError("the facts of the prediction contradict each other")
        return facts

    def scores(self, images: int) -> tuple[int, ...]:
        """The shape of the scores of so many samples at a step."""
        return (images, len(self.labels), len(SCORES)) if self.kind == "labels" else (images, 2)


@dataclass(frozen=True)
class Problem:
    """A layer whose facts can't be used: it costs that layer alone.

    Attributes:
        name: What it is asked for by.
        reason: Why it can't be shown, in words.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class RunFacts:
    """What the run record says."""

    first_step: int
    layers: tuple[LayerFacts | Problem, ...]
    step_unit: str = "epoch"
    probe: ProbeFacts = ProbeFacts()
    labels: tuple[Label, ...] = ()
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    images: bool = True
    format: int = VERSION
    prediction: PredictionFacts | None = None

    def head(self) -> dict[str, Any]:
        """The head of the run record."""
        return {"kind": "run", **dataclasses.asdict(self)}

    @classmethod
    def parse(cls, head: Mapping[str, Any]) -> "RunFacts":
        """Reads the head of a run record; a layer, label, probe or prediction that can't be used does not take the others with it.

        Raises:
            DamagedError: if the run can't be read at all.
        """
        stored = _known(cls, head, "the run record")
        numbers = stored["first_step"], stored.get("format", VERSION)
        if not (
            _all(int, *numbers)
            and all(0 <= each < MOST_STEP for each in numbers)
            and isinstance(stored["layers"], list)
        ):
            raise DamagedError("the run record is not what it must be")
        if len(stored["layers"]) > MOST_LAYERS:
            raise DamagedError("the run record holds more layers than any model has")
        channels = [layer.get("channels") for layer in stored["layers"] if isinstance(layer, dict)]
        if sum(len(each) for each in channels if isinstance(each, list)) > MOST_CHANNELS:
            raise DamagedError("the run record holds more channels than any model has")
        newer = stored.get("format", VERSION) > VERSION
        names: list[str] = []
        layers: list[LayerFacts | Problem] = []
        for count, layer in enumerate(stored["layers"]):
            try:
                facts: LayerFacts | Problem = LayerFacts.parse(layer)
            except DamagedError as error:
                path = layer.get("path") if isinstance(layer, dict) else None
                reason = "a newer format that this version can't show" if newer else str(error)
                facts = Problem(path if isinstance(path, str) else f"layer {count + 1}", reason)
            names.append(well_formed(facts.name))
            layers.append(facts)
        for position, name in enumerate(unique(names)):
            layers[position] = dataclasses.replace(layers[position], name=name)
        labels = stored.get("labels", [])
        try:
            read = tuple(map(Label.parse, labels if isinstance(labels, list) else []))
        except DamagedError:
            read = ()
        try:
            probe = ProbeFacts.parse(stored.get("probe", {}))
        except DamagedError:
            probe = ProbeFacts()
        prediction = None
        if stored.get("prediction") is not None:
            with contextlib.suppress(DamagedError):
                prediction = PredictionFacts.parse(stored["prediction"], probe.images, len(read))
        return cls(
            stored["first_step"],
            tuple(layers),
            "batch" if stored.get("step_unit") == "batch" else "epoch",
            probe,
            read,
            _measures(stored.get("measures")),
            model if isinstance(model := stored.get("model"), dict) else {},
            bool(stored.get("images", True)),
            stored.get("format", VERSION),
            prediction,
        )

    def starting_at(self, step: int) -> "RunFacts":
        """The same with another first step."""
        return dataclasses.replace(self, first_step=step)

    def same_run(self, other: "RunFacts") -> bool:
        """Whether a training with these facts may go on in a run with the other's: all that tells how to read a step is alike."""

        def telling(facts: RunFacts) -> tuple[Any, ...]:
            probe = dataclasses.replace(facts.probe, pictures=(), labels=())
            return facts.format, facts.layers, facts.step_unit, probe, facts.labels, facts.images, facts.prediction

        return telling(self) == telling(other)


class LayerStep(NamedTuple):
    """What is stored of a layer at a step: PNGs of the stored images, float32 (channels, fields), float32 (summaries,)."""

    maps: Sequence[bytes]
    numbers: np.ndarray
    summaries: np.ndarray


class PredictionStep(NamedTuple):
    """What is stored of a prediction at a step: PNGs of the stored images, of labels; and float32 scores of all images."""

    maps: Sequence[bytes]
    scores: np.ndarray


class Blobs:
    """What a record holds behind its head.

    Attributes:
        pieces: The blobs, in order.
    """

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._size = 0

    def add(self, blob: bytes) -> list[int]:
        """Appends a blob; returns the reference to it."""
        reference = [self._size, len(blob), google_crc32c.value(blob)]
        self.pieces.append(blob)
        self._size += len(blob)
        return reference

    def add_all(self, blobs: Iterable[bytes]) -> list[list[int]]:
        """Appends blobs; returns the references to them."""
        return [self.add(blob) for blob in blobs]


def run_record(facts: RunFacts, pictures: Iterable[bytes] = (), labels: Iterable[bytes] = ()) -> bytes:
    """The framed run record.

    Args:
        facts: The facts; its probe's references are those of the given PNGs.
        pictures: PNGs of the stored probe images.
        labels: PNGs of their labels.
    """
    blobs = Blobs()
    probe = dataclasses.replace(
        facts.probe, pictures=tuple(blobs.add_all(pictures)), labels=tuple(blobs.add_all(labels))
    )
    return pack_record(dataclasses.replace(facts, probe=probe).head(), blobs)


def step_record(
    step: int, wall_time: float, layers: Sequence[LayerStep], prediction: PredictionStep | None = None
) -> bytes:
    """The framed record of a step.

    Args:
        step: The step.
        wall_time: Seconds since the epoch.
        layers: What is stored of each layer, in the run's order.
        prediction: What is stored of the prediction, if the run has one.
    """
    blobs = Blobs()  # numbers lie together: histories are read of many steps
    entries: list[dict[str, Any]] = [{"numbers": blobs.add(_float32(layer.numbers))} for layer in layers]
    for entry, layer in zip(entries, layers, strict=True):
        entry["summaries"] = blobs.add(_float32(layer.summaries))
    for entry, layer in zip(entries, layers, strict=True):
        entry["maps"] = blobs.add_all(layer.maps)
    head = {"kind": "step", "step": step, "wall_time": wall_time, "layers": blobs.add(to_json(entries))}
    if prediction is not None:
        stored = {"scores": blobs.add(_float32(prediction.scores)), "maps": blobs.add_all(prediction.maps)}
        head["prediction"] = blobs.add(to_json(stored))
    return pack_record(head, blobs)


def pack_record(head: Mapping[str, Any], blobs: Blobs) -> bytes:
    """A framed record of a head and blobs."""
    text = to_json(head)
    return tfrecord.pack(_PREFIX.pack(MAGIC, len(text), tfrecord.checksum(text)), text, *blobs.pieces)


def head_length(prefix: bytes) -> int:
    """The length of a record's head, by the first `PREFIX` bytes of its data.

    Raises:
        DamagedError: if they are not those of a record.
    """
    if len(prefix) < PREFIX:
        raise DamagedError("a record is too short")
    magic, length, _ = _PREFIX.unpack_from(prefix)
    if magic != MAGIC or length > MOST_HEAD:
        raise DamagedError("this is no record of feature maps")
    return int(length)


def read_head(data: bytes) -> dict[str, Any]:
    """The head at the beginning of a record's data.

    Raises:
        DamagedError: if it is cut off, changed, or no JSON object.
    """
    end = PREFIX + head_length(data)
    text = data[PREFIX:end]
    if len(data) < end or tfrecord.checksum(text) != data[8:PREFIX]:
        raise DamagedError("the head of a record is damaged")
    head = from_json(text)
    if not isinstance(head, dict):
        raise DamagedError("the head of a record is no JSON object")
    return head


def to_json(content: Any) -> bytes:
    """One spelling for one content, so that equal facts are equal bytes."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def from_json(content: bytes) -> Any:
    """Reads JSON.

    Raises:
        DamagedError: if it is none, or would fill the memory with empty lists.
    """
    if content.count(b"{") + content.count(b"[") > MOST_OBJECTS:
        raise DamagedError("a record's JSON is of more objects than any log has")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError("a record's JSON is damaged") from error


def to_grid(maps: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Maps in native resolution, row-major in a grid without gaps, as they are stored.

    Args:
        maps: uint8 (channels, height, width).
        rows: Rows of the grid.
        columns: Columns of the grid.

    Returns:
        uint8 (rows * height, columns * width); cells past the last channel are 0.
    """
    count, height, width = maps.shape
    cells = np.zeros((rows * columns, height, width), np.uint8)
    cells[:count] = maps
    return cells.reshape(rows, columns, height, width).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def to_tiles(grid: np.ndarray, rows: int, columns: int, count: int) -> np.ndarray:
    """The maps of a grid: the inverse of `to_grid`.

    Args:
        grid: uint8 (rows * height, columns * width).
        rows: Rows of the grid.
        columns: Columns of the grid.
        count: How many channels it holds.

    Returns:
        uint8 (count, height, width).
    """
    height, width = grid.shape[0] // rows, grid.shape[1] // columns
    cells = grid.reshape(rows, height, columns, width).swapaxes(1, 2).reshape(rows * columns, height, width)
    return cells[:count]


def to_values(pixels: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Activations from stored pixels.

    Args:
        pixels: uint8 (..., channels).
        low: float32 (channels,), the value of pixel 0.
        high: float32 (channels,), the value of pixel 255.

    Returns:
        float32 of the shape of `pixels`, NaN where the channel has no finite value. Off by at most half a level,
        (high - low) / 510, from a finite activation.
    """
    low, high = low.astype(np.float64), high.astype(np.float64)
    return (low + pixels / 255.0 * (high - low)).astype(np.float32)


def to_pixels(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Stored pixels from activations: the inverse of `to_values`, rounded; what is not finite is 0.

    Args:
        values: float32 (..., channels).
        low: float32 (channels,), the lowest finite value.
        high: float32 (channels,), the highest.

    Returns:
        uint8 of the shape of `values`.
    """
    low, high = low.astype(np.float64), high.astype(np.float64)  # in float32 the span of the largest is infinite
    span = np.where(high > low, high - low, 1.0)
    levels = np.where(np.isfinite(values), (values - low) / span * 255.0 + 0.5, 0.0)
    return np.nan_to_num(levels).astype(np.uint8)


def run_number(directory_name: str) -> int:
    """Which of the runs in a log directory a directory's name is: 1 for "feature_maps", n for "feature_maps_n", 0 for another."""
    match = re.fullmatch(rf"{PLUGIN}(?:_([1-9]\d*))?", directory_name)
    return int(match[1] or 1) if match else 0


def run_directory_name(number: int) -> str:
    """The name of the directory of the n-th run in a log directory, from 1."""
    return f"{PLUGIN}_{number}" if number > 1 else PLUGIN


def display_name(run: str) -> str:
    """What people call a run: its path without our directory's own name, which tells them nothing.

    >>> [display_name(name) for name in ("feature_maps", "a/b/feature_maps", "a/feature_maps_2")]
    ['feature_maps', 'a/b', 'a (2)']
    """
    *before, last = run.split("/")
    number = run_number(last)
    if not before or not number:
        return run
    return "/".join(before) + (f" ({number})" if number > 1 else "")


def well_formed(text: str) -> str:
    """The text without halves of characters, which can't be sent anywhere: JSON and names of files can hold them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def printable(text: str) -> str:
    """A text from a log, fit for a terminal: what that would obey is spelled out."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def unique(names: Iterable[str]) -> list[str]:
    """The names in order, repeats marked with `~2`, `~3`, ..."""
    taken: dict[str, int] = {}  # how often each name was there
    result = []
    for name in names:
        candidate, count = name, taken.get(name, 0) + 1
        if count > 1:
            while (candidate := f"{name}~{count}") in taken:
                count += 1
        taken[name] = count
        taken.setdefault(candidate, 1)
        result.append(candidate)
    return result


def _known(cls: Any, stored: Any, what: str) -> dict[str, Any]:
    """The fields of a dataclass as stored; keys that a newer version added are left out."""
    if not isinstance(stored, Mapping):
        raise DamagedError(f"{what} must be a JSON object")
    fields = dataclasses.fields(cls)
    missing = [each.name for each in fields if each.name not in stored and not _has_default(each)]
    if missing:
        raise DamagedError(f"{what} lack {missing}")
    return {each.name: stored[each.name] for each in fields if each.name in stored}


def _has_default(each: "dataclasses.Field[Any]") -> bool:
    return each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING


def _measures(stored: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(stored, dict):
        return {}
    return {name: facts for name, facts in stored.items() if isinstance(facts, dict)}


def _given(value: Any) -> tuple[Any, ...]:
    return () if value is None else (value,)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _all(kind: type, *values: Any) -> bool:
    return all(isinstance(value, kind) and (kind is not int or not isinstance(value, bool)) for value in values)


def _float32(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()
