"""A model inside the trained one is watched; models and samples that can't be watched are refused in words."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.decoding import run_facts, stored
from zoo import BACKEND, data

from fm_callback import FeatureMapCallback, FeatureMapExtractor, conv_layers

X = data(8, 8, 8, 3)
CODES = data(2, 4, 4, 2)


class Encoder(keras.Model):
    """Not built before `fit`; draws random numbers and keeps statistics."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.noise, self.norm = layers.GaussianNoise(0.1, seed=3), layers.BatchNormalization()
        self.a, self.b = layers.Conv2D(4, 3, padding="same", name="a"), layers.Conv2D(2, 2, strides=2, name="b")

    def call(self, inputs: Any, training: bool = False) -> Any:
        value = self.a(self.noise(inputs, training=training))
        return self.b(self.norm(value, training=training))


class Autoencoder(keras.Model):
    """Its parts are trained as one."""

    def __init__(self) -> None:
        super().__init__(name="autoencoder")
        self.encoder = Encoder(name="first_half")
        self.decoder = keras.Sequential([layers.Conv2DTranspose(3, 2, strides=2, name="up")], name="second_half")
        self.averaged = keras.models.clone_model(self.decoder)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.decoder(self.encoder(inputs, training=training))


class Adversaries(keras.Model):
    """Has no `call`: it trains by a step of its own."""

    def __init__(self) -> None:
        super().__init__(name="adversaries")
        self.generator = keras.Sequential(
            [
                keras.Input((5,)),
                layers.Dense(32),
                layers.Reshape((4, 4, 2)),
                layers.Conv2DTranspose(3, 2, strides=2, name="up"),
            ]
        )
        self.discriminator = keras.Sequential([layers.Conv2D(4, 3, name="down"), layers.Flatten(), layers.Dense(1)])

    def train_step(self, images: Any) -> dict[str, Any]:
        tensorflow = sys.modules["tensorflow"]
        latents = tensorflow.ones((2, 5))
        with tensorflow.GradientTape(persistent=True) as tape:
            judged = self.discriminator(self.generator(latents))
            loss = ops.mean(judged - 1.0) - ops.mean(self.discriminator(images))
        weights = self.generator.trainable_weights + self.discriminator.trainable_weights
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


class Maps(keras.callbacks.Callback):
    """The outputs of a model inside at the end of each epoch."""

    def __init__(self, samples: np.ndarray, inside: Callable[[keras.Model], keras.Model]) -> None:
        super().__init__()
        self.samples, self.inside, self.steps = samples, inside, {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with keras.StatelessScope():
            output = self.inside(self.model)(ops.convert_to_tensor(self.samples), training=False)
        self.steps[epoch + 1] = ops.convert_to_numpy(output)


def trained(model: keras.Model, *callbacks: keras.callbacks.Callback) -> tuple[Any, list[np.ndarray]]:
    model.compile(keras.optimizers.Adam(0.01), "mse")
    history = model.fit(X, X, batch_size=4, epochs=3, verbose=0, shuffle=False, callbacks=list(callbacks))
    return history.history, [ops.convert_to_numpy(variable) for variable in model.variables]


def seeded(make: Callable[[], keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(11)
    return make()


CHOICES = {
    "attribute": ("encoder", X[:2], lambda model: model.encoder, ["a", "b"], "autoencoder/first_half"),
    "clone": ("decoder", CODES, lambda model: model.decoder, ["up"], "autoencoder/second_half"),
    "layer": ("first_half", X[:2], lambda model: model.encoder, ["a", "b"], "autoencoder/first_half"),
    "function": (lambda model: model.encoder, X[:2], lambda model: model.encoder, ["a", "b"], "autoencoder/first_half"),
}


@pytest.mark.parametrize(
    ("choice", "update_freq"),
    [("attribute", "epoch"), ("attribute", 1), ("clone", 1), ("layer", "epoch"), ("function", 1)],
)
def test_the_maps_are_those_of_the_model_inside_and_training_is_bit_identical(
    choice: str, update_freq: Any, tmp_path: Path
) -> None:
    submodel, samples, inside, paths, name = CHOICES[choice]
    expected, expected_weights = trained(seeded(Autoencoder))
    truth = Maps(samples, inside)
    callback = FeatureMapCallback(samples, tmp_path, layers="all", update_freq=update_freq, submodel=submodel)
    received, weights = trained(seeded(Autoencoder), truth, callback)
    assert received == expected
    for one, other in zip(weights, expected_weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert run_facts(tmp_path / "feature_maps")["model"]["name"] == name
    steps = stored(tmp_path / "feature_maps")
    assert list(steps) == ([0, 1, 2, 3] if update_freq == "epoch" else list(range(7)))
    for epoch, output in truth.steps.items():
        found = steps[epoch if update_freq == "epoch" else 2 * epoch]
        assert list(found) == paths
        np.testing.assert_allclose(found[paths[-1]].table[:, 0], output.min((0, 1, 2)), atol=1e-5)
        np.testing.assert_allclose(found[paths[-1]].table[:, 1], output.max((0, 1, 2)), atol=1e-5)


def test_layers_and_maps_of_a_model_inside() -> None:
    model = Autoencoder()
    assert [layer.path for layer in conv_layers(model, X, submodel="encoder")] == ["a", "b"]
    maps = FeatureMapExtractor(model, submodel="decoder")(CODES)
    np.testing.assert_allclose(maps["up"], ops.convert_to_numpy(model.decoder(CODES)), atol=1e-5)


def test_a_layer_with_layers_inside_may_be_watched() -> None:
    class Block(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layers.Conv2D(2, 1, name="conv")

        def call(self, inputs: Any) -> Any:
            return self.conv(inputs)

    model = keras.Sequential([Block(), layers.GlobalAveragePooling2D()])
    maps = FeatureMapExtractor(model, submodel=lambda model: model.layers[0])(X)
    np.testing.assert_allclose(maps["conv"], ops.convert_to_numpy(model.layers[0](X)), atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a training step of one's own, in TensorFlow")
@pytest.mark.parametrize(("submodel", "samples"), [("generator", data(2, 5)), ("discriminator", X[:2])])
@pytest.mark.parametrize("eagerly", [False, True])
def test_a_model_without_call_is_watched_by_its_parts(
    submodel: str, samples: np.ndarray, eagerly: bool, tmp_path: Path
) -> None:
    def train(*callbacks: keras.callbacks.Callback) -> list[np.ndarray]:
        model = seeded(Adversaries)
        model.compile(keras.optimizers.SGD(0.01), run_eagerly=eagerly)
        model.fit(X, batch_size=4, epochs=2, verbose=0, shuffle=False, callbacks=list(callbacks))
        return model.get_weights()

    callback = FeatureMapCallback(samples, tmp_path, submodel=submodel)
    for one, other in zip(train(callback), train(), strict=True):
        np.testing.assert_array_equal(one, other)
    steps = stored(tmp_path / "feature_maps")
    assert list(steps) == [0, 1, 2]
    assert not np.array_equal(steps[1].popitem()[1].table, steps[2].popitem()[1].table)


def begin(model: keras.Model, samples: Any, **options: Any) -> None:
    callback = FeatureMapCallback(samples, **options)
    callback.set_model(model)
    callback.on_train_begin()


@pytest.mark.parametrize("use", [begin, conv_layers, lambda model, samples: FeatureMapExtractor(model)(samples)])
def test_a_model_without_call_is_refused_with_what_could_be_watched(use: Any) -> None:
    with pytest.raises(ValueError) as caught:
        use(Adversaries(), X)
    assert str(caught.value) == (
        "model 'adversaries' (Adversaries) has no `call` of its own, so there is no pass over `samples` to watch. "
        "To watch a model inside it give `submodel=`, one of 'generator', 'discriminator'"
    )


@pytest.mark.parametrize(
    ("submodel", "message"),
    [
        ("encodr", "model 'autoencoder' (Autoencoder) has no attribute or layer 'encodr' that is a model; did you mean "
                   "'encoder'? It has: 'encoder', 'decoder', 'averaged'"),
        ("name", "no attribute or layer 'name' that is a model"),
        ("second_half", "'second_half' names 2 layers of model 'autoencoder' (Autoencoder): give the name of an attribute, "
                        "such as 'encoder', 'decoder', 'averaged', or a function"),
        (layers.ReLU(name="itself"), "`submodel` is the model 'itself' itself: give the name of its attribute, or a function"),
        (3, "`submodel` must be a name or a function of the model; received 3"),
        (lambda model: model.name, "`submodel` must give a model or a layer; it gave a str"),
    ],
)  # fmt: skip
def test_a_wrong_choice_of_a_model_says_what_was_possible(submodel: Any, message: str) -> None:
    model = Autoencoder()
    with pytest.raises(ValueError) as caught:
        begin(model, X, submodel=submodel)
    assert message in str(caught.value)


class Denoiser(keras.Model):
    """Takes two arguments."""

    def __init__(self) -> None:
        super().__init__(name="denoiser")
        self.network = keras.Sequential([layers.Conv2D(3, 1)])

    def call(self, inputs: Any, share: Any) -> Any:
        return self.network(inputs) * share


def even_sizes() -> keras.Model:
    image = keras.Input((None, None, 3))
    halved = layers.UpSampling2D()(layers.MaxPooling2D()(layers.Conv2D(3, 1)(image)))
    return keras.Model(image, layers.Concatenate()([image, halved]), name="even_sizes")


class Fours(keras.Model):
    """Takes its samples by four."""

    def __init__(self) -> None:
        super().__init__(name="fours")
        self.conv = layers.Conv2D(3, 1)

    def call(self, inputs: Any) -> Any:
        return ops.reshape(self.conv(inputs), (4, -1))


@pytest.mark.parametrize(
    ("make", "shape"), [(Denoiser, (2, 8, 8, 3)), (even_sizes, (2, 9, 9, 3)), (Fours, (3, 5, 5, 3))]
)
def test_an_error_of_the_pass_says_whose_pass_it_is_and_what_to_do(make: Any, shape: Any, tmp_path: Path) -> None:
    model = make()
    callback = FeatureMapCallback(data(*shape), tmp_path)
    callback.set_model(model)
    with pytest.raises(Exception) as caught:
        callback.on_train_begin()
        callback.on_epoch_begin(0)
    (note,) = [note for note in caught.value.__notes__ if "feature maps" in note]
    assert note.startswith(f"This is from a pass for feature maps: model {model.name!r} ({type(model).__name__}) was ")
    assert f"the shapes {shape}. Give `samples` that `model(samples, training=False)` takes" in note
    assert note.endswith("give `submodel=`, one of 'network'") == (make is Denoiser)


def too_small() -> keras.Model:
    """Its second convolution refuses images of five pixels, when the first is built."""
    return keras.Sequential([layers.Conv2D(4, 3, name="a"), layers.BatchNormalization(), layers.Conv2D(2, 9, name="b")])


class TooSmall(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.steps = too_small().layers

    def call(self, inputs: Any) -> Any:
        for step in self.steps:
            inputs = step(inputs)
        return inputs


@pytest.mark.parametrize("make", [too_small, TooSmall])
@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": data(2, 5, 5, 1)},
        {"samples": data(2, 16, 16, 1), "layers": ["c"]},
        {"samples": data(2, 16, 16, 1), "masks": np.eye(9, dtype=int)},
    ],
)
def test_after_an_error_a_model_that_was_not_built_takes_other_samples(make: Any, wrong: dict[str, Any]) -> None:
    model = make()
    with pytest.raises(Exception, match=r"no conv layer 'c'|do not fit|negative|exceed|size|shape"):
        begin(model, **wrong)
    assert not model.built and not model.variables and not any(layer.built for layer in model.layers)
    maps = FeatureMapExtractor(model)(data(2, 16, 16, 3))
    assert [values.shape for values in maps.values()] == [(2, 14, 14, 4), (2, 6, 6, 2)]
    model.compile("sgd", "mse")
    model.fit(data(2, 16, 16, 3), data(2, 6, 6, 2), verbose=0)
    assert len(model.variables) == 2 + 4 + 2 and len(model.trainable_variables) == 2 + 2 + 2
