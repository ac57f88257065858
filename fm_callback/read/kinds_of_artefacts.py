"""Kinds of findings about how maps were made: periods, borders, disorder."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from fm_callback.read.evidence import Evidence, LayerSeen
from fm_callback.read.finding import Finding, name_of, rounded, samples, sentences, to_layer

#: Before so many logged steps nothing is said of how maps were made: training often evens it out.
_FEW_STEPS = 5
#: What reaches the last layer of the period of an upsampling, of the border; and of a dilation, where it stands.
_CHECKERS, _BORDER, _GRIDDING, _MORE_GRIDDING = 0.05, 0.25, 0.03, 0.05
#: Of what the untrained network shows of it so much at most: training is about to even it out.
_EVENED_OUT = 0.5
#: And of the border in whichever layer has most of it.
_WIDE_BORDER = 0.5
#: Neighbours that are hardly alike, and by how much more those of the layer before were.
_SCRAMBLED, _LESS_ORDERED = 0.3, 0.4


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
    if period < 2:
        return
    worst = max(evidence.layers, key=lambda each: _known(each.summary("checkerboard")[-1]))
    more = [] if worst is layer else [f"It is strongest in {name_of(worst)} ({worst.summary('checkerboard')[-1]:.2f})"]
    yield Finding(
        "checkerboard",
        "note" if evidence.learns_by_batches or values[-1] <= _EVENED_OUT * values[0] else "warning",
        sentences(
            [
                f"The maps of {name_of(layer)}, the last logged layer, repeat every {period} cells: {values[-1]:.2f}, where pictures have 0 or less; "
                f"{values[0]:.2f} at step {evidence.steps[0]}",
                *more,
            ],
            f"Of the median channel, over {samples(evidence.images)}. It does not show whether the labels that are predicted suffer",
        ),
        layer.facts.name,
        None,
        last,
        {"checkerboard": rounded(values[-1]), "at_first": rounded(values[0]), "period": period},
        "A kernel that its stride divides (4 and 2, not 3 and 2); upsampling followed by a convolution in place of a transposed one; more "
        "training, which often evens it out.",
        to_layer(layer, last),
    )


def gridding(evidence: Evidence) -> Iterator[Finding]:
    """The period of a dilation in a layer's maps, which the untrained layer had not; or a dilation as wide as they are."""
    yield from _too_wide(evidence)
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
            sentences(
                [
                    f"The maps of {name_of(layer)} repeat every {layer.facts.dilation} cells, its dilation: {values[-1]:.2f}, where pictures have 0 or "
                    f"less; {values[0]:.2f} at step {evidence.steps[0]}"
                ],
                f"Of the median channel, over {samples(evidence.images)}. It does not show whether later layers smooth it out",
            ),
            layer.facts.name,
            None,
            last,
            {"gridding": rounded(values[-1]), "at_first": rounded(values[0]), "period": layer.facts.dilation},
            "Dilations without a common factor in a row (1, 2, 5, not 4, 4, 4); a convolution without dilation behind them.",
            to_layer(layer, last),
        )


def _too_wide(evidence: Evidence) -> Iterator[Finding]:
    for layer in evidence.layers:
        facts = layer.facts
        weights = int(np.prod(facts.kernel or (1,)))
        if weights == 1 or facts.dilation == 1 or facts.dilation < max(facts.map):
            continue
        size, last = "×".join(map(str, facts.map)), int(evidence.steps[-1])
        yield Finding(
            "gridding",
            "note",
            sentences(
                [
                    f"The dilation of {name_of(layer)} is {facts.dilation}, and its maps are {size}: of its {weights} weights the middle one alone "
                    "sees them"
                ],
                "Exact, of the size that the probe has: on larger pictures the others see something, which they have not learned on such",
            ),
            facts.name,
            None,
            last,
            {"dilation": facts.dilation, "weights": weights},
            "Smaller dilations at this depth, in proportion to the maps; larger pictures.",
            to_layer(layer, last),
        )


def border(evidence: Evidence) -> Iterator[Finding]:
    """A frame around the maps of the last layer, or a wide one around those of any."""
    evidence = evidence.sound
    layer = _last(evidence, "border")
    if layer is None or len(evidence.steps) < _FEW_STEPS:
        return
    is_last = bool(layer.summary("border")[-1] >= _BORDER)
    if not is_last:
        layer = max(evidence.layers, key=lambda each: _known(each.summary("border")[-1]))
    values, last = layer.summary("border"), int(evidence.steps[-1])
    if not values[-1] >= (_BORDER if is_last else _WIDE_BORDER):
        return
    yield Finding(
        "border",
        "note",
        sentences(
            [
                f"The outermost cells of the maps of {name_of(layer)}{', the last logged layer,' if is_last else ''} differ from those inside them: {values[-1]:.2f} of what varies "
                f"there tells the two, {values[0]:.2f} at step {evidence.steps[0]}"
            ],
            f"Of the median channel, over {samples(evidence.images)}. Pictures that have a frame themselves look the same; it does not show whether "
            "the labels that are predicted suffer",
        ),
        layer.facts.name,
        None,
        last,
        {"border": rounded(values[-1]), "at_first": rounded(values[0])},
        "Pictures scaled so that their mean is about 0, the value of the padding; padding by reflection; cutting the border off what is predicted.",
        to_layer(layer, last),
    )


def scrambled(evidence: Evidence) -> Iterator[Finding]:
    """A layer whose neighbours are not alike, behind one whose are: cells have lost their places."""
    evidence = evidence.sound
    if len(evidence.steps) < _FEW_STEPS:
        return
    rows = [(each, each.summary("coherence")) for each in evidence.layers]
    for (before, ordered), (layer, values) in pairwise(rows):
        as_large = before.facts.map == layer.facts.map
        apart = [values[at] <= _SCRAMBLED and values[at] <= ordered[at] - _LESS_ORDERED for at in (0, -1)]
        if not (as_large and layer.facts.period == 0 and all(apart)):  # learned disorder is a purpose, as of a denoiser
            continue
        last = int(evidence.steps[-1])
        yield Finding(
            "scrambled",
            "warning",
            sentences(
                [
                    f"Neighbouring cells of {name_of(layer)} are hardly alike (correlation {values[-1]:.2f}), while those of {name_of(before)}, of the same "
                    f"size, are ({ordered[-1]:.2f}); {values[0]:.2f} at step {evidence.steps[0]}"
                ],
                f"Of the median channel, over {samples(evidence.images)}. It does not show which operation between the two has done it, nor that it is no "
                "purpose, as of a shuffle",
            ),
            layer.facts.name,
            None,
            last,
            {"coherence": rounded(values[-1]), "before": rounded(ordered[-1])},
            "Reshapes between the two: an array (H, W, C) reshaped to (C, H, W) needs a transposition instead; the order of the axes where data "
            "come from another framework.",
            to_layer(layer, last),
        )


def _last(evidence: Evidence, summary: str) -> LayerSeen | None:
    """The last layer, if this summary is known of it."""
    layer = evidence.layers[-1] if evidence.layers else None
    return layer if layer is not None and np.isfinite(layer.summary(summary)[-1:]).any() else None


def _known(value: float) -> float:
    return float(value) if np.isfinite(value) else -np.inf
