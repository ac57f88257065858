"""PyTorch, which runs eagerly: nothing is compiled. The training thread waits for the pass."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import torch
from keras.src.backend import core

from fm_callback.capture.backends import Backend, Function


class Torch(Backend):
    """Keras on PyTorch."""

    name = "torch"
    runs_eagerly = True

    def compile(self, model: keras.Model, function: Function) -> Function:
        return self.eager(model, function)

    def compile_pure(self, function: Function) -> Function:
        return torch.no_grad()(function)

    @contextmanager
    def inert(self) -> Iterator[None]:
        """No gradients, and torch's global random numbers put back. What a model draws there, training would miss.

        For the thread that trains: on another, what training draws meanwhile would be put back, too.
        """
        devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
        with torch.no_grad(), torch.random.fork_rng(devices):
            yield

    @contextmanager
    def keep_buffers(self, model: keras.Model) -> Iterator[None]:
        before = [(buffer, buffer.clone()) for buffer in model.buffers()]
        try:
            yield
        finally:
            for buffer, value in before:
                with torch.no_grad():
                    buffer.copy_(value)

    @contextmanager
    def guessing(self, note: Callable[[], None]) -> Iterator[None]:
        """Without data Keras takes the first branch of `ops.cond`, and never looks at the other."""
        thread = threading.get_ident()

        def cond(pred: Any, true_fn: Any, false_fn: Any) -> Any:
            if threading.get_ident() == thread and getattr(pred, "is_meta", False):
                note()
            return original(pred, true_fn, false_fn)

        with _one_at_a_time:
            original, core.cond = core.cond, cond
            try:
                yield
            finally:
                core.cond = original

    def scope(self, tensor: Any) -> object | None:
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            return "functorch"
        return "meta" if tensor.is_meta else None

    def is_dense(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.layout == torch.strided

    def clone(self, tensor: Any) -> Any:
        """A copy: torch alone can change a tensor that somebody else still holds."""
        return tensor.clone()

    def is_chief(self) -> bool:
        return torch.distributed.get_rank() == 0 if _is_distributed() else os.environ.get("RANK", "0") == "0"

    def chief_by_environment(self) -> str | None:
        return None if _is_distributed() or "RANK" not in os.environ else f"RANK={os.environ['RANK']}"


# Contexts of two threads that end in another order than they began would leave one of the replacements behind.
_one_at_a_time = threading.RLock()


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
