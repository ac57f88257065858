"""From maps to the labelled picture that people look at in TensorBoard's Images tab; how maps stand in a grid."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fm_callback.format import NUMBERS
from fm_callback.scores.contrast import contrast
from fm_callback.scores.status import Status, status

#: A tile of the picture is at most this wide and high, half as much again as TensorBoard's cards show of one in a row of eight;
#: smaller maps are magnified by whole numbers up to it.
TILE = 64
_STRIP = 8
_GAP = 6
# TensorBoard's cards are some 340 pixels wide and shrink a wider picture: its texts are so large that they can be read
# there.
_CARD, _FONT = 340, 11

# The picture is a palette image: most entries are grays for the maps, the last ones are for everything that is not a
# map.
_GRAYS = 248
_PAPER = _GRAYS - 1
_INK, _FAINT, _HATCH, _ALARM = range(_GRAYS, _GRAYS + 4)
_COLOURS = {_INK: (60, 60, 60), _FAINT: (232, 230, 226), _HATCH: (190, 184, 174), _ALARM: (205, 60, 40)}
PALETTE = bytes(
    [
        *(round(level * 255 / (_GRAYS - 1)) for level in range(_GRAYS) for _ in range(3)),
        *(value for index in sorted(_COLOURS) for value in _COLOURS[index]),
    ]
)

_MEAN, _NONFINITE = map(NUMBERS.index, ("mean", "nonfinite"))


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


def picture(maps: np.ndarray, numbers: np.ndarray, channels: tuple[int, ...], rows: int, columns: int) -> np.ndarray:
    """The picture for TensorBoard's Images tab: each map at its own contrast (`contrast`), its channel's number above it.

    Small maps are magnified by a whole number without smoothing; maps over 64 pixels are averaged down. A channel that
    is dead, flat or not finite is hatched and says so; one that is finite in part has a red frame and the count of the
    other cells.

    Args:
        maps: uint8 (channels, height, width), the maps of one image.
        numbers: float32 (channels, at least 7) of the same channels.
        channels: The channels' indices.
        rows: Rows of the grid.
        columns: Columns of the grid.

    Returns:
        uint8 (height, width), indices into the colours of `PALETTE`.
    """
    sheet = _sheet(*tile_size(*maps.shape[1:]), rows, columns)
    low, high = contrast(maps)
    single = maps[0].size == 1  # one cell has no contrast of its own: it is shown beside those of other images
    if single:
        low, high = np.zeros_like(low), np.full_like(high, 255)
    tiles = _tiles(maps, low, high, sheet)
    signal = status(numbers)
    live = (signal == Status.LIVE) & (low < high) | (signal == Status.FLAT) & single
    for at in np.flatnonzero(~live):
        tiles[at] = _hatched(sheet.tile_height, sheet.tile_width)
        _write(tiles[at], *_mark(Status(signal[at]), numbers[at]), sheet)
    for at in np.flatnonzero(live & (numbers[:, _NONFINITE] > 0)):
        _write(tiles[at], f"{int(numbers[at, _NONFINITE])} NaN", _ALARM, sheet)
    pixels = _frame(channels, sheet).copy()
    sheet.cells(pixels)[np.divmod(np.arange(len(maps)), columns)] = tiles
    return pixels


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

    @cached_property
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

    def cells(self, pixels: np.ndarray) -> np.ndarray:
        """All cells of a picture, to be written to: (rows, columns, tile height, tile width)."""
        shape = self.rows, self.pitch, self.columns, self.tile_width + _GAP
        top = self.font + 2
        pitches = pixels[: self.rows * self.pitch, _GAP:].reshape(shape)
        return pitches[:, top : top + self.tile_height, :, : self.tile_width].swapaxes(1, 2)


@lru_cache(maxsize=64)
def _sheet(tile_height: int, tile_width: int, rows: int, columns: int) -> _Sheet:
    return _Sheet(tile_height, tile_width, rows, columns)


def _mark(signal: Status, numbers: np.ndarray) -> tuple[str, int]:
    if signal == Status.NONFINITE:
        return "not finite", _ALARM
    if signal == Status.DEAD:
        return "dead (0)", _INK
    return f"flat ({numbers[_MEAN]:.3g})" if signal == Status.FLAT else "flat here", _INK


def _tiles(maps: np.ndarray, low: np.ndarray, high: np.ndarray, sheet: _Sheet) -> np.ndarray:
    """Maps of the size of a tile, each from `low` (black) to `high` (white) in all grays of the palette; uint8, an array of its own.

    Smaller maps are repeated, larger ones averaged, and what then lies outside is clipped.
    """
    cells = 1
    for axis, size in ((1, sheet.tile_height), (2, sheet.tile_width)):
        factor = math.ceil(maps.shape[axis] / size)
        if factor > 1:
            maps, cells = _sums(maps, axis, factor, size), cells * factor
    low = low[:, None, None].astype(np.float32)
    span = high[:, None, None].astype(np.float32) - low
    scale = np.divide((_GRAYS - 1) / cells, span, out=np.zeros_like(span), where=span > 0)
    tiles = (np.clip((maps - low * cells) * scale, 0, _GRAYS - 1) + 0.5).astype(np.uint8)
    for axis, size in ((1, sheet.tile_height), (2, sheet.tile_width)):
        if tiles.shape[axis] < size:
            tiles = np.repeat(tiles, size // tiles.shape[axis], axis)
    return tiles


def _sums(maps: np.ndarray, axis: int, factor: int, size: int) -> np.ndarray:
    """Sums of `factor` neighbours along an axis; the last of them is taken again where there are too few."""
    missing = size * factor - maps.shape[axis]
    if missing:
        maps = np.concatenate([maps, np.repeat(maps.take([-1], axis), missing, axis)], axis)
    parts = np.moveaxis(maps, axis, 0)
    sums = parts[::factor].astype(np.uint32)
    for first in range(1, factor):
        sums += parts[first::factor]
    return np.moveaxis(sums, 0, axis)


@lru_cache(maxsize=512)
def _frame(channels: tuple[int, ...], sheet: _Sheet) -> np.ndarray:
    """All of the picture that does not change: paper and channel numbers."""
    canvas = Image.new("L", (sheet.width, sheet.height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for at, channel in enumerate(channels):
        down, right = sheet.cell(at)
        _print(draw, (right.start, down.start - 2), str(channel), 40, sheet, sheet.font, "ls")
    return np.array(canvas)


@lru_cache(maxsize=64)
def _hatched(height: int, width: int) -> np.ndarray:
    diagonal = np.add.outer(np.arange(height), np.arange(width)) % 8
    return np.where(diagonal == 0, _HATCH, _FAINT).astype(np.uint8)


def _write(tile: np.ndarray, text: str, ink: int, sheet: _Sheet) -> None:
    """Text at the foot of a tile, on paper, left out where the tile is too small for it; what alarms is framed as well."""
    if ink == _ALARM:
        for edge in (tile[:2], tile[-2:], tile[:, :2], tile[:, -2:]):
            edge[:] = _ALARM
    for size in (sheet.font, 10):
        label = _label(text, ink, size, sheet)
        height, width = label.shape
        if width + 3 <= sheet.tile_width and height + 2 <= sheet.tile_height:
            tile[-height - 2 : -2, 2 : 2 + width] = label
            return


@lru_cache(maxsize=64)
def _label(text: str, ink: int, size: int, sheet: _Sheet) -> np.ndarray:
    _, _, width, height = _font(size).getbbox(text, "1")
    canvas = Image.new("L", (math.ceil(width) + 5, math.ceil(height) + 4), _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.fontmode = "1"
    _print(draw, (2, 1), text, ink, sheet, size)
    return np.array(canvas)


def _print(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    ink: int,
    sheet: _Sheet,
    size: int,
    anchor: str | None = None,
) -> None:
    """Text; in a picture that a card shrinks again and again, a pixel apart: cards leave rows and columns out, and thin strokes with them."""
    shifts = ((0, 0), (1, 0), (0, 1), (1, 1)) if sheet.width > _CARD else ((0, 0),)
    for right, down in shifts:
        draw.text((place[0] + right, place[1] + down), text, fill=ink, font=_font(size), anchor=anchor)


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
