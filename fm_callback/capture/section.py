"""Which plane of a sample and of its maps is stored: all of two axes, a strip of one, a slice through three."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Section:
    """The plane that is stored, the same part of the sample in each layer; numbers and scores are over all of a map.

    Attributes:
        axes: Sizes of the sample's axes in space (and time): one of a signal, two of a picture, three of a volume or
            video; empty where no input is such a sample.
        axis: Which of three axes is cut; None of fewer.
        at: Where, an index for each sample.
    """

    axes: tuple[int, ...] = ()
    axis: int | None = None
    at: tuple[int, ...] = ()

    def covers(self, axes: tuple[int, ...]) -> bool:
        """Whether a map with axes of these sizes lies over the sample."""
        return len(axes) == (len(self.axes) or 2)

    def size(self, axes: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the plane of a map with axes of these sizes."""
        axes = axes[-3:]
        kept = [size for axis, size in enumerate(axes) if len(axes) < 3 or axis != (self.axis or 0)]
        height, width = [1, 1, *kept][-2:]
        return height, width

    def slices(self, axes: tuple[int, ...], images: int) -> tuple[int, ...]:
        """Index of the slice of a map with axes of these sizes, for each image; empty where none is cut.

        The slice through the middle of the sample's own; through the middle of the map's where the sample has none.
        """
        if len(axes) < 3:
            return ()
        size = axes[-3:][self.axis or 0]
        if self.axis is None:
            return (size // 2,) * images
        return tuple((2 * index + 1) * size // (2 * self.axes[self.axis]) for index in self.at[:images])

    def planes(self, values: np.ndarray) -> np.ndarray:
        """The plane of each sample.

        Args:
            values: (N, ..., K) with up to four axes between. Of four, the middle of the first is taken.

        Returns:
            (N, height, width, K).
        """
        if values.ndim == 6:
            values = values[:, values.shape[1] // 2]
        if values.ndim == 5:
            slices = self.slices(values.shape[1:-1], len(values))
            pairs = zip(values, slices, strict=True)
            return np.stack([value.take(index, axis=self.axis or 0) for value, index in pairs])
        return values.reshape(len(values), *self.size(values.shape[1:-1]), values.shape[-1])


def section(
    axes: tuple[int, ...], images: int, foreground: np.ndarray | None = None, axis: Any = None, at: Any = None
) -> Section:
    """The section to store of samples.

    Args:
        axes: Sizes of their axes.
        images: How many samples there are.
        foreground: bool (N, *axes), where the object is; or None.
        axis: The axis to cut, from 0, negative from the last; the shortest if None.
        at: The index of the slice, negative from the end, or one for each sample; if None, half of the object lies
            before it, and it is the middle where there is no object.

    Raises:
        ValueError: if the samples have no third axis, or not this one, or no such slice.
    """
    if len(axes) != 3:
        if axis is not None or at is not None:
            given = f"`slice_axis`={axis!r}" if axis is not None else f"`slice`={at!r}"
            raise ValueError(f"{given} is for volumes and videos, with three axes; these samples have the axes {axes}")
        return Section(axes)
    if axis is None:
        axis = int(np.argmin(axes))
    if not _whole(axis) or not -3 <= axis < 3:
        raise ValueError(f"`slice_axis` must be 0, 1 or 2, an axis of {_times(axes)}; received {axis!r}")
    axis, size = int(axis) % 3, axes[int(axis) % 3]
    if at is None:
        return Section(axes, axis, _centres(foreground, images, axis, size))
    indices = [at] * images if _whole(at) else list(at) if isinstance(at, (Sequence, np.ndarray)) else []
    if len(indices) != images or not all(_whole(index) and -size <= index < size for index in indices):
        raise ValueError(
            f"`slice` must be an index from 0 to {size - 1}, along axis {axis} of {_times(axes)}, or one for each of "
            f"the {images} samples; received {at!r}"
        )
    return Section(axes, axis, tuple(int(index) % size for index in indices))


def _centres(foreground: np.ndarray | None, images: int, axis: int, size: int) -> tuple[int, ...]:
    """The median slice of each sample's object: unlike the mean, it has some of it."""
    if foreground is None:
        return (size // 2,) * images
    others = tuple(1 + other for other in range(3) if other != axis)
    up_to = np.cumsum(foreground.sum(axis=others), axis=1)
    return tuple(int(np.sum(2 * each < each[-1])) if each[-1] else size // 2 for each in up_to)


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _times(axes: tuple[int, ...]) -> str:
    return "×".join(map(str, axes))
