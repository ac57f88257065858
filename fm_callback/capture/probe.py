"""The probe: the samples that are shown at every step, as the model takes them, as people see them, and their masks."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from fm_callback.capture.samples import as_fit_has_them
from fm_callback.format2 import STORED_IMAGES, Label, ProbeFacts
from fm_callback.scores.concepts import Concepts, Masks, luminance


@dataclass(frozen=True)
class Probe:
    """The samples that are shown at every step, with their masks; made once.

    Attributes:
        batch: The samples as the model takes them, numpy arrays with a batch axis.
        images: The samples as people see them, (N, H, W, C); None if no input is a batch of images.
        masks: Their labels, or None.
    """

    batch: Any
    images: np.ndarray | None
    masks: Masks | None

    @classmethod
    def of(cls, samples: Any, masks: Masks | None, model: keras.Model) -> "Probe":
        """Checks samples and masks against the model and each other.

        Raises:
            ValueError: if the samples do not fit the model, or the masks do not fit the samples.
        """
        batch = as_fit_has_them(samples, model)
        shown = images(batch)
        if masks is not None:
            if shown is None:
                shapes = [leaf.shape for leaf in keras.tree.flatten(batch)]
                raise ValueError(
                    f"`masks` are given, but no input is a batch of images: `samples` have the shapes {shapes}"
                )
            if masks.foreground.shape != shown.shape[:3]:
                raise ValueError(
                    f"`masks` of shape {masks.foreground.shape} do not fit `samples`: "
                    f"{shown.shape[0]} images of {shown.shape[1]}×{shown.shape[2]}. "
                    "Give one label for each pixel of each sample (resize labels with nearest neighbour)"
                )
        return cls(batch, shown, masks)

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(keras.tree.flatten(self.batch)[0])

    @cached_property
    def tensors(self) -> Any:
        """The batch as tensors of the backend."""
        return keras.tree.map_structure(keras.ops.convert_to_tensor, self.batch)

    @cached_property
    def concepts(self) -> Concepts:
        """What maps are measured against."""
        return Concepts(None if self.images is None else luminance(self.images), self.masks)

    @property
    def labels(self) -> tuple[Label, ...]:
        """What the pixels of `label_pictures` stand for, in order."""
        if self.masks is None:
            return ()
        ignored = () if self.masks.ignore is None else (Label("ignored", ignored=True),)
        return (Label("background"), Label("foreground", foreground=True), *ignored)

    def label_pictures(self) -> np.ndarray | None:
        """uint8 (N, H, W), the position of each pixel's label in `labels`; None without masks."""
        return None if self.masks is None else self.masks.pictures()

    def stored(self) -> tuple[ProbeFacts, list[np.ndarray], list[np.ndarray]]:
        """What the log says of the probe: its facts, uint8 pictures of the stored samples, and of their labels."""
        labels = self.label_pictures()
        shown, scaling = (None, None) if self.images is None else pictures(self.images[:STORED_IMAGES])
        digest = hashlib.sha256()  # of all that is measured, not of what is stored: another probe is another run
        for array in [*keras.tree.flatten(self.batch), *([] if labels is None else [labels])]:
            digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
        facts = ProbeFacts(self.count, min(self.count, STORED_IMAGES), digest.hexdigest(), scaling)
        return facts, [] if shown is None else list(shown), [] if labels is None else list(labels[:STORED_IMAGES])


def read_masks(masks: Any, foreground: int | Iterable[int], ignore: int | Iterable[int] | None) -> Masks:
    """Checks and reduces labels.

    Args:
        masks: (H, W), (N, H, W) or (N, H, W, 1), integer or bool.
        foreground: The label, or labels taken together, of the object.
        ignore: The label or labels to leave out, or None.

    Raises:
        ValueError: if the array has another shape or dtype, a label is both, none of `foreground` occurs, or nothing else does.
    """
    labels = keras.ops.convert_to_numpy(masks) if keras.ops.is_tensor(masks) else np.asarray(masks)
    if labels.dtype.kind not in "biu":
        raise ValueError(
            f"`masks` must be labels, integer or bool; received dtype {labels.dtype}. For probabilities, give `masks > 0.5`"
        )
    labels = labels.astype(np.uint8) if labels.dtype.kind == "b" else labels
    shape = labels.shape
    if labels.ndim == 4 and shape[-1] == 1:
        labels = labels[..., 0]
    elif labels.ndim == 2:
        labels = labels[None]
    if labels.ndim != 3:
        raise ValueError(f"`masks` must have shape (H, W), (N, H, W) or (N, H, W, 1); received {shape}")
    inside, outside = _labels("foreground", foreground), [] if ignore is None else _labels("ignore", ignore)
    if set(inside) & set(outside):
        raise ValueError(f"label {sorted(set(inside) & set(outside))} is in both `foreground` and `ignore`")
    found = np.isin(labels, inside)
    if not found.any():
        raise ValueError(
            f"`masks` hold no pixel of `foreground`={foreground!r}; the labels in them are {np.unique(labels)[:20].tolist()}"
        )
    ignored = np.isin(labels, outside) if ignore is not None else None
    if (found if ignored is None else found | ignored).all():
        raise ValueError(
            f"`masks` hold no background: all pixels are `foreground`={foreground!r}{'' if ignore is None else f' or `ignore`={ignore!r}'}"
        )
    return Masks(found, ignored)


def _labels(name: str, value: int | Iterable[int]) -> list[int]:
    labels = list(value) if isinstance(value, Iterable) else [value]
    if not labels or not all(isinstance(label, (int, np.integer)) for label in labels):
        raise ValueError(f"`{name}` must be a label (an integer) or several; received {value!r}")
    return [int(label) for label in labels]


def images(batch: Any) -> np.ndarray | None:
    """The probe as pictures: the first input that is a batch of images, channels last; None if no input is.

    Returns:
        (N, H, W, C) as the model takes it, C as it is.
    """
    for leaf in keras.tree.flatten(batch):
        if leaf.ndim == 4:
            first = keras.config.image_data_format() == "channels_first" and leaf.shape[1] in (1, 3, 4)
            return np.moveaxis(leaf, 1, -1) if first else leaf
        if leaf.ndim == 3 and min(leaf.shape[1:]) > 4:
            return leaf[..., None]
    return None


def pictures(batch: np.ndarray) -> tuple[np.ndarray, str]:
    """8-bit pictures of a batch of images, and how they were scaled.

    Args:
        batch: (N, H, W, C) of any numeric dtype. One, three or four channels are shown as they are, else their mean in
            gray.

    Returns:
        uint8 (N, H, W) or (N, H, W, 3 or 4), and "[0, 1]" or "[0, 255]" where the values lie in that range, else
        "min-max LOW HIGH" with the values that became 0 and 255.
    """
    values = np.nan_to_num(np.asarray(batch, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    values = values[..., 0] if values.shape[-1] == 1 else values if values.shape[-1] in (3, 4) else values.mean(-1)
    if low >= 0 and high <= 1:
        scaled, how = values * 255, "[0, 1]"
    elif low >= 0 and high <= 255:
        scaled, how = values, "[0, 255]"
    else:
        scaled, how = (values - low) * (255 / (high - low) if high > low else 0), f"min-max {low:g} {high:g}"
    return np.clip(scaled + 0.5, 0, 255).astype(np.uint8), how
