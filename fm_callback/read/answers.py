"""What the page asks, answered from a log: bytes that any door may carry.

| question | answer |
|---|---|
| `runs` | JSON: runs, their layers, steps, labels, what their measures are called |
| `numbers` | frames: for each layer its steps, and float32 (steps, channels, fields) |
| `summaries` | frames: for each layer float32 (steps, names) |
| `maps` | PNG: the stored maps of a layer at a step |
| `bundle` | frames: the same of several layers at several steps |
| `prediction` | PNG: the predicted labels of a sample at a step; a pixel is a position in the labels that `runs` tells |
| `scores` | frames: of the prediction float32 (steps, images, labels, 3), `format.SCORES`; of a class (steps, images, 2) |
| `probe` | PNG: a sample, or its labels |
| `findings` | JSON: what stands out in a run, in words |

Frames: a 32-bit little-endian length, JSON of that length that says what follows, then the bytes. No answer is larger
than `MOST`; whoever got less than was asked for is told so, and asks for the rest.
"""

import hashlib
import json
import math
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fm_callback import format
from fm_callback.format import DamagedError, LayerFacts, PredictionFacts, Problem, RunFacts
from fm_callback.read.finding import Finding
from fm_callback.read.reader import Reader
from fm_callback.read.snapshot import Snapshot
from fm_callback.read.unknown import UnknownError
from fm_callback.scores.measures import described

#: Bytes of an answer, about.
MOST = 48 * 2**20
#: Layers of an answer, and pictures of a bundle.
MOST_LAYERS = MOST_PICTURES = 256

#: What is said of a measure; all else that a log says of one is left out.
_WORDS = {"label": str, "short": str, "kind": str, "says": str, "of": str, "part": str, "chance": float, "sided": bool}
_MOST_TEXT, _MOST_MODEL, _MOST_MEASURES, _MOST_PROBLEMS = 1000, 2**16, 500, 50
#: Of a run; and of so many runs they are kept.
_MOST_FINDINGS, _MOST_FOUND = 200, 100
#: As so many bytes at least a layer's numbers at a step count.
_LEAST = 512
#: Of so many steps the pace is taken.
_PACE = 20


class BadQuestionError(ValueError):
    """What was asked for can't be answered as it was asked; the message is for people."""


class NothingThereError(LookupError):
    """What was asked for is not there, or damaged; the message is for people."""


@dataclass(frozen=True, eq=False)
class _Told:
    """A run as `runs` tells of it, kept as long as nothing is new of it."""

    of: tuple[Any, ...]
    facts: RunFacts
    layout: str
    layers: bytes
    measures: Mapping[str, Mapping[str, Any]]
    rest: bytes


class ARun(Protocol):
    """What is asked of a run."""

    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def problems(self) -> tuple[str, ...]: ...
    def reader(self, now: Snapshot) -> Reader: ...
    def findings(self) -> list[Finding]: ...


class ALog(Protocol):
    """What is asked of a log: `Log`, or a part of one."""

    @property
    def runs(self) -> Mapping[str, ARun]: ...
    @property
    def problems(self) -> tuple[str, ...]: ...


class Answers:
    """Answers questions about a log, as it is after its last `refresh`."""

    def __init__(self, log: ALog) -> None:
        """Makes the answers."""
        self._log = log
        self._words = described()  # what we know ourselves is called as it is here, whatever a log says
        self._told: dict[str, _Told] = {}
        self._runs: tuple[tuple[Any, ...], bytes, str] = ((), b"", "")
        self._found: dict[str, tuple[Snapshot, bytes]] = {}
        self._finding = threading.Lock()

    def runs(self) -> tuple[bytes, str]:
        """All runs: JSON, and a text that tells this answer from others."""
        told: dict[str, _Told] = {}
        for name, run in self._log.runs.items():
            if of := self._tell(name, run):
                told[name] = of
        key = (*told.values(), self._log.problems)
        known = self._runs
        if known[1] and len(known[0]) == len(key) and all(a is b for a, b in zip(known[0], key, strict=True)):
            return known[1:]
        answer = _runs_json(told, self._log.problems, self._words)
        self._told, self._runs = told, (key, answer, hashlib.blake2s(answer, digest_size=12).hexdigest())
        return self._runs[1:]

    def numbers(self, run: str, layers: Sequence[str], after: int = -1) -> bytes:
        """The numbers of layers at all steps after one, as many as fit."""
        with self._reading(run) as (now, facts, reader):
            positions = [_position(facts, layer) for layer in layers]
            # However little a layer holds, reading it and naming its step takes time and room.
            sizes = [max(_LEAST, 4 * len(each.channels) * len(each.fields)) for _, each in positions]
            if sum(sizes) > MOST:
                raise BadQuestionError("these layers are too large for one answer: ask for fewer at a time")
            steps: list[list[int]] = [[] for _ in layers]
            tables: list[list[np.ndarray]] = [[] for _ in layers]
            left, more = MOST, False
            for at in range(int(np.searchsorted(now.steps["step"], after, "right")), len(now.steps)):
                if more := left < sum(sizes):
                    break
                for each, (position, _) in enumerate(positions):
                    table = reader.numbers(at, position)
                    if table is not None:
                        steps[each].append(int(now.steps["step"][at]))
                        tables[each].append(table)
                        left -= sizes[each]
        heads = [
            {"layer": layer, "steps": each, "shape": [len(facts.channels), len(facts.fields)], "more": more}
            for layer, each, (_, facts) in zip(layers, steps, positions, strict=True)
        ]
        return _frames(heads, (table for each in tables for table in each))

    def summaries(self, run: str, after: int = -1) -> bytes:
        """The summaries of all layers at all steps after one, as many as fit."""
        with self._reading(run) as (now, facts, reader):
            layers = [(at, each) for at, each in enumerate(facts.layers) if isinstance(each, LayerFacts)]
            size = sum(4 * len(each.summaries) for _, each in layers)
            steps: list[int] = []
            rows: list[list[np.ndarray]] = [[] for _ in layers]
            more = False
            for at in range(int(np.searchsorted(now.steps["step"], after, "right")), len(now.steps)):
                if more := bool(steps) and (len(steps) + 1) * size > MOST:
                    break
                if reader.is_whole(at):
                    steps.append(int(now.steps["step"][at]))
                    for row, (position, each) in zip(rows, layers, strict=True):
                        found = reader.numbers(at, position, summaries=True)
                        row.append(np.full(len(each.summaries), np.nan, "<f4") if found is None else found)
        named = [{"layer": each.name, "names": each.summaries} for _, each in layers]
        return _frames({"steps": steps, "layers": named, "more": more}, (row for each in rows for row in each))

    def maps(self, run: str, layer: str, step: int, image: int, version: str | None = None) -> tuple[bytes, bool]:
        """The PNG of a layer at a step, and whether what is there has this version."""
        with self._reading(run) as (now, facts, reader):
            at = _step(now, step)
            png = reader.maps(at, _position(facts, layer)[0], image)
            return png, version == now.versions[now.steps["file"][at]]

    def bundle(
        self, run: str, layers: Sequence[str], steps: Sequence[int], image: int, version: str | None = None
    ) -> tuple[bytes, bool]:
        """The PNGs of layers at steps, as many as fit, and whether all are there and have this version."""
        if len(layers) * len(steps) > MOST_PICTURES:
            raise BadQuestionError(
                f"at most {MOST_PICTURES} pictures at a time; asked for {len(layers)} layers at {len(steps)} steps"
            )
        heads: list[dict[str, Any]] = []
        blobs: list[bytes] = []
        size, lasting = 0, True
        with self._reading(run) as (now, facts, reader):
            for layer in layers:
                for step in steps:
                    head: dict[str, Any] = {"layer": layer, "step": step, "size": None}
                    heads.append(head)
                    try:
                        at = _step(now, step)
                        png = reader.maps(at, _position(facts, layer)[0], image)
                    except (NothingThereError, UnknownError, DamagedError):
                        lasting = False
                        continue
                    lasting &= version == now.versions[now.steps["file"][at]]
                    if size + len(png) > MOST:
                        head["later"] = True
                        lasting = False
                        continue
                    head["size"] = len(png)
                    size += len(png)
                    blobs.append(png)
        return _frames(heads, blobs), lasting

    def prediction(self, run: str, step: int, image: int, version: str | None = None) -> tuple[bytes, bool]:
        """The PNG of what is predicted of a sample at a step, and whether what is there has this version."""
        with self._reading(run) as (now, _, reader):
            at = _step(now, step)
            return reader.prediction(at, image), version == now.versions[now.steps["file"][at]]

    def scores(self, run: str, after: int = -1) -> bytes:
        """The scores of the prediction at all steps after one, as many as fit; steps without any are left out."""
        with self._reading(run) as (now, facts, reader):
            shape = facts.prediction.scores(facts.probe.images) if facts.prediction else (0,)
            size = max(_LEAST, 4 * math.prod(shape))
            steps: list[int] = []
            tables: list[np.ndarray] = []
            more = False
            for at in range(int(np.searchsorted(now.steps["step"], after, "right")), len(now.steps)):
                if more := bool(steps) and (len(steps) + 1) * size > MOST:
                    break
                if (table := reader.scores(at)) is not None:
                    steps.append(int(now.steps["step"][at]))
                    tables.append(table)
        return _frames({"steps": steps, "shape": shape, "more": more}, tables)

    def probe(self, run: str, kind: str, image: int, version: str | None = None) -> tuple[bytes, bool]:
        """The PNG of a sample or of its labels, and whether what is there has this version."""
        if kind not in ("picture", "label"):
            raise BadQuestionError("the kind must be 'picture' or 'label'")
        with self._reading(run) as (now, _, reader):
            return reader.probe(kind, image), version in now.versions

    def findings(self, name: str, version: str | None = None) -> tuple[bytes, bool]:
        """What stands out in a run, looked for once in each state of it; and whether what is there has this version.

        Args:
            name: The run.
            version: That of its newest step, a hyphen, and this step.
        """
        run = self._log.runs.get(name)
        if run is None or run.snapshot.facts is None:
            raise NothingThereError(f"there is no run {name[:200]!r}")
        with self._finding:  # of two that ask, one looks
            now = run.snapshot
            known = self._found.pop(name, None)
            if known is None or known[0] is not now:
                known = now, self._find(name, run)
            self._found[name] = known
            while len(self._found) > _MOST_FOUND:
                del self._found[next(iter(self._found))]
        step = int(now.steps["step"][-1])
        return known[1], version == f"{now.versions[now.steps['file'][-1]]}-{step}" and run.snapshot is now

    def _find(self, name: str, run: ARun) -> bytes:
        try:
            found = run.findings()
        except (UnknownError, DamagedError) as error:
            raise NothingThereError(str(error)) from error
        except OSError as error:
            raise NothingThereError(f"run {name[:200]!r} can't be read: {error.strerror or error}") from error
        told = found[:_MOST_FINDINGS]
        return _json({"findings": [each.as_json() for each in told], "more": len(found) - len(told)})

    @contextmanager
    def _reading(self, name: str) -> Iterator[tuple[Snapshot, RunFacts, Reader]]:
        """A run as it is now."""
        run = self._log.runs.get(name)
        now = run.snapshot if run else None
        if run is None or now is None or now.facts is None:
            raise NothingThereError(f"there is no run {name[:200]!r}")
        try:
            with run.reader(now) as reader:
                yield now, now.facts, reader
        except (UnknownError, DamagedError) as error:
            raise NothingThereError(str(error)) from error
        except OSError as error:
            raise NothingThereError(
                f"run {name[:200]!r} is no longer what it was: {error.strerror or error}"
            ) from error

    def _tell(self, name: str, run: ARun) -> _Told | None:
        now, problems = run.snapshot, run.problems
        known = self._told.get(name)
        if now.facts is None:
            return None
        if known and known.of[0] is now and known.of[1:] == (problems, run):
            return known
        rest = _json(
            {
                "run": name,
                "name": format.display_name(name),
                **_run_facts(now, now.facts),
                "problems": problems[:_MOST_PROBLEMS],
            }
        )
        if known and known.facts is now.facts:
            return _Told((now, problems, run), known.facts, known.layout, known.layers, known.measures, rest)
        layers = _json([_layer_facts(each) for each in now.facts.layers])
        layout = hashlib.blake2s(layers).hexdigest()
        measures = {name[:_MOST_TEXT]: _said(facts) for name, facts in [*now.facts.measures.items()][:_MOST_MEASURES]}
        return _Told((now, problems, run), now.facts, layout, layers, measures, rest)


def _runs_json(told: Mapping[str, _Told], problems: Sequence[str], words: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The answer, put together from what is told of each run; runs that do not fit are named."""
    layouts: dict[str, int] = {}
    layers: list[bytes] = []
    runs: list[bytes] = []
    measures: dict[str, Mapping[str, Any]] = {}
    problems = list(problems)
    left = MOST
    for name, run in told.items():
        size = len(run.rest) + 64 + (0 if run.layout in layouts else len(run.layers))
        if size > left:
            problems.append(
                f"run {name[:200]!r} is left out: this log describes more runs and layers than one answer holds"
            )
            continue
        left -= size
        if run.layout not in layouts:
            layouts[run.layout] = len(layers)
            layers.append(run.layers)
        runs.append(b'{"layout":%d,%b' % (layouts[run.layout], run.rest[1:]))
        if len(measures) < 4 * _MOST_MEASURES:
            measures |= run.measures
    return b'{"format":%d,"measures":%b,"problems":%b,"layouts":[%b],"runs":[%b]}' % (
        format.VERSION,
        _json({**measures, **words}),
        _json(problems[-_MOST_PROBLEMS:]),
        b",".join(layers),
        b",".join(runs),
    )


def _run_facts(now: Snapshot, facts: RunFacts) -> dict[str, Any]:
    wall = now.steps["wall_time"]
    between = np.diff(wall[-_PACE:])
    between = between[between > 0]
    files = now.steps["file"]
    parts = np.split(now.steps["step"], np.flatnonzero(np.diff(files)) + 1)
    versions = [now.versions[at] for at in dict.fromkeys(files.tolist())]
    probe = facts.probe
    return {
        "step_unit": facts.step_unit,
        "format": facts.format,
        "steps": [{"v": v, "steps": part.tolist()} for v, part in zip(versions, parts, strict=True)],
        # The earlier of what its writer says and what its file does: neither a clock that is ahead nor a copy is news.
        "wall": min(float(wall[-1]), now.files[files[-1]].changed),
        "pace": float(np.median(between)) if len(between) else None,
        "probe": {
            "images": probe.images,
            "stored": probe.stored,
            "scaling": probe.scaling,
            "plane": probe.plane,
            "slice_axis": probe.slice_axis,
            "slices": probe.slices,
            "pictures": len(probe.pictures),
            "labels": len(probe.labels),
        },
        "labels": [vars(each) for each in facts.labels],
        "prediction": facts.prediction and _prediction_facts(facts.prediction),
        "model": model if len(_json(model := _plain(facts.model))) <= _MOST_MODEL else {},
    }


def _prediction_facts(prediction: PredictionFacts) -> dict[str, Any]:
    return {**vars(prediction), "labels": [vars(each) for each in prediction.labels]}


def _layer_facts(layer: LayerFacts | Problem) -> dict[str, Any]:
    if isinstance(layer, Problem):
        return {"layer": layer.name, "path": layer.name, "problem": layer.reason}
    facts = dict(vars(layer))
    return {"layer": facts.pop("name"), **facts}


def _said(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What a log says of a measure, as far as it is what it should be."""
    said: dict[str, Any] = {}
    for key, kind in _WORDS.items():
        value = stored.get(key)
        if kind is str and isinstance(value, str):
            said[key] = value[:_MOST_TEXT]
        elif (kind is bool and isinstance(value, bool)) or (
            kind is float and isinstance(value, int | float) and abs(value) < 1e9
        ):
            said[key] = value
    return said


def _plain(stored: Any, depth: int = 5) -> Any:
    """Content as JSON can say it: a log's own may hold NaN, or be deeper than anybody reads."""
    if isinstance(stored, dict):
        return {str(key): _plain(value, depth - 1) for key, value in stored.items()} if depth else None
    if isinstance(stored, list):
        return [_plain(value, depth - 1) for value in stored] if depth else None
    if isinstance(stored, float):
        return stored if np.isfinite(stored) else None
    return stored


def _position(facts: RunFacts, name: str) -> tuple[int, LayerFacts]:
    for at, layer in enumerate(facts.layers):
        if layer.name == name:
            if isinstance(layer, Problem):
                raise NothingThereError(f"layer {name[:200]!r} can't be shown: {layer.reason}")
            return at, layer
    raise NothingThereError(f"there is no layer {name[:200]!r}")


def _step(now: Snapshot, step: int) -> int:
    at = int(np.searchsorted(now.steps["step"], step))
    if at == len(now.steps) or now.steps["step"][at] != step:
        raise NothingThereError(f"there is no step {step}")
    return at


def _frames(heads: Any, blobs: Iterable[Any]) -> bytes:
    head = _json(heads)
    return b"".join((struct.pack("<I", len(head)), head, *blobs))


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
