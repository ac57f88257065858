"""Canaries for what is used without being documented: each says what broke, and where the package relies on it.

The list is in `fm_callback/capture/backends/__init__.py`.
"""

import sys
from typing import Any

import keras
import pytest
from keras import layers, ops
from zoo import BACKEND, data

from fm_callback.capture import backends
from fm_callback.capture.trace import squashing

only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow's")
only_jax = pytest.mark.skipif(BACKEND != "jax", reason="JAX's")
only_torch = pytest.mark.skipif(BACKEND != "torch", reason="torch's")


def test_a_call_of_a_layer_is_looked_up_on_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    original = keras.Layer.__call__

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        seen.append(layer.name)
        return original(layer, *args, **kwargs)

    inner = keras.Sequential([layers.Conv2D(2, 1, name="conv")], name="inner")
    model = keras.Sequential([keras.Input((4, 4, 3)), inner, layers.ReLU(name="relu")], name="model")
    monkeypatch.setattr(keras.Layer, "__call__", call)
    model(data(1, 4, 4, 3))
    assert seen == ["model", "inner", "conv", "relu"], (
        "Keras no longer runs every layer through `keras.Layer.__call__`: capture/trace.py replaces it to see the calls"
    )


def test_rematerialisation_goes_through_one_method_of_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def rematerialized_call(layer: keras.Layer, function: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(layer.name)
        return function

    with keras.RematScope("full"):
        dense = layers.Dense(2, name="dense")
    dense.build((1, 3))
    monkeypatch.setattr(keras.Layer, "rematerialized_call", rematerialized_call)
    dense(data(1, 3))
    assert seen == ["dense"], (
        "Keras no longer rematerialises through `keras.Layer.rematerialized_call`: capture/trace.py turns it off there"
    )


def test_what_building_changes_is_in_a_layers_attributes_and_its_tracker() -> None:
    model = keras.Sequential([layers.Dense(2), keras.Sequential([layers.Dense(1, name="deep")])])
    assert next(layer.name for layer in model._flatten_layers()) == model.name, "`_flatten_layers` begins otherwise"
    assert "deep" in [layer.name for layer in model._flatten_layers()], "`_flatten_layers` goes less deep"
    dense = model.layers[0]
    dense.build((None, 3))
    assert dense._tracker.locked and len(dense._tracker.stored_ids["trainable_variables"]) == 2, (
        "Keras keeps otherwise which variables a layer has: capture/restore.py puts that back"
    )


def test_convolutions_of_keras_ops_are_looked_up_in_the_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def watched(name: str) -> Any:
        operation = getattr(keras.src.backend.nn, name)
        return lambda *args, **kwargs: (seen.append(name), operation(*args, **kwargs))[1]

    for name in ("conv", "depthwise_conv", "separable_conv", "conv_transpose"):
        monkeypatch.setattr(keras.src.backend.nn, name, watched(name))
    value, square = data(1, 4, 4, 2), data(3, 3, 2, 2)
    ops.conv(value, square)
    ops.depthwise_conv(value, square)
    ops.separable_conv(value, square, data(1, 1, 4, 2))
    ops.conv_transpose(value, square, strides=2)
    assert set(seen) == {"conv", "depthwise_conv", "separable_conv", "conv_transpose"}, (
        "`keras.ops` no longer looks its convolutions up in `keras.src.backend.nn`: capture/trace.py watches them there"
    )


def test_sigmoid_and_softmax_are_looked_up_in_the_backend_and_hand_on_what_it_makes() -> None:
    inputs = keras.Input((4, 4, 2))
    for activation in ("sigmoid", "hard_sigmoid", "softmax"):
        model = keras.Sequential([inputs, layers.Conv2D(2, 1, activation=activation)])
        with squashing() as squashed:
            output = model(data(1, 4, 4, 2))
        assert id(output) in squashed, (
            f"what {activation} makes is no longer that of `keras.src.backend.nn`, or not handed on as it is: "
            "capture/find.py knows by it whether an output holds probabilities"
        )


def test_all_layers_of_a_model_are_listed_before_it_runs() -> None:
    class Unbuilt(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.stages = [[layers.Conv1D(2, 1)], keras.Sequential([layers.Conv2D(2, 1)])]

    ranks = {layer.rank for layer in Unbuilt()._flatten_layers() if hasattr(layer, "rank")}
    assert ranks == {1, 2}, "`_flatten_layers` is gone: capture/layers.py asks it what a model's convolutions go over"


@pytest.mark.parametrize("kind", [dict, list])
def test_a_functional_model_keeps_the_structure_of_its_inputs(kind: type) -> None:
    inputs = {"left": keras.Input((3,), name="left"), "right": keras.Input((3,), name="right")}
    total = layers.Add()([*inputs.values()])
    model = keras.Model(inputs if kind is dict else [*inputs.values()], total)
    structure = getattr(model, "_inputs_struct", None)
    assert isinstance(structure, kind) and [tensor.name for tensor in keras.tree.flatten(structure)] == [*inputs], (
        "`_inputs_struct` of a functional model is no longer its inputs as they were given: capture/samples.py reads "
        "their names and nesting from it"
    )


def test_a_callback_keeps_its_model_in_an_attribute() -> None:
    callback, model = keras.callbacks.Callback(), keras.Sequential()
    callback.set_model(model)
    assert callback.__dict__.get("_model") is model, (
        "Keras's Callback no longer keeps the model in `_model`: callback.py leaves it out of copies and pickles there"
    )


def test_tensorboards_messages_and_metadata_are_where_they_were() -> None:
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
        from tensorboard.plugins.image import metadata as image
        from tensorboard.plugins.scalar import metadata as scalar
        from tensorboard.plugins.text import metadata as text
    except ImportError as error:
        pytest.fail(f"TensorBoard has moved what write/events.py imports: {error}")
    assert all((event_pb2.Event, summary_pb2.Summary, tensor_pb2.TensorProto, types_pb2.DT_STRING))
    assert tensor_shape_pb2.TensorShapeProto
    for metadata in (image, scalar, text):
        assert callable(metadata.create_summary_metadata), (
            f"{metadata.__name__} no longer makes summaries' metadata: write/events.py needs it"
        )


@only_tensorflow
def test_a_function_of_tensorflow_is_called_through_its_type() -> None:
    import tensorflow as tf

    @tf.function
    def double(value: Any) -> Any:
        return 2 * value

    kind, seen = type(double), []
    original = kind.__call__
    kind.__call__ = lambda function, *args: (seen.append(function.python_function(*args)), original(function, *args))[1]
    try:
        double(tf.constant(3))
    finally:
        kind.__call__ = original
    assert [int(value) for value in seen] == [6], (
        "`tf.function` objects have another type, `__call__` or `python_function`: `inline_functions` in "
        "capture/backends/tensorflow.py replaces the call by the Python function"
    )


@only_tensorflow
def test_a_function_of_tensorflow_is_rewritten_on_request() -> None:
    import tensorflow as tf

    def flip(value: Any) -> Any:
        return -value if value > 0 else value

    function, autograph = tf.function(flip), tf.__internal__.autograph
    assert (function._autograph, tf.function(flip, autograph=False)._autograph) == (True, False), (
        "`tf.function` objects no longer say in `_autograph` whether their Python is rewritten"
    )

    def around(value: Any) -> Any:
        disabled = autograph.control_status_ctx()
        with type(disabled)(type(disabled.status).ENABLED) as enabled:
            return autograph.tf_convert(function.python_function, enabled)(value)

    assert int(tf.function(around, autograph=False)(tf.constant(3))) == -3, (
        "tf.__internal__.autograph no longer rewrites Python: `inline_functions` in capture/backends/tensorflow.py asks it"
    )


@only_tensorflow
def test_concrete_and_symbolic_tensors_of_tensorflow_differ_in_type() -> None:
    import tensorflow as tf

    kinds: list[bool] = [isinstance(tf.constant(1), tf.__internal__.EagerTensor)]

    @tf.function
    def look(value: Any) -> Any:
        kinds.append(isinstance(value, tf.__internal__.EagerTensor))
        return value

    look(tf.constant(1))
    assert kinds == [True, False], (
        "tf.__internal__.EagerTensor is no longer the type of concrete tensors: `scope` in "
        "capture/backends/tensorflow.py asks for it"
    )


@only_tensorflow
def test_eager_random_numbers_follow_from_the_seeds_of_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    import random

    import tensorflow as tf
    from tensorflow.python.eager import context

    tf.random.set_seed(3)
    before = context.context()._rng.getstate()
    one = tf.random.normal((2,)), context.context()._rng.getstate()
    monkeypatch.setattr(context.context(), "_seed", 4)
    monkeypatch.setattr(context.context(), "_rng", random.Random(4))
    other = tf.random.normal((2,))
    assert before != one[1] and tf.reduce_any(one[0] != other), (
        "`_seed` and `_rng` of the eager context no longer decide what eager operations draw: `inert` in "
        "capture/backends/tensorflow.py puts others in their place"
    )


@only_tensorflow
def test_a_turn_of_a_vectorised_map_of_tensorflow_is_named_in_its_tensors() -> None:
    import tensorflow as tf

    names: list[str] = []

    def turn(row: Any) -> Any:
        names.append((row + 1).name)
        return row

    tf.function(lambda rows: tf.vectorized_map(turn, rows)).get_concrete_function(tf.zeros((2, 3)))
    assert any("loop_body" in name for name in names), (
        f"tensors of a vectorised map are now named {names}: `scope` in capture/backends/tensorflow.py looks for loop_body"
    )


@only_tensorflow
def test_the_graph_of_a_concrete_function_knows_its_variables() -> None:
    import tensorflow as tf

    variable = tf.Variable(1.0)
    concrete = tf.function(lambda: variable.assign_add(1.0)).get_concrete_function()
    assert [each is variable for each in concrete.graph.variables] == [True], (
        "`ConcreteFunction.graph.variables` no longer holds the variables that a function uses: "
        "capture/backends/tensorflow.py puts back those that Keras does not know"
    )


@only_tensorflow
def test_a_grouped_convolution_is_compiled_by_keras_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    kind, seen = type(tf.function(lambda: None)), []
    original = kind.__call__

    def call(function: Any, *args: Any) -> Any:
        seen.append(function.python_function.__module__)
        return original(function, *args)

    monkeypatch.setattr(kind, "__call__", call)
    ops.conv(data(1, 4, 4, 4), data(3, 3, 2, 4))
    assert len(seen) == 1 and seen[0].startswith("keras.src.backend."), (
        f"Keras compiles grouped convolutions in {seen}: capture/backends/tensorflow.py leaves its functions alone"
    )


@only_jax
def test_a_model_on_jax_can_be_asked_for_its_state() -> None:
    assert callable(getattr(keras.Sequential([layers.Dense(1)]), "jax_state_sync", None)), (
        "models on JAX have no `jax_state_sync`: `synchronise` in capture/backends/jax.py calls it, or maps in the "
        "middle of an epoch would be those of older weights"
    )


@only_jax
def test_a_traced_value_of_jax_knows_its_trace() -> None:
    import jax

    scopes: list[Any] = [getattr(jax.numpy.zeros(()), "_trace", None)]

    def body(_: Any, value: Any) -> Any:
        scopes.append(getattr(value, "_trace", None))
        return value + 1

    def function(value: Any) -> Any:
        scopes.append(getattr(value, "_trace", None))
        return jax.lax.fori_loop(0, 2, body, value)

    jax.jit(function)(0.0)
    concrete, outer, inner, *_ = scopes
    assert concrete is None and None not in (outer, inner) and outer is not inner, (
        "`_trace` of JAX's tracers no longer tells a loop from the function around it: `scope` in "
        "capture/backends/jax.py compares them"
    )


@only_torch
def test_torch_tells_tensors_inside_its_function_transforms() -> None:
    import torch

    wrapped: list[bool] = []

    def row(value: Any) -> Any:
        wrapped.append(torch._C._functorch.is_functorch_wrapped_tensor(value))
        return value

    row(torch.zeros(2))
    torch.vmap(row)(torch.zeros(2, 3))
    assert wrapped == [False, True], (
        "torch._C._functorch.is_functorch_wrapped_tensor no longer tells tensors inside `torch.vmap`: `scope` in "
        "capture/backends/torch.py asks it"
    )


@only_torch
def test_without_data_a_branch_on_torch_is_decided_by_a_function_of_keras_own(monkeypatch: pytest.MonkeyPatch) -> None:
    core, seen = keras.src.backend.core, []
    original = core.cond
    monkeypatch.setattr(core, "cond", lambda pred, *ways: (seen.append(pred.is_meta), original(pred, *ways))[1])

    class Either(keras.Operation):
        def call(self, value: Any) -> Any:
            return ops.cond(ops.mean(value) > 2, lambda: seen.append("first") or value, lambda: value)

    Either().compute_output_spec(keras.KerasTensor((2, 3)))
    assert seen == [True, "first"], (
        "`keras.ops.cond` no longer asks `keras.src.backend.core`, or takes another way without data: `guessing` in "
        "capture/backends/torch.py watches it there"
    )


def test_only_the_running_backends_module_is_imported() -> None:
    prefix = f"{backends.__name__}."
    assert {name.removeprefix(prefix) for name in sys.modules if name.startswith(prefix)} == {BACKEND}
    assert backends.backend.name == BACKEND
