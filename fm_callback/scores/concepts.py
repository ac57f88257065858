"""What maps are measured against: labels, the edges of the pictures, the outline, at the size of a map."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy as np

from fm_callback.format import Label

#: This share of an image's pixels, those of the largest gradient, are its edges. The choice is ours: no accepted one
#: exists.
EDGE_SHARE = 0.1

#: What no label and no concept of a user's may be called: a score is named after what it is a score of.
TAKEN = ("mask", "edge", "outline")

#: So many labels have a score of their own: those of the most pixels.
MOST_SCORED = 32

#: With the masks of so many other images a map is compared, at most: each mask is taken as often, and more cost time.
MOST_OTHERS = 3


@dataclass(frozen=True)
class Masks:
    """The labels of the probe.

    Attributes:
        pixels: uint8 (N, H, W) of pictures, (N, L) of signals, (N, D, H, W) of volumes: the position of each pixel's
            label in `labels`.
        labels: All labels, in the order of their values; some of them the object, some to be ignored, the others the
            background.
    """

    pixels: np.ndarray
    labels: tuple[Label, ...]

    @cached_property
    def foreground(self) -> np.ndarray:
        """Bool of the same shape: true where the object is."""
        return self._any_of([label.foreground for label in self.labels])

    @cached_property
    def ignore(self) -> np.ndarray | None:
        """Bool of the same shape: true where neither object nor background is to be counted; None without such a label."""
        ignored = [label.ignored for label in self.labels]
        return self._any_of(ignored) if any(ignored) else None

    @cached_property
    def scored(self) -> tuple[int, ...]:
        """Positions of the labels that have a score of their own: of more than two that occur and are not ignored."""
        counts = np.bincount(self.pixels.ravel(), minlength=len(self.labels))
        those = [at for at, label in enumerate(self.labels) if counts[at] and not label.ignored]
        if len(those) <= 2:  # the one is what the other is not
            return ()
        return tuple(sorted(sorted(those, key=lambda at: -counts[at])[:MOST_SCORED]))

    def reshaped(self, shape: tuple[int, ...]) -> "Masks":
        """The same labels, cell by cell, in another shape."""
        return Masks(self.pixels.reshape(shape), self.labels)

    def _any_of(self, those: list[bool]) -> np.ndarray:
        return np.asarray(np.array(those)[self.pixels])


@dataclass(frozen=True)
class Classes:
    """The cells by what they belong to: one count of cells by class serves every measure.

    Attributes:
        code: The class of each cell, numbered from 0, intp (images, cells).
        parts: For each concept, by name, which classes are part of it.
        others: In how many masks of other images the cells of each class are object, and background: int64 (classes,);
            None of one image.
    """

    code: np.ndarray
    parts: Mapping[str, np.ndarray]
    others: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Cells:
    """The concepts brought to one size of map, each bool (images, *sizes), None where there is no such concept.

    Attributes:
        foreground: Cells of the object; None without masks.
        background: Cells around it. A cell is neither where most of it is ignored.
        edges: Cells with an edge of the picture in them; None where the probe is no image.
        outline: Cells with an ignored pixel in them; None where no label is ignored.
        named: Cells of single labels, and of concepts that a user has named, by the score that is made of them.
    """

    foreground: np.ndarray | None = None
    background: np.ndarray | None = None
    edges: np.ndarray | None = None
    outline: np.ndarray | None = None
    named: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def present(self) -> dict[str, np.ndarray]:
        """The concepts that exist, by name."""
        concepts = {name: getattr(self, name) for name in ("foreground", "background", "edges", "outline")}
        return {name: cells for name, cells in concepts.items() if cells is not None} | dict(self.named)

    @cached_property
    def others(self) -> tuple[np.ndarray, np.ndarray] | None:
        """In how many masks of other images each cell is object, and background, uint8; None of one image.

        Of the images that follow, `MOST_OTHERS` at most, and after the last one the first again: each mask is taken as
        often as any other.
        """
        if self.foreground is None or self.background is None or len(self.foreground) < 2:
            return None
        inside, outside = (
            sum(each.astype(np.uint8) for each in self.of_others(cells)) for cells in (self.foreground, self.background)
        )
        return np.asarray(inside), np.asarray(outside)

    @staticmethod
    def of_others(cells: np.ndarray) -> Iterator[np.ndarray]:
        """Cells of images, each time those of another image in each one's place."""
        for shift in range(1, min(len(cells) - 1, MOST_OTHERS) + 1):
            yield np.roll(cells, -shift, axis=0)

    def exists(self, concept: str) -> bool:
        """Whether there is a concept; "others" are the masks of other images."""
        return self.others is not None if concept == "others" else concept in self.present

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many cells of all images together belong to each concept, by name."""
        return {name: int(np.count_nonzero(cells)) for name, cells in self.present.items()}

    @cached_property
    def images(self) -> dict[str, int]:
        """In how many images there is a cell of each concept, by name."""
        return {
            name: int(np.count_nonzero(cells.reshape(len(cells), -1).any(axis=1)))
            for name, cells in self.present.items()
        }

    @cached_property
    def classes(self) -> Classes:
        """Each cell's class, a combination of concepts that occurs."""
        flat = {name: cells.reshape(len(cells), -1) for name, cells in self.present.items()}
        weights = [] if self.others is None else [each.reshape(len(each), -1) for each in self.others]
        code = np.zeros(next(iter(flat.values())).shape if flat else (1, 1), np.intp)
        for values in (*flat.values(), *weights):
            # Numbered anew each time, so that any number of concepts fits into a whole number.
            combined = code * (int(values.max(initial=0)) + 1) + values
            occurs = np.bincount(combined.ravel()) > 0
            code = (np.cumsum(occurs) - 1)[combined]
        _, one = np.unique(code, return_index=True)  # a cell of each class tells what it is
        parts = {name: cells.ravel()[one] for name, cells in flat.items()}
        inside, outside = (each.ravel()[one].astype(np.int64) for each in weights) if weights else (None, None)
        return Classes(code, parts, None if inside is None or outside is None else (inside, outside))

    @property
    def area(self) -> float:
        """The q of mask IoU: the object's share of the cells that are object or background; NaN without any."""
        inside, outside = self.counts.get("foreground", 0), self.counts.get("background", 0)
        return inside / (inside + outside) if inside + outside else float("nan")


class Concepts:
    """The concepts of one probe, made once, at any size of map.

    A map is taken to cover the whole picture, whatever the padding of the convolutions before it. Cell (i, j) of a map
    of h by w covers the rectangle from (i H/h, j W/w) to ((i+1) H/h, (j+1) W/w) of the picture's H by W pixels; pixels
    are split where the ratio is no whole number, or the map larger than the picture. The areas are integers here, so
    that ties are ties. Signals, with one axis, and volumes, with three, are measured the same way.

    - **Mask**: area average. A cell is foreground if its foreground share exceeds its background share, else
      background; a cell of which more than half is ignored is neither.
    - **Single labels**, of more than two: a cell that counts has the label of the largest area in it, of equals the first;
      also where that is one of those beyond the `MOST_SCORED`, which have no score.
    - **Named concepts**: a cell that counts is part of one if more than half of it is.
    - **Edges**: a pixel is an edge if its Sobel magnitude (of the luminance, borders repeated, in all axes) is among
    the top 10 % of
      its own image and not 0; ties with the last of them count. A cell is an edge if any pixel of it is (max-pooling).
    - **Outline**: a cell is outline if any pixel of it has an ignored label (max-pooling).

    Max-pooling fills coarse maps: under a cell of 16x16 pixels nearly always lies an edge. `Cells.counts` says how many
    are left.
    """

    def __init__(
        self, luminance: np.ndarray | None, masks: Masks | None, named: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Finds the edges.

        Args:
            luminance: (N, *axes) of any scale, see `luminance`; None if the probe is no image.
            masks: The labels, of the same shape; or None.
            named: Concepts by name, bool of the same shape.
        """
        self._edges = None if luminance is None else _edges(luminance)
        self._masks = masks
        self._named = named or {}
        self._cells: dict[tuple[int, ...], Cells] = {}

    def at(self, *sizes: int) -> Cells:
        """The concepts at the size of a map, along as many axes as the pictures have; the same object at every call."""
        if sizes not in self._cells:
            self._cells[sizes] = self._made(sizes)
        return self._cells[sizes]

    def _made(self, sizes: tuple[int, ...]) -> Cells:
        edges = None if self._edges is None else _areas(self._edges, sizes) > 0
        named = {
            score_of(name): 2 * _areas(where, sizes) > math.prod(where.shape[1:]) for name, where in self._named.items()
        }
        if self._masks is None:
            return Cells(edges=edges, named=named)
        inside = _areas(self._masks.foreground, sizes)
        whole = math.prod(self._masks.foreground.shape[1:])
        ignored = np.zeros_like(inside) if self._masks.ignore is None else _areas(self._masks.ignore, sizes)
        foreground = inside > whole - inside - ignored
        counted = 2 * ignored <= whole
        outline = None if self._masks.ignore is None else ignored > 0
        named = {name: cells & counted for name, cells in (_labels(self._masks, sizes) | named).items()}
        return Cells(foreground & counted, ~foreground & counted, edges, outline, named)


def score_of(name: str) -> str:
    """The score that is made of a label's cells, or of a named concept's."""
    return f"{name}_auroc"


def excess_of(name: str) -> str:
    """What the channel that tells them best has more than by position, among a layer's summaries."""
    return f"{name}_excess"


def luminance(images: np.ndarray) -> np.ndarray:
    """Luminance of a batch of images: Rec. 601 for three channels, the mean of the channels otherwise.

    Args:
        images: (N, H, W, C) of any numeric dtype and range; or signals or volumes, whose channels are no colours.

    Returns:
        float32 (N, *axes). What is not finite is 0.
    """
    values = np.nan_to_num(np.asarray(images, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    weights = (0.299, 0.587, 0.114) if values.shape[3:] == (3,) else np.full(values.shape[-1], 1 / values.shape[-1])
    return values @ np.asarray(weights, np.float32)


def _labels(masks: Masks, sizes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The cells of each label that is scored, by its score; those of a label that is not scored are nobody's."""
    if not masks.scored:
        return {}
    largest = which = np.zeros((len(masks.pixels), *sizes), np.int64)
    for position, label in enumerate(masks.labels):
        if not label.ignored:
            area = _areas(masks.pixels == position, sizes)
            larger = area > largest
            largest, which = np.where(larger, area, largest), np.where(larger, position, which)
    return {score_of(masks.labels[position].name): (which == position) & (largest > 0) for position in masks.scored}


def _areas(pixels: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """The area of the true pixels in each cell, int64 (N, *sizes), in parts: a cell has one for each pixel."""
    areas = pixels
    for axis, cells in enumerate(sizes, start=1):
        count = areas.shape[axis]
        if count % cells == 0:  # whole pixels alone: a fraction of the time
            parts = areas.reshape(*areas.shape[:axis], cells, count // cells, *areas.shape[axis + 1 :])
            areas = parts.sum(axis=axis + 1, dtype=np.int64) * cells
        else:
            areas = np.moveaxis(_parted(np.moveaxis(areas.astype(np.int64), axis, -1), cells), -1, axis)
    return areas


def _parted(values: np.ndarray, cells: int) -> np.ndarray:
    """What of the values lies in each of so many cells, along the last axis.

    A pixel is `cells` long, a cell as the pixels are many.
    """
    none = np.zeros_like(values[..., :1])
    before, here = np.concatenate([none, np.cumsum(values, -1)], -1), np.concatenate([values, none], -1)
    whole, part = np.divmod(
        np.arange(cells + 1) * values.shape[-1], cells
    )  # where cells begin: in which pixel, how deep
    return np.diff(before[..., whole] * cells + here[..., whole] * part)


def _edges(luminance: np.ndarray) -> np.ndarray:
    """The pixels of the largest Sobel magnitude of each image, bool (N, *axes)."""
    axes = tuple(range(1, luminance.ndim))
    padded = np.pad(luminance.astype(np.float64), [(0, 0), *[(1, 1) for _ in axes]], "edge")
    gradients = []
    for axis in reversed(axes):
        smooth = padded
        for other in axes:
            if other != axis:
                low, middle, high = _neighbours(smooth, other)
                smooth = low + 2 * middle + high
        low, _, high = _neighbours(smooth, axis)
        gradients.append(high - low)
    magnitude = np.abs(reduce(np.hypot, gradients))
    threshold = np.quantile(magnitude, 1 - EDGE_SHARE, axis=axes, keepdims=True, method="higher")
    return (magnitude >= threshold) & (magnitude > 0)


def _neighbours(padded: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The value before each along an axis, itself, and the one after it; two fewer than there are."""
    along = np.moveaxis(padded, axis, 0)
    low, middle, high = (np.moveaxis(part, 0, axis) for part in (along[:-2], along[1:-1], along[2:]))
    return low, middle, high
