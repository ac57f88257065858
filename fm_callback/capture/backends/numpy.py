"""NumPy, on which Keras can't train: the extractor and the command line run a model layer by layer."""

from typing import Any

import keras
import numpy as np

from fm_callback.capture.backends import Backend, Function


class NumPy(Backend):
    """Keras on NumPy."""

    name = "numpy"
    runs_eagerly = True

    def compile(self, model: keras.Model, function: Function) -> Function:
        return self.eager(model, function)

    def compile_pure(self, function: Function) -> Function:
        return function

    def scope(self, tensor: Any) -> object | None:
        return None

    def is_dense(self, value: Any) -> bool:
        return isinstance(value, np.ndarray)

    def is_chief(self) -> bool:
        return True
