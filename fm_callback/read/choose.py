"""Which layers and steps of a run are meant."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from fm_callback.format import LayerFacts, Problem
from fm_callback.read.unknown import unknown

#: Numbers, names, and globs of paths, with commas between in a text; None for all.
Choice = str | Iterable[int | str] | None


def items(choice: str | Iterable[int | str]) -> list[int | str]:
    """The items of a choice.

    >>> items("1,-1,dec*")
    [1, -1, 'dec*']
    """
    given = choice.split(",") if isinstance(choice, str) else choice
    return [
        int(each) if isinstance(each, str) and each.lstrip("-").isdecimal() else each for each in given if each != ""
    ]


def layers(facts: Sequence[LayerFacts | Problem], choice: Choice, where: str, strict: bool = True) -> list[int]:
    """The positions of the layers that are meant, in their order.

    Args:
        facts: All layers.
        choice: Numbers, of which -1 is the last; names; globs of paths.
        where: What they are of, in words.
        strict: Whether each item must be there.

    Raises:
        UnknownError: if one is not there; it names the nearest.
    """
    known = [(at, each) for at, each in enumerate(facts) if isinstance(each, LayerFacts)]
    if choice is None:
        return [at for at, _ in known]
    numbers = [each.number for _, each in known if each.number is not None]
    found: set[int] = set()
    for item in items(choice):
        if isinstance(item, int):
            meant = item if item >= 0 else (numbers[item:] or [0])[0]
            new = {at for at, each in known if each.number == meant}
        else:
            new = {at for at, each in known if item in (each.name, each.path, each.path.rsplit("/", 1)[-1])}
            new |= {at for at, each in known if fnmatchcase(each.path, item)}
        if strict and not new:
            raise unknown("layer", item, [each.name for _, each in known], where)
        found |= new
    return sorted(found)


def steps(known: Sequence[int], choice: str | Iterable[int | str] | None, where: str, strict: bool = True) -> list[int]:
    """The steps that are meant, in their order.

    Args:
        known: All steps.
        choice: Steps, in a text with commas between; -1 is the last. None for all.
        where: What they are of, in words.
        strict: Whether each must be there.

    Raises:
        ValueError: if one is no number.
        UnknownError: if one is not there.
    """
    if choice is None:
        return list(known)
    found = set()
    for item in items(choice):
        if not isinstance(item, int):
            raise ValueError(f"steps are numbers, such as 0,1,-1; received {item!r}")
        step = known[item] if -len(known) <= item < 0 else item
        if step in known:
            found.add(step)
        elif strict:
            raise unknown("step", item, [str(each) for each in known], where)
    return sorted(found)


def geometric(known: Sequence[int], count: int) -> list[int]:
    """Some for all: the first, the one after it, the last, and between them equal ratios, because much happens early.

    >>> geometric(range(101), 6)
    [0, 1, 3, 10, 32, 100]
    """
    last = len(known) - 1
    if last < count:
        return list(known)
    places = {last} if count < 2 else {0, 1, last} if count > 2 else {0, last}
    for each in range(1, count - 2):
        places.add(int(last ** (each / (count - 2)) + 0.5))
    for each in range(last):
        if len(places) >= count:
            break
        places.add(each)
    return [known[at] for at in sorted(places)]
