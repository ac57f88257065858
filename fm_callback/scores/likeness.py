"""How far a model is from what it was at another step, by the numbers of its channels."""

from collections.abc import Sequence

import numpy as np

from fm_callback.format import NUMBERS

#: What rounding makes of one model's numbers, in float32: up to 3e-6 between backends, on CPUs.
ROUNDING = 1e-5

#: What another precision makes of them at most: 5e-3 in float16, which has as many digits as the products that a GPU makes of
#: float32 by default, and 4e-2 in bfloat16.
PRECISION = 5e-2

_MEAN, _STD = map(NUMBERS.index, ("mean", "std"))


def distance(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """How far two models are from each other: the largest distance of a layer.

    That of a layer is the median over its channels, of two numbers each: by how much the means and the standard
    deviations differ, as a share of the larger deviation. Means over all cells are what rounding changes least; the
    median passes over the few channels that hardly vary, and the largest over the layers that are frozen. Channels that
    are dead in both are left out.

    Of the same weights at most, and of others at least, by `benchmarks/likeness.py` (51 layers, on CPUs):

        float32 on TensorFlow, JAX and PyTorch   3e-6        one batch      8e-2
        float16 against float32                  5e-3        one epoch      4e-1
        bfloat16 against float32                 4e-2        another seed   5e-1

    Args:
        one: float32 (channels, at least 7) for each layer, in the order of `format.NUMBERS`.
        other: Likewise.

    Returns:
        0 or more; infinite where a channel is finite in one alone.

    >>> import numpy as np
    >>> layer = np.float32([[0, 1, 0.5, 0.5, 0.2, 0, 0], [0, 1, 0.4, 0.4, 0.1, 0, 0]])
    >>> changed = layer + np.float32([0, 0, 0.02, 0.02, 0, 0, 0])
    >>> round(distance([layer], [changed]), 3), distance([layer, 0 * layer], [layer, 0 * layer])
    (0.05, 0.0)
    """
    return max((_of_layer(*pair) for pair in zip(one, other, strict=True)), default=0.0)


def is_same(here: float, beside: float) -> bool:
    """Whether a model is what it was at a step.

    It is if it is far nearer to it than that is to the step beside it, and no further than precision explains. So a model
    that is found again on another device is told from what it was a step before or after, and from one that was trained
    otherwise; where steps hardly differ, rounding alone counts.

    Args:
        here: Its distance from the step.
        beside: The distance of that step from the one beside it; 0 if there is none.
    """
    return here <= max(ROUNDING, min(PRECISION, beside / 4))


def _of_layer(one: np.ndarray, other: np.ndarray) -> float:
    one, other = (numbers[:, [_MEAN, _STD]].astype(np.float64) for numbers in (one, other))
    # What hardly varies around its mean, such as a map of one cell, is measured by that.
    scale = np.maximum(*(np.maximum(numbers[:, 1], np.abs(numbers[:, 0]) / 100) for numbers in (one, other)))
    varies = ~(scale == 0)
    with np.errstate(invalid="ignore"):
        differences = np.abs(one - other)[varies] / scale[varies, None]
    here, there = (np.isnan(numbers[varies]) for numbers in (one, other))
    differences[here | there] = np.inf
    differences[here & there] = 0.0
    return float(np.median(differences)) if differences.size else 0.0
