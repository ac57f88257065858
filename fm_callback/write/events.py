"""One step, one record in the event file.

TensorBoard's own `EventFileWriter` imports TensorFlow where that is installed and spends 10 ms a megabyte on checksums
in Python; the format is simple enough to be written here, with the protocol buffers that TensorBoard ships.
"""

import contextlib
import itertools
import os
import re
import socket
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata

from fm_callback.format import MASK_PIXELS, PLUGIN, PROBE_TAG, VERSION, pack_record, read_records, to_json
from fm_callback.write import png
from fm_callback.write.claim import Claim

#: One tag's value at one step, a protocol buffer that is made when TensorBoard's module is loaded: no type for a checker.
Value: TypeAlias = Any

_files = count()


def maps_value(layer: str, pngs: Iterable[bytes], facts: bytes) -> Value:
    """The stored grids of a layer at a step, one PNG an image."""
    return _ours(f"{layer}/maps", _strings(pngs), facts, summary_pb2.DATA_CLASS_BLOB_SEQUENCE)


def numbers_value(layer: str, numbers: np.ndarray, facts: bytes) -> Value:
    """The numbers of a layer at a step, float32 (channels, fields)."""
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT,
        tensor_shape=_shape(*numbers.shape),
        tensor_content=np.ascontiguousarray(numbers, "<f4").tobytes(),
    )
    return _ours(f"{layer}/numbers", tensor, facts, summary_pb2.DATA_CLASS_TENSOR)


def probe_value(pictures: np.ndarray | None, scaling: str | None, masks: np.ndarray | None, digest: str) -> Value:
    """The stored images of the probe, then their masks, with the JSON that says what they are.

    Args:
        pictures: uint8 (N, H, W) or (N, H, W, C); None for a probe that is no image.
        scaling: How values became pixels.
        masks: uint8 (N, H, W) with the pixels of `MASK_PIXELS`, or None.
        digest: Tells this probe from others.
    """
    blobs = [png.encode(picture) for group in (pictures, masks) if group is not None for picture in group]
    facts = {
        "version": VERSION,
        "images": 0 if pictures is None else len(pictures),
        "masks": 0 if masks is None else len(masks),
        "scaling": scaling,
        "mask_pixels": MASK_PIXELS,
        "digest": digest,
    }
    return _ours(PROBE_TAG, _strings(blobs), to_json(facts), summary_pb2.DATA_CLASS_BLOB_SEQUENCE)


def image_value(layer: str, picture: bytes, size: tuple[int, int], description: str) -> Value:
    """The picture of a layer for TensorBoard's Images tab; size is width and height, the description Markdown."""
    tag = f"{PLUGIN}/{layer}"
    width, height = (str(side).encode() for side in size)
    metadata = image_metadata.create_summary_metadata(
        display_name=tag, description=description, converted_to_tensor=True
    )
    metadata.data_class = summary_pb2.DATA_CLASS_BLOB_SEQUENCE
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=_strings([width, height, picture]))


def scalar_value(measure: str, layer: str, value: float) -> Value:
    """A layer's value of a measure at a step, for TensorBoard's Scalars and Time Series tabs."""
    tag = f"{PLUGIN}/{measure}/{layer}"
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_shape=_NO_AXES, float_val=[value])
    return summary_pb2.Summary.Value(tag=tag, metadata=_SCALAR, tensor=tensor)


def text_value(tag: str, text: str) -> Value:
    """Markdown for TensorBoard's Text tab."""
    metadata = text_metadata.create_summary_metadata(display_name="", description="")
    metadata.data_class = summary_pb2.DATA_CLASS_TENSOR
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=_shape(), string_val=[text.encode()])
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


def _ours(tag: str, tensor: tensor_pb2.TensorProto, facts: bytes, data_class: int) -> Value:
    metadata = summary_pb2.SummaryMetadata(data_class=data_class)
    metadata.plugin_data.plugin_name = PLUGIN
    metadata.plugin_data.content = facts
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


def _strings(blobs: Iterable[bytes]) -> tensor_pb2.TensorProto:
    blobs = list(blobs)
    return tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=_shape(len(blobs)), string_val=blobs)


def _shape(*sizes: int) -> tensor_shape_pb2.TensorShapeProto:
    return tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in sizes])


_NO_AXES = _shape()
_SCALAR = scalar_metadata.create_summary_metadata(display_name="", description="")
_SCALAR.data_class = summary_pb2.DATA_CLASS_SCALAR

#: How many values are turned into bytes at once: of all together, megabytes would be copied twice.
_AT_ONCE = 16


class EventFile:
    """An event file that is being written: each step whole or absent, on disk when `write` returns.

    Attributes:
        path: The file, from its first step on.
    """

    def __init__(self, directory: Path, first_step: int) -> None:
        """Begins the file.

        Args:
            directory: Where; created with its parents where missing.
            first_step: The first step to come. Readers drop what older files of the directory hold from that step on.

        Raises:
            BlockingIOError: if another file is being written there.
            OSError: if the file can't be created.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._claim = Claim(directory)
        # Readers take files in the order of their names: a clock that was set back must not put this one before the
        # older ones.
        stamp = max([int(time.time()), *(_stamp(path) + 1 for path in event_files(directory))])
        number = next(_files)
        self.path = directory / f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}.{number}"
        # The first step makes readers drop older ones: until it is whole, the file has a name that they pass over.
        self._begun: Path | None = directory / f".{PLUGIN}.{os.getpid()}.{number}.part"
        try:
            for left in directory.glob(f".{PLUGIN}.*.part"):  # of a process that was killed
                left.unlink(missing_ok=True)
            self._file = open(self._begun, "xb", buffering=0)  # noqa: SIM115
        except OSError:
            self._claim.end()
            raise
        self._size = 0
        self._tags: set[str] = set()
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        head = (
            event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2"),
            event_pb2.Event(wall_time=time.time(), step=first_step, session_log=start),
        )
        self._head = [pack_record(event.SerializeToString()) for event in head]

    def write(self, step: int, values: Iterable[Value]) -> int:
        """Appends all values of one step as one record.

        Static facts are written with the first value of a tag only, since readers take them from there; of later values
        they are removed.

        Returns:
            How many bytes the file grew by.

        Raises:
            OSError: if the record could not be written whole or the file is no longer there. The file then ends with
                the last whole record, as far as the file system allows, and is closed; one without any is removed.
        """
        values = list(values)
        for value in values:
            if value.tag in self._tags:
                value.ClearField("metadata")
            self._tags.add(value.tag)
        record = [event_pb2.Event(wall_time=time.time(), step=step).SerializeToString()]
        for at in range(0, len(values), _AT_ONCE):  # readers merge what a message has in pieces
            piece = event_pb2.Event(summary=summary_pb2.Summary(value=values[at : at + _AT_ONCE]))
            record.append(piece.SerializeToString())
        grown = self._append(b"".join([*self._head, pack_record(*record)]))
        self._head = []
        return grown

    def close(self) -> None:
        """Closes the file; one without a step is removed."""
        if self._begun is not None:
            with contextlib.suppress(OSError):
                self._begun.unlink()
                self.path.parent.rmdir()
        self._claim.end()
        self._file.close()

    def _append(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
            if os.fstat(self._file.fileno()).st_nlink == 0:
                raise FileNotFoundError(f"the event file is no longer there: {self.path}")
            if self._begun is not None:
                self._begun.rename(self.path)
                self._begun = None
        except OSError:
            # A cut record followed by good ones would hide them all from readers.
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            with contextlib.suppress(OSError):
                self.close()
            raise
        self._size += len(data)
        return len(data)


def open_run(log_dir: Path, first_step: int, values: Iterable[Value], last: Path | None = None) -> EventFile:
    """Opens an event file for a run in `<log_dir>/feature_maps`, or beside it where another run is there already.

    A run that starts after step 0 goes on in the newest directory that holds the same static facts and is not being
    written; any other run gets a directory of its own, `feature_maps_2`, `feature_maps_3`, ...: a tag's facts come from
    its first event for ever, so two layouts in one directory would be decoded wrongly.

    Args:
        log_dir: The directory that TensorBoard watches.
        first_step: The first step of the run.
        values: The values of that step, with the static facts.
        last: The directory that the caller wrote to before: of several that it could go on in, that one.

    Raises:
        OSError: if no file can be created there.
    """
    facts = _facts(values)
    used = run_directories(log_dir)
    highest = _run_number(used[-1]) if used else 0
    new = (log_dir / (f"{PLUGIN}_{number}" if number > 1 else PLUGIN) for number in count(highest + 1))
    candidates = itertools.chain([last] if last in used else [], reversed(used), new)
    while True:
        directory = next(candidates)
        try:
            held = stored_facts(directory)
        except OSError:
            if directory in used:  # somebody else's
                continue
            raise
        if held is None or (first_step > 0 and held == facts):
            try:
                return EventFile(directory, first_step)
            except BlockingIOError:  # being written
                continue
            except FileExistsError:  # a file has the name; or nothing has, and there is no place for it
                if not os.path.lexists(directory):
                    raise


def run_directories(log_dir: Path) -> list[Path]:
    """The directories of our runs in a log directory that hold event files, oldest first."""
    candidates = [path for path in log_dir.glob(f"{PLUGIN}*") if path.is_dir() and _run_number(path)]
    return sorted((path for path in candidates if event_files(path)), key=_run_number)


def _run_number(directory: Path) -> int:
    match = re.fullmatch(rf"{PLUGIN}(?:_([1-9]\d*))?", directory.name)
    return int(match[1] or 1) if match else 0


def event_files(directory: Path) -> list[Path]:
    """The event files of a directory in the order in which readers take them."""
    return sorted(directory.glob("events.out.tfevents.*"))


def _stamp(path: Path) -> int:
    match = re.match(r"events\.out\.tfevents\.(\d+)\.", path.name)
    return int(match[1]) if match else 0


def stored_facts(directory: Path) -> dict[str, bytes] | None:
    """The static facts of the run in a directory, as its first step has them; None where no step is stored."""
    for path in event_files(directory):
        with open(path, "rb") as file:
            for record in read_records(file):
                event = event_pb2.Event.FromString(record)
                if event.summary.value:
                    return _facts(event.summary.value)
    return None


def _facts(values: Iterable[Value]) -> dict[str, bytes]:
    """What must be the same for a run to go on, by tag: our own facts, and that there are pictures."""
    data = {value.tag: value.metadata.plugin_data for value in values}
    return {tag: each.content for tag, each in data.items() if each.plugin_name in (PLUGIN, image_metadata.PLUGIN_NAME)}
