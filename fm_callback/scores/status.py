"""What the seven numbers of a channel say of it without any concept: whether its map is a picture of a signal."""

from enum import IntEnum

import numpy as np

from fm_callback.format import NUMBERS

#: Up to this part of the layer's largest magnitude, a channel's magnitude or deviation is as good as zero.
EPSILON = 1e-9

#: A channel is dormant up to this part of the layer's mean magnitude.
TAU = 0.025

_LOW, _HIGH, _MEAN_ABS, _STD, _NONFINITE = map(NUMBERS.index, ("low", "high", "mean_abs", "std", "nonfinite"))


class Status(IntEnum):
    """What kind of map a channel shows; only `LIVE` ones are pictures of a signal."""

    LIVE = 0
    DEAD = 1  # zero everywhere
    FLAT = 2  # one value other than zero everywhere
    NONFINITE = 3  # no finite value, or finite ones that say nothing


def status(numbers: np.ndarray, cells: int | None = None) -> np.ndarray:
    """The status of each channel, over all probe images.

    With eps = 1e-9 of the largest |A| of the layer's logged channels: dead is max |A_k| <= eps; flat is a standard
    deviation <= eps, or low = high, while the channel is not dead. A channel with NaN or Inf is neither: if its finite
    values would make it dead or flat, or it has none, it is `NONFINITE`, else `LIVE`. One cell alone is not flat: there is
    none beside it that it could differ from.

    Args:
        numbers: float32 (channels, at least 7) in the order of `format.NUMBERS`.
        cells: How many cells of all images stand behind them, where that is known.

    Returns:
        Array of `Status` values, (channels,).
    """
    low, high, std = numbers[:, _LOW], numbers[:, _HIGH], numbers[:, _STD]
    magnitude = np.maximum(np.abs(low), np.abs(high))
    finite = np.isfinite(magnitude)
    epsilon = EPSILON * np.max(magnitude, initial=0.0, where=finite)
    result = np.full(len(numbers), Status.LIVE)
    if cells != 1:
        result[(std <= epsilon) | (low == high)] = Status.FLAT
    result[magnitude <= epsilon] = Status.DEAD
    result[~finite | (numbers[:, _NONFINITE] > 0) & (result != Status.LIVE)] = Status.NONFINITE
    return result


def is_dormant(numbers: np.ndarray) -> np.ndarray:
    """Whether each channel is dormant: mean |A_k| <= .025 mean_j(mean |A_j|).

    Over the layer's logged channels with finite values; where all of them are zero, all are dormant. One without any
    finite value is not. Source: Sokar et al., "The Dormant Neuron Phenomenon in Deep Reinforcement Learning", ICML
    2023.

    Args:
        numbers: float32 (channels, at least 7) in the order of `format.NUMBERS`.

    Returns:
        bool (channels,).
    """
    magnitude = numbers[:, _MEAN_ABS].astype(np.float64)
    finite = np.isfinite(magnitude)
    return magnitude <= TAU * np.mean(magnitude, where=finite) if finite.any() else finite
