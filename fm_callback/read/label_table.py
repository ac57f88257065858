"""Which channel detects which label, since when: from the numbers of a run's steps."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from fm_callback.format import Label, LayerFacts
from fm_callback.read.reader import Reader
from fm_callback.read.snapshot import Snapshot
from fm_callback.read.table import Table
from fm_callback.scores.concepts import score_of
from fm_callback.scores.detection import Detection, detect, enough


class _Layer(Protocol):
    facts: LayerFacts
    position: int


def label_table(
    now: Snapshot, layers: Sequence[_Layer], labels: Sequence[Label], reader: Callable[[Snapshot], Reader]
) -> Table:
    """The columns `label`, `layer`, `channel`, `auroc`, `first` and `since`, see `Run.table`.

    Args:
        now: The steps.
        layers: The layers.
        labels: The labels of the masks.
        reader: Opens what reads the steps.
    """
    scores = [score_of(each.name) for each in labels if not each.ignored]
    found: list[tuple[str, _Layer, Detection]] = []
    with reader(now) as opened:
        for layer in layers:
            detections: dict[str, Detection] = {}
            for at, step in enumerate(now.steps["step"].tolist()):
                numbers = opened.numbers(at, layer.position)
                if numbers is not None:
                    detect(detections, step, dict(zip(layer.facts.fields, numbers.T, strict=True)), scores)
            found += [(score, layer, each) for score, each in detections.items() if each.channel is not None]
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
        first=np.array([np.nan if first is None else first for first, _ in steps], np.float64),
        since=np.array([np.nan if since is None else since for _, since in steps], np.float64),
    )


def _names(names: list[str]) -> np.ndarray:
    array = np.empty(len(names), object)
    array[:] = names
    return array
