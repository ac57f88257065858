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
    """How much of the variance of two rows of cells tells the outermost from the one inside it: in the median channel.

    The mean over all sides of the maps, each for itself: what the padding does to one may be the opposite of what it does to another.
    """
    maps = maps[:, :SAMPLED_CHANNELS]
    shares = []
    for axis in range(2, maps.ndim):
        if maps.shape[axis] >= _SHORTEST:
            shares += [_told_apart(*(np.take(maps, at, axis=axis) for at in pair)) for pair in ((0, 1), (-1, -2))]
    return median(np.mean(shares, axis=0)) if shares else math.nan


def _told_apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The share of the variance of both together that tells one from the other, (channels,), of equally many cells."""
    rows = [np.moveaxis(each, 1, 0).reshape(each.shape[1], -1).astype(np.float32) for each in (one, other)]
    within = (rows[0].var(axis=1) + rows[1].var(axis=1)) / 2
    between = ((rows[0].mean(axis=1) - rows[1].mean(axis=1)) / 2) ** 2
    return np.divide(between, between + within, out=np.full(len(within), np.nan), where=between + within > 0)


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
