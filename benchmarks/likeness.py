"""How far a model is from itself in another precision and on another backend, and from what training makes of it: `likeness.distance`.

    python benchmarks/likeness.py                          # this backend; two minutes on two cores
    python benchmarks/likeness.py --save FILE.npz          # keeps weights and numbers
    python benchmarks/likeness.py --against FILE.npz       # on another backend or device: the same weights there
    python benchmarks/likeness.py --quick                  # a small model, short epochs

SD_UNet of 32 filters on drawn pets of 64x64, 51 layers, the first 32 channels of each, four images. The largest over the untrained
network, the network after some batches, and after some epochs.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np
from driving import device
from timing import figure
from train_pets import Batches, border_jaccard, drawn_pets, scaled, sd_unet

from fm_callback.capture.capture import Capture
from fm_callback.scores.likeness import PRECISION, ROUNDING, distance

#: What is kept of the training: after so many batches.
BATCHES, EPOCHS = 3, 3


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, metavar="FILE.npz", help="where to keep weights and numbers")
    parser.add_argument("--against", type=Path, metavar="FILE.npz", help="what another backend has kept")
    parser.add_argument("--quick", action="store_true", help="a small model, short epochs")
    options = parser.parse_args()
    print(f"{device()}, {keras.backend.backend()}")
    side, length = (32, 2) if options.quick else (64, 25)
    probe = scaled(drawn_pets(4, side, seed=1)[0], drawn=True)
    if options.against:
        against(options, side, probe)
        return
    weights, numbers = trained(options, side, probe, 0, length)
    _, others = trained(options, side, probe, 1, length)
    for policy in ("float16", "bfloat16"):
        there = under(f"mixed_{policy}", options, side, probe, weights)
        target = {} if options.quick else {"at_most": PRECISION}
        figure(f"{policy} / float32", max(map(distance, numbers, there)), **target)
    again = under("float32", options, side, probe, weights)
    figure("float32 again", max(map(distance, numbers, again)), at_most=ROUNDING)
    steps = [distance(*pair) for pair in itertools.pairwise(numbers)]
    figure("one batch, least", min(steps[:BATCHES]))
    figure("one epoch, least", min(steps[BATCHES:]))
    figure("another seed, least", min(map(distance, numbers, others)))
    if options.save:
        arrays = {f"weight {at} {name}": each for at, of in enumerate(weights) for name, each in enumerate(of)}
        arrays |= {f"numbers {at} {name}": each for at, of in enumerate(numbers) for name, each in enumerate(of)}
        np.savez(options.save, **arrays)


def against(options: argparse.Namespace, side: int, probe: np.ndarray) -> None:
    """The distance to what another backend has kept."""
    with np.load(options.against) as stored:
        weights, numbers = (
            [_lists(stored, f"{what} {at} ") for at in range(1 + BATCHES + EPOCHS)] for what in ("weight", "numbers")
        )
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        there = under(policy, options, side, probe, weights)
        figure(f"{policy} here / float32 there", max(map(distance, numbers, there)))


def _lists(stored: Any, prefix: str) -> list[np.ndarray]:
    return [stored[f"{prefix}{at}"] for at in range(sum(name.startswith(prefix) for name in stored))]


def trained(
    options: argparse.Namespace, side: int, probe: np.ndarray, seed: int, length: int
) -> tuple[list[list[np.ndarray]], list[list[np.ndarray]]]:
    """Weights and numbers of an untrained network, after each of some batches, and after each of some epochs."""
    keras.utils.set_random_seed(seed)
    model = network(options, side)
    model.compile(keras.optimizers.Adam(2e-4, beta_2=0.99), border_jaccard, jit_compile=False)
    batches = Batches(drawn_pets(16 if options.quick else 200, side, seed=0), 4, drawn=True, seed=0)
    capture, tensor = Capture(model, probe, "all", 32), keras.ops.convert_to_tensor(probe)
    weights, numbers = [model.get_weights()], [capture(tensor)()[1]]
    for count in [1] * BATCHES + [length] * EPOCHS:
        for _ in range(count):
            model.train_on_batch(*batches[0])
        weights.append(model.get_weights())
        numbers.append(capture(tensor)()[1])
    return weights, numbers


def under(
    policy: str, options: argparse.Namespace, side: int, probe: np.ndarray, weights: list[list[np.ndarray]]
) -> list[list[np.ndarray]]:
    """The numbers of a network of each of these weights that computes in another precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = network(options, side)
    finally:
        keras.config.set_dtype_policy(before)
    capture, tensor = Capture(model, probe, "all", 32), keras.ops.convert_to_tensor(probe)
    found = []
    for each in weights:
        model.set_weights(each)
        found.append(capture(tensor)()[1])
    return found


def network(options: argparse.Namespace, side: int) -> keras.Model:
    """SD_UNet, slim."""
    filters = 8 if options.quick else 32
    return sd_unet((side, side, 3), 3, filters=(filters,) * 5, neck=filters)


if __name__ == "__main__":
    main()
