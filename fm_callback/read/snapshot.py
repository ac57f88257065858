"""What is known of a run at a time, from all its files together."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fm_callback.format import RunFacts
from fm_callback.read.log_file import STEPS, LogFile


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What is known of a run at a time; never changed.

    Attributes:
        facts: What is the same at all its steps; None as long as there is no whole step.
        steps: Its steps, `log_file.STEPS`; `file` is a position in `files`.
        files: Its files with steps, in order; the last decides the facts.
        versions: For each file, a text that tells its steps from others of the same number.
        damages: What is damaged, or left out, in words.
        size: Bytes of all its files.
    """

    facts: RunFacts | None = None
    steps: np.ndarray = field(default_factory=lambda: np.empty(0, STEPS))
    files: tuple[LogFile, ...] = ()
    versions: tuple[str, ...] = ()
    damages: tuple[str, ...] = ()
    size: int = 0


def join(files: Sequence[LogFile]) -> Snapshot:
    """What several files of a run, in order, say together."""
    told = [each for file in files for each in _told(file)]
    counting = [file for file in files if len(file.steps) and file.facts]
    size = sum(file.size for file in files)
    if not counting:
        return Snapshot(damages=tuple(told), size=size)
    facts = counting[-1].facts
    assert facts is not None
    steps = np.empty(0, STEPS)
    used: list[LogFile] = []
    for file in counting:
        if file.facts is None or not file.facts.same_run(facts):
            told.append(
                f"{len(file.steps)} steps of {file.name} are of another model, probe or choice: they are left out"
            )
            continue
        own = file.steps.copy()
        own["file"] = len(used)
        used.append(file)
        first = min(file.facts.first_step, int(own["step"][0]))
        steps = np.concatenate([steps[steps["step"] < first], own])
    return Snapshot(facts, steps, tuple(used), tuple(map(_version, used)), tuple(told), size)


def _told(file: LogFile) -> Iterator[str]:
    if file.headless:
        yield f"{file.headless.what} ({file.name})"
    for damage in (*file.damages, *filter(None, [file.tail])):
        yield f"{damage.what}, and left out ({damage.file}, byte {damage.offset:,})"


def _version(file: LogFile) -> str:
    """Tells the steps of a file from those of any other."""
    first = file.steps[0]
    text = repr((file.name, file.beginning, int(first["step"]), float(first["wall_time"])))
    return hashlib.blake2s(os.fsencode(text), digest_size=6).hexdigest()
