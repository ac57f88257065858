"""The command line: what can be asked of a saved model and of logs without writing a program."""

import argparse
import math
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    import keras

    from fm_callback.capture.select import Choice


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `fm-callback`; returns 0, or 2 after a message that says what is wrong and what to do."""
    parser = argparse.ArgumentParser(prog="fm-callback", description="Feature maps of Keras models.")
    commands = parser.add_subparsers(dest="command", required=True)

    layers = commands.add_parser("layers", help="list the convolution layers of a saved model with their numbers")
    layers.add_argument("model", help="a model saved by Keras, such as model.keras")
    layers.set_defaults(run=_layers)

    render = commands.add_parser("render", help="write the feature maps of an image as PNG pictures, one a layer")
    render.add_argument("model", help="a model saved by Keras, such as model.keras")
    render.add_argument("image", help="an image file; it is resized to the model's input")
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

    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        options.run(options)
    except (OSError, ValueError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else error
        print(f"fm-callback: error: {reason}", file=sys.stderr)
        return 2
    return 0


def _layers(options: argparse.Namespace) -> None:
    from fm_callback.capture.find import conv_layers

    print(conv_layers(_load(options.model)))


def _render(options: argparse.Namespace) -> None:
    import keras

    from fm_callback.capture.capture import Capture
    from fm_callback.capture.section import Section
    from fm_callback.write import grid, png

    choice, channels = _choice(options.layers), _count(options.channels)
    low, high = options.range
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        raise ValueError(f"--range must be two different finite numbers; received {low:g} {high:g}")
    directory = Path(options.output)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"-o must be a directory, and {directory} is a file")
    model = _load(options.model)
    batch = _image(options.image, model, low, high)
    capture = Capture(model, batch, choice, channels)
    maps, numbers = capture.arrays(capture(keras.ops.convert_to_tensor(batch)))
    print(f"pixels from {low:g} (black) to {high:g} (white), as --range says")
    directory.mkdir(parents=True, exist_ok=True)
    for plan, layer_maps, layer_numbers in zip(capture.plans, maps, numbers, strict=True):
        plane = np.moveaxis(Section().planes(np.moveaxis(layer_maps, 1, -1))[0], -1, 0)
        rows, columns = grid.layout(len(plan.channels), *plane.shape[1:])
        picture = grid.picture(plane, layer_numbers, plan.channels, rows, columns)
        number = "" if plan.info.number is None else f"{plan.info.number:03d}_"
        path = directory / (number + re.sub(r"[^\w.#~-]+", "_", plan.info.path) + ".png")
        path.write_bytes(png.encode(picture, grid.PALETTE))
        print(f"{path}  {len(plan.channels)} of {plan.total} channels, {'×'.join(map(str, plane.shape[1:]))}")


def _load(path: str) -> "keras.Model":
    import keras

    if not Path(path).exists():
        raise ValueError(f"no such model: {path}")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever a file that is no model makes Keras raise
        raise ValueError(f"{path} can't be loaded as a Keras model: {error}") from error


def _image(path: str, model: "keras.Model", low: float, high: float) -> np.ndarray:
    """The image, upright, as a batch of one, float32, in the model's size and data format, black at `low` and white at `high`."""
    import keras

    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(f"model {model.name!r} does not take one image: its input shape is {shape}")
    first = keras.config.image_data_format() == "channels_first"
    height, width, channels = (shape[2], shape[3], shape[1]) if first else shape[1:]
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


def _count(text: str) -> int | str:
    if text == "all":
        return text
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"--channels must be a count from 1, or 'all'; received {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
