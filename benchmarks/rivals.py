"""Other ways to the same maps, as people write them today, each a function to be called at the end of an epoch."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

Way = Callable[[], Any]

CHANNELS = 32


def reference(model: keras.Model, batch: np.ndarray, names: list[str], figures: Path | None = None) -> Way:
    """The reference's way: at each epoch a new model of all the layers' outputs, and `predict`.

    With `figures` it then draws, as the reference does, one matplotlib figure a layer, 8 rows of 4 maps in gray, each scaled on its
    own, and saves it there.
    """
    if figures is not None:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

    def way() -> None:
        outputs = [model.get_layer(name).output for name in names]
        maps = keras.Model(model.inputs, outputs).predict(batch, verbose=0)
        if figures is None:
            return
        for name, layer in zip(names, maps, strict=True):
            figure = plt.figure()
            for channel in range(min(CHANNELS, layer.shape[-1])):
                axes = figure.add_subplot(8, 4, channel + 1)
                axes.set_xticks([])
                axes.set_yticks([])
                axes.imshow(layer[0, :, :, channel], cmap="gray")
            figure.savefig(figures / f"{name}.png")
            plt.close(figure)

    return way


def tf_explain(model: keras.Model, batch: np.ndarray, names: list[str], folder: Path) -> Way | None:
    """tf-explain's callback as it is, one for each layer: it can show one only. None if it is not installed."""
    try:
        from tf_explain.callbacks.activations_visualization import ActivationsVisualizationCallback
    except Exception as error:  # written for Keras 2, it may fail in many ways
        print(f"tf-explain is left out: {type(error).__name__}: {error}")
        return None
    callbacks = [ActivationsVisualizationCallback((batch, None), [name], output_dir=folder / name) for name in names]
    for callback in callbacks:
        callback.set_model(model)
    epochs = iter(range(10**6))

    def way() -> None:
        epoch = next(epochs)
        with contextlib.redirect_stdout(io.StringIO()):  # predict's progress bar
            for callback in callbacks:
                callback.on_epoch_end(epoch)

    return way


def hand_written(model: keras.Model, batch: np.ndarray, names: list[str], folder: Path) -> Way | None:
    """A careful callback: extractor built once, `predict_on_batch`, tiles in numpy, one picture a layer, flushed."""
    return _pictured(model, names, folder, lambda extractor: extractor.predict_on_batch(batch), _tiles)


def summary_image(model: keras.Model, batch: np.ndarray, names: list[str], folder: Path) -> Way | None:
    """`tf.summary.image` on an extractor that is used again: `predict`, then each layer's maps as pictures of one tag."""
    return _pictured(model, names, folder, lambda extractor: extractor.predict(batch, verbose=0), _single)


def _pictured(
    model: keras.Model,
    names: list[str],
    folder: Path,
    predict: Callable[[keras.Model], list[np.ndarray]],
    pictures: Callable[[np.ndarray], np.ndarray],
) -> Way | None:
    """An extractor built once, and `tf.summary.image` of what `pictures` makes of each layer's maps."""
    try:
        import tensorflow as tf
    except ImportError as error:
        print(f"{folder.name} is left out: {error}")
        return None
    writer = tf.summary.create_file_writer(str(folder))
    extractor = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    epochs = iter(range(10**6))

    def way() -> None:
        epoch = next(epochs)
        with writer.as_default():
            for name, layer in zip(names, predict(extractor), strict=True):
                tf.summary.image(name, pictures(layer[0, :, :, :CHANNELS]), step=epoch, max_outputs=CHANNELS)
        writer.flush()

    return way


def _single(maps: np.ndarray) -> np.ndarray:
    """(H, W, channels) as a batch of pictures, each at its own contrast."""
    maps = np.moveaxis(maps, -1, 0)[..., None]
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (maps - low) / (high - low + 1e-9)


def _tiles(maps: np.ndarray) -> np.ndarray:
    """(H, W, channels) as a batch of one gray picture, eight maps a row, each at its own contrast."""
    low, high = maps.min((0, 1)), maps.max((0, 1))
    pixels = ((maps - low) * (255 / np.where(high > low, high - low, 1))).astype(np.uint8)
    height, width, count = pixels.shape
    rows = -(-count // 8)
    tiles = np.zeros((rows * 8, height, width), np.uint8)
    tiles[:count] = np.moveaxis(pixels, -1, 0)
    return tiles.reshape(rows, 8, height, width).swapaxes(1, 2).reshape(1, rows * height, 8 * width, 1)
