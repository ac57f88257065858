"""One `.fmlog` file: the whole steps in it, and what is stored of one.

Opening a file reads the framing and the head of each record, and the data of the last one for their checksum. What is
new is read by `refresh`; a record that is being written does not count before it is whole.
"""

import math
import os
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import google_crc32c
import numpy as np

from fm_callback.format import MOST_BLOB, MOST_HEAD, MOST_STEP, PREFIX, DamagedError, LayerFacts, RunFacts, from_json
from fm_callback.read.scan import Record, Scan, Stretch, head_at, is_sound, open_file, read_at, record_at, scan
from fm_callback.tfrecord import AFTER, BEFORE, length_of

#: What is kept in memory of a step: 32 bytes. `file` is for whoever joins files.
STEPS = np.dtype([("step", "<i8"), ("wall_time", "<f8"), ("start", "<i8"), ("file", "<i8")])

#: The reference of a blob that is not there, or can't be.
_NOWHERE = (-1, -1, -1)
_BEGINNING = BEFORE + PREFIX
#: Systems note the time of a write before its bytes are there: one that was begun so few seconds ago may still bring some.
_FRESH = 3.0
#: So many damaged places are told of a file.
_MOST_TOLD = 100


class Damage(NamedTuple):
    """A damaged place.

    Attributes:
        file: Name of the file.
        offset: Where it is, in bytes.
        what: What is damaged, in words.
    """

    file: str
    offset: int
    what: str


class ReplacedError(OSError):
    """A file is not the one that it was."""


class StoredStep(NamedTuple):
    """Where the blobs of a step lie.

    Attributes:
        start: Where they begin in the file.
        references: int64 (blobs, 3), offset, length and checksum: of each layer its numbers, its summaries and its
            maps, then of the prediction its scores and its maps; -1 for what is not there, or can't be.
        first: int64 (layers + 1,), the position of each layer's first reference, and of the prediction's.
    """

    start: int
    references: np.ndarray
    first: np.ndarray

    def numbers(self, layer: int) -> np.ndarray:
        """The reference of a layer's numbers."""
        return self.references[self.first[layer]]

    def summaries(self, layer: int) -> np.ndarray:
        """The reference of a layer's summaries."""
        return self.references[self.first[layer] + 1]

    def maps(self, layer: int) -> np.ndarray:
        """The references of a layer's maps, one a stored sample."""
        return self.references[self.first[layer] + 2 : self.first[layer + 1]]

    @property
    def prediction(self) -> np.ndarray:
        """The references of the prediction: of its scores, then of its maps, one a stored sample; none without one."""
        return self.references[self.first[-1] :]


class LogFile:
    """One file that may still grow.

    Attributes:
        path: Its real path.
        facts: What its run record says; None while that is not there, and where it can't be used.
        steps: The whole steps, `STEPS`, rising.
        damages: The damaged places, at most 100.
        headless: Why the file can't be read at all, and what is lost with it; None where it can.
        tail: What is damaged at the end of the file, None where it just ends, or is being written.
        size: How many bytes of it are known.
        rest: How many of them, at the end, are a record that is not whole.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.facts: RunFacts | None = None
        self.steps = np.empty(0, STEPS)
        self.damages: list[Damage] = []
        self.headless: Damage | None = None
        self.tail: Damage | None = None
        self.size = 0
        self._first: Record | None = None
        self._scan = Scan(0)
        self._seen: tuple[int, ...] = ()
        self._beginning = b""
        self._reason = ""
        self._mark = 0, b""  # where the last whole record ends, and its checksum

    @property
    def name(self) -> str:
        """Its name."""
        return os.path.basename(self.path)

    @property
    def order(self) -> tuple[tuple[int, int, str], ...]:
        """By what files are put in order: their stamps, then the rest of their names."""
        parts = self.name.split(".")
        return tuple((0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts)

    @property
    def beginning(self) -> bytes:
        """Its first bytes, with the checksum of the run record's head: they tell it from another that had its path.

        Not the number of its inode: that of a file which is mounted from elsewhere may change.
        """
        return self._beginning

    @property
    def changed(self) -> float:
        """When it was changed, in seconds since the epoch, as its file system says."""
        return self._seen[1] / 1e9 if self._seen else 0.0

    @property
    def rest(self) -> int:
        """How many bytes at the end are not a whole record."""
        return self.size - self._scan.end

    def refresh(self) -> bool:
        """Looks for what is new; returns whether there is anything.

        Raises:
            ReplacedError: if another file has its path now, or it was cut or written over: nothing that is known of it
                holds.
            OSError: if the file can't be read.
        """
        if _signature(os.stat(self.path, follow_symlinks=False)) == self._seen:
            return False
        with open_file(self.path) as file:
            seen = _signature(os.fstat(file.fileno()))
            size, beginning = seen[0], read_at(file, 0, _BEGINNING)
            # A file is appended to: one that was changed and is no longer than before was written over.
            still = bool(self._seen) and size == self.size and seen[1] != self._seen[1]
            same = size >= self.size and self._is_the_same(file)
            if same and still and not self.rest and abs(time.time() - seen[1] / 1e9) < _FRESH:
                return False  # it is looked at again
            if still or not same:
                raise ReplacedError(f"{self.name} was replaced")
            self._seen, self.size, self._beginning = seen, size, beginning
            found = self._look(file)
            self._mark = self._scan.end, read_at(file, max(0, self._scan.end - AFTER), AFTER)
            return found

    def open(self) -> BinaryIO:
        """Opens it to read blobs.

        Raises:
            OSError: if it is no longer there, or another one has its path.
        """
        file = open_file(self.path)
        if not self._is_the_same(file):
            file.close()
            raise ReplacedError(f"{self.name} was replaced")
        return file

    def _is_the_same(self, file: BinaryIO) -> bool:
        """Whether it begins as it did, and the last record that is known ends as it did."""
        end, checksum = self._mark
        return (
            read_at(file, 0, len(self._beginning)) == self._beginning
            and read_at(file, max(0, end - AFTER), AFTER)[: len(checksum)] == checksum
        )

    def stored_step(self, file: BinaryIO, step: int, start: int) -> StoredStep:
        """What is stored of a step whose record begins here.

        Raises:
            DamagedError: if the record can't be read.
        """
        record = record_at(file, start, self.size)
        if record is None or record.head is None or record.head.get("step") != step or self.facts is None:
            raise DamagedError("its record is damaged")
        return _stored_step(file, record, self.facts)

    def probe(self, file: BinaryIO, reference: Any) -> bytes:
        """A picture of the probe.

        Raises:
            DamagedError: if it is damaged.
        """
        if self._first is None:
            raise DamagedError("the run record is damaged")
        return read_blob(file, self._first.blobs, _reference(reference, self._first.room))

    def check(self) -> Iterator[Damage]:
        """Every damage: all checksums of all records and their blobs are looked at.

        Raises:
            OSError: if the file can't be read.
        """
        self.refresh()
        if self.headless:
            yield self.headless
        yield from self.damages
        with self.open() as file:
            for record in scan(file, self.size).found:
                if isinstance(record, Record):
                    yield from self._wrong(file, record)
        if self.tail:
            yield self.tail

    def check_record(self, file: BinaryIO, start: int) -> tuple[list[Damage], int]:
        """What is damaged of a record that begins here, all checksums looked at; and how many bytes it has.

        Of one that can't be found there was told when the file was read.
        """
        record = record_at(file, start, self.size)
        return (list(self._wrong(file, record)), record.end - start) if record else ([], 0)

    def _wrong(self, file: BinaryIO, record: Record) -> Iterator[Damage]:
        """What is damaged of a record, at the offset of that part."""
        if record.head is None:
            return
        found = False
        for offset, what in self._wrong_parts(file, record, record.head):
            found = True
            yield Damage(self.name, offset, f"{_what(record.head)}: {what}")
        if not found and not is_sound(file, record):
            yield Damage(self.name, record.start, f"{_what(record.head)}: its checksum is wrong")

    def _wrong_parts(self, file: BinaryIO, record: Record, head: dict[str, Any]) -> Iterator[tuple[int, str]]:
        """The damaged blobs of a record: where each begins, and what is damaged in words."""
        if self.facts is None:
            return
        blobs: list[tuple[str, Any]] = []
        if head.get("kind") == "run":
            for name, references in (
                ("pictures", self.facts.probe.pictures),
                ("labels", self.facts.probe.labels),
            ):
                named = (of_image(f"the {name} of the probe", at, len(references)) for at in range(len(references)))
                blobs += zip(named, (_reference(each, record.room) for each in references), strict=True)
        elif head.get("kind") == "step":
            try:
                stored = _stored_step(file, record, self.facts)
            except DamagedError as error:
                offset, *_ = _reference(head.get("layers"), record.room, MOST_HEAD)
                yield record.start if offset < 0 else record.blobs + offset, str(error)
                return
            for at, layer in enumerate(self.facts.layers):
                if isinstance(layer, LayerFacts):
                    maps = stored.maps(at)
                    blobs += [(f"the numbers of layer {layer.name!r}", stored.numbers(at))]
                    blobs += [(f"the summaries of layer {layer.name!r}", stored.summaries(at))]
                    blobs += [
                        (of_image(f"the maps of layer {layer.name!r}", image, len(maps)), each)
                        for image, each in enumerate(maps)
                    ]
            blobs += [("the scores of the prediction", each) for each in stored.prediction[:1]]
            blobs += [("a map of the prediction", each) for each in stored.prediction[1:]]
        for name, reference in blobs:
            try:
                read_blob(file, record.blobs, reference)
            except DamagedError as error:
                offset = int(reference[0])
                yield record.start if offset < 0 else record.blobs + offset, f"{name} are damaged: {error}"

    def _look(self, file: BinaryIO) -> bool:
        """Takes in what lies behind what is known; returns whether that is anything."""
        before, now = self._scan, scan(file, self.size, self._scan.end, self._scan.searched)
        self._scan = now
        if now.found and now.found[0].start == 0:
            self._read_facts(file, now.found[0])
        rows: list[tuple[int, float, int, int]] = []
        lost: list[tuple[int, str]] = []
        step = int(self.steps["step"][-1]) if len(self.steps) else None
        for each in now.found:
            if self.headless and each.start == 0:
                continue  # it is told what is lost with it
            if isinstance(each, Stretch):
                lost.append((each.start, f"{each.end - each.start:,} bytes {{}}are damaged"))
            elif each.head is None or (before.doubtful and each.start == before.end and not is_sound(file, each)):
                lost.append((each.start, "a record {}is damaged"))
            elif each.head.get("kind") == "step":
                if row := _row(each.head, each.start):
                    self._tell(lost, step, row[0])
                    rows.append(row)
                    step = row[0]
                else:
                    lost.append((each.start, "a record {}is not what it must be"))
        self._tell(lost, step, None)
        if rows:
            self.steps = _rising(np.concatenate([self.steps, np.array(rows, STEPS)]))
        before_it = self.tail, self.headless
        self.tail = self._damaged_tail(file, "" if step is None else f"after step {step} ")
        if self.headless:
            self.headless = self.headless._replace(what=self._lost())
        return bool(now.found) or before_it != (self.tail, self.headless)

    def _read_facts(self, file: BinaryIO, first: Record | Stretch) -> None:
        """Reads the run record; its head has its own checksum, and is trusted also where the framing is damaged."""
        try:
            if isinstance(first, Stretch) or first.head is None:
                head, blobs = head_at(file, BEFORE)
                first = Record(0, first.end - BEFORE - AFTER, blobs, head)
            if first.head is None or first.head.get("kind") != "run":
                raise DamagedError("the file does not begin with a run record")
            self.facts, self._first = RunFacts.parse(first.head), first
        except DamagedError as error:
            self._reason = str(error)
            self.headless = Damage(self.name, 0, "")

    def _lost(self) -> str:
        """Why nothing of the file can be read, what is lost, and what to do."""
        steps = self.steps["step"]
        if not len(steps):
            return f"the file can't be read: {self._reason}"
        lost = f"step {steps[0]} is" if len(steps) == 1 else f"{len(steps)} steps, {steps[0]} to {steps[-1]}, are"
        return (
            f"the file can't be read: {self._reason}; {lost} lost with its run record, which says how they are stored: "
            "put a copy of the file in its place if there is one"
        )

    def _damaged_tail(self, file: BinaryIO, place: str) -> Damage | None:
        """What is wrong at the end of the file, apart from a record that is not written to its end."""
        end = self._scan.end
        if self._scan.hopeless:
            return Damage(self.name, end, f"the rest of the file {place}is damaged")
        if self._scan.doubtful:
            return Damage(self.name, end, f"the last record {place}is damaged")
        if self.rest >= BEFORE and length_of(read_at(file, end, BEFORE)) is None:
            return Damage(self.name, end, f"the last {self.rest:,} bytes {place}are damaged")
        return None

    def _tell(self, lost: list[tuple[int, str]], before: int | None, after: int | None) -> None:
        """Adds what was lost between two steps to the damages, and empties the list."""
        place = ""
        if before is not None:
            place = f"after step {before} " if after is None else f"between step {before} and step {after} "
        elif after is not None:
            place = f"before step {after} "
        for offset, what in lost[: max(0, _MOST_TOLD - len(self.damages))]:
            self.damages.append(Damage(self.name, offset, what.format(place)))
        lost.clear()


def of_image(what: str, image: int, images: int) -> str:
    """What is stored for each image, of one of them; they are counted from 1, as the page does."""
    return f"{what}, image {image + 1} of {images},"


def read_blob(file: BinaryIO, start: int, reference: Any) -> bytes:
    """A blob, by the beginning of the record's blobs and a reference that is not outside of them.

    Raises:
        DamagedError: if it is not there, or its checksum is wrong.
    """
    offset, length, crc = map(int, reference)
    if offset < 0:
        raise DamagedError("not there")
    blob = read_at(file, start + offset, length)
    if len(blob) < length or google_crc32c.value(blob) != crc:
        raise DamagedError("the checksum is wrong")
    return blob


def _stored_step(file: BinaryIO, record: Record, facts: RunFacts) -> StoredStep:
    assert record.head is not None
    try:
        text = read_blob(file, record.blobs, _reference(record.head.get("layers"), record.room, MOST_HEAD))
    except DamagedError as error:
        raise DamagedError(f"its list of layers: {error}") from error
    entries = from_json(text)
    if not (isinstance(entries, list) and len(entries) == len(facts.layers)):
        raise DamagedError("its list of layers is not that of the run")
    references: list[tuple[int, int, int]] = []
    first = [0]
    for entry, layer in zip(entries, facts.layers, strict=True):
        stored = entry if isinstance(entry, dict) and isinstance(layer, LayerFacts) else {}
        sizes = (0, 0)
        if isinstance(layer, LayerFacts):
            sizes = 4 * len(layer.channels) * len(layer.fields), 4 * len(layer.summaries)
        for key, size in zip(("numbers", "summaries"), sizes, strict=True):
            reference = _reference(stored.get(key), record.room)
            references.append(reference if reference[1] == size else _NOWHERE)
        maps = stored.get("maps")
        if isinstance(maps, list):
            references += [_reference(each, record.room) for each in maps[: facts.probe.stored]]
        first.append(len(references))
    references += _of_prediction(file, record, facts)
    return StoredStep(record.blobs, np.array(references, np.int64).reshape(-1, 3), np.array(first))


def _of_prediction(file: BinaryIO, record: Record, facts: RunFacts) -> list[tuple[int, int, int]]:
    """The references of a step's prediction, if it has one; what is wrong with it costs nothing else."""
    stored = (record.head or {}).get("prediction")
    if facts.prediction is None or stored is None:
        return []
    try:
        entry = from_json(read_blob(file, record.blobs, _reference(stored, record.room, MOST_HEAD)))
    except DamagedError:
        return [_NOWHERE]
    entry = entry if isinstance(entry, dict) else {}
    scores, maps = _reference(entry.get("scores"), record.room), entry.get("maps")
    fits = scores[1] == 4 * math.prod(facts.prediction.scores(facts.probe.images))
    pictures = maps[: facts.probe.stored] if isinstance(maps, list) else []
    return [scores if fits else _NOWHERE, *(_reference(each, record.room) for each in pictures)]


def _reference(stored: Any, room: int, most: int = MOST_BLOB) -> tuple[int, int, int]:
    """A reference, if it is one to a blob inside the record."""
    if not (isinstance(stored, list | tuple) and len(stored) == 3):
        return _NOWHERE
    if not all(type(each) is int and each >= 0 for each in stored):
        return _NOWHERE
    offset, length, crc = stored
    return (offset, length, crc) if length <= most and offset + length <= room and crc < 2**32 else _NOWHERE


def _row(head: dict[str, Any], start: int) -> tuple[int, float, int, int] | None:
    """What is kept of a step, if its head is what it must be."""
    step, wall = head.get("step"), head.get("wall_time", 0.0)
    if type(step) is not int or type(wall) not in (int, float):
        return None
    if not (0 <= step < MOST_STEP and 0 <= wall < 1e11):
        return None
    return step, float(wall), start, 0


def _rising(steps: np.ndarray) -> np.ndarray:
    """Steps in order; of those that were written again, the last."""
    if np.all(np.diff(steps["step"]) > 0):
        return steps
    _, at = np.unique(steps["step"][::-1], return_index=True)
    return steps[len(steps) - 1 - at]


def _what(head: dict[str, Any]) -> str:
    return f"step {head.get('step')}" if head.get("kind") == "step" else f"the {str(head.get('kind'))[:50]} record"


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino
