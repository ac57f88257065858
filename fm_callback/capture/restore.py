"""Layers put back as they were, where building them has failed."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


@contextmanager
def unbuilt_again_on_error(model: keras.Model) -> Iterator[None]:
    """After an error the model and the layers in it are as they were before.

    Building goes layer by layer: where one refuses its input, a Sequential already has this input for good, and the
    layers before have weights for it. Its owner, who then gives other samples, or trains without them, would be told of
    a shape that nobody gave.
    """
    if model.built:
        yield
        return
    things = [thing for layer in model._flatten_layers() for thing in (layer, layer._tracker)]
    attributes = [(thing.__dict__, dict(thing.__dict__)) for thing in things]
    containers = [(each, copy.copy(each)) for _, before in attributes for each in _containers(before)]
    try:
        yield
    except BaseException:
        for now, before in [*attributes, *containers]:
            _put_back(now, before)
        raise


def _containers(values: dict[str, Any]) -> Iterator[Any]:
    """The lists, dicts and sets among values, and those in these."""
    for value in values.values():
        if isinstance(value, (list, dict, set)):
            yield value
        if isinstance(value, dict):
            yield from _containers(value)


def _put_back(now: Any, before: Any) -> None:
    if isinstance(now, list):
        list.__setitem__(now, slice(None), before)  # of the base class: Keras's own lists, dicts and sets track changes
    elif isinstance(now, set):
        set.clear(now)
        set.update(now, before)
    elif list(now) != list(before) or any(now[key] is not before[key] for key in before):
        now.clear()
        now.update(before)
