"""What is stored of captured channels: 8-bit maps and a few numbers a channel, made on the device."""

from typing import Any

import numpy as np
from keras import ops

from fm_callback.format2 import NUMBERS


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


def _summary(output: Any) -> tuple[Any, Any]:
    """Maps (N, ..., channels) and numbers (channels, numbers) of one layer's output."""
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
    numbers = {
        "low": low,
        "high": high,
        "mean": mean,
        "mean_abs": ops.sum(ops.abs(values), axis=axes) / count,
        "std": ops.sqrt(ops.sum(deviation * deviation, axis=axes) / count),
        "zeros": ops.sum(ops.cast(output == 0, "float32"), axis=axes) / cells,
        "nonfinite": cells - count,
    }
    span = ops.where(high > low, high - low, 1.0)
    pixels = ops.where(finite, (values - ops.where(some, low, 0.0)) / span * 255.0 + 0.5, 0.0)
    return ops.cast(pixels, "uint8"), ops.stack([numbers[name] for name in NUMBERS], axis=1)
