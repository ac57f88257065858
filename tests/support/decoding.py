"""Our log read back without a line of the package: what the tests hold against what was written."""

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from PIL import Image


class Stored(NamedTuple):
    """What is stored of a layer at a step: static facts, grids of pixels, numbers (channels, fields), summaries by name."""

    facts: SimpleNamespace
    grids: list[np.ndarray]
    table: np.ndarray
    summaries: dict[str, float]


def records(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """(head, what follows it) of each whole record of a file, by lengths alone."""
    content = path.read_bytes()
    while len(content) >= 12:
        (length,) = struct.unpack("<Q", content[:8])
        if len(content) < 16 + length:
            return
        data, content = content[12 : 12 + length], content[16 + length :]
        (size,) = struct.unpack("<I", data[4:8])
        yield json.loads(data[12 : 12 + size]), data[12 + size :]


def log_files(directory: Path) -> list[Path]:
    """The files of our log in the order of their stamps."""
    return sorted(directory.glob("*.fmlog"), key=lambda path: int(path.name.split(".")[0]))


def all_steps(directory: Path) -> list[int]:
    """The steps of all records, file by file."""
    return [head["step"] for path in log_files(directory) for head, _ in records(path) if head["kind"] == "step"]


def run_facts(directory: Path) -> dict[str, Any]:
    """The head of the newest file's run record."""
    return next(records(log_files(directory)[-1]))[0]


def probe_pictures(directory: Path) -> dict[str, list[np.ndarray]]:
    """The stored pictures of the probe and of its labels."""
    head, blobs = next(records(log_files(directory)[-1]))
    return {kind: [pixels(_blob(blobs, each)) for each in head["probe"][kind]] for kind in ("pictures", "labels")}


def stored(directory: Path) -> dict[int, dict[str, Stored]]:
    """`{step: {layer: Stored}}` of a directory: from a file's first step on, once it has one, older files' steps are gone."""
    steps: dict[int, dict[str, Stored]] = {}
    for path in log_files(directory):
        (run, _), *rest = [*records(path)] or [({}, b"")]
        if rest:
            steps = {step: layers for step, layers in steps.items() if step < run["first_step"]}
        layers = [
            SimpleNamespace(**{key: _tuple(value) for key, value in facts.items()}) for facts in run.get("layers", ())
        ]
        for head, blobs in rest:
            entries = json.loads(_blob(blobs, head["layers"]))
            steps[head["step"]] = {
                facts.name: Stored(
                    facts,
                    [pixels(_blob(blobs, each)) for each in entry["maps"]],
                    np.frombuffer(_blob(blobs, entry["numbers"]), "<f4").reshape(len(facts.channels), -1),
                    dict(
                        zip(
                            facts.summaries,
                            np.frombuffer(_blob(blobs, entry["summaries"]), "<f4").tolist(),
                            strict=True,
                        )
                    ),
                )
                for facts, entry in zip(layers, entries, strict=True)
            }
    return dict(sorted(steps.items()))


def predicted(directory: Path) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """`{step: (positions of labels (images, height, width), scores)}` of the newest file; of a class no positions."""
    (run, _), *steps = records(log_files(directory)[-1])
    facts, images = run["prediction"], run["probe"]["images"]
    shape = (images, len(facts["labels"]), 3) if facts["kind"] == "labels" else (images, 2)
    found = {}
    for head, blobs in steps:
        entry = json.loads(_blob(blobs, head["prediction"]))
        maps = np.array([pixels(_blob(blobs, each)) for each in entry["maps"]])
        assert maps.shape[1:] == tuple(facts["size"])
        found[head["step"]] = maps, np.frombuffer(_blob(blobs, entry["scores"]), "<f4").reshape(shape)
    return found


def tiles(entry: Stored) -> np.ndarray:
    """The stored maps, uint8 (images, channels, height, width)."""
    facts, images = entry.facts, []
    for grid in entry.grids:
        height, width = grid.shape[0] // facts.rows, grid.shape[1] // facts.columns
        assert (height, width) == facts.map
        cut = grid.reshape(facts.rows, height, facts.columns, width).transpose(0, 2, 1, 3).reshape(-1, height, width)
        images.append(cut[: len(facts.channels)])
    return np.stack(images)


def decoded(entry: Stored) -> np.ndarray:
    """The stored maps as values: float (images, height, width, channels)."""
    low, high = entry.table[:, 0], entry.table[:, 1]
    return np.moveaxis(tiles(entry), 1, -1) / 255.0 * (high - low) + low


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def _blob(blobs: bytes, reference: list[int]) -> bytes:
    offset, length, _ = reference
    assert 0 <= offset <= offset + length <= len(blobs)
    return blobs[offset : offset + length]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
