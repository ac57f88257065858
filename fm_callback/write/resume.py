"""Where the steps of a training go: on in a run that holds the model as it is now, or else in a new run.

Keras tells callbacks the number of the first epoch, and nothing of what was before. So a run is gone on with only from what it
holds: the numbers of a step, if they are those of the model as it stands when training begins (`likeness.is_same`). That
finds a training's own run among those of others, and none for a model that comes from elsewhere. A step that is there is not
written again; only those behind it are given up, when a training goes back to an earlier one after a crash.

| when training begins | where it goes on |
|---|---|
| the model is as this process left it at the last step of a run | behind that step, whatever the first epoch is: `fit` in a loop counts on |
| the first epoch is not 0, and a run holds the model at that step, or at the last one before it | there |
| ... or at another step but 0 | behind that step if it is later (the epoch was counted from 0), else at the first epoch (the weights are those of the best epoch) |
| ... or this process wrote a run of this very model, up to that step or an earlier one | at the first epoch: a failed disk left a gap, or the weights were changed |
| else | in a new run |
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from fm_callback.format import DamagedError, RunFacts
from fm_callback.scores.history import LayerHistory
from fm_callback.scores.likeness import PRECISION, ROUNDING, distance, is_same
from fm_callback.write.past import Past
from fm_callback.write.run_files import RunFiles, log_files, new_run, run_directories

#: Of each layer, float32 (channels, 7) in the order of `format.NUMBERS`.
Numbers: TypeAlias = Sequence[np.ndarray]


@dataclass
class Written:
    """A run that this process has written, or is writing.

    Attributes:
        files: Its files.
        facts: What it is.
        step: Its last step on disk.
        numbers: The model's at that step.
        size: Bytes of that step.
        histories: Each layer's way up to it.
    """

    files: RunFiles
    facts: RunFacts
    step: int
    numbers: Numbers
    size: int
    histories: list[LayerHistory]


class Start(NamedTuple):
    """Where a training begins.

    Attributes:
        files: The files to write to.
        step: The step at which the model is in that run.
        goes_on: Whether the run was there.
        is_there: Whether nothing is to be written of it, since the run holds it, or a step of that number.
        before: What is known of the run, where it goes on right behind the last step of this process.
        is_new: Whether the files are new ones, which want a run record.
        told: Why it is a new run, where that may surprise; else empty.
    """

    files: RunFiles
    step: int
    goes_on: bool = False
    is_there: bool = False
    before: Written | None = None
    is_new: bool = True
    told: str = ""


def open_run(
    log_dir: Path,
    facts: RunFacts,
    numbers: Numbers = (),
    *,
    goes_on: bool = False,
    of_model: Sequence[Written] = (),
    of_callback: Written | None = None,
) -> Start:
    """Opens the files for a training, by the table above.

    Args:
        log_dir: The directory that TensorBoard watches.
        facts: What the run is, with the first step as Keras counts.
        numbers: The model's as it is now.
        goes_on: Whether it was trained before, as the first epoch says.
        of_model: The runs that this process has written of this very model.
        of_callback: The run that the callback has written before.

    Raises:
        OSError: if no file can be created.
    """
    step = facts.first_step
    mine = [each for each in of_model if _is_there(each, log_dir, facts)]
    known = [of_callback, *mine] if of_callback is not None and _is_there(of_callback, log_dir, facts) else mine
    for each in known:
        if distance(numbers, each.numbers) <= ROUNDING and (start := _again(each, max(step, each.step), is_there=True)):
            return start
    told = ""
    if goes_on:
        pasts = list(_pasts(log_dir, facts))
        for directory, at in _holding(pasts, numbers, step):
            with contextlib.suppress(BlockingIOError):  # being written
                return Start(RunFiles(directory, at + 1), at, goes_on=True, is_there=True)
        for each in mine:
            if each.step <= step and (start := _again(each, step, is_there=each.step == step)):
                return start
        if pasts:
            told = f"a new run, since none there holds the model as it is at step {step}"
    elif mine:
        told = "a new run, since the model is not as the last one left it; to go on all the same, give `initial_epoch`"
    return Start(new_run(log_dir, step), step, told=told)


def _is_there(run: Written, log_dir: Path, facts: RunFacts) -> bool:
    """Whether a run is in this log directory, is of this kind, and nobody else has gone on with it."""
    directory = run.files.directory
    return directory.parent == log_dir and run.facts.same_run(facts) and run.files.are_done and run.files.are_newest


def _again(run: Written, step: int, *, is_there: bool) -> Start | None:
    """Behind the last step of a run that this process has written; None where another training is writing now."""
    if run.files.closed:
        try:
            run.files.reopen()
            return Start(run.files, step, goes_on=True, is_there=is_there, before=run, is_new=False)
        except BlockingIOError:
            return None
        except OSError:  # a bucket that takes whole files, say
            pass
    with contextlib.suppress(BlockingIOError):
        files = RunFiles(run.files.directory, step + is_there)
        return Start(files, step, goes_on=True, is_there=is_there, before=run if run.files.closed else None)
    return None


def _pasts(log_dir: Path, facts: RunFacts) -> Iterator[tuple[Path, Past]]:
    """The runs of this kind, newest first; what can't be read is not gone on with."""
    for directory in run_directories(log_dir):
        with contextlib.suppress(DamagedError, OSError):
            past = Past(log_files(directory))
            if past.facts.same_run(facts):
                yield directory, past


def _holding(pasts: Sequence[tuple[Path, Past]], numbers: Numbers, step: int) -> Iterator[tuple[Path, int]]:
    """The runs that hold the model, and the step at which each goes on; the nearest first, then the newest.

    Step 0 is no evidence: all trainings begin there that draw their weights by one seed.
    """
    last = [
        (order, max((each for each in past.steps if each <= step), default=0)) for order, (_, past) in enumerate(pasts)
    ]
    found = _same(pasts, numbers, last)
    if not found or found[0][0] > ROUNDING:  # another step of some run may be nearer
        every = [(order, each) for order, (_, past) in enumerate(pasts) for each in reversed(past.steps)]
        found = _same(pasts, numbers, every)
    for _, order, each in found:
        yield pasts[order][0], max(each, step)


def _same(
    pasts: Sequence[tuple[Path, Past]], numbers: Numbers, asked: Sequence[tuple[int, int]]
) -> list[tuple[float, int, int]]:
    """Those steps of those runs that are the model as it is, with their distances, the nearest first."""
    found = []
    for order, step in asked:
        past = pasts[order][1]
        with contextlib.suppress(DamagedError, OSError):
            if step > 0 and (apart := distance(numbers, there := past.numbers(step))) <= PRECISION:
                at = past.steps.index(step)
                beside = past.steps[at - 1 if at else min(1, len(past.steps) - 1)]
                if is_same(apart, distance(there, past.numbers(beside))):
                    found.append((apart, order, step))
    return sorted(found, key=lambda each: each[0])
