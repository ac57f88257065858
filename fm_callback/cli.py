"""The command line: what can be asked of a saved model and of logs without writing a program."""

import argparse
import json
import math
import os
import re
import sys
import webbrowser
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from fm_callback.format import printable
from fm_callback.read.unknown import UnknownError

if TYPE_CHECKING:
    import keras

    from fm_callback.capture.select import Choice
    from fm_callback.read.run import Run


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `fm-callback`; returns 0, 1 if a log is damaged, or 2 after a message that says what is wrong and what to do."""
    parser = argparse.ArgumentParser(prog="fm-callback", description="Feature maps of Keras models, and logs of them.")
    commands = parser.add_subparsers(dest="command", required=True)

    saved = argparse.ArgumentParser(add_help=False)
    saved.add_argument("model", help="a model saved by Keras, such as model.keras")
    saved.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="import a module that has custom layers and functions of the model, such as my_layers (may be repeated)",
    )
    saved.add_argument(
        "--unsafe",
        action="store_true",
        help="load Lambda layers, too: their code comes from the file, so only for a file that you trust",
    )

    layers = commands.add_parser(
        "layers", parents=[saved], help="list the convolution layers of a saved model with their numbers"
    )
    layers.set_defaults(run=_layers)

    render = commands.add_parser(
        "render",
        parents=[saved],
        help="write the feature maps of an image as PNG pictures, one a layer, each map from its 1st to its 99th percentile",
    )
    render.add_argument("image", help="an image file; it is resized to the model's input")
    render.add_argument(
        "--size", metavar="HxW", help="height and width that the image is resized to, for a model that takes any size"
    )
    render.add_argument(
        "--layers", default="all", help="numbers, names and globs, with commas between, or 'all' (default)"
    )
    render.add_argument(
        "--channels", default="32", help="so many channels of each layer, from the first, or 'all' (default: 32)"
    )
    render.add_argument(
        "--range",
        nargs=2,
        type=float,
        default=(0.0, 255.0),
        metavar=("LOW", "HIGH"),
        help="the values that black and white had in training: 0 255 (default), 0 1, -1 1, ...",
    )
    render.add_argument("-o", "--output", default=".", help="the directory for the pictures (default: here)")
    render.set_defaults(run=_render)

    ls = commands.add_parser("ls", help="list the runs of a log: steps, layers, size, when the newest step was written")
    ls.add_argument("log_dir", help="a log directory")
    ls.add_argument("--json", action="store_true", help="the same for programs")
    ls.set_defaults(run=_ls)

    found = commands.add_parser("findings", help="say what stands out in the runs of a log, and what people then try")
    found.add_argument("log_dir", help="a log directory")
    found.add_argument("--json", action="store_true", help="the same for programs")
    found.set_defaults(run=_findings)

    check = commands.add_parser(
        "check",
        help="verify every checksum of a log; returns 0 if all is sound, 1 if something is damaged, 2 if something "
        "can't be read",
    )
    check.add_argument("log_dir", help="a log directory")
    check.set_defaults(run=_check)

    report = commands.add_parser(
        "report",
        help="write a log and the page that shows it into one HTML file, which opens from disk, without a server",
    )
    report.add_argument("log_dir", help="a log directory")
    report.add_argument("-o", "--output", default="report.html", help="the file (default: report.html)")
    report.add_argument("--layers", help="numbers, names and globs, with commas between (default: all)")
    report.add_argument("--steps", help="steps, with commas between; -1 is the last (default: all)")
    report.add_argument("--max-mb", type=float, help="leave out steps, at equal ratios, until the file is no larger")
    report.add_argument("--open", action="store_true", help="open it in a browser")
    report.set_defaults(run=_report)

    picture = argparse.ArgumentParser(add_help=False)
    picture.add_argument("log_dir", help="a log directory")
    picture.add_argument("--run", dest="of", help="the run, where the log has several")
    picture.add_argument("--image", type=int, default=0, help="the stored image, from 0 (default: 0)")
    picture.add_argument("--steps", help="steps, with commas between; -1 is the last (default: all)")

    film = commands.add_parser(
        "film", parents=[picture], help="write a film of a layer through its steps: .gif, .webp, .png or .mp4"
    )
    film.add_argument("--layer", required=True, help="its number, or its name")
    shown = film.add_mutually_exclusive_group()
    shown.add_argument("--channel", type=int, help="one channel (default: all of them, side by side)")
    shown.add_argument("--colour", action="store_true", help="all channels as one picture in colour")
    film.add_argument("-o", "--output", help="the file (default: the layer's name, .gif)")
    film.set_defaults(run=_film)

    sheet = commands.add_parser(
        "sheet", parents=[picture], help="write a figure of layers x steps in colour: .pdf, .svg or .png"
    )
    sheet.add_argument("--layers", help="numbers, names and globs, with commas between (default: all)")
    sheet.add_argument("-o", "--output", default="figure.pdf", help="the file (default: figure.pdf)")
    sheet.set_defaults(run=_sheet)

    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return options.run(options) or 0
    except (OSError, ValueError, ImportError, UnknownError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else error
        print(f"fm-callback: error: {reason}", file=sys.stderr)
        return 2


def _layers(options: argparse.Namespace) -> None:
    from fm_callback.capture.find import conv_layers

    print(conv_layers(_load(options)))


def _render(options: argparse.Namespace) -> None:
    import keras

    from fm_callback.capture.capture import Capture
    from fm_callback.capture.section import Section
    from fm_callback.capture.submodel import is_of_the_pass
    from fm_callback.write import grid, png

    choice, channels, size = _choice(options.layers), _count(options.channels), _size(options.size)
    low, high = options.range
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise ValueError(f"--range must be two different finite numbers; received {low:g} {high:g}")
    directory = Path(options.output)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"-o must be a directory, and {directory} is a file")
    model = _load(options)
    batch = _image(options.image, model, low, high, size)
    try:
        capture = Capture(model, batch, choice, channels)
        maps, numbers, *_ = capture(keras.ops.convert_to_tensor(batch))()
    except Exception as error:
        if not is_of_the_pass(error):
            raise
        raise ValueError(_refused(model, batch, error)) from error
    print(f"pixels from {low:g} (black) to {high:g} (white), as --range says")
    directory.mkdir(parents=True, exist_ok=True)
    for plan, layer_maps, layer_numbers in zip(capture.plans, maps, numbers, strict=True):
        plane = np.moveaxis(Section().planes(np.moveaxis(layer_maps, 1, -1))[0], -1, 0)
        rows, columns = grid.layout(len(plan.channels), *plane.shape[1:])
        picture = grid.picture(plane, layer_numbers, plan.channels, rows, columns)
        number = "" if plan.info.number is None else f"{plan.info.number:03d}_"
        path = directory / (number + re.sub(r"[^\w.#~-]+", "_", plan.info.path) + ".png")
        path.write_bytes(png.encode(picture, grid.PALETTE))
        channels = f"{len(plan.channels)} of {plan.total} channel{'' if plan.total == 1 else 's'}"
        print(f"{path}  {channels}, {'×'.join(map(str, plane.shape[1:]))}")


def _ls(options: argparse.Namespace) -> None:
    from fm_callback.read.log import open_log

    log = open_log(options.log_dir)
    if options.json:
        print(json.dumps([_listed(run) for run in log.values()], indent=1))
        return
    rows = [("run", "steps", "layers", "size", "newest step")]
    for run in log.values():
        steps, size = run.steps, run.snapshot.size
        written = datetime.fromtimestamp(run.wall_time()).isoformat(" ", "seconds")
        spread = f"{len(steps)} ({steps[0]} to {steps[-1]})" if len(steps) > 1 else f"1 ({steps[0]})"
        rows.append((printable(run.display_name), spread, str(len(run.layers)), f"{size / 1e6:,.1f} MB", written))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in (rows[0], tuple("-" * width for width in widths), *rows[1:]):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for problem in (*log.problems, *(f"{run.display_name}: {each}" for run in log.values() for each in run.problems)):
        print(printable(problem))


def _listed(run: "Run") -> dict[str, Any]:
    return {
        "run": run.name,
        "name": run.display_name,
        "steps": run.steps,
        "step_unit": run.step_unit,
        "layers": [layer.name for layer in run.layers],
        "bytes": run.snapshot.size,
        "wall_time": run.wall_time(),
        "problems": run.problems,
    }


def _findings(options: argparse.Namespace) -> None:
    from fm_callback.read.findings import and_others, for_reading
    from fm_callback.read.log import open_log

    runs = open_log(options.log_dir)
    found = {name: run.findings() for name, run in runs.items()}
    if options.json:
        content = [
            {
                "run": name,
                "name": runs[name].display_name,
                "step_unit": runs[name].step_unit,
                "step": runs[name].steps[-1],
                "findings": [each.as_json() for each in of_run],
            }
            for name, of_run in found.items()
        ]
        print(json.dumps({"format": 1, "runs": content}, indent=1, allow_nan=False))
        return
    for name, of_run in found.items():
        print(printable(f"{runs[name].display_name}, step {runs[name].steps[-1]}: {len(of_run) or 'nothing'} found"))
        for each, left in for_reading(of_run):
            print(printable(f"  {each.severity}: {each.kind}: {each.text}{and_others(left)}"))
            print(printable(f"    people then try: {each.advice}"))


def _check(options: argparse.Namespace) -> int:
    from fm_callback.read.log_file import LogFile
    from fm_callback.read.walk import Walk

    unread: list[str] = []
    if Path(options.log_dir).is_file():
        files = [LogFile(options.log_dir)]
    elif Path(options.log_dir).is_dir():
        found = sorted((walk := Walk(options.log_dir))().items())
        files = [LogFile(os.path.join(directory, name)) for directory, names in found for name in sorted(names)]
        unread += [f"{path}: can't be read: {reason}" for path, reason in walk.refused]
    else:
        raise ValueError(f"no such log directory or file: {options.log_dir}")
    if not (files or unread):
        raise ValueError(f"{options.log_dir} holds no log of feature maps")
    steps = damaged = 0
    for file in files:
        try:
            for damage in file.check():
                damaged += 1
                print(printable(f"{file.path}: byte {damage.offset:,}: {damage.what}"))
        except OSError as error:
            unread.append(f"{file.path}: can't be read: {error.strerror or error}")
        steps += len(file.steps)
        if file.rest and not file.tail:
            print(printable(f"{file.path}: {file.rest:,} bytes at the end are not a whole record: passed over"))
    counted = ", ".join(
        f"{count} {what}{'' if count == 1 else 's'}" for count, what in ((len(files), "file"), (steps, "record"))
    )
    for each in unread:
        print(printable(each))
    sound = "all sound" if not unread else "nothing damaged in what could be read"
    print(f"{counted}: " + (f"damaged places: {damaged}" if damaged else sound))
    return 1 if damaged else 2 if unread else 0


def _report(options: argparse.Namespace) -> None:
    from fm_callback.read.log import open_log
    from fm_callback.read.report import write_report

    log = open_log(options.log_dir)
    made = write_report(log, options.output, options.layers, options.steps, options.max_mb, _bar("report"))
    size = os.path.getsize(options.output)
    print(f"{options.output}: {size / 1e6:,.1f} MB, {size / max(made.pictures, 1):.2f} times its pictures")
    for name, (steps, of) in made.steps.items():
        if len(steps) < of:
            why = f", so that it fits {options.max_mb:g} MB" if made.thinned else ""
            print(printable(f"{name}: {len(steps)} of {of} steps{why}: {', '.join(map(str, steps))}"))
    if options.open:
        webbrowser.open(Path(options.output).resolve().as_uri())


def _chosen_run(options: argparse.Namespace) -> "Run":
    from fm_callback.read.log import open_log

    log = open_log(options.log_dir)
    if options.of is None and len(log) > 1:
        raise ValueError(f"{options.log_dir} has {len(log)} runs: give --run, one of {', '.join(map(repr, log))}")
    return log[0 if options.of is None else options.of]


def _film(options: argparse.Namespace) -> None:
    from fm_callback.read import choose
    from fm_callback.read.film import write_film
    from fm_callback.read.painted import Painter

    run = _chosen_run(options)
    layer = run[int(options.layer) if re.fullmatch(r"-?\d+", options.layer) else options.layer]
    steps = choose.steps(run.steps, options.steps, f"run {run.name!r}")
    path = options.output or re.sub(r"[^\w.#-]+", "_", layer.path) + ".gif"
    write_film(Painter(layer, options.image), path, options.channel, options.colour, steps, _bar("film"))
    print(f"{path}: {len(steps)} steps, {os.path.getsize(path) / 1e6:,.1f} MB")


def _sheet(options: argparse.Namespace) -> None:
    from fm_callback.read import choose
    from fm_callback.read.sheet import write_sheet

    run = _chosen_run(options)
    layers = choose.layers(run.facts.layers, options.layers, f"run {run.name!r}")
    steps = choose.steps(run.steps, options.steps, f"run {run.name!r}")
    write_sheet(run, options.output, layers, steps, options.image, _bar("sheet"))
    print(f"{options.output}: {len(layers)} layers at {len(steps)} steps")


def _bar(what: str) -> Callable[[int, int], None]:
    """Draws how far long work is, where somebody looks on."""

    def draw(done: int, of: int) -> None:
        if sys.stderr.isatty():
            part = done / max(of, 1)
            end = "\n" if done == of else ""
            print(f"\r{what} [{'#' * round(30 * part):30}] {done} of {of}", end=end, file=sys.stderr, flush=True)

    return draw


def _load(options: argparse.Namespace) -> "keras.Model":
    import keras

    from fm_callback.capture.trace import on_one_line

    path = options.model
    if not Path(path).exists():
        raise ValueError(f"no such model: {path}")
    custom = {name: value for module in options.modules for name, value in _import(module).items()}
    try:
        return keras.models.load_model(path, custom_objects=custom, compile=False, safe_mode=not options.unsafe)
    except Exception as error:  # whatever a file that is no model makes Keras raise
        reason = on_one_line(error)
        if missing := re.search(r"Could not locate \w+ '[^']*'", str(error)):  # deep in a text with the whole config
            reason = f"{missing[0]}. Give --import MODULE, the module that has it"
        elif "safe_mode" in str(error):
            reason += " Its code comes from the file: if you trust that, give --unsafe"
        raise ValueError(f"{path} can't be loaded as a Keras model: {reason}") from error


def _import(name: str) -> dict[str, Any]:
    """The classes and functions of a module, found as `python -m` finds it: from the directory where one stands."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = import_module(name)
    except Exception as error:
        raise ValueError(f"--import {name}: {type(error).__name__}: {error}") from error
    home = name.split(".")[0]
    return {
        key: value
        for key, value in vars(module).items()
        if callable(value) and (getattr(value, "__module__", None) or "").split(".")[0] == home
    }


def _refused(model: "keras.Model", batch: np.ndarray, error: Exception) -> str:
    """What is said of an image that the model raises an error at."""
    import keras

    from fm_callback.capture.trace import on_one_line

    first = keras.config.image_data_format() == "channels_first"
    height, width = batch.shape[2:] if first else batch.shape[1:3]
    said = f"model {model.name!r} can't take the image at {height}×{width} ({on_one_line(error)})"
    if None not in model.input_shape[1:]:
        return said
    # Most models that take any size halve it up to five times.
    fitting = "x".join(str(max(32, round(side / 32) * 32)) for side in (height, width))
    return f"{said}; give a size that it takes, such as --size {fitting}"


def _image(path: str, model: "keras.Model", low: float, high: float, size: tuple[int, int] | None = None) -> np.ndarray:
    """The image, upright, as a batch of one, float32, in the model's data format, black at `low` and white at `high`.

    It has the model's size, where that is fixed; else `size`, (height, width), if it is given.
    """
    import keras

    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(f"model {model.name!r} does not take one image: its input shape is {shape}")
    first = keras.config.image_data_format() == "channels_first"
    height, width, channels = (shape[2], shape[3], shape[1]) if first else shape[1:]
    if size is not None and any(own not in (None, asked) for own, asked in zip((height, width), size, strict=True)):
        raise ValueError(
            f"--size {size[0]}x{size[1]} is not that of model {model.name!r}, which takes images of "
            + "×".join("any" if side is None else str(side) for side in (height, width))
        )
    height, width = size or (height, width)
    modes = {1: "L", 3: "RGB", 4: "RGBA", None: "RGB"}  # a letter a channel
    if channels not in modes:
        raise ValueError(f"model {model.name!r} takes images of {channels} channels; an image file has 1, 3 or 4")
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            deep = upright.mode.startswith("I")  # gray of 16 bits, which Pillow's own conversion clips at 255
            image = Image.fromarray(np.asarray(upright, np.float32) / 257) if deep else upright.convert(modes[channels])
    except OSError as error:
        raise ValueError(f"{path} can't be read as an image: {error}") from error
    image = image.resize((width or image.width, height or image.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32).reshape(image.height, image.width, -1)
    if deep:
        pixels = np.repeat(pixels, len(modes[channels]), axis=-1)
        pixels[..., 3:] = 255  # opaque
    values = low + pixels * ((high - low) / 255)
    return np.moveaxis(values, -1, 0)[None] if first else values[None]


def _choice(text: str) -> "Choice":
    if text == "all":
        return "all"
    items: list[Any] = [int(item) if re.fullmatch(r"-?\d+", item) else item for item in text.split(",") if item]
    return items


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    if not (sides := re.fullmatch(r"([1-9]\d*)[x×]([1-9]\d*)", text, re.ASCII)):
        raise ValueError(f"--size must be a height and a width, such as 224x320; received {text!r}")
    return int(sides[1]), int(sides[2])


def _count(text: str) -> int | str:
    if text == "all":
        return text
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"--channels must be a count from 1, or 'all'; received {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
