"""A run's files in its directory: our log, and TensorBoard's copies beside it."""

import contextlib
import itertools
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from fm_callback import tfrecord
from fm_callback.format import PLUGIN, SUFFIX, run_directory_name, run_number
from fm_callback.write.announce import announce
from fm_callback.write.append_file import AppendFile
from fm_callback.write.claim import Claim
from fm_callback.write.event_copies import EventRecords, Value

_count = itertools.count()


class RunFiles:
    """The two files that one training writes in a directory: ours, each step whole or absent, and the copies, which may lag.

    They are begun with the first step: a file of ours without a whole step does not count for readers.

    Attributes:
        directory: Where they are.
        closed: Whether they are closed.
    """

    def __init__(self, directory: Path, first_step: int) -> None:
        """Claims the directory.

        Args:
            directory: Where; created with its parents where missing.
            first_step: The first step to come. Readers drop what older files of the directory hold from that step on.

        Raises:
            BlockingIOError: if another training is writing there.
            OSError: if nothing can be created there.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._claim = Claim(directory)
        if self._claim.exclusive:
            for path in log_files(directory):
                with contextlib.suppress(OSError):
                    if _is_cut_in_its_first_step(path):
                        path.unlink()
        announce(directory)
        # Readers take files in the order of their stamps: a clock that was set back must not put these before older ones.
        older = log_files(directory)
        stamp = max([int(time.time()), *(_stamp(path) + 1 for path in (*older, *event_files(directory)))])
        name = f"{stamp:010d}.{socket.gethostname()}.{os.getpid()}.{next(_count)}"
        try:
            self._log = AppendFile(directory / (name + SUFFIX))
        except OSError:
            self._claim.end()
            raise
        self._copies: AppendFile | None = None
        self._copies_path = directory / f"events.out.tfevents.{name}"
        self._events = EventRecords(first_step)
        self._begun = self._is_torn = self.closed = False
        self._older = older[-1:]

    @property
    def are_done(self) -> bool:
        """Whether their training is over, if only by an exception that nobody told us of."""
        return self.closed or self._claim.released

    @property
    def are_newest(self) -> bool:
        """Whether nobody has begun newer ones in the directory, or removed what was there."""
        return log_files(self.directory)[-1:] == ([self._log.path] if self._begun else self._older)

    def reopen(self) -> None:
        """Opens the files again after `close`, to go on where they end.

        Raises:
            BlockingIOError: if another training is writing there.
            OSError: if they can't be opened, have changed, or do not end with the same step.
        """
        self._claim = Claim(self.directory)
        try:
            if self._is_torn:
                raise OSError(f"a step was not written whole in {self.directory}")
            for file in self._files():
                file.reopen()
        except OSError:
            with contextlib.suppress(OSError):
                self.close()
            raise
        self.closed = False

    def begin(self, run_record: bytes) -> None:
        """Puts the run record on disk ahead of the first step, so that what can't be written to fails now.

        Raises:
            OSError: as `write`.
        """
        try:
            self._log.append(run_record)
        except OSError:
            with contextlib.suppress(OSError):
                self.close()
            raise

    def write(self, step: int, record: bytes, copies: Iterable[Value], run_record: bytes = b"") -> int:
        """Appends a step.

        Args:
            step: The step.
            record: Its framed record for our log.
            copies: The same for TensorBoard's own tabs.
            run_record: With the first step, the framed record of the run, if that is not there yet.

        Returns:
            How many bytes the files grew by.

        Raises:
            OSError: if a file could not be written or is no longer there. Both then end with the last whole step, as far as
                the file system allows, and are closed; without any step, they are removed.
        """
        try:
            grown = self._log.append(run_record + record)
            if self._copies is None:
                self._copies = AppendFile(self._copies_path)
            grown += self._copies.append(self._events.step(step, copies))
        except OSError:
            self._is_torn = True
            with contextlib.suppress(OSError):
                self.close()
            raise
        self._begun = True
        return grown

    def add(self, step: int, copies: Iterable[Value]) -> None:
        """Appends to a step that is written something for TensorBoard's own tabs.

        Raises:
            OSError: if it could not be written.
        """
        if self._copies is not None:
            self._copies.append(self._events.step(step, copies))

    def close(self) -> None:
        """Closes the files; without a step, they are removed.

        Raises:
            OSError: if the system says only now that something was not written.
        """
        self.closed = True
        try:
            if self._begun:
                with contextlib.ExitStack() as closing:
                    for file in self._files():
                        closing.callback(file.close)
                return
            for file in self._files():
                file.remove()
            with contextlib.suppress(OSError):
                self.directory.rmdir()
        finally:
            self._claim.end()

    def _files(self) -> list[AppendFile]:
        return [file for file in (self._log, self._copies) if file is not None]


def new_run(log_dir: Path, first_step: int) -> RunFiles:
    """Files for a run of its own: in `<log_dir>/feature_maps`, or in `feature_maps_2`, `feature_maps_3`, ... behind the last there.

    Raises:
        OSError: if no file can be created there.
    """
    last = next(run_directories(log_dir), None)
    number = run_number(last.name) if last else 0
    if last is None or not all(map(_is_cut_in_its_first_step, log_files(last))):
        number += 1
    while True:
        directory = log_dir / run_directory_name(number)
        number += 1
        try:
            return RunFiles(directory, first_step)
        except BlockingIOError:  # being written
            continue
        except FileExistsError:  # a file has the name; or nothing has, and there is no place for it
            if not os.path.lexists(directory):
                raise


def refuse_file(log_dir: Path) -> None:
    """Checks that a directory can be where a log directory is wanted.

    Raises:
        ValueError: if the path, or one above it, is a file.
    """
    for path in (log_dir, *log_dir.parents):
        if os.path.isdir(path):
            return
        if os.path.exists(path):
            raise ValueError(f"log_dir {str(log_dir)!r} can't be made: {str(path)!r} is a file; give a directory")


def run_directories(log_dir: Path) -> Iterator[Path]:
    """The directories of our runs in a log directory that hold a log, newest first."""
    named = [path for path in log_dir.glob(f"{PLUGIN}*") if run_number(path.name)]
    for path in sorted(named, key=lambda path: run_number(path.name), reverse=True):
        if path.is_dir() and log_files(path):
            yield path


def log_files(directory: Path) -> list[Path]:
    """The files of our log in a directory, in the order in which readers take them."""
    return sorted(directory.glob(f"*{SUFFIX}"), key=lambda path: (_stamp(path), path.name))


def event_files(directory: Path) -> list[Path]:
    """TensorBoard's event files of a directory, in the order in which its readers take them."""
    return sorted(directory.glob("events.out.tfevents.*"))


def _is_cut_in_its_first_step(path: Path) -> bool:
    """Whether a file ends within the run record or the first step, as a process leaves it that is killed there."""
    with open(path, "rb") as file:
        size, end = os.fstat(file.fileno()).st_size, 0
        for _ in range(2):
            if size - end < tfrecord.BEFORE:
                return True
            file.seek(end)
            length = tfrecord.length_of(file.read(tfrecord.BEFORE))
            if length is None:  # damaged, not cut
                return False
            end += tfrecord.BEFORE + length + tfrecord.AFTER
    return end > size


def _stamp(path: Path) -> int:
    match = re.match(r"(?:events\.out\.tfevents\.)?(\d+)\.", path.name)
    return int(match[1]) if match else 0
