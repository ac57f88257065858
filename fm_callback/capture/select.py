"""Choosing among the layers of a model, and saying what is wrong with a choice."""

import difflib
import fnmatch
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from fm_callback.capture.find import Found
from fm_callback.capture.warn import warn

Predicate = Callable[[keras.Layer], bool]
Choice = int | str | Predicate | Sequence[int | str | Predicate]


def select(found: list[Found], choice: Choice) -> list[Found]:
    """The chosen layers, in the order of their numbers; others than convolutions follow in the order of execution.

    Args:
        found: What `find` returned.
        choice: A count (that many, spread evenly from first to last), "all", or one or a list of: a number (1-based,
            negative from the end; all calls of that layer), a path, a name, "blocks" (see `blocks`), a glob over paths
            and names of convolutions, a predicate of a layer.

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
                "the model has no convolution layer; to watch other layers give `layers` a list of their names, a "
                f"predicate, or 'blocks'. It has: {_listing([entry.info.path for entry in found])}"
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
                    f"layer {entry.info.path!r} is chosen twice in `layers`: "
                    f"by {_spell(chosen[entry.info.path][1])} and by {_spell(item)}"
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
        warn(f"layers left out, because they can't be captured: {_obstacles(entries)}")


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
            f"an item of `layers` is the class {item.__name__}: give a predicate, such as "
            f"`lambda layer: isinstance(layer, {item.__name__})`"
        )
    if isinstance(item, keras.Layer):
        raise ValueError(f"an item of `layers` is the layer {item.name!r} itself: give its name or path")
    if callable(item):
        matching = [entry for entry in found if item(entry.layer)]
        if not matching:
            raise ValueError(f"no layer satisfies the predicate {_spell(item)} in `layers`. {_have(convs)}")
        return matching
    raise ValueError(
        "an item of `layers` must be a number, a name, a glob or a predicate; "
        f"received {item!r} ({type(item).__name__})"
    )


def _by_number(number: int, convs: list[Found]) -> list[Found]:
    last = max((entry.info.number or 0 for entry in convs), default=0)
    wanted = number if number > 0 else last + 1 + number
    if number == 0 or not 1 <= wanted <= last:
        raise ValueError(
            f"no conv layer number {number}: numbers go from 1 to {last}, or from -1 (the last) to -{last}. "
            f"{_have(convs)}"
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
    if name == "blocks":
        return blocks(found)
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


def blocks(found: list[Found]) -> list[Found]:
    """The repeated blocks of a model: layers made of layers, two or more of one class, that put out maps or tokens.

    Where some of a class follow each other directly, as the blocks of a transformer do, the innermost such class is
    meant: neither the stages around them nor the parts that each of them repeats. Where none do, the outermost.

    Raises:
        ValueError: if there are none.
    """
    insides = {entry.info.path.rpartition("/")[0] for entry in found}
    made = [
        each for each in found if _plain(each) in insides and len(each.info.output_shape) > 2 and each.layer.weights
    ]
    count = Counter(type(layer) for layer in {id(each.layer): each.layer for each in made}.values())
    repeated = [each for each in made if count[type(each.layer)] > 1]
    kinds = {each.info.path: type(each.layer) for each in repeated}
    chained = {type(each.layer) for each in repeated if kinds.get(each.follows or "") is type(each.layer)}
    if chained:
        links = [each for each in repeated if type(each.layer) in chained]
        result = [each for each in links if not any(_within(other, each) for other in links)]
    else:
        result = [each for each in repeated if not any(_within(each, other) for other in repeated)]
    if not result:
        raise ValueError(
            "`layers`='blocks' takes layers that are made of layers, two or more of one class, and the model has none; "
            f"give names or a predicate. It has: {_listing([entry.info.path for entry in found])}"
        )
    return result


def _within(inner: Found, outer: Found) -> bool:
    return inner.info.path.startswith(_plain(outer) + "/")


def _plain(entry: Found) -> str:
    """The path as it stands in those of the layers inside: without the number of the call."""
    return re.sub(r"[#~]\d+$", "", entry.info.path)


def _have(convs: list[Found]) -> str:
    return f"The model has {len(convs)}: {_listing([entry.info.path for entry in convs])}"


def _listing(names: list[str], most: int = 60) -> str:
    return ", ".join(names[:most]) + (f", ... ({len(names) - most} more)" if len(names) > most else "")


def _spell(item: Any) -> str:
    return getattr(item, "__name__", repr(item)) if callable(item) else repr(item)
