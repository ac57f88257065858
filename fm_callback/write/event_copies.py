"""Copies for TensorBoard's own tabs: pictures for Images, measures for Scalars, the table for Text.

TensorBoard's own `EventFileWriter` imports TensorFlow where that is installed and spends 10 ms a megabyte on checksums
in Python; the format is simple enough to be written here, with the protocol buffers that TensorBoard ships.
"""

import re
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata

from fm_callback import tfrecord
from fm_callback.format import PLUGIN, unique

#: Bytes of a record with more than one value, at most.
_MOST_IN_RECORD = 2**14

#: One tag's value at one step, a protocol buffer that is made when TensorBoard's module is loaded: no type for a checker.
Value: TypeAlias = Any


def tags(names: Iterable[str]) -> list[str]:
    """The last part of the tags, one for each name, in order, each of its own.

    TensorBoard's fast reading path fails on what JSON escapes, in a tag: quotation marks, backslashes and control
    characters.
    """
    return unique(re.sub(r'["\\\x00-\x1f]', "_", name) for name in names)


def layer_tags(layers: Sequence[tuple[int | None, str]], convolutions: int) -> list[str]:
    """The same of layers, which then stand in TensorBoard in the order of the log, and not of their names.

    A convolution is led by its number, as it is called elsewhere; what is no convolution, and comes after them, by its place
    among its kind.

    Args:
        layers: Number and path of each; None of what is no convolution.
        convolutions: How many the model has: the width of all numbers.
    """
    others = [path for number, path in layers if number is None]
    places = iter(range(1, len(others) + 1))
    widths = len(str(convolutions)), len(str(len(others)))
    return tags(
        f"{next(places):0{widths[1]}} {path}" if number is None else f"#{number:0{widths[0]}} {path}"
        for number, path in layers
    )


def curves(summaries: Sequence[str]) -> tuple[str, ...]:
    """Which of a layer's summaries are copied for the Scalars tab; our own tab has all of them.

    Whether the layer shows the object, or without masks the edges; and whether it is alive. TensorBoard keeps up to 1,000 steps of each
    curve in memory, at about a KB a point on its slow reading path: with all of them, 51 layers and 100 steps would take some 80 MB a run, and
    714 cards.
    """
    scores = [name for name in ("mask_separation_best", "edge_auroc_best") if name in summaries]
    return (*scores[:1], "dead_or_flat")


def group(summary: str) -> str:
    """What the curves of a summary of layers stand under in TensorBoard: behind the `epoch_*` of Keras, which open first.

    Short, since Time Series leaves out the middle of what is long, and this is all that tells a layer's curves apart there.
    """
    return f"maps_{summary}"


def image_value(layer: str, picture: bytes, size: tuple[int, int], description: str) -> Value:
    """The picture of a layer for TensorBoard's Images tab; size is width and height, the description Markdown."""
    tag = f"{PLUGIN}/{layer}"
    width, height = (str(side).encode() for side in size)
    metadata = image_metadata.create_summary_metadata(
        display_name=tag, description=description, converted_to_tensor=True
    )
    metadata.data_class = summary_pb2.DATA_CLASS_BLOB_SEQUENCE
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=_strings(width, height, picture))


def scalar_value(measure: str, name: str, value: float, description: str) -> Value:
    """A value of a measure at a step, for TensorBoard's Scalars and Time Series tabs; as Keras's own callback writes one.

    TensorBoard makes a group of what stands before the first slash: one for each measure.

    Args:
        measure: The group.
        name: Of what: a layer's, or a label's, part of the tag.
        value: The value.
        description: What it means, Markdown.
    """
    metadata = scalar_metadata.create_summary_metadata(display_name="", description=description)
    metadata.data_class = summary_pb2.DATA_CLASS_SCALAR
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT, tensor_shape=tensor_shape_pb2.TensorShapeProto(), float_val=[value]
    )
    return summary_pb2.Summary.Value(tag=f"{measure}/{name}", metadata=metadata, tensor=tensor)


def text_value(tag: str, text: str) -> Value:
    """Markdown for TensorBoard's Text tab."""
    metadata = text_metadata.create_summary_metadata(display_name="", description="")
    metadata.data_class = summary_pb2.DATA_CLASS_TENSOR
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, tensor_shape=tensor_shape_pb2.TensorShapeProto(), string_val=[text.encode()]
    )
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


class EventRecords:
    """The records of one event file."""

    def __init__(self, first_step: int) -> None:
        """Begins with the first step to come: readers drop what older files of the directory hold from that step on."""
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._head: tuple[Any, ...] = (
            event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2"),
            event_pb2.Event(wall_time=time.time(), step=first_step, session_log=start),
        )
        self._tags: set[str] = set()

    def step(self, step: int, values: Iterable[Value]) -> bytes:
        """All values of a step, behind the head of the file if it is the first.

        Metadata is written with the first value of a tag only, since readers take it from there; of later values it is removed.
        They are one record as long as that is small, the curves' points first. TensorBoard's slow reading path keeps in memory,
        with any value, the whole record that it came in: were they one always, all pictures of each of a thousand steps.
        """
        records: list[list[Value]] = [[]]
        size = 0
        for value in sorted(values, key=lambda value: bool(value.tensor.dtype == types_pb2.DT_STRING)):
            if value.tag in self._tags:
                value.ClearField("metadata")
            self._tags.add(value.tag)
            size += value.ByteSize()
            if records[-1] and size > _MOST_IN_RECORD:
                records.append([])
                size = value.ByteSize()
            records[-1].append(value)
        summaries = [summary_pb2.Summary(value=each) for each in records if each]
        events = [event_pb2.Event(wall_time=time.time(), step=step, summary=each) for each in summaries]
        head, self._head = self._head, ()
        return b"".join(tfrecord.pack(event.SerializeToString()) for event in (*head, *events))


def _strings(*strings: bytes) -> tensor_pb2.TensorProto:
    size = tensor_shape_pb2.TensorShapeProto.Dim(size=len(strings))
    shape = tensor_shape_pb2.TensorShapeProto(dim=[size])
    return tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=strings)
