"""The probe: the samples that are shown at every step, as the model takes them, as people see them, and their masks."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from fm_callback.capture.layers import is_of_signals
from fm_callback.capture.section import Section, section
from fm_callback.format2 import STORED_IMAGES, Label, ProbeFacts
from fm_callback.scores.concepts import Concepts, Masks, luminance


@dataclass(frozen=True)
class Probe:
    """The samples that are shown at every step, with their masks; made once.

    Attributes:
        batch: The samples as the model takes them, numpy arrays with a batch axis.
        images: The samples as people see them: pictures (N, H, W, C), signals (N, L, C), volumes or videos (N, D, H,
            W, C); None if no input is one of these.
        masks: Their labels, (N, *axes); or None.
        section: The plane of them that is stored.
    """

    batch: Any
    images: np.ndarray | None
    masks: Masks | None
    section: Section

    @classmethod
    def of(
        cls, samples: Any, masks: Masks | None, model: keras.Model, slice_axis: Any = None, slice_at: Any = None
    ) -> "Probe":
        """Checks samples and masks against the model and each other.

        Args:
            samples: The samples.
            masks: Their labels in the shape in which they came, or None.
            model: The model.
            slice_axis: Which axis of volumes is cut, see `section`.
            slice_at: Where, see `section`.

        Raises:
            ValueError: if the samples do not fit the model, the masks do not fit the samples, or there is no such
                slice.
        """
        batch = as_batch(samples, model)
        views = images(batch, is_of_signals(model))
        shown = views[0] if views else None
        if masks is not None:
            if not views:
                shapes = [leaf.shape for leaf in keras.tree.flatten(batch)]
                raise ValueError(
                    "`masks` are given, but no input is a batch of images, volumes or signals: `samples` have the "
                    f"shapes {shapes}"
                )
            masks, shown = _fitted(masks, views)
        axes = () if shown is None else shown.shape[1:-1]
        foreground = None if masks is None else masks.foreground
        count = len(keras.tree.flatten(batch)[0])
        return cls(batch, shown, masks, section(axes, count, foreground, slice_axis, slice_at))

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
        """uint8 (N, *axes), the position of each pixel's label in `labels`; None without masks."""
        return None if self.masks is None else self.masks.pictures()

    def stored(self) -> tuple[ProbeFacts, list[np.ndarray], list[np.ndarray]]:
        """What the log says of the probe: its facts, uint8 pictures of the stored samples, and of their labels."""
        labels = self.label_pictures()
        count, planes = min(self.count, STORED_IMAGES), self.section.planes
        shown, scaling = (None, None) if self.images is None else pictures(planes(self.images[:STORED_IMAGES]))
        digest = hashlib.sha256()  # of all that is measured, not of what is stored: another probe is another run
        for array in [*keras.tree.flatten(self.batch), *([] if labels is None else [labels])]:
            digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
        facts = ProbeFacts(
            images=self.count,
            stored=count,
            digest=digest.hexdigest(),
            scaling=scaling,
            axes=self.section.axes,
            slice_axis=self.section.axis,
            slices=self.section.at[:count],
        )
        coloured = [] if labels is None else list(planes(labels[:STORED_IMAGES, ..., None])[..., 0])
        return facts, [] if shown is None else list(shown), coloured


def as_batch(samples: Any, model: keras.Model) -> Any:
    """Samples as the model takes them: with a batch axis, as numpy arrays, checked against the model's input.

    Whether an array is one sample or a batch is decided by `model.input_shape`; where that is unknown, arrays of up to
    three axes are one sample, and with an array of four all of them are batches.

    Args:
        samples: An array, or a dict, list or tuple of arrays for a model with several inputs. A dict may name the inputs of any
            model that has names for them, as for `fit`.
        model: The model, built or not.

    Returns:
        The same structure of arrays with a batch axis; one array for a model whose input is a list of one, in such a list.

    Raises:
        ValueError: if the samples are empty, not numbers, disagree about their count, or do not fit the model's input
            shape.
    """
    arrays = keras.tree.map_structure(_array, _by_name(samples, model))
    leaves = keras.tree.flatten(arrays)
    if not leaves:
        raise ValueError(f"`samples` holds no array; received {samples!r}")
    shapes = _input_shapes(model)
    if shapes is not None and len(shapes) != len(leaves):
        stacked = ". If they are samples of one batch, give `np.stack(samples)`" if len(shapes) == 1 else ""
        raise ValueError(
            f"`samples` holds {len(leaves)} arrays, but model {model.name!r} has {len(shapes)} inputs: {shapes}{stacked}"
        )
    single = all(leaf.ndim <= 3 for leaf in leaves)
    batches = [_batch(leaf, None if shapes is None else shapes[at], single) for at, leaf in enumerate(leaves)]
    counts = {len(batch) for batch in batches}
    if len(counts) > 1:
        raise ValueError(
            f"the arrays of `samples` hold different numbers of samples: {[len(batch) for batch in batches]}"
        )
    if counts == {0}:
        raise ValueError(f"`samples` is empty: shape {leaves[0].shape}; give at least one sample")
    if len(batches) == 1 and not isinstance(
        arrays, dict
    ):  # Keras warns if the one input is in a list and the model's is not
        return batches if isinstance(getattr(model, "_inputs_struct", None), list) else batches[0]
    return keras.tree.pack_sequence_as(arrays, batches)


def _by_name(samples: Any, model: keras.Model) -> Any:
    """A dict of inputs in the structure that the model has for them; anything else as it is."""
    structure = getattr(model, "_inputs_struct", None)
    if not isinstance(samples, dict) or structure is None or isinstance(structure, dict):
        return samples
    names = [tensor.name for tensor in keras.tree.flatten(structure)]
    if samples.keys() != set(names):
        raise ValueError(f"`samples` has the keys {list(samples)}, but the inputs of model {model.name!r} are {names}")
    return keras.tree.map_structure(lambda tensor: samples[tensor.name], structure)


def _array(value: Any) -> np.ndarray:
    if isinstance(value, (int, float)):
        raise ValueError(
            f"`samples` holds the number {value!r} where an array belongs; give `np.asarray(samples)` for a nested list"
        )
    array = keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else np.asarray(value)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise ValueError(f"`samples` must be arrays of numbers; received {type(value).__name__} of dtype {array.dtype}")
    dtype = array.dtype.newbyteorder("=")
    return array.astype(keras.config.floatx() if dtype == np.float64 else dtype, copy=False)


def _input_shapes(model: keras.Model) -> list[tuple[int | None, ...]] | None:
    """The model's input shapes in the order of a flattened structure of samples; None where the model does not know."""
    try:
        shape = model.input_shape
    except (AttributeError, ValueError):
        return None
    if isinstance(shape, dict):
        shape = [shape[key] for key in sorted(shape)]
    elif isinstance(shape, tuple) and (not shape or not isinstance(shape[0], (tuple, list))):
        shape = [shape]
    return [tuple(each) for each in shape]


def _batch(array: np.ndarray, shape: tuple[int | None, ...] | None, single: bool) -> np.ndarray:
    if shape is None:
        return array[None] if single else array
    for batch in (array, array[None]):
        if batch.ndim == len(shape) and all(
            want is None or want == have for want, have in zip(shape[1:], batch.shape[1:], strict=True)
        ):
            return batch
    raise ValueError(
        f"`samples` of shape {array.shape} do not fit the model's input shape {shape}: give one sample of shape "
        f"{shape[1:]}, or a batch of them, resized and scaled as for training"
    )


def read_masks(masks: Any, foreground: int | Iterable[int], ignore: int | Iterable[int] | None) -> Masks:
    """Checks and reduces labels.

    Args:
        masks: Of any shape, integer or bool; whether it fits the samples is checked with them.
        foreground: The label, or labels taken together, of the object.
        ignore: The label or labels to leave out, or None.

    Returns:
        The masks in the shape in which they came.

    Raises:
        ValueError: if the array has another dtype, a label is both, none of `foreground` occurs, or nothing else does.
    """
    labels = keras.ops.convert_to_numpy(masks) if keras.ops.is_tensor(masks) else np.asarray(masks)
    if labels.dtype.kind not in "biu":
        raise ValueError(
            f"`masks` must be labels, integer or bool; received dtype {labels.dtype}. For probabilities, give `masks > 0.5`"
        )
    labels = labels.astype(np.uint8) if labels.dtype.kind == "b" else labels
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


def _fitted(masks: Masks, views: list[np.ndarray]) -> tuple[Masks, np.ndarray]:
    """The masks as (N, *axes), and the first view of the samples that they fit."""
    shape = masks.foreground.shape
    for view in views:
        whole = view.shape[:-1]
        if shape in (whole, (*whole, 1)) or (whole[0] == 1 and shape in (whole[1:], (*whole[1:], 1))):
            ignore = None if masks.ignore is None else masks.ignore.reshape(whole)
            return Masks(masks.foreground.reshape(whole), ignore), view
    kinds = {1: ("signals", "sample in time"), 2: ("images", "pixel"), 3: ("volumes", "voxel")}
    seen = [f"{len(view)} {kinds[view.ndim - 2][0]} of {'×'.join(map(str, view.shape[1:-1]))}" for view in views]
    raise ValueError(
        f"`masks` of shape {shape} do not fit `samples`: {' or '.join(dict.fromkeys(seen))}. Give one label for each "
        f"{kinds[views[0].ndim - 2][1]} of each sample (resize labels with nearest neighbour)"
    )


def images(batch: Any, signals: bool = False) -> list[np.ndarray]:
    """The ways in which the probe can be seen, the likeliest first, channels last.

    Args:
        batch: The samples as the model takes them.
        signals: Whether the model's convolutions all go over one axis: then three axes are those of signals rather
            than of gray pictures.

    Returns:
        Pictures (N, H, W, C), volumes or videos (N, D, H, W, C), signals (N, L, C), each an input as the model takes
        it.
    """
    views = []
    for leaf in keras.tree.flatten(batch):
        if leaf.ndim in (4, 5):
            first = keras.config.image_data_format() == "channels_first" and leaf.shape[1] in (1, 3, 4)
            views.append(np.moveaxis(leaf, 1, -1) if first else leaf)
        if leaf.ndim == 3:
            views += [leaf] * signals + [leaf[..., None]] * (min(leaf.shape[1:]) > 4)
    return views


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
