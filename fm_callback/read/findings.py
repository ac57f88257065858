"""What stands out in a run, in words: one function a kind, one table of them.

Each kind looks at numbers that are in the log, against the layer's own first step and the control, and says nothing where the
untrained network shows the same. Of a healthy training there are notes at most: what can be used, and is no fault. To add a kind
is a function of `Evidence` in one of the three modules of kinds, its place in `KINDS`, its section in `docs/findings.md`, and a
training in `tests/clinic/` that has it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from fm_callback.read.evidence import Evidence
from fm_callback.read.finding import SEVERITIES, Finding
from fm_callback.read.kinds_of_artefacts import border, checkerboard, gridding, scrambled
from fm_callback.read.kinds_of_layers import (
    dead_channels,
    dead_layer,
    duplicate_channels,
    narrow_use,
    non_finite,
    settled,
    train_eval_gap,
    unchanged_layer,
)
from fm_callback.read.kinds_of_predictions import (
    class_lost,
    class_never_predicted,
    position_only,
    prediction_collapsed,
    probe_score_fell,
)

if TYPE_CHECKING:
    from fm_callback.read.run import Run

Kind: TypeAlias = Callable[[Evidence], Iterable[Finding]]
Extra: TypeAlias = Callable[["Run"], Iterable[Finding]]

#: All kinds, in the order in which findings of one severity are told.
KINDS: Mapping[str, Kind] = {
    each.__name__: each
    for each in (
        non_finite,
        dead_layer,
        prediction_collapsed,
        dead_channels,
        class_lost,
        class_never_predicted,
        probe_score_fell,
        train_eval_gap,
        position_only,
        scrambled,
        checkerboard,
        gridding,
        border,
        duplicate_channels,
        unchanged_layer,
        settled,
        narrow_use,
    )
}


#: Of one kind and severity so many are told in full.
_MOST_ALIKE = 4


def findings(run: "Run", extra: Sequence[Extra] = ()) -> list[Finding]:
    """What stands out in a run: the gravest first; of these the first of each kind, as layers follow each other, then the second.

    Args:
        run: The run, as it is now.
        extra: Functions of your own, each of a run, which give findings.

    Returns:
        Empty where nothing stands out. Of a log of more than 40,000 layers and steps together, evenly spread steps are looked at.

    Raises:
        UnknownError: if there is no whole step, or it has more channels than anybody logs.

    >>> from fm_callback import open_log
    >>> for each in findings(open_log("logs")[0]):
    ...     print(each.severity, each.kind, each.headline, sep=": ")
    alarm: non_finite: Since step 0, channel 2 of #1 stem (5 of 128 cells) is NaN or infinite
    """
    evidence = Evidence.of(run)
    found = [each for kind in KINDS.values() for each in kind(evidence)]
    for more in extra:
        found += more(run)
    ranked = [(place, each) for alike in by_kind(found) for place, each in enumerate(alike)]
    ranked.sort(key=lambda pair: (SEVERITIES.index(pair[1].severity), pair[0]))
    return [each for _, each in ranked]


def by_kind(found: Iterable[Finding]) -> list[list[Finding]]:
    """Findings of one kind and severity together, in the order in which the first of each comes."""
    kinds: dict[tuple[str, str], list[Finding]] = {}
    for each in found:
        kinds.setdefault((each.severity, each.kind), []).append(each)
    return list(kinds.values())


def for_reading(found: Iterable[Finding]) -> Iterator[tuple[Finding, list[Finding]]]:
    """The findings that are told in full; with the last of many of a kind, those that are told by their layers' names alone."""
    for alike in by_kind(found):
        told = alike if len(alike) <= _MOST_ALIKE else alike[: _MOST_ALIKE - 1]
        yield from ((each, []) for each in told[:-1])
        yield told[-1], alike[len(told) :]


def and_others(left: Sequence[Finding]) -> str:
    """Findings by the names of their layers: the end of the text of another one of their kind."""
    names = ", ".join(dict.fromkeys(each.layer for each in left if each.layer))
    return f" The same is found {len(left)} times more{f': {names}' if names else ''}." if left else ""


def markdown(found: Iterable[Finding]) -> str:
    """Findings for TensorBoard's Text tab: what each says, and what people then try."""
    return "\n".join(
        f"- **{each.severity}, {_escaped(each.kind)}**: {_escaped(each.text + and_others(left))} "
        f"*What people then try*: {_escaped(each.advice)}"
        for each, left in for_reading(found)
    )


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)
