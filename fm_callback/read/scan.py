"""The records of a file: where each lies, by its framing and its head, and the way on behind damage.

A record is found without its data being read. Where there should be one and is none, the next is looked for: `MAGIC`,
with framing in front of it and a head behind it whose checksums are right. If there is one, what lies between is damaged;
if there is none, it is the unfinished end of a file that is being written, or was when the training was killed.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

import google_crc32c

from fm_callback.format import MAGIC, PREFIX, DamagedError, head_length, read_head
from fm_callback.tfrecord import AFTER, BEFORE, length_of, masked

_CHUNK = 2**20
#: So many bytes at most are searched behind damage at a time: a file may be made of holes, terabytes that are not there.
MOST_SEARCHED = 2**30
#: What is kept of the head of a step; of other records but the first, their kind alone.
_KEPT = ("kind", "step", "wall_time", "layers", "prediction")
#: What is read of a record at first: its framing, and nearly always its head.
_FIRST = 512


class Record(NamedTuple):
    """Where a record lies in its file.

    Attributes:
        start: Where its framing begins.
        length: Bytes of its data.
        blobs: Where its blobs begin; 0 without a head.
        head: Its head, None where that is damaged.
    """

    start: int
    length: int
    blobs: int
    head: dict[str, Any] | None

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.start + BEFORE + self.length + AFTER

    @property
    def room(self) -> int:
        """Bytes of its blobs."""
        return self.start + BEFORE + self.length - self.blobs


class Stretch(NamedTuple):
    """Bytes that are no record, with one behind them."""

    start: int
    end: int


@dataclass
class Scan:
    """What was found from a position on.

    Attributes:
        found: Records and damage, in the order of the file. The last record's data are as its checksum says, and so are
            those of a record that a damaged stretch follows.
        end: Where the next record is expected.
        searched: Up to where nothing was found behind `end`.
        doubtful: Whether a record begins at `end` that is long enough and whose checksum is wrong.
        hopeless: Whether so much of the file is damaged, or made to look so, that the rest is not searched.
    """

    end: int
    searched: int = 0
    found: list[Record | Stretch] = field(default_factory=list)
    doubtful: bool = False
    hopeless: bool = False


def open_file(path: str) -> BinaryIO:
    """Opens a regular file; neither a link nor a pipe, which would wait for its other end.

    Raises:
        OSError: if it is none, or can't be opened.
    """
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY", "O_CLOEXEC"):  # as far as the platform has them
        flags |= getattr(os, flag, 0)
    file = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(file, "rb", buffering=4096)


def read_at(file: BinaryIO, start: int, length: int) -> bytes:
    """Bytes of a file; fewer where it ends."""
    file.seek(start)
    return file.read(length)


def is_sound(file: BinaryIO, record: Record) -> bool:
    """Whether a record's data are as its checksum says."""
    file.seek(record.start + BEFORE)
    crc, left = 0, record.length
    while left and (piece := file.read(min(left, _CHUNK))):
        crc, left = google_crc32c.extend(crc, piece), left - len(piece)
    return not left and file.read(AFTER) == masked(crc)


def head_at(file: BinaryIO, start: int) -> tuple[dict[str, Any], int]:
    """The head of a record whose data begin here, and where its blobs begin.

    Raises:
        DamagedError: if there is none.
    """
    first = read_at(file, start, _FIRST)
    end = PREFIX + head_length(first)
    return read_head(first if end <= len(first) else read_at(file, start, end)), start + end


def record_at(file: BinaryIO, start: int, size: int) -> Record | None:
    """The record that begins at a position; None where there is none, or none that is whole, in a file of this size."""
    length = length_of(read_at(file, start, BEFORE))
    if length is None or start + BEFORE + length + AFTER > size:
        return None
    try:
        head, blobs = head_at(file, start + BEFORE)
    except DamagedError:
        return Record(start, length, 0, None)
    if start:
        head = {key: head[key] for key in _KEPT if key in head and (key == "kind" or head.get("kind") == "step")}
    record = Record(start, length, blobs, head)
    return record if record.room >= 0 else Record(start, length, 0, None)


def scan(file: BinaryIO, size: int, start: int = 0, searched: int = 0) -> Scan:
    """Finds the records of a file of this size.

    Args:
        file: The file.
        size: How much of it to look at.
        start: Where a record is expected.
        searched: Up to where the scan before found nothing, if it ended at `start`.
    """
    result = Scan(start, searched)
    effort = _Effort(min(2**27 + 4 * (size - start), MOST_SEARCHED))
    sound = start  # where the record ends whose data are known to be right
    try:
        while start < size:
            if record := record_at(file, start, size):
                result.found.append(record)
                start = record.end
                continue
            doubtful = False
            if sound != start and isinstance(before := result.found[-1], Record):
                # The record in front may have been cut off, by a disk that was full for a moment: others lie in it then.
                effort.spend(before.length)
                if is_sound(file, before):
                    sound = start
                else:
                    result.found.pop()
                    start, doubtful = before.start, True
            if start != result.end:
                result.searched = 0
            result.end = start
            found, result.searched = _find(file, max(start + 1, result.searched), size, effort.spend)
            if found is None:
                result.doubtful = doubtful
                break
            result.found.append(Stretch(start, found))
            start = sound = found
    except _HopelessError:
        result.hopeless = True
    if start != result.end:
        result.end, result.searched = start, 0
    if result.found and isinstance(last := result.found[-1], Record) and sound != last.end and not is_sound(file, last):
        result.found.pop()
        result.end, result.searched, result.doubtful = last.start, 0, True
    return result


def _find(file: BinaryIO, start: int, size: int, spend: Callable[[int], None]) -> tuple[int | None, int]:
    """The first record that begins at `start` or later, and up to where there is none for sure."""
    first_doubt = size - BEFORE - len(MAGIC)
    for position in range(start, size, _CHUNK):
        chunk = read_at(file, position, _CHUNK + BEFORE + len(MAGIC) - 1)
        spend(len(chunk))
        at = chunk.find(MAGIC, BEFORE)
        while at >= 0:
            spend(256)
            begins = position + at - BEFORE
            if length_of(chunk[at - BEFORE : at]) is not None:
                whole = _has_head(file, begins + BEFORE, size, spend)
                if whole:
                    return begins, begins
                if whole is None:
                    first_doubt = min(first_doubt, begins)
            at = chunk.find(MAGIC, at + 1)
    return None, max(first_doubt, start)


def _has_head(file: BinaryIO, at: int, size: int, spend: Callable[[int], None]) -> bool | None:
    """Whether a record's data begin here with a head that is right; None where the file ends before that is known."""
    prefix = read_at(file, at, PREFIX)
    if len(prefix) < PREFIX:
        return None
    try:
        end = PREFIX + head_length(prefix)
        if at + end > size:
            return None
        spend(end)
        head_at(file, at)
    except DamagedError:
        return False
    return True


class _HopelessError(Exception):
    """More was read than any damage is worth."""


class _Effort:
    """Bounds what a file that is made for it can cost."""

    def __init__(self, most: int) -> None:
        self._left = most

    def spend(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise _HopelessError
