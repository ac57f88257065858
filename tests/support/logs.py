"""Logs written by hand, in the real format."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fm_callback import format
from fm_callback.format import (
    NO_LABEL,
    NUMBERS,
    Blobs,
    Label,
    LayerFacts,
    LayerStep,
    PredictionFacts,
    PredictionStep,
    ProbeFacts,
    RunFacts,
)
from fm_callback.write import grid, png

#: Markup, both quotes, slashes, dots, escapes, and 300 characters.
HOSTILE = "<img src=x onerror=document.title='pwned'>\"'`/../..\\%2e%2e&amp;#?=;" + "é" * 240
#: What a directory can be called.
HOSTILE_RUN = "<script>document.title='pwned'</script>&'%2e#?=".replace("/", "∕")

LABELS = (
    Label("background", 0, "#202020"),
    Label("pet", 1, "#ff8800", foreground=True),
    Label("border", 2, None, ignored=True),
)
MEASURES = {
    "mask_auroc": {"label": "mask AUROC", "short": "mask", "kind": "score", "chance": 0.5, "says": "object or not"},
    "effective_rank": {"label": "effective rank", "short": "rank", "kind": "value", "chance": None, "says": "width"},
}
BEGAN = 1764250000.0


class RunLog:
    """A run in `<directory>/<name>` that can still grow.

    Args:
        directory: The log directory.
        layers: `{path: (height, width, channels)}`.
        steps: The steps to write now.
        fields: Fields of the layers' numbers, after those of every log.
        summaries: The layers' scalars.
        masks: Whether the probe has labels.
        images: Images of the probe; of all of them maps are stored.
        prediction: The kind of the prediction, "labels" or "class"; None for none.
        layer: Overrides facts of each layer, whatever they say; `lacking` takes some away.
        facts: Overrides facts of the run, whatever they say.
        name: Name of the run's directory.

    Attributes:
        directory: The run's directory.
        path: The file that is written.
    """

    def __init__(
        self,
        directory: Path,
        layers: Mapping[str, tuple[int, int, int]],
        *,
        steps: Sequence[int] = (),
        fields: Sequence[str] = ("mask_auroc",),
        summaries: Sequence[str] = ("mask_auroc_best", "effective_rank"),
        masks: bool = True,
        images: int = 2,
        prediction: str | None = None,
        layer: Mapping[str, Any] | None = None,
        lacking: Sequence[str] = (),
        facts: Mapping[str, Any] | None = None,
        name: str = format.PLUGIN,
    ) -> None:
        self.directory = Path(directory) / name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.layers = dict(layers)
        self._fields, self._summaries = (*NUMBERS, *fields), tuple(summaries)
        self._masks, self._images, self._prediction = masks, images, prediction
        self._layer, self._lacking, self._facts = layer or {}, lacking, dict(facts or {})
        self.start(0)
        for step in steps:
            self.write(step)

    def start(self, first_step: int, facts: Mapping[str, Any] | None = None) -> None:
        """Begins another file, as a training does that goes on from a step; other facts may be overridden from here on."""
        count = len(list(self.directory.glob(f"*{format.SUFFIX}")))
        self._facts |= facts or {}
        self.path = self.directory / f"{int(BEGAN) + count}.host.{4711 + count}.{count}{format.SUFFIX}"
        self.path.write_bytes(self.run_record(first_step))

    def write(self, step: int, wall_time: float | None = None, layers: Sequence[LayerStep] | None = None) -> None:
        """Appends one step."""
        self.append(self.step_record(step, wall_time, layers))

    def append(self, data: bytes) -> None:
        """Appends bytes of any kind."""
        with open(self.path, "ab") as file:
            file.write(data)

    def layer_facts(self) -> list[LayerFacts]:
        """The layers' facts, before they are overridden."""
        found = []
        for number, (path, (height, width, channels)) in enumerate(self.layers.items(), 1):
            rows, columns = grid.layout(channels, height, width)
            found.append(
                LayerFacts(
                    name=path,
                    path=path,
                    shape=(height, width, 2 * channels),
                    map=(height, width),
                    channels=tuple(range(channels)),
                    rows=rows,
                    columns=columns,
                    fields=self._fields,
                    summaries=self._summaries,
                    kind="Conv2D",
                    number=number,
                    kernel=(3, 3),
                    planar=True,
                    cells={"foreground": 20, "background": 44},
                )
            )
        return found

    def pictures(self) -> np.ndarray:
        """The probe's pictures, uint8 (images, 32, 32, 3)."""
        return np.random.default_rng(99).integers(0, 256, (self._images, 32, 32, 3), np.uint8)

    def labels(self) -> np.ndarray:
        """Their labels, uint8 (images, 32, 32): a pet with a border on background."""
        labels = np.zeros((self._images, 32, 32), np.uint8)
        labels[:, 7:25, 7:25] = 2
        labels[:, 8:24, 8:24] = 1
        return labels

    def run_record(self, first_step: int) -> bytes:
        """The framed run record, overridden as was asked for."""
        blobs = Blobs()
        pictures = blobs.add_all(png.encode(each) for each in self.pictures())
        labels = blobs.add_all(png.encode(each) for each in self.labels()) if self._masks else []
        probe = ProbeFacts(
            self._images, self._images, "digest", "[0, 255]", pictures=tuple(pictures), labels=tuple(labels)
        )
        facts = RunFacts(
            first_step,
            tuple(self.layer_facts()),
            probe=probe,
            labels=LABELS if self._masks else (),
            measures=MEASURES,
            model={"name": "pets", "class": "Functional", "parameters": 1234, "backend": "tensorflow", "versions": {}},
            prediction=self.prediction_facts(),
        )
        head = dataclasses.asdict(facts) | {"kind": "run"}
        for each in head["layers"]:
            each.update(self._layer)
            for key in self._lacking:
                del each[key]
        return format.pack_record(head | self._facts, blobs)

    def step_record(
        self, step: int, wall_time: float | None = None, layers: Sequence[LayerStep] | None = None
    ) -> bytes:
        """The framed record of a step."""
        wall = BEGAN + 10 * step if wall_time is None else wall_time
        layers = self.layer_steps(step) if layers is None else layers
        return format.step_record(step, wall, layers, self.prediction_step(step))

    def prediction_facts(self) -> PredictionFacts | None:
        """What is the same at every step of the prediction: the labels of the masks, and one that they lack."""
        if self._prediction is None:
            return None
        labels = (*LABELS, Label("label 3", 3, "#0000ff"))
        truth = (0, 1, -1) if self._masks and self._prediction == "labels" else (-1,) * 3 * self._masks
        size = (16, 8) if self._prediction == "labels" else ()
        return PredictionFacts(self._prediction, labels, "head", truth, size)

    def prediction_step(self, step: int) -> PredictionStep | None:
        """What is stored of the prediction at a step."""
        if self._prediction is None:
            return None
        maps = self.predicted(step) if self._prediction == "labels" else []
        palette = bytes(range(256)) * 3
        return PredictionStep([png.encode(each, palette) for each in maps], self.scores(step))

    def predicted(self, step: int) -> np.ndarray:
        """The predicted positions of labels at a step, uint8 (images, 16, 8), nothing in a corner."""
        labels = np.random.default_rng([step, 5]).integers(0, 4, (self._images, 16, 8)).astype(np.uint8)
        labels[:, 0, 0] = NO_LABEL
        return labels

    def scores(self, step: int) -> np.ndarray:
        """The scores of the prediction at a step, float32; some are not defined."""
        facts = self.prediction_facts()
        assert facts is not None
        scores = np.random.default_rng([step, 6]).random(facts.scores(self._images)).astype(np.float32)
        if facts.kind == "class":
            scores[:, 0] = (np.arange(self._images) + step) % 4
            scores[-1] = -1, np.nan
        else:
            scores[0, 2, ::2] = np.nan
        return scores

    def maps(self, step: int, path: str) -> np.ndarray:
        """The pixels of a layer at a step, uint8 (images, channels, height, width); channel 1 is dead if there are three."""
        height, width, channels = self.layers[path]
        rng = np.random.default_rng([step, list(self.layers).index(path)])
        maps = rng.integers(0, 256, (self._images, channels, height, width), np.uint8)
        if channels > 2:
            maps[:, 1] = 0
        return maps

    def numbers(self, step: int, path: str) -> np.ndarray:
        """The numbers of a layer at a step, float32 (channels, fields): channel 1 is dead, channel 2 not finite in part,
        and channel 3 nowhere, if there are as many.
        """
        channels = self.layers[path][2]
        rng = np.random.default_rng([step, list(self.layers).index(path), 1])
        numbers = rng.uniform(0.4, 0.9, (channels, len(self._fields))).astype(np.float32)
        numbers[:, 0], numbers[:, 1], numbers[:, 6] = -1 - step, 1 + step, 0
        if channels > 2:
            numbers[1] = 0
            numbers[2, 6] = 5
        if channels > 3:
            numbers[3, :5] = np.nan
        return numbers

    def summaries(self, step: int, path: str) -> np.ndarray:
        """The summaries of a layer at a step; the last is not defined at step 0."""
        values = np.arange(len(self._summaries), dtype=np.float32) + step + list(self.layers).index(path) / 10
        if step == 0 and len(values):
            values[-1] = np.nan
        return values

    def layer_steps(self, step: int) -> list[LayerStep]:
        """What is stored of each layer at a step."""
        stored = []
        for path, facts in zip(self.layers, self.layer_facts(), strict=True):
            grids = [format.to_grid(each, facts.rows, facts.columns) for each in self.maps(step, path)]
            pngs = [png.encode(each) for each in grids]
            stored.append(LayerStep(pngs, self.numbers(step, path), self.summaries(step, path)))
        return stored
