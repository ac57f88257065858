"""One forward pass, built once: samples in, the maps of all chosen layers out, and what the model predicts.

Two parts. The pass runs the model in evaluation mode (on request once more in training mode) and captures the chosen
channels and the prediction. The summary makes of them what is stored, 8-bit maps and their numbers, in one buffer each; it reads no weights, so it may run later, on another
thread, while training goes on. On JAX both are one compiled function over a copy of the weights, and run later;
elsewhere the training thread waits for the pass. A probe of many images goes through in chunks: `chunks.py`.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np

from fm_callback.capture.backends import Function, Work, backend, same_objects
from fm_callback.capture.chunks import AT_ONCE, CHUNK, Chunk, first_of_chunks, in_two_passes
from fm_callback.capture.find import find, obstacle, shown, specs_of
from fm_callback.capture.layers import are_channels_first, every_layer
from fm_callback.capture.plan import Channels, Plan, plan_layers
from fm_callback.capture.prediction import Asked, NoPredictionError, Prediction, choose
from fm_callback.capture.restore import unbuilt_again_on_error
from fm_callback.capture.samples import dtype_of
from fm_callback.capture.select import Choice, select
from fm_callback.capture.submodel import explaining
from fm_callback.capture.summary import summarise, summarise_chunk
from fm_callback.capture.tokens import Grids, lay_out
from fm_callback.capture.trace import Call, on_one_line, recording
from fm_callback.capture.warn import warn
from fm_callback.format import MOST_BLOB, SCORES, Label


class Arrays(NamedTuple):
    """What is stored of a pass.

    Attributes:
        maps: For each layer uint8 (N, channels, *sizes), each channel scaled to its own low and high over all images.
        numbers: For each layer float32 (channels, numbers), as `NUMBERS` says.
        zeros: For each layer the share of cells that are 0 behind the ReLU that follows it, float32 (channels,); None where none does.
        prediction: What the model predicts, as of `Prediction.take`; None if that is not read.
        training: Maps and numbers in training mode; None if that is not asked for.
    """

    maps: list[np.ndarray]
    numbers: list[np.ndarray]
    zeros: list[np.ndarray | None]
    prediction: np.ndarray | None
    training: tuple[list[np.ndarray], list[np.ndarray]] | None = None


#: What is left to do of a pass, for any thread: it reads no weights.
Captured: TypeAlias = Callable[[], Arrays]


class Capture:
    """The compiled pass of one model over batches of one shape.

    Attributes:
        model: The model.
        plans: What is captured, in the order of the maps.
        convolutions: How many convolutions the model has, those that are called again counted once.
        channels_first: Whether the model has the channel axis second.
        learns: Whether a layer that is captured has weights that training changes.
        prediction: What is read of the model's output; None: nothing.
    """

    def __init__(
        self,
        model: keras.Model,
        samples: Any,
        layers: Choice,
        channels: Channels,
        grid: Grids = None,
        trained: keras.Model | None = None,
        training_pass: bool = False,
    ) -> None:
        """Finds and chooses layers; compiles nothing yet. After an error an unbuilt model is unbuilt again.

        Args:
            model: The model, built or not.
            samples: One batch, or a structure of batches for a model with several inputs, as numpy arrays.
            layers: As for `FeatureMapCallback`.
            channels: As for `FeatureMapCallback`.
            grid: As for `FeatureMapCallback`.
            trained: The model that is compiled and trained, if `model` is a part of it.
            training_pass: Whether the samples go through the model once more, in training mode.

        Raises:
            ValueError: if a choice is unknown, empty, or made twice, or how tokens lie can't be told.
        """
        self._images = len(keras.tree.flatten(samples)[0])
        self._size = self._images if self._images <= AT_ONCE else CHUNK  # of what goes through at once
        batch = keras.tree.map_structure(lambda array: array[: self._size], samples)
        specs = keras.tree.map_structure(lambda array: keras.KerasTensor(array.shape, dtype_of(array)), batch)
        with unbuilt_again_on_error(model):
            if not model.built:  # from a batch of any size: otherwise the model would remember this one's
                find(model, specs_of(batch), batch)
            found, untraceable, self._outputs = find(model, specs, batch)
            self.channels_first = are_channels_first(entry.layer for entry in found)
            self.convolutions = max((entry.info.number or 0 for entry in found), default=0)
            chosen = select(found, layers)
            self.learns = any(entry.layer.trainable_variables for entry in chosen)
            grids = lay_out(chosen, found, _planes(samples, self.channels_first), grid)
            self.plans = plan_layers(chosen, channels, grids, self.channels_first)
        self.model, self._trained = model, trained or model
        self._plain, self._parts = _made_of(model, samples, layers, channels, grid, trained, training_pass)
        self._summarise = backend.compile_pure(partial(summarise))  # its own: TensorFlow warns of many traces of one
        self._eager = untraceable is not None or backend.runs_eagerly
        self.prediction: Prediction | None = None
        self._unpredicted = ""
        self._is_training = False
        self._again: Capture | None = self._in_training_mode() if training_pass else None
        self._compile()
        if untraceable is not None:
            self._warn(untraceable)

    def _in_training_mode(self) -> "Capture":
        """The same pass in training mode, of which maps and numbers alone are wanted."""
        again = copy.copy(self)
        again.plans = [replace(plan, rectifier=None) for plan in self.plans]
        again._summarise = backend.compile_pure(partial(summarise))
        again._is_training, again._again = True, None
        again._compile()
        return again

    def _compile(self) -> None:
        """Makes the functions; each is traced when it is first called."""
        model = self.model
        self._fast, self._slow = backend.compile(model, self._forward), backend.eager(model, self._forward)
        self._fast_maps, self._slow_maps = backend.compile(model, self._maps), backend.eager(model, self._maps)
        self._fast_chunk, self._slow_chunk = backend.compile(model, self._chunk), backend.eager(model, self._chunk)
        at_once = self._whole if self._images <= AT_ONCE else self._chunk
        self._deferred = backend.defer(model, at_once)

    def predict(self, asked: Asked, axes: tuple[int, ...] = (), labels: Sequence[Label] = ()) -> None:
        """Decides what is read of the model's output as its prediction, before the first pass.

        Args:
            asked: As for `FeatureMapCallback`.
            axes: Sizes of the axes of the masks, or of the picture; empty where there is none.
            labels: The labels of the masks; empty without them.

        Raises:
            ValueError: if what is asked for is not there, or can't be read.
        """
        chosen, self._unpredicted = None, ""
        try:
            chosen = choose(
                self._outputs,
                asked,
                axes=axes,
                labels=labels,
                channels_first=self.channels_first,
                loss=getattr(self._trained, "loss", None),
                whole=self.model is self._trained,
            )
            if chosen and 4 * self._images * chosen.channels * len(SCORES) > MOST_BLOB:
                raise NoPredictionError(f"scores of {chosen.channels} labels in {self._images:,} images are too many")
        except NoPredictionError as error:
            self._unpredicted = f"; no prediction: {error}"
        if chosen != self.prediction:
            self.prediction = chosen
            self._compile()

    @property
    def told(self) -> str:
        """What of the model's outputs is left out, or read otherwise than goes without saying; empty if nothing is."""
        return self._told_of_tokens() + (self.prediction.told if self.prediction else self._unpredicted)

    def _told_of_tokens(self) -> str:
        prefixed = [plan for plan in self.plans if plan.grid and plan.grid.prefix]
        if not prefixed:
            return ""
        most = max(plan.grid.prefix for plan in prefixed if plan.grid)
        tokens = "token" if most == 1 else "tokens"
        return f"; {most} {tokens} before those of the picture left out, in {len(prefixed)} of {len(self.plans)} layers"

    @property
    def runs_twice(self) -> bool:
        """Whether the samples go through once more, in training mode."""
        return self._again is not None

    def fits(self, *arguments: Any) -> bool:
        """Whether a capture made of these arguments, in the constructor's order, would be this one again."""
        plain, parts = _made_of(*arguments)
        return plain == self._plain and same_objects(parts, self._parts)

    def __call__(self, samples: Any) -> Captured:
        """Captures the chosen channels at the weights of this moment.

        Args:
            samples: Tensors or arrays like the arrays with which the capture was made.
        """
        captured = self._in_one_pass(samples) if self._images <= AT_ONCE else self._in_chunks(samples)
        if self._again is None:
            return captured
        again = self._again(samples)

        def both() -> Arrays:
            maps, numbers, *_ = again()
            return captured()._replace(training=(maps, numbers))

        return both

    def outputs(self, samples: Any) -> list[Any]:
        """The chosen channels at the weights of this moment, in one pass.

        Args:
            samples: Tensors like the arrays with which the capture was made.

        Returns:
            Float32 tensors (N, ..., channels) on the device, one for each of `plans`.
        """
        with explaining(self.model, samples):
            maps: list[Any] = self._run(self._fast_maps, self._slow_maps, samples)
        return maps

    def _in_one_pass(self, samples: Any) -> Captured:
        summarised = self._later(samples, lambda run: run(samples))
        if summarised is None:
            with explaining(self.model, samples):
                maps, others = self._run(self._fast, self._slow, samples)
            return lambda: self._of_one_pass((*self._summarise(maps), *others))
        return lambda: self._of_one_pass(summarised())

    def _of_one_pass(self, summarised: tuple[Any, ...]) -> Arrays:
        pixels, numbers, *others = backend.to_host(summarised)
        maps = self._empty_maps()
        self._put(maps, slice(None), slice(None), pixels)
        return self._arrays(maps, numbers, others)

    def _in_chunks(self, samples: Any) -> Captured:
        work = partial(self._of_chunks, samples)
        captured = self._later(first_of_chunks(samples, self._channels), work)
        if captured is None:
            with explaining(self.model, samples):
                result = work(partial(self._run, self._fast_chunk, self._slow_chunk))
            return lambda: result
        return captured

    def _of_chunks(self, samples: Any, run: Callable[[Any], tuple[Any, ...]]) -> Arrays:
        maps = self._empty_maps()
        others: list[np.ndarray] = []

        def put(chunk: Chunk, pixels: np.ndarray, parts: Sequence[np.ndarray]) -> None:
            self._put(maps, chunk.fresh, chunk.new, pixels)
            if not others:
                others.extend(np.empty((self._images, *part.shape[1:]), part.dtype) for part in parts)
            for whole, part in zip(others, parts, strict=True):
                whole[chunk.fresh] = part[chunk.new]

        numbers = in_two_passes(lambda inputs: backend.to_host(run(inputs)), samples, self._channels, put)
        return self._arrays(maps, numbers, others)

    def _arrays(self, maps: list[np.ndarray], numbers: np.ndarray, others: Sequence[np.ndarray]) -> Arrays:
        """All of a pass, where the others are for each image as of `_forward`."""
        prediction = others[-1] if self.prediction else None
        zeros: list[np.ndarray | None] = [None] * len(self.plans)
        if any(plan.rectifier for plan in self.plans):
            some, begin = others[0].sum(axis=0, dtype=np.float64), 0
            for at, plan in enumerate(self.plans):
                if plan.rectifier:
                    end = begin + len(plan.channels)
                    zeros[at] = (1 - some[begin:end] / (self._images * np.prod(plan.axes))).astype(np.float32)
                    begin = end
        return Arrays(maps, self._by_layer(numbers), zeros, prediction)

    def _later(self, inputs: Any, work: Work) -> Callable[[], Any] | None:
        """`work` with the deferred pass, put off; None where there is none."""
        if self._deferred is not None and not self._runs_eagerly:
            with suppress(Exception):  # the plain way meets the same obstacle, and says so
                return self._deferred(inputs, work)
        return None

    def _run(self, fast: Function, slow: Function, inputs: Any) -> Any:
        """Runs a compiled function, or, once that has failed, the same function as it is."""
        if self._runs_eagerly:
            return slow(inputs)
        try:
            return fast(inputs)
        except Exception as error:
            self._eager = True
            result = slow(inputs)  # raises again where the fault is the model's own
            self._warn(on_one_line(error))
            return result

    @property
    def _channels(self) -> int:
        """How many channels there are, of all layers together."""
        return sum(len(plan.channels) for plan in self.plans)

    def _empty_maps(self) -> list[np.ndarray]:
        return [np.empty((self._images, len(plan.channels), *plan.axes), np.uint8) for plan in self.plans]

    def _put(self, maps: list[np.ndarray], places: slice, images: slice, pixels: np.ndarray) -> None:
        """Puts pixels, one buffer of all layers, of some of its images into their places."""
        for plan, those in zip(self.plans, maps, strict=True):
            shape = (self._size, *plan.axes, len(plan.channels))
            length = int(np.prod(shape))
            those[places] = np.moveaxis(pixels[:length].reshape(shape)[images], -1, 1)
            pixels = pixels[length:]

    def _by_layer(self, numbers: np.ndarray) -> list[np.ndarray]:
        return np.split(numbers, np.cumsum([len(plan.channels) for plan in self.plans])[:-1])

    @property
    def _runs_eagerly(self) -> bool:
        """Whether the model's Python must run each time; a compiled pass would go on as at its trace."""
        return self._eager or getattr(self._trained, "run_eagerly", False)

    def _whole(self, inputs: Any) -> tuple[Any, ...]:
        """The pass and its summary in one function."""
        maps, others = self._forward(inputs)
        return (*self._summarise(maps), *others)

    def _chunk(self, chunk: Any) -> tuple[Any, ...]:
        """The pass over some of the images, and its summary by the scale of all."""
        inputs, scale = chunk
        maps, others = self._forward(inputs)
        return (*summarise_chunk(maps, scale), *others)

    def _maps(self, inputs: Any) -> list[Any]:
        """The pass, of which only the chosen channels are wanted."""
        return self._forward(inputs)[0]

    def _forward(self, inputs: Any) -> tuple[list[Any], list[Any]]:
        """The pass: the chosen channels, and what else there is of each image.

        Of the layers before a ReLU, if there are such, in how many cells their channels are not 0 behind it, in one row;
        and the prediction, if that is read.
        """
        wanted = {plan.info.path: plan for plan in self.plans}
        rectified: dict[str | None, list[Plan]] = {}
        for plan in self.plans:
            rectified.setdefault(plan.rectifier, []).append(plan)
        like = keras.tree.flatten(inputs)[0]
        outputs: dict[str, Any] = {}
        some: dict[str, Any] = {}

        def visit(call: Call) -> None:
            if call.path in wanted and obstacle(output := shown(call), like) is None:
                outputs[call.path] = wanted[call.path].take(output)
            for plan in rectified.get(call.path, ()):
                if obstacle(call.output, like) is None:
                    some[plan.info.path] = plan.not_zero(call.output)

        with recording(self.model, visit):
            returned = self.model(inputs, training=self._is_training)
        absent = [path for path in wanted if path not in outputs]
        if absent and not self._runs_eagerly and not self._is_training:
            raise RuntimeError(f"{absent} could not be captured, though a first trace of the model had found them")
        if absent:
            mode = " in training mode" if self._is_training else ""
            warn(f"the layers {absent} took no part in a pass{mode}: NaN is stored of them")
        for path in absent:  # data decided otherwise than when the layers were found: nothing to show is not zero
            shape = (like.shape[0], *wanted[path].shape[:-1], len(wanted[path].channels))
            outputs[path] = keras.ops.full(shape, float("nan"), "float32")
        before = [plan for plan in self.plans if plan.rectifier]
        for plan in before:  # what did not run is not known
            if plan.info.path not in some:
                some[plan.info.path] = keras.ops.full((like.shape[0], len(plan.channels)), float("nan"), "float32")
        others = [keras.ops.concatenate([some[plan.info.path] for plan in before], axis=1)] if before else []
        others += [self.prediction.take(returned)] if self.prediction else []
        return [outputs[path] for path in wanted], others

    def _warn(self, reason: str) -> None:
        warn(
            f"model {self.model.name!r} can't be compiled ({reason}): its feature maps are taken by running it layer "
            "by layer, which is slower"
        )


def _planes(samples: Any, channels_first: bool) -> list[tuple[int, int]]:
    """Height and width of those inputs that have them."""
    shapes = [leaf.shape for leaf in keras.tree.flatten(samples) if leaf.ndim == 4]
    return [(shape[2], shape[3]) if channels_first else (shape[1], shape[2]) for shape in shapes]


def _made_of(
    model: keras.Model,
    samples: Any,
    layers: Choice,
    channels: Channels,
    grid: Grids = None,
    trained: keras.Model | None = None,
    training_pass: bool = False,
) -> tuple[tuple[Any, ...], list[Any]]:
    """What a capture depends on: of its arguments, to be compared with `==`, and of its models, with `same_objects`."""
    shapes = [(batch.shape, str(batch.dtype)) for batch in keras.tree.flatten(samples)]
    choice = layers if isinstance(layers, (int, np.integer, str)) or callable(layers) else list(layers)
    trained = trained or model
    compiled_with = getattr(trained, "optimizer", None)  # where Keras traces anew, so do we
    parts = [model, trained, compiled_with, *every_layer(model), *model.variables]
    return (shapes, choice, channels, grid, training_pass), parts
