"""What differs between Keras's backends: compiling, copying to the host, scopes of a trace, which process writes.

No backend is imported here: by the time that a model exists, Keras has imported the one in use.
"""

import json
import operator
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np

Function = Callable[[Any], Any]

BACKEND = keras.backend.backend()

#: Whether `deferred` can put the pass off.
DEFERS = BACKEND == "jax"


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
        return uncompiled(model, function)
    if BACKEND == "tensorflow":
        return _for_variables(model, lambda variables: _with_foreign(stateless(function), variables))

    def trace(variables: list[keras.Variable]) -> Function:
        jitted = sys.modules["jax"].jit(_with_values(function, variables))
        return lambda inputs: jitted(_values(variables), inputs)

    return _for_variables(model, trace)


def deferred(model: keras.Model, function: Function) -> Callable[[Any], Callable[[], Any]]:
    """Compiles `function` as `compiled` does, for JAX, in two parts: what must see the weights of this moment, and the rest.

    The first part copies all variables on the device in one small program. The rest reads the copy: it may run later, on
    another thread, while training takes the variables' own memory for the next step. Launching the hundreds of kernels of a
    pass takes milliseconds of a thread on a GPU; the copy takes a fraction of one, and the memory of the weights for a moment.

    Returns:
        A function of the inputs that returns the rest: a function of nothing, whose result is that of `function`.
    """

    def trace(variables: list[keras.Variable]) -> Callable[[Any], Callable[[], Any]]:
        jax, values = sys.modules["jax"], _values(variables)
        function_of = _with_values(function, variables)
        if any(
            len(value.devices()) > 1 for value in values
        ):  # a copy in one piece would gather what is spread over devices
            whole = jax.jit(function_of)
            return lambda inputs: partial(lambda result: result, whole(_values(variables), inputs))
        shapes = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in values]
        pack, run = jax.jit(_packed), jax.jit(lambda packed, inputs: function_of(_unpacked(packed, shapes), inputs))
        program: Callable[..., Any] | None = None

        def start(inputs: Any) -> Callable[[], Any]:
            nonlocal program
            packed = pack(_values(variables))
            if program is None:  # here, for `jit` would trace anew on a thread that has other settings of JAX
                program = run.lower(packed, inputs).compile()
                jax.block_until_ready(program(packed, inputs))
            return partial(program, packed, inputs)

        return start

    return _for_variables(model, trace)


def _for_variables(model: keras.Model, trace: Callable[[list[keras.Variable]], Function]) -> Function:
    """What `trace` makes of the model's variables, made anew only when they are others."""
    traced: Function | None = None
    known: list[keras.Variable] = []

    def run(inputs: Any) -> Any:
        nonlocal traced, known
        variables = model.variables
        if traced is None or len(variables) != len(known) or not all(map(operator.is_, variables, known)):
            known = variables
            traced = trace(variables)
        return traced(inputs)

    return run


def _with_foreign(function: Function, variables: list[keras.Variable]) -> Function:
    """Compiles a function on TensorFlow; its own variables that Keras does not know, such as a generator's state, are put back."""
    # A variable of a distribution strategy stands for one on each device: the graph knows those.
    ours = {id(part) for variable in variables for part in getattr(variable.value, "values", [variable.value])}
    concrete: Any = None
    foreign: list[Any] = []

    def run(inputs: Any) -> Any:
        nonlocal concrete, foreign
        if concrete is None:
            concrete = sys.modules["tensorflow"].function(function, autograph=False).get_concrete_function(inputs)
            foreign = [variable for variable in concrete.graph.variables if id(variable) not in ours]
        before = [variable.read_value() for variable in foreign]
        try:
            return concrete(inputs)
        finally:
            for variable, value in zip(foreign, before, strict=True):
                variable.assign(value)

    return run


def uncompiled(model: keras.Model, function: Function) -> Function:
    """`function` as `compiled` has it, but its Python runs each time."""
    run_inert = stateless(function)

    def run(inputs: Any) -> Any:
        with buffers_kept(model):
            return run_inert(inputs)

    return run


@contextmanager
def buffers_kept(model: keras.Model) -> Iterator[None]:
    """On torch: the model's buffers, which Keras does not know, put back."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()] if BACKEND == "torch" else []
    try:
        yield
    finally:
        for buffer, value in before:
            with sys.modules["torch"].no_grad():
                buffer.copy_(value)


def _with_values(function: Function, variables: list[keras.Variable]) -> Callable[[list[Any], Any], Any]:
    return lambda values, inputs: stateless(function, zip(variables, values, strict=True))(inputs)


def _values(variables: list[keras.Variable]) -> list[Any]:
    return list(map(operator.attrgetter("value") if sys.modules["jax"].process_count() == 1 else _local, variables))


def _packed(values: list[Any]) -> dict[str, Any]:
    """All values of one dtype in a row."""
    rows: dict[str, list[Any]] = {}
    for value in values:
        rows.setdefault(str(value.dtype), []).append(value.ravel())
    return {dtype: sys.modules["jax"].numpy.concatenate(row) for dtype, row in rows.items()}


def _unpacked(packed: dict[str, Any], shapes: list[Any]) -> list[Any]:
    at = dict.fromkeys(packed, 0)
    values = []
    for shape in shapes:
        dtype = str(shape.dtype)
        start, at[dtype] = at[dtype], at[dtype] + shape.size
        values.append(packed[dtype][start : at[dtype]].reshape(shape.shape))
    return values


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
    """`function` under a stateless scope in which variables have the given values, and inert."""

    def run(inputs: Any) -> Any:
        with keras.StatelessScope(state_mapping=values), inert(), in_the_open():
            return function(inputs)

    return run


@contextmanager
def inert() -> Iterator[None]:
    """On torch: no gradients, and its global random numbers put back. What a model draws there, training would miss.

    For the thread that trains: on another, what training draws meanwhile would be put back, too.
    """
    if BACKEND != "torch":
        yield
        return
    torch = sys.modules["torch"]
    with torch.no_grad(), torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_initialized() else []):
        yield


_one_at_a_time = threading.RLock()


@contextmanager
def in_the_open() -> Iterator[None]:
    """On TensorFlow: functions that the model compiles on its own run as parts of the one around them, on this thread.

    Otherwise they would keep the trace, and training would meet it again: layers in evaluation mode, and as constants the
    variables that were not there yet. And what is inside them could not be seen.
    """
    if BACKEND != "tensorflow":
        yield
        return
    kind, thread = type(sys.modules["tensorflow"].function(lambda: None)), threading.get_ident()

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        python = function.python_function
        if threading.get_ident() != thread or (getattr(python, "__module__", None) or "").startswith("tensorflow."):
            return original(function, *args, **kwargs)
        return python(*args, **kwargs)

    with _one_at_a_time:
        original, kind.__call__ = kind.__call__, call
        try:
            yield
        finally:
            kind.__call__ = original


def synchronise(model: keras.Model) -> None:
    """Brings back what JAX holds outside the model during an epoch; Keras does so where a callback asks for its `model`."""
    getattr(model, "jax_state_sync", lambda: None)()


def pure(function: Function) -> Function:
    """Compiles a function of tensors alone."""
    if BACKEND == "tensorflow":
        return sys.modules["tensorflow"].function(function, autograph=False)
    if BACKEND == "jax":
        return sys.modules["jax"].jit(function)
    return sys.modules["torch"].no_grad()(function)


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
