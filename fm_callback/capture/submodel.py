"""Which model is watched: the one that is given or one inside it; and what is said of one that can't be."""

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, TypeAlias

import keras

from fm_callback.capture.layers import every_layer

#: A model inside another: the name of an attribute or of a layer, or a function of the model; None for the model itself.
Submodel: TypeAlias = str | Callable[[keras.Model], keras.Layer] | None

_PASS = "This is from a pass for feature maps"


def read_submodel(submodel: Any) -> Submodel:
    """The choice of a model, checked.

    Raises:
        ValueError: if it is neither a name nor a function.
    """
    if isinstance(submodel, keras.Layer):
        raise ValueError(
            f"`submodel` is the model {submodel.name!r} itself: give the name of its attribute, or a function such as "
            "`lambda model: model.encoder`"
        )
    if submodel is not None and not isinstance(submodel, str) and not callable(submodel):
        raise ValueError(f"`submodel` must be a name or a function of the model; received {submodel!r}")
    return submodel


def watched(model: keras.Model, submodel: Submodel = None) -> keras.Model:
    """The model that is watched.

    Args:
        model: Any Keras 3 model.
        submodel: Which model inside it, if not the whole.

    Raises:
        ValueError: if it is no Keras 3 model, has no such model inside, or has no `call` of its own.
    """
    refuse_keras_2(model)
    if not isinstance(model, keras.Layer):
        raise ValueError(f"the model must be a Keras model; received a {type(model).__name__}")
    choice = read_submodel(submodel)
    inside: Any = model
    if isinstance(choice, str):
        inside = _named(model, choice)
    elif choice is not None:
        inside = choice(model)
    if not isinstance(inside, keras.Layer):
        raise ValueError(f"`submodel` must give a model or a layer; it gave a {type(inside).__name__}")
    if not _has_call(inside):
        raise ValueError(
            f"{_of(inside)} has no `call` of its own, so there is no pass over `samples` to watch. "
            f"{_choose_another(inside) or 'Give it a `call`'}"
        )
    return inside


def refuse_keras_2(model: Any) -> None:
    """Raises a ValueError for a model of `tf_keras`, which is another package than Keras 3."""
    if any(kind.__module__.split(".")[0] == "tf_keras" for kind in type(model).__mro__):
        raise ValueError(
            f"the model is a {type(model).__name__} of tf_keras, which is Keras 2: feature maps need a model of Keras 3 "
            "(`import keras`, and TF_USE_LEGACY_KERAS not set)"
        )


@contextmanager
def explaining(model: keras.Model, samples: Any) -> Iterator[None]:
    """An error that leaves it gets a note: whose pass of which samples met it, and what to do.

    Args:
        model: The model that is watched.
        samples: What it is given: tensors or arrays with a batch axis.
    """
    try:
        yield
    except Exception as error:
        shapes = keras.tree.map_structure(lambda batch: tuple(getattr(batch, "shape", ())), samples)
        error.add_note(
            f"{_PASS}: {_of(model)} was called on `samples` alone, in evaluation mode, with "
            f"the shapes {shapes}. Give `samples` that `model(samples, training=False)` takes: as many inputs, of such a "
            f"size, and as many of them as it needs. {_choose_another(model)}".rstrip()
        )
        raise


def is_of_the_pass(error: Exception) -> bool:
    """Whether an error has left `explaining`: whether the model itself raised it."""
    return any(note.startswith(_PASS) for note in getattr(error, "__notes__", ()))


def _named(model: keras.Model, name: str) -> keras.Layer:
    try:
        inside = attrgetter(name)(model)
    except AttributeError:
        inside = None
    if isinstance(inside, keras.Layer):
        return inside
    layers = list({id(layer): layer for layer in every_layer(model)}.values())
    named = [layer for layer in layers if layer.name == name]
    if len(named) > 1:
        raise ValueError(
            f"`submodel`={name!r} names {len(named)} layers of {_of(model)}: give the name of an attribute, such as "
            f"{_listing(_submodels(model)) or repr('encoder.block')}, or a function of the model"
        )
    if not named:
        known = _submodels(model) or [layer.name for layer in layers]
        near = difflib.get_close_matches(name, [*known, *(layer.name for layer in layers)], n=1)
        raise ValueError(
            f"{_of(model)} has no attribute or layer {name!r} that is a model"
            + (f"; did you mean {near[0]!r}?" if near else ".")
            + f" It has: {_listing(known)}"
        )
    return named[0]


def _submodels(model: keras.Layer) -> list[str]:
    """What `submodel` could be: names of the attributes that are models with a `call`, else those models' own names."""
    modules = getattr(model, "named_children", dict)  # where torch keeps a model's attributes
    attributes = {**vars(model), **dict(modules())}
    names = {id(value): name for name, value in reversed(attributes.items()) if not name.startswith("_")}
    inside = [layer for layer in getattr(model, "layers", ()) if isinstance(layer, keras.Model) and _has_call(layer)]
    return [names.get(id(layer), layer.name) for layer in inside]


def _choose_another(model: keras.Layer) -> str:
    """The advice to watch a part; empty where there is none."""
    names = _submodels(model)
    return f"To watch a model inside it give `submodel=`, one of {_listing(names)}" if names else ""


def _has_call(layer: keras.Layer) -> bool:
    return getattr(layer.call, "__func__", None) not in (keras.Model.call, keras.Layer.call)


def _of(model: keras.Layer) -> str:
    return f"model {model.name!r} ({type(model).__name__})"


def _listing(names: list[str]) -> str:
    return ", ".join(map(repr, names))
