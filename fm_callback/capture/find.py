"""Finding the layers of a model: one trace of it without data shows every call of every layer."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import keras

from fm_callback.capture.backends import backend, keep_random_numbers
from fm_callback.capture.layers import (
    ConvLayer,
    ConvLayers,
    are_channels_first,
    conv_numbers,
    describe,
    inner,
    is_conv,
    layout,
    own_kernel,
    times,
)
from fm_callback.capture.restore import unbuilt_again_on_error
from fm_callback.capture.samples import as_batch, dtype_of
from fm_callback.capture.submodel import Submodel, explaining, watched
from fm_callback.capture.trace import Call, known_shape, on_one_line, recording, squashing


class Found(NamedTuple):
    """A layer's call in a model.

    Attributes:
        info: What it is.
        layer: The layer itself.
        obstacle: Why it can't be captured; None if it can.
        order: Which of all calls it was, in the order in which they ended.
        follows: Path of the call whose output it took as it was; None if it took another tensor.
        plane: Height and width of its output, if that is a map with two axes; else None.
        period: By how much an upsampling before it, or the layer itself, has enlarged its output; 0 if none has.
        rectifier: Path of the ReLU that takes its output, as it is or normalised; None if none does.
    """

    info: ConvLayer
    layer: keras.Layer
    obstacle: str | None
    order: int = 0
    follows: str | None = None
    plane: tuple[int, int] | None = None
    period: int = 0
    rectifier: str | None = None


@dataclass(frozen=True)
class Output:
    """One of the tensors that a model puts out.

    Attributes:
        key: Its place in what the model returns: keys and positions, joined by "/"; empty where it returns it alone.
        layer: Path of the layer that put it out, None where none did.
        spec: Its shape and dtype; None with an obstacle.
        data_format: Where the layer that put it out says that its channels are, if it does.
        squashed: "sigmoid" or "softmax" if one of these made it what it is.
        obstacle: Why it can't be captured; None if it can.
    """

    key: str
    layer: str | None
    spec: keras.KerasTensor | None
    data_format: str | None
    squashed: str | None
    obstacle: str | None


class Findings(NamedTuple):
    """What a trace of a model finds.

    Attributes:
        found: The calls of its layers.
        untraceable: Why it could not be traced and had to run, None if it could.
        outputs: What it returns, a structure of `Output`.
    """

    found: list[Found]
    untraceable: str | None
    outputs: Any


def conv_layers(model: keras.Model, samples: Any = None, submodel: Submodel = None) -> ConvLayers:
    """Lists the convolution layers of a model, nested ones included, in the order of their numbers.

    Numbers go depth-first over `model.layers`, entering a nested model where it stands; convolutions that only a pass
    through the model finds, such as those inside custom layers, follow in the order in which they run.

    Example:
        >>> import keras
        >>> from fm_callback import conv_layers
        >>> model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, name="stem")])
        >>> print(conv_layers(model))
        #  layer  kind    kernel   bias  output
        -  -----  ------  -------  ----  -------
        1  stem   Conv2D  3×3×3×8  8     30×30×8

    Args:
        model: Any Keras 3 model.
        samples: One sample or a batch; a dict or tuple of arrays for a model with several inputs. Needed only for a
            model that has not seen data yet, such as an unbuilt subclass.
        submodel: The model inside it that is meant, as for `FeatureMapCallback`; `samples` are what that one takes.

    Returns:
        A list of `ConvLayer`, one for each call of each convolution; printing it shows a table.

    Raises:
        ValueError: if the model does not know its input shape and no samples are given, or they do not fit it; if it
            has no `call`, or no such submodel.
    """
    model = watched(model, submodel)
    batch = None if samples is None else as_batch(samples, model)
    specs = input_specs(model) if batch is None else specs_of(batch)
    return ConvLayers(found.info for found in find(model, specs, batch).found if found.info.number is not None)


def input_specs(model: keras.Model) -> Any:
    """The symbolic inputs of a model that knows them.

    Raises:
        ValueError: if it does not.
    """
    try:
        inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    except (AttributeError, ValueError, TypeError):
        raise ValueError(
            f"model {model.name!r} ({type(model).__name__}) does not know the shape of its inputs yet, so its layers "
            "can only be found by a pass through it: give `samples`, one batch of its inputs"
        ) from None
    if isinstance(inputs, list) and len(inputs) == 1:
        inputs = inputs[0]
    return keras.tree.map_structure(lambda tensor: keras.KerasTensor(tensor.shape, tensor.dtype), inputs)


def specs_of(samples: Any) -> Any:
    """Symbolic inputs like a structure of batches, of any batch size."""
    return keras.tree.map_structure(lambda batch: keras.KerasTensor((None, *batch.shape[1:]), dtype_of(batch)), samples)


def find(model: keras.Model, specs: Any, samples: Any = None) -> Findings:
    """Every call of every layer: convolutions in the order of their numbers, then the others in the order of execution.

    The model is traced without data; only where that is impossible, or would be guessing, and samples are given, does it
    run once.

    Raises:
        ValueError: if the model can't be traced and there are no samples, or it can't take them.
    """
    backend.synchronise(model)
    tracer = _Tracer(name="fm_callback_trace")
    tracer.model = model
    untraceable = None
    try:
        with unbuilt_again_on_error(model), backend.guessing(tracer.guess):
            outputs = tracer.trace(specs)
    except Exception as error:
        untraceable = on_one_line(tracer.error or error)
        if samples is None:
            raise ValueError(
                f"model {model.name!r} can't be traced without data ({untraceable}); give `samples`, one batch of its "
                "inputs"
            ) from error
    if untraceable or (tracer.guessed and samples is not None):
        tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, samples)
        run = backend.eager(model, tracer.run)
        with explaining(model, samples):
            if not model.built:
                with suppress(
                    Exception
                ):  # until it has ended its variables have no values, which torch's vmap asks for
                    run(tensors)
            outputs = run(tensors)
    traced = iter(outputs)
    kernels = {id(call.layer): kernel for call, shape, _ in tracer.calls if (kernel := own_kernel(call, shape))}
    numbers = conv_numbers(model, [call.layer for call, _, _ in tracer.calls], kernels)
    first = are_channels_first(call.layer for call, _, _ in tracer.calls)
    found = []
    for order, (call, shape, why) in enumerate(tracer.calls):
        size = known_shape(next(traced)) if why is None else shape
        info = describe(call.layer, call.path, numbers.get(id(call.layer)), size, kernels)
        plane = _plane(call.layer, size, first) if why is None else None
        rectifier = tracer.rectifiers.get(call.path)
        found.append(Found(info, call.layer, why, order, call.source, plane, call.period, rectifier))
    found.sort(key=lambda entry: (entry.info.number is None, entry.info.number or 0))  # else as they ran
    specs_of_outputs = {at: _spec(next(traced)) for at, each in enumerate(tracer.outputs) if each.obstacle is None}
    returned = [replace(each, spec=specs_of_outputs.get(at)) for at, each in enumerate(tracer.outputs)]
    return Findings(found, untraceable, keras.tree.pack_sequence_as(tracer.structure, returned))


class _Maker(NamedTuple):
    """Who put a tensor out: the path of the outermost of the layers that return it, and the innermost of them.

    And the tensor, lest its id come again.
    """

    path: str
    layer: keras.Layer
    tensor: Any


class _Tracer(keras.Operation):
    """Calls a model in evaluation mode and returns what its layers returned, so that Keras can infer their shapes."""

    model: keras.Model
    builds = False  # a trace that builds sees layers twice or not: what it returns is of no use
    guessed = False  # for want of data: which branch runs, or what numbers there are
    error: Exception | None = None  # as it was: Keras words it anew, and fails at that for some of JAX's

    def trace(self, specs: Any) -> list[Any]:
        """What the layers return, without data."""
        model = self.model
        if not model.built:  # a layer that is built while we watch would be seen twice
            if isinstance(model, keras.Sequential):  # torch would take the batch size of its trial runs for the model's
                model.build(keras.tree.flatten(specs)[0].shape)
            self.builds = True
            with backend.keep_buffers(model), backend.inline_functions():
                self.compute_output_spec(specs)
            self.builds = False
        with keep_random_numbers(), backend.keep_buffers(model), backend.inert(), backend.inline_functions():
            outputs = self.compute_output_spec(specs)
            return self.compute_output_spec(specs) if self.variables_grew else outputs

    def guess(self) -> None:
        """Notes that the trace took one branch for want of data."""
        self.guessed = True

    def run(self, inputs: Any) -> list[Any]:
        """What the layers return of data."""
        self.builds = False
        return self.call(inputs)

    def call(self, inputs: Any) -> list[Any]:
        before = len(self.model.variables)
        like = keras.tree.flatten(inputs)[0]
        self.guessed = backend.scope(like) is None
        self.calls: list[tuple[Call, tuple[int | None, ...], str | None]] = []
        outputs: list[Any] = []
        makers: dict[int, _Maker] = {}
        enlarged: dict[int, tuple[int, Any]] = {}  # by the tensor's id the factor, and the tensor
        # By the tensor's id the calls whose channels it holds, and the tensor.
        held: dict[int, tuple[list[str], Any]] = {}
        self.rectifiers: dict[str, str] = {}

        def visit(call: Call) -> None:
            call = call._replace(output=shown(call))
            if keras.ops.is_tensor(call.output) or is_conv(call.layer):
                why = obstacle(call.output, like)
                maker = makers.get(id(call.source))
                source = maker.path if maker else None
                given = keras.tree.flatten(call.source)
                before = [enlarged[id(each)] for each in given if id(each) in enlarged]
                period = _period(call, [factor for factor, each in before if _as_large(each, call.output)])
                enlarged.setdefault(
                    id(call.output), (period, call.output)
                )  # of layers in each other, the inner one knows
                period = enlarged[id(call.output)][0]
                self.calls.append(
                    (call._replace(output=None, source=source, period=period), known_shape(call.output), why)
                )
                if why is None:
                    outputs.append(call.output)
                known = makers.get(id(call.output), _Maker(call.path, call.layer, None))
                if known.path.startswith(call.path):  # the outermost of them; not one that hands it on
                    makers[id(call.output)] = _Maker(call.path, known.layer, call.output)
                holders, _ = held.setdefault(id(call.output), ([], call.output))
                holders.append(call.path)
                taken = held[id(call.source)][0] if id(call.source) in held and call.source is not call.output else []
                if why is None and _rectifies(call.layer):
                    for path in taken:
                        self.rectifiers.setdefault(path, call.path)
                elif _keeps_channels(call.layer):
                    holders += taken
                if _keeps_values(call.layer) and given and all(id(each) in squashed for each in given):
                    squashed[id(call.output)] = squashed[id(given[0])][0], call.output

        try:
            with squashing() as squashed, recording(self.model, visit):
                returned = self.model(inputs, training=False)
        except Exception as error:
            self.error = error
            raise
        self.variables_grew = len(self.model.variables) > before
        self.structure = keras.tree.map_structure(lambda _: 0, returned)
        self.outputs = []
        for path, tensor in keras.tree.flatten_with_path(returned):
            why, maker = obstacle(tensor, like), makers.get(id(tensor))
            data_format = layout(maker.layer) if maker else None
            by, _ = squashed.get(id(tensor), (None, None))
            key, layer = "/".join(map(str, path)), maker.path if maker else None
            self.outputs.append(Output(key, layer, None, data_format, by, why))
            if why is None:
                outputs.append(tensor)
        return [] if self.builds else outputs


_UPSAMPLING = (keras.layers.UpSampling1D, keras.layers.UpSampling2D, keras.layers.UpSampling3D)


def _period(call: Call, before: list[int]) -> int:
    """By how much a call has enlarged what it was given; if it has not, what was before at this size."""
    layer = inner(call.layer)
    factors: Any = 1
    if isinstance(layer, _UPSAMPLING):
        factors = layer.size
    elif "Transpose" in type(layer).__name__:
        factors = getattr(layer, "strides", 1)
    sizes = factors if isinstance(factors, tuple | list) else [factors]
    own = max((size for size in sizes if isinstance(size, int)), default=1)
    return own if own > 1 else max(before, default=0)


def _rectifies(layer: keras.Layer) -> bool:
    """Whether it is a ReLU: what is not over 0 becomes 0."""
    if isinstance(layer, keras.layers.ReLU):
        return not (layer.negative_slope or layer.threshold)
    rectifiers = (keras.activations.relu, keras.activations.relu6)
    return isinstance(layer, keras.layers.Activation) and layer.activation in rectifiers


def _keeps_channels(layer: keras.Layer) -> bool:
    """Whether each channel that it puts out is the same one of what it was given, normalised or as it was."""
    return "Normalization" in type(layer).__name__ or "Dropout" in type(layer).__name__ or _is_identity(layer)


def _is_identity(layer: keras.Layer) -> bool:
    cast = isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear
    return cast or isinstance(layer, keras.layers.Identity)


def _as_large(one: Any, other: Any) -> bool:
    """Whether two maps have the same sizes, whichever axis is that of the channels."""
    shapes = known_shape(one), known_shape(other)
    return shapes[0][1:-1] == shapes[1][1:-1] or shapes[0][2:] == shapes[1][2:]


def shown(call: Call) -> Any:
    """What is shown of a call: its output, of several tensors the first.

    That is the tokens of a block that returns its attention, too. Of a convolution that returns several, nothing: it is
    not known which one is its map.
    """
    first = call.output[0] if isinstance(call.output, (tuple, list)) and call.output else None
    return first if keras.ops.is_tensor(first) and not is_conv(call.layer) else call.output


def _spec(tensor: Any) -> keras.KerasTensor:
    return keras.KerasTensor(known_shape(tensor), keras.backend.standardize_dtype(tensor.dtype))


#: Layers whose output holds the values of what they are given, or means of them: probabilities stay probabilities.
_KEEP_VALUES = (
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.Flatten,
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.ZeroPadding1D,
    keras.layers.ZeroPadding2D,
    keras.layers.ZeroPadding3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    keras.layers.Resizing,
    keras.layers.CenterCrop,
    keras.layers.Average,
)


def _keeps_values(layer: keras.Layer) -> bool:
    return _is_identity(layer) or isinstance(layer, _KEEP_VALUES)


def _plane(layer: keras.Layer, shape: tuple[int | None, ...], channels_first: bool) -> tuple[int, int] | None:
    if len(shape) != 4:
        return None
    said = layout(layer)
    first = channels_first if said is None else said == "channels_first"
    channels = min(1 + times(layer), 3) if first else 3
    height, width = (size for axis, size in enumerate(shape) if axis not in (0, channels))
    return None if height is None or width is None else (height, width)


def obstacle(output: Any, like: Any) -> str | None:
    """Why a layer's output can't leave the traced function that has `like` among its inputs; None if it can."""
    if not backend.is_dense(output):
        return f"it returns a {type(output).__name__}, not one tensor"
    if backend.scope(output) not in (None, backend.scope(like)):
        return "it runs inside a loop, a branch, a vectorised map or a function that is compiled on its own"
    sizes, batch = known_shape(output), known_shape(like)
    if sizes[:1] != batch[:1]:
        return f"the first axis of its output {sizes} is not that of the samples {batch}"
    if None in sizes and None not in batch:
        return f"the size of its output {sizes} is known only when it runs"
    return None
