"""The activations of a layer at a sample of its cells, kept of a step to compare later ones with."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from fm_callback.format import NUMBERS

#: Layer measures take this many cells of all images together, if there are more, and this many of the logged channels.
#: Their cost grows with the square of the channels, and for the eigenvalues of more, numpy's BLAS wakes threads of its
#: own: they go on turning for a tenth of a second, on cores that the training needs.
SAMPLED_CELLS = 4096
SAMPLED_CHANNELS = 64

_LOW, _HIGH = map(NUMBERS.index, ("low", "high"))


@dataclass(frozen=True)
class Activations:
    """A sample of one step.

    Attributes:
        levels: uint8 (cells, channels). At most `SAMPLED_CELLS`: the same ones of each image and step, drawn once
            without order. At most `SAMPLED_CHANNELS`: the first.
        span: float64 (channels,): high - low, the value of 255 levels; 0 where the channel has no finite value.
    """

    levels: np.ndarray
    span: np.ndarray

    @classmethod
    def of(cls, maps: np.ndarray, numbers: np.ndarray) -> "Activations":
        """The sample of one layer's maps and numbers, as `measures.measure` takes them."""
        maps, numbers = maps[:, :SAMPLED_CHANNELS], numbers[:SAMPLED_CHANNELS]
        images, channels, *sizes = maps.shape
        those = picked(math.prod(sizes), max(1, SAMPLED_CELLS // images))
        levels = maps.reshape(images, channels, -1)[:, :, those]
        span = numbers[:, _HIGH].astype(np.float64) - numbers[:, _LOW]
        return cls(levels.swapaxes(1, 2).reshape(-1, channels), np.where(np.isfinite(span), span, 0.0))

    @cached_property
    def scale(self) -> np.ndarray:
        """The value of one level of each channel, (channels,), but for one factor common to all.

        0 for a channel of one value.
        """
        largest = self.span.max(initial=0.0)
        return self.span / largest if largest > 0 else self.span

    @cached_property
    def total(self) -> np.ndarray:
        """The sum of each channel's levels, int64 (channels,)."""
        return self.levels.sum(axis=0, dtype=np.int64)

    @cached_property
    def gram(self) -> np.ndarray:
        """X'X of the centred values X, (channels, channels)."""
        return self.times(self)

    @cached_property
    def norm(self) -> float:
        """The squared Frobenius norm of `gram`, without BLAS, which would wake its threads for a sum so long."""
        return float(np.sum(self.gram**2))

    def times(self, other: "Activations") -> np.ndarray:
        """X'Y of the centred values X and Y, (channels, channels of the other), but for the two factors of `scale`.

        Centred after the product: levels are whole numbers, so that nothing is lost.
        """
        product = _product(self.levels, other.levels) - np.outer(self.total, other.total) / len(self.levels)
        return product * np.outer(self.scale, other.scale)


def cka(one: Activations, other: Activations) -> float:
    """How alike a layer is at two steps: linear CKA, |X'Y|^2 / (|X'X| |Y'Y|) with Frobenius norms and X, Y centred.

    0 to 1; 1 if one is the other rotated and scaled as a whole; NaN if nothing varies in one of them. There is no fixed
    chance level: unrelated maps approach 0 only where cells are many more than channels, with few cells they do not.
    Both must be the same cells; dead and flat channels count not at all, and cells that are not finite as the channel's
    low. 8 bits: within .005 of the values' own, on 1,200 cells of 32 channels.

    Source: Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019.
    """
    norms = math.sqrt(one.norm * other.norm)
    return float(np.sum(one.times(other) ** 2)) / norms if norms else math.nan


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One'other of two arrays of levels, exact, in float64.

    In blocks of rows: so few that float32 holds their whole sums, and so small that BLAS stays on this thread. Its own
    threads would wait for cores that the training keeps busy: 12 ms for a product that takes .2.
    """
    one, other = one.astype(np.float32), other.astype(np.float32)
    rows = min(2**18 // (one.shape[1] * other.shape[1]), 2**24 // 255**2)  # 255: the highest level
    whole = len(one) // rows * rows
    blocks = [each[:whole].reshape(-1, rows, each.shape[1]) for each in (one, other)]
    product = np.matmul(blocks[0].swapaxes(1, 2), blocks[1]).sum(axis=0, dtype=np.float64)
    return product + one[whole:].T @ other[whole:]


@lru_cache(maxsize=64)
def picked(cells: int, count: int) -> np.ndarray:
    """Which cells of a map are sampled: all, or `count` by a fixed seed; an even stride would sample few columns."""
    return np.arange(cells) if cells <= count else np.sort(np.random.default_rng(0).choice(cells, count, replace=False))
