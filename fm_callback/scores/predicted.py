"""Predicted labels against true ones."""

import numpy as np

from fm_callback.format import NO_LABEL, SCORES


def label_scores(
    predicted: np.ndarray, known: np.ndarray, masks: np.ndarray | None = None, truth: np.ndarray | None = None
) -> np.ndarray:
    """How well each label is predicted in each image.

    - **IoU**: the pixels where a label is predicted and true, of those where it is either. From 0 to 1; NaN where there
      are none of the latter.
    - **Share**: the part of the pixels for which it is predicted, and **true share**: the part where it is true.

    A prediction of another size than the truth is brought to it by the nearest cell: pixel i of n takes the one of the
    m cells in which its centre lies, floor((2 i + 1) m / 2 n). Pixels that are to be ignored count nowhere. Where the
    output was not a number, nothing is predicted.

    Args:
        predicted: uint8 (N, *axes), the position of each cell's label, or `NO_LABEL`.
        known: Bool (labels,), of which labels it is known where they are true; of the others `iou` and `true_share` are
            NaN.
        masks: uint8 (N, *axes) with axes of any size, labels of the masks; None without masks.
        truth: int (labels of the masks,), the position of each as a predicted label; negative for one to be ignored.

    Returns:
        float32 (N, labels, 3), in the order of `SCORES`.
    """
    labels = len(known)
    scores = np.full((len(predicted), labels, len(SCORES)), np.nan, np.float32)
    for at, cells in enumerate(predicted):
        pixels = np.where(cells == NO_LABEL, labels, cells.astype(np.int16))
        if masks is None or truth is None:
            shares = np.bincount(pixels.ravel(), minlength=labels + 1)[:labels] / pixels.size
            scores[at, :, SCORES.index("share")] = shares
            continue
        true, told = truth[masks[at]].ravel(), _resized(pixels, masks.shape[1:]).ravel()
        counts = true >= 0
        pairs = true[counts].astype(np.intp) * (labels + 1) + told[counts]
        table = np.bincount(pairs, minlength=labels * (labels + 1)).reshape(labels, labels + 1)
        both, told, true = np.diagonal(table), table.sum(axis=0)[:labels], table.sum(axis=1)
        with np.errstate(invalid="ignore"):
            found = {"iou": both / (told + true - both), "share": told / len(pairs), "true_share": true / len(pairs)}
        found |= {name: np.where(known, found[name], np.nan) for name in ("iou", "true_share")}
        scores[at] = np.stack([found[name] for name in SCORES], axis=1)
    return scores


def _resized(cells: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Cells at another size, each pixel of it taking the nearest."""
    for axis, size in enumerate(sizes):
        if size != cells.shape[axis]:
            cells = cells.take((2 * np.arange(size) + 1) * cells.shape[axis] // (2 * size), axis=axis)
    return cells
