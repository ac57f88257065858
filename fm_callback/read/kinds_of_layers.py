"""Kinds of findings about layers: values, channels, and what they learn."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fm_callback.read.evidence import Evidence, LayerSeen
from fm_callback.read.finding import (
    Finding,
    Severity,
    held_since,
    name_of,
    per_cent,
    plural,
    rounded,
    samples,
    sentences,
    some_of,
    to_layer,
    when,
)
from fm_callback.scores.status import Status

#: A channel that died: so large a share of a layer's channels is a warning, or a note, and so many at least.
_DEAD_SHARE, _DEAD_NOTE, _DEAD_LEAST = 0.5, 0.25, 3
#: Of a dead layer so many channels show nothing.
_DEAD_LAYER = 0.95
#: How alike a layer is at least to what it was since it has settled, in CKA; and for how many steps.
_SETTLED, _LONG = 0.98, 4
#: The share of a layer's channels that are the same as another one, or show the same, and did not when untrained.
_TWINS, _ALIKE, _NOT_ALIKE = 0.25, 0.75, 0.4
#: In evaluation mode otherwise than in training mode: a CKA of so much at most; and the same.
_OTHERWISE, _SAME = 0.8, 0.9
#: Narrow: so small a part of the width, and of what the untrained layer used.
_NARROW, _NARROWER = 0.15, 0.5


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
    anywhere = np.any([each.bad.any(axis=1) for each in layers], axis=0)
    lasts, since = bool(anywhere[-1]), int(evidence.steps[held_since(anywhere)]) if anywhere[-1] else None
    numbers: dict[str, float | int | str | None] = {
        "channels": int(np.count_nonzero(bad)),
        "cells": rounded(bad[at]),
        "of_cells": cells,
        "layers": len(concerned),
        "of_layers": len(layers),
    }
    where = f"channel {layer.facts.channels[at]} of {name_of(layer)} ({min(int(bad[at]), cells):,} of {cells:,} cells)"
    begin_of_it = when(evidence, step) if since == step else f"At step {step}"
    told = [f"{begin_of_it} {where} is NaN or infinite"]
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
        told.append("Later steps are finite again" if anywhere.sum() == 1 else "The last step is finite again")
    elif since != step:
        told.append(f"Then steps were finite again, and since step {since} there are such values at every one")
    if first:
        peaks = [(_peak(each.magnitude[first - 1]), each) for each in layers]
        peak, loudest = max(peaks, key=lambda pair: pair[0])
        begin = _peak(loudest.magnitude[0])
        before = int(evidence.steps[first - 1])
        numbers |= {"largest_before": rounded(peak), "of_it_at_first": rounded(begin), "step_before": before}
        grown = (
            f", {peak / begin:,.0f} times what it was at step {evidence.steps[0]}" if begin and peak > 3 * begin else ""
        )
        told.append(f"At step {before} the largest magnitude was {peak:.3g}, in {name_of(loudest)}{grown}")
        if peak > 1e4:
            told.append("float16 ends at 65,504")
    yield Finding(
        "non_finite",
        "alarm" if lasts else "warning",
        sentences(told, "Exact: values are counted in all samples. It does not show what happened inside the step"),
        layer.facts.name,
        layer.facts.channels[at],
        step,
        numbers,
        "A lower learning rate or clipped gradients (`clipnorm`); a guard around log, division and square root in the loss; in "
        "mixed precision loss scaling, and float32 where magnitudes are large; `TerminateOnNaN`; "
        '`update_freq="batch"` to see the step itself.',
        to_layer(layer, step, layer.facts.channels[at]),
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
        since = held_since(share >= _DEAD_LAYER)
        step = int(evidence.steps[since])
        channels, blank = len(layer.facts.channels), int(layer.blank[-1].sum())
        zero = bool((layer.status[-1][layer.blank[-1]] == Status.DEAD).all())
        what = f"is zero everywhere{_behind(layer)}" if zero else "shows one value everywhere"
        which = f"all {channels} logged channels" if blank == channels else some_of(blank, channels)
        begin = f", and was alive at step {evidence.steps[0]}" if since else ", from the first logged step on"
        yield Finding(
            "dead_layer",
            "alarm" if since else "warning",
            sentences(
                [f"{when(evidence, step)} {name_of(layer)} {what}: {which}{begin}"],
                f"Exact, over all cells of {samples(evidence.images)}; other inputs may still wake it. Nothing reaches what stands "
                "behind it alone",
            ),
            layer.facts.name,
            None,
            step,
            {"share": rounded(share[-1]), "channels": channels, "share_at_first": rounded(share[0])},
            "A lower learning rate, or a warm-up; LeakyReLU or GELU in place of ReLU; a normalisation before the activation; another "
            "initialisation; if it was so from the start, whether the layer is connected, and whether its input is scaled as it should be.",
            to_layer(layer, step),
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
        since = held_since(count >= many)
        step = int(evidence.steps[since])
        first = int(np.flatnonzero(died[-1])[0])
        yield Finding(
            "dead_channels",
            "warning" if count[-1] >= _DEAD_SHARE * channels else "note",
            sentences(
                [
                    f"{when(evidence, step)} {some_of(int(count[-1]), channels)} of {name_of(layer)} show one value everywhere{_behind(layer)}, "
                    f"which were alive at step {evidence.steps[0]}"
                ],
                f"Exact, over all cells of {samples(evidence.images)}; other inputs may still wake them. It does not show whether the model "
                "would be better with them",
            ),
            layer.facts.name,
            layer.facts.channels[first],
            step,
            {"died": int(count[-1]), "channels": channels, "blank_at_first": rounded(share[0])},
            "A lower learning rate, or a warm-up; LeakyReLU or GELU in place of ReLU; a normalisation before the activation; less weight "
            "decay. Where scores are good all the same, fewer channels.",
            to_layer(layer, step, layer.facts.channels[first]),
        )


def unchanged_layer(evidence: Evidence) -> Iterator[Finding]:
    """Layers whose numbers are those of the first step, though others move: one finding for each row of neighbours."""
    evidence = evidence.sound
    if len(evidence.steps) < 2:
        return
    layers = [each for each in evidence.layers if not _has_no_weights(each)]
    still = [each.unchanged and not each.blank[-1].all() for each in layers]
    for frozen in (True, False):
        rows = _rows([at and _frozen(each) is frozen for at, each in zip(still, layers, strict=True)])
        for start, end in rows:
            row = layers[start:end]
            step, last = int(evidence.steps[0]), int(evidence.steps[-1])
            every = all(still)
            begin = f"{_row(row)} gave the same at step {last} as at step {step}"
            others = "so did all layers" if every else "others have changed"
            why = "It is not trainable" if len(row) == 1 else "They are not trainable"
            told = [f"{begin}; {others}"] + ([why] if frozen else [])
            yield Finding(
                "unchanged_layer",
                "note" if frozen else "warning",
                sentences(
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
                {"view": "evolution"} if len(row) > 1 else to_layer(row[0], last),
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
    listed = ", ".join(f"{name_of(each)} (since {int(evidence.steps[when])})" for when, each in still[:8])
    more = f" and {len(still) - 8} more" if len(still) > 8 else ""
    yield Finding(
        "settled",
        "note",
        sentences(
            [
                f"{len(still)} of {plural(len(evidence.layers), 'layer')} hardly {'changes' if len(still) == 1 else 'change'} any more while "
                f"others do: {listed}{more}"
            ],
            f"Each is alike to what it was at that step by a CKA of {_SETTLED} or more, on {samples(evidence.images)}. A learning rate that decays brings "
            "every layer to rest, too; and it does not show that they are good",
        ),
        layer.facts.name,
        None,
        int(evidence.steps[at]),
        {"layers": len(still), "moving": len(moving), "of_layers": len(evidence.layers)},
        "Freezing them (`trainable = False`, then `compile`) saves time and memory at the next training; nothing has to be done.",
        {"view": "evolution"},
    )


def train_eval_gap(evidence: Evidence) -> Iterator[Finding]:
    """A network that is another one in evaluation mode than in training mode: by its last layer, at the last two steps."""
    evidence = evidence.sound
    if len(evidence.steps) < 3 or not evidence.layers:
        return
    layer = evidence.layers[-1]
    alike = layer.summary("training_cka")
    if not (alike[-2:] <= _OTHERWISE).all():
        return
    step = int(evidence.steps[held_since(alike <= _OTHERWISE)])
    gap = layer.summary("training_gap")[-1]
    first = next(each for each in evidence.layers if each is layer or each.summary("training_cka")[-1] < _SAME)
    told = [
        f"{when(evidence, step)} {name_of(layer)}, the last logged layer, is another one in evaluation mode than in training mode: a CKA of "
        f"{alike[-1]:.2f}, where 1 is the same"
    ]
    worse = gap <= 0  # what dropout does: training mode is the one that tells less
    if gap > 0:
        told.append(f"In training mode its best channel tells the object better by {gap:.2f}")
    if worse:
        told.append(
            f"In evaluation mode its best channel tells the object as well or better, by {abs(gap):.2f}, as behind dropout"
        )
    if first is not layer:
        told.append(f"{name_of(first)} is the first that differs ({first.summary('training_cka')[-1]:.2f})")
    yield Finding(
        "train_eval_gap",
        "note" if worse else "warning",
        sentences(
            told,
            f"Over {samples(evidence.images)}, which in training mode are normalised by their own statistics. It does not show which of the two "
            "is right",
        ),
        layer.facts.name,
        None,
        step,
        {"cka": rounded(alike[-1]), "gap": rounded(gap), "first_layer": first.facts.name},
        "Larger batches, or GroupNormalization where they must be small; a lower `momentum` of BatchNormalization, or more steps before "
        "validation; less dropout.",
        to_layer(layer, int(evidence.steps[-1])),
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
        step = int(evidence.steps[held_since(rank <= _NARROW * channels)])
        yield Finding(
            "narrow_use",
            "note",
            sentences(
                [
                    f"{when(evidence, step)} {name_of(layer)} uses {rank[-1]:.1f} directions of {channels} logged channels; {rank[0]:.1f} at step "
                    f"{evidence.steps[0]}"
                ],
                f"Effective rank on {samples(evidence.images)}: more samples of more kinds may need more. It does not show that fewer channels would do as well",
            ),
            layer.facts.name,
            None,
            step,
            {"rank": rounded(rank[-1]), "rank_at_first": rounded(rank[0]), "channels": channels},
            "Fewer channels there, if speed matters; less weight decay or a lower learning rate, if it happened at once.",
            to_layer(layer, step),
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
            since = int(evidence.steps[held_since(twins >= max(2, _TWINS * channels))])
            seen = f"{when(evidence, since)} {some_of(int(twins[-1]), channels)} of {name_of(layer)} have the very numbers of another one"
            yield _alike(layer, "warning", since, seen, {"same": int(twins[-1]), "channels": channels}, evidence)
        elif live >= 8 and alike[-1] >= _ALIKE and alike[0] <= _NOT_ALIKE:
            seen = (
                f"{per_cent(alike[-1])} of the channels of {name_of(layer)} show what another one shows (|r| > 0.95), and {per_cent(alike[0])} did at "
                f"step {evidence.steps[0]}"
            )
            numbers = {"alike": rounded(alike[-1]), "at_first": rounded(alike[0]), "channels": channels}
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
        sentences(
            [seen],
            f"Over all cells of {samples(evidence.images)}: other samples may tell them apart. It does not show whether fewer channels would do as well",
        ),
        layer.facts.name,
        None,
        step,
        numbers,
        "An initialisation by chance (filters that begin alike and are used alike stay so); fewer channels, if scores are good all the same.",
        to_layer(layer, step),
    )


def _row(layers: Sequence[LayerSeen]) -> str:
    if len(layers) == 1:
        return name_of(layers[0])
    return f"{len(layers)} layers from {name_of(layers[0])} to {name_of(layers[-1])}"


def _rows(those: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """The rows of neighbours among what holds, each as start and end."""
    start = None
    for at, holds in enumerate([*those, False]):
        if holds and start is None:
            start = at
        elif not holds and start is not None:
            yield start, at
            start = None


def _peak(magnitude: np.ndarray) -> float:
    known = magnitude[np.isfinite(magnitude)]
    return float(known.max()) if len(known) else 0.0


def _blank_share(layer: LayerSeen) -> np.ndarray:
    return np.asarray(layer.blank.mean(axis=1))


def _behind(layer: LayerSeen) -> str:
    return " behind the ReLU that follows it" if layer.rectified else ""


def _frozen(layer: LayerSeen) -> bool:
    return layer.facts.trainable is False


def _has_no_weights(layer: LayerSeen) -> bool:
    """Whether it only hands on what others make, such as a pooling: whether it changes says nothing of itself."""
    return layer.facts.trainable is None and layer.facts.kernel is None


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
