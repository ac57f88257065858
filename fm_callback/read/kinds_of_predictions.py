"""Kinds of findings about what the model predicts, and what it knows of the object."""

from collections.abc import Iterator

import numpy as np

from fm_callback.read.evidence import Evidence, LayerSeen
from fm_callback.read.finding import Finding, held_since, name_of, per_cent, rounded, samples, sentences, to_layer, when
from fm_callback.scores.detection import FEW_CELLS

#: One label for so large a share of the cells is all that is predicted; and what the masks may have of it.
_ALL, _TRUE_ALL = 0.98, 0.95
#: For fewer steps than these on end a network may be on its way still: many begin with what is most frequent.
_EARLY = 5
#: A label of which less than this share of its own cells is predicted is not predicted.
_NONE = 0.02
_ON_ITS_WAY = "After so few updates that is common: many networks begin with what is most frequent"
#: From this IoU on a label was predicted; from this part of it on it is lost.
_HAD, _LOST = 0.2, 0.3
#: The readout that is more than chance, and what it has less than the control at most, where position explains it.
_KNOWS, _EXCESS = 0.6, 0.03
#: A fall of the mean IoU: so much, and this part of the best; in so many of the images.
_FELL, _FELL_PART, _FELL_IN = 0.05, 0.15, 0.75


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
        since = held_since(one)
        name, numbers = facts.labels[top].name, {"share": rounded(share[-1, top]), "true_share": rounded(true[top])}
        seen = (
            f"{per_cent(share[-1, top])} of all cells are predicted as {name!r}; in the masks {per_cent(true[top])} are"
        )
    else:
        if facts.kind != "class" or evidence.images < 8:
            return
        classes = scores[..., 0]
        one = (classes == classes[:, :1]).all(axis=1) & (classes[:, 0] >= 0) & (classes[:, 0] == classes[-1, 0])
        if not one[-2:].all() or (one[0] and not one.all()):
            return
        since = held_since(one)
        top = int(classes[-1, 0])
        name = facts.labels[top].name if top < len(facts.labels) else str(top)
        numbers = {"share": 1.0, "true_share": None}
        seen = f"all {evidence.images} samples are predicted as {name!r}"
    step = int(evidence.steps[since])
    early = bool(evidence.labels) and _is_early(evidence, len(one) - since) and not _had_learned(evidence, since, top)
    unknown = (
        ""
        if evidence.labels
        else " or the true classes, which the log does not have: if all samples are of one, this is right"
    )
    yield Finding(
        "prediction_collapsed",
        "alarm" if evidence.labels and not early else "note",
        sentences(
            [f"{when(evidence, step)} {seen}", *[_ON_ITS_WAY] * early],
            f"Over {samples(evidence.images)}, at {len(one) - since} logged steps on end. It does not show other data{unknown}",
        ),
        None,
        None,
        step,
        numbers | {"images": evidence.images, "steps": len(one) - since},
        "Whether masks and pictures are paired, scaled and numbered as the loss expects; class weights, Dice or focal loss where one class is "
        "nearly all; a lower learning rate; whether a single batch can be learned by heart.",
        {"view": "prediction", "step": step},
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
        best = 1 + int(np.argmax(known[1:]))  # what the untrained network happens to fill was not learned
        if best >= len(known) - 2 or known[best] < _HAD or known[-2:].max() > _LOST * known[best]:
            continue
        since = held_since(known <= _LOST * known[best])
        step = int(evidence.steps[since])
        yield Finding(
            "class_lost",
            "warning",
            sentences(
                [
                    f"{when(evidence, step)} {label!r} is hardly predicted any more: IoU {known[-1]:.2f}, after {known[best]:.2f} at step "
                    f"{evidence.steps[best]}"
                ],
                f"Mean over {samples(evidence.images)}, at {len(known) - since} logged steps on end. It does not show data beyond them",
            ),
            None,
            None,
            step,
            {"iou": rounded(known[-1]), "best_iou": rounded(known[best]), "best_step": int(evidence.steps[best])},
            "A lower learning rate, or one that decays; the weights of that step (`ModelCheckpoint`, `EarlyStopping` with "
            "`restore_best_weights`); the label's weight in the loss.",
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
        since = held_since(np.nan_to_num(share[:, at], nan=1.0) <= _NONE * true[at])
        if len(share) - since < max(2, len(share) // 2) or np.nanmax(iou[1:, at], initial=0.0) >= _HAD:
            continue
        images = int(np.sum(evidence.score("true_share")[-1, :, at] > 0))
        early = _is_early(evidence, len(share))  # half of the training it is at least
        step = int(evidence.steps[since])
        how = "hardly" if np.nanmax(share[since:, at], initial=0.0) > 0 else "not"
        true_share = per_cent(true[at])
        seen = f"{when(evidence, step)} {label!r} is {how} predicted; in the masks it has {true_share} of the cells"
        numbers = {"share": rounded(share[-1, at]), "true_share": rounded(true[at]), "images": images}
        told, best = [seen, *[_ON_ITS_WAY] * early], _best_layer(evidence, label)
        if best is not None:
            layer, values = best
            numbers |= {"separation": rounded(values[-1]), "separation_at_first": rounded(values[0])}
            missing = (
                "another label outweighs it there"
                if layer is evidence.layers[-1]
                else "what is missing stands behind that layer"
            )
            told.append(
                f"Yet {name_of(layer)} tells it from all else (separation {values[-1]:.2f}; {values[0]:.2f} at step {evidence.steps[0]}): {missing}"
            )
        yield Finding(
            "class_never_predicted",
            "note" if early else "warning",
            sentences(told, f"It is in {images} of {samples(evidence.images)}. It does not show data beyond them"),
            best[0].facts.name if best else None,
            None,
            step,
            numbers,
            "Its weight in the loss (`class_weight`, Dice or focal loss); whether its value in the masks is the one that the loss expects; "
            "batches that have it more often; more epochs, where it is rare.",
            {"view": "prediction", "step": int(evidence.steps[-1])},
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
        sentences(
            [
                f"The prediction of the probe was best about step {step} (mean IoU {three[best]:.2f}) and is at {now:.2f} now"
            ],
            f"Medians of three steps, over {samples(evidence.images)}, of which {per_cent(lower)} are worse. It does not show other data: compare with "
            "the validation's own curve",
        ),
        None,
        None,
        step,
        {"best": rounded(three[best]), "now": rounded(now), "images_worse": rounded(lower), "images": evidence.images},
        "A lower learning rate, or one that decays; the weights of that step (`ModelCheckpoint`, `EarlyStopping` with `restore_best_weights`); "
        "augmentation or weight decay, if the training's own score still rises.",
        {"view": "prediction", "step": step},
    )


def position_only(evidence: Evidence) -> Iterator[Finding]:
    """What the last layer tells of the object it tells as well of other images' objects: it is where objects usually are."""
    evidence = evidence.sound
    layers = [each for each in evidence.layers if "readout_control" in each.facts.summaries]
    if not layers or len(evidence.steps) < 4 or evidence.images < 4:
        return
    layer = layers[-1]  # those before have some of the picture's own contrast, trained or not
    readout, control = layer.summary("readout"), layer.summary("readout_control")
    if np.isnan(readout[[0, -3, -2, -1]]).any() or np.isnan(control[-3:]).any():
        return
    top, position, begin = float(np.median(readout[-3:])), float(np.median(control[-3:])), float(readout[0])
    if top < max(_KNOWS, begin + 0.03) or np.median(readout[-3:] - control[-3:]) > _EXCESS:
        return
    last = int(evidence.steps[-1])
    yield Finding(
        "position_only",
        "warning",
        sentences(
            [
                f"{name_of(layer)} tells the object by {top:.2f} of 1 (chance .5), and by {position:.2f} on the masks of OTHER images: "
                "it knows where objects usually are, and not this picture"
            ],
            f"A linear readout over {samples(evidence.images)}, the median of three steps, judged on such as it was not fitted on. Where the objects of all samples lie in the same place, it does not "
            "show anything: then take samples that differ",
        ),
        layer.facts.name,
        None,
        last,
        {
            "readout": rounded(top),
            "control": rounded(position),
            "readout_at_first": rounded(begin),
            "images": evidence.images,
        },
        "Whether pictures and masks are paired (shuffled apart, resized or augmented differently?): look at a few side by side; more epochs; "
        "augmentation by shifts and flips of both together.",
        to_layer(layer, last),
    )


def _is_early(evidence: Evidence, steps: int) -> bool:
    """Whether a network that has predicted nothing else for so many steps may be on its way still."""
    return steps < _EARLY or evidence.learns_by_batches


def _had_learned(evidence: Evidence, before: int, but: int) -> bool:
    """Whether a label was predicted at a step before, other than this one, and not by the untrained network."""
    iou = np.nan_to_num(_mean(evidence.score("iou"))[1:before])
    return any(at != but and (iou[:, at] >= _HAD).any() for at, _ in _judged(evidence, _shares(evidence)[1]))


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
