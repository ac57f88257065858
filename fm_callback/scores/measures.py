"""Maps and concepts to scores: what each channel of a layer shows, and what the layer as a whole does.

Computed from what is stored anyway, 8-bit maps and seven numbers a channel, behind the training thread. Needs numpy, and no Keras.

**What 8 bits do.** A map is stored against its channel's low and high: the levels 0 to 255 keep the order of the values, but values
within 1/255 of the range become ties. With P_fg(v) and P_bg(v) the shares of foreground and background cells at level v:

- AUROC of A: only pairs at the same level are in doubt, and each counts 1/2 instead of 0, 1/2 or 1. So
  |error| <= 1/2 sum_v P_fg(v) P_bg(v). That is .002 for values spread evenly and .005 for a normal distribution whose extremes lie
  at 4.5 standard deviations. The error itself is smaller, as order within a level hardly depends on the concept.
- AUROC of |A - median|: a level is off by at most 1/2, and so is the median's. On one side of the median order is kept; two cells on
  opposite sides (the median's own level is on both) are in doubt if their distances differ by at most 2 levels. So
  |error| <= 1/2 P(same level) + P(opposite sides, distances within 2 levels), for a cell of the concept and another.
- IoU: the cells above the stored quantile are above the true one too; missing are at most those at its level. So
  |error| <= (|L| - |M|) / |M or L|, in cells, with M and L as in `measure`.

Measured on random maps of 1,600 to 102,400 cells (normal, uniform, rectified, bimodal): mask AUROC .001, IoU .007, edge AUROC .004, but
.03 where the median lies just above a mass of zeros. One huge outlier leaves all other cells on few levels, and little can be said:
on Cauchy values the error reaches .4. A range `high - low` of more than some 50 `std` tells of that.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache

import numpy as np

from fm_callback.format import NUMBERS
from fm_callback.scores.concepts import Cells

LEVELS = 256

#: Up to this part of the layer's largest magnitude, a channel's magnitude or deviation is as good as zero.
EPSILON = 1e-9

#: A channel is dormant up to this part of the layer's mean magnitude.
TAU = 0.025

#: Layer measures take this many cells of all images together, if there are more, and this many of the logged channels. Their cost
#: grows with the square of the channels, and for the eigenvalues of more, numpy's BLAS wakes threads of its own: they go on turning
#: for a tenth of a second, on cores that the training needs.
SAMPLED_CELLS = 4096
SAMPLED_CHANNELS = 64

_LOW, _HIGH, _MEAN_ABS, _STD, _NONFINITE = map(NUMBERS.index, ("low", "high", "mean_abs", "std", "nonfinite"))


class Status(IntEnum):
    """What kind of map a channel shows; only `LIVE` ones are pictures of a signal."""

    LIVE = 0
    DEAD = 1  # zero everywhere
    FLAT = 2  # one value other than zero everywhere
    NONFINITE = 3  # no finite value, or finite ones that say nothing


def status(numbers: np.ndarray) -> np.ndarray:
    """The status of each channel, over all probe images.

    With eps = 1e-9 of the largest |A| of the layer's logged channels: dead is max |A_k| <= eps; flat is a standard deviation <= eps,
    or low = high, while the channel is not dead. A channel with NaN or Inf is neither: if its finite values would make it dead or
    flat, or it has none, it is `NONFINITE`, else `LIVE`.

    Args:
        numbers: float32 (channels, at least 7) in the order of `format.NUMBERS`.

    Returns:
        Array of `Status` values, (channels,).
    """
    low, high, std = numbers[:, _LOW], numbers[:, _HIGH], numbers[:, _STD]
    magnitude = np.maximum(np.abs(low), np.abs(high))
    finite = np.isfinite(magnitude)
    epsilon = EPSILON * np.max(magnitude, initial=0.0, where=finite)
    result = np.full(len(numbers), Status.LIVE)
    result[(std <= epsilon) | (low == high)] = Status.FLAT
    result[magnitude <= epsilon] = Status.DEAD
    result[~finite | (numbers[:, _NONFINITE] > 0) & (result != Status.LIVE)] = Status.NONFINITE
    return result


def dormant(numbers: np.ndarray) -> np.ndarray:
    """Whether each channel is dormant: mean |A_k| <= .025 mean_j(mean |A_j|).

    Over the layer's logged channels with finite values; where all of them are zero, all are dormant. One without any finite value
    is not. Source: Sokar et al., "The Dormant Neuron Phenomenon in Deep Reinforcement Learning", ICML 2023.

    Args:
        numbers: float32 (channels, at least 7) in the order of `format.NUMBERS`.

    Returns:
        bool (channels,).
    """
    magnitude = numbers[:, _MEAN_ABS].astype(np.float64)
    finite = np.isfinite(magnitude)
    return magnitude <= TAU * np.mean(magnitude, where=finite) if finite.any() else finite


def measure(maps: np.ndarray, numbers: np.ndarray, cells: Cells) -> dict[str, np.ndarray]:
    """The scores of each channel, over the cells of all probe images together.

    - `mask_auroc`: P(a_fg > a_bg) + P(a_fg = a_bg) / 2 for a foreground and a background cell: the Mann-Whitney U over n_fg n_bg.
      0 to 1, chance .5 whatever the object's share. 1: every object cell is brighter than all background; 0: the inverse. Cells
      that are mostly ignored are left out.
    - `mask_iou`: |M and L| / |M or L|, L the foreground cells and M = {A > T} strictly, T the smallest value with no more than n_fg
      cells above it: the (1 - q) quantile at q = `cells.area`. 0 to 1; chance is q / (2 - q), that of a random map of as large an
      area. Cells tied at T are never in M, so M may be smaller than L, and is empty for a map of one value, or of two of which the
      upper has too many cells. After Bau et al., "Network Dissection", CVPR 2017; but at the map's size, not the picture's, and
      with q the object's share, since under its q = .005 a perfect mask of share p scores .005 / p.
    - `edge_auroc`: the AUROC of |A - median(A)| at edge cells against all others, the median being the mean of the two middle
      ones. 0 to 1, chance .5. The definition is ours: no accepted one exists.
    - `outline_auroc`: the same for cells with an ignored pixel in them.

    Ties count half in every AUROC; 8-bit storage makes more of them (the module's docstring bounds what that does). How the concepts
    come to the map's size: `Concepts`. Where a concept has no cell at this size, or nothing but cells, its scores are NaN.

    A dead or flat channel is exactly chance, .5, and its IoU 0. A cell that is not finite is stored like the channel's low and
    measured as that; `nonfinite` counts them. With no finite value, or one that is the same everywhere beside the others, nothing
    was measured: NaN, and not chance, as if it had been. No channel's scores depend on another channel's values, but for eps.

    Args:
        maps: uint8 (N, channels, height, width), each channel scaled to its own low and high over all images.
        numbers: float32 (channels, at least 7) in the order of `format.NUMBERS`.
        cells: The concepts at this height and width.

    Returns:
        float32 (channels,) for each name of `cells.fields`.

    Raises:
        ValueError: if the concepts are of another size, or number of images.
    """
    for name, concept in cells.present.items():
        if concept.shape != (maps.shape[0], *maps.shape[2:]):
            raise ValueError(f"maps of {maps.shape} (N, channels, height, width) do not fit {name} of {concept.shape}")
    scores: dict[str, np.ndarray] = {}
    if not cells.present:
        return scores
    code, members = cells.classes
    by_class = _histograms(maps, code)
    none = np.zeros_like(by_class[0])
    counts = {name: sum((by_class[each] for each in np.flatnonzero(those)), none) for name, those in members.items()}
    if cells.foreground is not None:
        inside, both = counts["foreground"], counts["foreground"] + counts["background"]
        up_to = np.cumsum(both, axis=1)
        scores["mask_auroc"] = _auroc(inside, 2 * up_to - both, up_to[:, -1])
        scores["mask_iou"] = _iou(inside, up_to)
    distant = {field: counts[name] for field, name in _DISTANT.items() if name in counts}
    if distant:
        every = by_class.sum(axis=0)
        ranks, cells_of_all = _ranks_of_distance(every), every.sum(axis=1)
        scores |= {field: _auroc(inside, ranks, cells_of_all) for field, inside in distant.items()}
    signal = status(numbers)
    for field, values in scores.items():
        values[(signal != Status.LIVE) & ~np.isnan(values)] = 0.0 if field == "mask_iou" else 0.5
        values[signal == Status.NONFINITE] = np.nan
    return {field: values.astype(np.float32) for field, values in scores.items()}


#: The scores that ask how far from the median a cell is, and the concepts that they are of.
_DISTANT = {"edge_auroc": "edges", "outline_auroc": "outline"}


def _histograms(maps: np.ndarray, code: np.ndarray) -> np.ndarray:
    """How many cells of each class have each level, int64 (classes, channels, 256)."""
    images, channels = maps.shape[:2]
    classes = int(code.max()) + 1
    bins = classes * channels * LEVELS
    narrow = np.min_scalar_type(bins - 1)  # most of the time goes into writing and reading the bins' indices
    first = (np.arange(channels) * LEVELS).astype(narrow)[:, None]
    counts = np.zeros(bins, np.int64)
    offsets = (code * (channels * LEVELS)).astype(narrow)
    for image, offset in zip(maps.reshape(images, channels, -1), offsets, strict=True):
        index = image + offset
        index += first
        counts += np.bincount(index.ravel(), minlength=bins)
    return counts.reshape(classes, channels, LEVELS)


def _auroc(inside: np.ndarray, ranks: np.ndarray, total: np.ndarray) -> np.ndarray:
    """AUROC of each channel by the sum of ranks; float64 (channels,), NaN where all cells or none are inside.

    Args:
        inside: The concept's cells at each level, (channels, levels).
        ranks: Twice the rank of a cell at each level among all: the cells below, and half of those at it. Twice, so that ties are
            whole numbers.
        total: How many cells there are, (channels,).
    """
    count = inside.sum(axis=1)
    wins = np.einsum("cl,cl->c", inside, ranks) - count * count  # less those against cells of the concept itself
    return _ratio(wins, 2 * count * (total - count))


def _ranks_of_distance(every: np.ndarray) -> np.ndarray:
    """Twice the rank of |level - median| of a cell at each level, from the histogram of all cells; (channels, levels)."""
    up_to = np.cumsum(every, axis=1)
    total = up_to[:, -1:]
    middle = [np.sum(up_to <= rank, axis=1) for rank in ((total - 1) // 2, total // 2)]
    # Twice the distance is a whole number, in one channel always an even or always an odd one: its half tells them apart.
    distance = np.abs(2 * np.arange(LEVELS) - (middle[0] + middle[1])[:, None]) >> 1
    index = distance + (np.arange(len(every)) * LEVELS)[:, None]
    folded = np.bincount(index.ravel(), every.ravel(), every.size).astype(np.int64).reshape(every.shape)
    ranks = 2 * np.cumsum(folded, axis=1) - folded
    return ranks.ravel()[index]


def _iou(inside: np.ndarray, up_to: np.ndarray) -> np.ndarray:
    """IoU of each channel at the area-matched quantile; NaN where the object or the background has no cell.

    Args:
        inside: The object's cells at each level, (channels, levels).
        up_to: The cells of object and background up to each level, (channels, levels).
    """
    count, total = inside.sum(axis=1), up_to[:, -1]
    threshold = np.sum(up_to < (total - count)[:, None], axis=1)  # no more than `count` cells are above it
    channel = np.arange(len(inside))
    hit, area = count - np.cumsum(inside, axis=1)[channel, threshold], total - up_to[channel, threshold]
    return _ratio(hit, np.where(count < total, count + area - hit, 0))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


@dataclass(frozen=True)
class Summary:
    """A layer's scores of one measure; NaN, and no channel, where no channel has a score.

    The best of C channels exceeds chance by chance, the more so the fewer cells: show the median and the untrained network beside it.

    Attributes:
        best: The highest score.
        lowest: The lowest: for mask AUROC, that of the best detector of the background.
        median: The median over the channels with a score.
        channel: Position of the best channel among the logged ones, the first of equals; None if there is none.
    """

    best: float
    lowest: float
    median: float
    channel: int | None


def summary(scores: np.ndarray) -> Summary:
    """Best, lowest and median of the scores (channels,) of a layer."""
    known = np.sort(scores[~np.isnan(scores)]).tolist()
    if not known:
        return Summary(np.nan, np.nan, np.nan, None)
    median = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2
    return Summary(known[-1], known[0], median, int(np.argmax(scores == known[-1])))


@dataclass(frozen=True)
class Activations:
    """The activations of a layer at a sample of its cells: what is kept of a step to compare later ones with.

    Attributes:
        levels: uint8 (cells, channels). At most `SAMPLED_CELLS`: the same ones of each image and step, drawn once without order.
            At most `SAMPLED_CHANNELS`: the first.
        span: float64 (channels,): high - low, the value of 255 levels; 0 where the channel has no finite value.
    """

    levels: np.ndarray
    span: np.ndarray

    @classmethod
    def of(cls, maps: np.ndarray, numbers: np.ndarray) -> "Activations":
        """The sample of one layer's maps and numbers, as `measure` takes them."""
        maps, numbers = maps[:, :SAMPLED_CHANNELS], numbers[:SAMPLED_CHANNELS]
        images, channels, height, width = maps.shape
        picked = _picked(height * width, max(1, SAMPLED_CELLS // images))
        levels = maps.reshape(images, channels, height * width)[:, :, picked]
        span = numbers[:, _HIGH].astype(np.float64) - numbers[:, _LOW]
        return cls(levels.swapaxes(1, 2).reshape(-1, channels), np.where(np.isfinite(span), span, 0.0))

    @cached_property
    def scale(self) -> np.ndarray:
        """The value of one level of each channel, (channels,), but for one factor common to all; 0 for a channel of one value."""
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


def effective_rank(activations: Activations) -> float:
    """How many directions the channels of a layer use: exp(H(s / sum s)), H the entropy and s the singular values.

    Of the centred cells x channels matrix, of at most `SAMPLED_CHANNELS` channels. 1 to the smaller of channels and cells - 1;
    NaN if nothing varies. Channels count by their deviation: dead and flat ones not at all. Cells that are not finite count as
    the channel's low.

    8-bit rounding adds 1/12 squared level to each channel's variance, which would pass for directions; it is subtracted (Sheppard's
    correction). What stays, measured on maps of known rank: up to .1 for normal values and 32 channels, .4 for values with heavy
    tails; up to 1 and 3 for 256 channels.

    Source: Roy & Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    noise = len(activations.levels) * activations.scale**2 / 12
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(activations.gram - np.diag(noise)), 0.0))
    if not values.any():
        return float("nan")
    shares = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def cka(one: Activations, other: Activations) -> float:
    """How alike a layer is at two steps: linear CKA, |X'Y|^2 / (|X'X| |Y'Y|) with Frobenius norms and X, Y centred.

    0 to 1; 1 if one is the other rotated and scaled as a whole; NaN if nothing varies in one of them. There is no fixed chance
    level: unrelated maps approach 0 only where cells are many more than channels, with few cells they do not. Channels and cells
    count as for `effective_rank`; both must be the same cells. Source: Kornblith et al., "Similarity of Neural Network
    Representations Revisited", ICML 2019.
    """
    norms = math.sqrt(one.norm * other.norm)
    return float(np.sum(one.times(other) ** 2)) / norms if norms else math.nan


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One'other of two arrays of levels, exact, in float64.

    In blocks of rows: so few that float32 holds their whole sums, and so small that BLAS stays on this thread. Its own threads would
    wait for cores that the training keeps busy: 12 ms for a product that takes .2.
    """
    one, other = one.astype(np.float32), other.astype(np.float32)
    rows = min(2**18 // (one.shape[1] * other.shape[1]), 2**24 // (LEVELS - 1) ** 2)
    whole = len(one) // rows * rows
    blocks = [each[:whole].reshape(-1, rows, each.shape[1]) for each in (one, other)]
    product = np.matmul(blocks[0].swapaxes(1, 2), blocks[1]).sum(axis=0, dtype=np.float64)
    return product + one[whole:].T @ other[whole:]


@lru_cache(maxsize=64)
def _picked(cells: int, count: int) -> np.ndarray:
    """Which cells of a map are sampled: all, or `count` drawn by a fixed seed; an even stride would sample few columns."""
    return np.arange(cells) if cells <= count else np.sort(np.random.default_rng(0).choice(cells, count, replace=False))
