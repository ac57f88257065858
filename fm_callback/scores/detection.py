"""Since when a layer detects a label: told of a channel that shows it, bright or dark, clearly and better than any other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fm_callback.scores.concepts import score_of

#: From this separation on a channel detects something.
DETECTED = 0.9

#: By so much at least it must tell a label better than any other label.
MARGIN = 0.05

#: On fewer cells some channel of an untrained network shows anything; and of one image anything is alike.
FEW_CELLS, FEW_IMAGES = 30, 2


@dataclass
class Detection:
    """A layer's way to one label, step by step.

    Attributes:
        first: The first step at which a channel detects it; None if none did.
        since: The step since which, without a gap, one does; None if none does now.
        channel: Position of the channel that tells it best at the last step, the first of equals; None without a score.
        auroc: That channel's AUROC; near 0 it shows the label as its dark side.
        start: The first step with a score, and the separation of its best channel.
    """

    first: int | None = None
    since: int | None = None
    channel: int | None = None
    auroc: float = float("nan")
    start: tuple[int, float] | None = None

    def add(self, step: int, auroc: np.ndarray, rivals: np.ndarray | None = None) -> None:
        """Takes a step in.

        Args:
            step: The step, later than those before.
            auroc: float32 (channels,), NaN where a channel has no score.
            rivals: float32 (labels, channels), those of the other labels; None if there are none.
        """
        known = separation(auroc)
        if np.isnan(known).all():
            self.channel, self.auroc, self.since = None, float("nan"), None
            return
        self.channel = int(np.nanargmax(known))
        self.auroc = float(auroc[self.channel])
        self.start = self.start or (step, float(known[self.channel]))
        if not detects(auroc, rivals).any():
            self.since = None
            return
        self.first = step if self.first is None else self.first
        self.since = step if self.since is None else self.since

    @property
    def separation(self) -> float:
        """That of the channel that tells it best."""
        return max(self.auroc, 1 - self.auroc)

    @property
    def side(self) -> str:
        """Whether this channel shows it "bright" or "dark"; "" without a score."""
        return "" if self.channel is None else "bright" if self.auroc >= 0.5 else "dark"


def separation(auroc: np.ndarray) -> np.ndarray:
    """How well channels tell a concept from the rest, whether they show it bright or dark: max(AUROC, 1 - AUROC)."""
    return np.maximum(auroc, 1 - auroc)


def detects(auroc: np.ndarray, rivals: np.ndarray | None = None) -> np.ndarray:
    """Which channels detect a label: separation of .9 or more, and on its side .05 more than of any other label.

    Args:
        auroc: (channels,), NaN where a channel has no score.
        rivals: (labels, channels), those of the other labels; None if there are none.

    Returns:
        bool (channels,).
    """
    bright, dark = auroc >= DETECTED, 1 - auroc >= DETECTED
    if rivals is not None and len(rivals):
        bright &= ~np.any(auroc - rivals < MARGIN, axis=0)
        dark &= ~np.any(rivals - auroc < MARGIN, axis=0)
    return np.asarray(bright | dark)


def detect(
    detections: dict[str, Detection], step: int, scores: Mapping[str, np.ndarray], labels: Sequence[str]
) -> None:
    """Takes a step of a layer into its detections.

    Args:
        detections: By score; new ones are added.
        step: The step.
        scores: float32 (channels,) for each measure.
        labels: The scores of labels, each of which must be told from the others; other scores of concepts stand alone.
    """
    for score, auroc in scores.items():
        if score == "mask_auroc" or (score.endswith(score_of("")) and score not in ("edge_auroc", "outline_auroc")):
            others = [scores[label] for label in labels if label != score and label in scores]
            rivals = np.array(others) if score in labels and others else None
            detections.setdefault(score, Detection()).add(step, auroc, rivals)


def enough(cells: Mapping[str, int], images: Mapping[str, int], score: str) -> bool:
    """Whether enough stands behind what is said of a label, or of the object.

    Args:
        cells: How many cells belong to each concept, by name; for labels and named concepts, by the score.
        images: In how many images there is one of them.
        score: The score.
    """
    if score == "mask_auroc":  # of one image, too: the table of masks is of it
        return cells.get("foreground", 0) >= FEW_CELLS
    return cells.get(score, 0) >= FEW_CELLS and images.get(score, FEW_IMAGES) >= FEW_IMAGES
