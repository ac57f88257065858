"""The public way to a model's feature maps as arrays, after training or without it."""

from typing import Any

import keras
import numpy as np

from fm_callback.capture.backends import backend
from fm_callback.capture.capture import Capture
from fm_callback.capture.plan import Channels, read_channels
from fm_callback.capture.restore import unbuilt_again_on_error
from fm_callback.capture.samples import as_batch
from fm_callback.capture.select import Choice
from fm_callback.capture.submodel import Submodel, watched
from fm_callback.capture.tokens import Grids, read_grid


class FeatureMapExtractor:
    """The feature maps of a model, as arrays, in one pass: for use after training.

    Example:
        >>> import keras, numpy as np
        >>> from fm_callback import FeatureMapExtractor
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, name="stem")])
        >>> maps = FeatureMapExtractor(model)(np.zeros((32, 32, 3), "float32"))
        >>> {path: values.shape for path, values in maps.items()}
        {'stem': (1, 30, 30, 8)}

    Args:
        model: Any Keras 3 model.
        layers: Which layers: "all" convolutions (the default), a count, "blocks", or a list of numbers, names, paths,
            globs, predicates.
        channels: Which channels of each: "all" (the default), a count from the first, or a list of indices.
        grid: How tokens lie, as of `FeatureMapCallback`.
        submodel: The model inside it that is meant, as for `FeatureMapCallback`; the samples are what that one takes.

    Raises:
        ValueError: if `channels` is malformed, or the model has no `call` or no such submodel; on the first call, if a choice of `layers` is unknown, empty, or made
            twice.
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Choice = "all",
        channels: Channels = "all",
        submodel: Submodel = None,
        *,
        grid: Grids = None,
    ) -> None:
        self.model = watched(model, submodel)
        self._trained = model
        self._choice = layers, read_channels(channels), read_grid(grid)
        self._captures: dict[Any, Capture] = {}

    def __call__(self, samples: Any) -> dict[str, np.ndarray]:
        """Runs the model once, in evaluation mode.

        Args:
            samples: One sample or a batch, as the model itself takes them: a KerasHub task's preprocessing is not
                applied, as it is in `fit` and by `FeatureMapCallback`. A dict or tuple of arrays for a model with
                several inputs.

        Returns:
            `{path: array}` in the order of the layers' numbers; arrays are float32, (N, h, w, c) for 2-D convolutions
            and tokens, channels last whatever the model's data format.

        Raises:
            ValueError: if the samples do not fit the model.
        """
        backend.synchronise(self._trained)
        with unbuilt_again_on_error(self.model):
            batch = as_batch(samples, self.model)
            key = str(keras.tree.map_structure(lambda array: (array.shape, str(array.dtype)), batch))
            if key not in self._captures:
                self._captures = {key: Capture(self.model, batch, *self._choice, self._trained)}
        capture = self._captures[key]
        outputs = capture.outputs(keras.tree.map_structure(keras.ops.convert_to_tensor, batch))
        return {
            plan.info.path: keras.ops.convert_to_numpy(output)
            for plan, output in zip(capture.plans, outputs, strict=True)
        }
