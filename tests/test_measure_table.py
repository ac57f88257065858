"""What must hold for every entry of the table of measures, so that a new one needs a test of its values and no more."""

import json
import re

import numpy as np
import pytest

from fm_callback.format import BEHIND, NUMBERS
from fm_callback.scores import measures
from fm_callback.scores.activations import Activations
from fm_callback.scores.concepts import Cells
from fm_callback.scores.history import LayerHistory
from fm_callback.scores.layer_scores import LayerStep
from fm_callback.scores.measures import MEASURES, ChannelMeasure, LayerMeasure, described, fields, measure, summaries

CHANNEL = [each for each in MEASURES if isinstance(each, ChannelMeasure)]
LAYER = [each for each in MEASURES if isinstance(each, LayerMeasure)]
SHAPE = (4, 16, 30, 30)  # images, channels, height, width
#: What readers of stored logs rely on: none of these may be renamed, or change places.
STORED = [
    *("mask_auroc", "mask_iou", "edge_auroc", "outline_auroc"),
    *("effective_rank", "cka_previous", "cka_first", "dead_or_flat", "dormant"),
]

by_name = pytest.mark.parametrize("entry", CHANNEL, ids=lambda entry: entry.name)
layers_by_name = pytest.mark.parametrize("entry", LAYER, ids=lambda entry: entry.name)


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, SHAPE).astype(np.uint8)


def numbers(low=-1.0, high=1.0, nonfinite=0):
    """Of channels that are all alike."""
    flat = low == high
    row = [low, high, (low + high) / 2, max(abs(low), abs(high)) / 2, 0 if flat else (high - low) / 4, 0, nonfinite]
    return np.tile(np.array(row, np.float32), (SHAPE[1], 1))


def cells(share=0.3):
    """Concepts that have nothing to do with the maps, each on a share of the cells."""
    concepts = np.random.default_rng(9).random((3, SHAPE[0], *SHAPE[2:])) < share
    foreground, edges, outline = concepts
    return Cells(foreground, ~foreground, edges, outline)


def names():
    return [each.name for each in MEASURES]


# Words


@pytest.mark.parametrize("entry", MEASURES, ids=lambda entry: entry.name)
def test_an_entry_says_what_people_need(entry):
    assert re.fullmatch("[a-z][a-z_]*", entry.name)
    assert entry.kind in ("score", "share", "count", "value")
    assert entry.label and entry.short and len(entry.short) <= 10
    assert entry.says[0].islower() and not entry.says.endswith("."), "the rest of a sentence"
    if isinstance(entry, ChannelMeasure | LayerMeasure):
        assert "chance" in described()[entry.name]["says"]


@pytest.mark.parametrize("entry", CHANNEL + LAYER, ids=lambda entry: entry.name)
def test_the_docstring_of_a_function_is_the_definition(entry):
    text = entry.function.__doc__
    words = [r"\b[01] to \S", "chance", "NaN", r"8[ -]bit|cka", "Source|source|ours"]
    words += ["[Tt]ies"] if isinstance(entry, ChannelMeasure) else []
    assert [word for word in words if not re.search(word, text)] == []
    if entry.chance is not None:
        assert f"chance {entry.chance:g}".replace("0.", ".") in text


def test_names_are_told_apart_and_stay():
    assert len(set(names())) == len(names()) == len({each.label for each in MEASURES})
    assert tuple(names()[: len(NUMBERS)]) == NUMBERS, "what the capture stores is described, in its order"
    assert [name for name in names() if name in STORED] == STORED


# Channels


def test_what_exists_follows_from_the_concepts():
    every = cells()
    assert fields(every) == tuple(each.name for each in CHANNEL)
    assert fields(Cells()) == tuple(each.name for each in CHANNEL if each.concept is None)
    for concept in ("edges", "outline"):
        alone = Cells(**{name: getattr(every, name) if name == concept else None for name in every.present})
        assert fields(alone) == tuple(each.name for each in CHANNEL if each.concept in (None, concept))
        assert tuple(measure(noise(0), numbers(), alone)) == fields(alone)


@by_name
def test_scores_lie_in_their_range_and_at_chance_on_noise(entry):
    scores = measure(noise(0), numbers(), cells())[entry.name]
    assert scores.dtype == np.float32 and scores.shape == (SHAPE[1],)
    assert entry.kind != "score" or ((scores >= 0) & (scores <= 1)).all()
    if entry.chance is not None:
        assert scores.mean() == pytest.approx(entry.chance, abs=0.01)


@by_name
def test_a_channel_without_a_signal(entry):
    nothing = np.zeros(SHAPE, np.uint8)
    for dull in (numbers(0.0, 0.0), numbers(2.0, 2.0)):
        assert (measure(nothing, dull, cells())[entry.name] == np.float32(entry.flat)).all()
    assert entry.chance is None or entry.flat == entry.chance
    for unknown in (numbers(np.nan, np.nan, nonfinite=7), numbers(0.0, 0.0, nonfinite=7)):
        assert np.isnan(measure(nothing, unknown, cells())[entry.name]).all()


@by_name
def test_a_concept_without_cells_or_with_all_of_them(entry):
    if entry.concept is None:
        pytest.skip("needs no concept")
    for share in (0.0, 1.0):
        for maps, values in ((noise(0), numbers()), (np.zeros(SHAPE, np.uint8), numbers(0.0, 0.0))):
            assert np.isnan(measure(maps, values, cells(share))[entry.name]).all()


# Layers


def at(maps, values, *earlier):
    steps = [Activations.of(each, values) for each in (maps, *earlier)]
    given = dict(zip(("now", "previous", "first"), steps, strict=False))
    return LayerStep(
        values,
        **given,
        scores=measure(maps, values, cells()),
        maps=maps,
        cells=cells(),
        period=2,
        dilation=2,
        training=(maps, values),
    )


@layers_by_name
def test_a_layer_has_one_number_and_it_is_nan_without_what_it_is_made_of(entry):
    value = entry.function(at(noise(0), numbers(), noise(1), noise(2)))
    assert isinstance(value, float) and np.isfinite(value)
    assert entry.kind == "value" or 0 <= value <= 1
    of_nothing = entry.function(at(*(np.zeros(SHAPE, np.uint8), numbers(0.0, 0.0)), *[np.zeros(SHAPE, np.uint8)] * 2))
    if entry.needs:  # scores, and a channel that shows nothing is at chance
        assert of_nothing == (0.0 if entry.kind == "value" else 0.5)
    else:
        assert of_nothing == 1.0 if entry.kind == "share" else np.isnan(of_nothing)
    at_first = entry.function(at(noise(0), numbers()))
    assert np.isnan(at_first) == entry.name.startswith("cka"), "only these look back"


# What follows from the table


def test_summaries_are_known_before_the_first_step():
    assert summaries(()) == tuple(each.name for each in LAYER if not each.needs and not each.twice)
    assert set(summaries((), twice=True)) == {each.name for each in LAYER if not each.needs}
    assert summaries((*NUMBERS, "mask_auroc", "edge_auroc")) == (
        *("mask_auroc_best", "mask_auroc_median", "mask_auroc_lowest", "edge_auroc_best", "edge_auroc_median"),
        *("mask_separation_best", "mask_separation_median"),
        *summaries(()),
    )
    assert summaries((*NUMBERS, "cat_auroc"))[-1:] == ("cat_separation_best",)
    history, of_layer = LayerHistory("conv", tuple(range(SHAPE[1])), cells()), summaries(fields(cells()))
    for step in (4, 5):
        values = history.add(step, noise(step), numbers(), measure(noise(step), numbers(), cells()))
        assert tuple(values) == of_layer
        assert all(isinstance(value, float) for value in values.values())


def test_everything_that_is_stored_of_a_layer_is_described():
    told = described()
    assert json.loads(json.dumps(told)) == told and list(json.loads(json.dumps(told))) == list(told)
    assert {*NUMBERS, BEHIND, *fields(cells()), *summaries(fields(cells()), twice=True)} == told.keys()
    assert all(
        list(words) == ["label", "short", "kind", "chance", "says", "of", "part", "sided"] for words in told.values()
    )
    assert told["mask_auroc"] == {
        "label": "mask AUROC",
        "short": "mask",
        "kind": "score",
        "chance": 0.5,
        "says": "how well the map tells the object from the background; chance is 0.5",
        "of": None,
        "part": None,
        "sided": True,
    }
    median, best = told["mask_auroc_median"], told["mask_auroc_best"]
    assert (median["label"], median["chance"], median["of"], median["part"]) == (
        "median mask AUROC",
        0.5,
        "mask_auroc",
        "median",
    )
    assert best["chance"] is None and "best of many" in best["says"], "the best of many is not at chance by chance"


def test_a_new_measure_is_one_function_and_one_entry(monkeypatch):
    def brightness(levels):
        return levels.every @ np.arange(256) / levels.every.sum(axis=1)

    entry = ChannelMeasure(
        name="light", label="light", short="light", says="is light", concept=None, flat=0.0, function=brightness
    )
    monkeypatch.setattr(measures, "MEASURES", (*MEASURES[:-1], entry, MEASURES[-1]))
    for concepts in (cells(), Cells()):
        scores = measure(noise(0), numbers(), concepts)
        assert fields(concepts) == tuple(scores) and list(scores)[-1] == "light"
        assert scores["light"] == pytest.approx(noise(0).mean(axis=(0, 2, 3)))
    values = LayerHistory("conv", tuple(range(SHAPE[1])), cells()).add(0, noise(0), numbers(), scores)
    assert tuple(values) == summaries(scores) and values["light_best"] == scores["light"].max()
    assert described()["light_median"]["says"] == "in the layer's median channel: is light"
