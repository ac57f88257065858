"""The probe: the samples that are shown at every step, as the model takes them, as people see them, and their masks."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras
import numpy as np

from fm_callback.capture.chunks import AT_ONCE
from fm_callback.capture.pictures import STRIP, Picture, find_picture, to_pixels
from fm_callback.capture.section import Section, section
from fm_callback.format import MOST_STORED, Label, ProbeFacts
from fm_callback.scores.concepts import Concepts, Masks, luminance


@dataclass(frozen=True)
class Probe:
    """The samples that are shown at every step, with their masks; made once.

    Attributes:
        batch: The samples as the model takes them, numpy arrays with a batch axis.
        picture: The input that people see; None if none is a batch of images, volumes or signals.
        masks: Their labels, (N, *axes); or None.
        section: The plane of them that is stored.
        bands: Which channels of the picture are shown; None for the usual ones.
        stored: Of how many samples, from the first, pictures and maps are stored. Numbers are over all of them.
        named: Concepts by name, bool (N, *axes).
    """

    batch: Any
    picture: Picture | None
    masks: Masks | None
    section: Section
    bands: tuple[int, ...] | None = None
    stored: int = 4
    named: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        batch: Any,
        model: keras.Model,
        *,
        channels_first: bool = False,
        masks: Masks | None = None,
        picture: str | int | None = None,
        bands: tuple[int, ...] | None = None,
        slice_axis: Any = None,
        slice_at: Any = None,
        stored: int = 4,
        named: Mapping[str, np.ndarray] | None = None,
    ) -> "Probe":
        """Finds the picture and checks masks against it.

        Args:
            batch: The samples as the model takes them, numpy arrays with a batch axis.
            model: The model.
            channels_first: Whether the model has the channel axis second.
            masks: Their labels in the shape in which they came.
            picture: Name or position of the input that is the picture; None for the one that fits the masks, or looks
                like one.
            bands: Which channels of it to show.
            slice_axis: Which axis of volumes is cut, see `section`.
            slice_at: Where, see `section`.
            stored: Of how many samples to store pictures and maps.
            named: Concepts by name, bool in the shapes in which they came.

        Raises:
            ValueError: if masks or concepts do not fit the samples, or there is no such input, band, or slice.
        """
        count = len(keras.tree.flatten(batch)[0])
        shown, named = find_picture(batch, model, channels_first, name=picture), dict(named or {})
        given = {} if masks is None else {"`masks`": masks.pixels.shape}
        for what, shape in (given | {f"concept {name!r}": where.shape for name, where in named.items()}).items():
            fitting = (find_picture(batch, model, channels_first, size, picture) for size in _sizes(shape, count))
            if (fit := next(filter(None, fitting), None)) is None:
                raise ValueError(_misfit(what, shape, batch, shown))
            shown, picture = fit, fit.name  # what is given next must lie over the same
        if shown is not None:
            cells = shown.images.shape[:-1]
            masks = None if masks is None else masks.reshaped(cells)
            named = {name: where.reshape(cells) for name, where in named.items()}
        if shown is not None and bands is not None and max(bands) >= shown.images.shape[-1]:
            raise ValueError(f"the picture has {shown.images.shape[-1]} bands, numbered from 0: no `bands`={[*bands]}")
        axes = () if shown is None else shown.images.shape[1:-1]
        foreground = None if masks is None else masks.foreground
        return cls(batch, shown, masks, section(axes, count, foreground, slice_axis, slice_at), bands, stored, named)

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(keras.tree.flatten(self.batch)[0])

    @cached_property
    def inputs(self) -> Any:
        """The batch as a capture takes it: tensors of the backend, but arrays if it goes through in chunks."""
        return self.batch if self.count > AT_ONCE else keras.tree.map_structure(keras.ops.convert_to_tensor, self.batch)

    @cached_property
    def concepts(self) -> Concepts:
        """What maps are measured against."""
        return Concepts(None if self.picture is None else luminance(self.picture.images), self.masks, self.named)

    @property
    def labels(self) -> tuple[Label, ...]:
        """What the pixels of the masks stand for, in order."""
        return () if self.masks is None else self.masks.labels

    @property
    def scored(self) -> tuple[str, ...]:
        """Names of the labels that have a score of their own."""
        return () if self.masks is None else tuple(self.masks.labels[at].name for at in self.masks.scored)

    def described(self) -> tuple[ProbeFacts, list[np.ndarray], list[np.ndarray]]:
        """What the log says of the probe: its facts, uint8 pictures of the stored samples, and of their labels."""
        labels = None if self.masks is None else self.masks.pixels
        shown, coloured, words = [], [], None
        if labels is not None:
            coloured = list(self.section.planes(labels[: self.stored, ..., None])[..., 0])
        if self.picture is not None:
            pixels, words = to_pixels(self.section.planes(self.picture.images[: self.stored]), self.bands)
            shown = list(pixels)
            if len(keras.tree.flatten(self.batch)) > 1:
                words = f"input {self.picture.name!r}, {words}"
        digest = hashlib.sha256()  # of all that is measured, not of what is stored: another probe is another run
        for array in [*keras.tree.flatten(self.batch), *([] if labels is None else [labels]), *self.named.values()]:
            digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
        facts = ProbeFacts(
            images=self.count,
            stored=min(self.count, self.stored),
            digest=digest.hexdigest(),
            scaling=words,
            axes=self.section.axes,
            slice_axis=self.section.axis,
            slices=self.section.at[: self.stored],
        )
        return facts, shown, coloured


def _sizes(shape: tuple[int, ...], count: int) -> Iterator[tuple[int, ...]]:
    """The axes of samples of which labels of a shape may have one for each cell, the likeliest first.

    Of one sample the first axis may be missing; an axis of 1 may stand where channels do.
    """
    for _, *axes in ([shape] if shape[:1] == (count,) else []) + ([(1, *shape)] if count == 1 else []):
        yield tuple(axes)
        if axes[-1:] == [1]:
            yield tuple(axes[:-1])
        if axes[:1] == [1]:
            yield tuple(axes[1:])


def _misfit(what: str, shape: tuple[int, ...], batch: Any, shown: Picture | None) -> str:
    if shown is None:
        shapes = [leaf.shape for leaf in keras.tree.flatten(batch)]
        return (
            f"{what} are given, but no input is a batch of images, volumes or signals: `samples` have the shapes "
            f"{shapes}"
        )
    count, *axes, channels = shown.images.shape
    kind, cell = {1: ("signals", "sample in time"), 2: ("images", "pixel"), 3: ("volumes", "voxel")}[len(axes)]
    seen = f"{count} {kind} of {'×'.join(map(str, axes))}"
    if len(axes) == 1 and channels > STRIP:
        seen += f" or {count} images of {axes[0]}×{channels}"
    several = f" (input {shown.name!r})" if len(keras.tree.flatten(batch)) > 1 else ""
    return (
        f"{what} of shape {shape} do not fit `samples`: {seen}{several}. "
        f"Give one label for each {cell} of each sample ({_remedy(shape, count, tuple(axes))})"
    )


def _remedy(shape: tuple[int, ...], count: int, axes: tuple[int, ...]) -> str:
    """How labels of a shape would come to lie over samples of these axes."""
    samples, *sides = shape
    for batch in [(count,), ()] if count == 1 else [(count,)]:
        if shape[:-1] == (*batch, *axes):
            return "where each label has a channel, `.argmax(-1)`"
        if len(shape) > len(batch) and shape == (*batch, shape[len(batch)], *axes):
            return f"where each label has a channel, `.argmax({len(batch)})`"
    if tuple(sides) == axes:
        return "those of the samples alone"
    if samples == count and len(sides) == len(axes) and min(shape) > 0:
        pairs = list(zip(axes, sides, strict=True))
        if all(own % given == 0 for own, given in pairs):
            return f"`{''.join(f'.repeat({own // given}, {at})' for at, (own, given) in enumerate(pairs, 1) if own > given)}`"
        if all(given % own == 0 for own, given in pairs):
            return f"`[:, {', '.join(f'::{given // own}' for own, given in pairs)}]`"
    return "resize labels with nearest neighbour"


def read_bands(bands: Any) -> tuple[int, ...] | None:
    """Which channels of the picture to show, checked.

    Raises:
        ValueError: if they are not one or three indices.
    """
    if bands is None:
        return None
    indices = list(bands) if isinstance(bands, Iterable) else [bands]
    good = all(isinstance(each, (int, np.integer)) and not isinstance(each, bool) and each >= 0 for each in indices)
    if not good or len(indices) not in (1, 3):
        raise ValueError(
            f"`bands` must be three indices from 0, for red, green and blue, or one, for gray; received {bands!r}"
        )
    return tuple(int(each) for each in indices)


def read_stored(stored: Any) -> int:
    """Of how many samples maps are stored, checked.

    Raises:
        ValueError: if it is no number of samples, or more than a log may hold.
    """
    if not isinstance(stored, (int, np.integer)) or isinstance(stored, bool) or not 0 < stored <= MOST_STORED:
        raise ValueError(f"stored must be a number of samples from 1 to {MOST_STORED}; received {stored!r}")
    return int(stored)
