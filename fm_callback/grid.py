"""From maps to pictures: the stored grid, which viewers read, and the labelled picture, which people look at."""

import io
import math
import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fm_callback.measures import Status, status

#: A tile of the picture is at most this wide and high; smaller maps are magnified by whole numbers up to it.
TILE = 96
_STRIP = 8
_GAP = 6
# TensorBoard's cards are some 340 pixels wide and shrink a wider picture: its texts are so large that they can be read
# there.
_CARD, _FONT = 340, 9

# The picture is a palette image: most entries are grays for the maps, the last ones are for everything that is not a
# map.
_GRAYS = 248
_PAPER = _GRAYS - 1
_INK, _FAINT, _HATCH, _ALARM = range(_GRAYS, _GRAYS + 4)
_COLOURS = {_INK: (60, 60, 60), _FAINT: (232, 230, 226), _HATCH: (190, 184, 174), _ALARM: (205, 60, 40)}


def layout(channels: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of a grid of maps: about twice as wide as high, without gaps where that is possible.

    32 square maps stand in 4 rows of 8.
    """
    tile_height, tile_width = tile_size(height, width)
    ideal = max(1.0, math.sqrt(2 * channels * tile_height / tile_width))
    even = [count for count in range(1, channels + 1) if channels % count == 0 and 0.6 * ideal <= count <= 2 * ideal]
    columns = min(even, key=lambda count: abs(count - ideal)) if even else min(channels, math.ceil(ideal))
    return math.ceil(channels / columns), columns


def tile_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a tile of the picture, in pixels."""
    shrink, grow = math.ceil(max(height, width) / TILE), max(TILE // max(height, width), 1)
    return _tile_side(height, shrink, grow), _tile_side(width, shrink, grow)


def _tile_side(size: int, shrink: int, grow: int) -> int:
    side = math.ceil(size / shrink) if shrink > 1 else size * grow
    return side if side >= _STRIP else size * math.ceil(_STRIP / size) if size < _STRIP else _STRIP


def tile_grid(maps: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Maps in native resolution, row-major in a grid without gaps, as they are stored.

    Args:
        maps: uint8 (channels, height, width).
        rows: Rows of the grid.
        columns: Columns of the grid.

    Returns:
        uint8 (rows * height, columns * width); cells past the last channel are 0.
    """
    count, height, width = maps.shape
    cells = np.zeros((rows * columns, height, width), np.uint8)
    cells[:count] = maps
    return cells.reshape(rows, columns, height, width).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def picture(maps: np.ndarray, numbers: np.ndarray, channels: tuple[int, ...], rows: int, columns: int) -> Image.Image:
    """The picture for TensorBoard's Images tab: each map at its own contrast, its channel's number above it.

    Small maps are magnified by a whole number without smoothing; maps over 96 pixels are averaged down. A channel that
    is dead, flat or not finite is hatched and says so; one that is finite in part has a red frame and the count of the
    other cells.

    Args:
        maps: uint8 (channels, height, width), the maps of one image.
        numbers: float32 (channels, at least 7) of the same channels.
        channels: The channels' indices.
        rows: Rows of the grid.
        columns: Columns of the grid.

    Returns:
        A palette image.
    """
    sheet = _Sheet(*tile_size(*maps.shape[1:]), rows, columns)
    tiles = _magnified(_own_contrast(maps), sheet.tile_height, sheet.tile_width)
    pixels = _frame(channels, sheet).copy()
    signal = status(numbers)
    flat_here = maps.min(axis=(1, 2)) == maps.max(axis=(1, 2))
    marks = []
    for at in range(len(maps)):
        live = signal[at] == Status.LIVE and not flat_here[at]
        pixels[sheet.cell(at)] = tiles[at] if live else _hatched(sheet.tile_height, sheet.tile_width)
        if not live:
            marks.append((at, *_mark(Status(signal[at]), numbers[at])))
        elif numbers[at, 6] > 0:
            marks.append((at, f"{int(numbers[at, 6])} NaN", _ALARM))
    canvas = _with_palette(pixels)
    draw = ImageDraw.Draw(canvas)
    draw.fontmode = "1"
    for at, text, ink in marks:
        down, right = sheet.cell(at)
        if ink == _ALARM:
            draw.rectangle((right.start, down.start, right.stop - 1, down.stop - 1), outline=_ALARM, width=2)
        _write(draw, text, sheet, down, right, ink)
    return canvas


@dataclass(frozen=True)
class _Sheet:
    """Where things stand in a picture, in pixels."""

    tile_height: int
    tile_width: int
    rows: int
    columns: int

    @property
    def width(self) -> int:
        return self.columns * (self.tile_width + _GAP) + _GAP

    @property
    def font(self) -> int:
        return min(max(10, round(_FONT * self.width / _CARD)), 22)

    @property
    def pitch(self) -> int:
        return self.tile_height + self.font + _GAP

    @property
    def height(self) -> int:
        return self.rows * self.pitch + _GAP

    def cell(self, at: int) -> tuple[slice, slice]:
        row, column = divmod(at, self.columns)
        top, left = self.font + 2 + row * self.pitch, _GAP + column * (self.tile_width + _GAP)
        return slice(top, top + self.tile_height), slice(left, left + self.tile_width)


def _mark(signal: Status, numbers: np.ndarray) -> tuple[str, int]:
    if signal == Status.NONFINITE:
        return "not finite", _ALARM
    if signal == Status.DEAD:
        return "dead (0)", _INK
    return f"flat ({numbers[2]:.3g})" if signal == Status.FLAT else "flat here", _INK


def _own_contrast(maps: np.ndarray) -> np.ndarray:
    """Each map stretched to all grays of the palette: of a probe of several images, one may use few of the levels."""
    low = maps.min(axis=(1, 2), keepdims=True).astype(np.float32)
    span = np.maximum(maps.max(axis=(1, 2), keepdims=True) - low, 1)
    return (maps - low) * ((_GRAYS - 1) / span)


def _magnified(maps: np.ndarray, tile_height: int, tile_width: int) -> np.ndarray:
    """Maps of the size of a tile, by repetition if they are smaller and by averaging if they are larger; uint8."""
    for axis, size in ((1, tile_height), (2, tile_width)):
        have = maps.shape[axis]
        if have < size:
            maps = np.repeat(maps, size // have, axis)
        elif have > size:
            edges = np.arange(size) * have // size
            counts = np.diff([*edges, have])
            maps = np.add.reduceat(maps, edges, axis) / counts.reshape([-1 if at == axis else 1 for at in range(3)])
    return (maps + 0.5).astype(np.uint8)


@lru_cache(maxsize=512)
def _frame(channels: tuple[int, ...], sheet: _Sheet) -> np.ndarray:
    """All of the picture that does not change: paper and channel numbers."""
    canvas = Image.new("L", (sheet.width, sheet.height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for at, channel in enumerate(channels):
        down, right = sheet.cell(at)
        draw.text((right.start, down.start - 2), str(channel), fill=40, font=_font(sheet.font), anchor="ls")
    return np.array(canvas)


@lru_cache(maxsize=64)
def _hatched(height: int, width: int) -> np.ndarray:
    diagonal = np.add.outer(np.arange(height), np.arange(width)) % 8
    return np.where(diagonal == 0, _HATCH, _FAINT).astype(np.uint8)


def _write(draw: ImageDraw.ImageDraw, text: str, sheet: _Sheet, down: slice, right: slice, ink: int) -> None:
    """Text at the foot of a tile, on paper; left out where the tile is too small for it."""
    for size in (sheet.font, 10):
        _, _, width, height = draw.textbbox((0, 0), text, font=_font(size))
        if width + 8 <= sheet.tile_width and height + 4 <= sheet.tile_height:
            foot = down.stop - height - 5
            draw.rectangle((right.start + 2, foot - 1, right.start + width + 6, down.stop - 3), fill=_PAPER)
            draw.text((right.start + 4, foot), text, fill=ink, font=_font(size))
            return


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _with_palette(pixels: np.ndarray) -> Image.Image:
    """The same indices, seen through the picture's palette."""
    palette = [round(level * 255 / (_GRAYS - 1)) for level in range(_GRAYS) for _ in range(3)]
    for index in sorted(_COLOURS):
        palette.extend(_COLOURS[index])
    image = Image.frombytes("P", pixels.shape[::-1], pixels.tobytes())
    image.putpalette(palette)
    return image


def png(image: np.ndarray | Image.Image) -> bytes:
    """A PNG of an 8-bit picture.

    Run-length coding is what zlib does best here: maps are noisy, and a search for repeats costs three times as long
    for 5 % fewer bytes.
    """
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, "PNG", compress_type=zlib.Z_RLE)
    return file.getvalue()
