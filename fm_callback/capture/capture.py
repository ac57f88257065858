"""One forward pass, built once: samples in, the maps of all chosen layers out.

Two parts. The pass runs the model in evaluation mode and captures the chosen channels. The summary makes of them what
is stored, 8-bit maps and their numbers, in one buffer each; it reads no weights, so it may run later, on another
thread, while training goes on. On JAX both are one compiled function over a copy of the weights, and run later;
elsewhere the training thread waits for the pass.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import keras
import numpy as np

from fm_callback.capture.backends import backend, same_objects
from fm_callback.capture.find import find, obstacle, shown, specs_of
from fm_callback.capture.layers import every_layer
from fm_callback.capture.plan import Channels, plan_layers
from fm_callback.capture.select import Choice, select
from fm_callback.capture.summary import summarise
from fm_callback.capture.tokens import Grids, lay_out
from fm_callback.capture.trace import Call, on_one_line, recording
from fm_callback.capture.warn import warn

#: What is left to do of a pass; its call gives all pixels in one buffer and all numbers in another, on the device.
Captured: TypeAlias = Callable[[], tuple[Any, Any]]


class Capture:
    """The compiled pass of one model over batches of one shape.

    Attributes:
        plans: What is captured, in the order of the maps.
    """

    def __init__(
        self, model: keras.Model, samples: Any, layers: Choice, channels: Channels, grid: Grids = None
    ) -> None:
        """Finds and chooses layers; compiles nothing yet.

        Args:
            model: The model, built or not.
            samples: One batch, or a structure of batches for a model with several inputs, as numpy arrays.
            layers: As for `FeatureMapCallback`.
            channels: As for `FeatureMapCallback`.
            grid: As for `FeatureMapCallback`.

        Raises:
            ValueError: if a choice is unknown, empty, or made twice, or how tokens lie can't be told.
        """
        specs = keras.tree.map_structure(lambda batch: keras.KerasTensor(batch.shape, str(batch.dtype)), samples)
        if not model.built:  # from a batch of any size: otherwise the model would remember this one's
            find(model, specs_of(samples), samples)
        found, untraceable = find(model, specs, samples)
        chosen = select(found, layers)
        self.plans = plan_layers(chosen, channels, lay_out(chosen, found, _planes(samples), grid))
        self._model = model
        self._images = len(keras.tree.flatten(samples)[0])
        self._arguments, self._parts = _arguments(samples, layers, channels, grid), _parts(model)
        self._summarise = backend.compile_pure(partial(summarise))  # its own: TensorFlow warns of many traces of one
        self._eager = untraceable is not None or backend.runs_eagerly
        self._fast, self._slow = backend.compile(model, self._forward), backend.eager(model, self._forward)
        self._deferred = backend.defer(model, self._whole) if backend.defers else None
        if untraceable is not None:
            self._warn(untraceable)

    @property
    def told(self) -> str:
        """What of the layers' outputs is left out, in words; empty if nothing is."""
        prefixed = [plan for plan in self.plans if plan.grid and plan.grid.prefix]
        if not prefixed:
            return ""
        most = max(plan.grid.prefix for plan in prefixed if plan.grid)
        tokens = "token" if most == 1 else "tokens"
        return f"; {most} {tokens} before those of the picture left out, in {len(prefixed)} of {len(self.plans)} layers"

    def fits(self, model: keras.Model, samples: Any, layers: Choice, channels: Channels, grid: Grids = None) -> bool:
        """Whether a capture made anew would be this one again: same arguments, and a model of the same parts."""
        return (
            model is self._model
            and self._arguments == _arguments(samples, layers, channels, grid)
            and same_objects(self._parts, _parts(model))
        )

    def __call__(self, samples: Any) -> Captured:
        """Captures the chosen channels at the weights of this moment.

        Args:
            samples: Tensors like the arrays with which the capture was made.

        Returns:
            What is left to do, for any thread: it reads no weights. `arrays` takes it.
        """
        if self._deferred is not None and not self._runs_eagerly:
            with suppress(Exception):  # the plain way meets the same obstacle, and says so
                return self._deferred(samples)
        return partial(self._summarise, self.outputs(samples))

    def outputs(self, samples: Any) -> list[Any]:
        """The chosen channels at the weights of this moment.

        Args:
            samples: Tensors like the arrays with which the capture was made.

        Returns:
            Float32 tensors (N, ..., channels) on the device, one for each of `plans`.
        """
        if self._runs_eagerly:
            return self._slow(samples)
        try:
            return self._fast(samples)
        except Exception as error:
            self._eager = True
            outputs = self._slow(samples)  # raises again where the fault is the model's own
            self._warn(on_one_line(error))
            return outputs

    def arrays(self, captured: Captured) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What is stored of captured channels.

        Args:
            captured: What a call returned.

        Returns:
            The maps, a list of uint8 arrays (N, channels, *sizes), each channel scaled to its own low and high
            over all images; and the numbers, a list of float32 arrays (channels, numbers) in the order of `NUMBERS`.
        """
        pixels, numbers = backend.to_host(captured())
        maps, rows = [], []
        for plan in self.plans:
            count = len(plan.channels)
            shape = (self._images, *plan.axes, count)
            length = int(np.prod(shape))
            maps.append(np.ascontiguousarray(np.moveaxis(pixels[:length].reshape(shape), -1, 1)))
            rows.append(numbers[:count])
            pixels, numbers = pixels[length:], numbers[count:]
        return maps, rows

    @property
    def _runs_eagerly(self) -> bool:
        """Whether the model's Python must run each time; a compiled pass would go on as at its trace."""
        return self._eager or self._model.run_eagerly

    def _whole(self, inputs: Any) -> tuple[Any, Any]:
        """The pass and its summary in one function."""
        return self._summarise(self._forward(inputs))

    def _forward(self, inputs: Any) -> list[Any]:
        """The pass."""
        wanted = {plan.info.path: plan for plan in self.plans}
        like = keras.tree.flatten(inputs)[0]
        outputs: dict[str, Any] = {}

        def visit(call: Call) -> None:
            if call.path in wanted and obstacle(output := shown(call), like) is None:
                outputs[call.path] = wanted[call.path].take(output)

        with recording(self._model, visit):
            self._model(inputs, training=False)
        absent = [path for path in wanted if path not in outputs]
        if absent and not self._runs_eagerly:
            raise RuntimeError(f"{absent} could not be captured, though a first trace of the model had found them")
        if absent:
            warn(f"the layers {absent} took no part in a pass: NaN is stored of them")
        for path in absent:  # data decided otherwise than when the layers were found: nothing to show is not zero
            shape = (like.shape[0], *wanted[path].shape[:-1], len(wanted[path].channels))
            outputs[path] = keras.ops.full(shape, float("nan"), "float32")
        return [outputs[path] for path in wanted]

    def _warn(self, reason: str) -> None:
        warn(
            f"model {self._model.name!r} can't be compiled ({reason}): its feature maps are taken by running it layer "
            "by layer, which is slower"
        )


def _planes(samples: Any) -> list[tuple[int, int]]:
    """Height and width of those inputs that have them."""
    first = keras.config.image_data_format() == "channels_first"
    shapes = [leaf.shape for leaf in keras.tree.flatten(samples) if leaf.ndim == 4]
    return [(shape[2], shape[3]) if first else (shape[1], shape[2]) for shape in shapes]


def _arguments(samples: Any, layers: Choice, channels: Channels, grid: Grids) -> tuple[Any, ...]:
    """What a capture depends on of its arguments, to be compared with `==`."""
    shapes = [(batch.shape, str(batch.dtype)) for batch in keras.tree.flatten(samples)]
    choice = layers if isinstance(layers, (int, np.integer, str)) or callable(layers) else list(layers)
    return shapes, choice, channels, grid


def _parts(model: keras.Model) -> list[Any]:
    """What a capture depends on of its model, to be compared with `same_objects`."""
    compiled_with = getattr(model, "optimizer", None)  # where Keras traces anew, so do we
    return [compiled_with, *every_layer(model), *model.variables]
