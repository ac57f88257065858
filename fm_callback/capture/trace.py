"""Watching one call of a model: which layers ran, under which path, and what they returned.

`keras.Layer.__call__` is replaced for the time of one call, for this thread only. Whatever the model is made of, nested
models, subclasses, lists of layers, shared layers, its layers go through it, and nothing of the model is touched.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras


class Call(NamedTuple):
    """One call of a layer: the layer, its path in the model, and the output.

    The path is the names of the layers around it and its own, joined by "/"; a second call of the layer is marked "#2",
    paths that are equal all the same "~2".
    """

    layer: keras.Layer
    path: str
    output: Any


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

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread or (layer is model and not names):
            return original_call(layer, *args, **kwargs)
        names.append(layer.name)
        try:
            output = original_call(layer, *args, **kwargs)
            calls[id(layer)] += 1
            visit(Call(layer, path(calls[id(layer)]), output))
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

    with _one_at_a_time:
        original_call, original_remat = keras.Layer.__call__, keras.Layer.rematerialized_call
        keras.Layer.__call__, keras.Layer.rematerialized_call = call, rematerialized_call
        rewords = keras.config.is_traceback_filtering_enabled()
        keras.config.disable_traceback_filtering()
        try:
            yield
        finally:
            if rewords:
                keras.config.enable_traceback_filtering()
            keras.Layer.__call__, keras.Layer.rematerialized_call = original_call, original_remat


def on_one_line(error: Exception) -> str:
    """An error: the layer that raised it, if it left a model while `recording`; its kind and its first sentence."""
    layer = _raised_in(error)
    sentence = re.split(r"(?<=[.!?])\s", " ".join(str(error).split()), maxsplit=1)[0]
    return ("" if layer is None else f"layer {layer!r}: ") + f"{type(error).__name__}: {sentence}"


def _raised_in(error: BaseException) -> str | None:
    """The path of the innermost layer that an error left while `recording`; None if only the model itself did."""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(_IN_LAYER)]
    return notes[0].removeprefix(_IN_LAYER) if notes else None
