"""What a layer as a whole knows of the object: a linear readout of its channels, tested on images that it has not seen.

A network need not show the object in a channel of its own to know where it is. So a linear readout is fitted on the cells
of some images, and scored on those of the others. It too can score by where objects usually are: the same readout of the
masks of OTHER images is the control, and what is above it is knowledge of the pictures.
"""

import math
from typing import NamedTuple

import numpy as np

from fm_callback.scores.activations import picked
from fm_callback.scores.concepts import Cells

#: It is fitted and tested on this many cells of all images together, if there are more, and on so many logged channels.
READ_CELLS = 8192
READ_CHANNELS = 64
#: Parts into which the images are put; each is tested with what was fitted on all others.
FOLDS = 4
#: Controls, each with the masks of other images than the one before.
CONTROLS = 2
#: What is added to the correlations of channels, of which each is 1 with itself.
RIDGE = 0.01


class Readout(NamedTuple):
    """AUROC of the readout on held-out images, 0 to 1, chance .5; NaN where it can't be fitted or tested."""

    score: float
    control: float


def readout(maps: np.ndarray, cells: Cells) -> Readout:
    """A balanced ridge regression on the standardised channels, folds by image.

    With x the levels of a cell's channels and y = 1 for the object, -1 for the background, of the images outside the fold:
    cells of both weigh 1/2 in all; each channel is brought to mean 0 and deviation 1 under these weights; b minimises
    E (y - x b)^2 + .01 |b|^2. The score of a fold is the AUROC of x b at its own cells; that of the layer the mean over the
    four folds. Image i is in fold i mod 4. Cells that are neither object nor background take no part.

    Args:
        maps: uint8 (N, channels, *sizes).
        cells: The concepts at these sizes.

    Returns:
        The score, and the control: the mean of two, of the masks of the image after each, and of the one after that. Both
        are NaN with fewer than four images, or where no fold has cells of both kinds inside and outside.
    """
    if cells.foreground is None or cells.background is None or len(maps) < FOLDS:
        return Readout(math.nan, math.nan)
    images, channels, *sizes = maps.shape
    those = picked(math.prod(sizes), max(1, READ_CELLS // images))
    values = maps.reshape(images, channels, -1)[:, :READ_CHANNELS, those].swapaxes(1, 2).astype(np.float32)
    values -= values.mean(axis=(0, 1))  # so that float32 holds the sums of squares
    signs = (cells.foreground.astype(np.int8) - cells.background).reshape(images, -1)[:, those]
    score, *controls = (_score(values, np.roll(signs, -shift, axis=0)) for shift in range(CONTROLS + 1))
    return Readout(score, _mean(controls))


def _score(values: np.ndarray, signs: np.ndarray) -> float:
    """The mean AUROC of the folds.

    Args:
        values: float32 (images, cells, channels).
        signs: int8 (images, cells): 1 for the object, -1 for the background, 0 for neither.
    """
    inside, outside = (_moments(values, signs == sign) for sign in (1, -1))
    fold = np.arange(len(values)) % FOLDS
    scores = []
    for held_out in (fold == each for each in range(FOLDS)):
        weights = _fitted(inside[~held_out].sum(axis=0), outside[~held_out].sum(axis=0))
        if weights is not None:
            read, sign = values[held_out] @ weights, signs[held_out]
            scores.append(_auroc(read[sign == 1], read[sign == -1]))
    return _mean(scores)


def _moments(values: np.ndarray, those: np.ndarray) -> np.ndarray:
    """Of each image, the sums over those cells of the products of all pairs of channels, of channels, and of 1; float64."""
    images, cells, channels = values.shape
    rows = min(2**18 // (channels + 1) ** 2, cells)  # of more, BLAS would wake threads of its own, see `activations`
    extended = np.zeros((images, -(-cells // rows) * rows, channels + 1), np.float32)
    extended[:, :cells, :channels], extended[:, :cells, channels] = values * those[..., None], those
    blocks = extended.reshape(images, -1, rows, channels + 1)
    return np.asarray(np.matmul(blocks.swapaxes(2, 3), blocks).sum(axis=1, dtype=np.float64))


def _fitted(inside: np.ndarray, outside: np.ndarray) -> np.ndarray | None:
    """The weights of channels, float32, from the moments of both kinds of cells; None without cells of both."""
    if not (inside[-1, -1] and outside[-1, -1]):
        return None
    one, other = inside / (2 * inside[-1, -1]), outside / (2 * outside[-1, -1])
    mean, products = (one + other)[:-1, -1], (one + other)[:-1, :-1]
    covariance = products - np.outer(mean, mean)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    live = deviation > 1e-6 * 255
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=live)
    correlation = covariance * np.outer(scale, scale)
    target = (one - other)[:-1, -1] * scale
    weights = np.linalg.solve(correlation + RIDGE * np.eye(len(scale)), target) * scale
    return np.asarray(weights, np.float32)


def _auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    if not (len(inside) and len(outside)):
        return math.nan
    outside = np.sort(outside)
    below, up_to = (np.searchsorted(outside, np.sort(inside), side).sum(dtype=np.int64) for side in ("left", "right"))
    return float(below + up_to) / (2 * len(inside) * len(outside))


def _mean(scores: list[float]) -> float:
    known = [score for score in scores if not math.isnan(score)]
    return sum(known) / len(known) if known else math.nan
