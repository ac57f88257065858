"""Which layers: finding the convolutions of a model, numbering them, choosing among them."""

import difflib
import fnmatch
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np

from fm_callback.capture.backends import buffers_kept, in_the_open, inert, scope, synchronise, uncompiled
from fm_callback.capture.probe import as_batch
from fm_callback.capture.trace import Call, raised_in, recording

Predicate = Callable[[keras.Layer], bool]
Choice = int | str | Predicate | Sequence[int | str | Predicate]

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


@dataclass(frozen=True)
class ConvLayer:
    """One call of one convolution layer in a model.

    Attributes:
        number: 1-based, depth-first over `model.layers`; further calls of a shared layer have the same number. None for a layer
            that is not a convolution.
        name: The layer's own name.
        path: Its name with those of the models and layers around it, joined by "/"; further calls end in "#2", "#3", ...
        kind: Its class, with the wrapped class in parentheses for a wrapper.
        kernel_shape: Shape of its kernel (of the depthwise one, if it is separable), None if it has none.
        bias_shape: Shape of its bias, None without one.
        output_shape: Shape of its output in the model's own data format; None for the batch and for unknown sizes.
    """

    number: int | None
    name: str
    path: str
    kind: str
    kernel_shape: tuple[int, ...] | None
    bias_shape: tuple[int, ...] | None
    output_shape: tuple[int | None, ...]


class ConvLayers(list[ConvLayer]):
    """A list of `ConvLayer` that prints as a table."""

    def __str__(self) -> str:
        head = ("#", "layer", "kind", "kernel", "bias", "output")
        rows = [
            (
                str(layer.number),
                layer.path,
                layer.kind,
                _times(layer.kernel_shape),
                _times(layer.bias_shape),
                _times(layer.output_shape[1:]),
            )
            for layer in self
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if at == 0 else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in (head, tuple("-" * width for width in widths), *rows)
        ]
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__


class Found(NamedTuple):
    """A layer's call in a model: what it is, the layer itself, and why it can't be captured (None if it can)."""

    info: ConvLayer
    layer: keras.Layer
    obstacle: str | None


class Findings(NamedTuple):
    """The calls of a model's layers, and why the model could not be traced, so that it had to run (None if it could)."""

    found: list[Found]
    untraceable: str | None


def conv_layers(model: keras.Model, samples: Any = None) -> ConvLayers:
    """Lists the convolution layers of a model, nested ones included, in the order of their numbers.

    Numbers go depth-first over `model.layers`, entering a nested model where it stands; convolutions that only a pass through
    the model finds, such as those inside custom layers, follow in the order in which they run.

    Example:
        >>> import keras
        >>> from fm_callback import conv_layers
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, name="stem")])
        >>> print(conv_layers(model))
        #  layer  kind    kernel   bias  output
        -  -----  ------  -------  ----  -------
        1  stem   Conv2D  3×3×3×8  8     30×30×8

    Args:
        model: Any Keras 3 model.
        samples: One sample or a batch; a dict or tuple of arrays for a model with several inputs. Needed only for a model that has
            not seen data yet, such as an unbuilt subclass.

    Returns:
        A list of `ConvLayer`, one for each call of each convolution; printing it shows a table.

    Raises:
        ValueError: if the model does not know its input shape and no samples are given, or they do not fit it.
    """
    batch = None if samples is None else as_batch(samples, model)
    specs = input_specs(model) if batch is None else specs_of(batch)
    return ConvLayers(found.info for found in find(model, specs, batch).found if found.info.number is not None)


def input_specs(model: keras.Model) -> Any:
    """The symbolic inputs of a model that knows them.

    Raises:
        ValueError: if it does not.
    """
    try:
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    except (AttributeError, ValueError, TypeError):
        raise ValueError(
            f"model {model.name!r} ({type(model).__name__}) does not know the shape of its inputs yet, so its layers can only be found by "
            "a pass through it: give `samples`, one batch of its inputs"
        ) from None
    if isinstance(inputs, list) and len(inputs) == 1:
        inputs = inputs[0]
    return keras.tree.map_structure(lambda tensor: keras.KerasTensor(tensor.shape, tensor.dtype), inputs)


def specs_of(samples: Any) -> Any:
    """Symbolic inputs like a structure of batches, of any batch size."""
    return keras.tree.map_structure(
        lambda batch: keras.KerasTensor((None, *batch.shape[1:]), str(batch.dtype)), samples
    )


def find(model: keras.Model, specs: Any, samples: Any = None) -> Findings:
    """Every call of every layer: convolutions in the order of their numbers, then the others in the order of execution.

    The model is traced without data; only where that is impossible, and samples are given, does it run once.

    Raises:
        ValueError: if the model can't be traced and there are no samples, or it can't take them.
    """
    synchronise(model)
    tracer = _Tracer(name="fm_callback_trace")
    tracer.model = model
    untraceable = None
    try:
        if not model.built:  # a layer that is built while we watch would be seen twice
            if isinstance(model, keras.Sequential):  # torch would take the batch size of its trial runs for the model's
                model.build(keras.tree.flatten(specs)[0].shape)
            with buffers_kept(model), in_the_open():
                tracer.compute_output_spec(specs)
        with buffers_kept(model), inert(), in_the_open():
            outputs = tracer.compute_output_spec(specs)
            if tracer.variables_grew:
                outputs = tracer.compute_output_spec(specs)
    except Exception as error:
        untraceable = brief(tracer.error or error)
        if samples is None:
            raise ValueError(
                f"model {model.name!r} can't be traced without data ({untraceable}); give `samples`, one batch of its inputs"
            ) from error
        outputs = uncompiled(model, tracer.call)(keras.tree.map_structure(keras.ops.convert_to_tensor, samples))
    traced = iter(outputs)
    seen = [(call, _known_shape(next(traced)) if why is None else shape, why) for call, shape, why in tracer.calls]
    return Findings(_numbered(model, seen), untraceable)


class _Tracer(keras.Operation):
    """Calls a model in evaluation mode and returns what each of its layers returned, so that Keras can infer their shapes."""

    model: keras.Model
    error: Exception | None = None  # as it was: Keras words it anew, and fails at that for some of JAX's

    def call(self, inputs: Any) -> list[Any]:
        before = len(self.model.variables)
        like = keras.tree.flatten(inputs)[0]
        self.calls: list[tuple[Call, tuple[int | None, ...], str | None]] = []
        outputs: list[Any] = []

        def visit(call: Call) -> None:
            if keras.ops.is_tensor(call.output) or is_conv(call.layer):
                why = obstacle(call.output, like)
                self.calls.append((call._replace(output=None), _known_shape(call.output), why))
                if why is None:
                    outputs.append(call.output)

        try:
            with recording(self.model, visit):
                self.model(inputs, training=False)
        except Exception as error:
            self.error = error
            raise
        self.variables_grew = len(self.model.variables) > before
        return outputs


def obstacle(output: Any, like: Any) -> str | None:
    """Why a layer's output can't leave the traced function that has `like` among its inputs; None if it can."""
    if not keras.ops.is_tensor(output):
        return f"it returns a {type(output).__name__}, not one tensor"
    if scope(output) not in (None, scope(like)):
        return "it runs inside a loop, a branch, a vectorised map or a function that is compiled on its own"
    sizes, batch = _known_shape(output), _known_shape(like)
    if sizes[:1] != batch[:1]:
        return f"the first axis of its output {sizes} is not that of the samples {batch}"
    if None in sizes and None not in batch:
        return f"the size of its output {sizes} is known only when it runs"
    return None


def _known_shape(tensor: Any) -> tuple[int | None, ...]:
    """A tensor's shape; empty where TensorFlow does not know how many axes there are, and for what is no tensor."""
    shape = getattr(tensor, "shape", ())
    return () if getattr(shape, "rank", 0) is None else tuple(shape)


def brief(error: Exception) -> str:
    """An error on one line: the layer in which it was raised, its kind and its first sentence."""
    layer = raised_in(error)
    sentence = re.split(r"(?<=[.!?])\s", " ".join(str(error).split()), maxsplit=1)[0]
    return ("" if layer is None else f"layer {layer!r}: ") + f"{type(error).__name__}: {sentence}"


def _numbered(model: keras.Model, seen: list[tuple[Call, tuple[int | None, ...], str | None]]) -> list[Found]:
    calls = [call for call, _, _ in seen]
    numbers: dict[int, int] = {}
    for layer in _walk(model):
        numbers.setdefault(id(layer), len(numbers) + 1)
    called = {id(call.layer) for call in calls}
    uncalled = [layer for layer in _walk(model) if id(layer) not in called]
    if uncalled:  # never part of the pass, so nothing to show: the numbers close up
        numbers = {key: at for at, key in enumerate([key for key in numbers if key in called], start=1)}
    wrapped = {id(layer) for call in calls for layer in _wrapped(call.layer)}
    for call in calls:
        if is_conv(call.layer) and id(call.layer) not in wrapped:
            numbers.setdefault(id(call.layer), len(numbers) + 1)
    found = [Found(_describe(call, numbers.get(id(call.layer)), shape), call.layer, why) for call, shape, why in seen]
    order = {id(entry): at for at, entry in enumerate(found)}
    return sorted(found, key=lambda entry: (entry.info.number is None, entry.info.number or 0, order[id(entry)]))


def _walk(model: keras.Model) -> Iterator[keras.Layer]:
    """The convolutions that `model.layers` shows, depth-first."""
    return (layer for layer in every_layer(model) if is_conv(layer))


def every_layer(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers that `model.layers` shows, depth-first."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from every_layer(layer)


def is_conv(layer: keras.Layer) -> bool:
    """Whether a layer is a convolution or wraps one, by its type: names prove nothing."""
    return isinstance(inner(layer), _CONVOLUTIONS)


def inner(layer: keras.Layer) -> keras.Layer:
    """The layer inside a wrapper (or several), else the layer."""
    return [layer, *_wrapped(layer)][-1]


def _wrapped(layer: keras.Layer) -> Iterator[keras.Layer]:
    """The layers inside a wrapper, from the outside in."""
    while isinstance(layer, keras.layers.Wrapper):
        layer = layer.layer
        yield layer


def _describe(call: Call, number: int | None, shape: tuple[int | None, ...]) -> ConvLayer:
    layer, core = call.layer, inner(call.layer)
    kind = type(layer).__name__ if core is layer else f"{type(layer).__name__}({type(core).__name__})"
    kernel = getattr(core, "kernel", None)
    if kernel is None:
        kernel = getattr(core, "depthwise_kernel", None)
    bias = getattr(core, "bias", None)
    return ConvLayer(number, layer.name, call.path, kind, _shape(kernel), _shape(bias), (None, *shape[1:]))


def _shape(weight: Any) -> tuple[int, ...] | None:
    return None if weight is None or not hasattr(weight, "shape") else tuple(int(size) for size in weight.shape)


def _times(shape: tuple[int | None, ...] | None) -> str:
    return "-" if not shape else "×".join("?" if size is None else str(size) for size in shape)


def select(found: list[Found], choice: Choice) -> list[Found]:
    """The chosen layers, in the order of their numbers; others than convolutions follow in the order of execution.

    Args:
        found: What `find` returned.
        choice: A count (that many, spread evenly from first to last), "all", or one or a list of: a number (1-based, negative from
            the end; all calls of that layer), a path, a name, a glob over paths and names of convolutions, a predicate of a layer.

    Returns:
        At least one entry of `found`, each once.

    Raises:
        ValueError: if an item is unknown, ambiguous, of a wrong type, or chooses what another has chosen.
    """
    convs = [entry for entry in found if entry.info.number is not None]
    if isinstance(choice, np.integer):
        choice = int(choice)
    if isinstance(choice, bool):
        raise ValueError(
            f"`layers` must be a count, 'all', or a list of numbers, names, globs and predicates; received {choice!r}"
        )
    if isinstance(choice, int) or (isinstance(choice, str) and choice == "all"):
        if not convs:
            raise ValueError(
                "the model has no convolution layer; to watch other layers give `layers` a list of their names, or a predicate. It has: "
                + _listing([entry.info.path for entry in found])
            )
        if isinstance(choice, int) and choice < 1:
            raise ValueError(
                f"`layers` as a count must be at least 1; received {choice}. A list, such as [-1], chooses by number"
            )
        able = _able(convs)
        _warn_of(convs)
        return able if isinstance(choice, str) else _spread(able, choice)
    if isinstance(choice, str) or callable(choice):
        choice = [choice]
    if not isinstance(choice, Iterable):
        raise ValueError(
            f"`layers` must be a count, 'all', or a list of numbers, names, globs and predicates; received {choice!r}"
        )
    items = [int(item) if isinstance(item, np.integer) else item for item in choice]
    if not items:
        raise ValueError(
            "`layers` is an empty list; give a count, 'all', or at least one number, name, glob or predicate"
        )
    chosen: dict[str, tuple[Found, Any]] = {}
    matched: list[Found] = []
    for item in items:
        matching = _matching(item, convs, found)
        matched += matching
        for entry in _able(matching):
            if entry.info.path in chosen:
                raise ValueError(
                    f"layer {entry.info.path!r} is chosen twice in `layers`: by {_spell(chosen[entry.info.path][1])} and by {_spell(item)}"
                )
            chosen[entry.info.path] = entry, item
    _warn_of(matched)
    return [entry for entry in found if entry.info.path in chosen]


def _able(entries: list[Found]) -> list[Found]:
    able = [entry for entry in entries if entry.obstacle is None]
    if not able:
        raise ValueError(f"can't be captured: {_obstacles(entries)}")
    return able


def _warn_of(entries: list[Found]) -> None:
    if any(entry.obstacle for entry in entries):
        warnings.warn(
            f"layers left out, because they can't be captured: {_obstacles(entries)}", RuntimeWarning, stacklevel=2
        )


def _obstacles(entries: list[Found]) -> str:
    return "; ".join(f"{entry.info.path!r}: {entry.obstacle}" for entry in entries if entry.obstacle)


def _spread(entries: list[Found], count: int) -> list[Found]:
    if count >= len(entries):
        return entries
    if count == 1:
        return entries[-1:]
    return [entries[round(at * (len(entries) - 1) / (count - 1))] for at in range(count)]


def _matching(item: Any, convs: list[Found], found: list[Found]) -> list[Found]:
    if isinstance(item, int) and not isinstance(item, bool):
        return _by_number(item, convs)
    if isinstance(item, str):
        return _by_name(item, convs, found)
    if isinstance(item, type):
        raise ValueError(
            f"an item of `layers` is the class {item.__name__}: give a predicate, such as `lambda layer: isinstance(layer, {item.__name__})`"
        )
    if isinstance(item, keras.Layer):
        raise ValueError(f"an item of `layers` is the layer {item.name!r} itself: give its name or path")
    if callable(item):
        matching = [entry for entry in found if item(entry.layer)]
        if not matching:
            raise ValueError(f"no layer satisfies the predicate {_spell(item)} in `layers`. {_have(convs)}")
        return matching
    raise ValueError(
        f"an item of `layers` must be a number, a name, a glob or a predicate; received {item!r} ({type(item).__name__})"
    )


def _by_number(number: int, convs: list[Found]) -> list[Found]:
    last = max((entry.info.number or 0 for entry in convs), default=0)
    wanted = number if number > 0 else last + 1 + number
    if number == 0 or not 1 <= wanted <= last:
        raise ValueError(
            f"no conv layer number {number}: numbers go from 1 to {last}, or from -1 (the last) to -{last}. {_have(convs)}"
        )
    return [entry for entry in convs if entry.info.number == wanted]


def _by_name(name: str, convs: list[Found], found: list[Found]) -> list[Found]:
    exact = [entry for entry in found if entry.info.path == name]
    if exact:
        return exact
    named = [entry for entry in found if entry.info.name == name]
    if len({id(entry.layer) for entry in named}) > 1:
        raise ValueError(
            f"{name!r} names several layers; give the path of one: {_listing([entry.info.path for entry in named])}"
        )
    if named:
        return named
    globbed = [
        entry for entry in convs if any(fnmatch.fnmatchcase(text, name) for text in (entry.info.path, entry.info.name))
    ]
    if globbed:
        return globbed
    known = [entry.info.path for entry in convs]
    near = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(
        name, [entry.info.path for entry in found], n=1
    )
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"no conv layer {name!r}{hint} {_have(convs)}")


def _have(convs: list[Found]) -> str:
    return f"The model has {len(convs)}: {_listing([entry.info.path for entry in convs])}"


def _listing(names: list[str], most: int = 60) -> str:
    return ", ".join(names[:most]) + (f", ... ({len(names) - most} more)" if len(names) > most else "")


def _spell(item: Any) -> str:
    return getattr(item, "__name__", repr(item)) if callable(item) else repr(item)
