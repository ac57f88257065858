"""The zoo: every awkward way to build a model, tiny, each with its ground truth.

A truth is a way to the maps that shares nothing with ours: a second functional model with the tensors as outputs, the layers
called by hand, or numpy. It is asked at the model's present weights, so that it holds for every step of a training.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

BACKEND = keras.backend.backend()
Maps = dict[str, Any]


@dataclass
class Animal:
    """A model of the zoo.

    Attributes:
        model: The model, not compiled, perhaps not built.
        truth: From a batch (or structure) of tensors to `{path: map}` for every call of every convolution, in number order.
        samples: A batch, or a structure of batches.
        layers: The choice that catches what `truth` holds.
        skipped: Paths of convolutions that can't be captured.
        eager: Whether the model can't be traced, so that each pass runs layer by layer.
        compile: Further arguments of `model.compile`.
        eps: Rounding unit of the model's compute dtype.
    """

    model: keras.Model
    truth: Callable[[Any], Maps]
    samples: Any = None
    layers: Any = "all"
    skipped: tuple[str, ...] = ()
    eager: bool = False
    compile: Mapping[str, Any] = field(default_factory=dict)
    eps: float = 2.0**-23

    def __post_init__(self) -> None:
        if self.samples is None:
            self.samples = data(2, *self.model.input_shape[1:])

    def maps(self) -> dict[str, np.ndarray]:
        """The ground truth at the present weights: float32, channels last."""
        inputs = keras.tree.map_structure(ops.convert_to_tensor, self.samples)
        with keras.StatelessScope(), _no_grad():
            maps = self.truth(inputs)
            return {path: ops.convert_to_numpy(ops.cast(value, "float32")) for path, value in maps.items()}

    def fit(self, *callbacks: keras.callbacks.Callback, epochs: int = 1, **arguments: Any) -> keras.callbacks.History:
        """Trains towards zero on the samples, two batches an epoch."""
        twice = keras.tree.map_structure(lambda batch: np.concatenate([batch, batch]), self.samples)
        with keras.StatelessScope(), _no_grad():
            outputs = self.model(keras.tree.map_structure(ops.convert_to_tensor, twice), training=False)
        targets = keras.tree.map_structure(lambda output: np.zeros(output.shape, "float32"), outputs)
        if not self.model.compiled:
            self.model.compile(keras.optimizers.SGD(0.05), "mse", **self.compile)
        count = len(keras.tree.flatten(self.samples)[0])
        defaults = {"batch_size": count, "epochs": epochs, "verbose": 0, "shuffle": False}
        return self.model.fit(twice, targets, callbacks=list(callbacks), **defaults | arguments)


#: Name -> how to make the model. Which backends can't have it at all, and why: `CANNOT`.
ZOO: dict[str, Callable[[], Animal]] = {}
#: (name, backend) -> why Keras or the backend itself can't run the model, with or without us.
CANNOT: dict[tuple[str, str], str] = {}
#: (name, backend) -> what is worth knowing about a cell that works; without backend, about all three.
NOTES: dict[tuple[str, str], str] = {}


def data(*shape: int) -> np.ndarray:
    """Normal float32 values, the same each time."""
    fixed = [9 if size is None else size for size in shape]
    return np.random.default_rng(sum(fixed)).normal(size=fixed).astype("float32")


def _no_grad() -> AbstractContextManager[Any]:
    return sys.modules["torch"].no_grad() if BACKEND == "torch" else nullcontext()


def animal(make: Callable[[], Animal]) -> Callable[[], Animal]:
    ZOO[make.__name__.lstrip("_")] = make
    return make


def cannot(
    backend: str, why: str, unless: Callable[[], bool] = lambda: False
) -> Callable[[Callable[[], Animal]], Callable[[], Animal]]:
    def mark(make: Callable[[], Animal]) -> Callable[[], Animal]:
        if backend == BACKEND and not unless():
            CANNOT[make.__name__.lstrip("_"), backend] = why
        return make

    return mark


def note(why: str, *backends: str) -> Callable[[Callable[[], Animal]], Callable[[], Animal]]:
    def mark(make: Callable[[], Animal]) -> Callable[[], Animal]:
        for backend in backends or ("tensorflow", "jax", "torch"):
            NOTES[make.__name__.lstrip("_"), backend] = why
        return make

    return mark


def second_model(inputs: Any, **tensors: Any) -> Callable[[Any], Maps]:
    """Ground truth by a second functional model with the tensors as its outputs."""
    model = keras.Model(inputs, list(tensors.values()))
    return lambda batch: dict(zip(tensors, keras.tree.flatten(model(batch, training=False)), strict=True))


def chain(*steps: Any, paths: Mapping[Any, str] | None = None) -> Callable[[Any], Maps]:
    """Ground truth by calling layers by hand, one after the other; convolutions are kept under their names or given paths."""

    def truth(batch: Any) -> Maps:
        maps, value = {}, batch
        for step in steps:
            value = step(value, training=False) if isinstance(step, keras.Layer) else step(value)
            if paths is not None and step in paths:
                maps[paths[step]] = value
            elif paths is None and "Conv" in type(step).__name__:
                maps[step.name] = value
        return maps

    return truth


def conv(filters: int = 4, name: str | None = None, **options: Any) -> keras.Layer:
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)


def pooled(value: Any) -> Any:
    return layers.GlobalAveragePooling2D()(value)


# Functional models ----------------------------------------------------------------------------------------------------


@animal
def functional() -> Animal:
    inputs = keras.Input((8, 8, 3))
    a = conv(4, "a")(inputs)
    b = conv(5, "b", activation="relu", strides=2, use_bias=False)(a)
    c = conv(4, "c", dilation_rate=2)(b)
    return Animal(keras.Model(inputs, pooled(c)), second_model(inputs, a=a, b=b, c=c))


@animal
def numpy_truth() -> Animal:
    """A 1x1 convolution is a product of matrices: no framework is asked."""
    layer = layers.Conv2D(4, 1, name="a")
    model = keras.Sequential([keras.Input((6, 7, 3)), layer, layers.Flatten()])
    kernel = lambda: ops.convert_to_numpy(layer.kernel)[0, 0]  # noqa: E731
    return Animal(model, lambda batch: {"a": ops.convert_to_numpy(batch) @ kernel() + ops.convert_to_numpy(layer.bias)})


@animal
def several_inputs() -> Animal:
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((4, 4, 2), name="right")
    a, b = conv(4, "a")(left), conv(3, "b")(right)
    model = keras.Model([left, right], layers.Concatenate()([pooled(a), pooled(b)]))
    return Animal(model, second_model([left, right], a=a, b=b), [data(2, 8, 8, 3), data(2, 4, 4, 2)])


@animal
def dict_inputs() -> Animal:
    inputs = {"wide": keras.Input((8, 8, 3), name="wide"), "deep": keras.Input((4, 4, 6), name="deep")}
    a, b = conv(4, "a")(inputs["wide"]), conv(3, "b")(inputs["deep"])
    model = keras.Model(inputs, layers.Concatenate()([pooled(a), pooled(b)]))
    return Animal(model, second_model(inputs, a=a, b=b), {"wide": data(2, 8, 8, 3), "deep": data(2, 4, 4, 6)})


@animal
def several_outputs() -> Animal:
    inputs = keras.Input((8, 8, 3))
    a = conv(4, "a")(inputs)
    b, c = conv(3, "b")(a), conv(2, "c")(a)
    return Animal(keras.Model(inputs, [pooled(b), c]), second_model(inputs, a=a, b=b, c=c))


@animal
def dict_outputs() -> Animal:
    inputs = keras.Input((8, 8, 3))
    a = conv(4, "a")(inputs)
    b = conv(3, "b")(a)
    return Animal(keras.Model(inputs, {"mean": pooled(b), "map": a}), second_model(inputs, a=a, b=b))


@animal
def unknown_sizes() -> Animal:
    inputs = keras.Input((None, None, 3))
    a = conv(4, "a")(inputs)
    b = conv(3, "b", strides=2)(a)
    return Animal(keras.Model(inputs, pooled(b)), second_model(inputs, a=a, b=b), data(2, 9, 12, 3))


@animal
def shared_layer() -> Animal:
    inputs, twice = keras.Input((8, 8, 3)), conv(3, "twice")
    first = twice(inputs)
    second = twice(layers.ReLU()(first))
    third = twice(second)
    tensors = {"twice": first, "twice#2": second, "twice#3": third}
    return Animal(keras.Model(inputs, pooled(third)), second_model(inputs, **tensors))


@animal
def uint8_input() -> Animal:
    inputs = keras.Input((8, 8, 3), dtype="uint8")
    a = conv(4, "a")(layers.Rescaling(1 / 255)(inputs))
    samples = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype="uint8")
    return Animal(keras.Model(inputs, pooled(a)), second_model(inputs, a=a), samples)


@animal
def loaded() -> Animal:
    inputs = keras.Input((8, 8, 3))
    value = conv(5, "b")(layers.BatchNormalization()(conv(4, "a")(inputs)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        keras.Model(inputs, pooled(value)).save(path)
        model = keras.models.load_model(path)
    return Animal(model, second_model(model.input, a=model.get_layer("a").output, b=model.get_layer("b").output))


@animal
def regularised() -> Animal:
    """Augmentation, Dropout, noise, BatchNormalization, an activity regulariser: all off, or on their running statistics."""
    inputs = keras.Input((8, 8, 3))
    value = layers.GaussianNoise(0.5)(layers.RandomRotation(0.2)(layers.RandomFlip()(inputs)))
    a = conv(4, "a", activity_regularizer="l2")(value)
    b = conv(3, "b")(layers.SpatialDropout2D(0.5)(layers.Dropout(0.5)(layers.BatchNormalization()(a))))
    truth = second_model(inputs, a=a, b=b)
    return Animal(keras.Model(inputs, pooled(b)), truth)


# Nested models --------------------------------------------------------------------------------------------------------


@animal
def nested() -> Animal:
    inner_input = keras.Input((8, 8, 4))
    b = conv(4, "b")(inner_input)
    inner = keras.Model(inner_input, layers.ReLU()(b), name="inner")
    tower = keras.Sequential([conv(3, "c"), layers.ReLU(), conv(2, "d")], name="tower")
    inputs, a, e = keras.Input((8, 8, 3)), conv(4, "a"), conv(4, "e")
    model = keras.Model(inputs, pooled(e(tower(inner(a(inputs))))))
    steps = [a, inner.get_layer("b"), ops.relu, *tower.layers, e]
    paths = {a: "a", inner.get_layer("b"): "inner/b", tower.layers[0]: "tower/c", tower.layers[2]: "tower/d", e: "e"}
    return Animal(model, chain(*steps, paths=paths))


@animal
def colliding_names() -> Animal:
    """Three convolutions named "conv" in two submodels of the same layer names; one submodel is itself two levels deep."""
    left = keras.Sequential([keras.Input((8, 8, 3)), conv(4, "conv")], name="left")
    core = keras.Sequential([keras.Input((8, 8, 4)), conv(3, "conv")], name="core")
    right = keras.Sequential([keras.Input((8, 8, 4)), conv(4, "conv"), core], name="right")
    model = keras.Sequential([keras.Input((8, 8, 3)), left, right, layers.GlobalAveragePooling2D()])
    steps = [left.layers[0], right.layers[0], core.layers[0]]
    return Animal(
        model, chain(*steps, paths=dict(zip(steps, ["left/conv", "right/conv", "right/core/conv"], strict=True)))
    )


@animal
def shared_model() -> Animal:
    inner = keras.Sequential([keras.Input((8, 8, 3)), conv(4, "a"), layers.ReLU(), conv(3, "b")], name="inner")
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, pooled(inner(inner(inputs))))
    a, relu, b = inner.layers

    def truth(batch: Any) -> Maps:
        first = a(batch)
        second = b(relu(first))
        third = a(second)
        return {"inner/a": first, "inner/a#2": third, "inner/b": second, "inner/b#2": b(relu(third))}

    return Animal(model, truth)


@animal
def shared_model_in_a_shared_model() -> Animal:
    core = keras.Sequential([keras.Input((8, 8, 3)), conv(3, "a")], name="core")
    middle_input, inputs = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    middle = keras.Model(middle_input, core(layers.ReLU()(core(middle_input))), name="middle")
    model = keras.Model(inputs, pooled(middle(middle(inputs))))
    a = core.layers[0]

    def truth(batch: Any) -> Maps:
        maps, value = {}, batch
        for at, path in enumerate(["middle/core/a"] + [f"middle/core/a#{call}" for call in (2, 3, 4)]):
            value = a(ops.relu(value) if at % 2 else value)
            maps[path] = value
        return maps

    return Animal(model, truth)


@animal
def shared_layer_in_two_models() -> Animal:
    shared = conv(3, "shared")
    left = keras.Sequential([keras.Input((8, 8, 3)), shared], name="left")
    right = keras.Sequential([keras.Input((8, 8, 3)), layers.ReLU(), shared], name="right")
    model = keras.Sequential([keras.Input((8, 8, 3)), left, right, layers.GlobalAveragePooling2D()])

    def truth(batch: Any) -> Maps:
        return {"left/shared": (first := shared(batch)), "right/shared#2": shared(ops.relu(first))}

    return Animal(model, truth)


@animal
def backbone_two_levels_deep() -> Animal:
    """A network of keras.applications, frozen, itself a layer of a model that is a layer of a model."""
    backbone = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    backbone.trainable = False
    middle_input = keras.Input((32, 32, 3))
    middle = keras.Model(middle_input, conv(4, "neck")(backbone(middle_input)), name="middle")
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, pooled(middle(layers.Rescaling(2.0)(inputs))))
    inside = [layer for layer in backbone.layers if isinstance(layer, layers.Conv2D)]
    flat = keras.Model(backbone.input, [layer.output for layer in inside] + [backbone.output])
    neck = middle.get_layer("neck")

    def truth(batch: Any) -> Maps:
        *maps, last = flat(2.0 * batch, training=False)
        paths = [f"middle/{backbone.name}/{layer.name}" for layer in inside]
        return dict(zip(paths, maps, strict=True)) | {"middle/neck": neck(last)}

    return Animal(model, truth)


# Models that only a pass shows ----------------------------------------------------------------------------------------


@animal
def sequential_built_late() -> Animal:
    model = keras.Sequential([conv(4, "a"), layers.ReLU(), conv(3, "b"), layers.GlobalAveragePooling2D()])
    return Animal(model, chain(*model.layers[:3]), data(2, 8, 8, 3))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = conv(4, "a"), layers.BatchNormalization(), conv(3, "b")
        self.pool = layers.GlobalAveragePooling2D()

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.pool(self.second(self.norm(self.first(inputs), training=training)))


@animal
def subclassed() -> Animal:
    model = Subclassed()
    return Animal(model, chain(model.first, model.norm, model.second), data(2, 8, 8, 3))


class Lists(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.stages = [[conv(4, "a"), conv(4, "b")], [conv(3, "c")]]
        self.heads = {"mean": conv(2, "d"), "unused": conv(2, "never")}

    def call(self, inputs: Any) -> Any:
        value = inputs
        for stage in self.stages:
            for layer in stage:
                value = layer(value)
        return self.heads["mean"](value)


@animal
@note("a layer that the pass never calls has no maps and takes no number")
def lists_and_dicts() -> Animal:
    model = Lists()
    return Animal(model, chain(*model.stages[0], *model.stages[1], model.heads["mean"]), data(2, 8, 8, 3))


class Block(keras.Layer):
    """A layer with layers inside, one of them made in `build`, another inside a layer of its own."""

    def __init__(self, depth: int, **options: Any) -> None:
        super().__init__(**options)
        self.before = conv(4, "before")
        self.deeper = Block(depth - 1, name="deeper") if depth else None

    def build(self, shape: tuple[int, ...]) -> None:
        self.after = conv(shape[-1], "after")

    def call(self, inputs: Any) -> Any:
        value = self.before(inputs)
        if self.deeper is not None:
            value = self.deeper(value)
        return self.after(value)


@animal
@note("convolutions that `model.layers` does not show take their numbers after those it shows")
def custom_layers() -> Animal:
    block, last = Block(1, name="block"), conv(2, "last")
    model = keras.Sequential([block, last, layers.GlobalAveragePooling2D()])

    def truth(batch: Any) -> Maps:
        before = block.before(batch)
        inner = block.deeper.before(before)
        out = block.deeper.after(inner)
        after = block.after(out)
        maps = {"last": last(after), "block/before": before, "block/deeper/before": inner, "block/deeper/after": out}
        return maps | {"block/after": after}

    return Animal(model, truth, data(2, 8, 8, 3))


class NoTraining(keras.Model):
    """`call` takes neither `training` nor `mask`; two inputs come as one dict."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(4, "a"), conv(4, "b")

    def call(self, images: dict[str, Any]) -> Any:
        return self.a(images["left"]) + self.b(images["right"])


@animal
def no_training_argument() -> Animal:
    model = NoTraining()
    truth = lambda batch: {"a": model.a(batch["left"]), "b": model.b(batch["right"])}  # noqa: E731
    return Animal(model, truth, {"left": data(2, 8, 8, 3), "right": data(2, 8, 8, 1)})


@animal
def lambda_layers() -> Animal:
    scale = layers.Lambda(lambda value: value * 2.0 + 1.0, output_shape=lambda shape: shape)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), conv(4, "a"), scale, conv(3, "b"), layers.GlobalAveragePooling2D()]
    )
    return Animal(model, chain(model.layers[0], lambda value: value * 2.0 + 1.0, model.layers[2]))


class Native(keras.Model):
    """Calls the backend's own functions, which no KerasTensor survives."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(4, "a"), conv(3, "b")

    def call(self, inputs: Any) -> Any:
        return self.b(native_tanh(self.a(inputs)))


def native_tanh(value: Any) -> Any:
    if BACKEND == "tensorflow":
        return sys.modules["tensorflow"].raw_ops.Tanh(x=value)
    if BACKEND == "jax":
        return sys.modules["jax"].lax.tanh(value)
    return sys.modules["torch"].tanh(value)


@animal
def native_operations() -> Animal:
    model = Native()
    return Animal(model, chain(model.a, ops.tanh, model.b), data(2, 8, 8, 3))


class OwnConv(keras.Layer):
    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 4), name="kernel")

    def call(self, inputs: Any) -> Any:
        return ops.conv(inputs, self.kernel, padding="same")


@animal
@note("a layer around one convolution of `keras.ops` by a weight of its own counts as a convolution")
def own_conv_class() -> Animal:
    own, inside = OwnConv(name="own"), OwnConv(name="inside")
    model = keras.Sequential([Doubled(inside, name="twice"), layers.ReLU(), own])

    def truth(batch: Any) -> Maps:
        twice = 2 * ops.conv(batch, inside.kernel, padding="same")
        return {"twice": twice, "own": ops.conv(ops.relu(twice), own.kernel, padding="same")}

    return Animal(model, truth, data(2, 8, 8, 2))


class Blurred(keras.Layer):
    """A fixed filter, and a layer that goes on computing: neither is a convolution to watch."""

    def __init__(self, goes_on: bool, **options: Any) -> None:
        super().__init__(**options)
        self.goes_on = goes_on

    def build(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 1), name="kernel") if self.goes_on else None

    def call(self, inputs: Any) -> Any:
        fixed = np.full((3, 3, inputs.shape[-1], 1), 1 / 9, "float32")
        value = ops.depthwise_conv(inputs, self.kernel if self.goes_on else fixed, padding="same")
        return value[:, ::2, ::2] if self.goes_on else value


@animal
@note("a fixed filter, or a layer that computes more than one convolution, has no number: choose it by name")
def fixed_filter() -> Animal:
    blur, half = Blurred(False, name="blur"), Blurred(True, name="half")
    model = keras.Sequential([keras.Input((8, 8, 3)), blur, half, conv(2, "a")])
    return Animal(model, chain(*model.layers))


class Both(layers.Conv2D):
    """Returns two tensors."""

    def call(self, inputs: Any) -> Any:
        return (value := super().call(inputs)), ops.relu(value)

    def compute_output_shape(self, shape: Any) -> Any:
        return (super().compute_output_shape(shape),) * 2


@animal
@note("a convolution that returns several tensors is skipped, with a warning that names it")
def several_tensors_from_a_layer() -> Animal:
    inputs, both, a = keras.Input((8, 8, 3)), Both(3, 3, padding="same", name="both"), conv(4, "a")
    first, second = both(inputs)
    model = keras.Model(inputs, pooled(a(first + second)))
    return Animal(model, lambda batch: {"a": a(sum(both(batch)))}, skipped=("both",))


# Kinds of convolution -------------------------------------------------------------------------------------------------


def _kind(shape: tuple[int, ...], make: Callable[[int], keras.Layer]) -> Animal:
    first, second = make(4), make(3)
    first.name, second.name = "a", "b"
    model = keras.Sequential([keras.Input(shape), first, second])
    return Animal(model, chain(first, second, paths={first: "a", second: "b"}))


@animal
def conv1d() -> Animal:
    return _kind((12, 3), lambda filters: layers.Conv1D(filters, 3, padding="causal"))


@animal
def conv3d() -> Animal:
    return _kind((4, 6, 8, 2), lambda filters: layers.Conv3D(filters, 3, padding="same"))


@animal
def transposed1d() -> Animal:
    return _kind((6, 3), lambda filters: layers.Conv1DTranspose(filters, 3, strides=2))


@animal
def transposed2d() -> Animal:
    return _kind((4, 5, 3), lambda filters: layers.Conv2DTranspose(filters, 3, strides=2, padding="same"))


@animal
def transposed3d() -> Animal:
    return _kind((2, 3, 4, 2), lambda filters: layers.Conv3DTranspose(filters, 2, strides=2))


@animal
def depthwise1d() -> Animal:
    return _kind((12, 3), lambda filters: layers.DepthwiseConv1D(3, padding="same", depth_multiplier=2))


@animal
def depthwise2d() -> Animal:
    return _kind((8, 8, 3), lambda filters: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2))


@animal
def separable1d() -> Animal:
    return _kind((12, 3), lambda filters: layers.SeparableConv1D(filters, 3, padding="same"))


@animal
def separable2d() -> Animal:
    return _kind((8, 8, 3), lambda filters: layers.SeparableConv2D(filters, 3, padding="same"))


@animal
def grouped() -> Animal:
    a, b = conv(6, "a", groups=3, activation="relu"), layers.Conv1D(4, 3, groups=2, name="b")
    c = layers.Conv3D(4, 3, padding="same", groups=2, name="c")
    shapes = layers.Reshape((64, 6)), layers.Reshape((2, 31, 1, 4))
    model = keras.Sequential([keras.Input((8, 8, 3)), a, shapes[0], b, shapes[1], c])

    def parts(layer: keras.Layer, value: Any, padding: str) -> Any:
        groups = layer.groups
        split = zip(ops.split(value, groups, -1), ops.split(layer.kernel, groups, -1), strict=True)
        return ops.concatenate([ops.conv(part, kernel, padding=padding) for part, kernel in split], -1) + layer.bias

    def truth(batch: Any) -> Maps:
        first = ops.relu(parts(a, batch, "same"))
        second = parts(b, ops.reshape(first, (-1, 64, 6)), "valid")
        return {"a": first, "b": second, "c": parts(c, ops.reshape(second, (-1, 2, 31, 1, 4)), "same")}

    return Animal(model, truth)


def _lstm(layer: keras.Layer, value: Any, forward: bool = True) -> Any:
    """A ConvLSTM by its equations: all states, in the order of time."""
    cell, states = layer.cell, []
    kernels, recurrent = (ops.split(each, 4, -1) for each in (cell.kernel, cell.recurrent_kernel))
    biases, options = ops.split(cell.bias, 4), {"padding": "same"}
    size = value.shape[1]
    carry = hidden = ops.zeros((*value[:, 0].shape[:-1], cell.filters))
    for at in range(size) if forward else reversed(range(size)):
        gates = [
            ops.conv(value[:, at], kernel, **options) + bias + ops.conv(hidden, own, **options)
            for kernel, bias, own in zip(kernels, biases, recurrent, strict=True)
        ]
        taken, kept, shown = (cell.recurrent_activation(gates[which]) for which in (0, 1, 3))
        carry = kept * carry + taken * ops.tanh(gates[2])
        hidden = shown * ops.tanh(carry)
        states.append(hidden)
    return ops.stack(states if forward else states[::-1], axis=1)


@animal
def conv_lstm1d() -> Animal:
    a = layers.ConvLSTM1D(3, 3, padding="same", return_sequences=True, name="a")
    b = layers.ConvLSTM1D(2, 3, padding="same", name="b")
    model = keras.Sequential([keras.Input((4, 6, 2)), a, b])
    return Animal(model, lambda batch: {"a": (first := _lstm(a, batch)), "b": _lstm(b, first)[:, -1]})


@animal
def conv_lstm2d() -> Animal:
    a = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="a")
    b = layers.ConvLSTM2D(2, 3, padding="same", name="b")
    model = keras.Sequential([keras.Input((4, 6, 5, 2)), a, b])
    return Animal(model, lambda batch: {"a": (first := _lstm(a, batch)), "b": _lstm(b, first)[:, -1]})


@animal
@note("of a map with four axes the middle of the first, the time, is stored")
def conv_lstm3d() -> Animal:
    a = layers.ConvLSTM3D(2, 3, padding="same", return_sequences=True, name="a")
    model = keras.Sequential([keras.Input((3, 4, 5, 4, 2)), a])
    return Animal(model, lambda batch: {"a": _lstm(a, batch)})


@animal
def both_ways() -> Animal:
    """A wrapper that is no `Wrapper` of Keras's, of two layers that run both ways."""
    a = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="a")
    both, head = layers.Bidirectional(a, name="both"), layers.Conv3D(2, 3, padding="same", name="head")
    model = keras.Sequential([keras.Input((3, 6, 5, 2)), both, head])

    def truth(batch: Any) -> Maps:
        ways = [_lstm(both.forward_layer, batch), _lstm(both.backward_layer, batch, forward=False)]
        return {"both": (joined := ops.concatenate(ways, -1)), "head": head(joined)}

    return Animal(model, truth)


def channels_first_runs() -> bool:
    try:
        conv(data_format="channels_first")(np.zeros((1, 3, 2, 2), "float32"))
    except Exception:
        return False
    return True


@animal
@cannot(
    "tensorflow", "without oneDNN, TensorFlow has no channels_first convolution on CPUs", unless=channels_first_runs
)
@note("with oneDNN, which TensorFlow uses on newer CPUs", "tensorflow")
def channels_first() -> Animal:
    a, b = conv(4, "a", data_format="channels_first"), conv(5, "b", data_format="channels_first", strides=2)
    pool = layers.GlobalAveragePooling2D(data_format="channels_first")
    model = keras.Sequential([keras.Input((3, 8, 6)), a, b, pool])

    def truth(batch: Any) -> Maps:
        maps, value = {}, ops.transpose(batch, (0, 2, 3, 1))
        for layer in (a, b):
            value = ops.conv(value, layer.kernel, layer.strides, "same", data_format="channels_last") + layer.bias
            maps[layer.name] = value
        return maps

    return Animal(model, truth)


# Tokens ---------------------------------------------------------------------------------------------------------------


class Attends(keras.Layer):
    """A block of a transformer; its attention puts out maps of heads, which are none of the picture."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.norm, self.attention, self.mlp = layers.LayerNormalization(), layers.MultiHeadAttention(2, 4), Mlp()

    def call(self, inputs: Any) -> Any:
        value = inputs + self.attention(value := self.norm(inputs), value)
        return value + self.mlp(value)


class Mlp(keras.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.norm, self.wide = layers.LayerNormalization(), layers.Dense(12, activation="gelu")

    def build(self, shape: tuple[int, ...]) -> None:
        self.narrow = layers.Dense(shape[-1])

    def call(self, inputs: Any) -> Any:
        return self.narrow(self.wide(self.norm(inputs)))


class Patches(keras.Layer):
    """Patches of 4 x 4 as tokens, behind a class token and a register."""

    def __init__(self, prefix: int, **options: Any) -> None:
        super().__init__(**options)
        self.prefix, self.patch = prefix, layers.Conv2D(8, 4, strides=4, name="patch")

    def build(self, shape: tuple[int, ...]) -> None:
        self.first = self.add_weight(shape=(1, self.prefix, 8), name="first")

    def call(self, inputs: Any) -> Any:
        tokens = ops.reshape(self.patch(inputs), (-1, inputs.shape[1] * inputs.shape[2] // 16, 8))
        before = ops.broadcast_to(self.first, (ops.shape(tokens)[0], self.prefix, 8))
        return ops.concatenate([before, tokens], axis=1)


@animal
@note("tokens lie on the grid of the map before them; a class token and registers are left out")
def vision_transformer() -> Animal:
    patches, blocks = Patches(2, name="patches"), [Attends(name=f"block_{at}") for at in range(3)]
    model = keras.Sequential([keras.Input((12, 20, 3)), patches, *blocks, layers.LayerNormalization(name="norm")])

    def truth(batch: Any) -> Maps:
        value, maps = patches(batch), {}
        for block in blocks:
            value = block(value)
            rows = [ops.stack([value[:, 2 + 5 * row + column] for column in range(5)], 1) for row in range(3)]
            maps[block.name] = ops.stack(rows, 1)
        return maps

    return Animal(model, truth, layers="blocks")


class Merges(keras.Layer):
    """Four neighbours become one, as between the stages of a Swin transformer."""

    def __init__(self, height: int, width: int, **options: Any) -> None:
        super().__init__(**options)
        self.size, self.norm, self.narrow = (height, width), layers.LayerNormalization(), layers.Dense(10)

    def call(self, inputs: Any) -> Any:
        height, width = self.size
        value = ops.reshape(inputs, (-1, height // 2, 2, width // 2, 2, inputs.shape[-1]))
        value = ops.reshape(
            ops.transpose(value, (0, 1, 3, 2, 4, 5)), (-1, height // 2, width // 2, 4 * inputs.shape[-1])
        )
        return ops.reshape(self.narrow(self.norm(value)), (-1, height * width // 4, 10))


class Stage(keras.Layer):
    def __init__(self, blocks: list[keras.Layer], merge: keras.Layer | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.blocks, self.merge = blocks, merge

    def call(self, inputs: Any) -> Any:
        for block in self.blocks:
            inputs = block(inputs)
        return inputs if self.merge is None else self.merge(inputs)


@animal
@note("of stages made of blocks, the blocks; each stage has a grid of its own")
def hierarchical_transformer() -> Animal:
    first, second = ([Attends(name=f"block_{at}") for at in range(2)] for _ in range(2))
    stages = [Stage(first, Merges(4, 6, name="merge"), name="stage_0"), Stage(second, name="stage_1")]
    patches = Patches(0, name="patches")
    model = keras.Sequential([keras.Input((16, 24, 3)), patches, *stages])

    def truth(batch: Any) -> Maps:
        one = first[0](patches(batch))
        two = first[1](one)
        three = second[0](stages[0].merge(two))
        maps = {
            "stage_0/block_0": one,
            "stage_0/block_1": two,
            "stage_1/block_0": three,
            "stage_1/block_1": second[1](three),
        }
        sizes = {"stage_0": (4, 6), "stage_1": (2, 3)}
        return {path: ops.reshape(value, (-1, *sizes[path[:7]], value.shape[-1])) for path, value in maps.items()}

    return Animal(model, truth, layers="blocks")


# Wrappers, dtypes, compilation ----------------------------------------------------------------------------------------


@animal
def time_distributed() -> Animal:
    inner = conv(3, "inner")
    frames = layers.TimeDistributed(inner, name="frames")
    model = keras.Sequential([keras.Input((4, 8, 8, 2)), frames])
    return Animal(model, lambda batch: {"frames": ops.stack([inner(batch[:, at]) for at in range(4)], axis=1)})


@animal
@note("a model inside TimeDistributed is called for each frame: each is a call of its own")
def time_distributed_model() -> Animal:
    inner = keras.Sequential([keras.Input((8, 8, 2)), conv(3, "c")], name="inner")
    last = layers.Conv3D(2, 3, padding="same", name="last")
    model = keras.Sequential([keras.Input((3, 8, 8, 2)), layers.TimeDistributed(inner, name="frames"), last])

    def truth(batch: Any) -> Maps:
        frames = [inner.layers[0](batch[:, at]) for at in range(3)]
        return {"last": last(ops.stack(frames, axis=1))} | dict(
            zip(["frames/c", "frames/c#2", "frames/c#3"], frames, strict=True)
        )

    return Animal(model, truth)


@animal
def spectral_normalization() -> Animal:
    a, b = layers.SpectralNormalization(conv(4, "inner"), name="a"), conv(3, "b")
    model = keras.Sequential([keras.Input((8, 8, 3)), a, b])
    return Animal(model, chain(a, b, paths={a: "a", b: "b"}))


@animal
def wrapped_twice() -> Animal:
    inner = conv(3, "inner")
    frames = layers.TimeDistributed(layers.SpectralNormalization(inner), name="frames")
    model = keras.Sequential([keras.Input((4, 8, 8, 2)), frames])
    return Animal(model, lambda batch: {"frames": ops.stack([inner(batch[:, at]) for at in range(4)], axis=1)})


class Doubled(layers.Wrapper):
    def call(self, inputs: Any) -> Any:
        return self.layer(inputs) * 2


@animal
def own_wrapper() -> Animal:
    inner = conv(3, "inner")
    model = keras.Sequential([keras.Input((8, 8, 3)), Doubled(inner, name="twice"), layers.GlobalAveragePooling2D()])
    return Animal(model, lambda batch: {"twice": inner(batch) * 2})


def _policy(name: str, eps: float) -> Animal:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        inputs = keras.Input((8, 8, 3))
        a = conv(4, "a")(inputs)
        b = conv(3, "b")(layers.BatchNormalization()(a))
        model = keras.Model(inputs, pooled(b))
    finally:
        keras.config.set_dtype_policy(before)
    return Animal(model, second_model(inputs, a=a, b=b), eps=eps)


@animal
def mixed_float16() -> Animal:
    return _policy("mixed_float16", 2.0**-10)


@animal
def mixed_bfloat16() -> Animal:
    return _policy("mixed_bfloat16", 2.0**-7)


@animal
def bfloat16() -> Animal:
    return _policy("bfloat16", 2.0**-7)


@animal
def jit_compile() -> Animal:
    fresh = functional()
    fresh.compile = {"jit_compile": True}
    return fresh


class Pair(keras.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.b, self.c = conv(3, "b"), conv(4, "c")

    def call(self, inputs: Any) -> Any:
        return self.c(self.b(inputs))


@animal
@note("rematerialisation is off during the pass")
def rematerialised() -> Animal:
    """Rematerialisation runs what is inside a layer in a trace of its own."""
    with keras.RematScope("full"):
        a, pair = conv(4, "a"), Pair(name="pair")
    model = keras.Sequential([keras.Input((8, 8, 3)), a, pair, layers.GlobalAveragePooling2D()])

    def truth(batch: Any) -> Maps:
        first = a.call(batch)
        second = pair.b.call(first)
        return {"a": first, "pair/b": second, "pair/c": pair.c.call(second)}

    return Animal(model, truth)


@animal
def low_rank_adapted() -> Animal:
    a, b = conv(4, "a"), conv(3, "b")
    model = keras.Sequential([keras.Input((8, 8, 3)), a, b, layers.GlobalAveragePooling2D(), layers.Dense(4)])
    a.enable_lora(2)
    a.lora_kernel_b.assign(data(*a.lora_kernel_b.shape))  # zeros, as they are made, would change nothing
    return Animal(model, chain(a, b))


@animal
@note("Keras quantizes dense layers; its convolutions stay as they are")
def quantized() -> Animal:
    a, dense, b = conv(4, "a"), layers.Dense(8), conv(3, "b")
    model = keras.Sequential([keras.Input((8, 8, 3)), a, dense, b, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    model.quantize("int8")
    return Animal(model, chain(a, dense, b, paths={a: "a", b: "b"}))


# Randomness and state in evaluation mode ------------------------------------------------------------------------------


class MonteCarlo(keras.Model):
    """Dropout that stays on, as for an estimate of uncertainty."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.drop, self.b = conv(4, "a"), layers.Dropout(0.5, seed=7), conv(3, "b")

    def call(self, inputs: Any) -> Any:
        return self.b(self.drop(self.a(inputs), training=True))


@animal
@note("draws what the next pass of the model would draw, and puts the seed back")
def monte_carlo_dropout() -> Animal:
    model = MonteCarlo()
    truth = lambda batch: dict(  # noqa: E731
        zip("ab", [first := model.a(batch), model.b(model.drop(first, training=True))], strict=True)
    )
    return Animal(model, truth, data(2, 8, 8, 3))


class AlwaysBatchStatistics(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = conv(4, "a"), layers.BatchNormalization(), conv(3, "b")

    def call(self, inputs: Any) -> Any:
        return self.b(self.norm(self.a(inputs), training=True))


@animal
@note("normalises by the probe's own statistics, as the model asks; the moving ones are put back")
def batch_norm_in_training_mode() -> Animal:
    model = AlwaysBatchStatistics()
    truth = lambda batch: {  # noqa: E731
        "a": model.a(batch),
        "b": model.b(model.norm(model.a(batch), training=True)),
    }
    return Animal(model, truth, data(2, 8, 8, 3))


class Counts(keras.Model):
    """Changes a weight that is not trained in every call, in evaluation mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(4, "a"), conv(3, "b")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs: Any) -> Any:
        self.calls.assign_add(1.0)
        return self.b(self.a(inputs) * self.calls)


@animal
@note("sees the state that the next pass of the model would see, and puts it back")
def state_changed_in_evaluation() -> Animal:
    model = Counts()
    truth = lambda batch: {"a": (first := model.a(batch)), "b": model.b(first * (model.calls + 1.0))}  # noqa: E731
    return Animal(model, truth, data(2, 8, 8, 3))


# Inner scopes and data-dependent Python -------------------------------------------------------------------------------


class Three(keras.Model):
    """Three convolutions, built before any of them is called: what is built in an inner scope can't leave it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.inside, self.b = conv(3, "a"), conv(3, "inside"), conv(2, "b")

    def build(self, shape: tuple[int, ...]) -> None:
        for layer in (self.a, self.inside, self.b):
            layer.build((*shape[:-1], 3))


class Loop(Three):
    def build(self, shape: tuple[int, ...]) -> None:
        super().build(shape)
        self.inside.trainable = False  # JAX has no gradient of such a loop

    def call(self, inputs: Any) -> Any:
        start = (0, ops.stop_gradient(self.a(inputs)))
        _, value = ops.while_loop(lambda at, _: at < 2, lambda at, value: (at + 1, self.inside(value)), start)
        return self.b(value)


@animal
@note("a convolution inside `ops.while_loop` is skipped, with a warning that names it", "tensorflow", "jax")
@note("torch loops in Python: each turn is a call of its own", "torch")
def while_loop() -> Animal:
    model = Loop()

    def truth(batch: Any) -> Maps:
        first = model.a(batch)
        turns = [once := model.inside(first), model.inside(once)]
        maps = {"a": first}
        if BACKEND == "torch":
            maps |= {"inside": turns[0], "inside#2": turns[1]}
        return maps | {"b": model.b(turns[1])}

    return Animal(model, truth, data(2, 8, 8, 3), skipped=() if BACKEND == "torch" else ("inside",))


class Branch(Three):
    def call(self, inputs: Any) -> Any:
        value = self.a(inputs)
        return self.b(ops.cond(ops.mean(inputs) > -1e3, lambda: self.inside(value), lambda: value))


@animal
@note("a convolution inside `ops.cond` is skipped, with a warning that names it", "tensorflow", "jax")
@note("torch branches in Python: the branch that runs is captured", "torch")
def branch() -> Animal:
    model = Branch()

    def truth(batch: Any) -> Maps:
        first = model.a(batch)
        inside = model.inside(first)
        return {"a": first} | ({"inside": inside} if BACKEND == "torch" else {}) | {"b": model.b(inside)}

    return Animal(model, truth, data(2, 8, 8, 3), skipped=() if BACKEND == "torch" else ("inside",))


class Mapped(Three):
    def call(self, inputs: Any) -> Any:
        return self.b(ops.vectorized_map(lambda one: self.inside(one[None])[0], self.a(inputs)))


@animal
@cannot(
    "torch",
    'torch has no channels-last Conv2D inside vmap ("NYI: querying is_contiguous inside of vmap"); see the next one',
)
@note("a convolution inside `ops.vectorized_map` is skipped, with a warning that names it")
def vectorised_map() -> Animal:
    model = Mapped()

    def truth(batch: Any) -> Maps:
        first = model.a(batch)
        return {"a": first, "b": model.b(model.inside(first))}

    return Animal(model, truth, data(2, 8, 8, 3), skipped=("inside",))


class Rows(keras.Model):
    """A vectorised map over rows: what runs inside has the samples on its first axis, but holds one row of them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.inside = conv(3, "a"), layers.Conv1D(2, 3, padding="same", name="inside")

    def build(self, shape: tuple[int, ...]) -> None:
        self.a.build(shape)
        self.inside.build((shape[0], shape[2], 3))

    def call(self, inputs: Any) -> Any:
        rows = ops.transpose(self.a(inputs), (1, 0, 2, 3))
        return ops.transpose(ops.vectorized_map(self.inside, rows), (1, 0, 2, 3))


@animal
@note("a convolution inside `ops.vectorized_map` is skipped, with a warning that names it")
def vectorised_map_over_rows() -> Animal:
    model = Rows()
    return Animal(model, lambda batch: {"a": model.a(batch)}, data(2, 8, 8, 3), skipped=("inside",))


class PythonIf(Three):
    def call(self, inputs: Any) -> Any:
        value = self.a(inputs)
        if ops.mean(inputs) > -1e3:  # a tensor decides: no compiler can follow
            value = self.inside(value)
        return self.b(value)


@animal
@cannot(
    "jax", "Keras itself can't build it: JAX traces every model when `fit` starts, and `if` of a tensor raises there"
)
@note(
    "can't be traced: runs layer by layer, which one warning says; it needs `run_eagerly=True` to train",
    "tensorflow",
)
def python_if() -> Animal:
    model = PythonIf()
    return Animal(
        model,
        chain(model.a, model.inside, model.b),
        data(2, 8, 8, 3),
        eager=BACKEND == "tensorflow",
        compile={"run_eagerly": True},
    )


class Windows(Three):
    """Cuts the image into windows that stand beside each other in the batch axis."""

    def call(self, inputs: Any) -> Any:
        value = self.a(inputs)
        value = self.inside(ops.reshape(value, (-1, 4, 8, 3)))
        return self.b(ops.reshape(value, (-1, 8, 8, 3)))


@animal
@note("a map whose first axis is not the samples is skipped, with a warning that names it")
def windows_in_the_batch_axis() -> Animal:
    model = Windows()

    def truth(batch: Any) -> Maps:
        first = model.a(batch)
        inside = model.inside(ops.reshape(first, (-1, 4, 8, 3)))
        return {"a": first, "b": model.b(ops.reshape(inside, (-1, 8, 8, 3)))}

    return Animal(model, truth, data(2, 8, 8, 3), skipped=("inside",))
