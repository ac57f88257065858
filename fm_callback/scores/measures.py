"""The measures: one table of what is known of each channel and each layer at a step, and what people are told of it.

What exists with given concepts, what is stored of a channel, what is known of a layer, and the words of the page all
follow from `MEASURES`. So a new measure is

1. one function, in `channel_scores` (of `Levels`, a score a channel) or in `layer_scores` (of `LayerStep`, one number),
   with a docstring that says formula, range, chance, ties, NaN, what 8 bits do to it, and where it is from;
2. one entry here, in the place in which it is to be stored and listed;
3. one test of its values in `tests/test_measures.py`. What must hold for every entry (its words, its range, chance on
   noise, NaN where there is nothing to measure) is tested by `tests/test_measure_table.py`, which walks over the table.

An entry, as it would stand in the table for a score of the contrast between object and background:

    ChannelMeasure(
        name="mask_contrast",
        label="mask contrast",
        short="contrast",
        kind="value",  # -1 to 1; a "score" goes from 0 to 1
        says="mean level of the object less that of the background, as a part of the channel's range",
        chance=0.0,
        concept="foreground",  # without masks it does not exist
        flat=0.0,  # of a dead or flat channel
        function=channel_scores.mask_contrast,  # Levels -> float64 (channels,)
    )

Log, reader and page take it from there; which two summaries TensorBoard's Scalars tab gets, and what the table of masks shows, is chosen
in `write.event_copies` and in `history`.

Needs numpy, and no Keras: whoever serves a log may import it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from fm_callback.scores import channel_scores, layer_scores
from fm_callback.scores.channel_scores import Levels
from fm_callback.scores.concepts import Cells, excess_of, score_of
from fm_callback.scores.layer_scores import LayerStep
from fm_callback.scores.status import Status, status


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One of the table; of this class itself, a number that the capture takes: one of `format.NUMBERS`, or `activation_zeros`.

    Attributes:
        name: What it is stored as.
        label: What people call it.
        short: The same in a word, beside a picture.
        kind: How it is written: "score" (0 to 1), "share" (per cent), "count", or "value" of any size.
        says: What it means, for people: the rest of a sentence that the label began, without its chance.
        chance: What a map without a relation to the concept scores, whatever the concept's share; None if there is no
            such number.
    """

    name: str
    label: str
    short: str
    kind: Literal["score", "share", "count", "value"] = "value"
    says: str
    chance: float | None = None


@dataclass(frozen=True, kw_only=True)
class ChannelMeasure(Measure):
    """A score of each channel, and its summaries of a layer.

    Attributes:
        concept: The concept of `Cells` without which it does not exist; None if it needs none.
        flat: What a dead or flat channel scores, which shows nothing: exactly chance, where there is such a number.
        function: Computes it, float64 (channels,), NaN where it is not defined. What is said of dead, flat and
            non-finite channels is left to `measure`.
        sided: Whether a channel that scores 0 shows the concept as well as one that scores 1, as its dark side.
        parts: Its summaries of a layer, attributes of `Summary`.
    """

    concept: str | None
    flat: float
    function: Callable[[Levels], np.ndarray]
    sided: bool = False
    parts: tuple[str, ...] = ("best", "median")


@dataclass(frozen=True, kw_only=True)
class LayerMeasure(Measure):
    """One number of a layer.

    Attributes:
        needs: The measures of channels without which it does not exist.
        twice: Whether it compares evaluation mode with training mode.
        function: Computes it; NaN where it is not defined.
    """

    needs: tuple[str, ...] = ()
    twice: bool = False
    function: Callable[[LayerStep], float]


#: In the order in which they are stored and listed.
MEASURES: tuple[Measure, ...] = (
    Measure(name="low", label="lowest value", short="low", says="the channel's lowest finite value"),
    Measure(name="high", label="highest value", short="high", says="the channel's highest finite value"),
    Measure(name="mean", label="mean", short="mean", says="the mean of the channel's finite values"),
    Measure(
        name="mean_abs",
        label="mean magnitude",
        short="|mean|",
        says="the mean magnitude of the channel's finite values: how much it does",
    ),
    Measure(
        name="std",
        label="standard deviation",
        short="std",
        says="the standard deviation of the channel's finite values: how much there is to see",
    ),
    Measure(
        name="zeros",
        label="share of zeros",
        short="zeros",
        kind="share",
        says="the share of the channel's cells that are exactly 0",
    ),
    Measure(
        name="nonfinite",
        label="non-finite values",
        short="NaN",
        kind="count",
        says="how many of the channel's cells are NaN or infinite",
    ),
    Measure(
        name="activation_zeros",
        label="zeros behind the ReLU",
        short="ReLU zeros",
        kind="share",
        says="the share of the channel's cells that are 0 behind the ReLU that follows, as they are or normalised: all are, "
        "where the channel is dead",
    ),
    ChannelMeasure(
        name="mask_auroc",
        label="mask AUROC",
        short="mask",
        kind="score",
        says="how well the map tells the object from the background",
        chance=0.5,
        concept="foreground",
        flat=0.5,
        function=channel_scores.mask_auroc,
        sided=True,
        parts=("best", "median", "lowest"),  # the lowest is that of the best detector of the background
    ),
    ChannelMeasure(
        name="mask_iou",
        label="mask IoU",
        short="IoU",
        kind="score",
        says="overlap of the map's highest cells with the mask, as many cells as the mask has; "
        "q / (2 - q) by chance where the mask has a share q of the cells",
        concept="foreground",
        flat=0.0,
        function=channel_scores.mask_iou,
    ),
    ChannelMeasure(
        name="mask_control",
        label="mask control",
        short="control",
        kind="score",
        says="how well the map tells the objects of OTHER images: what of its mask AUROC is position alone",
        chance=0.5,
        concept="others",
        flat=0.5,
        function=channel_scores.mask_control,
        parts=(),
    ),
    ChannelMeasure(
        name="edge_auroc",
        label="edge AUROC",
        short="edge",
        kind="score",
        says="how well the map's extremes find the input's strongest edges (top 10 %)",
        chance=0.5,
        concept="edges",
        flat=0.5,
        function=channel_scores.edge_auroc,
    ),
    ChannelMeasure(
        name="outline_auroc",
        label="outline AUROC",
        short="outline",
        kind="score",
        says="how well the map's extremes find the object's border",
        chance=0.5,
        concept="outline",
        flat=0.5,
        function=channel_scores.outline_auroc,
    ),
    LayerMeasure(
        name="mask_separation_best",
        label="best mask separation",
        short="separation",
        kind="score",
        says="how well the layer's best channel tells the object, bright or dark; 0.5 to 1, and the best of many is above "
        "chance by chance",
        needs=("mask_auroc",),
        function=layer_scores.mask_separation_best,
    ),
    LayerMeasure(
        name="mask_separation_median",
        label="median mask separation",
        short="med. sep.",
        kind="score",
        says="how well the layer's median channel tells the object, bright or dark; 0.5 to 1, and a little more than 0.5 by "
        "chance",
        needs=("mask_auroc",),
        function=layer_scores.mask_separation_median,
    ),
    LayerMeasure(
        name="mask_excess_best",
        label="highest mask excess",
        short="excess",
        says="the highest, over the layer's channels, of what a channel tells of the object in these very pictures, and not of "
        "where objects usually are; a little more than 0 by chance",
        needs=("mask_auroc", "mask_control"),
        function=layer_scores.mask_excess_best,
    ),
    LayerMeasure(
        name="readout",
        label="readout",
        short="readout",
        kind="score",
        says="how well all channels together tell the object, by a linear readout, on images that it was not fitted on",
        chance=0.5,
        needs=("mask_control",),
        function=layer_scores.readout_score,
    ),
    LayerMeasure(
        name="readout_control",
        label="readout control",
        short="control",
        kind="score",
        says="the same readout of the objects of OTHER images: what of it is position alone",
        chance=0.5,
        needs=("mask_control",),
        function=layer_scores.readout_control,
    ),
    LayerMeasure(
        name="effective_rank",
        label="effective rank",
        short="rank",
        says="how many directions the layer's channels use, from 1 to their number; no chance level",
        function=layer_scores.effective_rank,
    ),
    LayerMeasure(
        name="cka_previous",
        label="CKA with the step before",
        short="CKA prev.",
        kind="score",
        says="how alike the layer is to itself one step before, 1 if nothing has changed; no fixed chance level",
        function=layer_scores.cka_previous,
    ),
    LayerMeasure(
        name="cka_first",
        label="CKA with the first step",
        short="CKA first",
        kind="score",
        says="how alike the layer still is to the untrained one, 1 if nothing has changed; no fixed chance level",
        function=layer_scores.cka_first,
    ),
    LayerMeasure(
        name="training_cka",
        label="CKA with training mode",
        short="CKA train.",
        kind="score",
        says="how alike the layer is in evaluation mode and in training mode, 1 if it is the same in both; no fixed chance level",
        twice=True,
        function=layer_scores.training_cka,
    ),
    LayerMeasure(
        name="training_gap",
        label="training gap",
        short="gap",
        says="by how much the layer's best channel tells the object better in training mode than in evaluation mode",
        chance=0.0,
        needs=("mask_auroc",),
        twice=True,
        function=layer_scores.training_gap,
    ),
    LayerMeasure(
        name="checkerboard",
        label="checkerboard",
        short="checkers",
        says="how much the layer's maps show the period of the upsampling that made them; pictures have 0 or less",
        chance=0.0,
        function=layer_scores.checkerboard,
    ),
    LayerMeasure(
        name="gridding",
        label="gridding",
        short="gridding",
        says="how much the layer's maps show the period of its own dilation; pictures have 0 or less",
        chance=0.0,
        function=layer_scores.gridding,
    ),
    LayerMeasure(
        name="border",
        label="border response",
        short="border",
        says="how much the outermost rows of the layer's maps differ from those inside them, from 0 to 1",
        chance=0.0,
        function=layer_scores.border,
    ),
    LayerMeasure(
        name="coherence",
        label="coherence",
        short="coherence",
        says="how alike neighbouring cells of the layer's maps are, from -1 to 1",
        chance=0.0,
        function=layer_scores.coherence,
    ),
    LayerMeasure(
        name="duplicates",
        label="duplicate channels",
        short="alike",
        says="the part of the layer's channels, from 0 to 1, that show what another one shows, bright or dark; no fixed chance level",
        function=layer_scores.duplicates,
    ),
    LayerMeasure(
        name="dead_or_flat",
        label="dead or flat channels",
        short="dead",
        kind="share",
        says="the share of the layer's channels that show one value everywhere; no chance level",
        function=layer_scores.dead_or_flat,
    ),
    LayerMeasure(
        name="dormant",
        label="dormant channels",
        short="dormant",
        kind="share",
        says="the share of the layer's channels of less than 2.5 % of its mean magnitude; no chance level",
        function=layer_scores.dormant,
    ),
)

#: What is said of a summary, by the attribute of `Summary`.
_PARTS = {
    "best": "in the layer's highest channel: {says}; the best of many is above chance by chance",
    "median": "in the layer's median channel: {says}",
    "lowest": "in the layer's lowest channel: {says}; the lowest of many is below chance by chance",
}


def fields(cells: Cells) -> tuple[str, ...]:
    """Names of the channel measures that exist with these concepts, in the order in which they are stored."""
    return tuple(each.name for each in _of_channels(cells.named) if each.concept is None or cells.exists(each.concept))


def summaries(fields: Iterable[str], twice: bool = False) -> tuple[str, ...]:
    """Names of all that is known of a layer as a whole: the same at each step, in the order in which it is listed.

    Args:
        fields: Names of the layer's channel measures, and numbers.
        twice: Whether there is a pass in training mode, too.
    """
    existing = [*fields]
    channels = [
        f"{each.name}_{part}" for each in _of_channels(existing) if each.name in existing for part in each.parts
    ]
    return (*channels, *(each.name for each in _of_layers(existing, twice)))


def described(fields: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """What people are told of each measure and summary, by name, in the table's order; content for JSON.

    Args:
        fields: Names of channel measures, among which may be such as are not in the table: of labels and named concepts.

    Returns:
        For each name `label`, `short`, `kind`, `chance` (a number or None), `says` and `sided`, as in `Measure`, but with
        its chance said; and, None but for a summary of a layer, `of`, the channel measure, and `part`, which summary it is.
    """
    result: dict[str, dict[str, Any]] = {}
    for each in (*MEASURES, *_of_names(fields)):
        result[each.name] = _words(each.label, each.short, each.kind, each.chance, each.says)
        result[each.name]["sided"] = isinstance(each, ChannelMeasure) and each.sided
        for part in each.parts if isinstance(each, ChannelMeasure) else ():
            says = _PARTS[part].format(says=each.says)
            chance = each.chance if part == "median" else None  # the best of many channels has none of its own
            words = _words(f"{part} {each.label}", f"{part} {each.short}", each.kind, chance, says)
            result[f"{each.name}_{part}"] = words | {"of": each.name, "part": part}
    return result


def measure(maps: np.ndarray, numbers: np.ndarray, cells: Cells) -> dict[str, np.ndarray]:
    """The scores of each channel, over the cells of all probe images together.

    Where a concept has no cell at this size, or nothing but cells, its scores are NaN. A dead or flat channel scores
    `ChannelMeasure.flat`. With no finite value, or one that is the same everywhere beside the others, nothing was
    measured: NaN, and not chance, as if it had been.

    Args:
        maps: uint8 (N, channels, *sizes), each channel scaled to its own low and high over all images.
        numbers: float32 (channels, at least 7) in the order of `format.NUMBERS`.
        cells: The concepts at these sizes.

    Returns:
        float32 (channels,) for each name of `fields`.

    Raises:
        ValueError: if the concepts are of another size, or number of images.
    """
    levels, signal = Levels(maps, cells), status(numbers, maps[:, 0].size)
    flat, unknown = signal != Status.LIVE, signal == Status.NONFINITE
    scores: dict[str, np.ndarray] = {}
    existing = fields(cells)
    for each in _of_channels(cells.named):
        if each.name in existing:
            values = each.function(levels)
            values = np.where(flat & ~np.isnan(values), each.flat, values)
            scores[each.name] = np.where(unknown, np.nan, values).astype(np.float32)
    return scores


@dataclass(frozen=True)
class Summary:
    """A layer's scores of one measure; NaN, and no channel, where no channel has a score.

    The best of C channels exceeds chance by chance, the more so the fewer cells: show the median and the untrained
    network beside it.

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


def measure_layer(layer: LayerStep) -> dict[str, float]:
    """What is known of a layer as a whole at a step.

    Args:
        layer: The layer at this step.

    Returns:
        The value of each name of `summaries`, in their order; NaN where it is not defined.
    """
    channels = [each for each in _of_channels(layer.scores) if each.name in layer.scores]
    parts = {each.name: summary(layer.scores[each.name]) for each in channels}
    values = {f"{each.name}_{part}": getattr(parts[each.name], part) for each in channels for part in each.parts}
    return values | {each.name: each.function(layer) for each in _of_layers(layer.scores, layer.training is not None)}


def _of_channels(names: Iterable[str]) -> list[ChannelMeasure]:
    """The table's, and those of labels and named concepts that are among the names."""
    fixed = [each for each in MEASURES if isinstance(each, ChannelMeasure)]
    return fixed + [each for each in _of_names(names) if isinstance(each, ChannelMeasure)]


def _of_layers(fields: Iterable[str], twice: bool) -> list[LayerMeasure]:
    """Those that exist with these measures of channels, and with or without a pass in training mode."""
    known = [*fields]
    every = [each for each in (*MEASURES, *_of_names(known)) if isinstance(each, LayerMeasure)]
    return [each for each in every if all(name in known for name in each.needs) and (twice or not each.twice)]


def _of_names(fields: Iterable[str]) -> list[Measure]:
    """The measures of labels and named concepts: the score of channels, and how well the best of a layer's tells it."""
    fixed = {each.name for each in MEASURES}
    measures: list[Measure] = []
    for field in fields:
        name = field.removesuffix(score_of(""))
        if field in fixed or field != score_of(name):
            continue
        measures += [
            ChannelMeasure(
                name=field,
                label=f"{name} AUROC",
                short=name,
                kind="score",
                says=f"how well the map tells {name} from all else",
                chance=0.5,
                concept=field,
                flat=0.5,
                function=partial(channel_scores.concept_auroc, concept=field),
                sided=True,
                parts=(),
            ),
            LayerMeasure(
                name=f"{name}_separation_best",
                label=f"best {name} separation",
                short=f"{name} sep.",
                kind="score",
                says=f"how well the layer's best channel tells {name} from all else, bright or dark; 0.5 to 1, and the best "
                "of many is above chance by chance",
                needs=(field,),
                function=partial(layer_scores.concept_separation_best, name=name),
            ),
            LayerMeasure(
                name=excess_of(name),
                label=f"{name} excess",
                short=f"{name} exc.",
                says=f"what the channel that tells {name} best tells of it in these very pictures, and not of where it usually is; "
                "about 0 by chance",
                needs=(field, "mask_control"),
                function=partial(layer_scores.concept_excess, name=name),
            ),
        ]
    return measures


def _words(label: str, short: str, kind: str, chance: float | None, says: str) -> dict[str, Any]:
    told = says if chance is None else f"{says}; chance is {chance:g}"
    return {
        "label": label,
        "short": short,
        "kind": kind,
        "chance": chance,
        "says": told,
        "of": None,
        "part": None,
        "sided": False,
    }
