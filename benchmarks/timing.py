"""How the benchmarks time: ways in turns, wall and processor time, medians of pairs, one form for the figures that count."""

import ctypes
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple


class Spent(NamedTuple):
    """Seconds of the clock, and of the processor in all threads of this process."""

    wall: float
    cpu: float


def spent(way: Callable[[], Any]) -> Spent:
    """What one call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    way()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def interleaved(
    ways: Mapping[str, Callable[[], Any]], turns: int, slow: Collection[str] = (), slow_turns: int = 2
) -> dict[str, list[Spent]]:
    """What each way takes, in turns, so that a busy machine is busy for all.

    A turn that does not count goes before. Slow ways, of which each call is as cold as the first, take part in the first turns only.
    """
    times: dict[str, list[Spent]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            if name in slow and not 1 <= turn <= slow_turns:
                continue
            taken = spent(way)
            if turn:
                times[name].append(taken)
    return times


def beside(slow: Callable[[], Any], way: Callable[[], Any], turns: int, around: int) -> tuple[list[Spent], list[float]]:
    """What a slow way takes, and its ratios by the clock to another, which takes a fiftieth of the time and less.

    One short call beside a long one says little: a pair is one slow call and the median of `around` calls of the other before it and
    as many after it.
    """
    taken, ratios = [], []
    for _ in range(turns):
        before = [spent(way).wall for _ in range(around)]
        taken.append(spent(slow))
        gc.collect()  # what it has left is not for the other to clear away
        after = [spent(way).wall for _ in range(around)]
        ratios.append(taken[-1].wall / median(before + after))
    return taken, ratios


def wall(times: Sequence[Spent]) -> list[float]:
    """The seconds of the clock."""
    return [each.wall for each in times]


def cpu(times: Sequence[Spent]) -> list[float]:
    """The seconds of the processor."""
    return [each.cpu for each in times]


def ratio(some: Sequence[float], others: Sequence[float]) -> float:
    """Median of the ratios of what was measured in the same turn."""
    return median(one / other for one, other in zip(some, others, strict=False))


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def in_one_arena(command: Sequence[str]) -> None:
    """Runs a Python script that calls `growth`, with an allocator that tells what is held from what is kept free.

    glibc gives each thread an arena, and how much is free in which depends on which of TensorFlow's threads ran what: a bare
    forward pass makes resident memory swing by 15 MB and more.
    """
    subprocess.run([sys.executable, *command], env=os.environ | {"MALLOC_ARENA_MAX": "1"}, check=True)


def growth(name: str, way: Callable[[], Any], calls: int, *, settled: int, at_most: float | None = None) -> None:
    """Calls `way` again and again, and prints by how many MB resident memory has grown after the first `settled` calls.

    Read before and after all calls, each time once the allocator has given back what is free; between, as it is.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: huge pages, which numpy asks for, come and go by 2 MB

    def held() -> float:
        gc.collect()
        libc.malloc_trim(0)
        return resident()

    sizes = []
    for _ in range(settled):
        way()
    before = held()
    for _ in range(calls):
        way()
        sizes.append(resident())
    after = held()
    part = -(-calls // 4)
    quarters = [f"{median(sizes[at : at + part]) - before:+.1f}" for at in range(0, calls, part)]
    print(f"resident memory during {calls:,} {name}, MB more than before, medians of quarters: {', '.join(quarters)}")
    figure(
        f"resident memory after {calls:,} {name}, more than after {settled}",
        after - before,
        at_most=at_most,
        unit=" MB",
    )


def figure(
    name: str, value: float, *, at_most: float | None = None, at_least: float | None = None, unit: str = ""
) -> None:
    """Prints a figure as the row of a table, with its target if it has one; `run.py` collects these rows."""
    target, met = "", ""
    if at_most is not None:
        target, met = f"≤ {at_most:g}{unit}", "yes" if value <= at_most else "NO"
    if at_least is not None:
        target, met = f"≥ {at_least:g}{unit}", "yes" if value >= at_least else "NO"
    print(f"| {name} | {value:.3g}{unit} | {target} | {met} |", flush=True)
