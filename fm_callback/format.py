"""The stored format, version 1: the one thing that the side that writes and the side that reads have in common.

One TFRecord event file a run of training. All values of one step are one record, so that a step is whole or absent.
Nothing here needs Keras or a backend: TensorBoard's own process imports it.
"""

import json
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import reduce
from typing import Any, BinaryIO

import google_crc32c

VERSION = 1
PLUGIN = "feature_maps"
PROBE_TAG = "probe"
#: Markdown for TensorBoard's Text tab: when each layer became a mask, by the steps so far.
TABLE_TAG = "mask_table"

#: What is known of a channel at a step without any mask, over all probe images; the order in which it is stored.
NUMBERS = ("low", "high", "mean", "mean_abs", "std", "zeros", "nonfinite")

#: PNGs are kept for the first images of the probe only; numbers are taken over all of them.
STORED_IMAGES = 4

#: What a pixel of a stored mask says.
MASK_PIXELS = {"background": 0, "ignore": 128, "foreground": 255}


@dataclass(frozen=True)
class LayerFacts:
    """What does not change from step to step about one logged layer: the JSON in its tags' plugin data.

    Attributes:
        number: 1-based number among the model's convolutions, None for another kind of layer.
        kind: Class of the layer, such as "Conv2D".
        path: True path of the layer in the model; its tag may have characters replaced.
        kernel: Spatial size of the kernel, None where the layer has none.
        activation: Name of the activation that the layer itself applies, None where it has none.
        shape: Shape of the layer's output for one image, channels last.
        slice: Index of the slice that is stored of a map with a third axis (Conv3D's depth, TimeDistributed's time),
            else None.
        channels: Indices of the logged channels, frozen for the run.
        rows: Rows of the stored grid.
        columns: Columns of the stored grid.
        fields: Names of the columns of `<layer>/numbers`.
        cells: How many cells of all probe images stand behind a measure, by concept ("foreground", "background", "edges",
            "outline").
        step_unit: "epoch" or "batch".
        probe_images: How many images stand behind the numbers.
        stored_images: How many images' maps are stored.
        version: Version of the format.
    """

    number: int | None
    kind: str
    path: str
    kernel: tuple[int, ...] | None
    activation: str | None
    shape: tuple[int, ...]
    slice: int | None
    channels: tuple[int, ...]
    rows: int
    columns: int
    fields: tuple[str, ...]
    cells: dict[str, int]
    step_unit: str
    probe_images: int
    stored_images: int
    version: int = VERSION

    def to_json(self) -> bytes:
        return to_json(asdict(self))

    @classmethod
    def from_json(cls, content: bytes) -> "LayerFacts":
        """Reads what `to_json` wrote; keys that a newer version added are left out.

        Raises:
            ValueError: if a key is missing or the content is not a JSON object.
        """
        stored = json.loads(content)
        if not isinstance(stored, dict):
            raise ValueError(f"the static facts of a layer are a JSON object; received {type(stored).__name__}")
        missing = {field.name for field in fields(cls)} - stored.keys()
        if missing:
            raise ValueError(f"the static facts of a layer lack {sorted(missing)}")
        known: dict[str, Any] = {field.name: stored[field.name] for field in fields(cls)}
        known = {key: tuple(value) if isinstance(value, list) else value for key, value in known.items()}
        return cls(**known)


def to_json(facts: dict[str, Any]) -> bytes:
    """One spelling for one content, so that equal facts are equal bytes."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def layer_tags(paths: Iterable[str]) -> list[str]:
    """The `<layer>` part of the tags, one for each path, in order, each of its own.

    TensorBoard's fast reading path fails on what JSON escapes, in a tag: quotation marks, backslashes and control
    characters; the true path is in the facts.
    """
    return unique(re.sub(r'["\\\x00-\x1f]', "_", path) for path in paths)


def unique(names: Iterable[str]) -> list[str]:
    """The names in order, repeats marked with `~2`, `~3`, ..."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, count = name, 1
        while candidate in taken:
            count += 1
            candidate = f"{name}~{count}"
        taken.add(candidate)
        result.append(candidate)
    return result


def pack_record(*pieces: bytes) -> bytes:
    """One TFRecord: length, its checksum, the data, here in pieces, its checksum."""
    length = struct.pack("<Q", sum(map(len, pieces)))
    return b"".join((length, _masked_crc(length), *pieces, _masked_crc(*pieces)))


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """The whole records from the start of a file; ends quietly before the first that is cut off or damaged."""
    while len(head := file.read(12)) == 12:
        length = head[:8]
        if head[8:] != _masked_crc(length):
            return
        (size,) = struct.unpack("<Q", length)
        data = file.read(size)
        if len(data) < size or file.read(4) != _masked_crc(data):
            return
        yield data


def _masked_crc(*pieces: bytes) -> bytes:
    """CRC-32C, rotated and offset as the TFRecord format asks, so that a checksum of checksums is no special case."""
    crc = reduce(google_crc32c.extend, pieces, 0)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
