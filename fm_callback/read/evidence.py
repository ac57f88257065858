"""What findings look at: the numbers of all steps of a run, read once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fm_callback.format import BEHIND, NUMBERS, SCORES, LayerFacts, PredictionFacts, RunFacts
from fm_callback.read.unknown import UnknownError
from fm_callback.scores.likeness import ROUNDING
from fm_callback.scores.status import Status, status

if TYPE_CHECKING:
    from fm_callback.read.run import Run

#: Of so many layers and steps together numbers are read, and so many bytes; of a longer log, steps are passed over.
_MOST_READ, _MOST_BYTES = 40_000, 2**28

#: Above this the number of a class is none: float32 holds whole numbers up to here.
_MOST_CLASSES = 2**24

#: By so much the last layer tells the object better than untrained, if it learns.
_LEARNED = 0.03

_LOW, _HIGH, _MEAN, _STD, _NONFINITE = map(NUMBERS.index, ("low", "high", "mean", "std", "nonfinite"))


@dataclass(frozen=True, eq=False)
class LayerSeen:
    """A layer at the steps that are looked at; where one is damaged its channels' numbers are those of the step before.

    Attributes:
        facts: What is the same at all of them.
        status: int8 (steps, channels), of `Status`, dead also where a ReLU that follows leaves nothing; -1 where nothing is known.
        bad: float32 (steps, channels), how many cells are not finite.
        magnitude: float32 (steps, channels), the largest finite magnitude; NaN where there is none.
        moved: float64 (steps,), by how much the mean or the deviation of the channel that changed most differs from the first
            step's, in deviations.
        twins: int64 (steps,), how many live channels have the very numbers of another one.
        summaries: float32 (steps,) by name.
    """

    facts: LayerFacts
    status: np.ndarray
    bad: np.ndarray
    magnitude: np.ndarray
    moved: np.ndarray
    twins: np.ndarray
    summaries: Mapping[str, np.ndarray]

    def upto(self, count: int) -> "LayerSeen":
        """The same at the first so many steps."""
        cut = {name: getattr(self, name)[:count] for name in ("status", "bad", "magnitude", "moved", "twins")}
        return replace(self, **cut, summaries={name: values[:count] for name, values in self.summaries.items()})

    def summary(self, name: str) -> np.ndarray:
        """A summary at all steps; NaN where the layer has none of this name."""
        return self.summaries.get(name, np.full(len(self.moved), np.nan, np.float32))

    @property
    def rectified(self) -> bool:
        """Whether it is known what a ReLU that follows leaves of it."""
        return BEHIND in self.facts.fields

    @property
    def blank(self) -> np.ndarray:
        """Which channels show one value everywhere, bool (steps, channels)."""
        return (self.status == Status.DEAD) | (self.status == Status.FLAT)

    @property
    def unchanged(self) -> bool:
        """Whether its numbers are those of the first step at every step, but for rounding."""
        return not np.any(self.moved > ROUNDING)


@dataclass(frozen=True, eq=False)
class Evidence:
    """A run, as findings see it.

    Attributes:
        facts: What is the same at all steps.
        steps: int64, those that are looked at, rising.
        layers: Those that can be shown, in the order in which they run; where a log does not know that, in that of its own.
        scores: float32 (steps, images, ...), of the prediction, as `PredictionFacts.scores` says; None without one.
    """

    facts: RunFacts
    steps: np.ndarray
    layers: tuple[LayerSeen, ...]
    scores: np.ndarray | None

    @classmethod
    def of(cls, run: "Run") -> "Evidence":
        """Reads it.

        Raises:
            UnknownError: if the run has no whole step, or is larger than anybody writes.
        """
        now = run.snapshot
        facts = now.facts
        if facts is None:
            raise UnknownError(f"run {run.name!r} has no whole step")
        layers = [(at, each) for at, each in enumerate(facts.layers) if isinstance(each, LayerFacts)]
        if all(each.order is not None for _, each in layers):
            layers.sort(key=lambda pair: pair[1].order or 0)
        size = sum(4 * len(each.channels) * len(each.fields) for _, each in layers)
        most = min(_MOST_READ // max(1, len(layers)), _MOST_BYTES // max(1, size))
        if most < 2:
            raise UnknownError(f"run {run.name!r} has too many layers or channels to look for findings")
        ats = np.arange(len(now.steps))
        if len(ats) > most:
            ats = np.unique(np.linspace(0, len(ats) - 1, most).astype(int))
        with run.reader(now) as reader:
            seen = []
            for position, each in layers:
                numbers = _carried([reader.numbers(int(at), position) for at in ats])
                rows = [reader.numbers(int(at), position, summaries=True) for at in ats]
                seen.append(_seen(each, numbers, rows, facts.probe.images))
            prediction = facts.prediction
            scores = None
            if prediction is not None:
                shape = prediction.scores(facts.probe.images)
                scores = np.full((len(ats), *shape), np.nan, np.float32)
                for row, stored in zip(scores, _carried([reader.scores(int(at)) for at in ats]), strict=True):
                    if stored is not None:
                        row[:] = _within(stored, 0, 1 if prediction.kind == "labels" else _MOST_CLASSES)
        return cls(facts, now.steps["step"][ats], tuple(seen), scores)

    @cached_property
    def sound(self) -> "Evidence":
        """The same up to the step from which on values are not finite, without it: from there on nothing means anything."""
        if not self.layers:
            return self
        bad = np.any([each.bad.any(axis=1) for each in self.layers], axis=0)
        count = len(bad) if not len(bad) or not bad[-1] else len(bad) - int(np.argmin([*bad[::-1], False]))
        if count == len(self.steps):
            return self
        layers = tuple(each.upto(count) for each in self.layers)
        return replace(self, steps=self.steps[:count], layers=layers, scores=_cut(self.scores, count))

    @property
    def unit(self) -> str:
        """What a step is: "epoch" or "batch"."""
        return self.facts.step_unit

    @property
    def learns_by_batches(self) -> bool:
        """Whether steps are batches, and the last layer tells the object better than untrained: an epoch may still be to come."""
        if self.unit != "batch" or not self.layers:
            return False
        rows = (self.layers[-1].summary(name) for name in ("readout", "mask_separation_best"))
        return any(values[-1] >= values[0] + _LEARNED for values in rows)

    @property
    def images(self) -> int:
        """How many samples all numbers are over."""
        return self.facts.probe.images

    @property
    def labels(self) -> PredictionFacts | None:
        """What is predicted, if it is a label for each cell, and known of the masks."""
        facts = self.facts.prediction
        return facts if facts is not None and facts.kind == "labels" and any(at >= 0 for at in facts.truth) else None

    def score(self, name: str) -> np.ndarray:
        """A score of predicted labels, float32 (steps, images, labels)."""
        assert self.scores is not None
        return np.asarray(self.scores[..., SCORES.index(name)])


def _seen(facts: LayerFacts, numbers: list[np.ndarray | None], rows: list[np.ndarray | None], images: int) -> LayerSeen:
    count, channels = len(numbers), len(facts.channels)
    behind = facts.fields.index(BEHIND) if BEHIND in facts.fields else None
    cells = images * facts.map[0] * facts.map[1]
    state = np.full((count, channels), -1, np.int8)
    bad, magnitude = (np.full((count, channels), fill, np.float32) for fill in (0, np.nan))
    moved, twins = np.full(count, np.nan), np.zeros(count, np.int64)
    first = next((each for each in numbers if each is not None), np.empty((0, len(NUMBERS))))
    for at, each in enumerate(numbers):
        if each is None:
            continue
        with np.errstate(all="ignore"):  # whatever a log holds
            state[at] = status(each, cells)
            if behind is not None:
                state[at, (state[at] != Status.NONFINITE) & (each[:, behind] == 1)] = Status.DEAD
            counted = np.clip(np.nan_to_num(each[:, _NONFINITE]), 0, cells)
            bad[at] = np.where(np.isnan(each[:, _LOW]), np.maximum(counted, 1), np.ceil(counted))
            magnitude[at] = np.fmax(np.abs(each[:, _LOW]), np.abs(each[:, _HIGH]))
            moved[at] = _distance(first, each)
            twins[at] = _twins(each[state[at] == Status.LIVE])
    table = np.full((count, len(facts.summaries)), np.nan, np.float32)
    for at, found in enumerate(rows):
        if found is not None and len(found) == len(facts.summaries):
            table[at] = _within(found, -channels - 1, channels + 1)  # shares, likenesses, and counts of its channels
    return LayerSeen(facts, state, bad, magnitude, moved, twins, dict(zip(facts.summaries, table.T, strict=True)))


def _carried(values: list[np.ndarray | None]) -> list[np.ndarray | None]:
    """The same, with what was there before in place of what is damaged: neither an end nor a beginning of anything."""
    carried: list[np.ndarray | None] = []
    for each in values:
        carried.append(carried[-1] if each is None and carried else each)
    return carried


def _within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as they are where that is possible; NaN for what no writer stores."""
    return np.where((values >= low) & (values <= high), values, np.nan)


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    before, after = (each[:, [_MEAN, _STD]].astype(np.float64) for each in (one, other))
    scale = np.maximum(before[:, 1], np.abs(before[:, 0]) / 100)
    change = np.abs(after - before).max(axis=1)
    return float(np.max(np.divide(change, scale, out=np.where(change > 0, np.inf, 0.0), where=scale > 0), initial=0.0))


def _twins(live: np.ndarray) -> int:
    """How many channels have the very numbers of another one."""
    _, counts = np.unique(live[:, [_LOW, _HIGH, _MEAN, _STD]], axis=0, return_counts=True)
    return int(counts[counts > 1].sum())


def _cut(scores: np.ndarray | None, count: int) -> np.ndarray | None:
    return None if scores is None else scores[:count]
