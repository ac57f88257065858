"""What differs between Keras's backends: compiling a function of a model, and telling inner scopes of a trace from the outer one.

No backend is imported here: by the time that a model exists, Keras has imported the one in use.
"""

import sys
from collections.abc import Callable
from typing import Any

import keras

Function = Callable[[Any], Any]


def compiled(model: keras.Model, function: Function) -> Function:
    """Compiles `function`, which takes tensors and may call `model`, so that calling it leaves the model as it was.

    The function sees the model's variables as they are at each call and runs under `keras.StatelessScope`: seed generators,
    moving statistics and losses that it touches are put back. On torch, which runs eagerly, nothing is compiled.

    Args:
        model: The model that `function` calls.
        function: From a structure of tensors to a structure of tensors.

    Returns:
        A function of the same signature.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return sys.modules["tensorflow"].function(stateless(function), autograph=False)
    if backend == "jax":

        def with_values(values: list[Any], inputs: Any) -> Any:
            return stateless(function, zip(model.variables, values, strict=True))(inputs)

        jitted = sys.modules["jax"].jit(with_values)
        return lambda inputs: jitted([variable.value for variable in model.variables], inputs)
    return stateless(function)


def stateless(function: Function, values: Any = ()) -> Function:
    """`function` under a stateless scope in which variables have the given values, and without gradients."""

    def run(inputs: Any) -> Any:
        with keras.StatelessScope(state_mapping=values):
            if keras.backend.backend() == "torch":
                with sys.modules["torch"].no_grad():
                    return function(inputs)
            return function(inputs)

    return run


def pure(function: Function) -> Function:
    """Compiles a function of tensors alone."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return sys.modules["tensorflow"].function(function, autograph=False)
    if backend == "jax":
        return sys.modules["jax"].jit(function)
    return stateless(function)


def scope(tensor: Any) -> object | None:
    """What a tensor belongs to while a function is traced, such as a TensorFlow graph; None for a concrete value.

    A tensor made inside a loop, a branch or a vectorised map has another scope than the inputs of the function around it, and
    must not leave there.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        tensorflow = sys.modules["tensorflow"]
        return None if isinstance(tensor, tensorflow.__internal__.EagerTensor) else getattr(tensor, "graph", None)
    if backend == "jax":
        return getattr(tensor, "_trace", None)
    torch = sys.modules["torch"]
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(tensor) if torch.is_tensor(tensor) else False
    return "functorch" if wrapped else None


def owned(tensor: Any) -> Any:
    """The tensor, safe from later changes in place: torch alone can change a tensor that somebody else still holds."""
    return tensor.clone() if keras.backend.backend() == "torch" else tensor
