"""Watching one call of a model: which layers ran, under which path, what they returned, and what they convolved.

`keras.Layer.__call__` is replaced for the time of one call, for this thread only, and so are the convolutions of
`keras.ops`. Whatever the model is made of, nested models, subclasses, lists of layers, shared layers, its layers go
through it, and nothing of the model is touched.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
from keras.src import backend as keras_backend


class Convolution(NamedTuple):
    """One convolution by an operation of `keras.ops`.

    Attributes:
        direct: Whether the layer itself ran it, and not a layer inside.
        kernel: Shape of the kernel, of the depthwise one if it is separable.
        output: The shape that it put out.
    """

    direct: bool
    kernel: tuple[int | None, ...]
    output: tuple[int | None, ...]


class Call(NamedTuple):
    """One call of a layer.

    Attributes:
        layer: The layer.
        path: The names of the layers around it and its own, joined by "/"; a second call of the layer is marked "#2",
            paths that are equal all the same "~2".
        output: What it returned.
        convolutions: Those that ran meanwhile.
        source: Its first argument.
        period: By how much an upsampling before it, or the layer itself, has enlarged what it returned; 0 if none has.
    """

    layer: keras.Layer
    path: str
    output: Any
    convolutions: tuple[Convolution, ...] = ()
    source: Any = None
    period: int = 0


#: Where `keras.ops` looks its convolutions up, their second argument being the kernel.
_OPERATIONS = ("conv", "depthwise_conv", "separable_conv", "conv_transpose")
#: And what makes probabilities, of one channel or of several.
_SQUASHING = {"sigmoid": "sigmoid", "hard_sigmoid": "sigmoid", "softmax": "softmax"}

_IN_LAYER = "in layer "

# Contexts of two threads that end in another order than they began would leave one of the replacements behind.
_one_at_a_time = threading.RLock()


@contextmanager
def recording(model: keras.Model, visit: Callable[[Call], None]) -> Iterator[None]:
    """Reports each call of a layer inside `model` on this thread, while the context lasts, when the call has ended.

    Rematerialisation is off meanwhile: it would hide what is inside a layer in a trace of its own. So is Keras's
    rewording of errors, which fails at some of JAX's: an error that leaves the model is the one that was raised, with a
    note of the layer.

    Args:
        model: The outermost model; its own name is not part of the paths, its own call is not reported.
        visit: Takes each call.
    """
    thread = threading.get_ident()
    names: list[str] = []
    calls: Counter[int] = Counter()
    paths: set[str] = set()
    convolved: list[tuple[int, Convolution]] = []  # with how deep in layers they ran

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread or (layer is model and not names):
            return original_call(layer, *args, **kwargs)
        names.append(layer.name)
        before = len(convolved)
        try:
            output = original_call(layer, *args, **kwargs)
            calls[id(layer)] += 1
            ran = tuple(each._replace(direct=depth == len(names)) for depth, each in convolved[before:])
            visit(Call(layer, path(calls[id(layer)]), output, ran, args[0] if args else None))
            return output
        except Exception as error:
            if _raised_in(error) is None:
                error.add_note(_IN_LAYER + "/".join(names))
            raise
        finally:
            names.pop()

    def path(index: int) -> str:
        plain = "/".join(names) + (f"#{index}" if index > 1 else "")
        unique, count = plain, 1
        while unique in paths:
            count += 1
            unique = f"{plain}~{count}"
        paths.add(unique)
        return unique

    def rematerialized_call(layer: keras.Layer, function: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return original_remat(layer, function, *args, **kwargs)
        return function

    def watched(operation: Callable[..., Any]) -> Callable[..., Any]:
        def convolve(*args: Any, **kwargs: Any) -> Any:
            before = len(convolved)
            output = operation(*args, **kwargs)
            if threading.get_ident() == thread:
                _, kernel, *_ = [*args, *kwargs.values()]
                del convolved[before:]  # one may be made of others
                convolved.append((len(names), Convolution(True, known_shape(kernel), known_shape(output))))
            return output

        return convolve

    with _one_at_a_time:
        original_call, original_remat = keras.Layer.__call__, keras.Layer.rematerialized_call
        keras.Layer.__call__, keras.Layer.rematerialized_call = call, rematerialized_call
        operations = {name: getattr(keras_backend.nn, name) for name in _OPERATIONS}
        for name, operation in operations.items():
            setattr(keras_backend.nn, name, watched(operation))
        rewords = keras.config.is_traceback_filtering_enabled()
        keras.config.disable_traceback_filtering()
        try:
            yield
        finally:
            if rewords:
                keras.config.enable_traceback_filtering()
            keras.Layer.__call__, keras.Layer.rematerialized_call = original_call, original_remat
            for name, operation in operations.items():
                setattr(keras_backend.nn, name, operation)


@contextmanager
def squashing() -> Iterator[dict[int, tuple[str, Any]]]:
    """Notes what a sigmoid or a softmax of `keras.ops` puts out on this thread, while the context lasts.

    Yields:
        By the tensor's id which of the two it was, and the tensor, lest its id come again.
    """
    thread = threading.get_ident()
    found: dict[int, tuple[str, Any]] = {}

    def noted(name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def squash(*args: Any, **kwargs: Any) -> Any:
            output = operation(*args, **kwargs)
            if threading.get_ident() == thread:
                found[id(output)] = name, output
            return output

        return squash

    with _one_at_a_time:
        operations = {name: getattr(keras_backend.nn, name) for name in _SQUASHING}
        for name, operation in operations.items():
            setattr(keras_backend.nn, name, noted(_SQUASHING[name], operation))
        try:
            yield found
        finally:
            for name, operation in operations.items():
                setattr(keras_backend.nn, name, operation)


def known_shape(tensor: Any) -> tuple[int | None, ...]:
    """A tensor's shape; empty where TensorFlow does not know how many axes there are, and for what is no tensor."""
    shape = getattr(tensor, "shape", ())
    return () if getattr(shape, "rank", 0) is None else tuple(shape)


def on_one_line(error: Exception) -> str:
    """An error: the layer that raised it, if it left a model while `recording`; its kind and its first sentence."""
    layer, text = _raised_in(error), str(error)
    if text.startswith("Graph execution error"):  # TensorFlow's: pages of stack first, the reason last
        text = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("[[")][-1]
    sentence = re.split(r"(?<=[.!?])\s", " ".join(text.split()), maxsplit=1)[0]
    return ("" if layer is None else f"layer {layer!r}: ") + f"{type(error).__name__}: {sentence}"


def _raised_in(error: BaseException) -> str | None:
    """The path of the innermost layer that an error left while `recording`; None if only the model itself did."""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(_IN_LAYER)]
    return notes[0].removeprefix(_IN_LAYER) if notes else None
