"""What differs between Keras's backends: one class for each, of which only the running one's module is imported.

What a capture asks of a backend, and why:

- Training must not notice a pass. So the pass is compiled apart (`compile`, or `eager` where that is impossible), under
  a stateless scope, and what else it would leave behind is kept from staying: random numbers, gradients and
  summaries (`inert`), buffers that Keras does not know (`keep_buffers`), traces of functions that the model compiles on its own
  (`inline_functions`).
- Training should not wait for a pass: where the weights of a moment can be set aside, the pass runs later (`defer`).
- A capture shows the weights of its moment, wherever the backend keeps them (`synchronise`), and what was captured
  stays as it was (`clone`).
- What is made inside a loop or a branch of a traced function must not leave it, so it must be told apart (`scope`).
- Of several processes one writes (`is_chief`).

By the time that a model exists, Keras has imported its backend: each module here imports its own at the top.

Private APIs on which the package relies, each with a canary in `tests/test_private_apis.py` that says what broke:

    where                    what                                       what for
    trace.py                 keras.Layer.__call__, found on the class   replaced while a call is watched
    trace.py                 keras.Layer.rematerialized_call            replaced likewise: it would hide what is inside
    trace.py                 keras.src.backend.nn                       its convolutions, sigmoids and softmax likewise
    layers.py                _flatten_layers of a model                 its convolutions, before anything is traced
    restore.py               _flatten_layers and _tracker of a layer    what building changes is put back after an error
    samples.py               _inputs_struct of a functional model       names and nesting of its inputs
    callback.py              keras.callbacks.Callback._model            left out of copies and pickles
    backends/tensorflow.py   the type of `tf.function`                  its calls run as parts of the function around
    backends/tensorflow.py   `_autograph` of a `tf.function`            whether TensorFlow rewrites its Python
    backends/tensorflow.py   tf.__internal__.autograph                  how it does that
    backends/tensorflow.py   tf.__internal__.EagerTensor                a concrete value has no scope
    backends/tensorflow.py   _seed and _rng of the eager context        a pass draws from random numbers of its own
    backends/tensorflow.py   _flatten_layers of a model                 variables that Keras does not know
    backends/tensorflow.py   "loop_body" in names of tensors            the scope of a vectorised map's turn
    backends/tensorflow.py   ConcreteFunction.graph.variables           the variables that Keras does not know
    backends/tensorflow.py   keras.src.backend                          its functions hold no layer, and stay compiled
    backends/jax.py          jax_state_sync of a model                  `synchronise`
    backends/jax.py          Tracer._trace                              `scope`
    backends/torch.py        torch._C._functorch                        `scope`
    backends/torch.py        keras.src.backend.core                     its `cond`, of which it traces the first branch
    write/event_copies.py    tensorboard.compat.proto, metadata of      what TensorBoard's own tabs read
                             its plugins image, scalar and text
"""

import operator
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any

import keras
import numpy as np

Function = Callable[[Any], Any]
#: What is to be done with a function, as often as it likes to call it.
Work = Callable[[Function], Any]


class Backend(ABC):
    """A backend of Keras's, as a capture needs it. What stands here holds for most; see the requirements above.

    Attributes:
        name: Keras's name of it.
        runs_eagerly: Whether nothing is ever compiled: the model's Python runs at each call.
    """

    name: str
    runs_eagerly = False

    @abstractmethod
    def compile(self, model: keras.Model, function: Function) -> Function:
        """Compiles `function`, which takes tensors and may call `model`, so that a call leaves the model as it was.

        The function sees the model's variables as they are at each call and runs under `keras.StatelessScope`: seed
        generators, moving statistics and losses that it touches are put back. It is traced at the first call, and again
        only when the model has other variables than before (LoRA, quantization).

        Args:
            model: The model that `function` calls.
            function: From a structure of tensors to a structure of tensors.

        Returns:
            A function of the same signature.
        """

    def defer(self, model: keras.Model, function: Function) -> Callable[[Any, Work], Callable[[], Any]] | None:
        """Compiles as `compile` does, in two parts: what must see the weights of this moment, and the rest.

        Returns:
            A function of inputs like those to come and of the work that is to be done with `function` at the weights of
            this moment. It returns the rest: a function of nothing, whose result is that of the work. The rest may run
            later and on another thread, while training changes the weights. None where nothing can be put off.
        """
        return None

    def eager(self, model: keras.Model, function: Function) -> Function:
        """`function` as `compile` has it, but its Python runs each time."""
        run_inert = self.stateless(function)

        def run(inputs: Any) -> Any:
            # What building draws stays drawn: it happens here in place of later.
            with self.keep_buffers(model), keep_random_numbers() if model.built else nullcontext():
                return run_inert(inputs)

        return run

    @abstractmethod
    def compile_pure(self, function: Function) -> Function:
        """Compiles a function of tensors alone."""

    def stateless(self, function: Function, values: Any = ()) -> Function:
        """`function` without effects on Keras's state, and inert.

        Args:
            function: What to run.
            values: Pairs of a variable and the value that it has inside.
        """

        def run(inputs: Any) -> Any:
            with keras.StatelessScope(state_mapping=values), self.inert(), self.inline_functions():
                return function(inputs)

        return run

    def inert(self) -> AbstractContextManager[None]:
        """Within it no gradients are recorded, no summaries written, and no random number drawn that training would miss."""
        return nullcontext()

    def inline_functions(self) -> AbstractContextManager[None]:
        """Within it functions that the model compiles on its own run as parts of the one around them."""
        return nullcontext()

    def keep_buffers(self, model: keras.Model) -> AbstractContextManager[None]:
        """After it the model's state that Keras does not know is as it was before."""
        return nullcontext()

    def synchronise(self, model: keras.Model) -> None:  # noqa: B027 (most hold nothing elsewhere)
        """Brings back into the model what the backend holds elsewhere during an epoch."""

    def guessing(self, note: Callable[[], None]) -> AbstractContextManager[None]:
        """Within it `note` is called where a trace without data takes one branch for want of data."""
        return nullcontext()

    @abstractmethod
    def scope(self, tensor: Any) -> object | None:
        """What a tensor belongs to while a function is traced, such as a graph; None for a concrete value.

        A tensor made inside a loop, a branch, a vectorised map or a function that is compiled on its own has another
        scope than the inputs of the function around it, and must not leave there.
        """

    @abstractmethod
    def is_dense(self, value: Any) -> bool:
        """Whether a value is one tensor that holds all its numbers: neither several, nor sparse, nor ragged."""

    def clone(self, tensor: Any) -> Any:
        """The tensor, safe from later changes in place."""
        return tensor

    def to_host(self, tensors: tuple[Any, ...]) -> list[np.ndarray]:
        """Tensors as arrays."""
        return [keras.ops.convert_to_numpy(tensor) for tensor in tensors]

    @abstractmethod
    def is_chief(self) -> bool:
        """Whether this process is the one of a distributed training that writes; true without other processes."""

    def chief_by_environment(self) -> str | None:
        """The environment variable that says which process writes, in words, if nothing else does: it may be left over."""
        return None


def traced_per_variables(model: keras.Model, trace: Callable[[list[keras.Variable]], Function]) -> Function:
    """What `trace` makes of the model's variables, made anew only when they are others."""
    traced: Function | None = None
    known: list[keras.Variable] = []

    def run(inputs: Any) -> Any:
        nonlocal traced, known
        variables = model.variables
        if traced is None or not same_objects(variables, known):
            known = variables
            traced = trace(variables)
        return traced(inputs)

    return run


def same_objects(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two lists hold the very same objects. Lists, not ids: the id of an object that is gone may come again."""
    return len(some) == len(others) and all(map(operator.is_, some, others))


@contextmanager
def keep_random_numbers() -> Iterator[None]:
    """Those that a model's Python draws are put back: training would miss them."""
    before, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(of_numpy)


def _running() -> Backend:
    name = keras.backend.backend()
    classes = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "Torch", "numpy": "NumPy"}
    if name not in classes:
        raise ImportError(f"feature maps need Keras on one of the backends {', '.join(classes)}; it runs on {name!r}")
    return getattr(import_module(f"{__name__}.{name}"), classes[name])()


#: That on which Keras runs.
backend = _running()
