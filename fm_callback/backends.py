"""What differs between Keras's backends: compiling, copying to the host, scopes of a trace, which process writes.

No backend is imported here: by the time that a model exists, Keras has imported the one in use.
"""

import json
import operator
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Function = Callable[[Any], Any]

BACKEND = keras.backend.backend()


def compiled(model: keras.Model, function: Function) -> Function:
    """Compiles `function`, which takes tensors and may call `model`, so that calling it leaves the model as it was.

    The function sees the model's variables as they are at each call and runs under `keras.StatelessScope`: seed generators,
    moving statistics and losses that it touches are put back. It is traced at the first call, and again only when the model has
    other variables than before (LoRA, quantization). On torch, which runs eagerly, nothing is compiled.

    Args:
        model: The model that `function` calls.
        function: From a structure of tensors to a structure of tensors.

    Returns:
        A function of the same signature.
    """
    if BACKEND == "torch":
        return stateless(function)
    traced: Function | None = None
    known: list[keras.Variable] = []

    def run(inputs: Any) -> Any:
        nonlocal traced, known
        variables = model.variables
        if traced is None or len(variables) != len(known) or not all(map(operator.is_, variables, known)):
            known = variables
            traced = _tensorflow(function) if BACKEND == "tensorflow" else _jax(function, variables)
        return traced(inputs)

    return run


def _tensorflow(function: Function) -> Function:
    return sys.modules["tensorflow"].function(stateless(function), autograph=False)


def _jax(function: Function, variables: list[keras.Variable]) -> Function:
    def with_values(values: list[Any], inputs: Any) -> Any:
        return stateless(function, zip(variables, values, strict=True))(inputs)

    jax = sys.modules["jax"]
    jitted = jax.jit(with_values)
    value = operator.attrgetter("value") if jax.process_count() == 1 else _local
    return lambda inputs: jitted(list(map(value, variables)), inputs)


def _local(variable: keras.Variable) -> Any:
    """A variable's value on JAX, as a program of this process alone can use it: the other processes take no part."""
    value = variable.value
    if value.is_fully_addressable:
        return value
    if not value.is_fully_replicated:
        raise RuntimeError(
            f"variable {variable.path!r} is spread over several processes, so none of them can run the model on its own: feature maps "
            "need a model that each process holds whole, as under keras.distribution.DataParallel"
        )
    return value.addressable_data(0)


def stateless(function: Function, values: Any = ()) -> Function:
    """`function` under a stateless scope in which variables have the given values, and without gradients."""

    def run(inputs: Any) -> Any:
        with keras.StatelessScope(state_mapping=values):
            if BACKEND == "torch":
                with sys.modules["torch"].no_grad():
                    return function(inputs)
            return function(inputs)

    return run


def pure(function: Function) -> Function:
    """Compiles a function of tensors alone."""
    if BACKEND == "tensorflow":
        return sys.modules["tensorflow"].function(function, autograph=False)
    if BACKEND == "jax":
        return sys.modules["jax"].jit(function)
    return stateless(function)


def to_host(tensors: tuple[Any, ...]) -> list[np.ndarray]:
    """Tensors as arrays; their copies run side by side."""
    for tensor in tensors:
        if BACKEND == "jax":
            tensor.copy_to_host_async()
    return [keras.ops.convert_to_numpy(tensor) for tensor in tensors]


def scope(tensor: Any) -> object | None:
    """What a tensor belongs to while a function is traced, such as a TensorFlow graph; None for a concrete value.

    A tensor made inside a loop, a branch, a vectorised map or a function that is compiled on its own has another scope than the
    inputs of the function around it, and must not leave there.
    """
    if BACKEND == "tensorflow":
        if isinstance(tensor, sys.modules["tensorflow"].__internal__.EagerTensor):
            return None
        # A vectorised map has no graph of its own: it first writes one turn into the graph around it, under this name.
        turn = re.search(r"(?:^|/)loop_body(_\d+)?/", tensor.name)
        return turn[0] if turn else tensor.graph
    if BACKEND == "jax":
        return getattr(tensor, "_trace", None)
    return "functorch" if sys.modules["torch"]._C._functorch.is_functorch_wrapped_tensor(tensor) else None


def owned(tensor: Any) -> Any:
    """The tensor, safe from later changes in place: torch alone can change a tensor that somebody else still holds."""
    return tensor.clone() if BACKEND == "torch" else tensor


def is_chief() -> bool:
    """Whether this process is the one of a distributed training that writes; true without other processes."""
    if BACKEND == "jax":
        return sys.modules["jax"].process_index() == 0
    if BACKEND == "torch":
        distributed = sys.modules["torch"].distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank() == 0
        return os.environ.get("RANK", "0") == "0"
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")
    cluster, task = config.get("cluster", {}), config.get("task", {})
    kind, index = task.get("type", "chief"), int(task.get("index", 0))
    return kind in ("chief", "master") or (kind == "worker" and index == 0 and not {"chief", "master"} & cluster.keys())
