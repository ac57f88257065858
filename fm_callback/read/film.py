"""A film of a layer: its maps at each step, with what they score, beside the input."""

import math
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fm_callback.format import printable
from fm_callback.read.painted import Painter, probe_picture, step_name, title

#: By the name of a file, what Pillow calls its format; `.mp4` is made by ffmpeg.
_FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
_PAPER, _INK, _SOFT, _TRACK, _ACCENT, _OFF = "#ffffff", "#1b1b1b", "#5c5c66", "#e3e3e6", "#a84300", "#ececef"
_SIDE = 384  # pixels of a picture's longer side, about
_GAP, _HEAD, _FOOT = 12, 40, 34
_FILM, _LEAST, _MOST, _LAST = 8000, 80, 600, 1600  # milliseconds: of all, of a step, of the last


def write_film(
    painter: Painter,
    path: str,
    channel: int | None = None,
    colour: bool = False,
    steps: Sequence[int] | None = None,
    progress: Callable[[int, int], object] = lambda done, of: None,
) -> None:
    """Writes a film of a layer.

    Args:
        painter: Of the layer and the image.
        path: The file: `.gif`, `.webp`, `.png` or `.apng` (animated), or, where ffmpeg is installed, `.mp4`.
        channel: Of this channel; None for all of them.
        colour: In colour, in place of single channels.
        steps: Of these steps; None for all.
        progress: Called with how many steps are done, and of how many.

    Raises:
        ValueError: if there is no such kind of film.
        UnknownError: if the channel is not logged.
    """
    kind = Path(path).suffix.lower()
    if kind not in (*_FORMATS, ".mp4"):
        raise ValueError(f"a film is a {', '.join(_FORMATS)} or .mp4 file; received {path!r}")
    if kind == ".mp4" and not shutil.which("ffmpeg"):
        raise ValueError("an .mp4 is made by ffmpeg, which is not installed; .gif, .webp and .png need nothing more")
    steps = painter.run.steps if steps is None else steps
    frames = _frames(painter, channel, colour, steps, progress)
    waits = [round(min(max(_FILM / len(steps), _LEAST), _MOST))] * (len(steps) - 1) + [_LAST]
    if kind == ".mp4":
        _mp4(frames, waits, path)
        return
    pictures = list(frames)
    if kind == ".gif":
        pictures = [_with_few_colours(each) for each in pictures]
    options = {"lossless": True} if kind == ".webp" else {"disposal": 1} if kind == ".gif" else {}
    pictures[0].save(path, _FORMATS[kind], save_all=True, append_images=pictures[1:], duration=waits, loop=0, **options)


def _with_few_colours(frame: Image.Image) -> Image.Image:
    """The 256 that no pixel is far from: the rare ones are what matters. They are looked for on each third row and column."""
    small = frame.resize((frame.width // 3, frame.height // 3), Image.Resampling.NEAREST)
    palette = small.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=500)  # until no more pixels than these change
    return frame.quantize(palette=palette, dither=Image.Dither.NONE)


def _frames(
    painter: Painter, channel: int | None, colour: bool, steps: Sequence[int], progress: Callable[[int, int], object]
) -> Iterator[Image.Image]:
    shown = _input(painter)
    for at, step in enumerate(steps):
        progress(at, len(steps))
        if colour:
            picture = _tile(painter.colour(step), _size(painter))
        elif channel is not None:
            picture = _tile(painter.channel(step, channel), _size(painter))
        else:
            picture = _sheet(painter.channels(step), painter)
        told = painter.score(step, channel)
        if told and channel is None:
            told = f"best {told}"
        what = title(painter.layer) + ("" if channel is None else f", channel {channel}")
        yield _frame(shown, picture, step_name(painter.run, step), told, printable(what), at / max(len(steps) - 1, 1))
    progress(len(steps), len(steps))


def _frame(
    shown: Image.Image | None, picture: Image.Image, step: str, told: str, what: str, part: float
) -> Image.Image:
    pictures = [each for each in (shown, picture) if each]
    inside = sum(each.width + _GAP for each in pictures) - _GAP
    width = max(inside, 380) + 2 * _GAP
    height = _HEAD + max(each.height for each in pictures) + _FOOT
    frame = Image.new("RGB", (width + width % 2, height + height % 2), _PAPER)  # films have no odd sides
    draw = ImageDraw.Draw(frame)
    draw.text((_GAP, _HEAD / 2), step, _INK, _font(18), "lm")
    draw.text((width - _GAP, _HEAD / 2), told, _INK, _font(18), "rm")
    left = _GAP
    for each in pictures:
        frame.paste(each, (left, _HEAD))
        left += each.width + _GAP
    font = _font(14)
    while draw.textlength(what, font) > width - 2 * _GAP and len(what) > 8:
        what = f"{what[: len(what) // 2 - 2]}…{what[len(what) // 2 + 2 :]}"
    draw.text((_GAP, height - _FOOT / 2 - 3), what, _SOFT, font, "lm")
    line = height - 6
    draw.rectangle((_GAP, line, width - _GAP, line + 2), _TRACK)
    draw.rectangle((_GAP, line, _GAP + part * (width - 2 * _GAP), line + 2), _ACCENT)
    return frame


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _size(painter: Painter) -> tuple[int, int]:
    """Width and height at which a map is shown: of a small one a whole number of times its own."""
    height, width = painter.layer.facts.map
    by = _SIDE / max(height, width)
    by = math.floor(by) if by >= 1 else by
    return max(1, round(width * by)), max(4, round(height * by))


def _tile(painted: np.ndarray | str, size: tuple[int, int]) -> Image.Image:
    if isinstance(painted, str):
        picture = Image.new("RGB", size, _OFF)
        draw = ImageDraw.Draw(picture)
        for x in range(-size[1], size[0], 8):  # hatched, as in the page
            draw.line((x, size[1], x + size[1], 0), _TRACK, 2)
        if size[0] > 60:
            draw.text((size[0] / 2, size[1] / 2), painted, _SOFT, _font(max(12, size[0] // 20)), "mm")
        return picture
    return Image.fromarray(painted).resize(size, Image.Resampling.BOX)


def _sheet(painted: list[np.ndarray | str], painter: Painter) -> Image.Image:
    """All channels, in rows, together about half as wide again as high."""
    height, width = painter.layer.facts.map
    columns = max(1, min(len(painted), round(math.sqrt(1.5 * len(painted) * height / width))))
    rows = math.ceil(len(painted) / columns)
    by = max(min(_SIDE / rows / height, 1.5 * _SIDE / columns / width), 6 / max(height, width))
    by = math.floor(by) if by >= 2 else by
    size = max(4, round(by * width)), max(4, round(by * height))
    sheet = Image.new("RGB", (columns * (size[0] + 2) - 2, rows * (size[1] + 2) - 2), _PAPER)
    for at, each in enumerate(painted):
        sheet.paste(_tile(each, size), (at % columns * (size[0] + 2), at // columns * (size[1] + 2)))
    return sheet


def _input(painter: Painter) -> Image.Image | None:
    if not painter.layer.facts.planar or (picture := probe_picture(painter.run, painter.image)) is None:
        return None
    shown = Image.fromarray(picture)
    by = _size(painter)[1] / shown.height
    kind = Image.Resampling.LANCZOS if by < 1 else Image.Resampling.BICUBIC
    return shown.resize((max(1, round(shown.width * by)), _size(painter)[1]), kind)


def _mp4(frames: Iterator[Image.Image], waits: Sequence[int], path: str) -> None:
    """Each frame is repeated 25 times a second, as long as it is seen."""
    first = next(frames)
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-r", "25"]
    command += ["-s", f"{first.width}x{first.height}", "-i", "-", "-pix_fmt", "yuv420p", "-crf", "16", path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin and process.stderr
        try:
            for frame, wait in zip((first, *frames), waits, strict=True):
                for _ in range(max(1, wait // 40)):
                    process.stdin.write(frame.tobytes())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says itself what is wrong
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise ValueError(f"ffmpeg could not make {path}: {said}")
