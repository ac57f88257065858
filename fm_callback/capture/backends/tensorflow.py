"""TensorFlow: graphs by `tf.function`. The training thread waits for the pass."""

import json
import os
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.eager import context as eager_context

from fm_callback.capture.backends import Backend, Function, traced_per_variables


class TensorFlow(Backend):
    """Keras on TensorFlow."""

    name = "tensorflow"

    def compile(self, model: keras.Model, function: Function) -> Function:
        return traced_per_variables(model, lambda variables: _graph(self.stateless(function), variables))

    def compile_pure(self, function: Function) -> Function:
        return tf.function(function, autograph=False)

    @contextmanager
    def inert(self) -> Iterator[None]:
        """Nothing is written for TensorBoard, of whose training the model's own summaries are; and random numbers are our own.

        Eager operations have kernels for each seed, which count on from call to call, so that putting the generator of
        seeds back is not enough: with another global seed ours are other kernels.
        """
        context = eager_context.context()
        before = context._seed, getattr(context, "_rng", None)
        context._seed, context._rng = _SEED, random.Random(_SEED)
        try:
            with tf.summary.record_if(False):
                yield
        finally:
            context._seed, context._rng = before

    @contextmanager
    def keep_buffers(self, model: keras.Model) -> Iterator[None]:
        """Those that are attributes of layers, or in lists and dicts of them; of a graph `_graph` knows all."""
        found = {id(each): each for layer in model._flatten_layers() for each in _variables(vars(layer))}
        before = [(each, each.read_value()) for each in found.values()]
        try:
            yield
        finally:
            for variable, value in before:
                variable.assign(value)

    @contextmanager
    def inline_functions(self) -> Iterator[None]:
        """On this thread, functions that the model compiles on its own run as parts of the one around them.

        Otherwise they would keep the trace, and training would meet it again: layers in evaluation mode, and as
        constants the variables that were not there yet. And what is inside them could not be seen.
        """
        kind, thread = type(tf.function(lambda: None)), threading.get_ident()

        def call(function: Any, *args: Any, **kwargs: Any) -> Any:
            python = function.python_function
            if threading.get_ident() != thread or (getattr(python, "__module__", None) or "").startswith(_THEIRS):
                return original(function, *args, **kwargs)
            return _as_written(function, *args, **kwargs)

        with _one_at_a_time:
            original, kind.__call__ = kind.__call__, call
            try:
                yield
            finally:
                kind.__call__ = original

    def scope(self, tensor: Any) -> object | None:
        if isinstance(tensor, tf.__internal__.EagerTensor):
            return None
        # A vectorised map has no graph of its own: it first writes one turn into the graph around it, under this name.
        turn = re.search(r"(?:^|/)loop_body(_\d+)?/", tensor.name)
        return turn[0] if turn else tensor.graph

    def is_dense(self, value: Any) -> bool:
        return isinstance(value, tf.Tensor)

    def is_chief(self) -> bool:
        kind, index, others = _task()
        return kind in ("chief", "master") or (kind == "worker" and index == 0 and not {"chief", "master"} & others)

    def chief_by_environment(self) -> str | None:
        if tf.distribute.has_strategy() or not os.environ.get("TF_CONFIG"):
            return None
        kind, index, _ = _task()
        return f"TF_CONFIG, which says {kind} {index}"


def _task() -> tuple[str, int, set[str]]:
    """What this process is in its cluster, its number, and which kinds there are; the chief without a cluster."""
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    task = config.get("task", {})
    return task.get("type", "chief"), int(task.get("index", 0)), set(config.get("cluster", {}))


def _as_written(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Runs the Python of a `tf.function`, with `if` and loops over tensors rewritten as TensorFlow itself does."""
    python = function.python_function
    if not function._autograph:
        return python(*args, **kwargs)
    disabled = tf.__internal__.autograph.control_status_ctx()  # by us, for the function around
    with type(disabled)(type(disabled.status).ENABLED) as enabled:
        return tf.__internal__.autograph.tf_convert(python, enabled)(*args, **kwargs)


#: The seed of what a pass draws where its Python runs each time.
_SEED = 7_301_929


def _variables(value: Any) -> Iterator[tf.Variable]:
    """TensorFlow's own among some values; Keras's are in objects of its own."""
    if isinstance(value, tf.Variable):
        yield value
    elif isinstance(value, tf.random.Generator):
        yield value.state
    elif isinstance(value, tf.Module):
        yield from value.variables
    elif isinstance(value, (list, tuple, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _variables(each)


#: Modules whose functions hold no layer: TensorFlow's own, and Keras's, which run by XLA what has no kernel (grouped convolutions).
_THEIRS = ("tensorflow.", "keras.src.backend.")

# Contexts of two threads that end in another order than they began would leave one of the replacements behind.
_one_at_a_time = threading.RLock()


def _graph(function: Function, variables: list[keras.Variable]) -> Function:
    """Compiles a function; its variables that Keras does not know, such as a generator's state, are put back."""
    # A variable of a distribution strategy stands for one on each device: the graph knows those.
    ours = {id(part) for variable in variables for part in getattr(variable.value, "values", [variable.value])}
    concrete: Any = None
    foreign: list[Any] = []

    def run(inputs: Any) -> Any:
        nonlocal concrete, foreign
        if concrete is None:
            concrete = tf.function(function, autograph=False).get_concrete_function(inputs)
            foreign = [variable for variable in concrete.graph.variables if id(variable) not in ours]
        before = [variable.read_value() for variable in foreign]
        try:
            return concrete(inputs)
        finally:
            for variable, value in zip(foreign, before, strict=True):
                variable.assign(value)

    return run
