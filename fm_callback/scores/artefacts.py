"""What a layer's maps show of how they were made, and not of the picture: periods, borders, disorder, channels that are alike.

All from a sample of the maps: at most `LINES` lines along each axis, drawn once by a fixed seed, of at most 64 channels. A measure of
a layer is that of its median channel, of those that vary.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fm_callback.scores.activations import SAMPLED_CHANNELS, Activations, picked

#: Of so many lines along each axis, of all images together.
LINES = 48
#: A pair of channels is alike from this correlation on.
ALIKE = 0.95
#: On shorter lines nothing can be said of what repeats.
_SHORTEST = 8


@dataclass(frozen=True)
class Lines:
    """Lines of cells of a layer's maps, along each of their axes.

    Attributes:
        maps: uint8 (N, channels, *sizes).
    """

    maps: np.ndarray

    @cached_property
    def along(self) -> tuple[np.ndarray, ...]:
        """For each axis that is long enough float32 (channels, lines, cells), of mean 0 and deviation 1; NaN where nothing varies."""
        return tuple(self._along())

    def _along(self) -> Iterator[np.ndarray]:
        maps = self.maps[:, :SAMPLED_CHANNELS]
        for axis in range(2, maps.ndim):
            if maps.shape[axis] < _SHORTEST:
                continue
            lines = np.moveaxis(maps, (1, axis), (0, -1))
            others = lines.shape[1:-1]
            those = picked(math.prod(others), LINES)
            at: tuple[Any, ...] = np.unravel_index(those, others)
            values = lines[:, *at].astype(np.float32)
            values -= values.mean(axis=(1, 2), keepdims=True)
            deviation = np.sqrt(np.einsum("cln,cln->c", values, values) / math.prod(values.shape[1:]))[:, None, None]
            yield np.divide(values, deviation, out=np.full_like(values, np.nan), where=deviation > 0)

    def bump(self, period: int) -> float:
        """By how much cells a period apart are more alike than those one nearer and one farther, in the median channel."""
        long = [values for values in self.along if values.shape[-1] >= 2 * (period + 1)]
        if period < 2 or not long:
            return math.nan
        bumps = [
            correlation(each, period) - (correlation(each, period - 1) + correlation(each, period + 1)) / 2
            for each in long
        ]
        return median(np.mean(bumps, axis=0))

    @cached_property
    def coherence(self) -> float:
        """How alike cells next to each other are, in the median channel."""
        return median(np.mean([correlation(each, 1) for each in self.along], axis=0)) if self.along else math.nan


def correlation(lines: np.ndarray, lag: int) -> np.ndarray:
    """How alike cells so far apart are, (channels,), of normed lines."""
    one, other = lines[..., :-lag], lines[..., lag:]
    return np.asarray(np.einsum("cln,cln->c", one, other) / math.prod(one.shape[1:]))


def ring(maps: np.ndarray) -> float:
    """How much of the variance of the two outermost rings of cells together tells the outer from the inner, in the median channel."""
    sizes = maps.shape[2:]
    if not sizes or min(sizes) < _SHORTEST:
        return math.nan
    rings = [_ring(maps[:, :SAMPLED_CHANNELS], depth) for depth in (0, 1)]
    counts = [each.shape[1] for each in rings]
    both = np.concatenate(rings, axis=1)
    variance = both.var(axis=1)
    apart = rings[0].mean(axis=1) - rings[1].mean(axis=1)
    between = counts[0] * counts[1] / sum(counts) ** 2 * apart**2
    return median(np.divide(between, variance, out=np.full(len(variance), np.nan), where=variance > 0))


def _ring(maps: np.ndarray, depth: int) -> np.ndarray:
    """The cells at this depth from the border, float32 (channels, cells)."""
    inside: tuple[Any, ...] = tuple(slice(depth, size - depth) for size in maps.shape[2:])
    inner = maps[:, :, *inside]
    sides = [np.take(inner, at, axis=axis) for axis in range(2, inner.ndim) for at in (0, -1)]
    flat = [np.moveaxis(side, 1, 0).reshape(side.shape[1], -1) for side in sides]
    return np.concatenate(flat, axis=1).astype(np.float32)


def alike(now: Activations) -> float:
    """The share of the channels that vary to which another is alike, |r| > `ALIKE`; NaN where fewer than two vary."""
    power = np.sqrt(np.maximum(np.diag(now.gram), 0.0))
    live = power > 1e-9 * power.max(initial=0.0)
    if np.count_nonzero(live) < 2:
        return math.nan
    correlation = now.gram[np.ix_(live, live)] / np.outer(power[live], power[live])
    np.fill_diagonal(correlation, 0.0)
    return float(np.mean(np.abs(correlation).max(axis=1) > ALIKE))


def median(values: np.ndarray) -> float:
    """Of those that are known; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else math.nan
