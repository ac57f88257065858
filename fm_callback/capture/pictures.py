"""The probe as people see it: which input is the picture, which axis its channels are on, and its 8-bit pixels."""

import difflib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from fm_callback.capture.layers import is_of_signals

#: Ranges to which people scale pictures, in the order in which they are tried.
RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))

#: By how much of a range values may leave it, as they do after smooth resizing, and how many of them may.
OVERSHOOT, OUTSIDE = 0.1, 0.05

#: Values that take up less of a range than this would be one gray to the eye: they are scaled between their own ends.
LEAST = 0.1

#: With fewer rows or columns it is no picture.
STRIP = 4


class Picture(NamedTuple):
    """The input that is shown.

    Attributes:
        name: Its name, or its position among the inputs.
        images: (N, H, W, C), as the model takes it but for the place of the channels; of volumes or videos (N, D, H, W,
            C), of signals (N, L, C).
    """

    name: str
    images: np.ndarray


def find_picture(
    batch: Any,
    model: keras.Model,
    channels_first: bool,
    size: tuple[int, ...] | None = None,
    name: str | int | None = None,
) -> Picture | None:
    """The input that is the picture: of those of a size, or of all, the one that looks most like one.

    That is one with more than `STRIP` rows and columns before others, then the signal of a model whose convolutions all
    go over one axis, then one of three channels before four, one, another number, and none at all (a table is of that
    kind); then the largest; then the first.

    Args:
        batch: The samples, as `samples.as_batch` returns them.
        model: The model.
        channels_first: Whether the model has the channel axis second. An input is read the other way where only that
            gives it the size, or the model's way makes a strip of what is a picture the other way.
        size: The sizes that its axes must have, those of the masks: height and width, of volumes three, of signals one.
        name: The name of the input, if it is to be that one; or its position.

    Returns:
        None if no input is a batch of images of that size.

    Raises:
        ValueError: if there is no input of that name, or it is no batch of images.
    """
    inputs, signals = _named(batch, model), is_of_signals(model)
    if name is not None:
        wanted = str(name)
        if wanted not in inputs and isinstance(name, int) and 0 <= name < len(inputs):
            wanted = [*inputs][name]
        if wanted not in inputs:
            near = difflib.get_close_matches(wanted, inputs, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"no input {name!r} for `picture`{hint} The inputs are {[*inputs]}")
        inputs = {wanted: inputs[wanted]}
        if as_images(inputs[wanted], channels_first, signals=signals) is None:
            raise ValueError(f"`picture`={name!r} is no batch of images: its shape is {inputs[wanted].shape}")
    found = [
        Picture(each, images)
        for each, values in inputs.items()
        if (images := as_images(values, channels_first, size, signals)) is not None
    ]
    return max(found, key=lambda picture: _likeness(picture, inputs), default=None)


def as_images(
    values: np.ndarray, channels_first: bool, size: tuple[int, ...] | None = None, signals: bool = False
) -> np.ndarray | None:
    """An input as pictures (N, H, W, C), volumes (N, D, H, W, C) or signals (N, L, C).

    Args:
        values: The input.
        channels_first: Whether the model has the channel axis second.
        size: The sizes that the axes between must have; None for any.
        signals: Whether three axes are those of signals rather than of gray pictures.

    Returns:
        None if it is none of these, or of another size.
    """
    if values.dtype.kind == "S" or values.ndim not in (3, 4, 5):
        return None
    readings = [np.moveaxis(values, 1, -1), values] if channels_first else [values, np.moveaxis(values, 1, -1)]
    if values.ndim == 3:
        gray = values[..., None]
        readings = readings[:1] if signals else []
        if not _is_strip(gray) or (size is not None and not signals):
            readings.append(gray)
    else:
        model_way, other_way = readings
        if _is_strip(model_way) and not _is_strip(other_way) and other_way.shape[-1] in (1, 3, 4):
            readings.reverse()
    return next((each for each in readings if size in (None, each.shape[1:-1])), None)


def to_pixels(images: np.ndarray, bands: Sequence[int] | None = None) -> tuple[np.ndarray, str]:
    """8-bit pictures of a batch of images, and in words how they were made.

    All are scaled alike: by the one of `RANGES` that fits their values, else between their own ends. Whole numbers from
    0 to 255 are bytes. What is not finite is black.

    Args:
        images: (N, H, W, C) of any numeric dtype.
        bands: Which channels are shown, three as red, green and blue, or one in gray. By default of one or three
            channels all, of two their mean, of more the first three: a fourth is not taken for opacity.

    Returns:
        uint8 (N, H, W) or (N, H, W, 3), and the words.
    """
    values = np.asarray(images, np.float32)
    total, words = values.shape[-1], ""
    if bands is not None or total > 3:
        chosen = [0, 1, 2] if bands is None else list(bands)
        values = values[..., chosen]
        words = f"band{'' if len(chosen) == 1 else 's'} {', '.join(map(str, chosen))} of {total}: "
    elif total == 2:
        values, words = values.mean(-1, keepdims=True), "the mean of 2 channels: "
    values = values[..., 0] if values.shape[-1] == 1 else values
    finite = np.isfinite(values)
    black, white = _range(values[finite])
    if (black, white) not in RANGES:
        values = values.astype(np.float64)  # the difference of two ends may be more than float32 holds
    scaled = (values - black) * (255 / (white - black) if white > black else 0)
    pixels = np.where(finite, np.clip(scaled + 0.5, 0, 255), 0).astype(np.uint8)
    words += f"black is {black:g}, white is {white:g}"
    missing = finite.size - int(np.count_nonzero(finite))
    return pixels, f"{words}; {missing} values are not finite, and black" if missing else words


def _range(values: np.ndarray) -> tuple[float, float]:
    """Which values are black and white."""
    if not values.size:
        return RANGES[0]
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255 and (values == np.round(values)).all():
        return RANGES[0] if high <= 1 else RANGES[2]
    for black, white in RANGES:
        slack = OVERSHOOT * (white - black)
        inside = np.count_nonzero((values >= black) & (values <= white)) / values.size
        shown = min(high, white) - max(low, black)
        enough = low == high or shown >= LEAST * (white - black)
        if low >= black - slack and high <= white + slack and inside >= 1 - OUTSIDE and enough:
            return black, white
    return low, high


def _named(batch: Any, model: keras.Model) -> dict[str, np.ndarray]:
    """The inputs by the names that samples or the model have for them, those without by position."""
    paths, leaves = zip(*keras.tree.flatten_with_path(batch), strict=True)
    names = ["/".join(map(str, path)) for path in paths]
    structure = getattr(model, "_inputs_struct", None)
    if structure is not None and not isinstance(batch, dict):
        names = [tensor.name for tensor in keras.tree.flatten(structure)]
    return dict(zip(names, leaves, strict=True))


def _likeness(picture: Picture, inputs: dict[str, np.ndarray]) -> tuple[bool, int, int]:
    images = picture.images
    kind = 0 if inputs[picture.name].ndim == 3 else {3: 4, 4: 3, 1: 2}.get(images.shape[-1], 1)
    return not _is_strip(images), 5 if images.ndim == 3 else kind, math.prod(images.shape[1:-1])


def _is_strip(images: np.ndarray) -> bool:
    """Whether the longer two of the axes are no plane: frames and slices may be few."""
    return min(sorted(images.shape[1:-1])[-2:]) <= STRIP
