"""What readers take of a log, asked before training: what is written and can't be read is lost."""

import math

from fm_callback.format import (
    MOST_BLOB,
    MOST_CHANNELS,
    MOST_HEAD,
    MOST_LAYERS,
    MOST_OBJECTS,
    LayerFacts,
    RunFacts,
    to_json,
)

#: So many bytes at most has a reference in JSON, and what stands around those of a layer at a step.
_REFERENCE, _AROUND = 36, 40


def refuse_too_much(facts: RunFacts) -> None:
    """Checks that readers take a run of these facts.

    Raises:
        ValueError: if a picture, a step or the run record would be larger than they take.
    """
    layers = [layer for layer in facts.layers if isinstance(layer, LayerFacts)]
    for layer in layers:
        _refuse_large_pictures(layer)
    count, stored = len(layers), facts.probe.stored
    if count > MOST_LAYERS:
        raise ValueError(f"the log takes up to {MOST_LAYERS:,} layers; `layers` chooses {count:,}")
    channels = sum(len(layer.channels) for layer in layers)
    if channels > MOST_CHANNELS:
        raise ValueError(f"the log takes up to {MOST_CHANNELS:,} channels; `channels` chooses {channels:,}")
    # In the list of a step, each layer has its numbers, its summaries and a list of maps.
    size, pieces = count * (_AROUND + (2 + stored) * _REFERENCE), 1 + count * (4 + stored)
    if size > MOST_HEAD or pieces > MOST_OBJECTS:
        most = min((MOST_HEAD // count - _AROUND) // _REFERENCE - 2, (MOST_OBJECTS - 1) // count - 4)
        raise ValueError(
            f"maps of {stored:,} samples in {count:,} layers are more than the log takes at a step; log fewer `layers`, or "
            f"give `stored` {max(most, 1):,} at most"
        )
    size = len(to_json(facts.head())) + 2 * stored * _REFERENCE
    if size > MOST_HEAD:
        raise ValueError(
            f"what is known of {count:,} layers with {channels:,} channels comes to {size / 1e6:.0f} MB, and the log takes "
            f"{MOST_HEAD / 1e6:.0f}; log fewer `layers` or `channels`, or give less `stored`"
        )


def _refuse_large_pictures(facts: LayerFacts) -> None:
    height, width = facts.map
    most = MOST_BLOB - 2**20  # what does not get smaller by packing gets a little larger
    if math.prod(facts.grid) > most:
        raise ValueError(
            f"layer {facts.path!r}: {len(facts.channels)} channels of {height}×{width} make a picture of "
            f"{math.prod(facts.grid) / 1e6:.0f} MB, and the log takes up to {most / 1e6:.0f}; log fewer `channels`, "
            f"such as the first {max(1, most // (height * width) // 2)}"
        )
