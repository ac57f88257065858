"""Warnings that point at the line of the user's that led to them, not into Keras or this package."""

import os
import sys
import warnings
from pathlib import Path

import keras

_INSIDE = tuple(f"{folder}{os.sep}" for folder in (Path(__file__).parents[1], Path(keras.__file__).parent))


def warn(message: str) -> None:
    """Gives a RuntimeWarning at the innermost line of the stack that is outside, such as that of `model.fit`."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_INSIDE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, RuntimeWarning, stacklevel=level)
