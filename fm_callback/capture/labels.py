"""The labels that a user gives for the probe: checked, named and coloured."""

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from fm_callback.format import Label
from fm_callback.scores.concepts import TAKEN, Masks

#: A log holds a label of a pixel in one byte.
MOST_LABELS = 256

#: For the first labels colours that people with any kind of colour vision tell apart.
#: Source: Okabe & Ito, "Color Universal Design", 2008; black, which is left out there, is no colour beside a picture.
_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")

#: For the largest of those that are not the object.
_GROUND = "#3b3f46"


def read_masks(
    masks: Any,
    foreground: int | Iterable[int],
    ignore: int | Iterable[int] | None,
    classes: Mapping[int, str] | None = None,
) -> Masks:
    """Checks labels, and names and colours them.

    Args:
        masks: Of any shape; whether it fits the samples is checked with them. Integer or bool, or floats that are whole
            numbers; or one-hot, (N, H, W, K).
        foreground: The label, or labels taken together, of the object.
        ignore: The label or labels to leave out, or None.
        classes: Names of labels by their value, also of some that these masks do not hold.

    Returns:
        The masks in the shape in which they came, one-hot ones without their last axis.

    Raises:
        ValueError: if the array has another dtype, a label is both, none of `foreground` occurs, nothing else does, or
            `classes` names what is not there.
    """
    values = _values(masks)
    inside, outside = _labels("foreground", foreground), [] if ignore is None else _labels("ignore", ignore)
    if set(inside) & set(outside):
        raise ValueError(f"label {sorted(set(inside) & set(outside))} is in both `foreground` and `ignore`")
    occurring, pixels = _numbered(values)
    there = occurring.tolist()
    if not set(inside) & set(there):
        raise ValueError(f"`masks` hold no pixel of `foreground`={foreground!r}; the labels in them are {there[:20]}")
    if not set(there) - set(inside) - set(outside):
        raise ValueError(
            f"`masks` hold no background: all pixels are `foreground`={foreground!r}{'' if ignore is None else f' or `ignore`={ignore!r}'}"
        )
    names = read_classes(classes, there)
    known = sorted({*there, *names})
    if len(known) > MOST_LABELS:
        raise ValueError(f"`masks` hold {len(known)} labels, and at most {MOST_LABELS} can be logged")
    positions = np.searchsorted(known, occurring).astype(np.uint8)
    counts = dict(zip(there, np.bincount(pixels.ravel()).tolist(), strict=True))
    ground = max((each for each in there if each not in {*inside, *outside}), key=lambda each: counts[each])
    return Masks(positions[pixels], _labelled(known, names, inside, outside, ground))


def _labelled(
    values: Sequence[int], names: Mapping[int, str], inside: Sequence[int], outside: Sequence[int], ground: int
) -> tuple[Label, ...]:
    """Labels with names and colours: two alone are object and background, and need no colour; `ground` has a quiet one."""
    counted = [value for value in values if value not in outside]
    coloured = [value for value in counted if value != ground]
    two = len(counted) <= 2 and len(set(inside) & set(counted)) == 1
    usual = {value: "foreground" if value in inside else "background" for value in counted} if two else {}
    if len(outside) == 1:
        usual |= dict.fromkeys(outside, "ignored")
    called = {value: names.get(value) or usual.get(value) or f"label {value}" for value in values}
    for value, name in names.items():
        twins = [other for other, twice in called.items() if twice == name and other != value]
        if twins:
            raise ValueError(
                f"`classes` call the label {value} {name!r}, as the label {twins[0]} is called without a name: give that one a name, too"
            )
    return tuple(
        Label(
            name=called[value],
            value=value,
            colour=None if value in outside or two else _GROUND if value == ground else colour(coloured.index(value)),
            foreground=value in inside,
            ignored=value in outside,
        )
        for value in values
    )


def colour(count: int) -> str:
    """The colour of the label that so many come before, "#rrggbb"; the first seven are told apart by everybody."""
    if count < len(_COLOURS):
        return _COLOURS[count]
    turn = (count - len(_COLOURS)) * 0.618034 % 1  # the golden ratio: hues that come one after the other lie apart
    lightness = (0.45, 0.65, 0.3)[count % 3]
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(turn, lightness, 0.7))


def read_classes(classes: Any, there: Iterable[int]) -> dict[int, str]:
    """Names of labels, checked.

    Raises:
        ValueError: if it is no mapping of integers to names, names two labels alike, or none that is there.
    """
    if classes is None:
        return {}
    if not isinstance(classes, Mapping) or not classes:
        raise ValueError(
            f"`classes` must map labels to names, such as {{0: 'pet', 1: 'background'}}; received {classes!r}"
        )
    for value, name in classes.items():
        if not _is_integer(value) or value < 0 or not _is_name(name):
            raise ValueError(f"`classes` must map labels, integers from 0, to names; received {value!r}: {name!r}")
    names = {int(value): name for value, name in classes.items()}
    _refuse_taken("classes", names.values())
    if len(set(names.values())) < len(names):
        raise ValueError(f"`classes` must give each label a name of its own; received {classes!r}")
    if not set(names) & set(there):
        raise ValueError(f"`classes` name the labels {sorted(names)}, and `masks` hold {[*there][:20]}")
    return names


def read_concepts(concepts: Any, labels: Iterable[Label] = ()) -> dict[str, np.ndarray]:
    """Named concepts, bool arrays of any shape: whether they fit the samples is checked with them.

    Args:
        concepts: The argument.
        labels: The labels of the masks, whose scores are called as they are.

    Raises:
        ValueError: if they are no mapping of names to bool arrays, or a name is taken.
    """
    if concepts is None:
        return {}
    if not isinstance(concepts, Mapping):
        raise ValueError(
            f"`concepts` must map names to bool arrays, one value a pixel; received {type(concepts).__name__}"
        )
    read = {}
    for name, where in concepts.items():
        if not _is_name(name):
            raise ValueError(f"`concepts` must have names; received {name!r}")
        array = keras.ops.convert_to_numpy(where) if keras.ops.is_tensor(where) else np.asarray(where)
        if array.dtype.kind != "b" and not (array.dtype.kind in "iuf" and np.isin(array, (0, 1)).all()):
            raise ValueError(
                f"concept {name!r} must be bool, true where it is; received dtype {array.dtype} with other values than 0 and 1"
            )
        read[name] = array.astype(bool)
    _refuse_taken("concepts", read)
    if twice := sorted({label.name for label in labels} & set(read)):
        raise ValueError(f"`concepts`: the name {twice[0]!r} is that of a label of `masks`; choose another")
    return read


def _values(masks: Any) -> np.ndarray:
    """Labels as integers."""
    values = keras.ops.convert_to_numpy(masks) if keras.ops.is_tensor(masks) else np.asarray(masks)
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise ValueError(
            f"`masks` must be labels, integer or bool; received dtype {values.dtype} with values that are no whole numbers. "
            "For probabilities, give `masks > 0.5`, or `masks.argmax(-1)` where each label has a channel"
        )
    if values.dtype.kind not in "biuf":
        raise ValueError(f"`masks` must be labels, integer or bool; received dtype {values.dtype}")
    if values.ndim > 3 and values.shape[-1] > 1 and np.isin(values, (0, 1)).all() and (values.sum(axis=-1) == 1).all():
        return np.asarray(values.argmax(axis=-1))  # one-hot
    return values.astype(np.int64)


def _numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels that occur, rising, and for each pixel which of them it has."""
    if values.size and values.min() >= 0 and values.max() < 2**16:  # no need to sort millions of pixels
        occurs = np.bincount(values.ravel()) > 0
        return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[values]
    occurring, pixels = np.unique(values, return_inverse=True)
    return occurring, pixels.reshape(values.shape)


def _refuse_taken(argument: str, names: Iterable[str]) -> None:
    taken = sorted(set(names) & set(TAKEN))
    if taken:
        raise ValueError(
            f"`{argument}`: the name {taken[0]!r} is that of a score of ours; choose another, such as {taken[0] + ' 2'!r}"
        )


def _labels(name: str, value: int | Iterable[int]) -> list[int]:
    labels = list(value) if isinstance(value, Iterable) else [value]
    if not labels or not all(map(_is_integer, labels)):
        raise ValueError(f"`{name}` must be a label (an integer) or several; received {value!r}")
    return [int(label) for label in labels]


def _is_name(name: Any) -> bool:
    """Whether it is a text that can stand in a table: a line of it."""
    return isinstance(name, str) and bool(name.strip()) and name.isprintable()


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
