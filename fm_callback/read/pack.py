"""Bytes in the text of an HTML page, hardly longer than they are.

A page is written as UTF-16 with a byte order mark, which every browser believes before anything that a server says. Two
bytes are one unit of it, as they are, but for those that text can't hold or that HTML would change: surrogates, zero,
the carriage return, `<` and the mark itself. In their place stand the mark, U+E000, and the unit with its highest bit
turned. Of bytes that look random 1 unit in 32 is one of these: 1.031 times as long, where base64 is 1.333. `<` never
stands in a block, so that nothing in it can end it.

Where text must be UTF-8, as in a notebook's file, blocks are base64.
"""

import base64
import gzip
from collections.abc import Callable
from typing import Final

import numpy as np

#: Bytes of a block, about: what is opened at a time.
_BLOCK: Final = 2**22
_MARK, _TURN = 0xE000, 0x8000

#: Where bytes are: the block, their offset in it, how many, and whether they are packed by gzip.
Place = tuple[int, int, int, bool]


def to_units(data: bytes) -> str:
    """An even number of bytes as text that HTML leaves as it is.

    >>> [hex(ord(unit)) for unit in to_units(bytes([0x61, 0, 0x3C, 0]))]  # "<" is U+003C
    ['0x61', '0xe000', '0x803c']
    """
    units = np.frombuffer(data, "<u2")
    escaped = ((units >= 0xD800) & (units <= _MARK)) | (units == 0x3C) | (units == 0x0D) | (units == 0)
    at = np.arange(len(units)) + np.cumsum(escaped)
    text = np.full(len(units) + int(escaped.sum()), _MARK, "<u2")
    text[at] = np.where(escaped, units ^ _TURN, units)
    return text.tobytes().decode("utf-16-le")


class Blocks:
    """Puts bytes into blocks, and writes each block as an element when it is full.

    Args:
        write: Takes the text.
        ascii: Whether the text is to be base64.
    """

    def __init__(self, write: Callable[[str], object], ascii: bool = False) -> None:
        self._write, self._ascii = write, ascii
        self._count, self._filled = 0, bytearray()

    def add(self, data: bytes, packed: bool = False) -> Place:
        """Adds bytes; says where they are.

        Args:
            data: The bytes.
            packed: Whether they are to be packed.
        """
        if packed:
            data = gzip.compress(data, mtime=0)
        place = self._count, len(self._filled), len(data), packed
        self._filled += data
        if len(self._filled) >= _BLOCK:
            self._end()
        return place

    def close(self, index: bytes) -> None:
        """Adds a last block, which holds the index alone: four bytes that say how long it is, and it, packed."""
        if self._filled:
            self._end()
        packed = gzip.compress(index, mtime=0)
        self._filled += len(packed).to_bytes(4, "little") + packed
        self._end()

    def _end(self) -> None:
        data = bytes(self._filled) + b"\0" * (len(self._filled) % 2)
        text = base64.b64encode(data).decode() if self._ascii else to_units(data)
        self._write(f'<script type="text/plain" data-as="{"base64" if self._ascii else "units"}">{text}</script>\n')
        self._count, self._filled = self._count + 1, bytearray()
