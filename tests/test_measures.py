"""The scores against closed forms, independent implementations, and what must hold for any map."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, norm
from sklearn.metrics import jaccard_score, roc_auc_score
from support.masks import masks_of

from fm_callback import FeatureMapExtractor
from fm_callback.scores import activations
from fm_callback.scores.activations import Activations, cka
from fm_callback.scores.concepts import Cells, Concepts, luminance
from fm_callback.scores.layer_scores import LayerStep, dormant, effective_rank
from fm_callback.scores.measures import MEASURES, ChannelMeasure, fields, measure, summary
from fm_callback.scores.status import Status, is_dormant, status

CHANNEL_MEASURES = [each for each in MEASURES if isinstance(each, ChannelMeasure)]


def stored(values):
    """Maps and numbers of float values (N, channels, h, w), after the definition of the stored format, not after its code."""
    values = np.asarray(values, np.float64)
    maps, numbers = np.zeros(values.shape, np.uint8), np.full((values.shape[1], 7), np.nan, np.float32)
    for channel in range(values.shape[1]):
        one = values[:, channel]
        finite = np.isfinite(one)
        some = one[finite]
        numbers[channel, 5:] = np.mean(one == 0), np.sum(~finite)
        if some.size:
            low, high = some.min(), some.max()
            numbers[channel, :5] = low, high, some.mean(), np.abs(some).mean(), some.std()
            if high > low:
                maps[:, channel][finite] = np.floor((some - low) / (high - low) * 255 + 0.5)
    return maps, numbers


def as_values(levels):
    """Maps that are their own values, uint8 (N, channels, h, w)."""
    return levels, stored(levels)[1]


def cells_of(foreground, ignore=None, edges=None):
    """Concepts at the size of a map as they are."""
    counted = np.ones_like(foreground) if ignore is None else ~ignore
    return Cells(foreground & counted, ~foreground & counted, edges, ignore)


def existing(cells):
    """The measures of channels that there are with these concepts."""
    return [each for each in CHANNEL_MEASURES if each.concept is None or cells.exists(each.concept)]


def layer_of(maps, numbers):
    """A layer at its first step."""
    return LayerStep(numbers, Activations.of(maps, numbers))


def channels_first(*channels):
    """(N, channels, h, w) of maps (N, h, w)."""
    return np.stack(channels, axis=1)


# Closed forms


@pytest.fixture(scope="module")
def disc():
    """A disc of a share of .319 of one image of 600x600."""
    rows, columns = np.mgrid[:600, :600] - 299.5
    mask = (np.hypot(rows, columns) < 600 * np.sqrt(0.319 / np.pi))[None]
    assert mask.mean() == pytest.approx(0.319, abs=1e-3)
    return mask


def test_closed_forms(disc):
    generator = np.random.default_rng(0)
    p = disc.mean()
    noise = generator.normal(size=disc.shape)
    channels = channels_first(disc * 3.0 - 1, disc + noise, 1.0 - disc, noise, 0.0 * disc)
    cells = cells_of(disc)
    scores = measure(*stored(channels), cells)
    # Of the sum of mask and noise: the threshold leaves as much above it as the mask has.
    threshold = min(np.linspace(-3, 4, 7001), key=lambda t: abs(p * norm.sf(t - 1) + (1 - p) * norm.sf(t) - p))
    hit = p * norm.sf(threshold - 1)
    assert scores["mask_auroc"] == pytest.approx([1, norm.cdf(np.sqrt(0.5)), 0, 0.5, 0.5], abs=0.005)
    assert scores["mask_iou"] == pytest.approx([1, hit / (2 * p - hit), 0, p / (2 - p), 0], abs=0.005)
    assert scores["mask_auroc"] == pytest.approx([1, 0.759, 0, 0.499, 0.5], abs=0.005), "the table of the definitions"
    assert scores["mask_iou"] == pytest.approx([1, 0.395, 0, 0.189, 0], abs=0.005), "the table of the definitions"
    exact = [0, 2, 4]
    assert scores["mask_auroc"][exact].tolist() == [1, 0, 0.5] and scores["mask_iou"][exact].tolist() == [1, 0, 0]
    assert cells.area == p


def test_a_binary_map_of_the_outline(disc):
    """Two levels give one point of the curve: AUROC = (1 + P(bright | object) - P(bright | background)) / 2."""
    inner, outer = (np.roll(disc, 6, axis=axis) for axis in (1, 2))
    bright = (inner ^ disc) | (outer ^ disc)
    scores = measure(*stored(channels_first(bright)), cells_of(disc))
    assert scores["mask_auroc"][0] == pytest.approx((1 + bright[disc].mean() - bright[~disc].mean()) / 2, abs=1e-6)
    assert scores["mask_iou"][0] == pytest.approx((bright & disc).sum() / (bright | disc).sum(), abs=1e-6)


def test_edges_and_outline_found_on_either_side_of_the_median():
    generator = np.random.default_rng(1)
    edges, ignore = (generator.random((2, 30, 30)) < share for share in (0.2, 0.1))
    sign = generator.choice([-1.0, 1.0], edges.shape)
    scores = measure(
        *stored(channels_first(edges * sign, ~edges * sign, ignore * sign, 0 * sign)), cells_of(sign > 0, ignore, edges)
    )
    assert scores["edge_auroc"][[0, 1, 3]].tolist() == [1, 0, 0.5]
    assert scores["outline_auroc"][[2, 3]].tolist() == [1, 0.5]


# Independent implementations


def tails(generator, shape):
    """Maps of several distributions, with a little of the concepts in them; named for the message of a failing test."""
    normal = generator.normal(size=shape)
    return {
        "normal": normal,
        "uniform": generator.random(shape),
        "rectified": np.maximum(normal, 0),
        "negative": -np.maximum(normal, 0) - 5,
        "bimodal": normal + 6 * (generator.random(shape) < 0.5),
        "heavy": generator.standard_cauchy(shape),
        "coarse": np.round(normal),
    }


@pytest.fixture(scope="module", params=[(1, 160, 160), (4, 20, 20), (16, 3, 5), (2, 1, 7)], ids=str)
def case(request):
    """Random maps by name, their concepts, and the scores."""
    generator = np.random.default_rng(sum(request.param))
    shape = request.param
    labels = generator.choice(3, shape, p=[0.6, 0.3, 0.1])
    edges = generator.random(shape) < 0.2
    labels.flat[:2], edges.flat[:2] = (0, 1), (True, False)
    cells = cells_of(labels == 1, labels == 2, edges)
    maps = {name: values + 0.3 * np.std(values) * (labels == 1) for name, values in tails(generator, shape).items()}
    levels, numbers = stored(channels_first(*maps.values()))
    return maps, levels, cells, measure(levels, numbers, cells)


def distance(values):
    return np.abs(values - np.median(values))


def test_auroc_of_the_levels_is_exact(case):
    maps, levels, cells, scores = case
    counted = cells.foreground | cells.background
    for at in range(len(maps)):
        level = levels[:, at].astype(float)
        inside, outside = level[cells.foreground], level[cells.background]
        statistic = mannwhitneyu(inside, outside).statistic / inside.size / outside.size
        assert scores["mask_auroc"][at] == pytest.approx(statistic, abs=1e-6)
        assert scores["mask_auroc"][at] == pytest.approx(
            roc_auc_score(cells.foreground[counted], level[counted]), abs=1e-6
        )
        for name, concept in (("edge_auroc", cells.edges), ("outline_auroc", cells.outline)):
            if concept.any():
                expected = roc_auc_score(concept.ravel(), distance(level).ravel())
                assert scores[name][at] == pytest.approx(expected, abs=1e-6), name


def iou_of(values, cells):
    """IoU as scikit-learn counts it, of what is above the quantile as numpy takes it."""
    counted = cells.foreground | cells.background
    values, truth = values[counted], cells.foreground[counted]
    return jaccard_score(truth, values > np.sort(values)[-1 - truth.sum()], zero_division=0.0)


def test_iou_of_the_levels_is_exact(case):
    maps, levels, cells, scores = case
    for at in range(len(maps)):
        assert scores["mask_iou"][at] == pytest.approx(iou_of(levels[:, at], cells), abs=1e-6)


def pairs(values, concept, others):
    """Values of all pairs of a cell of the concept and another, as two arrays that broadcast; at most 400 of each."""
    return values[concept][:400, None], values[others][None, :400]


def test_eight_bits_stay_within_their_bounds(case):
    """The bounds are those of each function's docstring, here counted pair by pair on the values themselves."""
    maps, levels, cells, scores = case
    for at, (name, values) in enumerate(maps.items()):
        level = levels[:, at].astype(int)
        share = [
            np.bincount(level[concept], minlength=256) / concept.sum()
            for concept in (cells.foreground, cells.background)
        ]
        exact = roc_auc_score(
            np.r_[np.ones(cells.counts["foreground"]), np.zeros(cells.counts["background"])],
            np.r_[values[cells.foreground], values[cells.background]],
        )
        assert abs(scores["mask_auroc"][at] - exact) <= np.sum(share[0] * share[1]) / 2 + 1e-6, name

        counted = cells.foreground | cells.background
        threshold = np.sort(level[counted])[-1 - cells.counts["foreground"]]
        missing = cells.counts["foreground"] - np.sum(level[counted] > threshold)
        union = np.sum(cells.foreground | (level > threshold) & counted)
        assert abs(scores["mask_iou"][at] - iou_of(values, cells)) <= missing / union + 1e-6, name

        middle = np.median(level)
        one, other = pairs(level, cells.edges, ~cells.edges)
        opposite = ((one - middle) * (other - middle) <= 0) & (one != other)
        doubt = opposite & (np.abs(np.abs(one - middle) - np.abs(other - middle)) <= 2)
        bound = np.mean((one == other) / 2 + doubt)
        one, other = pairs(distance(values), cells.edges, ~cells.edges)
        exact = np.mean((one > other) + (one == other) / 2)
        one, other = pairs(distance(level), cells.edges, ~cells.edges)
        assert abs(np.mean((one > other) + (one == other) / 2) - exact) <= bound + 1e-6, name


def test_eight_bits_cost_less_than_half_a_percent(case):
    """On maps of ordinary distributions, with cells enough that one does not weigh as much."""
    maps, _, cells, scores = case
    if cells.edges.size < 1000:
        pytest.skip("one cell of a small map weighs more than the tolerance")
    for at, (name, values) in enumerate(maps.items()):
        if name == "heavy":
            continue
        counted = cells.foreground | cells.background
        assert scores["mask_auroc"][at] == pytest.approx(
            roc_auc_score(cells.foreground[counted], values[counted]), abs=0.005
        )
        assert scores["edge_auroc"][at] == pytest.approx(
            roc_auc_score(cells.edges.ravel(), distance(values).ravel()), abs=0.005
        )
        assert scores["mask_iou"][at] == pytest.approx(iou_of(values, cells), abs=0.01), name


# What holds for any map


@st.composite
def cases(draw, top=255):
    """Levels (N, channels, h, w) and concepts at their size, each with a cell inside and one outside."""
    shape = draw(st.sampled_from([(1, 2, 2), (2, 3, 4), (3, 1, 5), (1, 6, 6)]))
    levels = draw(arrays(np.uint8, (shape[0], 3, *shape[1:]), elements=st.integers(0, top)))
    labels = draw(arrays(np.uint8, shape, elements=st.integers(0, 2)))
    edges = draw(arrays(bool, shape))
    labels.flat[:3], edges.flat[:2] = (0, 1, 2), (True, False)
    return levels, cells_of(labels == 1, labels == 2, edges)


@settings(deadline=None)
@given(cases(top=40), st.lists(st.integers(0, 255), min_size=41, max_size=41, unique=True))
def test_mask_scores_do_not_change_under_an_increasing_map(case, image):
    levels, cells = case
    before, after = (measure(*as_values(each), cells) for each in (levels, np.sort(image).astype(np.uint8)[levels]))
    for name in ("mask_auroc", "mask_iou"):
        assert np.array_equal(before[name], after[name])


@settings(deadline=None)
@given(cases())
def test_negation(case):
    levels, cells = case
    before, after = (measure(*as_values(each), cells) for each in (levels, 255 - levels))
    assert after["mask_auroc"] == pytest.approx(1 - before["mask_auroc"], abs=1e-6)
    for name in ("edge_auroc", "outline_auroc"):
        assert np.array_equal(before[name], after[name])


@settings(deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_permutation_of_pixels(case, random):
    levels, cells = case
    images, channels, height, width = levels.shape
    order = list(range(images * height * width))
    random.shuffle(order)

    def permuted(array):
        return array.reshape(-1)[order].reshape(images, height, width)

    moved = channels_first(*(permuted(levels[:, channel]) for channel in range(channels)))
    after = measure(*as_values(moved), Cells(**{name: permuted(concept) for name, concept in cells.present.items()}))
    for name, scores in measure(*as_values(levels), cells).items():
        assert name == "mask_control" or np.array_equal(scores, after[name])


@settings(deadline=None)
@given(cases(), st.floats(-1e6, 1e6, width=32))
def test_a_flat_channel_is_exactly_chance(case, value):
    levels, cells = case
    values = levels.astype(float)
    values[:, 1] = value
    scores = measure(*stored(values), cells)
    assert {name: scores[name][1] for name in scores} == {each.name: each.flat for each in existing(cells)}
    assert scores["mask_auroc"][1] == scores["edge_auroc"][1] == 0.5 and scores["mask_iou"][1] == 0


@settings(deadline=None)
@given(cases(), st.sampled_from([np.nan, np.inf, -np.inf]), st.booleans())
def test_nan_never_spreads(case, value, everywhere):
    levels, cells = case
    values = levels.astype(float)
    values[0, 0, 0, 0] = 256  # so that the layer's largest magnitude stays
    before = measure(*stored(values), cells)
    values[:, 1, ...] = np.where(everywhere | (np.indices(values[:, 1].shape).sum(0) == 0), value, values[:, 1])
    maps, numbers = stored(values)
    after = measure(maps, numbers, cells)
    unknown = status(numbers)[1] == Status.NONFINITE
    assert unknown or not everywhere
    for name in before:
        assert np.array_equal(before[name][[0, 2]], after[name][[0, 2]])
        assert np.isnan(after[name][1]) == unknown
    others = layer_of(maps[:, [0, 2]], numbers[[0, 2]])
    if everywhere and np.isfinite(effective_rank(others)):
        assert effective_rank(layer_of(maps, numbers)) == pytest.approx(effective_rank(others))


@settings(deadline=None)
@given(cases())
def test_range_type_and_order(case):
    levels, cells = case
    maps, numbers = as_values(levels)
    scores = measure(maps, numbers, cells)
    assert tuple(scores) == fields(cells) == tuple(each.name for each in existing(cells))
    for each in existing(cells):
        values = scores[each.name]
        assert values.dtype == np.float32 and values.shape == (3,)
        assert each.kind != "score" or ((values >= 0) & (values <= 1)).all()
    layer = layer_of(maps, numbers)
    rank = effective_rank(layer)
    assert np.isnan(rank) or 1 - 1e-9 <= rank <= 3 + 1e-9
    likeness = cka(layer.now, layer.now)
    assert np.isnan(likeness) or likeness == pytest.approx(1)


# Cells that are missing


def test_a_concept_without_cells_has_no_score():
    levels = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4)
    nothing, everything = np.zeros((1, 4, 4), bool), np.ones((1, 4, 4), bool)
    for inside in (nothing, everything):
        scores = measure(*as_values(levels), cells_of(inside, nothing, inside))
        assert list(scores) == [each.name for each in CHANNEL_MEASURES if each.concept != "others"]
        assert all(
            np.isnan(scores[each.name]).all() for each in CHANNEL_MEASURES if each.name in scores and each.concept
        )
    flat = measure(*as_values(0 * levels), cells_of(nothing))
    assert np.isnan(flat["mask_auroc"]).all(), "not even a flat map has a score where nothing is looked for"


def test_an_object_lost_at_the_size_of_the_map():
    labels = np.zeros((1, 64, 64), int)
    labels[0, :3, :3] = 1
    concepts = Concepts(None, masks_of(labels == 1, None))
    levels = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4)
    assert np.isnan(measure(*as_values(levels), concepts.at(4, 4))["mask_auroc"]).all()
    assert measure(np.zeros((1, 1, 64, 64), np.uint8), stored(np.zeros((1, 1, 1, 1)))[1], concepts.at(64, 64))


def test_without_concepts_nothing_is_measured():
    assert measure(*as_values(np.zeros((1, 1, 4, 4), np.uint8)), Cells(None, None, None, None)) == {}


def test_concepts_of_another_size():
    with pytest.raises(ValueError, match="do not fit"):
        measure(*as_values(np.zeros((1, 1, 4, 4), np.uint8)), cells_of(np.zeros((2, 4, 4), bool)))


# A network


def test_the_object_s_channel_of_a_trained_head_has_the_highest_mask_auroc():
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32]
    centre, radius = generator.uniform(10, 22, (2, 48, 1, 1)), generator.uniform(5, 9, (48, 1, 1))
    distance = np.hypot(rows - centre[0], columns - centre[1]) - radius
    labels = np.where(distance < -1, 0, np.where(distance > 1, 1, 2))  # object, background, border
    images = ((distance < 0)[..., None] + generator.normal(0, 0.5, (48, 32, 32, 3))).astype("float32")
    layers = [keras.layers.Conv2D(8, 5, padding="same", activation="relu") for _ in range(2)]
    head = keras.layers.Conv2D(3, 3, padding="same", activation="softmax", name="head")
    model = keras.Sequential([keras.Input((32, 32, 3)), *layers, head])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(images[:32], labels[:32], batch_size=8, epochs=20, verbose=0)

    maps = np.moveaxis(FeatureMapExtractor(model)(images[32:])["head"], -1, 1)
    concepts = Concepts(luminance(images[32:]), masks_of(labels[32:] == 0, labels[32:] == 2))
    scores = measure(*stored(maps), concepts.at(32, 32))
    assert summary(scores["mask_auroc"]).channel == 0 and scores["mask_auroc"][0] > 0.95
    assert np.argmin(scores["mask_auroc"]) == 1, "the background's channel is the best detector of the background"
    assert summary(scores["mask_iou"]).channel == 0


def test_measuring_needs_no_keras():
    code = (
        "import sys, fm_callback.scores.history; sys.exit(bool({'keras', 'fm_callback.capture'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# What is known of a channel without any concept


def test_status():
    values = np.zeros((2, 8, 3, 3))
    values[:, 0, 1, 1] = 1.0
    values[:, 2] = -3.0
    values[:, 3] = np.nan
    values[0, 4, 0, 0] = np.inf  # and zero everywhere else
    values[0, 5] = np.nan
    values[1, 5, :, 1] = 2.0
    values[0, 6, 0, 0] = 1e-12  # nothing beside the layer's largest, 1e3
    values[:, 7, 0] = 1e3
    live, nonfinite = Status.LIVE, Status.NONFINITE
    expected = [live, Status.DEAD, Status.FLAT, nonfinite, nonfinite, live, Status.DEAD, live]
    numbers = stored(values)[1]
    assert status(numbers).tolist() == expected
    assert status(stored(np.full((1, 2, 2, 2), np.nan))[1]).tolist() == [nonfinite] * 2
    numbers[1, :2], numbers[1, 4] = 0.1, 1e-5  # one value, whose mean float32 can't hold
    assert status(numbers)[1] == Status.FLAT


def test_one_cell_alone_is_not_flat():
    maps, numbers = stored([[[[3.0]], [[0.0]], [[np.nan]]]])
    assert status(numbers, 1).tolist() == [Status.LIVE, Status.DEAD, Status.NONFINITE]
    assert status(stored(np.full((2, 1, 1, 1), 3.0))[1], 2).tolist() == [Status.FLAT], "two images alike are"
    scores = measure(maps, numbers, Cells(np.ones((1, 1, 1), bool), np.zeros((1, 1, 1), bool)))
    assert np.isnan(scores["mask_auroc"]).all() and np.isnan(scores["mask_iou"]).all()


def test_dormant():
    values = np.ones((1, 5, 2, 2)) * np.array([1.0, -1.0, 0.05, 0.04, np.nan])[:, None, None]
    mean = (1 + 1 + 0.05 + 0.04) / 4
    assert 0.04 / mean > 0.025
    assert is_dormant(stored(values)[1]).tolist() == [False] * 5
    values[:, 3] = 0.012
    assert is_dormant(stored(values)[1]).tolist() == [False, False, False, True, False]
    assert is_dormant(stored(np.zeros((1, 2, 2, 2)))[1]).tolist() == [True, True]
    assert is_dormant(stored(np.full((1, 2, 2, 2), np.nan))[1]).tolist() == [False, False]
    assert dormant(layer_of(*stored(values))) == 0.2


# Layers


def test_summary():
    found = summary(np.array([0.4, np.nan, 0.9, 0.2], np.float32))
    assert (found.channel, *np.round([found.best, found.lowest, found.median], 6)) == (2, 0.9, 0.2, 0.4)
    nothing = summary(np.full(3, np.nan, np.float32))
    assert nothing.channel is None and np.isnan([nothing.best, nothing.lowest, nothing.median]).all()


def matrix(values):
    """Centred cells x channels."""
    flat = np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])
    return flat - flat.mean(0)


def reference_rank(values):
    share = np.linalg.svd(matrix(values), compute_uv=False)
    share = share[share > 1e-9] / share.sum()
    return np.exp(-np.sum(share * np.log(share)))


def reference_cka(one, other):
    """By the kernels: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))."""
    kernels = [matrix(each) @ matrix(each).T for each in (one, other)]
    hsic = [np.sum(a * b) for a, b in ((kernels[0], kernels[1]), (kernels[0], kernels[0]), (kernels[1], kernels[1]))]
    return hsic[0] / np.sqrt(hsic[1] * hsic[2])


@pytest.fixture(scope="module")
def low_rank():
    """Two steps of a layer: 32 channels of four common maps each, and half of it new at the second."""
    generator = np.random.default_rng(2)
    sources, weights = generator.normal(size=(3, 4, 20, 20)), generator.normal(size=(32, 4))
    old = np.einsum("nshw,cs->nchw", sources, weights)
    new = old + np.einsum("nshw,cs->nchw", generator.normal(size=(3, 4, 20, 20)), weights)
    return old, new


def test_layer_measures_equal_those_of_the_values(low_rank):
    old, new = low_rank
    one, other = (layer_of(*stored(each)) for each in low_rank)
    assert effective_rank(one) == pytest.approx(reference_rank(old), abs=0.15)
    assert cka(one.now, other.now) == pytest.approx(reference_cka(old, new), abs=0.005)
    noise = np.random.default_rng(3).normal(size=old.shape)
    assert effective_rank(layer_of(*stored(noise))) == pytest.approx(reference_rank(noise), abs=0.05)
    assert cka(one.now, Activations.of(*stored(noise))) == pytest.approx(reference_cka(old, noise), abs=0.005)


def test_effective_rank_of_copies_and_of_orthogonal_channels():
    generator = np.random.default_rng(4)
    one = generator.normal(size=(1, 1, 30, 30))
    assert effective_rank(layer_of(*stored(np.repeat(one, 32, 1) * np.arange(1, 33)[:, None, None]))) == (
        pytest.approx(1, abs=1e-3)
    )
    orthogonal = np.linalg.qr(generator.normal(size=(900, 8)))[0].T.reshape(1, 8, 30, 30)
    assert effective_rank(layer_of(*stored(orthogonal))) == pytest.approx(8, abs=0.05)


def test_cka_is_blind_to_scale_and_rotation_but_not_to_chance(low_rank):
    old, _ = low_rank
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(32, 32)))[0]
    turned = 7 * np.einsum("nchw,dc->ndhw", old, rotation)
    sample = Activations.of(*stored(old))
    assert cka(sample, Activations.of(*stored(turned))) == pytest.approx(1, abs=0.005)
    assert cka(sample, sample) == pytest.approx(1)


def test_a_channel_that_is_no_signal_changes_nothing_in_its_layer(low_rank):
    one, other = (layer_of(*stored(each)) for each in low_rank)
    for value in (np.nan, np.inf, 0.0, 5.0):
        extra = np.full((3, 1, 20, 20), value)
        more = [layer_of(*stored(np.concatenate([each, extra], axis=1))) for each in low_rank]
        assert effective_rank(more[0]) == pytest.approx(effective_rank(one))
        assert cka(more[0].now, more[1].now) == pytest.approx(cka(one.now, other.now))


def test_of_a_wide_layer_the_first_channels_count():
    values = np.random.default_rng(7).normal(size=(2, 200, 12, 12))
    maps, numbers = stored(values)
    sample, first = Activations.of(maps, numbers), Activations.of(maps[:, :64], numbers[:64])
    assert np.array_equal(sample.levels, first.levels) and np.array_equal(sample.span, first.span)


def test_a_layer_in_which_nothing_varies():
    flat, one = (
        layer_of(*stored(np.ones((2, 3, 4, 4)))),
        layer_of(*stored(np.arange(3.0).reshape(1, 3, 1, 1))),
    )
    for layer in (flat, one):
        assert np.isnan(effective_rank(layer)) and np.isnan(cka(layer.now, layer.now))


@pytest.mark.parametrize("shape", [(1, 3, 160, 160), (16, 3, 160, 160), (5000, 2, 1, 1), (2, 3, 8, 8)])
def test_the_sample_of_cells(shape):
    generator = np.random.default_rng(6)
    maps = generator.integers(0, 256, shape).astype(np.uint8)
    numbers = np.tile(np.array([0, 1, 0, 0, 0, 0, 0], np.float32), (shape[1], 1))
    sample = Activations.of(maps, numbers)
    cells = shape[0] * shape[2] * shape[3]
    assert sample.levels.shape == (max(shape[0], min(cells, 4096)), shape[1])
    activations.picked.cache_clear()
    assert np.array_equal(sample.levels, Activations.of(maps, numbers).levels)
    assert not np.shares_memory(sample.levels, maps), "a kept sample must not keep the step's buffer alive"
    if cells <= 4096:
        assert np.array_equal(sample.levels, maps.transpose(0, 2, 3, 1).reshape(-1, shape[1]))
