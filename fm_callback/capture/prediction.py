"""What the model predicts: which of its outputs is read, and how; decided once, at the trace, computed in the same pass.

- An output with a channel axis and as many other axes as the picture (two; one of a signal, three of a volume) is read as
  a label for each cell: the channel of the highest value. One channel alone says where the object is: over .5 if a
  sigmoid made it, else, being logits, over 0.
- An output of one row of numbers a sample is read as a class: the highest, and its probability, by a softmax where the
  numbers are not probabilities already.
- Of several outputs, that of the size of the masks (of the picture without masks); else the largest.

Whether a sigmoid or a softmax made an output is seen in the trace, also through layers that only move values about. One
that is made otherwise, by the backend's own functions say, is taken for logits, and that is told.
"""

import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
from keras import ops

from fm_callback.capture.find import Output
from fm_callback.capture.trace import squashing
from fm_callback.format import MOST_CLASSES, NO_LABEL, Label

#: The name of an output, or a function of what the model returns; None: what can be read; False: nothing.
Asked: TypeAlias = str | Callable[[Any], Any] | bool | None

#: So much may the probabilities of a row differ from 1 in their sum: bfloat16 has eight bits.
_SLACK = 0.01

#: By these losses of Keras's a model is trained to put out values, not labels.
_OF_VALUES = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "huber_loss",
    "log_cosh",
    "cosine_similarity",
)
_ELSE = "if they are, give `prediction=`, or `masks` for labels of cells"


@dataclass(frozen=True)
class Prediction:
    """How labels, or a class, are read of what a model returns.

    Attributes:
        kind: "labels", one for each cell, or "class", one for each sample.
        output: Name of the output; None where it is the only one, or a function's.
        source: Its position among all outputs, or the function.
        channels: How many channels it has.
        axis: Which axis they are on, 1 or -1; None where it has none and its values are those of one.
        axes: Sizes of its other axes; none of a class.
        squashed: Whether its values are probabilities.
    """

    kind: str
    output: str | None
    source: int | Callable[[Any], Any]
    channels: int
    axis: int | None
    axes: tuple[int, ...]
    squashed: bool

    @property
    def told(self) -> str:
        """What a user should know of the reading, in words; empty where it goes without saying."""
        if self.channels > 1 or self.squashed:
            return ""
        name = f" {self.output!r}" if self.output else ""
        what = "the object is where they are" if self.kind == "labels" else "class 1 is predicted where they are"
        return f"; no sigmoid was seen, so that the output{name} is taken for logits: {what} over 0"

    def take(self, returned: Any) -> Any:
        """What is predicted, made on the device.

        Args:
            returned: What the model returned.

        Returns:
            Labels, uint8 (N, *axes): the channel, or 1 for the object and 0 for the background; `NO_LABEL` where a value
            is NaN. Or of a class float32 (N, 2), the class and its probability; -1 where a value is NaN.
        """
        output = self.source(returned) if callable(self.source) else keras.tree.flatten(returned)[self.source]
        values = ops.cast(output, "float32")
        return self._labels(values) if self.kind == "labels" else self._classes(values)

    def _labels(self, values: Any) -> Any:
        axis = -1 if self.axis is None else self.axis
        values = ops.expand_dims(values, -1) if self.axis is None else values
        if self.channels > 1:
            labels = ops.cast(ops.argmax(values, axis=axis), "int32")
        else:
            labels = ops.cast(ops.squeeze(values, axis) > (0.5 if self.squashed else 0.0), "int32")
        return ops.cast(ops.where(ops.any(ops.isnan(values), axis=axis), NO_LABEL, labels), "uint8")

    def _classes(self, values: Any) -> Any:
        values = ops.reshape(values, (-1, self.channels))
        missing = ops.any(ops.isnan(values), axis=-1)
        if self.channels > 1:
            summed = ops.abs(ops.sum(values, axis=-1, keepdims=True) - 1.0) < _SLACK
            shares = ops.all(values >= 0, axis=-1, keepdims=True) & summed
            given = ops.logical_or(shares, self.squashed)
            probability = ops.max(ops.where(given, values, ops.softmax(values, axis=-1)), axis=-1)
            top = ops.cast(ops.argmax(values, axis=-1), "float32")
        else:
            one = values[:, 0] if self.squashed else ops.sigmoid(values[:, 0])
            top = ops.cast(one > 0.5, "float32")
            probability = ops.maximum(one, 1.0 - one)
        return ops.stack([ops.where(missing, -1.0, top), probability], axis=1)


class NoPredictionError(ValueError):
    """Nothing can be read as a prediction; the message says why."""


def read_prediction(prediction: Any) -> Asked:
    """The argument `prediction`, checked.

    Raises:
        ValueError: if it is none of what it can be.
    """
    if isinstance(prediction, keras.Layer):
        raise ValueError(
            f"`prediction` is the layer {prediction.name!r} itself: give the name of an output, or a function of what the "
            "model returns"
        )
    if prediction is None or prediction is False or isinstance(prediction, str) or callable(prediction):
        return prediction
    raise ValueError(
        "`prediction` must be None, the name of an output, a function of what the model returns, or False; "
        f"received {prediction!r}"
    )


def choose(
    outputs: Any,
    asked: Asked,
    *,
    axes: tuple[int, ...] = (),
    labels: Sequence[Label] = (),
    channels_first: bool = False,
    loss: Any = None,
    whole: bool = True,
) -> Prediction | None:
    """What is read of a model's outputs.

    Args:
        outputs: What the model returns, a structure of `Output`.
        asked: As `read_prediction` returns it.
        axes: Sizes of the axes of the picture, or of the masks; empty where there is none.
        labels: The labels of the masks, empty without them.
        channels_first: Whether the model has the channel axis second: holds for layers that do not say it themselves.
        loss: By what the model was compiled to be trained.
        whole: Whether it is all of the model that is trained.

    Returns:
        None if nothing is to be read.

    Raises:
        ValueError: if there is no such output, or it, or what the function returns, can't be read.
        NoPredictionError: if nothing was asked for and nothing can be read.
    """
    if asked is False:
        return None
    listed = keras.tree.flatten(outputs)
    if callable(asked):
        output = _of_function(asked, outputs)
        return _best(list(_readings(output, None, asked, axes, channels_first)), axes, labels)
    names = _names(listed)
    if isinstance(asked, str):
        at = _position(asked, names, listed)
        return _best(list(_readings(listed[at], _name(names, at), at, axes, channels_first)), axes, labels)
    found: list[Prediction] = []
    reasons: list[str] = []
    for at, output in enumerate(listed):
        try:
            for reading in _readings(output, _name(names, at), at, axes, channels_first):
                if reading.kind == "class" or not labels:
                    _refuse_values(output, loss, whole)
                found.append(reading)
        except ValueError as error:
            reasons.append(str(error))
    if not found:
        raise NoPredictionError("; ".join(dict.fromkeys(reasons)) or "the model returns nothing")
    return _best(found, axes, labels)


def _best(found: list[Prediction], axes: tuple[int, ...], labels: Sequence[Label]) -> Prediction:
    """The reading that fits best; of equal ones the first."""
    values = [label.value or 0 for label in labels if not label.ignored]

    def fit(reading: Prediction) -> tuple[Any, ...]:
        exact = reading.axes == axes
        kind = 1 if reading.kind == "class" else 2 if labels or exact else 0
        as_many = max(values, default=0) < reading.channels if reading.channels > 1 else len(values) <= 2
        return kind, exact, as_many, math.prod(reading.axes)

    return max(found, key=fit)


def _readings(
    output: Output, name: str | None, source: int | Callable[[Any], Any], axes: tuple[int, ...], channels_first: bool
) -> Iterator[Prediction]:
    """The ways in which an output can be read, the likeliest first.

    Raises:
        ValueError: if there is none.
    """
    called = f"the output {name!r}" if name else "what `prediction` returns" if callable(source) else "the output"
    if output.obstacle is not None or output.spec is None:
        raise ValueError(f"{called} can't be captured: {output.obstacle}")
    _, *shape = output.spec.shape
    if None in shape:
        raise ValueError(f"{called} of shape {(None, *shape)} has a size that is known only when it runs")
    shape = tuple(shape)
    if not keras.backend.is_float_dtype(output.spec.dtype):
        raise ValueError(
            f"{called} is {output.spec.dtype}, and a prediction is read of floats, a channel for each label"
        )
    squashed = output.squashed is not None
    readings: list[tuple[int | None, int, tuple[int, ...]]] = []
    if len(shape) <= 1 and shape != axes:
        readings = [(None, math.prod(shape), ())]
    elif len(shape) - 1 == (len(axes) or len(shape) - 1):
        readings = [(-1, shape[-1], shape[:-1]), (1, shape[0], shape[1:])]
        first = channels_first if output.data_format is None else output.data_format == "channels_first"
        if first and len(shape) > 1:
            readings.reverse()
        readings = [each for each in readings if each[2] == axes] or readings[:1]
    elif shape == axes:
        readings = [(None, 1, shape)]
    if not readings:
        fitting = (
            f"of {'×'.join(map(str, axes))} cells or fewer, with a channel for each label" if axes else "of labels"
        )
        raise ValueError(f"{called} of shape {(None, *shape)} is no prediction {fitting}, nor a row of classes")
    for axis, channels, cells in readings:
        of_class = not cells or (math.prod(cells) == 1 and cells != axes)
        most = MOST_CLASSES if of_class else NO_LABEL
        if channels > most:
            raise ValueError(f"{called} has {channels:,} channels, and a prediction of at most {most:,} is logged")
        if of_class:
            yield Prediction("class", name, source, channels, None, (), squashed)
        else:
            yield Prediction("labels", name, source, channels, axis, cells, squashed)


def _names(outputs: Sequence[Output]) -> list[list[str]]:
    """For each output the names that it can be called by, its own first: its key, else that of the layer that made it."""
    names = []
    for output in outputs:
        layer = [output.layer.rsplit("/", 1)[-1]] if output.layer else []
        keys = [output.key] if output.key else []
        names.append([*layer, *keys] if output.key.isdigit() else [*keys, *layer])
    return names


def _name(names: Sequence[Sequence[str]], at: int) -> str | None:
    return names[at][0] if len(names) > 1 else None


def _position(name: str, names: Sequence[Sequence[str]], outputs: Sequence[Output]) -> int:
    for rank in range(2):
        found = [at for at, known in enumerate(names) if known[rank : rank + 1] == [name]]
        if found:
            return found[0]
    known = [each[0] if each else "the only one" for each in names]
    near = difflib.get_close_matches(name, [each for those in names for each in those], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"the model has no output {name!r} for `prediction`{hint} Its outputs are {', '.join(known)}")


def _of_function(function: Callable[[Any], Any], outputs: Any) -> Output:
    """What a function makes of the outputs: traced without data, as the model is.

    Raises:
        ValueError: if it fails.
    """
    listed = keras.tree.flatten(outputs)
    blocked = next((output for output in listed if output.spec is None), None)
    if blocked is not None:
        raise ValueError(f"`prediction` is a function of outputs of which one can't be captured: {blocked.obstacle}")
    specs = keras.tree.map_structure(lambda output: output.spec, outputs)
    traced = _Traced(function)
    try:
        spec = traced.compute_output_spec(specs)
    except Exception as error:
        shapes, reason = keras.tree.map_structure(lambda each: each.shape, specs), traced.error or error
        raise ValueError(
            f"`prediction` fails on what the model returns, of shape {shapes}: {type(reason).__name__}: {reason}"
        ) from reason
    if not isinstance(spec, keras.KerasTensor):
        raise ValueError(f"`prediction` must return one tensor; it returned a {type(spec).__name__}")
    if spec.shape[:1] != listed[0].spec.shape[:1]:
        raise ValueError(f"`prediction` must return something of each sample; it returned the shape {spec.shape}")
    given = listed[traced.given] if traced.given is not None else None
    by = traced.squashed or (given.squashed if given else None)
    return Output("", None, spec, given.data_format if given else None, by, None)


class _Traced(keras.Operation):
    """Calls a function, and notes which of the outputs it hands on, or what squashed its result."""

    given: int | None = None
    squashed: str | None = None
    error: Exception | None = None  # as it was: Keras words it anew

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__(name="fm_callback_prediction")
        self._function = function

    def call(self, returned: Any) -> Any:
        try:
            with squashing() as squashed:
                result = self._function(returned)
        except Exception as error:
            self.error = error
            raise
        same = [at for at, output in enumerate(keras.tree.flatten(returned)) if output is result]
        self.given = same[0] if same else None
        self.squashed, _ = squashed.get(id(result), (None, None))
        return result


def _refuse_values(output: Output, loss: Any, whole: bool) -> None:
    """Numbers are taken for labels only where something says so, as masks do, which are labels themselves.

    Raises:
        ValueError: if they are the values of an autoencoder, a regression, or of a part of a model.
    """
    if output.squashed == "softmax":
        return
    names = {_loss_name(each) for each in keras.tree.flatten(loss)}
    if names and names <= set(_OF_VALUES):
        raise ValueError(
            f"the model is trained by {' and '.join(sorted(names))}, so that what it returns are values and no labels; "
            + _ELSE
        )
    if not whole and output.squashed is None:
        raise ValueError("nothing says that what this part of the model returns are labels; " + _ELSE)


def _loss_name(loss: Any) -> str:
    try:
        loss = keras.losses.get(loss)
    except Exception:  # whatever the user compiled with: it is no loss of Keras's
        return ""
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", ""))
