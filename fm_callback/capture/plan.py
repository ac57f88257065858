"""How a layer's output becomes maps: which channels, in which layout, of what size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np

from fm_callback.capture.backends import backend
from fm_callback.capture.find import Found
from fm_callback.capture.layers import ConvLayer, inner, layout, times
from fm_callback.capture.tokens import Grid

#: How many channels from the first, "all", or their indices.
Channels: TypeAlias = int | str | Sequence[int]


@dataclass(frozen=True)
class Plan:
    """What is captured of one layer's call.

    Attributes:
        info: The layer.
        channels: Indices of the captured channels.
        total: How many channels the layer has.
        axis: Which axis of the layer's output is that of the channels; the samples' is 0.
        activation: Name of the activation that the layer itself applies, or None.
        grid: How its output lies, if it is one of tokens; else None.
        trainable: Whether any of the layer's weights is trained; None if it has none.
        period: By how much an upsampling before it, or the layer itself, has enlarged its maps; 0 if none has.
        dilation: The largest dilation rate of its kernel; 1 for a layer without.
        rectifier: Path of the ReLU that takes its output, as it is or normalised; None if none does.
        order: Which of all calls of layers it was.
    """

    info: ConvLayer
    channels: tuple[int, ...]
    total: int
    axis: int
    activation: str | None
    grid: Grid | None = None
    trainable: bool | None = None
    period: int = 0
    dilation: int = 1
    rectifier: str | None = None
    order: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the layer's whole output for one image, channels last; tokens on their grid."""
        if self.grid:
            return (self.grid.height, self.grid.width, self.total)
        sizes = tuple(size or 0 for size in self.info.output_shape[1:])
        return (*sizes[: self.axis - 1], *sizes[self.axis :], sizes[self.axis - 1])

    @property
    def axes(self) -> tuple[int, ...]:
        """Sizes of a map's axes in space and time: one of a signal, two of a picture, three of a volume."""
        return self.shape[:-1]

    @property
    def kernel(self) -> tuple[int, ...] | None:
        """Spatial size of a convolution's kernel; None for another layer."""
        return None if self.info.number is None or self.info.kernel_shape is None else self.info.kernel_shape[:-2]

    def take(self, output: Any) -> Any:
        """The captured channels of the layer's output, float32, channels last."""
        return backend.clone(keras.ops.cast(self._chosen(output), "float32"))

    def not_zero(self, output: Any) -> Any:
        """In how many cells each captured channel of the rectifier's output is not 0, float32 (N, channels)."""
        some = keras.ops.cast(self._chosen(output) != 0, "float32")
        return keras.ops.sum(keras.ops.reshape(some, (some.shape[0], -1, len(self.channels))), axis=1)

    def _chosen(self, output: Any) -> Any:
        count = len(self.channels)
        if count < self.total:
            if self.channels == tuple(range(count)):
                output = output[(slice(None),) * self.axis + (slice(count),)]
            else:
                output = keras.ops.take(output, keras.ops.convert_to_tensor(self.channels, "int32"), axis=self.axis)
        if self.axis < len(output.shape) - 1:
            output = keras.ops.moveaxis(output, self.axis, -1)
        if self.grid:
            output = keras.ops.reshape(output[:, self.grid.prefix :], (-1, self.grid.height, self.grid.width, count))
        return output


def plan_layers(
    chosen: list[Found], channels: Channels, grids: Mapping[str, Grid], channels_first: bool = False
) -> list[Plan]:
    """What to capture of each layer.

    Args:
        chosen: The layers' calls, at least one.
        channels: Which channels of each, as `read_channels` returns them.
        grids: How tokens lie, by the layer's path.
        channels_first: Whether the model has the channel axis second: holds for layers that do not say it themselves.

    Raises:
        ValueError: if an output has no channel axis or more than four axes before it, or a channel is in no layer, or
            a layer has none of the channels.
    """
    if not isinstance(channels, (int, str)):
        most = max(_channel_axis(entry, grids, channels_first)[1] for entry in chosen)
        absent = [index for index in channels if index >= most]
        if absent:
            raise ValueError(f"no chosen layer has the channels {absent} of `channels`={list(channels)!r}")
    return [_plan(entry, channels, grids, channels_first) for entry in chosen]


def _plan(entry: Found, channels: Channels, grids: Mapping[str, Grid], channels_first: bool) -> Plan:
    axis, total = _channel_axis(entry, grids, channels_first)
    if channels == "all":
        indices = tuple(range(total))
    elif isinstance(channels, int):
        indices = tuple(range(min(channels, total)))
    else:
        indices = tuple(int(index) for index in channels if int(index) < total)
        if not indices:
            raise ValueError(
                f"layer {entry.info.path!r} has {total} channels, numbered from 0: "
                f"none of `channels`={list(channels)!r}"
            )
    activation = getattr(inner(entry.layer), "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__) if activation is not None else None
    grid = grids.get(entry.info.path)
    trainable = bool(entry.layer.trainable_weights) if entry.layer.weights else None
    rates = getattr(inner(entry.layer), "dilation_rate", 1)
    return Plan(
        entry.info,
        indices,
        total,
        axis,
        None if name == "linear" else name,
        grid,
        trainable,
        entry.period,
        max(rates) if isinstance(rates, tuple | list) else int(rates),
        entry.rectifier,
        entry.order,
    )


def _channel_axis(entry: Found, grids: Mapping[str, Grid], channels_first: bool) -> tuple[int, int]:
    """Which axis of a layer's output is that of the channels, and how many there are."""
    info, said = entry.info, layout(entry.layer)
    shape = info.output_shape
    if not 2 <= len(shape) <= 6:
        raise ValueError(
            f"layer {info.path!r} puts out {shape}: only outputs with a channel axis and up to four more axes can be "
            "shown as maps"
        )
    first = channels_first if said is None else said == "channels_first"
    axis = len(shape) - 1
    if first and axis > 1 and info.path not in grids:
        axis = min(1 + times(entry.layer), axis)
    total = shape[axis]
    if total is None:
        raise ValueError(f"layer {info.path!r} puts out an unknown number of channels: {shape}")
    return axis, total


def read_channels(channels: Any) -> int | str | tuple[int, ...]:
    """The choice of channels as a plain count, tuple of indices, or "all".

    Raises:
        ValueError: if it is none of them.
    """
    wrong = (
        "`channels` must be a count (the first so many), a list of different indices from 0, or 'all'; "
        f"received {channels!r}"
    )
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
