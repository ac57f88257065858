"""What a layer as a whole does at a step: one function a measure, each from what is known of the layer."""

import math
from dataclasses import dataclass

import numpy as np

from fm_callback.scores.activations import Activations, cka
from fm_callback.scores.status import Status, is_dormant, status


@dataclass(frozen=True)
class LayerStep:
    """A layer at one step, and before.

    Attributes:
        numbers: float32 (channels, at least 7) in the order of `format.NUMBERS`.
        now: Its activations at this step.
        previous: Those of the step before; None at the first.
        first: Those of step 0; None there, and in a training that another process goes on with.
    """

    numbers: np.ndarray
    now: Activations
    previous: Activations | None = None
    first: Activations | None = None


def effective_rank(layer: LayerStep) -> float:
    """How many directions the channels of a layer use: exp(H(s / sum s)), H the entropy and s the singular values.

    Of the centred cells x channels matrix, of at most `SAMPLED_CHANNELS` channels. 1 to the smaller of channels and
    cells - 1; NaN if nothing varies. No chance level. Channels count by their deviation: dead and flat ones not at all.
    Cells that are not finite count as the channel's low.

    8-bit rounding adds 1/12 squared level to each channel's variance, which would pass for directions; it is subtracted
    (Sheppard's correction). What stays, measured on maps of known rank: up to .1 for normal values and 32 channels, .4
    for values with heavy tails; up to 1 and 3 for 256 channels.

    Source: Roy & Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    """
    noise = len(layer.now.levels) * layer.now.scale**2 / 12
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(layer.now.gram - np.diag(noise)), 0.0))
    if not values.any():
        return math.nan
    shares = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def cka_previous(layer: LayerStep) -> float:
    """How alike the layer is now and at the step before: `activations.cka`, whose docstring has formula and source.

    0 to 1, no fixed chance level; NaN without a step before, or if nothing varies in one of the two.
    """
    return math.nan if layer.previous is None else cka(layer.previous, layer.now)


def cka_first(layer: LayerStep) -> float:
    """How alike the layer is now and at step 0: `activations.cka`, whose docstring has formula and source.

    0 to 1, no fixed chance level; NaN at step 0, in a training that another process goes on with, or if nothing varies in one of the two.
    """
    return math.nan if layer.first is None else cka(layer.first, layer.now)


def dead_or_flat(layer: LayerStep) -> float:
    """The share of the logged channels that show one value everywhere: `Status.DEAD` or `Status.FLAT`.

    0 to 1, no chance level, never NaN: a channel that is not finite is neither. Exact, whatever the 8 bits: from the
    numbers. The definition is ours, see `status.status`.
    """
    signal = status(layer.numbers)
    return float(np.mean((signal == Status.DEAD) | (signal == Status.FLAT)))


def dormant(layer: LayerStep) -> float:
    """The share of the logged channels that hardly do anything beside the others: `status.is_dormant`, with its source.

    0 to 1, no chance level, never NaN: a channel that is not finite is not dormant. Exact, whatever the 8 bits: from
    the numbers.
    """
    return float(np.mean(is_dormant(layer.numbers)))
