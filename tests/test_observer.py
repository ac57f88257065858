"""No observer effect: training with the callback is training without it, to the last bit, and the maps are those of their step."""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.decoding import predicted, stored
from test_zoo import check_stored
from zoo import BACKEND, ZOO, Animal, data

from fm_callback import FeatureMapCallback, FeatureMapExtractor
from fm_callback.capture.capture import Capture
from fm_callback.write.recorder import Recorder

NOT_ON_TORCH = pytest.mark.skipif(
    BACKEND == "torch", reason="Keras: `steps_per_execution` must be 1 with the PyTorch backend"
)
NOT_ON_JAX = pytest.mark.skipif(BACKEND == "jax", reason="JAX has none")
EAGERLY = {"compile": {"run_eagerly": True}}
ORIGINAL = keras.Layer.__call__, keras.Layer.rematerialized_call


@pytest.fixture(autouse=True)
def hooks_are_gone() -> Iterator[None]:
    yield
    assert (keras.Layer.__call__, keras.Layer.rematerialized_call) == ORIGINAL


def random_layers() -> list[keras.Layer]:
    """Whatever draws random numbers or keeps statistics in training."""
    return [
        layers.RandomFlip(seed=1),
        layers.GaussianNoise(0.1, seed=3),
        layers.Conv2D(4, 3, padding="same", name="a", activity_regularizer="l2"),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Conv2D(3, 3, padding="same", name="b"),
        layers.GlobalAveragePooling2D(),
    ]


def functional() -> keras.Model:
    inputs = value = keras.Input((8, 8, 3))
    for layer in random_layers():
        value = layer(value)
    return keras.Model(inputs, value)


def sequential_without_input() -> keras.Model:
    return keras.Sequential(random_layers())


class Subclass(keras.Model):
    """Not built before `fit`; draws random numbers even in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = random_layers()
        self.always = layers.Dropout(0.3, seed=5)

    def call(self, inputs: Any, training: bool = False) -> Any:
        value = self.always(inputs, training=True)
        for layer in self.steps:
            value = layer(value, training=training)
        return value


class Native(keras.Model):
    """Draws from random numbers that are global, the backend's own and numpy's, in evaluation mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.pool = layers.Conv2D(3, 1, name="a"), layers.GlobalAveragePooling2D()

    def call(self, inputs: Any) -> Any:
        value = self.a(inputs)
        if BACKEND == "tensorflow":
            tensorflow = sys.modules["tensorflow"]
            if tensorflow.executing_eagerly():
                value = value + np.random.random()
            noise = [tensorflow.random.normal(tensorflow.shape(value), seed=seed) for seed in (None, 7)]
            return self.pool(value + noise[0] + noise[1])
        return self.pool(value + sys.modules["torch"].randn_like(value) + random.random())


class Inside(keras.Model):
    """Not built before `fit`; a part of it is compiled on its own, with what acts otherwise in training."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = layers.Conv2D(4, 3, padding="same", name="a"), layers.Conv2D(3, 3, padding="same", name="b")
        self.norm, self.pool = layers.BatchNormalization(), layers.GlobalAveragePooling2D()
        self.part = sys.modules["tensorflow"].function(self.plain_part)

    def build(self, shape: tuple[int, ...]) -> None:
        self.a.build(shape)
        for layer in (self.norm, self.b):
            layer.build((*shape[:-1], 4))

    def plain_part(self, inputs: Any) -> Any:
        return self.b(self.norm(inputs))

    def call(self, inputs: Any) -> Any:
        return self.pool(self.part(self.a(inputs)))


class Rewritten(Inside):
    """The part has a branch for TensorFlow to rewrite; our pass meets it first."""

    def plain_part(self, inputs: Any) -> Any:
        value = self.b(self.norm(inputs))
        if ops.mean(value) > 0.0:
            value = value / 2.0
        return value


class Private(keras.Model):
    """Has state of the backend's that Keras does not know, and changes it in evaluation mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.pool = layers.Conv2D(3, 1, name="a"), layers.GlobalAveragePooling2D()
        if BACKEND == "tensorflow":
            tensorflow = sys.modules["tensorflow"]
            self.noise = tensorflow.random.Generator.from_seed(5)
            self.calls = tensorflow.Variable(0.0, trainable=False)
        else:
            self.register_buffer("calls", sys.modules["torch"].zeros(()))

    def call(self, inputs: Any) -> Any:
        value = self.a(inputs)
        if BACKEND == "tensorflow":
            self.calls.assign_add(1.0)
            return self.pool(value * self.calls + self.noise.normal((1, 8, 8, 3)))
        self.calls.add_(1)
        return self.pool(value * float(self.calls))


def small() -> keras.Model:
    convolution = layers.Conv2D(3, 1, name="a")
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            convolution,
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
        ]
    )


def accumulating() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(0.01, gradient_accumulation_steps=2)


def averaging() -> keras.optimizers.Optimizer:
    return keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2)


X, Y = data(12, 8, 8, 3), data(12, 3)


def state(model: keras.Model) -> dict[str, np.ndarray]:
    """All that training changes: weights, statistics, seeds, and the optimizer's own."""
    variables = [*model.variables, *model.optimizer.variables]
    return {f"{at} {each.path.split('/')[-1]}": ops.convert_to_numpy(each.value) for at, each in enumerate(variables)}


def trained(
    make: Any, *callbacks: keras.callbacks.Callback, **fit: Any
) -> tuple[keras.Model, dict[str, np.ndarray], Any]:
    keras.utils.clear_session()
    keras.utils.set_random_seed(11)
    model = make()
    settings = {"optimizer": partial(keras.optimizers.Adam, 0.01), "loss": "mse"} | fit.pop("compile", {})
    model.compile(**settings | {"optimizer": settings["optimizer"]()})
    validation = {"validation_data": (X[:4], Y[:4])} if fit.pop("validate", False) else {}
    history = model.fit(X, Y, batch_size=4, verbose=0, callbacks=list(callbacks), **{"epochs": 3} | fit | validation)
    return model, state(model), history.history


@pytest.mark.parametrize(
    ("make", "update_freq", "fit"),
    [
        (functional, "epoch", {"validate": True}),
        (
            functional,
            2,
            {"compile": {"steps_per_execution": 2 if BACKEND != "torch" else 1}},
        ),  # Keras has it at 1 for torch
        (sequential_without_input, "epoch", {"initial_epoch": 1, "epochs": 4}),
        (Subclass, "epoch", {}),
        (Subclass, "batch", {}),
        (small, "batch", {"compile": {"optimizer": accumulating}}),
        (small, 2, {"compile": {"optimizer": averaging}, "class_weight": {0: 1.0, 1: 3.0}}),
        (small, "epoch", {"compile": {"run_eagerly": True}, "validate": True}),
        pytest.param(Private, "epoch", EAGERLY, marks=NOT_ON_JAX),
        pytest.param(Native, "epoch", EAGERLY, marks=NOT_ON_JAX),
        pytest.param(small, 3, {"compile": {"jit_compile": True, "steps_per_execution": 3}}, marks=NOT_ON_TORCH),
        pytest.param(Inside, "epoch", {}, marks=pytest.mark.skipif(BACKEND != "tensorflow", reason="`tf.function`")),
        pytest.param(Rewritten, 1, {}, marks=pytest.mark.skipif(BACKEND != "tensorflow", reason="`tf.function`")),
        pytest.param(Private, "epoch", {}, marks=NOT_ON_JAX),
        pytest.param(Native, "epoch", {}, marks=NOT_ON_JAX),
    ],
)
def test_training_is_bit_identical(make: Any, update_freq: Any, fit: dict[str, Any], tmp_path: Path) -> None:
    check_identical(make, fit, tmp_path, update_freq=update_freq)


@pytest.mark.parametrize("count", [2, 20])
@pytest.mark.parametrize(
    ("make", "fit"),
    [
        (functional, {"validate": True}),
        (sequential_without_input, {}),
        (Subclass, {}),
        (Subclass, EAGERLY),
        pytest.param(Inside, {}, marks=pytest.mark.skipif(BACKEND != "tensorflow", reason="`tf.function`")),
        *(pytest.param(make, fit, marks=NOT_ON_JAX) for make in (Private, Native) for fit in ({}, EAGERLY)),
    ],
)
def test_training_is_bit_identical_with_a_pass_in_training_mode(
    make: Any, fit: dict[str, Any], count: int, tmp_path: Path
) -> None:
    check_identical(make, fit, tmp_path, count, training_pass=True)


def check_identical(make: Any, fit: dict[str, Any], tmp_path: Path, count: int = 2, **settings: Any) -> None:
    bare, expected, history = trained(make, **fit)
    probe = np.resize(X, (count, *X.shape[1:]))
    callback = FeatureMapCallback(
        probe, tmp_path, layers="all", images=False, prediction=lambda outputs: outputs, **settings
    )
    watched, received, watched_history = trained(make, callback, **fit)
    assert len(stored(tmp_path / "feature_maps")) == len(predicted(tmp_path / "feature_maps")) >= 3
    assert received.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(received[name], values, err_msg=name)
    assert watched_history == history
    assert input_shape(watched, count) == input_shape(bare, count)
    if BACKEND != "torch" and fit is not EAGERLY:
        # Where it runs eagerly, the last batch's losses lie about until the next call of the model, ours too, clears them.
        assert [loss.shape for loss in watched.losses] == [loss.shape for loss in bare.losses]


@pytest.mark.parametrize(
    "name", ["grouped", "both_ways", "own_conv_class", "vision_transformer", "hierarchical_transformer"]
)
def test_training_of_other_kinds_of_maps_is_bit_identical(name: str, tmp_path: Path) -> None:
    states = []
    for watched in (False, True):
        keras.utils.set_random_seed(5)
        animal = ZOO[name]()
        callbacks = (
            [FeatureMapCallback(animal.samples, tmp_path, layers=animal.layers, images=False)] if watched else []
        )
        history = animal.fit(*callbacks, epochs=2)
        states.append((state(animal.model), history.history))
    (bare, expected), (seen, received) = states
    assert len(stored(tmp_path / "feature_maps")) == 3 and received == expected and bare.keys() == seen.keys()
    for key, values in bare.items():
        np.testing.assert_array_equal(seen[key], values, err_msg=key)


def input_shape(model: keras.Model, count: int) -> Any:
    """But for the batch: TensorFlow alone builds in the first batch and may take its size for the model's; we build with any."""
    try:
        assert model.input_shape[0] != count, "the size of the probe"
        return model.input_shape[1:]
    except (AttributeError, ValueError) as error:
        return type(error)


def test_early_stopping_stops_where_it_would_have_stopped(tmp_path: Path) -> None:
    """And the last stored maps are of the last trained weights, not of the best ones that come back at the end."""

    def stopping() -> keras.callbacks.Callback:
        return keras.callbacks.EarlyStopping("loss", patience=1, min_delta=10.0, restore_best_weights=True)

    class Last(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.kernel = ops.convert_to_numpy(self.model.get_layer("a").kernel)
            self.bias = ops.convert_to_numpy(self.model.get_layer("a").bias)

    def plain() -> keras.Model:
        return keras.Sequential(
            [keras.Input((8, 8, 3)), layers.Conv2D(3, 1, name="a"), layers.GlobalAveragePooling2D()]
        )

    _, expected, history = trained(plain, stopping(), epochs=9)
    last = Last()
    for order in (0, 1):
        directory = tmp_path / str(order)
        callback = FeatureMapCallback(X[:2], directory, layers="all", every=100, images=False)
        both = [stopping(), last]
        both.insert(2 * order, callback)
        watched, received, watched_history = trained(plain, *both, epochs=9)
        assert watched_history == history and len(history["loss"]) == 2
        for name, values in expected.items():
            np.testing.assert_array_equal(received[name], values, err_msg=name)
        steps = stored(directory / "feature_maps")
        assert list(steps) == [0, 2]
        assert not np.array_equal(last.kernel, watched.get_layer("a").kernel), "the best weights are back"
        check_stored(Animal(watched, lambda _: {}), steps[2], {"a": X[:2] @ last.kernel[0, 0] + last.bias})


class Keeps(keras.callbacks.Callback):
    """Copies the weights of layer "a" after each batch: what its maps must come from."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: dict[int, np.ndarray] = {}

    def keep(self) -> None:
        layer, step = self.model.get_layer("a"), int(self.model.optimizer.iterations)
        kernel, bias = (ops.convert_to_numpy(each.value).astype("float64") for each in (layer.kernel, layer.bias))
        self.maps[step] = (X[:2] @ kernel[0, 0] + bias).astype("float32")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.keep()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.keep()


def pointwise() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 1, name="a"), layers.GlobalAveragePooling2D()])


def test_maps_are_of_their_step_while_training_runs_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The background thread is held until training has gone on past the step whose maps it is about to look at."""
    moved_on = threading.Event()
    record = Recorder._record
    held: list[int] = []

    def slow(self: Recorder, moment: Any) -> None:
        if threading.current_thread() is not threading.main_thread() and not moved_on.is_set():
            held.append(moment.step)
            assert moved_on.wait(60)
        record(self, moment)

    class Release(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if int(self.model.optimizer.iterations) == 3:  # steps 1 (being looked at) and 2 (waiting) are long past
                moved_on.set()

    monkeypatch.setattr(Recorder, "_record", slow)
    keeps = Keeps()
    callback = FeatureMapCallback(X[:2], tmp_path, layers="all", update_freq="batch", images=False)
    model, _, _ = trained(pointwise, keeps, Release(), callback, epochs=2)
    assert held == [1]
    steps = stored(tmp_path / "feature_maps")
    assert list(steps) == list(range(7))
    assert len({keeps.maps[step].tobytes() for step in steps}) == 7, "each step has other weights"
    for step, entry in steps.items():
        check_stored(Animal(model, lambda _: {}), entry, {"a": keeps.maps[step]})


@pytest.mark.parametrize(
    ("settings", "fit", "expected"),
    [
        ({"update_freq": "epoch"}, {"epochs": 4}, [0, 1, 2, 3, 4]),
        ({"update_freq": "epoch", "every": 2}, {"epochs": 5}, [0, 2, 4, 5]),
        ({"update_freq": "epoch", "every": lambda step: step == 3}, {"epochs": 5}, [0, 3, 5]),
        ({"update_freq": "epoch"}, {"epochs": 4, "initial_epoch": 2}, [2, 3, 4]),
        ({"update_freq": "batch"}, {"epochs": 2}, [0, 1, 2, 3, 4, 5, 6]),
        ({"update_freq": 2}, {"epochs": 3}, [0, 2, 4, 6, 8, 9]),
        ({"update_freq": 2, "every": 2}, {"epochs": 3}, [0, 4, 8, 9]),
        ({"update_freq": 2, "every": lambda step: step > 5}, {"epochs": 3}, [0, 6, 8, 9]),
        pytest.param(
            {"update_freq": "batch"},
            {"epochs": 2, "compile": {"steps_per_execution": 3}},
            [0, 3, 6],
            marks=NOT_ON_TORCH,
        ),
        pytest.param(
            {"update_freq": 2},
            {"epochs": 2, "compile": {"steps_per_execution": 2}},
            [0, 2, 3, 5, 6],
            marks=NOT_ON_TORCH,
        ),
        ({"update_freq": "batch", "every": 3}, {"epochs": 3, "initial_epoch": 1}, [0, 3, 6]),
    ],
)
def test_steps_that_are_taken(
    settings: dict[str, Any], fit: dict[str, Any], expected: list[int], tmp_path: Path
) -> None:
    callback = FeatureMapCallback(X[:2], tmp_path, layers="all", images=False, **settings)
    keeps = Keeps()
    model, _, _ = trained(pointwise, keeps, callback, **fit)
    steps = stored(tmp_path / "feature_maps")
    assert list(steps) == expected
    for step, entry in steps.items():
        iteration = step if settings["update_freq"] != "epoch" else (step - fit.get("initial_epoch", 0)) * 3
        check_stored(Animal(model, lambda _: {}), entry, {"a": keeps.maps[iteration]})


def test_an_extractor_between_two_batches_sees_the_weights_of_this_moment() -> None:
    """In a callback of one's own that never asks for `self.model`: JAX holds the weights elsewhere then."""

    class Extracts(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.extract, self.maps = FeatureMapExtractor(self.model), []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.maps.append(self.extract(X[:2])["a"])

    extracts, keeps = Extracts(), Keeps()
    _, expected, _ = trained(pointwise)
    _, received, _ = trained(pointwise, extracts, keeps)
    for step, maps in enumerate(extracts.maps, start=1):
        np.testing.assert_allclose(maps, keeps.maps[step], atol=1e-5)
    for name, values in expected.items():
        np.testing.assert_array_equal(received[name], values, err_msg=name)


def test_an_exception_in_the_model_leaves_no_hook_behind() -> None:
    class Fails(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a = layers.Conv2D(2, 3)

        def call(self, inputs: Any) -> Any:
            self.a(inputs)
            raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        FeatureMapExtractor(Fails())(X[:2])
    assert keras.config.is_traceback_filtering_enabled()
    assert (keras.Layer.__call__, keras.Layer.rematerialized_call) == ORIGINAL


def test_threads_that_capture_at_once_leave_no_hook_behind() -> None:
    """Two models in two threads: each sees its own layers only."""
    expected, received, failures = {}, {}, []
    models = {name: ZOO["functional"]().model for name in ("left", "right")}

    def work(name: str) -> None:
        try:
            for _ in range(3):
                received[name] = FeatureMapExtractor(models[name])(X[:2])
        except Exception as error:
            failures.append(error)

    for name, model in models.items():
        expected[name] = FeatureMapExtractor(model)(X[:2])
    threads = [threading.Thread(target=work, args=(name,)) for name in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert (keras.Layer.__call__, keras.Layer.rematerialized_call) == ORIGINAL
    for name, maps in expected.items():
        for path, values in maps.items():
            np.testing.assert_array_equal(received[name][path], values)


def test_a_capture_leaves_losses_and_metrics_alone() -> None:
    model = functional()
    model.compile("sgd", "mse")
    before = len(model.losses), [each.name for each in model.metrics]
    capture = Capture(model, X[:2], "all", "all")
    for _ in range(3):
        capture(ops.convert_to_tensor(X[:2]))
    assert (len(model.losses), [each.name for each in model.metrics]) == before


class Told(layers.Layer):
    """Tells TensorBoard of what goes through it."""

    def call(self, inputs: Any) -> Any:
        sys.modules["tensorflow"].summary.histogram("told", inputs)
        return inputs


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's summaries")
@pytest.mark.parametrize("eagerly", [False, True])
def test_what_a_model_writes_for_tensorboard_is_the_same(eagerly: bool, tmp_path: Path) -> None:
    tensorflow = sys.modules["tensorflow"]

    def written(log_dir: Path, *callbacks: keras.callbacks.Callback) -> list[tuple[int, bytes]]:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((8, 8, 3)), layers.Conv2D(3, 1, name="a"), Told(name="told")], name="model"
        )
        model.compile("sgd", "mse", jit_compile=False, run_eagerly=eagerly)
        with tensorflow.summary.create_file_writer(str(log_dir)).as_default(step=model.optimizer.iterations):
            model.fit(X, X, batch_size=4, epochs=2, verbose=0, callbacks=list(callbacks))
            tensorflow.summary.flush()
        (path,) = log_dir.glob("events.*")
        events = [
            tensorflow.compat.v1.Event.FromString(record.numpy())
            for record in tensorflow.data.TFRecordDataset(str(path))
        ]
        return [(event.step, event.summary.SerializeToString()) for event in events if event.summary.value]

    ours = FeatureMapCallback(X[:1], tmp_path / "ours", images=False)
    expected = written(tmp_path / "without")
    assert len(expected) == 2 * len(X) // 4
    assert written(tmp_path / "with", ours) == expected


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's checker")
@pytest.mark.parametrize("count", [1, 17])
def test_a_hunt_for_what_is_not_finite_finds_nothing_of_ours(count: int, tmp_path: Path) -> None:
    """In a process of its own: the checker stays for good."""
    program = f"""
import keras, numpy as np, tensorflow as tf
from fm_callback import FeatureMapCallback
tf.debugging.enable_check_numerics()
x = np.random.default_rng(0).random((4, 16, 16, 3), "float32")
model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(3, 3, padding="same"), keras.layers.ReLU()])
model.compile("sgd", "mse", jit_compile=False)
probe = np.resize(x, ({count}, 16, 16, 3))
callback = FeatureMapCallback(probe, {str(tmp_path)!r}, masks=probe[..., 0] > 0.5, update_freq="batch")
model.fit(x, x, epochs=2, verbose=0, callbacks=[callback])
"""
    subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", program], check=True)
    assert len(stored(tmp_path / "feature_maps")) == 3


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX keeps its state outside the model during an epoch")
def test_jax_keeps_its_weights_when_a_later_capture_fails(tmp_path: Path) -> None:
    """An exception between two batches must not lose what JAX holds outside the model."""

    class Breaks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 0:
                vars(callback._recorder._probe)["inputs"] = "no tensor"

    callback = FeatureMapCallback(X[:2], tmp_path, layers="all", update_freq="batch", images=False)
    _, expected, _ = trained(pointwise)
    with pytest.warns(RuntimeWarning, match="stopped logging"):
        _, received, _ = trained(pointwise, Breaks(), callback)
    for name, values in expected.items():
        np.testing.assert_array_equal(received[name], values, err_msg=name)
