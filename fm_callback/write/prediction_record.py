"""The prediction's part of a step: what is stored of it, and the copies for TensorBoard's Scalars tab."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fm_callback.capture.labels import colour
from fm_callback.capture.prediction import Prediction
from fm_callback.capture.probe import Probe
from fm_callback.format import SCORES, Label, PredictionFacts, PredictionStep
from fm_callback.scores.predicted import label_scores
from fm_callback.write import event_copies, png
from fm_callback.write.event_copies import Value

#: IoU of no more labels is copied to TensorBoard's Scalars tab.
_MOST_CURVES = 32
#: What stands beside them in TensorBoard.
_DESCRIPTION = (
    "IoU of the prediction: the pixels where the label is predicted and true, of those where it is either, in the mean of the probe's "
    "images in which there are such; 1 is perfect"
)
#: How a stored picture looks where a label has no colour of its own, and where there is none: for whoever opens it as a
#: picture; the tab has colours of its own.
_BACKGROUND, _FOREGROUND, _IGNORED, _NONE = "#000000", "#ffffff", "#808080", "#ff00ff"


class PredictionRecord:
    """Turns what is predicted into what is written of it.

    Attributes:
        facts: What does not change from step to step.
        told: What a user should know of it, in words; empty if nothing.
    """

    def __init__(self, prediction: Prediction, probe: Probe) -> None:
        """Prepares all that stays the same.

        Args:
            prediction: How it is read of the model's output.
            probe: What goes through the model, with its masks.
        """
        self._section, self._stored = probe.section, probe.stored
        self._masks, self.told = None, ""
        labels, truth = _labels(prediction, probe.labels)
        if prediction.kind == "labels" and probe.masks is not None:
            there = np.bincount(probe.masks.pixels.ravel(), minlength=len(truth)) > 0  # others are named, and nowhere
            known = zip(probe.labels, truth, there.tolist(), strict=True)
            if unknown := [each.value for each, at, occurs in known if occurs and at < 0 and not each.ignored]:
                truth = (-1,) * len(truth)
                self.told = (
                    f"; no IoU of the prediction: the masks have the label {unknown[0]}, and the {prediction.channels} "
                    f"channels of the output stand for the labels from 0 to {prediction.channels - 1}"
                )
            else:
                self._masks = probe.masks.pixels
        self.facts = PredictionFacts(
            kind=prediction.kind,
            labels=labels,
            output=prediction.output,
            truth=truth,
            size=probe.section.size(prediction.axes) if prediction.kind == "labels" else (),
        )
        self._known, self._truth = np.array([not each.ignored for each in labels]), np.array(truth, np.int16)
        colours = [*map(_colour, labels), *[_NONE] * (256 - len(labels))]
        self._palette = b"".join(bytes.fromhex(colour[1:]) for colour in colours)
        self._tags = event_copies.tags(each.name for each in labels)

    def step(self, predicted: np.ndarray) -> PredictionStep:
        """What is stored of the prediction at a step.

        Args:
            predicted: As `Prediction.take` gives it, on the host.
        """
        if self.facts.kind == "class":
            missing = predicted[:, :1] < 0
            return PredictionStep([], np.where(missing, [[-1, np.nan]], predicted).astype(np.float32))
        planes = self._section.planes(predicted[: self._stored, ..., None])[..., 0]
        scores = label_scores(predicted, self._known, self._masks, self._truth)
        return PredictionStep([png.encode(plane, self._palette) for plane in planes], scores)

    def scores(self, stored: PredictionStep) -> dict[str, float]:
        """What goes into Keras's logs, of what `step` has just returned: the mean IoU of each label, and of all."""
        if self._masks is None:
            return {}
        means = _means(stored.scores[:, self._known, SCORES.index("iou")])
        names = [label.name for label, known in zip(self.facts.labels, self._known, strict=True) if known]
        known = {name: mean for name, mean in zip(names, means, strict=True) if not math.isnan(mean)}
        scores = {f"prediction_iou/{name}": mean for name, mean in known.items()}
        return scores | ({"prediction_iou": sum(known.values()) / len(known)} if known else {})

    def curves(self, stored: PredictionStep) -> list[Value]:
        """The copies for TensorBoard's Scalars tab, of what `step` has just returned: each label's mean IoU.

        The mean is over the images in which it is known. What is not defined is no point of a curve, but NaN at the first
        step of a training that goes on: see `LayerRecord.curves`.
        """
        if self._masks is None or len(self.facts.labels) > _MOST_CURVES:
            return []
        means = _means(stored.scores[:, self._known, SCORES.index("iou")])
        tags = [tag for tag, known in zip(self._tags, self._known, strict=True) if known]
        return [
            event_copies.scalar_value("prediction_iou", tag, mean, _DESCRIPTION)
            for tag, mean in zip(tags, means, strict=True)
            if not math.isnan(mean)
        ]


def _labels(prediction: Prediction, masks: Sequence[Label]) -> tuple[tuple[Label, ...], tuple[int, ...]]:
    """What the positions of a prediction stand for, and the position of each of the masks' labels, -1 for none."""
    if prediction.kind == "class":
        return _numbered(prediction.channels), (-1,) * len(masks)
    if prediction.channels == 1:
        truth = tuple(-1 if each.ignored else int(each.foreground) for each in masks)
        usual = (Label("background", 0), Label("foreground", 1, foreground=True))
        return tuple(_only(masks, truth, position) or usual[position] for position in (0, 1)), truth
    given = {each.value: each for each in masks}
    labels = _numbered(prediction.channels, given, sum(each.colour is not None for each in masks))
    truth = tuple(
        -1 if each.ignored or each.value is None or not 0 <= each.value < len(labels) else each.value for each in masks
    )
    return labels, truth


def _numbered(count: int, given: Mapping[int | None, Label] | None = None, coloured: int = 0) -> tuple[Label, ...]:
    """The labels of so many channels; those that are not given by their value are coloured behind so many others."""
    given, colours = given or {}, map(colour, itertools.count(coloured))
    return tuple(given.get(value) or Label(f"label {value}", value, next(colours)) for value in range(count))


def _only(masks: Sequence[Label], truth: Iterable[int], position: int) -> Label | None:
    """The label of the masks that has a position, if it is one alone."""
    found = [each for each, at in zip(masks, truth, strict=True) if at == position]
    return found[0] if len(found) == 1 else None


def _colour(label: Label) -> str:
    return label.colour or (_FOREGROUND if label.foreground else _IGNORED if label.ignored else _BACKGROUND)


def _means(values: np.ndarray) -> list[float]:
    """The mean of what is known in each column; NaN where nothing is."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return list((np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)).tolist())
