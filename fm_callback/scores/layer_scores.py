"""What a layer as a whole does at a step: one function a measure, each from what is known of the layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from fm_callback.scores.activations import Activations, cka
from fm_callback.scores.artefacts import Lines, alike, ring
from fm_callback.scores.channel_scores import Levels, concept_control, mask_auroc
from fm_callback.scores.concepts import Cells, score_of
from fm_callback.scores.detection import separation
from fm_callback.scores.readout import Readout, readout
from fm_callback.scores.status import Status, is_dormant, status


@dataclass(frozen=True)
class LayerStep:
    """A layer at one step, and before.

    Attributes:
        numbers: float32 (channels, at least 7) in the order of `format.NUMBERS`.
        now: Its activations at this step.
        previous: Those of the step before; None at the first.
        first: Those of step 0; None there, and in a training that another process goes on with.
        scores: float32 (channels,) of each measure of its channels.
        maps: uint8 (N, channels, *sizes).
        cells: The concepts at these sizes.
        period: By how much what comes before, or the layer itself, has enlarged its maps; 0 if nothing has.
        dilation: How far apart the cells are that its kernel sees; 1 for neighbours.
        training: Its maps and numbers in training mode, as `maps` and `numbers`; None where there was no such pass.
    """

    numbers: np.ndarray
    now: Activations
    previous: Activations | None = None
    first: Activations | None = None
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    maps: np.ndarray | None = None
    cells: Cells = field(default_factory=Cells)
    period: int = 0
    dilation: int = 1
    training: tuple[np.ndarray, np.ndarray] | None = None

    @cached_property
    def lines(self) -> Lines:
        """A sample of its maps, line by line."""
        return Lines(np.empty((0, 0), np.uint8) if self.maps is None else self.maps)

    @cached_property
    def readout(self) -> Readout:
        """The linear readout of the object."""
        return Readout(math.nan, math.nan) if self.maps is None else readout(self.maps, self.cells)


def excess(auroc: np.ndarray, control: np.ndarray) -> np.ndarray:
    """What a channel's AUROC has more than its control, on the side on which the channel shows the object."""
    return np.where(auroc >= 0.5, auroc - control, control - auroc)


def mask_separation_best(layer: LayerStep) -> float:
    """The separation of the channel that tells the object best, bright or dark: max(AUROC, 1 - AUROC) of `mask_auroc`.

    0 to 1, in truth from .5; the best of many is above chance by chance, and the untrained network says by how much. The sign of a
    channel before its activation means little: late channels often show the object as their dark side. Ties count half. NaN
    where no channel has a mask AUROC. 8 bits: the bound of `mask_auroc`. Source: the area under the curve of a classifier
    that may be turned round, as Bradley, "The use of the area under the ROC curve in the evaluation of machine learning
    algorithms", Pattern Recognition 30, 1997, has it.
    """
    return _highest(separation(layer.scores["mask_auroc"]))


def mask_separation_median(layer: LayerStep) -> float:
    """The separation of the median channel, of those that have one; as `mask_separation_best` in all else.

    0 to 1, in truth from .5; chance is a little more than that, as deviations to both sides count alike.
    NaN where no channel has a mask AUROC. 8 bits: the bound of `mask_auroc`. Source: that of `mask_separation_best`.
    """
    known = separation(layer.scores["mask_auroc"])
    known = known[~np.isnan(known)]
    return float(np.median(known)) if len(known) else math.nan


def mask_excess_best(layer: LayerStep) -> float:
    """The largest excess of a channel: what it tells of the object in this very picture, and not of its usual place.

    `mask_auroc` less `mask_control`, on the side, bright or dark, on which the channel shows the object. -1 to 1, in truth
    up to .5 or so; the best of many is a little above 0, its chance, by chance.
    NaN where no channel has both, as with one image. 8 bits: the bound of `mask_auroc`, twice. Source: `mask_control`.
    """
    return _highest(excess(layer.scores["mask_auroc"], layer.scores["mask_control"]))


def readout_score(layer: LayerStep) -> float:
    """What the layer as a whole knows of the object: the AUROC of a linear readout on images that it was not fitted on.

    0 to 1, chance .5; NaN with fewer than four images, or without cells of both kinds. Of the first 64 logged channels, on
    8,192 cells at most. Ties count half. 8 bits: within .01 of the values' own. Formula and folds: `readout.readout`.
    Source: Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016; the balanced ridge
    is ours.
    """
    return layer.readout.score


def readout_control(layer: LayerStep) -> float:
    """The same readout of the masks of OTHER images: what the layer as a whole knows of where objects usually are.

    0 to 1, chance .5; NaN as of `readout_score`. A network that knows position alone has both alike. 8 bits: as
    `readout_score`. Source: Hewitt & Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.
    """
    return layer.readout.control


def concept_separation_best(layer: LayerStep, name: str) -> float:
    """The separation of the channel that tells one label, or a named concept, best; as `mask_separation_best` in all.

    0.5 to 1, chance 0.5 for one channel; NaN where no channel has a score. 8 bits: the bound of `mask_auroc`. Source:
    that of `mask_separation_best`.
    """
    return _highest(separation(layer.scores[score_of(name)]))


def concept_excess(layer: LayerStep, name: str) -> float:
    """What the channel that tells one label, or a named concept, best has more than its control, on its side.

    The control is as `mask_control`, with the label in place of the object: its AUROC against the masks of up to three OTHER
    images, all cells of all of them together. -1 to 1, in truth up to .5 or so; chance is about 0. NaN where no channel has a
    score, or with one image. Ties count half. 8 bits: the bound of `mask_auroc`, twice. Source: `mask_control`.
    """
    scores, cells = layer.scores[score_of(name)], layer.cells
    if layer.maps is None or cells.others is None or np.isnan(scores).all():
        return math.nan
    best = int(np.nanargmax(separation(scores)))
    inside = np.zeros(cells.others[0].shape, np.uint8)
    for of_another in cells.of_others(cells.named[score_of(name)]):
        inside += of_another
    control = concept_control(layer.maps[:, best], inside, cells.others[0] + cells.others[1] - inside)
    return float(excess(scores[best : best + 1], np.array([control]))[0])


def _highest(scores: np.ndarray) -> float:
    known = scores[~np.isnan(scores)]
    return float(known.max()) if len(known) else math.nan


def effective_rank(layer: LayerStep) -> float:
    """How many directions the channels of a layer use: exp(H(s / sum s)), H the entropy and s the singular values.

    Of the centred cells x channels matrix, of at most `SAMPLED_CHANNELS` channels. 1 to the smaller of channels and
    cells - 1; NaN if nothing varies. No chance level. Channels count by their deviation: dead and flat ones not at all.
    Cells that are not finite count as the channel's low.

    8-bit rounding adds 1/12 squared level to each channel's variance, which would pass for directions; it is subtracted
    (Sheppard's correction). What stays, measured on maps of known rank: up to .1 for normal values and 32 channels, .4
    for values with heavy tails; up to 1 and 3 for 256 channels.

    Source: Roy & Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    noise = len(layer.now.levels) * layer.now.scale**2 / 12
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(layer.now.gram - np.diag(noise)), 0.0))
    if not values.any():
        return math.nan
    shares = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def checkerboard(layer: LayerStep) -> float:
    """How much of the period of an upsampling the maps show: r(s) - (r(s - 1) + r(s + 1)) / 2, r(k) the correlation of cells k apart.

    s is the stride of the transposed convolution, or the factor of the upsampling, that made the maps or those before them at
    this size. About -1 to 2, chance 0: noise has no period; in pictures with edges r falls ever more slowly, so that they have less than 0, and blurred ones up to .03. Over
    lines along all axes, of the median channel that varies. NaN where nothing was enlarged, maps are smaller than 8 cells, or nothing
    varies. 8 bits: rounding is noise, and lessens it by less than .01.

    Source: the measure is ours; the artefact is that of Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016.
    """
    return layer.lines.bump(layer.period)


def gridding(layer: LayerStep) -> float:
    """How much of the period of its own dilation a convolution's maps show: as `checkerboard`, with s the dilation rate.

    About -1 to 2, chance 0. NaN without a dilation, on maps smaller than 8 cells or twice the dilation, or if nothing varies. 8 bits: as
    `checkerboard`. Source: the measure is ours; the artefact is that of Yu et al., "Dilated Residual Networks", CVPR 2017.
    """
    return layer.lines.bump(layer.dilation)


def border(layer: LayerStep) -> float:
    """How much the outermost row of cells differs from the one inside it: the share of their variance that tells the two.

    With the cells of both rows, of all images: b / (b + w), b = ((m1 - m2) / 2)^2 and w the mean of their variances; the mean over
    all sides of the maps. 0 to 1, chance 0: in a picture the two are alike. Of the median channel that varies. NaN on maps smaller than
    8 cells, and if nothing varies there. 8 bits: within .01. Source: the definition is ours; after Alsallakh et al., "Mind the Pad",
    ICLR 2021.
    """
    return math.nan if layer.maps is None else ring(layer.maps)


def coherence(layer: LayerStep) -> float:
    """How alike neighbours are: the correlation of cells next to each other, over lines along all axes, of the median channel.

    -1 to 1, chance 0: of noise, and of maps whose cells were put into another order. NaN on maps smaller than 8 cells, and if nothing
    varies. 8 bits: rounding is noise, and lessens it by less than .01. Source: lag-1 autocorrelation, Moran, "Notes on
    continuous stochastic phenomena", Biometrika 37, 1950.
    """
    return layer.lines.coherence


def duplicates(layer: LayerStep) -> float:
    """The share of the channels that show what another one shows, bright or dark: |r| > .95 over cells of all images.

    0 to 1, no fixed chance level: on smooth pictures many channels of an untrained first layer are alike. Of at most 64 channels that
    vary; NaN where fewer than two do. 8 bits: |r| within .001. Source: the definition is ours, a common one.
    """
    return alike(layer.now)


def cka_previous(layer: LayerStep) -> float:
    """How alike the layer is now and at the step before: `activations.cka`, whose docstring has formula and source.

    0 to 1, no fixed chance level; NaN without a step before, or if nothing varies in one of the two.
    """
    return math.nan if layer.previous is None else cka(layer.previous, layer.now)


def cka_first(layer: LayerStep) -> float:
    """How alike the layer is now and at step 0: `activations.cka`, whose docstring has formula and source.

    0 to 1, no fixed chance level; NaN at step 0, in a training that another process goes on with, or if nothing varies in one of the two.
    """
    return math.nan if layer.first is None else cka(layer.first, layer.now)


def training_cka(layer: LayerStep) -> float:
    """How alike the layer is in evaluation mode and in training mode: `activations.cka`, whose docstring has formula and source.

    0 to 1, no fixed chance level; 1 where the two are the same. Dropout, and what normalises by the batch's own statistics, are what
    differs: of a probe of more than 16 samples the batches are of 8. NaN if nothing varies in one of the two.
    """
    return math.nan if layer.training is None else cka(Activations.of(*layer.training), layer.now)


def training_gap(layer: LayerStep) -> float:
    """By how much the layer's best channel tells the object better in training mode than in evaluation mode.

    The best mask separation in training mode less that in evaluation mode. -1 to 1, in truth up to .5; chance 0, as where the two agree;
    dropout makes it less than 0. NaN where either has no mask AUROC. Ties count half. 8 bits: the bound of `mask_auroc`, twice. Source: that of
    `mask_separation_best`; the difference is ours.
    """
    if layer.training is None:
        return math.nan
    maps, numbers = layer.training
    signal, scores = status(numbers, maps[:, 0].size), mask_auroc(Levels(maps, layer.cells))
    scores = np.where(signal == Status.NONFINITE, np.nan, np.where(signal == Status.LIVE, scores, 0.5))
    return _highest(separation(scores)) - mask_separation_best(layer)


def dead_or_flat(layer: LayerStep) -> float:
    """The share of the logged channels that show one value everywhere: `Status.DEAD` or `Status.FLAT`.

    0 to 1, no chance level, never NaN: a channel that is not finite is neither. Exact, whatever the 8 bits: from the
    numbers. The definition is ours, see `status.status`.
    """
    signal = status(layer.numbers, None if layer.maps is None else layer.maps[:, 0].size)
    return float(np.mean((signal == Status.DEAD) | (signal == Status.FLAT)))


def dormant(layer: LayerStep) -> float:
    """The share of the logged channels that hardly do anything beside the others: `status.is_dormant`, with its source.

    0 to 1, no chance level, never NaN: a channel that is not finite is not dormant. Exact, whatever the 8 bits: from
    the numbers.
    """
    return float(np.mean(is_dormant(layer.numbers)))
