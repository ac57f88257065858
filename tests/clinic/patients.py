"""Small trainings of seconds, each with what findings should say of it: any of some kinds; of the healthy ones notes at most.

Pictures are drawn: a disc and a square, near the middle, on smooth noise. Everything follows from a seed. Seeds 0 to 8 are for
development; what the findings are worth is counted on 9 to 11 (`benchmarks/clinic.py`), for which nothing is tuned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from fm_callback import FeatureMapCallback

SIDE, COUNT, PROBE = 32, 96, 16
CLASSES = {0: "background", 1: "disc", 2: "square"}


@dataclass(frozen=True)
class Patient:
    """A training.

    Attributes:
        name: What it is called.
        kinds: One of these should be found; none of a healthy one.
        train: Trains with a seed, and logs to a directory.
    """

    name: str
    kinds: tuple[str, ...]
    train: Callable[[int, Path], None]


PATIENTS: dict[str, Patient] = {}


def patient(*kinds: str) -> Callable[[Callable[[int, Path], None]], Callable[[int, Path], None]]:
    """Puts a training on the list."""

    def listed(train: Callable[[int, Path], None]) -> Callable[[int, Path], None]:
        PATIENTS[train.__name__] = Patient(train.__name__, kinds, train)
        return train

    return listed


def drawn(seed: int, count: int = COUNT, square: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, float32 (N, 32, 32, 3) from 0 to 1, and their labels, (N, 32, 32)."""
    rng = np.random.default_rng(seed)
    pictures = rng.normal(size=(count, SIDE, SIDE, 3))
    for axis in (1, 2):
        for _ in range(3):
            pictures = (pictures + np.roll(pictures, 1, axis) + np.roll(pictures, -1, axis)) / 3
    pictures = 0.4 + 0.3 * pictures / pictures.std() * 0.4
    labels = np.zeros((count, SIDE, SIDE), np.int32)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for picture, label in zip(pictures, labels, strict=True):
        for value in (1, 2):
            row, column = np.clip(rng.normal(16, 5, 2), 6, 25)
            near = [abs(rows - row), abs(columns - column)]
            where = np.hypot(*near) < rng.uniform(4, 7) if value == 1 else np.maximum(*near) < square / 2
            label[where] = value
            picture[where] += np.array([[0.35, -0.1, 0.1], [-0.1, 0.35, 0.1]])[value - 1]
    pictures += rng.normal(scale=0.04, size=pictures.shape)
    return pictures.clip(0, 1).astype("float32"), labels


def conv(filters: int, name: str, norm: Any = None, activation: str = "relu", **given: Any) -> Callable[[Any], Any]:
    """A convolution and its activation, with a normalisation between where one is given."""

    def apply(x: Any) -> Any:
        if norm is None:
            return layers.Conv2D(filters, 3, padding="same", activation=activation, name=name, **given)(x)
        x = layers.Conv2D(filters, 3, padding="same", name=name, **given)(x)
        return layers.ReLU(name=f"{name}_relu")(norm()(x))

    return apply


def unet(norm: Any = None, up: str = "upsample", skip: Any = None, width: int = 8, act: str = "relu") -> keras.Model:
    """A small U-Net, softmax at its end. Without a normalisation its ReLUs die easily."""
    inputs = keras.Input((SIDE, SIDE, 3))
    one = conv(width, "enc1", norm, act)(inputs)
    two = conv(2 * width, "enc2", norm, act)(layers.MaxPooling2D()(one))
    x = conv(2 * width, "bottom", norm, act)(layers.MaxPooling2D()(two))
    for level, (kept, filters) in enumerate(((two, 2 * width), (one, width))):
        name = f"dec{2 - level}"
        if up == "upsample":
            x = layers.UpSampling2D(interpolation="bilinear")(x)
        else:
            x = layers.Conv2DTranspose(filters, int(up), strides=2, padding="same", name=f"{name}_up")(x)
        x = conv(filters, name, norm, act)(layers.Concatenate()([x, skip(kept) if skip else kept]))
    return keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="head", dtype="float32")(x))


def sound() -> Any:
    """A normalisation with which small networks learn whatever the seed."""
    return layers.BatchNormalization(momentum=0.8)


def learn(
    seed: int,
    directory: Path,
    model: keras.Model,
    x: np.ndarray | None = None,
    y: np.ndarray | None = None,
    *,
    optimizer: Any = None,
    loss: Any = "sparse_categorical_crossentropy",
    epochs: int = 12,
    others: Sequence[Any] = (),
    probe: Any = None,
    training_pass: bool = False,
    batch: int = 8,
    **fit: Any,
) -> None:
    """Trains; the probe is of another seed than the pictures."""
    pictures, labels = drawn(1000 + seed)
    x, y = pictures if x is None else x, labels if y is None else y
    held, masks = probe or drawn(2000 + seed, PROBE)
    watched = FeatureMapCallback(
        held,
        directory,
        masks=masks,
        classes=None if masks is None else CLASSES,
        layers="all",
        images=False,
        training_pass=training_pass,
    )
    model.compile(optimizer or keras.optimizers.Adam(0.003), loss)
    model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[*others, watched], **fit)


# Healthy


@patient()
def unet_plain(seed: int, directory: Path) -> None:
    learn(seed, directory, unet(act="leaky_relu"), epochs=16)


@patient()
def unet_batch_normalised(seed: int, directory: Path) -> None:
    learn(seed, directory, unet(sound))


@patient()
def unet_group_normalised(seed: int, directory: Path) -> None:
    learn(seed, directory, unet(lambda: layers.GroupNormalization(4)), training_pass=True)


@patient()
def unet_with_dropout(seed: int, directory: Path) -> None:
    learn(seed, directory, unet(sound, skip=layers.Dropout(0.5)), training_pass=True)


@patient()
def unet_transposed(seed: int, directory: Path) -> None:
    learn(
        seed, directory, unet(sound, up="2"), optimizer=keras.optimizers.Adam(0.001)
    )  # at .003 one in six falls again


@patient()
def sd_unet_slim(seed: int, directory: Path) -> None:
    from sd_unet import sd_unet

    model = sd_unet((SIDE, SIDE, 3), filters=(8, 8, 8, 8, 16), neck=8)
    learn(seed, directory, model, epochs=6)


@patient()
def classifier(seed: int, directory: Path) -> None:
    x, _ = drawn(1000 + seed)
    y = (x[..., 0].mean(axis=(1, 2)) > np.median(x[..., 0].mean(axis=(1, 2)))).astype(int)
    inputs = keras.Input((SIDE, SIDE, 3))
    h = layers.MaxPooling2D()(conv(8, "one")(inputs))
    h = layers.GlobalAveragePooling2D()(conv(16, "two")(h))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", name="classes")(h))
    learn(seed, directory, model, x, y, probe=(drawn(2000 + seed, PROBE)[0], None))


@patient()
def signals(seed: int, directory: Path) -> None:
    def made(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        time = np.arange(128)
        labels = np.zeros((count, 128), np.int32)
        x = rng.normal(scale=0.3, size=(count, 128, 1))
        for signal, label in zip(x, labels, strict=True):
            start = rng.integers(10, 80)
            label[start : start + 30] = 1
            signal[start : start + 30, 0] += np.sin(time[:30] * rng.uniform(0.7, 0.9))
        return x.astype("float32"), labels

    x, y = made(1000 + seed, COUNT)
    inputs = keras.Input((128, 1))
    h = inputs
    for at, filters in enumerate((8, 16, 16)):
        h = layers.Conv1D(filters, 7, padding="same", activation="relu", name=f"conv{at}")(h)
    model = keras.Model(inputs, layers.Conv1D(2, 1, activation="softmax", name="head")(h))
    held, masks = made(2000 + seed, PROBE)
    watched = FeatureMapCallback(held, directory, masks=masks, layers="all", images=False)
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=16, epochs=10, verbose=0, callbacks=[watched])


@patient()
def frozen_on_purpose(seed: int, directory: Path) -> None:
    model = unet(sound)
    x, y = drawn(1000 + seed)
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=8, epochs=6, verbose=0)
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(("enc", "bottom"))
    for name in ("dec2", "dec1", "head"):
        fresh = model.get_layer(name)
        fresh.set_weights(
            [np.random.default_rng(seed).normal(scale=0.1, size=each.shape) for each in fresh.get_weights()]
        )
    learn(seed, directory, model)


@patient()
def mixed_precision(seed: int, directory: Path) -> None:
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        learn(seed, directory, unet(sound))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


class Adversaries(keras.Model):
    """A generator of pictures, and what it is to deceive."""

    def __init__(self) -> None:
        super().__init__()
        noise = keras.Input((16,))
        h = layers.Reshape((8, 8, 8))(layers.Dense(512, activation="relu")(noise))
        for name, filters in (("up1", 16), ("up2", 8)):  # upsampled, then convolved: what is done against checkerboards
            h = conv(filters, name)(layers.UpSampling2D(interpolation="bilinear")(h))
        self.generator = keras.Model(noise, layers.Conv2D(3, 3, padding="same", activation="sigmoid", name="paint")(h))
        self.judge = keras.Sequential(
            [
                keras.Input((SIDE, SIDE, 3)),
                layers.Conv2D(8, 4, strides=2, padding="same"),
                layers.LeakyReLU(),
                layers.Conv2D(16, 4, strides=2, padding="same"),
                layers.LeakyReLU(),
                layers.Flatten(),
                layers.Dense(1),
            ]
        )
        self.rates = [keras.optimizers.Adam(0.001, beta_1=0.5) for _ in range(2)]

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        real = data[0] if isinstance(data, tuple) else data
        noise = tf.random.normal((tf.shape(real)[0], 16))
        losses = []
        for optimizer, part in zip(self.rates, (self.judge, self.generator), strict=True):
            with tf.GradientTape() as tape:
                told = self.judge(self.generator(noise, training=True), training=True)
                if part is self.judge:
                    true = self.judge(real, training=True)
                    loss = tf.reduce_mean(tf.nn.softplus(-true) + tf.nn.softplus(told))
                else:
                    loss = tf.reduce_mean(tf.nn.softplus(-told))
            optimizer.apply_gradients(
                zip(tape.gradient(loss, part.trainable_variables), part.trainable_variables, strict=True)
            )
            losses.append(loss)
        return {"judge": losses[0], "generator": losses[1]}


@patient()
def adversarial_generator(seed: int, directory: Path) -> None:
    model = Adversaries()
    model.compile()
    noise = np.random.default_rng(seed).normal(size=(PROBE, 16)).astype("float32")
    watched = FeatureMapCallback(noise, directory, submodel="generator", layers="all", images=False)
    model.fit(drawn(1000 + seed)[0], batch_size=16, epochs=10, verbose=0, callbacks=[watched])


@patient()
def dilations_one_after_the_other(seed: int, directory: Path) -> None:
    inputs = h = keras.Input((SIDE, SIDE, 3))
    for name, rate in (("one", 1), ("two", 2), ("five", 5), ("last", 1)):
        h = conv(12, name, sound, dilation_rate=rate)(h)
    learn(seed, directory, keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="head")(h)))


# Sick


@patient("dead_layer", "dead_channels")
def rate_that_kills_relus(seed: int, directory: Path) -> None:
    learn(seed, directory, unet(), optimizer=keras.optimizers.Adam(0.5))


@patient("non_finite")
def overflow_in_float16(seed: int, directory: Path) -> None:
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((SIDE, SIDE, 3))
        x = conv(8, "one")(inputs)
        model = keras.Model(inputs, layers.Conv2D(1, 1, name="area")(x))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    y = drawn(1000 + seed)[1][..., None] * 1e5  # in units that float16 does not hold
    learn(
        seed,
        directory,
        model,
        y=y,
        loss="mae",
        optimizer=keras.optimizers.SGD(3e4),
        probe=(drawn(2000 + seed, PROBE)[0], None),
    )


@patient("non_finite")
def log_of_zero(seed: int, directory: Path) -> None:
    base = unet()
    steep = layers.Conv2D(3, 1, name="steep")(base.get_layer("dec1").output)
    model = keras.Model(base.inputs, layers.Softmax()(layers.Rescaling(100.0)(steep)))

    def loss(true: Any, given: Any) -> Any:  # where a probability is 1 the other logarithm is that of 0
        one = keras.ops.one_hot(keras.ops.cast(true, "int32"), 3)
        return -keras.ops.mean(one * keras.ops.log(given) + (1 - one) * keras.ops.log(1 - given), axis=-1)

    learn(seed, directory, model, loss=loss)


@patient("train_eval_gap")
def statistics_of_two(seed: int, directory: Path) -> None:
    def slow() -> Any:
        return layers.BatchNormalization(momentum=0.999)

    learn(seed, directory, unet(slow), batch=2, epochs=6, training_pass=True)


@patient("checkerboard")
def uneven_transposed_convolution(seed: int, directory: Path) -> None:
    inputs = keras.Input((SIDE, SIDE, 3))
    x = conv(16, "two")(layers.MaxPooling2D()(conv(8, "one")(inputs)))
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="softmax", name="head")(x)
    rate = keras.optimizers.Adam(0.0003)  # more training evens it out
    learn(seed, directory, keras.Model(inputs, x), optimizer=rate, epochs=6)


@patient("gridding")
def dilations_without_smoothing(seed: int, directory: Path) -> None:
    def salted(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        pictures, labels = drawn(seed, count)
        return np.where(np.random.default_rng(seed).random((*labels.shape, 1)) < 0.03, 1, pictures).astype(
            "float32"
        ), labels

    inputs = x = keras.Input((SIDE, SIDE, 3))
    for at in range(5):
        x = conv(16, f"dilated{at}", dilation_rate=4)(x)
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="head")(x))
    learn(seed, directory, model, *salted(1000 + seed, COUNT), probe=salted(2000 + seed, PROBE), epochs=20)


@patient("gridding")
def dilation_wider_than_the_maps(seed: int, directory: Path) -> None:
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.MaxPooling2D(3)(conv(8, "one", sound)(inputs))  # 10x10
    x = layers.Resizing(SIDE, SIDE)(conv(16, "wide", sound, dilation_rate=12)(x))
    learn(seed, directory, keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="head")(x)))


@patient("position_only", "prediction_collapsed")
def labels_shuffled(seed: int, directory: Path) -> None:
    x, y = drawn(1000 + seed)
    held, masks = drawn(2000 + seed, PROBE)
    rng = np.random.default_rng(seed)
    learn(seed, directory, unet(sound), x, rng.permutation(y), probe=(held, rng.permutation(masks)))


@patient("position_only", "prediction_collapsed")
def labels_shifted(seed: int, directory: Path) -> None:
    x, y = drawn(1000 + seed)
    held, masks = drawn(2000 + seed, PROBE)
    inputs = h = keras.Input((SIDE, SIDE, 3))
    for name in ("one", "two", "three"):  # which do not see as far as the objects are off; others learn where they are
        h = conv(8, name, sound)(h)
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="head")(h))
    learn(seed, directory, model, x, np.roll(y, SIDE // 2, 2), probe=(held, np.roll(masks, SIDE // 2, 2)))


@patient("class_never_predicted", "class_lost", "probe_score_fell")  # it is unlearned, sooner or later
def class_of_weight_zero(seed: int, directory: Path) -> None:
    x, y = drawn(1000 + seed)
    learn(seed, directory, unet(sound), x, y, sample_weight=(y != 2).astype("float32"), epochs=20)


@patient("class_never_predicted")
def rare_class(seed: int, directory: Path) -> None:
    x, y = drawn(1000 + seed, square=2)
    learn(
        seed, directory, unet(sound), x, y, epochs=6,
        probe=drawn(2000 + seed, PROBE, square=2),
    )  # fmt: skip


@patient("unchanged_layer", "prediction_collapsed")
def inputs_of_zeros(seed: int, directory: Path) -> None:
    x, y = drawn(1000 + seed)
    learn(seed, directory, unet(sound), 0 * x, y)


@patient("unchanged_layer")
def branch_without_gradient(seed: int, directory: Path) -> None:
    base = unet(sound)
    inputs = base.inputs[0]
    side = layers.Lambda(keras.ops.stop_gradient)(conv(8, "side")(inputs))
    x = layers.Concatenate()([base.get_layer("dec1").output, side])
    learn(seed, directory, keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="labels")(x)))


@patient("unchanged_layer")
def encoder_left_frozen(seed: int, directory: Path) -> None:
    model = unet(sound)
    for layer in model.layers:
        layer.trainable = not layer.name.startswith("enc")
    learn(seed, directory, model)


@patient("border")
def zero_padding_of_bright_pictures(seed: int, directory: Path) -> None:
    x, y = drawn(1000 + seed)
    held, masks = drawn(2000 + seed, PROBE)
    inputs = h = keras.Input((SIDE, SIDE, 3))
    for name in ("one", "two"):
        h = conv(8, name, activation="leaky_relu")(h)
    model = keras.Model(inputs, layers.Conv2D(3, 3, padding="same", activation="softmax", name="head")(h))
    learn(seed, directory, model, 3 + x, y, epochs=6, probe=(3 + held, masks))


@patient("scrambled")
def reshape_that_scrambles(seed: int, directory: Path) -> None:
    inputs = keras.Input((SIDE, SIDE, 3))
    x = conv(12, "one")(inputs)
    x = layers.Permute((2, 3, 1))(
        layers.Reshape((12, SIDE, SIDE))(x)
    )  # the channels are last: this is no transposition
    x = conv(12, "behind")(x)
    learn(seed, directory, keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="head")(x)))


@patient("dead_layer")
def broken_skip(seed: int, directory: Path) -> None:
    def skip(kept: Any) -> Any:
        lost = layers.Lambda(lambda tensor: 0 * tensor)(kept)
        return layers.Conv2D(4, 1, name=f"skip{kept.shape[1]}")(lost)

    learn(seed, directory, unet(sound, skip=skip))


@patient("duplicate_channels")
def filters_that_begin_alike(seed: int, directory: Path) -> None:
    inputs = keras.Input((SIDE, SIDE, 3))
    alike = {"kernel_initializer": keras.initializers.Constant(0.05), "activation": "leaky_relu"}
    x = conv(8, "two", **alike)(conv(8, "one", **alike)(inputs))
    learn(seed, directory, keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax", name="head")(x)))


@patient("probe_score_fell", "class_lost", "prediction_collapsed")
def rate_that_rises_too_far(seed: int, directory: Path) -> None:
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.003 if epoch < 10 else 0.4)
    learn(seed, directory, unet(act="leaky_relu"), epochs=16, others=[schedule])


def train(name: str, seed: int, directory: Path) -> None:
    """One training, from a clean start."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    PATIENTS[name].train(seed, directory)
