"""Which layers: numbers, paths, the table, and choosing."""

import warnings
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from sd_unet import sd_unet
from zoo import BACKEND, ZOO, data

from fm_callback import conv_layers
from fm_callback.capture.find import Found, find, input_specs, specs_of
from fm_callback.capture.select import select


def conv(name: str, filters: int = 2, **options: Any) -> keras.Layer:
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)


@pytest.fixture(scope="module")
def unet() -> keras.Model:
    return sd_unet((32, 32, 3), filters=(4, 4, 4, 4, 4), neck=4)


@pytest.fixture
def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((8, 8, 2)), conv("a"), layers.ReLU(), conv("b")], name="inner")
    return keras.Sequential([keras.Input((8, 8, 3)), conv("a"), inner, conv("c", 4, use_bias=False)], name="outer")


def paths(found: list[Found]) -> list[str]:
    return [entry.info.path for entry in found]


def found_in(model: keras.Model) -> list[Found]:
    return find(model, input_specs(model)).found


def test_numbers_follow_model_layers_not_the_execution(unet: keras.Model) -> None:
    listed = conv_layers(unet)
    expected = [layer.name for layer in unet.layers if isinstance(layer, layers.Conv2D)]
    assert [layer.name for layer in listed] == expected
    assert [layer.number for layer in listed] == list(range(1, 52))
    assert (listed[27].name, listed[28].name) == ("daspp_plain", "daspp_rate18")


def test_the_table(nested: keras.Model) -> None:
    assert str(conv_layers(nested)).splitlines() == [
        "#  layer    kind    kernel   bias  output",
        "-  -------  ------  -------  ----  ------",
        "1  a        Conv2D  3×3×3×2  2     8×8×2",
        "2  inner/a  Conv2D  3×3×2×2  2     8×8×2",
        "3  inner/b  Conv2D  3×3×2×2  2     8×8×2",
        "4  c        Conv2D  3×3×2×4  -     8×8×4",
    ]
    assert repr(conv_layers(nested)) == str(conv_layers(nested))


def test_facts_of_a_layer() -> None:
    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.SeparableConv2D(4, 5, name="separable", activation="relu"),
            layers.SpectralNormalization(layers.Conv2D(2, 3), name="wrapped"),
        ]
    )
    first, second = conv_layers(model)
    assert (first.kind, first.kernel_shape, first.bias_shape) == ("SeparableConv2D", (5, 5, 3, 1), (4,))
    assert first.output_shape == (None, None, None, 4)
    assert (second.kind, second.path, second.kernel_shape) == ("SpectralNormalization(Conv2D)", "wrapped", (3, 3, 4, 2))


def test_a_shared_layer_has_one_number_for_all_its_calls() -> None:
    listed = conv_layers(ZOO["shared_layer"]().model)
    assert [(layer.number, layer.path) for layer in listed] == [(1, "twice"), (1, "twice#2"), (1, "twice#3")]


def test_a_model_that_only_a_pass_shows_asks_for_samples() -> None:
    animal = ZOO["subclassed"]()
    with pytest.raises(ValueError, match="give `samples`"):
        conv_layers(animal.model)
    assert [layer.path for layer in conv_layers(animal.model, animal.samples)] == ["a", "b"]
    unbuilt = ZOO["subclassed"]().model
    assert [layer.path for layer in conv_layers(unbuilt, animal.samples[0])] == ["a", "b"], "one sample will do"
    with pytest.raises(ValueError, match=r"holds the number .* give `np\.asarray\(samples\)`"):
        conv_layers(ZOO["subclassed"]().model, animal.samples.tolist())


def test_building_to_list_does_not_fix_the_batch() -> None:
    model = keras.Sequential([conv("a"), conv("b")])
    conv_layers(model, data(3, 8, 8, 3))
    assert model.input_shape == (None, 8, 8, 3)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("all", ["a", "inner/a", "inner/b", "c"]),
        (1, ["c"]),
        (2, ["a", "c"]),
        (3, ["a", "inner/b", "c"]),
        (9, ["a", "inner/a", "inner/b", "c"]),
        ([1, -1], ["a", "c"]),
        ([-1, 1], ["a", "c"]),
        ("inner/a", ["inner/a"]),
        (["c", "inner/b"], ["inner/b", "c"]),
        ("inner/*", ["inner/a", "inner/b"]),
        ("a", ["a"]),  # an exact path comes before a name
        ("b", ["inner/b"]),
        (lambda layer: layer.name == "a", ["a", "inner/a"]),
        (["inner", 4], ["c", "inner"]),  # a layer that is no convolution: after them
        (["inner/re_lu*", "c"], None),
    ],
)
def test_choosing(nested: keras.Model, choice: Any, expected: list[str] | None) -> None:
    found = found_in(nested)
    if expected is None:
        with pytest.raises(ValueError, match="no conv layer"):
            select(found, choice)
    else:
        assert paths(select(found, choice)) == expected


def test_all_calls_of_a_shared_layer_come_with_its_number_or_name() -> None:
    found = found_in(ZOO["shared_layer"]().model)
    everything = ["twice", "twice#2", "twice#3"]
    assert paths(select(found, [1])) == everything
    assert paths(select(found, ["twice#2"])) == ["twice#2"]
    assert paths(select(found, ["twi*"])) == everything


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (True, "must be a count"),
        (0, "at least 1; received 0"),
        ([], "empty list"),
        ([0], "no conv layer number 0: numbers go from 1 to 4"),
        ([5], r"from -1 \(the last\) to -4"),
        ("inner/aa", "did you mean 'inner/a'"),
        ("zzz", "The model has 4: a, inner/a, inner/b, c"),
        ([1, "a"], "chosen twice in `layers`: by 1 and by 'a'"),
        ([2.5], r"received 2.5 \(float\)"),
        (lambda layer: False, "no layer satisfies"),
        (layers.Conv2D, "is the class Conv2D: give a predicate"),
    ],
)
def test_a_wrong_choice_says_what_was_possible(nested: keras.Model, choice: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select(found_in(nested), choice)


def test_a_name_of_several_layers_asks_for_a_path() -> None:
    found = found_in(ZOO["colliding_names"]().model)
    with pytest.raises(
        ValueError, match=r"names several layers; give the path of one: left/conv, right/conv, right/core/conv"
    ):
        select(found, "conv")


def test_a_model_without_convolutions_says_so() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, name="dense")])
    with pytest.raises(ValueError, match=r"no convolution layer.*dense"):
        select(found_in(model), "all")
    assert conv_layers(model) == []
    assert paths(select(found_in(model), "dense")) == ["dense"]


@pytest.mark.skipif(BACKEND == "torch", reason="torch loops in Python: nothing there is out of reach")
def test_what_cannot_be_captured_is_named_once_or_refused() -> None:
    animal = ZOO["while_loop"]()
    found = find(animal.model, specs_of(animal.samples), animal.samples).found
    for choice in ("all", 2, "*", lambda layer: isinstance(layer, layers.Conv2D)):
        with pytest.warns(RuntimeWarning, match="'inside': it runs inside a loop") as caught:
            assert paths(select(found, choice)) == ["a", "b"]
        assert len(caught) == 1
    with pytest.raises(ValueError, match="can't be captured: 'inside': it runs inside a loop"):
        select(found, ["inside"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paths(select(found, ["b"])) == ["b"]


def test_a_convolution_that_returns_several_tensors_is_named_or_refused() -> None:
    model = ZOO["several_tensors_from_a_layer"]().model
    assert [(layer.number, layer.path) for layer in conv_layers(model)] == [(1, "both"), (2, "a")]
    with pytest.warns(RuntimeWarning, match="'both': it returns a tuple, not one tensor"):
        assert paths(select(found_in(model), "all")) == ["a"]
    with pytest.raises(ValueError, match="can't be captured: 'both': it returns a tuple"):
        select(found_in(model), "both")


def test_what_wraps_a_wrapped_convolution_takes_its_number_alone() -> None:
    found = found_in(ZOO["wrapped_twice"]().model)
    numbered = [(entry.info.number, entry.info.path, entry.info.kind) for entry in found if entry.info.number]
    assert numbered == [(1, "frames", "TimeDistributed(Conv2D)")]


def test_find_leaves_no_trace_in_the_model() -> None:
    animal = ZOO["monte_carlo_dropout"]()
    conv_layers(animal.model, animal.samples)
    seed = animal.model.drop.seed_generator.state
    before = keras.ops.convert_to_numpy(seed.value)
    conv_layers(animal.model, animal.samples)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(seed.value), before)
