"""A log of feature maps as runs, layers, steps and arrays.

    log = fm_callback.open_log("logs")        a mapping: name of a run -> Run
    run = log["feature_maps"]                 what was logged by one training, and by those that went on with it
    layer = run["dec2"]                       maps and numbers of a layer

What is known of a run is one snapshot that is never changed: `refresh` puts another in its place, so that whoever reads
in another thread goes on with what was there at first.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence

from fm_callback import format
from fm_callback.read.reader import Cache
from fm_callback.read.run import Run
from fm_callback.read.unknown import listing, unknown
from fm_callback.read.walk import Walk

#: Bytes of the places of blobs that are kept in memory, of all runs of a log together.
_KEPT = 2**26


def open_log(path: str | os.PathLike[str]) -> "Log":
    """Opens a log to read it; needs neither Keras nor TensorBoard.

    Args:
        path: A log directory, the directory of a run, or one that holds many.

    Returns:
        The runs by name.

    Raises:
        OSError: if there is no such directory, or no log of feature maps in it.

    >>> log = open_log("logs")
    >>> list(log)
    ['feature_maps']
    >>> run = log["feature_maps"]
    >>> run.steps
    (0, 1, 2)
    >>> layer = run["stem"]
    >>> layer.maps(step=2).shape  # (stored images, height, width, channels), in activation units
    (2, 8, 8, 4)
    >>> layer.numbers("mask_auroc").shape  # (steps, channels)
    (3, 4)
    >>> list(run.table("layer"))
    ['step', 'layer', 'mask_auroc_best', 'effective_rank']
    """
    path = os.path.expanduser(os.fspath(path))
    if not os.path.isdir(path):
        what = "is a file, and no directory" if os.path.exists(path) else "does not exist"
        raise FileNotFoundError(f"the log directory {path} {what}")
    log = Log(path)
    log.refresh()
    if not log:
        told = "".join(f"; {problem}" for problem in log.problems)
        raise FileNotFoundError(f"{path} holds no log of feature maps with a whole step{told}. {_holds(path)}")
    return log


class Log(Mapping[str, Run]):
    """The runs of a log directory by name, in the order of their names; also by position, and by display name.

    A run's name is its path below the directory that was opened, as TensorBoard shows it.

    Attributes:
        problems: What is wrong with the directory as a whole, in words.
    """

    def __init__(self, *directories: str | os.PathLike[str], names: Sequence[str | None] | None = None) -> None:
        """Makes a log of directories that are not read before `refresh`, and need not be there yet.

        Args:
            *directories: The log directory, or several.
            names: For each what its runs' names begin with; None for no such prefix.
        """
        paths = [os.path.expanduser(os.fspath(each)) for each in directories]
        self._walks = [(Walk(path), path, name) for path, name in zip(paths, names or [None] * len(paths), strict=True)]
        self._cache = Cache(_KEPT)
        self._lock = threading.Lock()
        self._all: dict[str, Run] = {}
        self._runs: dict[str, Run] = {}
        self.problems: tuple[str, ...] = ("the log directory is still being read",)

    def refresh(self) -> bool:
        """Looks for new runs and steps; returns whether anything is new."""
        with self._lock:
            every: dict[str, Run] = {}
            runs: list[tuple[str, Run]] = []
            problems: list[str] = []
            changed = False
            for walk, path, prefix in self._walks:
                for directory, names in sorted(walk().items()):
                    run = every[directory] = self._all.get(directory) or Run(directory, self._cache)
                    changed |= run.refresh(names)
                    name = _run_name(walk.top, directory, path, prefix)
                    if len(run.steps):
                        runs.append((name, run))
                    else:  # it is not listed, so that what is wrong with it is told here
                        problems += [f"{name}: {each}" for each in run.problems]
                problems += [f"{path} can't be read: {reason}" for path, reason in walk.refused]
                problems += _of_links(walk.outside)
                if not os.path.isdir(walk.top):
                    problems.append(
                        f"there is no directory {path}" + ("; only local ones are read" if "://" in path else "")
                    )
            runs.sort(key=lambda each: each[0])
            found = dict(zip(format.unique(name for name, _ in runs), (run for _, run in runs), strict=True))
            for name, run in found.items():
                run.name = name
            changed |= list(found.items()) != list(self._runs.items()) or tuple(problems) != self.problems
            self._all, self._runs, self.problems = every, found, tuple(problems)
            return changed

    def verify(self, most: int) -> int:
        """Looks at checksums that were not looked at yet, so that damage is told before somebody meets it.

        Args:
            most: Of how many bytes, about.

        Returns:
            How many bytes were read; 0 if there is nothing that was not looked at.
        """
        read = 0
        for run in self._runs.values():
            if read < most:
                read += run.verify(most - read)
        return read

    @property
    def runs(self) -> Mapping[str, Run]:
        """The runs by name alone, as they are now: another mapping takes its place when there are others."""
        return self._runs

    def __getitem__(self, key: str | int) -> Run:
        runs = self._runs
        if isinstance(key, int) and -len(runs) <= key < len(runs):
            return list(runs.values())[key]
        if isinstance(key, str):
            if key in runs:
                return runs[key]
            called = [run for run in runs.values() if run.display_name == key]
            if len(called) == 1:
                return called[0]
        raise unknown("run", key, list(runs), "the log")

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        return f"<Log of {len(self)} run{'' if len(self) == 1 else 's'}: {listing(list(self))}>"

    def _repr_html_(self) -> str:
        from fm_callback.read.notebook import log_html

        return log_html(self)


def _run_name(top: str, directory: str, opened: str, prefix: str | None) -> str:
    below = os.path.relpath(directory, top)
    if below == ".":
        name = prefix or os.path.basename(os.path.abspath(opened)) or "."
    else:
        name = (f"{prefix}/" if prefix else "") + below.replace(os.sep, "/")
    return format.well_formed(name)


def _of_links(outside: Sequence[str]) -> Iterator[str]:
    for link in outside[:10]:
        yield (
            f"{format.well_formed(link)} is a link that leads out of the log directory, and is not followed: open the directory itself, "
            "or name it in --logdir_spec"
        )
    if len(outside) > 10:
        yield f"{len(outside) - 10} more links lead out of the log directory"


def _holds(path: str) -> str:
    """What a directory holds, for who looked for something else in it."""
    names = sorted(os.listdir(path))
    return f"It holds {listing(names)}" if names else "It is empty"
