"""What is stored of captured channels: 8-bit maps and a few numbers a channel, made on the device."""

from typing import Any

import numpy as np
from keras import ops

from fm_callback.format import NUMBERS

_LARGEST = float(np.finfo("float32").max)
_WIDE = 2.0**125  # the reciprocal of more is no normal number

#: What is known of a channel of one image, of which the numbers over all images are made.
PARTS = ("low", "high", "sum", "sum_abs", "squares", "zeros", "count", "cells")


def summarise(outputs: list[Any]) -> tuple[Any, Any]:
    """Summarises layers. Laying those of one size side by side first would cost more than it saves.

    Args:
        outputs: Float32 tensors (N, ..., channels) with any axes between.

    Returns:
        One buffer of all pixels, uint8, layer after layer, each (N, ..., channels) row by row; and the
        numbers of all channels, float32 (channels of all layers, numbers) in the order of `NUMBERS`.
    """
    parts = [_summary(output) for output in outputs]
    pixels = ops.concatenate([ops.reshape(pixels, (-1,)) for pixels, _ in parts])
    return pixels, ops.concatenate([numbers for _, numbers in parts])


def summarise_chunk(outputs: list[Any], scale: Any) -> tuple[Any, Any]:
    """Summarises layers of some of the images, image by image, where their channels' scale comes from all of them.

    Args:
        outputs: As for `summarise`.
        scale: Float32 (channels of all layers, 3): low, high and mean of each over all images.

    Returns:
        Pixels as of `summarise`; and float32 (N, channels of all layers, parts) in the order of `PARTS`.
    """
    pixels, parts, begin = [], [], 0
    for output in outputs:
        low, high, mean = (scale[begin : begin + output.shape[-1], at] for at in range(3))
        begin += output.shape[-1]
        if len(output.shape) == 2:
            output = ops.expand_dims(output, 1)  # torch takes no axes for all axes
        finite = ops.isfinite(output)
        inside = ops.minimum(
            ops.maximum(output, low), high
        )  # a model that draws anew may leave the range of the first pass
        pixels.append(ops.reshape(_pixels(inside, finite, low, high), (-1,)))
        parts.append(_parts(output, finite, mean))
    return ops.concatenate(pixels), ops.concatenate(parts, axis=1)


def _summary(output: Any) -> tuple[Any, Any]:
    """Maps (N, ..., channels) and numbers (channels, numbers) of one layer's output."""
    axes = tuple(range(len(output.shape) - 1))
    cells = float(np.prod([output.shape[axis] for axis in axes]))
    finite = ops.isfinite(output)
    count = ops.sum(ops.cast(finite, "float32"), axis=axes)
    values = ops.where(finite, output, 0.0)
    some = count > 0
    mean = ops.sum(values, axis=axes) / count
    # No infinity and no NaN but those of the maps: a user who hunts them (tf.debugging) would find ours.
    low = ops.where(some, ops.min(ops.where(finite, output, _LARGEST), axis=axes), mean)
    high = ops.where(some, ops.max(ops.where(finite, output, -_LARGEST), axis=axes), mean)
    deviation = ops.where(finite, output - mean, 0.0)
    numbers = {
        "low": low,
        "high": high,
        "mean": mean,
        "mean_abs": ops.sum(ops.abs(values), axis=axes) / count,
        "std": ops.sqrt(ops.sum(deviation * deviation, axis=axes) / count),
        "zeros": ops.sum(ops.cast(output == 0, "float32"), axis=axes) / cells,
        "nonfinite": cells - count,
    }
    return _pixels(output, finite, low, high), ops.stack([numbers[name] for name in NUMBERS], axis=1)


def _pixels(output: Any, finite: Any, low: Any, high: Any) -> Any:
    """uint8 maps (N, ..., channels); 0 where a cell is not finite."""
    # No float32 holds the widest spans, nor, on some devices, what divides by them. Of such channels all is taken sixteen
    # times smaller, which is exact.
    part = 1.0 - 0.9375 * ops.cast(high > _WIDE + ops.minimum(low, 0.0), "float32")
    low, high = part * low, part * high
    span = ops.where(high > low, high - low, 1.0)
    values = ops.where(finite, part * output - ops.where(ops.isfinite(low), low, 0.0), 0.0)
    return ops.cast(ops.where(finite, values / span * 255.0 + 0.5, 0.0), "uint8")


def _parts(output: Any, finite: Any, mean: Any) -> Any:
    """What the numbers of one layer are made of, (N, channels, parts)."""
    axes = tuple(range(1, len(output.shape) - 1))
    values, deviation = ops.where(finite, output, 0.0), ops.where(finite, output - mean, 0.0)
    count = ops.sum(ops.cast(finite, "float32"), axis=axes)
    parts = {
        "low": ops.min(ops.where(finite, output, _LARGEST), axis=axes),
        "high": ops.max(ops.where(finite, output, -_LARGEST), axis=axes),
        "sum": ops.sum(values, axis=axes),
        "sum_abs": ops.sum(ops.abs(values), axis=axes),
        "squares": ops.sum(deviation * deviation, axis=axes),
        "zeros": ops.sum(ops.cast(output == 0, "float32"), axis=axes),
        "count": count,
        "cells": ops.full_like(count, float(np.prod([output.shape[axis] for axis in axes]))),
    }
    return ops.stack([parts[name] for name in PARTS], axis=-1)
