"""What a run's directory holds already, as far as a training asks that may go on there: its steps, and their numbers."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import google_crc32c
import numpy as np

from fm_callback.format import (
    MOST_BLOB,
    MOST_STEP,
    NUMBERS,
    PREFIX,
    DamagedError,
    LayerFacts,
    RunFacts,
    from_json,
    head_length,
    read_head,
)
from fm_callback.tfrecord import AFTER, BEFORE, length_of


class Past:
    """The steps of a run that are on disk.

    A training does not go on from what can't be read: behind damaged framing nothing of a file is known here, though readers
    find more.

    Attributes:
        facts: What the run is.
        steps: The steps, rising.
    """

    def __init__(self, files: list[Path]) -> None:
        """Reads the framing and the heads of a directory's files.

        Args:
            files: The files of our log there, in the order in which readers take them.

        Raises:
            DamagedError: if no step can be read.
            OSError: if a file can't be opened.
        """
        self._places: dict[int, _Place] = {}
        below = MOST_STEP
        newest: RunFacts | None = None
        for path in reversed(files):
            facts, places = _contents(path)
            if not places:
                continue
            if facts is None:  # from which step on it holds is not known, so neither is what it leaves of older ones
                break
            newest = newest or facts
            self._places.update((step, place) for step, place in places.items() if step < below)
            below = min(below, facts.first_step)
        if newest is None:
            raise DamagedError("no step can be read")
        self.facts, self.steps = newest, sorted(self._places)

    def numbers(self, step: int) -> list[np.ndarray]:
        """The numbers of each layer at a step, float32 (channels, 7) as `NUMBERS` says.

        Raises:
            DamagedError: if they are damaged.
            OSError: if the file can't be read.
        """
        place = self._places[step]
        try:
            with open(place.path, "rb") as file:
                entries = from_json(_blob(file, place.blobs, place.layers))
                stored = [_blob(file, place.blobs, entry["numbers"]) for entry in entries]
            layers = [layer for layer in self.facts.layers if isinstance(layer, LayerFacts)]
            tables = [
                np.frombuffer(each, "<f4").reshape(len(layer.channels), len(layer.fields))
                for each, layer in zip(stored, layers, strict=True)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"the numbers of step {step} are damaged") from error
        return [table[:, : len(NUMBERS)] for table in tables]


class _Place(NamedTuple):
    """Where a step is: its file, where its blobs begin there, and the reference to what it holds of each layer."""

    path: Path
    blobs: int
    layers: Any


def _contents(path: Path) -> tuple[RunFacts | None, dict[int, _Place]]:
    """What a file's run record says, None if that is damaged, and its steps."""
    facts, places = None, {}
    with open(path, "rb") as file:
        for count, (head, blobs) in enumerate(_records(file)):
            if count == 0:
                try:
                    facts = RunFacts.parse(head)
                except DamagedError:
                    facts = None
            elif head.get("kind") == "step" and isinstance(head.get("step"), int):
                places[head["step"]] = _Place(path, blobs, head.get("layers"))
    return facts, places


def _records(file: BinaryIO) -> Iterator[tuple[dict[str, Any], int]]:
    """The head of each whole record, empty if it is damaged, and where its blobs begin; ends before damaged framing."""
    size, at = os.fstat(file.fileno()).st_size, 0
    while (length := length_of(_read(file, at, BEFORE))) is not None and at + BEFORE + length + AFTER <= size:
        start = at + BEFORE
        head: dict[str, Any] = {}
        blobs = start
        try:
            blobs += PREFIX + head_length(_read(file, start, PREFIX))
            head = read_head(_read(file, start, blobs - start))
        except DamagedError:
            pass
        yield head, blobs
        at = start + length + AFTER


def _blob(file: BinaryIO, start: int, reference: Any) -> bytes:
    offset, length, crc = reference
    data = _read(file, start + offset, length) if 0 <= length <= MOST_BLOB and offset >= 0 else b""
    if len(data) != length or google_crc32c.value(data) != crc:
        raise DamagedError("a blob is damaged")
    return data


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)
