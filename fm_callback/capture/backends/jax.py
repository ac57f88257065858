"""JAX: pure functions of the variables' values by `jax.jit`. The pass runs later, over a copy of the weights."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import keras
import numpy as np

from fm_callback.capture.backends import Backend, Function, Work, traced_per_variables


class JAX(Backend):
    """Keras on JAX."""

    name = "jax"

    def compile(self, model: keras.Model, function: Function) -> Function:
        def trace(variables: list[keras.Variable]) -> Function:
            jitted = jax.jit(self._with_values(function, variables))
            return lambda inputs: jitted(_values(variables), inputs)

        return traced_per_variables(model, trace)

    def defer(self, model: keras.Model, function: Function) -> Callable[[Any, Work], Callable[[], Any]]:
        """Compiles as `compile` does, in two parts: what must see the weights of this moment, and the rest.

        The first part copies all variables on the device in one small program. The rest reads the copy: it may run
        later, on another thread, while training takes the variables' own memory for the next step. Launching the
        hundreds of kernels of a pass takes milliseconds of a thread on a GPU; the copy takes a fraction of one, and the
        memory of the weights for a moment.
        """

        def trace(variables: list[keras.Variable]) -> Callable[[tuple[Any, Work]], Callable[[], Any]]:
            values, function_of = _values(variables), self._with_values(function, variables)
            if any(len(value.devices()) > 1 for value in values):  # a copy in one piece would gather what is spread
                whole = jax.jit(function_of)

                def at_once(job: tuple[Any, Work]) -> Callable[[], Any]:
                    result = job[1](partial(whole, _values(variables)))
                    return lambda: result

                return at_once
            shapes = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in values]
            pack, run = jax.jit(_packed), jax.jit(lambda packed, inputs: function_of(_unpacked(packed, shapes), inputs))
            program: Callable[..., Any] | None = None

            def start(job: tuple[Any, Work]) -> Callable[[], Any]:
                nonlocal program
                inputs, work = job
                packed = pack(_values(variables))
                if program is None:  # here, for `jit` would trace anew on a thread that has other settings of JAX
                    program = run.lower(packed, inputs).compile()
                    jax.block_until_ready(program(packed, inputs))
                return partial(work, partial(program, packed))

            return start

        deferred = traced_per_variables(model, trace)
        return lambda inputs, work: deferred((inputs, work))

    def compile_pure(self, function: Function) -> Function:
        return jax.jit(function)

    def synchronise(self, model: keras.Model) -> None:
        """Keras does so where a callback asks for its `model`."""
        if isinstance(model, keras.Model):  # a layer is not trained by itself
            model.jax_state_sync()

    def scope(self, tensor: Any) -> object | None:
        return getattr(tensor, "_trace", None)

    def is_dense(self, value: Any) -> bool:
        return isinstance(value, jax.Array)

    def to_host(self, tensors: tuple[Any, ...]) -> list[np.ndarray]:
        """Tensors as arrays; their copies run side by side."""
        for tensor in tensors:
            tensor.copy_to_host_async()
        return super().to_host(tensors)

    def is_chief(self) -> bool:
        return jax.process_index() == 0

    def _with_values(self, function: Function, variables: list[keras.Variable]) -> Callable[[list[Any], Any], Any]:
        """`function` as one of the variables' values, too."""
        return lambda values, inputs: self.stateless(function, zip(variables, values, strict=True))(inputs)


def _values(variables: list[keras.Variable]) -> list[Any]:
    return list(map(operator.attrgetter("value") if jax.process_count() == 1 else _local, variables))


def _local(variable: keras.Variable) -> Any:
    """A variable's value as a program of this process alone can use it: the other processes take no part."""
    value = variable.value
    if value.is_fully_addressable:
        return value
    if not value.is_fully_replicated:
        raise RuntimeError(
            f"variable {variable.path!r} is spread over several processes, so none of them can run the model on its "
            "own: feature maps need a model that each process holds whole, as under keras.distribution.DataParallel"
        )
    return value.addressable_data(0)


def _packed(values: list[Any]) -> dict[str, Any]:
    """All values of one dtype in a row."""
    rows: dict[str, list[Any]] = {}
    for value in values:
        rows.setdefault(str(value.dtype), []).append(value.ravel())
    return {dtype: jax.numpy.concatenate(row) for dtype, row in rows.items()}


def _unpacked(packed: dict[str, Any], shapes: list[Any]) -> list[Any]:
    at = dict.fromkeys(packed, 0)
    values = []
    for shape in shapes:
        dtype = str(shape.dtype)
        start, at[dtype] = at[dtype], at[dtype] + shape.size
        values.append(packed[dtype][start : at[dtype]].reshape(shape.shape))
    return values
