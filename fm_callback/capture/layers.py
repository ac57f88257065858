"""What a convolution is, which number it has in a model, and the table of them all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from fm_callback.capture.trace import Call

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
)
_TORCH_CONVOLUTIONS = {f"Conv{kind}{axes}d" for kind in ("", "Transpose") for axes in (1, 2, 3)}


@dataclass(frozen=True)
class ConvLayer:
    """One call of one convolution layer in a model.

    Attributes:
        number: 1-based, depth-first over `model.layers`; further calls of a shared layer have the same number. None for
            a layer that is not a convolution.
        name: The layer's own name.
        path: Its name with those of the models and layers around it, joined by "/"; further calls end in "#2", "#3", ...
        kind: Its class, with the wrapped class in parentheses for a wrapper.
        kernel_shape: Shape of its kernel (of the depthwise one, if it is separable; of the input's, if it is
            recurrent), None if it has none.
        bias_shape: Shape of its bias, None without one.
        output_shape: Shape of its output in the model's own data format; None for the batch and for unknown sizes.
    """

    number: int | None
    name: str
    path: str
    kind: str
    kernel_shape: tuple[int, ...] | None
    bias_shape: tuple[int, ...] | None
    output_shape: tuple[int | None, ...]


class ConvLayers(list[ConvLayer]):
    """A list of `ConvLayer` that prints as a table."""

    def __str__(self) -> str:
        head = ("#", "layer", "kind", "kernel", "bias", "output")
        rows = [
            (
                str(layer.number),
                layer.path,
                layer.kind,
                _times(layer.kernel_shape),
                _times(layer.bias_shape),
                _times(layer.output_shape[1:]),
            )
            for layer in self
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if at == 0 else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in (head, tuple("-" * width for width in widths), *rows)
        ]
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


def conv_numbers(
    model: keras.Model, called: Sequence[keras.Layer], kernels: Mapping[int, tuple[int, ...]]
) -> dict[int, int]:
    """The number of each convolution, by the layer's id.

    Args:
        model: The model.
        called: The layers in it that ran, in the order of their calls, a layer once for each.
        kernels: What `own_kernel` says, by the layer's id.

    Returns:
        Numbers from 1: first the convolutions that `model.layers` shows, depth-first, then those that only their calls
        show. One that did not run has none, and a convolution inside a wrapper has none beside its wrapper's.
    """

    def counts(layer: keras.Layer) -> bool:
        return is_conv(layer) or id(inner(layer)) in kernels

    shown = [layer for layer in every_layer(model) if counts(layer)]
    ran = {id(layer) for layer in called}
    wrapped = {id(inside) for layer in called for inside in _wrapped(layer)}
    order = [id(layer) for layer in shown if id(layer) in ran]
    order += [id(layer) for layer in called if counts(layer) and id(layer) not in wrapped]
    return {key: at for at, key in enumerate(dict.fromkeys(order), start=1)}


def own_kernel(call: Call, shape: tuple[int | None, ...]) -> tuple[int, ...] | None:
    """The shape of the kernel of a layer that is a convolution by what it does: custom layers around `keras.ops.conv`.

    Told safely: one convolution ran in the call, the layer itself ran it, by a kernel of the shape of one of its own
    weights, and put out its result in the same shape. So blocks of several layers, fixed filters and layers that go on
    computing are none.

    Args:
        call: A call of the layer.
        shape: Shape of its output.
    """
    if len(call.convolutions) != 1 or is_conv(call.layer):
        return None
    (ran,) = call.convolutions
    kernel = next((own for weight in call.layer.weights if (own := _shape(weight)) == ran.kernel), None)
    return kernel if ran.direct and ran.output[1:] == shape[1:] else None


def describe(
    layer: keras.Layer,
    path: str,
    number: int | None,
    shape: tuple[int | None, ...],
    kernels: Mapping[int, tuple[int, ...]],
) -> ConvLayer:
    """The facts of one call of a layer.

    Args:
        layer: The layer.
        path: Its path in the model.
        number: Its number, None if it has none.
        shape: Shape of its output, batch axis included.
        kernels: What `own_kernel` says, by the layer's id.
    """
    core = inner(layer)
    kind = type(layer).__name__ if core is layer else f"{type(layer).__name__}({type(core).__name__})"
    weights = getattr(core, "cell", core)  # a recurrent layer's are its cell's
    kernel = getattr(weights, "kernel", None)
    if kernel is None:
        kernel = getattr(weights, "depthwise_kernel", None)
    of_kernel, bias = kernels.get(id(core)) or _shape(kernel), _shape(getattr(weights, "bias", None))
    return ConvLayer(number, layer.name, path, kind, of_kernel, bias, (None, *shape[1:]))


def every_layer(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers that `model.layers` shows, depth-first; a layer that is no model shows none."""
    for layer in getattr(model, "layers", ()):
        yield layer
        if isinstance(layer, keras.Model):
            yield from every_layer(layer)


def is_conv(layer: keras.Layer) -> bool:
    """Whether a layer is a convolution or wraps one, by its type: names prove nothing."""
    return isinstance(inner(layer), _CONVOLUTIONS)


def are_channels_first(layers: Iterable[keras.Layer]) -> bool:
    """Whether a model has the channel axis second: as its convolutions say, if they agree; else as Keras is set."""
    said = {layout(layer) for layer in layers if is_conv(layer) or _is_of_torch(layer)} - {None}
    return (said if len(said) == 1 else {keras.config.image_data_format()}) == {"channels_first"}


def layout(layer: keras.Layer) -> str | None:
    """Where a layer says that its channels are, "channels_first" or "channels_last"; None where it does not.

    A module of PyTorch's that convolves has them first, and has no word for it.
    """
    if _is_of_torch(layer):
        return "channels_first"
    said: str | None = getattr(inner(layer), "data_format", None)
    return said


def times(layer: keras.Layer) -> int:
    """How many axes of a layer's output are steps in time: they come before channels that are first, too."""
    innermost = inner(layer)
    recurrent = isinstance(innermost, keras.layers.RNN) and bool(innermost.return_sequences)
    return recurrent + sum(isinstance(each, keras.layers.TimeDistributed) for each in (layer, *_wrapped(layer)))


def _is_of_torch(layer: keras.Layer) -> bool:
    innermost = inner(layer)
    module = innermost.module if isinstance(innermost, keras.layers.TorchModuleWrapper) else None
    return module is not None and any(type(each).__name__ in _TORCH_CONVOLUTIONS for each in module.modules())


def is_of_signals(model: keras.Model) -> bool:
    """Whether a model's convolutions all go over one axis, as those of signals do."""
    axes = {layer.rank for layer in model._flatten_layers() if is_conv(layer) and hasattr(layer, "rank")}
    return axes == {1}


def inner(layer: keras.Layer) -> keras.Layer:
    """The layer inside a wrapper (or several), else the layer."""
    return [layer, *_wrapped(layer)][-1]


def _wrapped(layer: keras.Layer) -> Iterator[keras.Layer]:
    """The layers inside a wrapper, from the outside in; of two that run both ways, the forward one is last."""
    inside = [layer.layer] if isinstance(layer, keras.layers.Wrapper) else []
    if isinstance(layer, keras.layers.Bidirectional):
        inside = [layer.backward_layer, layer.forward_layer]
    for each in inside:
        yield each
        yield from _wrapped(each)


def _shape(weight: Any) -> tuple[int, ...] | None:
    return None if weight is None or not hasattr(weight, "shape") else tuple(int(size) for size in weight.shape)


def _times(shape: tuple[int | None, ...] | None) -> str:
    return "-" if not shape else "×".join("?" if size is None else str(size) for size in shape)
