"""Labels of a probe, from where the object is."""

import numpy as np

from fm_callback.format import Label
from fm_callback.scores.concepts import Masks


def masks_of(foreground: np.ndarray, ignore: np.ndarray | None = None) -> Masks:
    """Background, object, and what is to be ignored, from bool arrays."""
    pixels = foreground.astype(np.uint8)
    labels = [Label("background", 0), Label("foreground", 1, foreground=True)]
    if ignore is not None:
        pixels = np.where(ignore, 2, pixels).astype(np.uint8)
        labels.append(Label("ignored", 2, ignored=True))
    return Masks(pixels, tuple(labels))
