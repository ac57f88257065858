"""What stands out in a run, in words: one function a kind, one table of them.

Each kind looks at numbers that are in the log, against the layer's own first step and the control, and says nothing where the
untrained network shows the same. Of a healthy training there are notes at most: what can be used, and is no fault. To add a kind
is a function of `Evidence` here, its line in `KINDS`, its section in `docs/findings.md`, and a training in `tests/clinic/` that
has it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from fm_callback.read.evidence import Evidence, LayerSeen
from fm_callback.scores.detection import FEW_CELLS
from fm_callback.scores.status import Status

if TYPE_CHECKING:
    from fm_callback.read.run import Run

Severity: TypeAlias = Literal["alarm", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("alarm", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """Something that stands out in a run.

    Attributes:
        kind: Which, a name of `KINDS`, or of your own.
        severity: "alarm": the training is lost as it is; "warning": something is probably wrong; "note": worth knowing, no fault.
        layer: Name of the layer concerned, the first of several; None if it is none in particular.
        channel: Index of the channel in the layer, or None.
        step: Since which step, as the log counts; or None.
        text: What was seen, where, since when; how sure that is; what it does not show. The first sentence stands for itself.
        evidence: The numbers behind it, by name; None for one that is not known.
        advice: What people then try.
        link: Entries of the tab's address that open the place, such as `{"view": "layer", "layer": "dec2", "step": 9}`.
    """

    kind: str
    severity: Severity
    text: str
    layer: str | None = None
    channel: int | None = None
    step: int | None = None
    evidence: Mapping[str, float | int | str | None] = field(default_factory=dict)
    advice: str = ""
    link: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The first sentence of its text."""
        return self.text.split(". ", 1)[0].rstrip(".")

    def as_json(self) -> dict[str, Any]:
        """Its attributes as content for JSON."""
        return asdict(self)


Kind: TypeAlias = Callable[[Evidence], Iterable[Finding]]
Extra: TypeAlias = Callable[["Run"], Iterable[Finding]]

#: A channel that died: so large a share of a layer's channels is a warning, or a note, and so many at least.
_DEAD_SHARE, _DEAD_NOTE, _DEAD_LEAST = 0.5, 0.25, 3
#: Of a dead layer so many channels show nothing.
_DEAD_LAYER = 0.95
#: Before so many logged steps nothing is said of how maps were made: training often evens it out.
_FEW_STEPS = 5
#: One label for so large a share of the cells is all that is predicted; and what the masks may have of it.
_ALL, _TRUE_ALL = 0.98, 0.95
#: A label of which less than this share of its own cells is predicted is not predicted.
_NONE = 0.005
#: From this IoU on a label was predicted; from this part of it on it is lost.
_HAD, _LOST = 0.2, 0.2
#: The readout that is more than chance, and what it has less than the control at most, where position explains it.
_KNOWS, _EXCESS = 0.65, 0.03
#: How alike a layer is at least to what it was since it has settled, in CKA; and for how many steps.
_SETTLED, _LONG = 0.98, 4
#: What reaches the last layer of the period of an upsampling, of the border; and of a dilation, where it stands.
_CHECKERS, _BORDER, _GRIDDING, _MORE_GRIDDING = 0.05, 0.25, 0.03, 0.05
#: Neighbours that are not alike, and those of the layer before that were.
_SCRAMBLED, _ORDERED = 0.2, 0.45
#: The share of a layer's channels that are the same as another one, or show the same, and did not when untrained.
_TWINS, _ALIKE, _NOT_ALIKE = 0.25, 0.75, 0.4
#: Narrow: so small a part of the width, and of what the untrained layer used.
_NARROW, _NARROWER = 0.15, 0.5
#: A fall of the mean IoU: so much, and this part of the best; in so many of the images.
_FELL, _FELL_PART, _FELL_IN = 0.05, 0.15, 0.75


def findings(run: "Run", extra: Sequence[Extra] = ()) -> list[Finding]:
    """What stands out in a run: the gravest first, then as layers follow each other.

    Args:
        run: The run, as it is now.
        extra: Functions of your own, each of a run, which give findings.

    Returns:
        Empty where nothing stands out. Of a log of more than 40,000 layers and steps together, evenly spread steps are looked at.

    Raises:
        UnknownError: if there is no whole step, or it has more channels than anybody logs.

    >>> from fm_callback import open_log
    >>> for each in findings(open_log("logs")[0]):
    ...     print(each.severity, each.kind, each.headline, sep=": ")
    alarm: non_finite: Since step 0, channel 2 of #1 stem (5 of 128 cells) is NaN or infinite
    """
    evidence = Evidence.of(run)
    found = [each for kind in KINDS.values() for each in kind(evidence)]
    for more in extra:
        found += more(run)
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def markdown(found: Iterable[Finding]) -> str:
    """Findings for TensorBoard's Text tab: what each says, and what people then try."""
    return "\n".join(
        f"- **{each.severity}, {_escaped(each.kind)}**: {_escaped(each.text)} *What people then try*: {_escaped(each.advice)}"
        for each in found
    )


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)


def non_finite(evidence: Evidence) -> Iterator[Finding]:
    """NaN or infinite values: the first step, and at it the first layer and channel; and the largest magnitudes before."""
    layers = evidence.layers
    found = [(np.flatnonzero(each.bad.any(axis=1)), each) for each in layers]
    first = min((int(at[0]) for at, _ in found if len(at)), default=None)
    if first is None:
        return
    concerned = [each for at, each in found if len(at) and at[0] == first]
    layer = concerned[0]
    bad = layer.bad[first]
    at = int(np.flatnonzero(bad)[0])
    cells = evidence.images * int(np.prod(layer.facts.shape[:-1]))
    step = int(evidence.steps[first])
    lasts = all(each.bad[-1].any() for each in concerned)
    numbers: dict[str, float | int | str | None] = {
        "channels": int(np.count_nonzero(bad)),
        "cells": _number(bad[at]),
        "of_cells": cells,
        "layers": len(concerned),
        "of_layers": len(layers),
    }
    where = f"channel {layer.facts.channels[at]} of {_name(layer)} ({min(int(bad[at]), cells):,} of {cells:,} cells)"
    told = [f"{_when(evidence, step)} {where} is NaN or infinite"]
    if len(concerned) == len(layers) > 1 and first:
        told.append(
            "All layers became so between two logged steps: as after a loss or a gradient that was not a number, which "
            "reaches all weights at once. Which layer was first the log can't tell"
        )
    elif len(concerned) > 1:
        told.append(
            f"{len(concerned)} of the {len(layers)} logged layers have such values at that step; it is the first in their order"
        )
    if not lasts:
        told.append("Later steps are finite again")
    if first:
        peaks = [(_peak(each.magnitude[first - 1]), each) for each in layers]
        peak, loudest = max(peaks, key=lambda pair: pair[0])
        begin = _peak(loudest.magnitude[0])
        before = int(evidence.steps[first - 1])
        numbers |= {"largest_before": _number(peak), "of_it_at_first": _number(begin), "step_before": before}
        grown = (
            f", {peak / begin:,.0f} times what it was at step {evidence.steps[0]}" if begin and peak > 3 * begin else ""
        )
        told.append(f"At step {before} the largest magnitude was {peak:.3g}, in {_name(loudest)}{grown}")
        if peak > 1e4:
            told.append("float16 ends at 65,504")
    yield Finding(
        "non_finite",
        "alarm" if lasts else "warning",
        _text(told, "Exact: values are counted in all samples. It does not show what happened inside the step"),
        layer.facts.name,
        layer.facts.channels[at],
        step,
        numbers,
        "A lower learning rate or clipped gradients (`clipnorm`); a guard around log, division and square root in the loss; in "
        "mixed precision loss scaling, and float32 where magnitudes are large; `TerminateOnNaN`; "
        '`update_freq="batch"` to see the step itself.',
        _to_layer(layer, step, layer.facts.channels[at]),
    )


def dead_layer(evidence: Evidence) -> Iterator[Finding]:
    """A layer of which no channel shows anything: at the last step, since when it died or from the start."""
    evidence = evidence.sound
    if len(evidence.steps) < 2:
        return
    for layer in evidence.layers:
        share = _blank_share(layer)
        if not share[-1] >= _DEAD_LAYER or layer.facts.map == (1, 1):  # of one cell a normalisation leaves nothing
            continue
        since = _since(share >= _DEAD_LAYER)
        step = int(evidence.steps[since])
        channels = len(layer.facts.channels)
        zero = bool(np.mean(layer.status[-1] == Status.DEAD) > 0.5)
        what = f"is zero everywhere{_behind(layer)}" if zero else "shows one value everywhere"
        begin = f", and was alive at step {evidence.steps[0]}" if since else ", from the first logged step on"
        yield Finding(
            "dead_layer",
            "alarm" if since else "warning",
            _text(
                [f"{_when(evidence, step)} {_name(layer)} {what}: all {channels} logged channels{begin}"],
                f"Exact, over all cells of {_samples(evidence.images)}; other inputs may still wake it. Nothing reaches what stands "
                "behind it alone",
            ),
            layer.facts.name,
            None,
            step,
            {"share": _number(share[-1]), "channels": channels, "share_at_first": _number(share[0])},
            "A lower learning rate, or a warm-up; LeakyReLU or GELU in place of ReLU; a normalisation before the activation; another "
            "initialisation; if it was so from the start, whether the layer is connected, and whether its input is scaled as it should be.",
            _to_layer(layer, step),
        )


def dead_channels(evidence: Evidence) -> Iterator[Finding]:
    """Channels that died in training: a good part of a layer, of those that were alive at the first step."""
    evidence = evidence.sound
    if len(evidence.steps) < 2:
        return
    for layer in evidence.layers:
        share = _blank_share(layer)
        died = layer.blank & (layer.status[0] == Status.LIVE)
        count = died.sum(axis=1)
        channels = len(layer.facts.channels)
        many = max(_DEAD_LEAST, _DEAD_NOTE * channels)
        if share[-1] >= _DEAD_LAYER or count[-1] < many:
            continue
        since = _since(count >= many)
        step = int(evidence.steps[since])
        first = int(np.flatnonzero(died[-1])[0])
        yield Finding(
            "dead_channels",
            "warning" if count[-1] >= _DEAD_SHARE * channels else "note",
            _text(
                [
                    f"{_when(evidence, step)} {_many(int(count[-1]), channels)} of {_name(layer)} show one value everywhere{_behind(layer)}, "
                    f"which were alive at step {evidence.steps[0]}"
                ],
                f"Exact, over all cells of {_samples(evidence.images)}; other inputs may still wake them. It does not show whether the model "
                "would be better with them",
            ),
            layer.facts.name,
            layer.facts.channels[first],
            step,
            {"died": int(count[-1]), "channels": channels, "blank_at_first": _number(share[0])},
            "A lower learning rate, or a warm-up; LeakyReLU or GELU in place of ReLU; a normalisation before the activation; less weight "
            "decay. Where scores are good all the same, fewer channels.",
            _to_layer(layer, step, layer.facts.channels[first]),
        )


def unchanged_layer(evidence: Evidence) -> Iterator[Finding]:
    """Layers whose numbers are those of the first step, though others move: one finding for each row of neighbours."""
    evidence = evidence.sound
    if len(evidence.steps) < 2:
        return
    still = [each.unchanged and not each.blank[-1].all() for each in evidence.layers]
    for frozen in (True, False):
        rows = _rows([at and _frozen(each) is frozen for at, each in zip(still, evidence.layers, strict=True)])
        for start, end in rows:
            row = evidence.layers[start:end]
            step, last = int(evidence.steps[0]), int(evidence.steps[-1])
            every = all(still)
            begin = f"{_row(row)} gave the same at step {last} as at step {step}"
            others = "so did all layers" if every else "others have changed"
            why = "It is not trainable" if len(row) == 1 else "They are not trainable"
            told = [f"{begin}; {others}"] + ([why] if frozen else [])
            yield Finding(
                "unchanged_layer",
                "note" if frozen else "warning",
                _text(
                    told,
                    "Mean and deviation of every logged channel are equal but for rounding. It does not show why: frozen on purpose, "
                    "cut off from the loss, or a learning rate of 0",
                ),
                row[0].facts.name,
                None,
                step,
                {"layers": len(row), "of_layers": len(still), "steps": len(evidence.steps)},
                "If it should learn: `layer.trainable` and that of the models around it, set before `compile`; whether the loss depends on it; "
                "`stop_gradient`; the learning rate. If it is frozen on purpose, unfreezing it late at a small rate is the usual next step."
                if frozen
                else "Whether the loss depends on it (a branch that is not connected, `stop_gradient`); an optimizer that was given other "
                "variables; the learning rate.",
                {"view": "evolution"} if len(row) > 1 else _to_layer(row[0], last),
            )


def prediction_collapsed(evidence: Evidence) -> Iterator[Finding]:
    """One label, or class, is all that is predicted."""
    evidence = evidence.sound
    facts, scores = evidence.facts.prediction, evidence.scores
    if facts is None or scores is None or len(evidence.steps) < 3:
        return
    if evidence.labels:
        share, true = _shares(evidence)
        top = int(np.nanargmax(np.nan_to_num(share[-1])))
        one = share[:, top] >= _ALL
        if not (one[-2:].all() and true[top] <= _TRUE_ALL):
            return
        since = _since(one)
        name, numbers = facts.labels[top].name, {"share": _number(share[-1, top]), "true_share": _number(true[top])}
        seen = (
            f"{_percent(share[-1, top])} of all cells are predicted as {name!r}; in the masks {_percent(true[top])} are"
        )
    else:
        if facts.kind != "class" or evidence.images < 8:
            return
        classes = scores[..., 0]
        one = (classes == classes[:, :1]).all(axis=1) & (classes[:, 0] >= 0) & (classes[:, 0] == classes[-1, 0])
        if not one[-2:].all() or (one[0] and not one.all()):
            return
        since = _since(one)
        top = int(classes[-1, 0])
        name = facts.labels[top].name if top < len(facts.labels) else str(top)
        numbers = {"share": 1.0, "true_share": None}
        seen = f"all {evidence.images} samples are predicted as {name!r}"
    step = int(evidence.steps[since])
    unknown = (
        ""
        if evidence.labels
        else " or the true classes, which the log does not have: if all samples are of one, this is right"
    )
    yield Finding(
        "prediction_collapsed",
        "alarm" if evidence.labels else "note",
        _text(
            [f"{_when(evidence, step)} {seen}"],
            f"Over {_samples(evidence.images)}, at {len(one) - since} logged steps on end. It does not show other data{unknown}",
        ),
        None,
        None,
        step,
        numbers | {"images": evidence.images, "steps": len(one) - since},
        "Whether masks and pictures are paired, scaled and numbered as the loss expects; class weights, Dice or focal loss where one class is "
        "nearly all; a lower learning rate; whether a single batch can be learned by heart.",
        {"view": "prediction", "step": step},
    )


def class_never_predicted(evidence: Evidence) -> Iterator[Finding]:
    """A label that the masks have, and the model has not learned to predict, nor does now."""
    evidence = evidence.sound
    facts = evidence.labels
    if facts is None or len(evidence.steps) < 3 or _is_collapsed(evidence):
        return
    share, true = _shares(evidence)
    iou = _mean(evidence.score("iou"))
    for at, label in _judged(evidence, true):
        since = _since(np.nan_to_num(share[:, at], nan=1.0) <= _NONE * true[at])
        if len(share) - since < max(2, len(share) // 2) or np.nanmax(iou[1:, at], initial=0.0) >= _HAD:
            continue
        images = int(np.sum(evidence.score("true_share")[-1, :, at] > 0))
        step = int(evidence.steps[since])
        seen = (
            f"{_when(evidence, step)} {label!r} is not predicted; in the masks it has {_percent(true[at])} of the cells"
        )
        numbers = {"share": _number(share[-1, at]), "true_share": _number(true[at]), "images": images}
        told, best = [seen], _best_layer(evidence, label)
        if best is not None:
            layer, values = best
            numbers |= {"separation": _number(values[-1]), "separation_at_first": _number(values[0])}
            told.append(
                f"Yet {_name(layer)} tells it from all else (separation {values[-1]:.2f}; {values[0]:.2f} at step {evidence.steps[0]}): "
                "what is missing stands behind that layer"
            )
        yield Finding(
            "class_never_predicted",
            "warning",
            _text(told, f"It is in {_samples(images)} of the {evidence.images}. It does not show data beyond them"),
            best[0].facts.name if best else None,
            None,
            step,
            numbers,
            "Its weight in the loss (`class_weight`, Dice or focal loss); whether its value in the masks is the one that the loss expects; "
            "batches that have it more often; more epochs, where it is rare.",
            {"view": "prediction", "step": int(evidence.steps[-1])},
        )


def class_lost(evidence: Evidence) -> Iterator[Finding]:
    """A label that was predicted well enough, and is no more."""
    evidence = evidence.sound
    if evidence.labels is None or len(evidence.steps) < 4 or _is_collapsed(evidence):
        return
    iou = _mean(evidence.score("iou"))
    _, true = _shares(evidence)
    for at, label in _judged(evidence, true):
        known = np.nan_to_num(iou[:, at])
        best = int(np.argmax(known))
        if best >= len(known) - 2 or known[best] < _HAD or known[-2:].max() > _LOST * known[best]:
            continue
        since = _since(known <= _LOST * known[best])
        step = int(evidence.steps[since])
        yield Finding(
            "class_lost",
            "warning",
            _text(
                [
                    f"{_when(evidence, step)} {label!r} is hardly predicted any more: IoU {known[-1]:.2f}, after {known[best]:.2f} at step "
                    f"{evidence.steps[best]}"
                ],
                f"Mean over {_samples(evidence.images)}, at {len(known) - since} logged steps on end. It does not show data beyond them",
            ),
            None,
            None,
            step,
            {"iou": _number(known[-1]), "best_iou": _number(known[best]), "best_step": int(evidence.steps[best])},
            "A lower learning rate, or one that decays; the weights of that step (`ModelCheckpoint`, `EarlyStopping` with "
            "`restore_best_weights`); the label's weight in the loss.",
            {"view": "prediction", "step": step},
        )


def position_only(evidence: Evidence) -> Iterator[Finding]:
    """What the layers tell of the object they tell as well of other images' objects: it is where objects usually are."""
    evidence = evidence.sound
    layers = [each for each in evidence.layers if "readout_control" in each.facts.summaries]
    if not layers or len(evidence.steps) < 3 or evidence.images < 4:
        return
    late = layers[-2:]  # early layers have some of the picture's own contrast, trained or not
    readout, control = (np.array([each.summary(name) for each in late]) for name in ("readout", "readout_control"))
    if np.isnan(readout[:, [0, -1]]).any() or np.isnan(control[:, -1]).any():
        return
    best = int(np.argmax(readout[:, -1]))
    top, begin = float(readout[best, -1]), float(readout[best, 0])
    if top < max(_KNOWS, begin + 0.03) or np.any(readout[:, -1] - control[:, -1] > _EXCESS):
        return
    layer, last = late[best], int(evidence.steps[-1])
    yield Finding(
        "position_only",
        "warning",
        _text(
            [
                f"{_name(layer)} tells the object by {top:.2f} of 1 (chance .5), and by {control[best, -1]:.2f} on the masks of OTHER images: "
                "it knows where objects usually are, and not this picture"
            ],
            f"A linear readout over {_samples(evidence.images)}, judged on such as it was not fitted on. Where the objects of all samples lie in the same place, it does not "
            "show anything: then take samples that differ",
        ),
        layer.facts.name,
        None,
        last,
        {
            "readout": _number(top),
            "control": _number(control[best, -1]),
            "readout_at_first": _number(begin),
            "images": evidence.images,
        },
        "Whether pictures and masks are paired (shuffled apart, resized or augmented differently?): look at a few side by side; more epochs; "
        "augmentation by shifts and flips of both together.",
        _to_layer(layer, last),
    )


def checkerboard(evidence: Evidence) -> Iterator[Finding]:
    """The period of an upsampling in the maps of the last layer: what is put out has it, too."""
    evidence = evidence.sound
    layer = _last(evidence, "checkerboard")
    if layer is None or len(evidence.steps) < _FEW_STEPS:
        return
    values = layer.summary("checkerboard")
    if not values[-1] >= _CHECKERS:
        return
    period, last = layer.facts.period, int(evidence.steps[-1])
    worst = max(evidence.layers, key=lambda each: _known(each.summary("checkerboard")[-1]))
    more = [] if worst is layer else [f"It is strongest in {_name(worst)} ({worst.summary('checkerboard')[-1]:.2f})"]
    yield Finding(
        "checkerboard",
        "warning",
        _text(
            [
                f"The maps of {_name(layer)}, the last layer, repeat every {period} cells: {values[-1]:.2f}, where pictures have 0 or less; "
                f"{values[0]:.2f} at step {evidence.steps[0]}",
                *more,
            ],
            f"Of the median channel, over {_samples(evidence.images)}. It does not show whether the labels that are predicted suffer",
        ),
        layer.facts.name,
        None,
        last,
        {"checkerboard": _number(values[-1]), "at_first": _number(values[0]), "period": period},
        "A kernel that its stride divides (4 and 2, not 3 and 2); upsampling followed by a convolution in place of a transposed one; more "
        "training, which often evens it out.",
        _to_layer(layer, last),
    )


def gridding(evidence: Evidence) -> Iterator[Finding]:
    """The period of a dilation in a layer's maps, which the untrained layer had not."""
    evidence = evidence.sound
    if len(evidence.steps) < _FEW_STEPS:
        return
    for layer in evidence.layers:
        values = layer.summary("gridding")
        if not (values[-1] >= _GRIDDING and values[-1] >= values[0] + _MORE_GRIDDING):
            continue
        last = int(evidence.steps[-1])
        yield Finding(
            "gridding",
            "warning",
            _text(
                [
                    f"The maps of {_name(layer)} repeat every {layer.facts.dilation} cells, its dilation: {values[-1]:.2f}, where pictures have 0 or "
                    f"less; {values[0]:.2f} at step {evidence.steps[0]}"
                ],
                f"Of the median channel, over {_samples(evidence.images)}. It does not show whether later layers smooth it out",
            ),
            layer.facts.name,
            None,
            last,
            {"gridding": _number(values[-1]), "at_first": _number(values[0]), "period": layer.facts.dilation},
            "Dilations without a common factor in a row (1, 2, 5, not 4, 4, 4); a convolution without dilation behind them.",
            _to_layer(layer, last),
        )


def border(evidence: Evidence) -> Iterator[Finding]:
    """A frame around the maps of the last layer, which the untrained layer had not."""
    evidence = evidence.sound
    layer = _last(evidence, "border")
    if layer is None or len(evidence.steps) < _FEW_STEPS:
        return
    values, last = layer.summary("border"), int(evidence.steps[-1])
    if not values[-1] >= _BORDER:
        return
    yield Finding(
        "border",
        "note",
        _text(
            [
                f"The outermost cells of the maps of {_name(layer)}, the last layer, differ from those inside them: {values[-1]:.2f} of what varies "
                f"there tells the two, {values[0]:.2f} at step {evidence.steps[0]}"
            ],
            f"Of the median channel, over {_samples(evidence.images)}. Pictures that have a frame themselves look the same; it does not show whether "
            "the labels that are predicted suffer",
        ),
        layer.facts.name,
        None,
        last,
        {"border": _number(values[-1]), "at_first": _number(values[0])},
        "Pictures scaled so that their mean is about 0, the value of the padding; padding by reflection; cutting the border off what is predicted.",
        _to_layer(layer, last),
    )


def scrambled(evidence: Evidence) -> Iterator[Finding]:
    """A layer whose neighbours are not alike, behind one whose are: cells have lost their places."""
    evidence = evidence.sound
    if len(evidence.steps) < _FEW_STEPS:
        return
    rows = [(each, each.summary("coherence")) for each in evidence.layers]
    for (before, ordered), (layer, values) in pairwise(rows):
        as_large = before.facts.map == layer.facts.map
        if not (as_large and layer.facts.period == 0 and values[-1] <= _SCRAMBLED and ordered[-1] >= _ORDERED):
            continue
        last = int(evidence.steps[-1])
        yield Finding(
            "scrambled",
            "warning",
            _text(
                [
                    f"Neighbouring cells of {_name(layer)} are not alike (correlation {values[-1]:.2f}), while those of {_name(before)}, of the same "
                    f"size, are ({ordered[-1]:.2f})"
                ],
                f"Of the median channel, over {_samples(evidence.images)}. It does not show which operation between the two has done it, nor that it is no "
                "purpose, as of a shuffle",
            ),
            layer.facts.name,
            None,
            last,
            {"coherence": _number(values[-1]), "before": _number(ordered[-1])},
            "Reshapes between the two: an array (H, W, C) reshaped to (C, H, W) needs a transposition instead; the order of the axes where data "
            "come from another framework.",
            _to_layer(layer, last),
        )


def duplicate_channels(evidence: Evidence) -> Iterator[Finding]:
    """Channels that are one and the same; or have come to show the same."""
    evidence = evidence.sound
    if len(evidence.steps) < 2:
        return
    last = int(evidence.steps[-1])
    for layer in evidence.layers:
        channels, twins, alike = len(layer.facts.channels), layer.twins, layer.summary("duplicates")
        live = int(np.count_nonzero(layer.status[-1] == Status.LIVE))
        if twins[-1] >= max(2, _TWINS * channels):
            since = int(evidence.steps[_since(twins >= max(2, _TWINS * channels))])
            seen = f"{_when(evidence, since)} {_many(int(twins[-1]), channels)} of {_name(layer)} have the very numbers of another one"
            yield _alike(layer, "warning", since, seen, {"same": int(twins[-1]), "channels": channels}, evidence)
        elif live >= 8 and alike[-1] >= _ALIKE and alike[0] <= _NOT_ALIKE:
            seen = (
                f"{_percent(alike[-1])} of the channels of {_name(layer)} show what another one shows (|r| > 0.95), and {_percent(alike[0])} did at "
                f"step {evidence.steps[0]}"
            )
            numbers = {"alike": _number(alike[-1]), "at_first": _number(alike[0]), "channels": channels}
            yield _alike(layer, "note", last, seen, numbers, evidence)


def _alike(
    layer: LayerSeen,
    severity: Severity,
    step: int,
    seen: str,
    numbers: Mapping[str, float | int | str | None],
    evidence: Evidence,
) -> Finding:
    return Finding(
        "duplicate_channels",
        severity,
        _text(
            [seen],
            f"Over all cells of {_samples(evidence.images)}: other samples may tell them apart. It does not show whether fewer channels would do as well",
        ),
        layer.facts.name,
        None,
        step,
        numbers,
        "An initialisation by chance (filters that begin alike and are used alike stay so); fewer channels, if scores are good all the same.",
        _to_layer(layer, step),
    )


def settled(evidence: Evidence) -> Iterator[Finding]:
    """Layers that hardly change any more while others do: what can be frozen. One finding for all of them."""
    evidence = evidence.sound
    count = len(evidence.steps)
    if count < 6:
        return
    rests = [(_settled_at(each), each) for each in evidence.layers if not each.unchanged]
    long = max(_LONG, count // 3)
    moving = [each for at, each in rests if at is None or count - 1 - at < _LONG]
    still = [(at, each) for at, each in rests if at is not None and count - 1 - at >= long and not each.blank[-1].all()]
    if not moving or not still:
        return
    still.sort(key=lambda pair: pair[0])
    at, layer = still[0]
    listed = ", ".join(f"{_name(each)} (since {int(evidence.steps[when])})" for when, each in still[:8])
    more = f" and {len(still) - 8} more" if len(still) > 8 else ""
    yield Finding(
        "settled",
        "note",
        _text(
            [
                f"{len(still)} of {_plural(len(evidence.layers), 'layer')} hardly {'changes' if len(still) == 1 else 'change'} any more while "
                f"others do: {listed}{more}"
            ],
            f"Each is alike to what it was at that step by a CKA of {_SETTLED} or more, on {_samples(evidence.images)}. A learning rate that decays brings "
            "every layer to rest, too; and it does not show that they are good",
        ),
        layer.facts.name,
        None,
        int(evidence.steps[at]),
        {"layers": len(still), "moving": len(moving), "of_layers": len(evidence.layers)},
        "Freezing them (`trainable = False`, then `compile`) saves time and memory at the next training; nothing has to be done.",
        {"view": "evolution"},
    )


def narrow_use(evidence: Evidence) -> Iterator[Finding]:
    """Layers that use a few directions only, far fewer than untrained."""
    evidence = evidence.sound
    if len(evidence.steps) < 2:
        return
    for layer in evidence.layers:
        rank, channels = layer.summary("effective_rank"), min(len(layer.facts.channels), 64)
        if (
            channels < 16
            or not (rank[-1] <= _NARROW * channels and rank[-1] <= _NARROWER * rank[0])
            or layer.blank[-1].all()
        ):
            continue
        step = int(evidence.steps[_since(rank <= _NARROW * channels)])
        yield Finding(
            "narrow_use",
            "note",
            _text(
                [
                    f"{_when(evidence, step)} {_name(layer)} uses {rank[-1]:.1f} directions of {channels} logged channels; {rank[0]:.1f} at step "
                    f"{evidence.steps[0]}"
                ],
                f"Effective rank on {_samples(evidence.images)}: more samples of more kinds may need more. It does not show that fewer channels would do as well",
            ),
            layer.facts.name,
            None,
            step,
            {"rank": _number(rank[-1]), "rank_at_first": _number(rank[0]), "channels": channels},
            "Fewer channels there, if speed matters; less weight decay or a lower learning rate, if it happened at once.",
            _to_layer(layer, step),
        )


def probe_score_fell(evidence: Evidence) -> Iterator[Finding]:
    """The mean IoU was better, and stays below that."""
    evidence = evidence.sound
    if evidence.labels is None or len(evidence.steps) < 6 or _is_collapsed(evidence):
        return
    _, true = _shares(evidence)
    judged = [at for at, _ in _judged(evidence, true)]
    if not judged:
        return
    each = _mean(np.moveaxis(evidence.score("iou")[:, :, judged], 1, 2))  # (steps, images)
    mean = _mean(each[..., None])[:, 0]
    if np.isnan(mean).any():
        return
    three = np.array([np.median(mean[max(0, at - 1) : at + 2]) for at in range(len(mean))])
    best = int(np.argmax(three[:-1]))
    now = float(np.median(mean[-3:]))
    if len(mean) - 1 - best < 3 or three[best] - now < max(_FELL, _FELL_PART * three[best]):
        return
    lower = float(np.mean(np.median(each[-3:], axis=0) < np.median(each[max(0, best - 1) : best + 2], axis=0)))
    if lower < _FELL_IN:
        return
    step = int(evidence.steps[best])
    yield Finding(
        "probe_score_fell",
        "warning",
        _text(
            [
                f"The prediction of the probe was best about step {step} (mean IoU {three[best]:.2f}) and is at {now:.2f} now"
            ],
            f"Medians of three steps, over {_samples(evidence.images)}, of which {_percent(lower)} are worse. It does not show other data: compare with "
            "the validation's own curve",
        ),
        None,
        None,
        step,
        {"best": _number(three[best]), "now": _number(now), "images_worse": _number(lower), "images": evidence.images},
        "A lower learning rate, or one that decays; the weights of that step (`ModelCheckpoint`, `EarlyStopping` with `restore_best_weights`); "
        "augmentation or weight decay, if the training's own score still rises.",
        {"view": "prediction", "step": step},
    )


#: All kinds, in the order in which findings of one severity are told.
KINDS: Mapping[str, Kind] = {
    each.__name__: each
    for each in (
        non_finite,
        dead_layer,
        prediction_collapsed,
        dead_channels,
        class_lost,
        class_never_predicted,
        probe_score_fell,
        position_only,
        scrambled,
        checkerboard,
        gridding,
        border,
        duplicate_channels,
        unchanged_layer,
        settled,
        narrow_use,
    )
}


def _text(seen: Iterable[str], sure: str) -> str:
    sentences = [*seen, sure]
    return " ".join(f"{each}." for each in sentences)


def _name(layer: LayerSeen) -> str:
    number = "" if layer.facts.number is None else f"#{layer.facts.number} "
    return f"{number}{layer.facts.name}"


def _row(layers: Sequence[LayerSeen]) -> str:
    if len(layers) == 1:
        return _name(layers[0])
    return f"{len(layers)} layers from {_name(layers[0])} to {_name(layers[-1])}"


def _when(evidence: Evidence, step: int) -> str:
    """Since when: the log knows nothing before its first step."""
    return f"Since step {step}," if step > evidence.steps[0] or step == 0 else f"Since step {step} or before,"


def _samples(count: int) -> str:
    return _plural(count, "sample")


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _many(count: int, of: int) -> str:
    return f"{count} of {of} logged channels"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if 0.0005 < share < 0.9995 else f"{100 * share:.3g} %"


def _number(value: float) -> float | None:
    """A number that JSON can say; None for what is none."""
    return round(float(value), 6) if np.isfinite(value) else None


def _peak(magnitude: np.ndarray) -> float:
    known = magnitude[np.isfinite(magnitude)]
    return float(known.max()) if len(known) else 0.0


def _to_layer(layer: LayerSeen, step: int, channel: int | None = None) -> dict[str, str | int]:
    link: dict[str, str | int] = {"view": "layer", "layer": layer.facts.name, "step": step}
    return link if channel is None else link | {"channel": channel}


def _since(holds: np.ndarray) -> int:
    """The position since which, without a gap up to the last, something holds."""
    gaps = np.flatnonzero(~holds)
    return int(gaps[-1]) + 1 if len(gaps) else 0


def _blank_share(layer: LayerSeen) -> np.ndarray:
    return np.asarray(layer.blank.mean(axis=1))


def _last(evidence: Evidence, summary: str) -> LayerSeen | None:
    """The last layer, if this summary is known of it."""
    layer = evidence.layers[-1] if evidence.layers else None
    return layer if layer is not None and np.isfinite(layer.summary(summary)[-1:]).any() else None


def _known(value: float) -> float:
    return float(value) if np.isfinite(value) else -np.inf


def _behind(layer: LayerSeen) -> str:
    return " behind the ReLU that follows it" if layer.facts.rectified else ""


def _frozen(layer: LayerSeen) -> bool:
    return layer.facts.trainable is False


def _rows(those: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """The rows of neighbours among what holds, each as start and end."""
    start = None
    for at, holds in enumerate([*those, False]):
        if holds and start is None:
            start = at
        elif not holds and start is not None:
            yield start, at
            start = None


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over axis 1 of what is known, of (steps, images, ...); NaN where nothing is."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _shares(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Of each label the share of the cells that are predicted as it, (steps, labels), and in the masks, (labels,)."""
    true = _mean(evidence.score("true_share"))
    known = true[~np.isnan(true).all(axis=1)]
    return _mean(evidence.score("share")), np.nan_to_num(known[-1] if len(known) else true[-1])


def _judged(evidence: Evidence, true: np.ndarray) -> Iterator[tuple[int, str]]:
    """The labels of which enough is in the masks: position and name."""
    facts = evidence.labels
    assert facts is not None
    cells = evidence.images * int(np.prod(facts.size))
    for at, label in enumerate(facts.labels):
        if at in facts.truth and not label.ignored and true[at] * cells >= FEW_CELLS:
            yield at, label.name


def _is_collapsed(evidence: Evidence) -> bool:
    return any(True for _ in prediction_collapsed(evidence))


def _best_layer(evidence: Evidence, label: str) -> tuple[LayerSeen, np.ndarray] | None:
    """The layer that tells a label best, and its separation at all steps, if that is more than the untrained network's."""
    rows = [(each.summary(f"{label}_separation_best"), each) for each in evidence.layers]
    known = [(values, each) for values, each in rows if not np.isnan(values[[0, -1]]).any()]
    if not known:
        return None
    values, layer = max(known, key=lambda pair: float(pair[0][-1]))
    begin = max(float(each[0]) for each, _ in known)
    return (layer, values) if values[-1] >= max(0.8, begin + 0.05) else None


def _settled_at(layer: LayerSeen) -> int | None:
    """The position since which it is nearly what it was there; None where that is not known.

    CKA is the cosine of the angle between two layers' Gram matrices. Angles of one step to the next add up to the whole at
    most, so that the sum bounds how far a layer has gone, whichever way it went.
    """
    cosine = layer.summary("cka_previous").astype(np.float64)
    if np.isnan(cosine[1:]).any():
        return None
    angles = np.arccos(np.clip(cosine[1:], -1.0, 1.0))
    left = np.append(np.cumsum(angles[::-1])[::-1], 0.0)  # at i: all changes after position i
    return int(np.argmax(left <= np.arccos(_SETTLED)))
