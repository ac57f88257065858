"""A probe of many images in chunks: one pass for the ranges of channels, a second one for their pixels.

Pixels are scaled by a channel's range over all images, which only a whole pass knows. So each chunk goes through the
model twice, and memory of the device is that of one chunk; on the host a byte is kept for each cell of a map. Chunks
are all of one size, so that one program serves them: the last one begins as much earlier as it must, and what it says
of images that were there before is passed over.

What is stored is what one pass over all images would give, as far as the model treats each image on its own: `low`,
`high`, `nonfinite` and the pixels are equal to the bit, `zeros` to its last bit (it is a quotient, made on the host and
not on the device), and `mean`, `mean_abs` and `std` to 2e-6 of the channel's largest magnitude (they are sums of
images' sums, in float64). A model whose arithmetic depends on the size of a batch differs by that: convolutions in
their last bits, by which a pixel may be the next level; one that normalises by the batch's own statistics by what they
are.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from fm_callback.capture.summary import PARTS
from fm_callback.format import NUMBERS

#: So many images go through at once; a probe of more goes through in chunks of `CHUNK`.
AT_ONCE = 16
CHUNK = 8


class Chunk(NamedTuple):
    """Some images of the probe, and which of the chunk's own are new with it."""

    images: slice
    new: slice

    @property
    def fresh(self) -> slice:
        """The new ones' places in the probe."""
        return slice(self.images.start + self.new.start, self.images.stop)


def chunks(count: int) -> Iterator[Chunk]:
    """All images of a probe of more than `AT_ONCE`."""
    for start in range(0, count, CHUNK):
        begin = min(start, count - CHUNK)
        yield Chunk(slice(begin, begin + CHUNK), slice(start - begin, CHUNK))


def in_two_passes(
    run: Callable[[Any], Sequence[np.ndarray]],
    samples: Any,
    channels: int,
    put: Callable[[Chunk, np.ndarray, Sequence[np.ndarray]], None],
) -> np.ndarray:
    """Takes the numbers of all channels over all images, and hands over the pixels chunk by chunk.

    Args:
        run: From a pair of a chunk of samples and its channels' scale, float32 (channels, 3) of low, high and mean, to
            pixels and parts on the host, as `summary.summarise_chunk` has them, and what else there is of the chunk.
        samples: The whole probe, a structure of arrays.
        channels: How many channels there are, of all layers together.
        put: Takes a chunk, its pixels, and what else there is.

    Returns:
        The numbers, float32 (channels, numbers) in the order of `NUMBERS`.
    """
    count = _count(samples)
    parts = np.empty((count, channels, len(PARTS)), np.float32)

    def passed(scale: np.ndarray) -> Iterator[tuple[Chunk, np.ndarray, Sequence[np.ndarray]]]:
        for chunk in chunks(count):
            pixels, of_images, *others = run(_inputs(samples, chunk, scale))
            parts[chunk.fresh] = of_images[chunk.new]
            yield chunk, pixels, others

    for _ in passed(_no_scale(channels)):
        pass
    scale = np.stack([_numbers(parts)[:, NUMBERS.index(name)] for name in ("low", "high", "mean")], axis=1)
    for whole in passed(scale):
        put(*whole)
    return _numbers(parts)


def first_of_chunks(samples: Any, channels: int) -> Any:
    """Inputs like those of each run."""
    return _inputs(samples, next(chunks(_count(samples))), _no_scale(channels))


def _inputs(samples: Any, chunk: Chunk, scale: np.ndarray) -> Any:
    part = keras.tree.map_structure(lambda array: keras.ops.convert_to_tensor(array[chunk.images]), samples)
    return part, keras.ops.convert_to_tensor(scale)


def _count(samples: Any) -> int:
    return len(keras.tree.flatten(samples)[0])


def _no_scale(channels: int) -> np.ndarray:
    return np.zeros((channels, 3), np.float32)


def _numbers(parts: np.ndarray) -> np.ndarray:
    """The numbers of channels, (channels, numbers), from the parts of all images, (images, channels, parts)."""
    part = {name: parts[..., at].astype(np.float64) for at, name in enumerate(PARTS)}
    total = {name: values.sum(axis=0) for name, values in part.items()}
    some = total["count"] > 0
    count = np.where(some, total["count"], np.nan)
    numbers = {
        "low": np.where(some, part["low"].min(axis=0), np.nan),
        "high": np.where(some, part["high"].max(axis=0), np.nan),
        "mean": total["sum"] / count,
        "mean_abs": total["sum_abs"] / count,
        "std": np.sqrt(total["squares"] / count),
        "zeros": total["zeros"] / total["cells"],
        "nonfinite": total["cells"] - total["count"],
    }
    return np.stack([numbers[name] for name in NUMBERS], axis=1).astype(np.float32)
