"""Watch a convolutional network learn: its feature maps, epoch by epoch, in TensorBoard.

Public names are resolved on first use (PEP 562), so that TensorBoard's own process can import parts of this package
without loading Keras or a backend.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fm_callback.callback import FeatureMapCallback as FeatureMapCallback
    from fm_callback.capture.extractor import FeatureMapExtractor as FeatureMapExtractor
    from fm_callback.capture.find import conv_layers as conv_layers
    from fm_callback.capture.layers import ConvLayer as ConvLayer
    from fm_callback.read.log import open_log as open_log
    from fm_callback.read.notebook import show as show

_HOMES = {
    "FeatureMapCallback": "callback",
    "FeatureMapExtractor": "capture.extractor",
    "ConvLayer": "capture.layers",
    "conv_layers": "capture.find",
    "open_log": "read.log",
    "show": "read.notebook",
}

__all__ = ["ConvLayer", "FeatureMapCallback", "FeatureMapExtractor", "conv_layers", "open_log", "show"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fm_callback' has no attribute {name!r}")
    home = f"fm_callback.{_HOMES[name]}"
    try:
        return getattr(import_module(home), name)
    except AttributeError as error:  # of Keras's backend, say; from here Python would take it for "no such name"
        raise ImportError(f"{home} can't be imported: AttributeError: {error}") from error


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
