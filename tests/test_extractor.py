"""One compiled pass: traced once, and what it makes of values on the device."""

import inspect
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.decoding import stored
from zoo import BACKEND, ZOO, Animal, data

from fm_callback import FeatureMapCallback, FeatureMapExtractor, conv_layers
from fm_callback.capture import summary
from fm_callback.capture.capture import Capture
from fm_callback.capture.trace import on_one_line
from fm_callback.format import NUMBERS


class Counting(keras.layers.Conv2D):
    """A convolution that counts how often Python runs it in evaluation mode; fitting runs it in training mode."""

    evaluated = 0

    def call(self, inputs: Any, training: bool = False) -> Any:
        Counting.evaluated += not training
        return super().call(inputs)


def counting_model() -> keras.Model:
    Counting.evaluated = 0
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            Counting(4, 1, name="a"),
            layers.Conv2D(3, 1, name="b"),
            layers.GlobalAveragePooling2D(),
        ]
    )


class Marks(keras.callbacks.Callback):
    """The count when training begins, and whenever an epoch does, before our callback acts."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.counts.append(Counting.evaluated)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.counts.append(Counting.evaluated)


@pytest.fixture
def summaries(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each time that Python runs the summary of a layer."""
    runs: list[int] = []
    if BACKEND == "jax":  # it remembers traces of functions by the shapes that other tests have given them
        __import__("jax").clear_caches()
    original = summary._summary
    monkeypatch.setattr(summary, "_summary", lambda output: (runs.append(1), original(output))[1])
    return runs


def test_both_functions_are_traced_once_over_twenty_epochs(summaries: list[int], tmp_path: Path) -> None:
    marks = Marks()
    callback = FeatureMapCallback(data(2, 8, 8, 3), tmp_path, layers="all", images=False)
    Animal(counting_model(), lambda _: {}).fit(marks, callback, epochs=20)
    assert len(stored(tmp_path / "feature_maps")) == 21
    first, found, *later = marks.counts
    assert found - first == 1, "the layers are found in one trace without data"
    if BACKEND == "torch":  # nothing is compiled there: Python runs once a capture
        assert [count - found for count in later] == list(range(2, 21))
        assert len(summaries) == 21 * 2
    else:
        assert [count - found for count in later] == [1] * 19, "one trace at step 0, none after"
        assert Counting.evaluated == later[-1]
        assert len(summaries) == 2, "one trace, two layers"


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs eagerly")
def test_traced_again_only_when_the_variables_are_others(tmp_path: Path) -> None:
    model = counting_model()
    samples = data(2, 8, 8, 3)
    capture = Capture(model, samples, "all", "all")
    tensor = ops.convert_to_tensor(samples)
    capture.outputs(tensor)
    once = Counting.evaluated
    capture.outputs(tensor)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    changed = capture.outputs(tensor)
    assert Counting.evaluated == once, "new values need no trace"
    a = model.layers[0]
    np.testing.assert_allclose(
        ops.convert_to_numpy(changed[0]), ops.convert_to_numpy(a(tensor, training=True)), atol=1e-5
    )
    once = Counting.evaluated
    a.enable_lora(2)
    a.lora_kernel_b.assign(data(*a.lora_kernel_b.shape))
    adapted = capture.outputs(tensor)
    capture.outputs(tensor)
    assert Counting.evaluated == once + 1
    np.testing.assert_allclose(
        ops.convert_to_numpy(adapted[0]), ops.convert_to_numpy(a(tensor, training=True)), atol=1e-5
    )
    assert np.abs(ops.convert_to_numpy(adapted[0]) - ops.convert_to_numpy(changed[0])).max() > 0.1


def test_low_rank_adaptation_between_two_fits(tmp_path: Path) -> None:
    """The same callback goes on; each step holds the maps of its own weights."""
    a = layers.Conv2D(4, 1, name="a")
    model = keras.Sequential([keras.Input((8, 8, 3)), a, layers.GlobalAveragePooling2D()])
    animal = Animal(model, lambda batch: {"a": a(batch)})
    callback = FeatureMapCallback(animal.samples, tmp_path, layers="all", images=False)
    truths: dict[int, np.ndarray] = {}

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            truths[epoch + 1] = animal.maps()["a"]

    animal.fit(Keep(), callback, epochs=2)
    a.enable_lora(2)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    animal.fit(Keep(), callback, epochs=5, initial_epoch=2)
    steps = stored(tmp_path / "feature_maps")
    assert list(steps) == [0, 1, 2, 3, 4, 5]
    for step, truth in truths.items():
        (_, _, numbers, _), *_ = steps[step].values()
        np.testing.assert_allclose(numbers[:, 0], truth.reshape(-1, 4).min(0), atol=1e-5)
        np.testing.assert_allclose(numbers[:, 1], truth.reshape(-1, 4).max(0), atol=1e-5)


def test_low_rank_adaptation_in_the_middle_of_a_fit(tmp_path: Path) -> None:
    """TensorFlow's training goes on, and the maps with it; JAX's and torch's stops, with us as without."""

    class Adapts(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 0:
                a = self.model.get_layer("a")
                a.enable_lora(2)
                a.lora_kernel_b.assign(data(*a.lora_kernel_b.shape))

    def outcome(*callbacks: keras.callbacks.Callback) -> tuple[keras.Model, Any]:
        keras.utils.clear_session()
        keras.utils.set_random_seed(5)
        model = keras.Sequential(
            [keras.Input((8, 8, 3)), layers.Conv2D(4, 1, name="a"), layers.GlobalAveragePooling2D()]
        )
        try:
            history = Animal(model, lambda _: {}).fit(Adapts(), *callbacks, epochs=3).history
        except Exception as error:
            return model, f"{type(error).__name__}: {error}"
        return model, (history, [weight.tobytes() for weight in model.get_weights()])

    class Keeps(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            truths[epoch + 1] = ops.convert_to_numpy(self.model.get_layer("a")(samples)).reshape(-1, 4)

    samples, truths = data(2, 8, 8, 3), {}
    callback = FeatureMapCallback(samples, tmp_path, layers="all", images=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, expected = outcome()
        _, received = outcome(Keeps(), callback)
        callback.on_train_end()
    assert received == expected
    assert isinstance(expected, str) == (BACKEND != "tensorflow")
    assert not [warning for warning in caught if "feature map" in str(warning.message)]
    steps = stored(tmp_path / "feature_maps")
    assert list(steps) == [0, *truths]
    for step, truth in truths.items():
        (_, _, numbers, _), *_ = steps[step].values()
        np.testing.assert_allclose(numbers[:, 0], truth.min(0), atol=1e-5)
        np.testing.assert_allclose(numbers[:, 1], truth.max(0), atol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="settings of JAX's that hold for one thread")
def test_settings_of_the_training_thread_hold_for_the_pass(tmp_path: Path) -> None:
    """JAX would trace anew on a thread that has others."""
    marks = Marks()
    callback = FeatureMapCallback(data(2, 8, 8, 3), tmp_path, layers="all", images=False)
    with __import__("jax").default_matmul_precision("float32"):
        Animal(counting_model(), lambda _: {}).fit(marks, callback, epochs=3)
    assert len(stored(tmp_path / "feature_maps")) == 4
    assert marks.counts[-1] == marks.counts[-2] == Counting.evaluated


@pytest.mark.skipif(BACKEND != "jax", reason="Keras on numpy convolves by JAX")
def test_on_keras_numpy_the_model_runs_layer_by_layer() -> None:
    program = """
import keras, numpy as np
from fm_callback import FeatureMapExtractor, conv_layers
model = keras.Sequential([keras.layers.Conv2D(3, 3, padding="same", name="a"), keras.layers.Dropout(0.5), keras.layers.Conv2D(2, 1, name="b")])
x = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
maps = FeatureMapExtractor(model)(x)
assert [layer.path for layer in conv_layers(model)] == list(maps) == ["a", "b"]
np.testing.assert_allclose(maps["b"], model.predict(x, verbose=0), atol=1e-5)
"""
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"KERAS_BACKEND": "numpy"})


# What is made of values -----------------------------------------------------------------------------------------------


def given(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, channels, h, w) and numbers (channels, 7) of a layer that puts out `values`, through the whole of it."""
    model = keras.Sequential([keras.Input(values.shape[1:]), layers.Activation("linear", name="same")])
    capture = Capture(model, values, "same", "all")
    (maps,), (numbers,), *_ = capture(ops.convert_to_tensor(values))()
    return maps, numbers


def number(numbers: np.ndarray, name: str) -> np.ndarray:
    return numbers[:, NUMBERS.index(name)]


def test_each_channel_is_scaled_by_its_own_range_over_all_images() -> None:
    values = data(3, 5, 6, 4) * np.array([1, 10, 0.01, 1], "float32") + np.array([0, 5, 0, -100], "float32")
    pixels, numbers = given(values)
    low, high = values.min((0, 1, 2)), values.max((0, 1, 2))
    np.testing.assert_array_equal(number(numbers, "low"), low)
    np.testing.assert_array_equal(number(numbers, "high"), high)
    restored = pixels.transpose(0, 2, 3, 1) / 255.0 * (high - low) + low
    assert (np.abs(restored - values) <= (high - low) * (0.5 / 255 + 1e-5)).all()
    assert pixels.min((0, 2, 3)).tolist() == [0] * 4 and pixels.max((0, 2, 3)).tolist() == [255] * 4
    wide = values.astype("float64")
    np.testing.assert_allclose(number(numbers, "mean"), wide.mean((0, 1, 2)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(number(numbers, "mean_abs"), np.abs(wide).mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(number(numbers, "std"), wide.std((0, 1, 2)), rtol=1e-4)


def test_flat_zero_and_broken_channels_are_told_apart() -> None:
    values = data(1, 4, 4, 7)
    values[..., 1] = 0.0
    values[..., 2] = 3.5
    values[..., 3] = np.nan
    values[0, 0, 0, 4], values[0, 0, 1, 4], values[0, 0, 2, 4] = np.nan, np.inf, -np.inf
    values[..., 5] = np.maximum(values[..., 5], 0)
    values[..., 6] *= 1e37
    pixels, numbers = given(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        finite = np.where(np.isfinite(values), values, np.nan)
        expected_low = np.nanmin(finite, (0, 1, 2))
    np.testing.assert_array_equal(number(numbers, "low"), expected_low)
    assert number(numbers, "nonfinite").tolist() == [0, 0, 0, 16, 3, 0, 0]
    np.testing.assert_allclose(number(numbers, "zeros"), (values == 0).mean((0, 1, 2)), atol=1e-6)
    assert not pixels[0, 1].any() and not pixels[0, 2].any() and not pixels[0, 3].any()
    assert pixels[0, 4, 0, :3].tolist() == [0, 0, 0] and pixels[0, 4].max() == 255
    assert np.isnan(numbers[3, :5]).all(), "no finite value: nothing is known"
    assert np.isfinite(numbers[4]).all()
    assert pixels[0, 6].min() == 0 and pixels[0, 6].max() == 255


@pytest.mark.parametrize("count", [2, 20], ids=["in one pass", "in chunks"])
def test_a_span_that_no_float32_holds_is_a_scale_like_any_other(count: int) -> None:
    values = np.tile(np.array([-3.4e38, 0, 1.7e38, 3.4e38], "float32").reshape(1, 2, 2, 1), (count, 1, 1, 8))
    values[..., :7] *= np.array([1, 0.5, 0.25, 0.2, 0.1, 0.05, 1e-30], "float32")
    values[:, 0, 1, 7] = np.inf
    pixels, numbers = given(values)
    assert pixels.reshape(count, 8, 4).tolist() == count * [7 * [[0, 128, 191, 255]] + [[0, 0, 191, 255]]]
    np.testing.assert_array_equal(number(numbers, "low"), values.min((0, 1, 2)))
    assert number(numbers, "nonfinite").tolist() == 7 * [0] + [count]


def test_a_map_of_one_cell() -> None:
    pixels, numbers = given(np.array([[[[2.0, -1.0]]]], "float32"))
    assert pixels.shape == (1, 2, 1, 1) and not pixels.any()
    assert number(numbers, "low").tolist() == number(numbers, "high").tolist() == [2.0, -1.0]
    assert number(numbers, "std").tolist() == [0, 0]


@pytest.mark.parametrize(
    ("channels", "expected"),
    [("all", [0, 1, 2, 3, 4]), (2, [0, 1]), (99, [0, 1, 2, 3, 4]), ([3, 0], [3, 0]), ([4, 7], [4])],
)
def test_channels(channels: Any, expected: list[int]) -> None:
    wide = layers.Conv2D(9, 1, name="wide")
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(5, 1, name="a"), wide])
    samples = data(2, 4, 4, 3)
    maps = FeatureMapExtractor(model, ["a", "wide"], channels)(samples)
    whole = ops.convert_to_numpy(model.layers[0](samples))
    np.testing.assert_allclose(maps["a"], whole[..., expected], atol=1e-5)


@pytest.mark.parametrize("channels", ["none", 0, -1, True, [], [1, 1], [-1], [0.5], 2.5])
def test_wrong_channels_are_refused(channels: Any) -> None:
    with pytest.raises(ValueError, match="`channels` must be a count"):
        FeatureMapExtractor(ZOO["functional"]().model, channels=channels)


def test_channels_that_no_layer_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no chosen layer has the channels \[40\]"):
        FeatureMapExtractor(ZOO["functional"]().model, channels=[0, 40])(data(2, 8, 8, 3))


def test_one_sample_is_a_batch_of_one_and_other_counts_are_taken_up() -> None:
    animal = ZOO["functional"]()
    extract = FeatureMapExtractor(animal.model)
    one, two = extract(animal.samples[0]), extract(animal.samples)
    for path, values in two.items():
        np.testing.assert_allclose(one[path], values[:1], atol=1e-5)


# Where no compiler follows --------------------------------------------------------------------------------------------


class Decides(keras.Model):
    """Data decide in Python which layer runs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = layers.Conv2D(2, 1, name="a"), layers.Conv2D(2, 1, name="b")

    def build(self, shape: tuple[int, ...]) -> None:
        self.a.build(shape)
        self.b.build((*shape[:-1], 2))

    def call(self, inputs: Any) -> Any:
        value = self.a(inputs)
        return self.b(value) if ops.mean(self.a.bias) < 1 else value


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs eagerly, and says nothing of it")
def test_a_model_that_cannot_be_traced_runs_layer_by_layer_and_says_so_once() -> None:
    model = Decides()
    samples = data(2, 4, 4, 3)
    with pytest.warns(
        RuntimeWarning, match=r"can't be compiled \(.*\): its feature maps are taken by running it layer by layer"
    ) as caught:
        capture = Capture(model, samples, "all", "all")
        a, b = capture.outputs(ops.convert_to_tensor(samples))
        capture.outputs(ops.convert_to_tensor(samples))
    assert len(caught) == 1
    np.testing.assert_allclose(ops.convert_to_numpy(a), ops.convert_to_numpy(model.a(samples)), atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(b), ops.convert_to_numpy(model.b(model.a(samples))), atol=1e-5)
    model.a.bias.assign([2.0, 2.0])
    outputs = capture.outputs(ops.convert_to_tensor(samples))
    assert np.isnan(ops.convert_to_numpy(outputs[1])).all(), "a layer that did not run has no values, not zeros"
    _, numbers, *_ = capture(ops.convert_to_tensor(samples))()
    assert number(numbers[1], "nonfinite").tolist() == [32, 32]


class EitherWay(keras.Model):
    """Data decide which of two layers runs: by Keras's own `cond`, or in Python."""

    def __init__(self, in_python: bool) -> None:
        super().__init__()
        self.in_python = in_python
        self.a, self.b = layers.Conv2D(2, 1, name="a"), layers.Conv2D(2, 1, name="b")

    def call(self, inputs: Any) -> Any:
        dark = ops.mean(inputs) < 0.7  # not so of the ones of which Keras makes its inputs for want of data
        if self.in_python:
            return self.b(inputs) if dark else self.a(inputs)
        return ops.cond(ops.logical_not(dark), lambda: self.a(inputs), lambda: self.b(inputs))


@pytest.mark.skipif(BACKEND != "torch", reason="where passes are compiled, what is inside a branch can't leave it")
@pytest.mark.parametrize("in_python", [False, True])
def test_on_torch_the_branch_that_runs_is_found_and_not_the_one_that_a_trace_without_data_takes(
    in_python: bool,
) -> None:
    model, samples = EitherWay(in_python), 0.5 * data(2, 4, 4, 3)
    for built in (False, True):
        assert model.built is built
        assert [layer.path for layer in conv_layers(model, samples)] == ["b"]
        ((path, maps),) = FeatureMapExtractor(model)(samples).items()
        assert path == "b"
        np.testing.assert_allclose(maps, ops.convert_to_numpy(model.b(samples)), atol=1e-5)


class Fades(keras.Model):
    """Python attributes decide what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = layers.Conv2D(2, 1, name="a"), layers.Conv2D(2, 1, name="b")
        self.share, self.both = 1.0, True

    def call(self, inputs: Any) -> Any:
        value = self.a(inputs) * self.share
        return self.b(value) if self.both else value


def test_a_model_that_runs_eagerly_is_never_taken_from_a_trace() -> None:
    model, samples = Fades(), data(2, 4, 4, 3)
    model.compile("sgd", "mse", run_eagerly=True)
    capture, tensor = Capture(model, samples, "all", "all"), ops.convert_to_tensor(samples)
    capture.outputs(tensor)
    model.share = 3.0
    b = capture.outputs(tensor)[1]
    truth = model.b(model.a(samples) * 3.0)
    np.testing.assert_allclose(ops.convert_to_numpy(b), ops.convert_to_numpy(truth), atol=1e-5)
    model.both = False
    with pytest.warns(RuntimeWarning) as caught:
        a, b = map(ops.convert_to_numpy, capture.outputs(tensor))
    assert [str(each.message) for each in caught if each.category is RuntimeWarning] == [
        "the layers ['b'] took no part in a pass: NaN is stored of them"
    ]
    assert np.isfinite(a).all() and np.isnan(b).all()


def test_a_model_compiled_anew_is_traced_anew() -> None:
    model, samples = Fades(), data(2, 4, 4, 3)
    model.compile("sgd", "mse")
    capture = Capture(model, samples, "all", "all")
    assert capture.fits(model, samples, "all", "all")
    model.compile("sgd", "mse")
    assert not capture.fits(model, samples, "all", "all")


@pytest.mark.skipif(BACKEND != "tensorflow", reason="`tf.function`")
@pytest.mark.filterwarnings("error")
def test_what_is_inside_a_function_that_is_compiled_on_its_own_is_captured() -> None:
    model, samples = Fades(), data(2, 4, 4, 3)
    model.call = __import__("tensorflow").function(model.call)
    maps = FeatureMapExtractor(model)(samples)
    assert list(maps) == ["a", "b"]
    np.testing.assert_allclose(maps["b"], ops.convert_to_numpy(model.b(model.a(samples))), atol=1e-5)


class Branches(keras.Model):
    """Tensors decide in Python, which TensorFlow rewrites for its graph; a layer of one's own has such a function, too."""

    class Halves(keras.layers.Layer):
        def build(self, shape: tuple[int, ...]) -> None:
            self.function = sys.modules["tensorflow"].function(self.halve)

        def halve(self, inputs: Any) -> Any:
            return inputs / 2.0 if ops.mean(inputs) < 100.0 else inputs

        def call(self, inputs: Any) -> Any:
            return self.function(inputs)

    def __init__(self) -> None:
        super().__init__()
        self.a, self.halves, self.b = layers.Conv2D(3, 1, name="a"), self.Halves(), layers.Conv2D(2, 1, name="b")

    def call(self, inputs: Any) -> Any:
        value = self.halves(self.a(inputs))
        for _ in range(2):
            if ops.mean(value) > 100.0:
                value = value / 10.0
        return self.b(value)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="`tf.function`")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("known", [False, True], ids=["new", "known to TensorFlow"])
def test_a_function_that_is_compiled_on_its_own_is_rewritten_as_tensorflow_does(known: bool) -> None:
    samples, function = data(2, 4, 4, 3), sys.modules["tensorflow"].function
    model = type("Decorated", (Branches,), {"call": function(Branches.call)})()
    if known:
        model(samples)
    maps = FeatureMapExtractor(model)(samples)
    np.testing.assert_allclose(maps["b"], ops.convert_to_numpy(model.b(model.a(samples) / 2.0)), atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="`tf.function`")
def test_a_function_that_tensorflow_would_not_rewrite_is_not_rewritten() -> None:
    model, tensorflow = Branches(), sys.modules["tensorflow"]
    model.call = tensorflow.function(model.call, autograph=False)
    with pytest.warns(RuntimeWarning, match="can't be compiled .*bool"):
        FeatureMapExtractor(model)(data(2, 4, 4, 3))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's sparse and ragged tensors")
@pytest.mark.parametrize("kind", ["sparse", "ragged"])
def test_a_layer_that_returns_a_sparse_or_ragged_tensor_is_no_obstacle(kind: str) -> None:
    tensorflow = sys.modules["tensorflow"]

    class Through(keras.layers.Layer):
        """Has a layer inside that returns a ragged tensor."""

        def __init__(self) -> None:
            super().__init__()
            self.ragged = layers.Lambda(tensorflow.RaggedTensor.from_tensor, name="ragged")

        def call(self, inputs: Any) -> Any:
            return self.ragged(inputs).to_tensor()

    if kind == "sparse":
        site = keras.Input((1,), dtype="int32", name="site")
        lookup = layers.IntegerLookup(vocabulary=[1, 2], output_mode="multi_hot", sparse=True, name="sparse")
        branch = layers.Dense(4)(lookup(site))
    else:
        site = keras.Input((1,), name="site")
        branch = Through()(site)
    image = keras.Input((4, 4, 3), name="image")
    conv = layers.Conv2D(2, 1, name="conv")
    pooled = layers.GlobalAveragePooling2D()(conv(image))
    model = keras.Model({"image": image, "site": site}, layers.Concatenate()([pooled, branch]))
    samples = {"image": data(2, 4, 4, 3), "site": np.ones((2, 1), site.dtype)}
    maps = FeatureMapExtractor(model)(samples)
    assert list(maps) == ["conv"]
    np.testing.assert_allclose(maps["conv"], ops.convert_to_numpy(conv(samples["image"])), atol=1e-5)
    with pytest.raises(ValueError, match=f"it returns a {kind.title()}Tensor, not one tensor"):
        FeatureMapExtractor(model, lambda layer: layer.name == kind)(samples)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow counts traces of a function")
def test_many_captures_in_a_process_are_no_reason_to_warn() -> None:
    said: list[str] = []
    logger, handler = __import__("tensorflow").get_logger(), logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger.addHandler(handler)
    try:
        for side in range(4, 16):
            samples = data(1, side, 4, 3)
            model = keras.Sequential([keras.Input(samples.shape[1:]), layers.Conv2D(2, 1)])
            capture, tensor = Capture(model, samples, "all", "all"), ops.convert_to_tensor(samples)
            capture(tensor)()
    finally:
        logger.removeHandler(handler)
    assert not said


class Undecided(keras.layers.Layer):
    """Data decide in Python, in the innermost of these layers."""

    inside: keras.layers.Layer | None = None

    def call(self, inputs: Any) -> Any:
        if self.inside is not None:
            return self.inside(inputs)
        return inputs if ops.mean(inputs) < 1 else -inputs


class Hesitates(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.block = layers.Conv2D(2, 1, name="a"), Undecided(name="block")
        self.block.inside = Undecided(name="inside")

    def call(self, inputs: Any) -> Any:
        return self.block(self.a(inputs))


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs eagerly")
def test_the_warning_says_which_layer_can_not_be_traced_and_why() -> None:
    reasons = {
        "tensorflow": "OperatorNotAllowedInGraphError: Using a symbolic `tf.Tensor` as a Python `bool` is not allowed.",
        "jax": "TracerBoolConversionError: Attempted boolean conversion of traced array with shape bool[].",
    }
    with pytest.warns(RuntimeWarning, match="layer by layer") as caught:
        FeatureMapExtractor(Hesitates())(data(2, 4, 4, 3))
    (warning,) = [each for each in caught if each.category is RuntimeWarning]
    assert f"can't be compiled (layer 'block/inside': {reasons[BACKEND]}): its" in str(warning.message)
    assert warning.filename == __file__, "it points at the user's line"


def test_a_warning_points_at_the_line_of_fit(tmp_path: Path) -> None:
    animal = ZOO["several_tensors_from_a_layer"]()
    with pytest.warns(RuntimeWarning, match="layers left out") as caught:
        animal.fit(FeatureMapCallback(animal.samples, tmp_path, layers="all", images=False))
    (warning,) = [each for each in caught if "layers left out" in str(each.message)]
    assert warning.filename == inspect.getfile(Animal), "where the test's training calls `model.fit`"


class FailsInGraph(keras.layers.Layer):
    """Traces without data, but not in a compiled function: what happens where a compiler has no kernel."""

    armed = False

    def call(self, inputs: Any) -> Any:
        if FailsInGraph.armed and not concrete(inputs):
            raise NotImplementedError("no kernel for this")
        return inputs


def concrete(tensor: Any) -> bool:
    try:
        np.asarray(tensor)
    except Exception:
        return False
    return True


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a fault of TensorFlow's kernels for CPUs")
def test_a_grouped_convolution_with_a_bias_is_compiled_on_any_cpu() -> None:
    """Without oneDNN, TensorFlow fuses the two into what it has no kernel for: in our pass, not in `predict`."""
    code = """
import warnings, keras, numpy as np
from fm_callback import FeatureMapExtractor
warnings.simplefilter("error", RuntimeWarning)
grouped = keras.layers.Conv2D(8, 3, groups=4, name="grouped")
model = keras.Sequential([keras.Input((16, 16, 8)), grouped, keras.layers.BatchNormalization(), keras.layers.ReLU()])
samples = np.random.default_rng(0).random((2, 16, 16, 8), "float32")
maps = FeatureMapExtractor(model)(samples)["grouped"]
kernel = keras.ops.convert_to_numpy(grouped.kernel)
parts = [
    sum(samples[:, y : y + 14, x : x + 14, 2 * g : 2 * g + 2] @ kernel[y, x, :, 2 * g : 2 * g + 2]
        for y in range(3) for x in range(3))
    for g in range(4)
]
np.testing.assert_allclose(maps, np.concatenate(parts, -1), atol=1e-5)
"""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's errors begin with the stack")
def test_of_an_error_of_a_graph_the_reason_is_quoted_and_not_the_stack() -> None:
    import tensorflow as tf

    @tf.function
    def divide(value: Any) -> Any:
        return value // 0

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        divide(tf.constant(1))
    assert len(str(caught.value)) > 200
    assert on_one_line(caught.value) == "InvalidArgumentError: Integer division by zero"


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs eagerly")
def test_a_compiler_that_fails_at_the_first_pass_leaves_the_eager_one() -> None:
    a = layers.Conv2D(2, 1, name="a")
    model = keras.Sequential([keras.Input((4, 4, 3)), FailsInGraph(), a])
    samples = data(2, 4, 4, 3)
    capture = Capture(model, samples, "all", "all")
    FailsInGraph.armed = True
    try:
        reason = r"\(layer 'fails_in_graph.*': NotImplementedError: no kernel for this\)"
        with pytest.warns(RuntimeWarning, match=reason) as caught:
            outputs = [capture.outputs(ops.convert_to_tensor(samples)) for _ in range(2)]
    finally:
        FailsInGraph.armed = False
    assert len(caught) == 1
    for (values,) in outputs:
        np.testing.assert_allclose(ops.convert_to_numpy(values), ops.convert_to_numpy(a(samples)), atol=1e-5)


def test_the_models_own_error_is_raised_as_it_is() -> None:
    class Fails(keras.Model):
        def call(self, inputs: Any) -> Any:
            raise KeyError("my own mistake")

    with pytest.raises(KeyError, match="my own mistake"):
        FeatureMapExtractor(Fails())(data(2, 4, 4, 3))
