"""What is stored of a step, read when it is asked for."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO

import numpy as np

from fm_callback.format import DamagedError, LayerFacts, Problem, RunFacts
from fm_callback.read import pictures
from fm_callback.read.log_file import LogFile, StoredStep, of_image, read_blob
from fm_callback.read.snapshot import Snapshot
from fm_callback.read.unknown import UnknownError


class Reader:
    """Reads blobs of a snapshot; each file is opened once.

    Damage is told by calling `meet` with words.
    """

    def __init__(self, now: Snapshot, cache: "Cache", meet: Callable[[str], None]) -> None:
        self._now = now
        self._cache = cache
        self._meet = meet
        self._open: dict[int, BinaryIO] = {}
        self._damaged: set[int] = set()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def numbers(self, at: int, layer: int, summaries: bool = False) -> np.ndarray | None:
        """The numbers of a layer at a step.

        Args:
            at: Position of the step in the snapshot.
            layer: Position of the layer in the facts.
            summaries: Whether the layer's summaries are wanted in place of its channels' numbers.

        Returns:
            float32 (channels, fields), or (summaries,); None where they are damaged.
        """
        facts = self._facts(layer)
        if (stored := self._step(at)) is None:
            return None
        try:
            reference = stored.summaries(layer) if summaries else stored.numbers(layer)
            values = np.frombuffer(read_blob(self._file(at), stored.start, reference), "<f4")
        except DamagedError as error:
            what = "summaries" if summaries else "numbers"
            self._meet(f"{self.name(at)}: the {what} of layer {facts.name!r} are damaged: {error}")
            return None
        return values if summaries else values.reshape(len(facts.channels), len(facts.fields))

    def is_whole(self, at: int) -> bool:
        """Whether a step's record can be read, apart from its blobs."""
        return self._step(at) is not None

    def size(self, at: int, layers: Iterable[int]) -> int:
        """Bytes of what is stored of layers at a step, and of its prediction, but for what is damaged."""
        if (stored := self._step(at)) is None:
            return 0
        parts = [stored.references[stored.first[each] : stored.first[each + 1], 1] for each in layers]
        return int(np.maximum(np.concatenate([*parts, stored.prediction[:, 1]]), 0).sum())

    def images(self, at: int, layer: int) -> int:
        """Of how many images a layer's maps are stored at a step.

        Raises:
            DamagedError: if the step is damaged.
        """
        return len(self._whole_step(at).maps(layer))

    def maps(self, at: int, layer: int, image: int) -> bytes:
        """The PNG of a layer at a step.

        Raises:
            UnknownError: if there is none.
            DamagedError: if it is damaged.
        """
        facts = self._facts(layer)
        stored = self._whole_step(at)
        maps = stored.maps(layer)
        if not 0 <= image < len(maps):
            raise UnknownError(
                f"{self.name(at)} has maps of layer {facts.name!r} for {len(maps)} images, and none for {image}"
            )
        with self._telling_of(at, layer, image):
            png = read_blob(self._file(at), stored.start, maps[image])
            pictures.check_map(png, *facts.grid)
        return png

    def scores(self, at: int) -> np.ndarray | None:
        """The scores of the prediction at a step.

        Returns:
            float32 of the shape that the run's prediction says; None where there are none, or they are damaged.
        """
        facts, stored = self._run_facts, self._step(at)
        if facts.prediction is None or stored is None or not len(stored.prediction):
            return None
        try:
            values = np.frombuffer(read_blob(self._file(at), stored.start, stored.prediction[0]), "<f4")
        except DamagedError as error:
            self._meet(f"{self.name(at)}: the scores of the prediction are damaged: {error}")
            return None
        return values.reshape(facts.prediction.scores(facts.probe.images))

    def predictions(self, at: int) -> int:
        """Of how many images predicted labels are stored at a step.

        Raises:
            DamagedError: if the step is damaged.
        """
        return len(self._whole_step(at).prediction[1:])

    def prediction(self, at: int, image: int) -> bytes:
        """The PNG of the predicted labels of a sample at a step.

        Raises:
            UnknownError: if there is none.
            DamagedError: if it is damaged.
        """
        facts, stored = self._run_facts.prediction, self._whole_step(at)
        if facts is None or facts.kind != "labels" or not len(stored.prediction):
            raise UnknownError(f"{self.name(at)} has no predicted labels")
        maps = stored.prediction[1:]
        with self._telling(f"{self.name(at)}: the predicted labels are damaged"):
            if not len(maps):
                raise DamagedError("they are not there")
            if not 0 <= image < len(maps):
                raise UnknownError(f"{self.name(at)} has predicted labels for {len(maps)} images, and none for {image}")
            png = read_blob(self._file(at), stored.start, maps[image])
            pictures.check_prediction(png, *facts.size)
        return png

    def decoded(self, at: int, layer: int, image: int) -> np.ndarray:
        """The pixels of a layer's maps, uint8, as a grid; raises as `maps`."""
        png = self.maps(at, layer, image)
        with self._telling_of(at, layer, image):
            return pictures.decode(png)

    def probe(self, kind: str, image: int) -> bytes:
        """The PNG of a sample, "picture", or of its labels, "label".

        Raises:
            UnknownError: if there is none.
            DamagedError: if it is damaged.
        """
        references = getattr(self._run_facts.probe, f"{kind}s")
        if not 0 <= image < len(references):
            raise UnknownError(f"the probe has {len(references)} {kind}s, and none for image {image}")
        newest = len(self._now.files) - 1
        what = of_image(f"the {kind}s of the probe", image, len(references))
        with self._telling(f"the run record: {what} are damaged"):
            png = self._now.files[newest].probe(self._opened(newest), references[image])
            pictures.check_probe(png, self._run_facts.probe.plane, gray=kind == "label")
        return png

    def _step(self, at: int) -> StoredStep | None:
        """Where the blobs of a step lie; None if it is damaged."""
        if at in self._damaged:
            return None
        row = self._now.steps[at]
        file = self._now.files[row["file"]]
        key = file, int(row["start"])
        if stored := self._cache.get(key):
            return stored
        try:
            stored = file.stored_step(self._file(at), int(row["step"]), int(row["start"]))
        except DamagedError as error:
            self._damaged.add(at)
            self._meet(f"{self.name(at)}: {error}")
            return None
        self._cache.put(key, stored)
        return stored

    def _whole_step(self, at: int) -> StoredStep:
        if (stored := self._step(at)) is None:
            raise DamagedError(f"{self.name(at)} is damaged")
        return stored

    def name(self, at: int) -> str:
        """What people call a step."""
        return f"step {self._now.steps['step'][at]}"

    def _telling_of(self, at: int, layer: int, image: int) -> AbstractContextManager[None]:
        what = of_image(f"the maps of layer {self._facts(layer).name!r}", image, self.images(at, layer))
        return self._telling(f"{self.name(at)}: {what} are damaged")

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except DamagedError as error:
            self._meet(f"{what}: {error}")
            raise DamagedError(f"{what}: {error}") from error

    def _file(self, at: int) -> BinaryIO:
        return self._opened(int(self._now.steps["file"][at]))

    def _opened(self, position: int) -> BinaryIO:
        if position not in self._open:
            self._open[position] = self._now.files[position].open()
        return self._open[position]

    @property
    def _run_facts(self) -> RunFacts:
        assert self._now.facts is not None
        return self._now.facts

    def _facts(self, layer: int) -> LayerFacts:
        facts = self._run_facts.layers[layer]
        if isinstance(facts, Problem):
            raise UnknownError(f"layer {facts.name!r} can't be shown: {facts.reason}")
        return facts


class Cache:
    """Keeps where the blobs of the steps lie that were asked for last, by file and the beginning of the record.

    A file that was replaced is another `LogFile`, so that nothing is taken for the content of the new one.
    """

    def __init__(self, most: int) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[tuple[LogFile, int], StoredStep] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[LogFile, int]) -> StoredStep | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: tuple[LogFile, int], stored: StoredStep) -> None:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = stored
                self._size += _bytes(stored)
            while self._size > self._most:
                self._size -= _bytes(self._kept.popitem(last=False)[1])


def _bytes(stored: StoredStep) -> int:
    return stored.references.nbytes + stored.first.nbytes + 500
