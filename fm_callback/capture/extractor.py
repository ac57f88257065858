"""One forward pass, built once: samples in, the maps of all chosen layers out.

Two parts. The pass runs the model in evaluation mode and captures the chosen channels. The summary makes of them what is stored,
8-bit maps and seven numbers a channel, in one buffer each; it reads no weights, so it may run later, on another thread, while
training goes on. On JAX both are one compiled function over a copy of the weights, and run later; elsewhere the training thread
waits for the pass.
"""

import operator
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import keras
import numpy as np

from fm_callback.capture.backends import (
    BACKEND,
    DEFERS,
    compiled,
    deferred,
    owned,
    pure,
    synchronise,
    to_host,
    uncompiled,
)
from fm_callback.capture.layers import (
    Choice,
    ConvLayer,
    Found,
    brief,
    every_layer,
    find,
    inner,
    obstacle,
    select,
    specs_of,
)
from fm_callback.capture.probe import as_batch
from fm_callback.capture.trace import Call, recording
from fm_callback.format2 import NUMBERS

#: What is left to do of a pass; its call gives all pixels in one buffer and all numbers in another, on the device.
Captured: TypeAlias = Callable[[], tuple[Any, Any]]


@dataclass(frozen=True)
class Plan:
    """What is captured of one layer's call.

    Attributes:
        info: The layer.
        channels: Indices of the captured channels.
        total: How many channels the layer has.
        channels_first: Whether the layer's output has the channel axis second.
        activation: Name of the activation that the layer itself applies, or None.
    """

    info: ConvLayer
    channels: tuple[int, ...]
    total: int
    channels_first: bool
    activation: str | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the layer's whole output for one image, channels last."""
        sizes = tuple(size or 0 for size in self.info.output_shape[1:])
        return (*sizes[1:], sizes[0]) if self.channels_first else sizes

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a stored map: a row of cells for one axis, one cell for none, a slice of the third for three."""
        *axes, _ = self.shape
        height, width = ([1, 1, *axes])[-2:]
        return height, width

    @property
    def slice(self) -> int | None:
        """Index of the slice that stands for a third axis, the middle one; None without a third axis."""
        return self.shape[0] // 2 if len(self.shape) == 4 else None

    @property
    def kernel(self) -> tuple[int, ...] | None:
        """Spatial size of a convolution's kernel; None for another layer."""
        return None if self.info.number is None or self.info.kernel_shape is None else self.info.kernel_shape[:-2]


def plan(entry: Found, channels: int | str | Sequence[int]) -> Plan:
    """What to capture of one layer.

    Args:
        entry: The layer's call.
        channels: How many channels from the first, "all", or their indices.

    Raises:
        ValueError: if the output has no channel axis, more than three axes before it, or none of the channels.
    """
    info, core = entry.info, inner(entry.layer)
    shape = info.output_shape
    if not 2 <= len(shape) <= 5:
        raise ValueError(
            f"layer {info.path!r} puts out {shape}: only outputs with a channel axis and up to three more axes can be shown as maps"
        )
    layout = getattr(core, "data_format", None) or keras.config.image_data_format()
    first = layout == "channels_first" and len(shape) > 2
    if first and core is not entry.layer and len(shape) == 5:
        raise ValueError(
            f"layer {info.path!r} ({info.kind}) is channels_first inside a wrapper with a further axis: not supported"
        )
    total = shape[1 if first else -1]
    if total is None:
        raise ValueError(f"layer {info.path!r} puts out an unknown number of channels: {shape}")
    if channels == "all":
        indices = tuple(range(total))
    elif isinstance(channels, int):
        indices = tuple(range(min(channels, total)))
    else:
        indices = tuple(int(index) for index in channels if int(index) < total)
        if not indices:
            raise ValueError(
                f"layer {info.path!r} has {total} channels, numbered from 0: none of `channels`={list(channels)!r}"
            )
    activation = getattr(core, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__) if activation is not None else None
    return Plan(info, indices, total, first, None if name == "linear" else name)


def read_channels(channels: Any) -> int | str | tuple[int, ...]:
    """The choice of channels as a plain count, tuple of indices, or "all"; raises a ValueError if it is none of them."""
    wrong = f"`channels` must be a count (the first so many), a list of different indices from 0, or 'all'; received {channels!r}"
    if isinstance(channels, str):
        if channels != "all":
            raise ValueError(wrong)
        return channels
    if isinstance(channels, (int, np.integer)) and not isinstance(channels, bool):
        if channels < 1:
            raise ValueError(wrong)
        return int(channels)
    try:
        indices = list(channels)
    except TypeError:
        raise ValueError(wrong) from None
    good = all(isinstance(index, (int, np.integer)) and not isinstance(index, bool) and index >= 0 for index in indices)
    if not indices or not good or len(set(indices)) < len(indices):
        raise ValueError(wrong)
    return tuple(int(index) for index in indices)


class Capture:
    """The compiled pass of one model over batches of one shape.

    Attributes:
        plans: What is captured, in the order of the maps.
    """

    def __init__(self, model: keras.Model, samples: Any, layers: Choice, channels: int | str | Sequence[int]) -> None:
        """Finds and chooses layers; compiles nothing yet.

        Args:
            model: The model, built or not.
            samples: One batch, or a structure of batches for a model with several inputs, as numpy arrays.
            layers: As for `FeatureMapCallback`.
            channels: As for `FeatureMapCallback`.

        Raises:
            ValueError: if a choice is unknown, empty, or made twice.
        """
        specs = keras.tree.map_structure(lambda batch: keras.KerasTensor(batch.shape, str(batch.dtype)), samples)
        if not model.built:  # from a batch of any size: otherwise the model would remember this one's
            find(model, specs_of(samples), samples)
        found, untraceable = find(model, specs, samples)
        chosen = select(found, layers)
        if not isinstance(channels, (int, str)):
            absent = [index for index in channels if all(index >= (_channels(entry) or 0) for entry in chosen)]
            if absent:
                raise ValueError(f"no chosen layer has the channels {absent} of `channels`={list(channels)!r}")
        self.plans = [plan(entry, channels) for entry in chosen]
        self._model = model
        self._images = len(keras.tree.flatten(samples)[0])
        self._made_for = _identity(model, samples, layers, channels)
        self._summarise = pure(partial(_summarise))  # its own: TensorFlow would warn of many traces of one function
        self._eager = untraceable is not None or BACKEND == "torch"
        self._fast, self._slow = compiled(model, self._forward), uncompiled(model, self._forward)
        self._deferred = deferred(model, lambda inputs: self._summarise(self._forward(inputs))) if DEFERS else None
        if untraceable is not None:
            self._warn(untraceable)

    def fits(self, model: keras.Model, samples: Any, layers: Choice, channels: int | str | Sequence[int]) -> bool:
        """Whether a capture made anew with these arguments would be this one again: same model, layers and variables."""
        return model is self._model and self._made_for == _identity(model, samples, layers, channels)

    def __call__(self, samples: Any) -> Captured:
        """Captures the chosen channels at the weights of this moment.

        Args:
            samples: Tensors like the arrays with which the capture was made.

        Returns:
            What is left to do, for any thread: it reads no weights. `arrays` takes it.
        """
        if self._deferred is not None and not self._runs_eagerly:
            with suppress(Exception):  # the plain way meets the same obstacle, and says so
                return self._deferred(samples)
        return partial(self._summarise, self.outputs(samples))

    def outputs(self, samples: Any) -> list[Any]:
        """The chosen channels at the weights of this moment: a list of float32 tensors (N, ..., channels) on the device.

        Args:
            samples: Tensors like the arrays with which the capture was made.
        """
        if self._runs_eagerly:
            return self._slow(samples)
        try:
            return self._fast(samples)
        except Exception as error:
            self._eager = True
            outputs = self._slow(samples)  # raises again where the fault is the model's own
            self._warn(brief(error))
            return outputs

    @property
    def _runs_eagerly(self) -> bool:
        """Whether the model's Python must run each time; a compiled pass would go on as at its trace."""
        return self._eager or self._model.run_eagerly

    def _warn(self, reason: str) -> None:
        warnings.warn(
            f"model {self._model.name!r} can't be compiled ({reason}): its feature maps are taken by running it layer by layer, which is slower",
            RuntimeWarning,
            stacklevel=2,
        )

    def _forward(self, inputs: Any) -> list[Any]:
        wanted = {entry.info.path: entry for entry in self.plans}
        like = keras.tree.flatten(inputs)[0]
        outputs: dict[str, Any] = {}

        def visit(call: Call) -> None:
            if call.path in wanted and obstacle(call.output, like) is None:
                outputs[call.path] = _chosen(wanted[call.path], call.output)

        with recording(self._model, visit):
            self._model(inputs, training=False)
        absent = [path for path in wanted if path not in outputs]
        if absent and not self._runs_eagerly:
            raise RuntimeError(f"{absent} could not be captured, though a first trace of the model had found them")
        if absent:
            warnings.warn(f"the layers {absent} took no part in a pass: NaN is stored of them", RuntimeWarning, 2)
        for path in absent:  # data decided otherwise than when the layers were found: nothing to show is not zero
            shape = (like.shape[0], *wanted[path].shape[:-1], len(wanted[path].channels))
            outputs[path] = keras.ops.full(shape, float("nan"), "float32")
        return [outputs[path] for path in wanted]

    def arrays(self, captured: Captured) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What is stored of captured channels.

        Args:
            captured: What a call returned.

        Returns:
            The maps, a list of uint8 arrays (N, channels, height, width), each channel scaled to its own low and high over all
            images; and the numbers, a list of float32 arrays (channels, 7) in the order of `NUMBERS`.
        """
        pixels, numbers = to_host(captured())
        maps, rows = [], []
        for entry in self.plans:
            count = len(entry.channels)
            shape = (self._images, *entry.size, count)
            length = int(np.prod(shape))
            maps.append(np.ascontiguousarray(np.moveaxis(pixels[:length].reshape(shape), -1, 1)))
            rows.append(numbers[:count])
            pixels, numbers = pixels[length:], numbers[count:]
        return maps, rows


def _identity(model: keras.Model, samples: Any, layers: Choice, channels: int | str | Sequence[int]) -> tuple[Any, ...]:
    """What a capture depends on. Objects are kept, not their ids: an id may come again."""
    shapes = [(batch.shape, str(batch.dtype)) for batch in keras.tree.flatten(samples)]
    choice = [layers if isinstance(layers, (int, np.integer, str)) or callable(layers) else list(layers), channels]
    compiled_with = [getattr(model, "optimizer", None)]  # where Keras traces anew, so do we
    return shapes, choice, _Same(every_layer(model)), _Same(model.variables), _Same(compiled_with)


class _Same(list[Any]):
    """A list that equals another if it holds the very same objects."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and len(self) == len(other) and all(map(operator.is_, self, other))

    __hash__ = None


def _channels(entry: Found) -> int | None:
    return plan(entry, "all").total


def _chosen(entry: Plan, output: Any) -> Any:
    """The chosen channels of an output, float32, channels last."""
    axis = 1 if entry.channels_first else -1
    if len(entry.channels) < entry.total:
        if entry.channels == tuple(range(len(entry.channels))):
            output = output[:, : len(entry.channels)] if axis == 1 else output[..., : len(entry.channels)]
        else:
            output = keras.ops.take(output, keras.ops.convert_to_tensor(entry.channels, "int32"), axis=axis)
    if entry.channels_first:
        output = keras.ops.moveaxis(output, 1, -1)
    return owned(keras.ops.cast(output, "float32"))


def _summarise(outputs: list[Any]) -> tuple[Any, Any]:
    """One buffer of all pixels and one of all numbers; laying layers of one size side by side first costs more than it saves."""
    parts = [_summary(output) for output in outputs]
    pixels = keras.ops.concatenate([keras.ops.reshape(pixels, (-1,)) for pixels, _ in parts])
    return pixels, keras.ops.concatenate([numbers for _, numbers in parts])


def _summary(output: Any) -> tuple[Any, Any]:
    """8-bit maps (N, height, width, channels) and numbers (channels, 7) of one layer's float32 output, channels last."""
    ops = keras.ops
    axes = tuple(range(len(output.shape) - 1))
    cells = float(np.prod([output.shape[axis] for axis in axes]))
    finite = ops.isfinite(output)
    count = ops.sum(ops.cast(finite, "float32"), axis=axes)
    values = ops.where(finite, output, 0.0)
    low = ops.min(ops.where(finite, output, np.inf), axis=axes)
    high = ops.max(ops.where(finite, output, -np.inf), axis=axes)
    some = count > 0
    low, high = ops.where(some, low, np.nan), ops.where(some, high, np.nan)
    mean = ops.sum(values, axis=axes) / count
    deviation = ops.where(finite, output - mean, 0.0)
    numbers = [
        low,
        high,
        mean,
        ops.sum(ops.abs(values), axis=axes) / count,
        ops.sqrt(ops.sum(deviation * deviation, axis=axes) / count),
        ops.sum(ops.cast(output == 0, "float32"), axis=axes) / cells,
        cells - count,
    ]
    span = ops.where(high > low, high - low, 1.0)
    low = ops.where(some, low, 0.0)
    pixels = ops.where(finite, (values - low) / span * 255.0 + 0.5, 0.0)
    pixels = ops.cast(pixels, "uint8")
    while len(pixels.shape) < 4:
        pixels = ops.expand_dims(pixels, 1)
    if len(pixels.shape) == 5:
        pixels = pixels[:, pixels.shape[1] // 2]
    return pixels, ops.stack(numbers, axis=1)


class FeatureMapExtractor:
    """The feature maps of a model, as arrays, in one pass: for use after training.

    Example:
        >>> import keras, numpy as np
        >>> from fm_callback import FeatureMapExtractor
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, name="stem")])
        >>> maps = FeatureMapExtractor(model)(np.zeros((32, 32, 3), "float32"))
        >>> {path: values.shape for path, values in maps.items()}
        {'stem': (1, 30, 30, 8)}

    Args:
        model: Any Keras 3 model.
        layers: Which layers: "all" convolutions (the default), a count, or a list of numbers, names, paths, globs, predicates.
        channels: Which channels of each: "all" (the default), a count from the first, or a list of indices.

    Raises:
        ValueError: if `channels` is malformed; on the first call, if a choice of `layers` is unknown, empty, or made twice.
    """

    def __init__(self, model: keras.Model, layers: Choice = "all", channels: int | str | Sequence[int] = "all") -> None:
        self.model = model
        self._choice = layers, read_channels(channels)
        self._captures: dict[Any, Capture] = {}

    def __call__(self, samples: Any) -> dict[str, np.ndarray]:
        """Runs the model once, in evaluation mode.

        Args:
            samples: One sample or a batch; a dict or tuple of arrays for a model with several inputs.

        Returns:
            `{path: array}` in the order of the layers' numbers; arrays are float32, (N, h, w, c) for 2-D convolutions, channels
            last whatever the model's data format.

        Raises:
            ValueError: if the samples do not fit the model.
        """
        synchronise(self.model)
        batch = as_batch(samples, self.model)
        key = str(keras.tree.map_structure(lambda array: (array.shape, str(array.dtype)), batch))
        if key not in self._captures:
            self._captures = {key: Capture(self.model, batch, *self._choice)}
        capture = self._captures[key]
        outputs = capture.outputs(keras.tree.map_structure(keras.ops.convert_to_tensor, batch))
        return {
            entry.info.path: keras.ops.convert_to_numpy(output)
            for entry, output in zip(capture.plans, outputs, strict=True)
        }


assert NUMBERS == ("low", "high", "mean", "mean_abs", "std", "zeros", "nonfinite"), (
    "the order in which _summary stacks them"
)
