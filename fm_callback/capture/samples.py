"""Samples as the model takes them: arrays with a batch axis, from whatever `fit` takes as a batch."""

import warnings
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from fm_callback.capture.backends import backend
from fm_callback.capture.layers import every_layer
from fm_callback.capture.restore import unbuilt_again_on_error

#: Which of `_READINGS` each model took that does not know its input's shape, by the samples' shapes: trying is a trace.
_found: "WeakKeyDictionary[keras.Model, dict[Any, str]]" = WeakKeyDictionary()


def as_fit_has_them(samples: Any, model: keras.Model) -> Any:
    """Samples that are given as to `fit`, as the model itself takes them: see `as_batch`.

    A KerasHub task's `fit` first puts its data through `preprocess_samples`: text becomes numbers, pictures are resized
    and scaled. So are the samples here.
    """
    if not hasattr(model, "preprocess_samples"):
        return as_batch(samples, model)
    inputs = samples[0] if isinstance(samples, tuple) and len(samples) in (2, 3) else samples
    _refuse_unread(inputs)
    return as_batch(keras.utils.unpack_x_y_sample_weight(model.preprocess_samples(inputs))[0], model)


def as_batch(samples: Any, model: keras.Model) -> Any:
    """Samples as the model takes them: with a batch axis, as numpy arrays, checked against the model's input.

    Whether an array is one sample or a batch is decided by `model.input_shape`. A last axis of 1 may be missing or too
    many, as for `fit`. Where the shape is unknown, the model is tried: samples are a batch if it can be traced with
    them as they are, else one sample.

    Args:
        samples: An array, or a dict, list or tuple of arrays for a model with several inputs. A dict may name the
            inputs of any model that has names for them, as for `fit`. Or a batch of a data set, `(inputs, labels)` or
            `(inputs, labels, weights)`: its inputs are taken. On TensorFlow some of the arrays may hold text.
        model: The model, built or not. If it is not, and does not know the shape of its input, it will be.

    Returns:
        The same structure of arrays with a batch axis; one array for a model whose input is a list of one, in such a
        list. Text is UTF-8, in arrays of bytes.

    Raises:
        ValueError: if the samples are empty, not numbers, disagree about their count, or do not fit the model's input
            shape.
        Exception: the model's own, with a note, if it does not know its input's shape and can't take them.
    """
    arrays = keras.tree.map_structure(_array, samples)
    if not keras.tree.flatten(arrays):
        raise ValueError(f"`samples` holds no array; received {samples!r}")
    shapes = _input_shapes(model)
    count = 1 if isinstance(model, keras.Sequential) else None if shapes is None else len(shapes)
    arrays = _by_name(_without_labels(arrays, count, shapes), model)
    leaves = keras.tree.flatten(arrays)
    if all(leaf.dtype.kind == "S" for leaf in leaves):
        given = keras.tree.flatten(samples)[0]
        raise ValueError(
            "`samples` must be arrays of numbers; "
            f"received {type(given).__name__} of dtype {getattr(given, 'dtype', 'str')}"
        )
    if count is not None and count != len(leaves):
        stacked = ". If they are samples of one batch, give `np.stack(samples)`" if _alike(leaves) else ""
        raise ValueError(
            f"`samples` holds {len(leaves)} arrays, but model {model.name!r} has {count} inputs"
            f"{'' if shapes is None else f': {shapes}'}{stacked}"
        )
    if shapes is None:
        arrays = _tried(arrays, model)
        batches = keras.tree.flatten(arrays)
    else:
        batches = [_batch(leaf, shape) for leaf, shape in zip(leaves, shapes, strict=True)]
    _check_counts(batches)
    if len(batches) == 1 and not isinstance(arrays, dict):
        # Keras warns if the one input is in a list and the model's is not.
        return batches if isinstance(getattr(model, "_inputs_struct", None), list) else batches[0]
    return keras.tree.pack_sequence_as(arrays, batches)


def dtype_of(array: np.ndarray) -> str:
    """Keras's name of an array's dtype."""
    return "string" if array.dtype.kind == "S" else str(array.dtype)


def _array(value: Any) -> np.ndarray:
    if value is None:
        raise ValueError(
            "`samples` holds None: an optional input can't be left out of what is watched; give an array for it"
        )
    if isinstance(value, (int, float)):
        raise ValueError(
            f"`samples` holds the number {value!r} where an array belongs; give `np.asarray(samples)` for a nested list"
        )
    _refuse_unread(value)
    array = keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else np.asarray(value)
    if array.dtype.kind in "SUO" and array.size and all(isinstance(item, (str, bytes)) for item in array.flat):
        return _text(array, value)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise ValueError(f"`samples` must be arrays of numbers; received {type(value).__name__} of dtype {array.dtype}")
    dtype = array.dtype.newbyteorder("=")
    return array.astype(keras.config.floatx() if dtype == np.float64 else dtype, copy=False)


def _text(array: np.ndarray, value: Any) -> np.ndarray:
    if backend.name != "tensorflow":
        raise ValueError(
            f"`samples` must be arrays of numbers; received {type(value).__name__} of dtype {array.dtype}: "
            f"text among the inputs of a model needs TensorFlow, and Keras runs on {backend.name}"
        )
    encoded = [item.encode() if isinstance(item, str) else bytes(item) for item in array.flat]
    return np.array(encoded, "S").reshape(array.shape)


def _refuse_unread(value: Any) -> None:
    """Refuses data sets: some would be read whole, others shuffled or used up, and training would not get the same."""
    if isinstance(value, (str, bytes, dict, list, tuple)) or keras.ops.is_tensor(value):
        return
    if any(hasattr(value, name) for name in ("__array__", "__array_interface__", "__float__")):
        return
    if not any(hasattr(value, name) for name in ("__iter__", "__next__", "__getitem__")):
        return
    first = "next(data)" if hasattr(value, "__next__") else "next(iter(data))"
    how = "data[0]" if isinstance(value, keras.utils.PyDataset) else first
    raise ValueError(
        f"`samples` is a {type(value).__name__}, which is not read, since training is to find it as it was: "
        f"give samples, or a batch such as `{how}`, whose labels may stay in it"
    )


def _without_labels(arrays: Any, count: int | None, shapes: list[tuple[int | None, ...]] | None) -> Any:
    """The inputs of `(inputs, labels)` or `(inputs, labels, weights)`; anything else as it is."""
    if not (isinstance(arrays, (tuple, list)) and len(arrays) in (2, 3)) or count in (None, _size(arrays)):
        return arrays
    inputs, leaves = keras.tree.flatten(arrays[0]), keras.tree.flatten(arrays)
    if len(inputs) != count or any(leaf.ndim == 0 or len(leaf) != len(leaves[0]) for leaf in leaves):
        return arrays
    if shapes is None:
        return arrays if isinstance(arrays, list) and _alike(leaves) else arrays[0]
    fits = all(batch is not None for batch in map(_as_batch_of, inputs, shapes))
    return arrays[0] if fits else arrays


def _size(structure: Any) -> int:
    return len(keras.tree.flatten(structure))


def _alike(leaves: list[np.ndarray]) -> bool:
    return len({leaf.shape for leaf in leaves}) == 1


def _by_name(samples: Any, model: keras.Model) -> Any:
    """A dict of inputs in the structure that the model has for them; anything else as it is."""
    structure = getattr(model, "_inputs_struct", None)
    if not isinstance(samples, dict) or structure is None or isinstance(structure, dict):
        return samples
    names = [tensor.name for tensor in keras.tree.flatten(structure)]
    if samples.keys() != set(names):
        raise ValueError(f"`samples` has the keys {list(samples)}, but the inputs of model {model.name!r} are {names}")
    return keras.tree.map_structure(lambda tensor: samples[tensor.name], structure)


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


def _batch(array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    for each in (array, array[None]):
        if (batch := _as_batch_of(each, shape)) is not None:
            return batch
    raise ValueError(
        f"`samples` of shape {array.shape} do not fit the model's input shape {shape}: give one sample of shape "
        f"{shape[1:]}, or a batch of them, resized and scaled as for training"
    )


def _as_batch_of(array: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray | None:
    """The array as a batch of inputs of a shape, a last axis of 1 added or dropped as in `fit`; None if it is none."""
    if array.ndim == len(shape) + 1 and array.shape[-1] == 1:
        array = array[..., 0]
    elif array.ndim == len(shape) - 1 and shape[-1] == 1:
        array = array[..., None]
    if array.ndim != len(shape):
        return None
    sizes = zip(shape[1:], array.shape[1:], strict=True)
    return array if all(want is None or want == have for want, have in sizes) else None


def _check_counts(batches: list[np.ndarray]) -> None:
    counts = [len(batch) for batch in batches]
    if len(set(counts)) > 1:
        raise ValueError(f"the arrays of `samples` hold different numbers of samples: {counts}")
    if counts[0] == 0:
        raise ValueError(f"`samples` is empty: shape {batches[0].shape}; give at least one sample")


def _tried(arrays: Any, model: keras.Model) -> Any:
    """The reading of samples that a model takes which does not know the shape of its input.

    A batch as it is, or one sample, or the inputs of `(inputs, labels)`.
    """
    key = tuple((leaf.shape, str(leaf.dtype)) for leaf in keras.tree.flatten(arrays))
    known = _found.setdefault(model, {})
    names = [known[key]] if key in known else _likely_first(arrays, model)
    refusals = []
    for name in names:
        batch = _READINGS[name](arrays)
        refusal = None if key in known else _refusal(model, batch)
        if refusal is None:
            known[key] = name
            return batch
        refusals.append(refusal)
    shapes = [leaf.shape for leaf in keras.tree.flatten(arrays)]
    refusals[0].add_note(
        f"model {model.name!r} takes `samples` of shape {shapes[0] if len(shapes) == 1 else shapes} "
        "neither as a batch nor as one sample"
    )
    raise refusals[0]


_READINGS: dict[str, Callable[[Any], Any]] = {
    "batch": lambda arrays: arrays,
    "one": lambda arrays: keras.tree.map_structure(lambda array: array[None], arrays),
    "labelled": lambda arrays: arrays[0],
}


def _likely_first(arrays: Any, model: keras.Model) -> list[str]:
    """The readings to try. A layer that is built by a wrong one may not take the right one: that is to come first."""
    leaves = keras.tree.flatten(arrays)
    names = ["one"]
    if all(leaf.ndim > 0 and len(leaf) == len(leaves[0]) for leaf in leaves):
        labelled = isinstance(arrays, (tuple, list)) and len(arrays) in (2, 3)
        more = _axes(model) > max(leaf.ndim for leaf in leaves)
        names = ["one", "batch"] if more else ["batch", "one"]
        names += ["labelled"] if labelled else []
    return names


def _refusal(model: keras.Model, batch: Any) -> Exception | None:
    """Why the model can't take a batch; None if it can."""
    from fm_callback.capture.find import find, specs_of  # which needs samples itself

    try:
        with warnings.catch_warnings(), unbuilt_again_on_error(model):
            warnings.filterwarnings("ignore", "(?s).*it has unbuilt state", UserWarning)
            find(model, specs_of(batch), batch)
    except Exception as error:
        return error
    return None


def _axes(model: keras.Model) -> int:
    """How many axes the first layer that says so takes; 0 if none does."""
    if model.built:
        return 0
    specs = [spec for layer in every_layer(model) for spec in keras.tree.flatten(layer.input_spec) if spec is not None]
    return next((axes for spec in specs if (axes := spec.ndim or spec.min_ndim)), 0)
