"""A report: the page and a log in one file, to be opened from disk, sent, or put into a page as a frame.

What the page may ask is asked of `answers` beforehand, and held under a key: the question, and what it is of.

| key | answer |
|---|---|
| `runs` | as of `answers`, with the layers that were chosen |
| `numbers`, run, layer, after | of one layer |
| `summaries` and `scores`, run, after | |
| `maps` and `prediction`, run, (layer,) step, image | PNG |
| `probe`, run, kind, image | PNG |

Nothing of a log is markup: all of it stands in blocks (`pack`) that hold no `<`, and the page's own policy lets it load
nothing but what it holds.
"""

import codecs
import gzip
import json
import math
import os
import posixpath
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np

from fm_callback.format import DamagedError, RunFacts
from fm_callback.read import choose
from fm_callback.read.answers import Answers, NothingThereError
from fm_callback.read.finding import Finding
from fm_callback.read.log import Log
from fm_callback.read.pack import Blocks, Place
from fm_callback.read.reader import Reader
from fm_callback.read.run import Run
from fm_callback.read.snapshot import Snapshot
from fm_callback.read.unknown import UnknownError

_DOORS = {"tensorboard.js", "unpack.js"}
#: What a module imports; types in comments have a parenthesis.
_IMPORT = re.compile(r'(\b(?:from|import)\s*)"(\.\.?/[^"]+)"')
#: As many times as long is text as the bytes in it, and base64.
_UNITS, _BASE64 = 1.034, 1.34

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class _Part:
    """A run with some of its steps and layers, as it was when the report was begun."""

    run: Run
    snapshot: Snapshot
    layers: list[int]

    @property
    def problems(self) -> tuple[str, ...]:
        return self.run.problems

    def reader(self, now: Snapshot) -> Reader:
        return self.run.reader(now)

    def findings(self) -> list[Finding]:
        return self.run.findings()  # of all of it, whatever is reported

    @property
    def facts(self) -> RunFacts:
        assert self.snapshot.facts is not None
        return self.snapshot.facts

    @property
    def names(self) -> list[str]:
        return [self.facts.layers[at].name for at in self.layers]

    @property
    def steps(self) -> list[int]:
        found: list[int] = self.snapshot.steps["step"].tolist()
        return found

    def probe(self) -> Iterator[tuple[tuple[str | int, ...], bytes]]:
        """The pictures of the samples and of their labels, each with its key."""
        with self.reader(self.snapshot) as reader:
            for kind, count in (("picture", len(self.facts.probe.pictures)), ("label", len(self.facts.probe.labels))):
                for image in range(count):
                    with suppress(DamagedError):
                        yield (kind, image), reader.probe(kind, image)

    def pictures(self, at: int) -> Iterator[tuple[tuple[str | int, ...], bytes]]:
        """What is pictured at a step, each with its key; what is damaged is left out."""
        step = self.steps[at]
        with self.reader(self.snapshot) as reader:
            for image in range(self.facts.probe.stored):
                for layer, name in zip(self.layers, self.names, strict=True):
                    with suppress(DamagedError, UnknownError):
                        yield ("maps", name, step, image), reader.maps(at, layer, image)
                with suppress(DamagedError, UnknownError):
                    yield ("prediction", step, image), reader.prediction(at, image)

    def sizes(self) -> dict[int, int]:
        """Bytes of each step."""
        with self.reader(self.snapshot) as reader:
            return {step: reader.size(at, self.layers) for at, step in enumerate(self.steps)}

    def at(self, steps: Iterable[int]) -> "_Part":
        rows = self.snapshot.steps
        return replace(self, snapshot=replace(self.snapshot, steps=rows[np.isin(rows["step"], list(steps))]))


@dataclass
class Made:
    """What a report holds.

    Attributes:
        pictures: Bytes of the pictures in it, as the log stores them.
        steps: For each run the steps that it holds, and of how many.
        thinned: Whether steps were left out so that it fits.
    """

    pictures: int = 0
    steps: dict[str, tuple[list[int], int]] = field(default_factory=dict)
    thinned: bool = False


class Report:
    """What is to be reported of a log.

    Args:
        log: The log.
        layers: Numbers, names and globs, also as a text with commas; all by default. Runs without any of them are left out.
        steps: Steps, also as a text with commas, -1 for the last; all by default.
        most: Bytes that the report may have; steps are left out, at equal ratios, until it fits. None for no such bound.
        ascii: Whether it must be ASCII, as in a notebook, and not UTF-16.

    Raises:
        UnknownError: if there is no such layer or step in any run.
        ValueError: if not even one step of each run fits.
    """

    def __init__(
        self,
        log: Log,
        layers: choose.Choice = None,
        steps: str | Iterable[int] | None = None,
        most: float | None = None,
        ascii: bool = False,
    ) -> None:
        self.problems = log.problems
        self._ascii = ascii
        self._page = _page()
        parts = dict(_parts(log, layers, steps))
        self.made = Made(steps={name: (part.steps, len(log.runs[name].steps)) for name, part in parts.items()})
        self.runs: Mapping[str, _Part] = parts if most is None else self._thinned(parts, most)

    def write(self, write: Callable[[str], object], progress: Progress = lambda done, of: None) -> Made:
        """Writes the report.

        Args:
            write: Takes its text, part by part. Unless it is ASCII, it must be stored as UTF-16 with a byte order mark,
                as `open(path, "w", encoding="utf-16")` does.
            progress: Called now and then with how many steps are done, and of how many.

        Returns:
            What it holds.
        """
        shell = _file("report.html").replace("/*unpack*/", _file("unpack.js"))
        before, after = shell.split("<!--blocks-->\n")
        write(before)
        blocks = Blocks(write, self._ascii)
        page = blocks.add(json.dumps(self._page).encode(), packed=True)
        held = {"\0".join(map(str, key)): place for key, place in self._held(blocks, progress)}
        blocks.close(json.dumps({"page": page, "held": list(held.items())}, separators=(",", ":")).encode())
        write(after)
        return self.made

    def _held(self, blocks: Blocks, progress: Progress) -> Iterator[tuple[tuple[str | int, ...], Place]]:
        answers = Answers(self)
        done, of = 0, sum(len(part.steps) for part in self.runs.values())
        for name, part in self.runs.items():
            questions: dict[tuple[str | int, ...], Callable[[int], bytes]] = {
                ("summaries", name): partial(answers.summaries, name),
                ("scores", name): partial(answers.scores, name),
            }
            questions |= {("numbers", name, layer): partial(answers.numbers, name, [layer]) for layer in part.names}
            for key, ask in questions.items():
                for after, table in _whole(ask):
                    yield (*key, after), blocks.add(table, packed=True)
            with suppress(NothingThereError):
                yield ("findings", name), blocks.add(answers.findings(name)[0], packed=True)
            for key, png in part.probe():
                self.made.pictures += len(png)
                yield ("probe", name, *key), blocks.add(png)
            for at in range(len(part.steps)):
                progress(done, of)
                for key, png in part.pictures(at):
                    self.made.pictures += len(png)
                    yield (key[0], name, *key[1:]), blocks.add(png)
                done += 1
        progress(done, of)
        yield ("runs",), blocks.add(self._told(answers), packed=True)  # the last, with all damage that was met

    def _told(self, answers: Answers) -> bytes:
        """What there is, of what was chosen."""
        told = json.loads(answers.runs()[0])
        layouts: list[Any] = []
        for run in told["runs"]:
            names = set(self.runs[run["run"]].names)
            layouts.append([each for each in told["layouts"][run["layout"]] if each["layer"] in names])
            run |= {"layout": len(layouts) - 1, "wall": 0, "pace": None}  # nothing comes that the page could wait for
        return json.dumps({**told, "layouts": layouts}, separators=(",", ":")).encode()

    def _thinned(self, parts: Mapping[str, _Part], most: float) -> dict[str, _Part]:
        longer = _BASE64 if self._ascii else _UNITS
        room = most / longer - len(gzip.compress(json.dumps(self._page).encode()))
        sizes = {name: part.sizes() for name, part in parts.items()}
        fixed = sum(len(png) for part in parts.values() for _, png in part.probe())
        for count in range(max(map(len, sizes.values())), 0, -1):
            kept = {name: choose.geometric(part.steps, count) for name, part in parts.items()}
            size = fixed + sum(sizes[name][step] for name, steps in kept.items() for step in steps)
            if size <= room:
                self.made.thinned = any(len(kept[name]) < len(part.steps) for name, part in parts.items())
                self.made.steps = {name: (steps, self.made.steps[name][1]) for name, steps in kept.items()}
                return {name: part.at(kept[name]) for name, part in parts.items()}
        least = (most / longer - room + size) * longer
        raise ValueError(
            f"a report of one step is about {math.ceil(least / 1e6)} MB, more than {most / 1e6:g} MB: choose fewer layers or runs"
        )


def write_report(
    log: Log,
    path: str | os.PathLike[str],
    layers: choose.Choice = None,
    steps: str | Iterable[int] | None = None,
    max_mb: float | None = None,
    progress: Progress = lambda done, of: None,
) -> Made:
    """Writes a report of a log to a file; arguments as of `Report`.

    >>> from fm_callback import open_log
    >>> made = write_report(open_log("logs"), "report.html", steps="0,-1")
    >>> made.steps
    {'feature_maps': ([0, 2], 3)}
    """
    report = Report(log, layers, steps, None if max_mb is None else max_mb * 1e6)
    with open(path, "wb") as file:
        file.write(codecs.BOM_UTF16_LE)
        return report.write(lambda text: file.write(text.encode("utf-16-le")), progress)


def _parts(log: Log, layers: choose.Choice, steps: str | Iterable[int] | None) -> Iterator[tuple[str, _Part]]:
    chosen_steps = None if steps is None else choose.items(steps)
    chosen_layers = None if layers is None else choose.items(layers)
    refused: UnknownError | None = None
    found = False
    for name, run in log.runs.items():
        now = run.snapshot
        if now.facts is None:
            continue
        try:  # what is meant must be in one run, and need not be in all
            here = choose.layers(now.facts.layers, chosen_layers, f"run {name!r}")
            kept = choose.steps(now.steps["step"].tolist(), chosen_steps, f"run {name!r}")
        except UnknownError as error:
            refused = refused or error
            here = choose.layers(now.facts.layers, chosen_layers, name, strict=False)
            kept = choose.steps(now.steps["step"].tolist(), chosen_steps, name, strict=False)
        else:
            refused, found = None, True
        if here and kept:
            yield name, _Part(run, now, here).at(kept)
    if refused and not found:
        raise refused


def _whole(ask: Callable[[int], bytes]) -> Iterator[tuple[int | str, bytes]]:
    """An answer and what follows it, each with after which step it is; of the first that is nothing."""
    after: int | str = ""
    while True:
        answer = ask(-1 if after == "" else int(after))
        yield after, answer
        (length,) = struct.unpack("<I", answer[:4])
        head = json.loads(answer[4 : 4 + length])
        head = head[0] if isinstance(head, list) else head
        if not (head["more"] and head["steps"]):
            return
        after = head["steps"][-1]


def _page() -> list[tuple[str, str]]:
    """The page's files by their paths, each behind those that it imports, which it names by their paths."""
    folder = resources.files("fm_callback") / "page"
    texts = {path: text for path, text in _texts(folder, "") if path not in _DOORS}
    ordered: dict[str, str] = {}

    def put(path: str) -> None:
        def name(found: re.Match[str]) -> str:
            other = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[2]))
            put(other)
            return f'{found[1]}"page:{other}"'

        if path not in ordered:
            ordered[path] = _IMPORT.sub(name, texts[path])

    for path in sorted(texts):
        put(path)
    return list(ordered.items())


def _texts(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry, f"{path}{entry.name}/")
        elif entry.name.endswith((".js", ".css")):
            yield path + entry.name, entry.read_text("utf-8")


def _file(name: str) -> str:
    return (resources.files("fm_callback") / "page" / name).read_text("utf-8")
