"""Stored PNGs, looked at before they are decoded: a log may be hostile."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from fm_callback.format import DamagedError

_IHDR = struct.Struct(">8sI4sIIBBBBB")
_START = b"\x89PNG\r\n\x1a\n", 13, b"IHDR"
_GRAY, _RGB, _PALETTE, _RGBA = 0, 2, 3, 6
#: No picture of a probe has more pixels.
_MOST_PROBE_PIXELS = 2**26


def check_map(png: bytes, height: int, width: int) -> None:
    """Sees to it that a stored map is an 8-bit gray picture of the size that its layer says.

    Raises:
        DamagedError: if it is not.
    """
    if _header(png) != (height, width, _GRAY):
        raise DamagedError("a stored map is no 8-bit gray PNG of its layer's size")


def check_prediction(png: bytes, height: int, width: int) -> None:
    """Sees to it that a predicted label map is an 8-bit gray or indexed picture of the size that the run says.

    Raises:
        DamagedError: if it is not.
    """
    if _header(png) not in ((height, width, _GRAY), (height, width, _PALETTE)):
        raise DamagedError("a stored prediction is no 8-bit gray or indexed PNG of its size")


def check_probe(png: bytes, size: tuple[int, int] | None, gray: bool) -> None:
    """Sees to it that a picture of the probe is an 8-bit picture of this size; of a bounded one where it is not known.

    Raises:
        DamagedError: if it is not.
    """
    height, width, kind = _header(png)
    if kind not in ((_GRAY,) if gray else (_GRAY, _RGB, _RGBA)) or not 0 < height * width <= _MOST_PROBE_PIXELS:
        raise DamagedError("a picture of the probe is no 8-bit PNG")
    if size not in (None, (height, width)):
        raise DamagedError("a picture of the probe has not the size of the samples")


def decode(png: bytes) -> np.ndarray:
    """The pixels of a picture that was looked at.

    Returns:
        uint8 (height, width) or (height, width, 3 or 4); of an indexed picture the indices.

    Raises:
        DamagedError: if they can't be read.
    """
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            pixels = np.array(picture)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        zlib.error,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        raise DamagedError("a stored picture can't be decoded") from error
    height, width, _ = _header(png)
    if pixels.dtype != np.uint8 or pixels.shape[:2] != (height, width):
        raise DamagedError("a stored picture is not what it says")
    return pixels


def _header(png: bytes) -> tuple[int, int, int]:
    """Height, width and kind of an 8-bit PNG."""
    if len(png) >= _IHDR.size:
        *start, name, width, height, depth, kind, packed, filters, interlaced = _IHDR.unpack_from(png)
        if (*start, name) == _START and (depth, packed, filters) == (8, 0, 0) and interlaced in (0, 1):
            return height, width, kind
    raise DamagedError("a stored picture is no 8-bit PNG")
