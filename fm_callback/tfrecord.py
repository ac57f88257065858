"""TFRecord framing: length, its checksum, data, its checksum. Our own log and TensorBoard's event files are both made of it."""

import struct
from collections.abc import Iterator
from functools import reduce
from typing import BinaryIO

import google_crc32c

#: Bytes before a record's data (its length and the length's checksum) and after it (the data's checksum).
BEFORE, AFTER = 12, 4


def pack(*pieces: bytes) -> bytes:
    """One record of data that is given in pieces."""
    length = struct.pack("<Q", sum(map(len, pieces)))
    return b"".join((length, checksum(length), *pieces, checksum(*pieces)))


def length_of(frame: bytes) -> int | None:
    """The length of a record's data by the `BEFORE` bytes in front of it; None where these are cut off or damaged."""
    if len(frame) < BEFORE or checksum(frame[:8]) != frame[8:BEFORE]:
        return None
    (length,) = struct.unpack("<Q", frame[:8])
    return int(length)


def checksum(*pieces: bytes) -> bytes:
    """CRC-32C of data in pieces, rotated and offset as TFRecord asks, so that a checksum of checksums is no special case."""
    return masked(reduce(google_crc32c.extend, pieces, 0))


def masked(crc: int) -> bytes:
    """CRC-32C as TFRecord stores it."""
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def records(file: BinaryIO) -> Iterator[bytes]:
    """The data of the whole records from here on; ends quietly before the first that is cut off or damaged."""
    while (length := length_of(file.read(BEFORE))) is not None:
        data = file.read(length) if length < 2**62 else b""
        if len(data) < length or file.read(AFTER) != checksum(data):
            return
        yield data
