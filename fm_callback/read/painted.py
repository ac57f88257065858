"""Pictures of a layer's maps at its steps, and what is said of them, for films and sheets."""

import numpy as np

from fm_callback import format
from fm_callback.format import NUMBERS, DamagedError
from fm_callback.read import pictures
from fm_callback.read.colours import Basis, basis_of, paint
from fm_callback.read.run import Layer, Run
from fm_callback.read.unknown import unknown
from fm_callback.scores.contrast import contrast
from fm_callback.scores.status import Status, status

_LOW, _HIGH = NUMBERS.index("low"), NUMBERS.index("high")
_WORDS = {Status.DEAD: "dead", Status.FLAT: "flat", Status.NONFINITE: "not finite"}


class Painter:
    """Paints a layer of one image at any step.

    Args:
        layer: The layer.
        image: The index of the stored image.

    Raises:
        UnknownError: if there is no such image.
    """

    def __init__(self, layer: Layer, image: int = 0) -> None:
        self.layer, self.image = layer, image
        self.run = run = layer.run
        self._now = run.snapshot
        if not 0 <= image < run.facts.probe.stored:
            raise unknown("image", image, [str(each) for each in range(run.facts.probe.stored)], f"run {run.name!r}")
        fields, words = layer.fields, run.measures
        scores = [name for name in fields if words.get(name, {}).get("kind") == "score"]
        self._field = scores[0] if scores else None
        self._basis: Basis | None = None
        self._coloured = False

    def colour(self, step: int) -> np.ndarray | str:
        """All channels as one picture in colours, uint8 (height, width, 3); or a word that says why there is none."""
        numbers, pixels = self._at(step)
        if numbers is None or pixels is None:
            return "damaged"
        if not self._coloured:
            self._basis, self._coloured = self._newest(), True
        kinds = status(numbers)
        if self._basis is None or not (kinds == Status.LIVE).any():
            return _WORDS.get(Status(kinds.max()), "flat")
        return paint(pixels, numbers[:, _LOW], numbers[:, _HIGH], self._basis)

    def channel(self, step: int, channel: int) -> np.ndarray | str:
        """One channel in gray, from its 1st to its 99th percentile, uint8 (height, width, 3); or a word, as `colour`."""
        place = self._place(channel)
        numbers, pixels = self._at(step)
        if numbers is None or pixels is None:
            return "damaged"
        return self._gray(pixels[..., place], Status(status(numbers)[place]))

    def channels(self, step: int) -> list[np.ndarray | str]:
        """All logged channels, as `channel`."""
        numbers, pixels = self._at(step)
        if numbers is None or pixels is None:
            return ["damaged"] * len(self.layer.channels)
        return [
            self._gray(map_, Status(kind))
            for map_, kind in zip(np.moveaxis(pixels, -1, 0), status(numbers), strict=True)
        ]

    def score(self, step: int, channel: int | None = None) -> str:
        """The layer's first score, of a channel or of its best, in words; empty where there is none."""
        numbers, _ = self._at(step, pixels=False)
        if numbers is None or self._field is None:
            return ""
        values = numbers[:, self.layer.fields.index(self._field)]
        words = self.run.measures[self._field]
        told = np.maximum(values, 1 - values) if words.get("sided") else values
        if channel is None and np.isfinite(told).any():
            place = int(np.nanargmax(told))
        elif channel is not None:
            place = self._place(channel)
        else:
            return ""
        if not np.isfinite(told[place]):
            return ""
        dark = " dark" if words.get("sided") and values[place] < 0.5 else ""
        return f"{self.measure} {told[place]:.2f}{dark}"

    @property
    def measure(self) -> str:
        """What its score is called; empty where it has none."""
        return "" if self._field is None else str(self.run.measures[self._field].get("label") or self._field)

    def _gray(self, pixels: np.ndarray, kind: Status) -> np.ndarray | str:
        if kind != Status.LIVE:
            return _WORDS[kind]
        (black,), (white,) = contrast(pixels[None])
        levels = (pixels - black) * (255 / (white - black)) if white > black else np.full(pixels.shape, 127.0)
        return np.repeat(np.clip(np.rint(levels), 0, 255).astype(np.uint8)[..., None], 3, axis=-1)

    def _place(self, channel: int) -> int:
        channels = self.layer.channels
        if channel not in channels:
            raise unknown("channel", channel, [str(each) for each in channels], f"layer {self.layer.name!r}")
        return channels.index(channel)

    def _at(self, step: int, pixels: bool = True) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The numbers, and the pixels (height, width, channels); None where they are damaged."""
        at, layer = self.run.at(self._now, step), self.layer
        with self.run.reader(self._now) as reader:
            numbers = reader.numbers(at, layer.position)
            if not pixels:
                return numbers, None
            try:
                grid = reader.decoded(at, layer.position, self.image)
            except DamagedError:
                return numbers, None
        tiles = format.to_tiles(grid, layer.facts.rows, layer.facts.columns, len(layer.channels))
        return numbers, np.moveaxis(tiles, 0, -1)

    def _newest(self) -> Basis | None:
        """Of the newest step at which all is finite, else of the newest; of those that are whole."""
        found = None
        for step in reversed(self.run.steps):
            numbers, _ = self._at(step, pixels=False)
            if numbers is None:
                continue
            try:
                if (status(numbers) != Status.NONFINITE).all():
                    return basis_of(self.layer.pixels(step), numbers[:, _LOW], numbers[:, _HIGH])
                if found is None:
                    found = basis_of(self.layer.pixels(step), numbers[:, _LOW], numbers[:, _HIGH])
            except DamagedError:
                continue
        return found


def step_name(run: Run, step: int) -> str:
    """What people call a step."""
    return "before training" if step == 0 else f"{run.step_unit} {step}"


def title(layer: Layer) -> str:
    """What a layer is called, with its number."""
    return layer.path if layer.number is None else f"#{layer.number} {layer.path}"


def probe_picture(run: Run, image: int) -> np.ndarray | None:
    """The input, uint8 (height, width, 3); None where there is none."""
    now = run.snapshot
    if image >= len(run.facts.probe.pictures):
        return None
    with run.reader(now) as reader:
        try:
            picture = pictures.decode(reader.probe("picture", image))
        except DamagedError:
            return None
    return np.repeat(picture[..., None], 3, axis=-1) if picture.ndim == 2 else picture[..., :3]


def predicted_picture(run: Run, step: int, image: int) -> np.ndarray | None:
    """The predicted labels in their colours, uint8 (height, width, 3); None where there are none."""
    now, facts = run.snapshot, run.facts.prediction
    if facts is None or facts.kind != "labels":
        return None
    with run.reader(now) as reader:
        try:
            cells = pictures.decode(reader.prediction(run.at(now, step), image))
        except (DamagedError, KeyError):
            return None
    colours = np.zeros((256, 3), np.uint8)
    for at, label in enumerate(facts.labels[:256]):  # as the page has them
        colour = label.colour or ("#ffffff" if label.foreground else "#808080" if label.ignored else "#000000")
        colours[at] = tuple(bytes.fromhex(colour[1:]))
    return colours[cells]
