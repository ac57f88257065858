"""Watching one call of a model: which layers ran, under which path, and what they returned.

`keras.Layer.__call__` is replaced for the time of one call, on this thread only. Whatever the model is made of, nested models,
subclasses, lists of layers, shared layers, its layers go through it, and nothing of the model is touched.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras

from fm_callback.format import unique


class Call(NamedTuple):
    """One call of a layer: the layer, its path in the model, which call of the layer it is (from 1), and the output."""

    layer: keras.Layer
    path: str
    index: int
    output: Any


class Recording:
    """The calls of one pass through a model, in the order in which they ended."""

    def __init__(self) -> None:
        self._calls: list[tuple[keras.Layer, tuple[str, ...], Any]] = []

    def add(self, layer: keras.Layer, names: tuple[str, ...], output: Any) -> None:
        self._calls.append((layer, names, output))

    def calls(self) -> list[Call]:
        """The calls with their paths: names joined by "/", a second call of a layer marked "#2", still equal paths "~2"."""
        counts: Counter[int] = Counter()
        indices, paths = [], []
        for layer, names, _ in self._calls:
            counts[id(layer)] += 1
            indices.append(counts[id(layer)])
            paths.append("/".join(names) + (f"#{indices[-1]}" if indices[-1] > 1 else ""))
        return [
            Call(layer, path, index, output)
            for (layer, _, output), path, index in zip(self._calls, unique(paths), indices, strict=True)
        ]


@contextmanager
def recording(model: keras.Model) -> Iterator[Recording]:
    """Records the layers that are called inside `model` on this thread while the context lasts.

    Args:
        model: The outermost model; its own name is not part of the paths, its own call is not recorded.

    Yields:
        The recording, empty at first.
    """
    record = Recording()
    thread = threading.get_ident()
    names: list[str] = []
    original = keras.Layer.__call__

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread or (layer is model and not names):
            return original(layer, *args, **kwargs)
        names.append(layer.name)
        try:
            output = original(layer, *args, **kwargs)
            record.add(layer, tuple(names), output)
            return output
        finally:
            names.pop()

    keras.Layer.__call__ = call
    try:
        yield record
    finally:
        keras.Layer.__call__ = original
