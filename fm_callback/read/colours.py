"""A layer's channels as one picture in colours, as the page paints it (`page/draw/components.js`).

The first three principal components of a layer's standardised channels are red, green and blue (Abdi & Williams 2010):
what the layer treats alike has one colour. They are those of one step, over all stored images, and are used for all.
"""

import math
from dataclasses import dataclass

import numpy as np

#: Cells that a basis is reckoned of.
_MOST = 4096
#: Percentiles of the cells that are dark, and bright.
_ENDS = 2, 98
_NOTHING = 1e-6  # variance below which a component is rounding: channels are copies of others


@dataclass(frozen=True, eq=False)
class Basis:
    """How a cell's values become a colour.

    Attributes:
        few: Whether there are three channels or fewer, which are shown as they are.
        centre: float64 (channels,), what is taken from each channel's values.
        spread: float64 (channels,), by what they are divided; 0 where a channel has no part in it.
        axes: float64 (3, channels), what a channel's standardised value counts for red, green and blue.
        ends: float64 (3, 2), which value of each is dark, and which bright.
        share: Of the variance of all standardised channels, what the three have; 0 to 1.
    """

    few: bool
    centre: np.ndarray
    spread: np.ndarray
    axes: np.ndarray
    ends: np.ndarray
    share: float


def basis_of(pixels: np.ndarray, low: np.ndarray, high: np.ndarray) -> Basis | None:
    """The basis of a layer at a step.

    Values are `low + pixel / 255 * (high - low)`; each channel is standardised by its mean and standard deviation over
    at most 4,096 cells, evenly apart. Of each component the channel that counts most counts positively.

    Args:
        pixels: uint8 (images, height, width, channels), as `Layer.pixels` gives them.
        low: Of each channel its lowest value at the step, (channels,).
        high: And its highest.

    Returns:
        None where no channel has any contrast.

    >>> rng = np.random.default_rng(0)
    >>> basis = basis_of(rng.integers(0, 256, (2, 8, 8, 5), np.uint8), np.zeros(5), np.ones(5))
    >>> basis.axes.shape, basis.few
    ((3, 5), False)
    """
    low, high = low.astype(np.float64), high.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        usable = np.isfinite(high - low) & (high > low)
    count = len(low)
    if not usable.any():
        return None
    if count <= 3:
        ends = float(low[usable].min()), float(high[usable].max())
        axes = np.eye(count)[[0, min(1, count - 1), count - 1]]
        return Basis(True, np.zeros(count), usable.astype(float), axes, np.array([ends] * 3), 1.0)
    cells = pixels.reshape(-1, count)
    samples = cells[:: _apart(len(cells), pixels.shape[2])].astype(np.float64)
    centre = np.where(usable, samples.mean(0), 0)
    spread = np.where(usable, samples.std(0), 0)
    live = np.flatnonzero(spread)
    if not len(live):
        return None
    standard = np.zeros_like(samples)
    standard[:, live] = (samples[:, live] - centre[live]) / spread[live]
    values, vectors = np.linalg.eigh(standard[:, live].T @ standard[:, live] / len(standard))
    axes = np.zeros((3, count))
    for axis, value, vector in zip(axes, values[::-1], vectors.T[::-1], strict=False):
        if value >= _NOTHING:
            axis[live] = vector if _greatest(vector) >= 0 else -vector
    unit = np.where(usable, np.where(usable, high - low, 0) / 255, 0)
    return Basis(
        False,
        np.where(usable, np.where(usable, low, 0) + centre * unit, 0),
        spread * unit,
        axes,
        np.array([_ends_of(standard @ axis) or (-1.0, 1.0) for axis in axes]),
        float(values[-3:].sum() / len(live)),
    )


def paint(pixels: np.ndarray, low: np.ndarray, high: np.ndarray, basis: Basis, own: bool = True) -> np.ndarray:
    """One image's maps, at any step, in the colours of a basis.

    Args:
        pixels: uint8 (height, width, channels).
        low: Of each channel its lowest value at that step, (channels,).
        high: And its highest.
        basis: Of the layer.
        own: Whether each component goes from the 2nd to the 98th percentile of this picture, and not of the step that
            the basis is of, as it does where it has no contrast in this picture: a map of one cell has a colour, too;
            three channels or fewer are as they are.

    Returns:
        uint8 (height, width, 3). What is not finite counts as the channel's mean.
    """
    low, high = low.astype(np.float64), high.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        taken = (basis.spread > 0) & np.isfinite(high - low)
    weights = basis.axes[:, taken] / basis.spread[taken]
    along = pixels[..., taken] @ (weights * (high - low)[taken] / 255).T
    along += weights @ (low - basis.centre)[taken]
    ends = basis.ends
    if own and not basis.few:
        cells = along.reshape(-1, 3)[:: _apart(along.shape[0] * along.shape[1], along.shape[1])]
        ends = np.array([_ends_of(each) or ends[part] for part, each in enumerate(cells.T)])
    return np.clip(np.rint((along - ends[:, 0]) * (255 / (ends[:, 1] - ends[:, 0]))), 0, 255).astype(np.uint8)


def _apart(cells: int, width: int) -> int:
    """How far apart cells are taken: no divisor of the width, or all would lie in few columns."""
    apart = max(1, math.ceil(cells / _MOST))
    while apart > 1 and math.gcd(apart, width) > 1:
        apart += 1
    return apart


def _greatest(vector: np.ndarray) -> float:
    """The element that is greatest, whatever its sign; of such as are equal but for rounding the first."""
    best = 0.0
    for value in vector.tolist():
        if abs(value) > abs(best) + 1e-6:
            best = value
    return best


def _ends_of(along: np.ndarray) -> tuple[float, float] | None:
    """None where there is no contrast."""
    low, high = np.percentile(along, _ENDS)
    return (float(low), float(high)) if high > low else None
