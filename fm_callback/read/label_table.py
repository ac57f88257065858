"""Which channel detects which label, since when: from the numbers of a run's steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fm_callback.format import Label, LayerFacts
from fm_callback.read.reader import Reader
from fm_callback.read.snapshot import Snapshot
from fm_callback.read.table import Table
from fm_callback.scores.concepts import excess_of, score_of
from fm_callback.scores.detection import Detection, detect, enough
from fm_callback.scores.layer_scores import excess


class _Layer(Protocol):
    facts: LayerFacts
    position: int


def label_table(
    now: Snapshot, layers: Sequence[_Layer], labels: Sequence[Label], reader: Callable[[Snapshot], Reader]
) -> Table:
    """The columns `label`, `layer`, `channel`, `auroc`, `excess`, `first` and `since`, see `Run.table`.

    Args:
        now: The steps.
        layers: The layers.
        labels: The labels of the masks.
        reader: Opens what reads the steps.
    """
    scores = [score_of(each.name) for each in labels if not each.ignored]
    found: list[tuple[str, _Layer, Detection]] = []
    excesses: dict[tuple[str, _Layer], float] = {}
    with reader(now) as opened:
        for layer in layers:
            detections: dict[str, Detection] = {}
            known: dict[str, Any] = {}
            for at, step in enumerate(now.steps["step"].tolist()):
                numbers = opened.numbers(at, layer.position)
                summaries = opened.numbers(at, layer.position, True)
                if numbers is not None:
                    known = dict(zip(layer.facts.fields, numbers.T, strict=True))
                    detect(detections, step, known, scores)
                    known |= {} if summaries is None else dict(zip(layer.facts.summaries, summaries, strict=True))
            for score, each in detections.items():
                if each.channel is not None:
                    found.append((score, layer, each))
                    excesses[score, layer] = _excess(score, each.channel, known)
    rows = [row for row in found if row[0] != "mask_auroc"]
    if not rows:  # of two labels the one is what the other is not: the object's score is stored alone
        rows, name = found, " or ".join(each.name for each in labels if each.foreground) or "foreground"
    else:
        name = ""
    order = list(dict.fromkeys(score for score, _, _ in rows))
    rows.sort(key=lambda row: order.index(row[0]))
    sure = [enough(layer.facts.cells, layer.facts.images, score) for score, layer, _ in rows]
    steps = [
        (each.first, each.since) if known else (None, None) for (_, _, each), known in zip(rows, sure, strict=True)
    ]
    return Table(
        label=_names([name or score.removesuffix(score_of("")) for score, _, _ in rows]),
        layer=_names([layer.facts.name for _, layer, _ in rows]),
        channel=np.array([layer.facts.channels[each.channel or 0] for _, layer, each in rows], np.int64),
        auroc=np.array([each.auroc for _, _, each in rows], np.float32),
        excess=np.array([excesses[score, layer] for score, layer, _ in rows], np.float32),
        first=np.array([np.nan if first is None else first for first, _ in steps], np.float64),
        since=np.array([np.nan if since is None else since for _, since in steps], np.float64),
    )


def _excess(score: str, channel: int, known: Mapping[str, Any]) -> float:
    """What a channel's score has more than its control, by the scores and summaries of a step."""
    if score == "mask_auroc":
        return float(excess(known[score], known["mask_control"])[channel]) if "mask_control" in known else np.nan
    return float(known.get(excess_of(score.removesuffix(score_of(""))), np.nan))


def _names(names: list[str]) -> np.ndarray:
    array = np.empty(len(names), object)
    array[:] = names
    return array
