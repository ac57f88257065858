"""Between which levels a map is shown: two bright eyes must not leave the rest of it gray."""

import math

import numpy as np

#: A map is shown between these percentiles of its cells; what lies outside is black or white.
PERCENTILES = 1.0, 99.0

_LEVELS = 256


def contrast(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The levels that are black and white, of each map for itself.

    The percentiles are those of `numpy.percentile(map, PERCENTILES)`, of the stored bytes and by its definition "linear": between the
    two cells around it. Where both are the same though the map is not flat, as where nearly all of it is zero, the lowest and the
    highest level take their place.

    Args:
        maps: uint8 (channels, *sizes).

    Returns:
        Black and white, float64 (channels,); the same for a map of one level, else the first is below the second.
    """
    counts = _counted(maps.reshape(len(maps), -1))
    black, white = (_percentile(counts, share) for share in PERCENTILES)
    there = counts > 0
    lowest, highest = there.argmax(axis=1), _LEVELS - 1 - there[:, ::-1].argmax(axis=1)
    same = black == white
    return np.where(same, lowest, black), np.where(same, highest, white)


def _counted(cells: np.ndarray) -> np.ndarray:
    """How many cells of each row have each level, int64 (rows, levels)."""
    bins = len(cells) * _LEVELS
    index = cells + (np.arange(len(cells)) * _LEVELS).astype(np.min_scalar_type(bins - 1))[:, None]
    return np.bincount(index.ravel(), minlength=bins).reshape(-1, _LEVELS)


def _percentile(counts: np.ndarray, percentile: float) -> np.ndarray:
    """That of the levels of which there are so many, float64 (rows,)."""
    up_to = np.cumsum(counts, axis=1)
    rank = (int(up_to[0, -1]) - 1) * percentile / 100
    low, high = (np.sum(up_to <= each, axis=1) for each in (math.floor(rank), math.ceil(rank)))
    return np.asarray(low + (high - low) * (rank - math.floor(rank)))
