"""TFRecord framing: length, its checksum, data, its checksum. Our own log and TensorBoard's event files are both made of it."""

import struct
from functools import reduce

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


def checksum(*pieces: bytes | memoryview) -> bytes:
    """CRC-32C of data in pieces, rotated and offset as TFRecord asks, so that a checksum of checksums is no special case."""
    return masked(reduce(google_crc32c.extend, pieces, 0))


def masked(crc: int) -> bytes:
    """CRC-32C as TFRecord stores it."""
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
