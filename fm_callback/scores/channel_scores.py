"""What each channel of a layer shows: one function a measure, each from how often which level is where.

Computed from what is stored anyway, 8-bit maps, behind the training thread. A map is stored against its channel's low
and high: the levels 0 to 255 keep the order of the values, but values within 1/255 of the range become ties. Each
function says what that may do to its score.

Measured on random maps of 1,600 to 102,400 cells (normal, uniform, rectified, bimodal): mask AUROC .001, IoU .007, edge
AUROC .004, but .03 where the median lies just above a mass of zeros. One huge outlier leaves all other cells on few
levels, and little can be said: on Cauchy values the error reaches .4. A range `high - low` of more than some 50 `std`
tells of that.

What holds for all of them: cells are those of all probe images together; how the concepts come to the map's size says
`Concepts`; a cell that is not finite is stored like the channel's low and measured as that (`nonfinite` counts them).
No channel's score depends on another channel's values, but for the eps of `status`.
"""

import math
from functools import cached_property

import numpy as np

from fm_callback.scores.concepts import Cells

LEVELS = 256


class Levels:
    """How many cells of which concept have which level: what the scores of a layer share, each counted when asked for.

    Attributes:
        maps: uint8 (N, channels, *sizes), each channel scaled to its own low and high over all images.
        cells: The concepts at these sizes.
    """

    def __init__(self, maps: np.ndarray, cells: Cells) -> None:
        """Counts nothing yet.

        Raises:
            ValueError: if the concepts are of another size, or number of images.
        """
        for name, concept in cells.present.items():
            if concept.shape != (maps.shape[0], *maps.shape[2:]):
                raise ValueError(f"maps of {maps.shape} (N, channels, *sizes) do not fit {name} of {concept.shape}")
        self.maps, self.cells = maps, cells

    @cached_property
    def by_class(self) -> np.ndarray:
        """The cells of each class of `Cells.classes`, int64 (classes, channels, 256)."""
        images, _, *sizes = self.maps.shape
        code = np.broadcast_to(self.cells.classes.code, (images, math.prod(sizes)))  # without a concept, one class
        return _histograms(self.maps, code)

    @cached_property
    def concepts(self) -> dict[str, np.ndarray]:
        """The cells of each concept, by name, int64 (channels, 256)."""
        return {name: self.by_class[those].sum(axis=0) for name, those in self.cells.classes.parts.items()}

    @cached_property
    def others(self) -> tuple[np.ndarray, np.ndarray]:
        """The cells that are object, and background, in masks of other images, once for each mask, int64 (channels, 256)."""
        others = self.cells.classes.others
        if others is None:
            raise ValueError("there are no masks of other images")
        inside, outside = (np.tensordot(each, self.by_class, 1) for each in others)
        return inside, outside

    @cached_property
    def counted(self) -> np.ndarray:
        """The cells that are object or background, int64 (channels, 256)."""
        return self.concepts["foreground"] + self.concepts["background"]

    @cached_property
    def counted_up_to(self) -> np.ndarray:
        """Those at each level or below, int64 (channels, 256)."""
        return np.cumsum(self.counted, axis=1)

    @cached_property
    def every(self) -> np.ndarray:
        """All cells, int64 (channels, 256)."""
        return self.by_class.sum(axis=0)

    @cached_property
    def distance_ranks(self) -> np.ndarray:
        """Twice the rank of |level - median| of a cell at each level, among all cells; int64 (channels, 256)."""
        return _ranks_of_distance(self.every)


def mask_auroc(levels: Levels) -> np.ndarray:
    """P(a_fg > a_bg) + P(a_fg = a_bg) / 2 for a foreground and a background cell: the Mann-Whitney U over n_fg n_bg.

    0 to 1, chance .5 whatever the object's share. 1: every object cell is brighter than all background; 0: the inverse.
    Cells that are mostly ignored are left out. Ties count half. NaN where the map's size leaves no cell of the object,
    or none of the background.

    8 bits: only pairs at the same level are in doubt, and each counts 1/2 instead of 0, 1/2 or 1. With P_fg(v) and
    P_bg(v) the shares of foreground and background cells at level v, |error| <= 1/2 sum_v P_fg(v) P_bg(v). That is .002
    for values spread evenly and .005 for a normal distribution whose extremes lie at 4.5 standard deviations. The error
    itself is smaller, as order within a level hardly depends on the concept.

    Source: Mann & Whitney, "On a test of whether one of two random variables is stochastically larger than the other",
    Annals of Mathematical Statistics 18, 1947.
    """
    up_to = levels.counted_up_to
    return _auroc(levels.concepts["foreground"], 2 * up_to - levels.counted, up_to[:, -1])


def mask_control(levels: Levels) -> np.ndarray:
    """The mask AUROC against the masks of OTHER images: what a map scores by where objects usually are.

    0 to 1, chance .5. The mask AUROC of all images' maps, each against the masks of up to three other images: those that
    follow it in the probe, all cells of all of them together. A map that shows position alone scores as much here as on
    its own masks, and where all masks are the same, every map does. What the mask AUROC has more than it is knowledge of
    this very picture: the excess. Ties count half. NaN where the map's size leaves no cell of the object, or none of the
    background; it needs two images. 8 bits: the bound of `mask_auroc`, of these cells.

    Source: the definition is ours; after control tasks for probes, Hewitt & Liang, "Designing and Interpreting Probes with
    Control Tasks", EMNLP 2019.
    """
    inside, outside = levels.others
    every = inside + outside
    up_to = np.cumsum(every, axis=1)
    return _auroc(inside, 2 * up_to - every, up_to[:, -1])


def concept_auroc(levels: Levels, concept: str) -> np.ndarray:
    """The AUROC of a map at the cells of one label, or of a named concept, against all others that count.

    As `mask_auroc` in all: 0 to 1, chance .5. With h(v) the concept's cells at level v, n of them, and N(v) all cells
    that count, N of them: sum_v h(v) (N_<(v) + N(v) / 2) - n^2 / 2, over n (N - n). Ties count half. NaN where no cell
    belongs to it, or each does. 8 bits: the bound of `mask_auroc`. Source: that of `mask_auroc`, one label against the rest.
    """
    counted = levels.counted if "foreground" in levels.concepts else levels.every
    up_to = np.cumsum(counted, axis=1)
    return _auroc(levels.concepts[concept], 2 * up_to - counted, up_to[:, -1])


def concept_control(maps: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> float:
    """The AUROC of one channel's levels, where cells count several times; as `mask_control` in all.

    Args:
        maps: uint8, of any shape.
        inside: uint8 of the same shape, how often each cell is of the concept.
        outside: How often it is not.

    Returns:
        NaN where none is inside, or outside.
    """
    counts = [np.bincount(maps.ravel(), each.ravel(), LEVELS).astype(np.int64)[None] for each in (inside, outside)]
    every = counts[0] + counts[1]
    up_to = np.cumsum(every, axis=1)
    return float(_auroc(counts[0], 2 * up_to - every, up_to[:, -1])[0])


def mask_iou(levels: Levels) -> np.ndarray:
    """|M and L| / |M or L|, L the foreground cells and M = {A > T}, as many of the highest cells as the object has.

    T is the smallest value with no more than n_fg cells above it: the (1 - q) quantile at q = `Cells.area`. 0 to 1;
    chance is q / (2 - q), that of a random map of as large an area. Cells that are mostly ignored are left out. Ties:
    cells at T are never in M, so M may be smaller than L, and is empty for a map of one value, or of two of which the
    upper has too many cells. NaN where the map's size leaves no cell of the object, or none of the background.

    8 bits: the cells above the stored quantile are above the true one too; missing are at most those at its level. So
    |error| <= (|L| - |M|) / |M or L|, in cells.

    Source: after Bau et al., "Network Dissection", CVPR 2017; but at the map's size, not the picture's, and with q the
    object's share, since under its q = .005 a perfect mask of share p scores .005 / p.
    """
    inside, up_to = levels.concepts["foreground"], levels.counted_up_to
    count, total = inside.sum(axis=1), up_to[:, -1]
    threshold = np.sum(up_to < (total - count)[:, None], axis=1)  # no more than `count` cells are above it
    channel = np.arange(len(inside))
    hit, area = count - np.cumsum(inside, axis=1)[channel, threshold], total - up_to[channel, threshold]
    return _ratio(hit, np.where(count < total, count + area - hit, 0))


def edge_auroc(levels: Levels) -> np.ndarray:
    """The AUROC of |A - median(A)| at edge cells against all others: edges are found whether bright or dark.

    The median is the mean of the two middle values. 0 to 1, chance .5. Ties count half. NaN where no cell has an edge
    in it, or each has one.

    8 bits: a level is off by at most 1/2, and so is the median's. On one side of the median order is kept; two cells on
    opposite sides (the median's own level is on both) are in doubt if their distances differ by at most 2 levels. So
    |error| <= 1/2 P(same level) + P(opposite sides, distances within 2 levels), for a cell of the concept and another.

    Source: the definition is ours, no accepted one exists.
    """
    return _auroc(levels.concepts["edges"], levels.distance_ranks, levels.every.sum(axis=1))


def outline_auroc(levels: Levels) -> np.ndarray:
    """The AUROC of |A - median(A)| at cells with an ignored pixel in them, the object's outline, against all others.

    As `edge_auroc` in all: 0 to 1, chance .5. Ties count half. NaN where no cell has an ignored pixel in it, or each
    has one. 8 bits: the same bound. Source: the definition is ours, no accepted one exists.
    """
    return _auroc(levels.concepts["outline"], levels.distance_ranks, levels.every.sum(axis=1))


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
        ranks: Twice the rank of a cell at each level among all: the cells below, and half of those at it. Twice, so
            that ties are whole numbers.
        total: How many cells there are, (channels,).
    """
    count = inside.sum(axis=1)
    wins = np.einsum("cl,cl->c", inside, ranks) - count * count  # less those against cells of the concept itself
    return _ratio(wins, 2 * count * (total - count))


def _ranks_of_distance(every: np.ndarray) -> np.ndarray:
    """Twice the rank of |level - median| of a cell at each level, (channels, levels), from how many have it."""
    up_to = np.cumsum(every, axis=1)
    total = up_to[:, -1:]
    middle = [np.sum(up_to <= rank, axis=1) for rank in ((total - 1) // 2, total // 2)]
    # Twice the distance is a whole number, in one channel always an even or always an odd one: half tells them apart.
    distance = np.abs(2 * np.arange(LEVELS) - (middle[0] + middle[1])[:, None]) >> 1
    index = distance + (np.arange(len(every)) * LEVELS)[:, None]
    folded = np.bincount(index.ravel(), every.ravel(), every.size).astype(np.int64).reshape(every.shape)
    ranks = 2 * np.cumsum(folded, axis=1) - folded
    return ranks.ravel()[index]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
