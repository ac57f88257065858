"""What the pass of one step costs, against one bare forward pass: one run, medians of interleaved repetitions.

    python benchmarks/forward.py                      # full SD_UNet, 160x160, one image, all 51 layers, 32 channels
    KERAS_BACKEND=jax python benchmarks/forward.py
    python benchmarks/forward.py --quick              # a small SD_UNet, to see that it runs

Runs on whichever backend and device Keras sees. Every ratio is to the bare pass: `model(image, training=False)` compiled once, its
output awaited. "Training thread" is what `on_epoch_end` takes while the thread behind it is idle; "all work" lasts until
the step is on disk.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import keras
from driving import Subject, Watched, accelerated, arguments, device, subject, wait
from rivals import reference, tf_explain
from timing import Spent, figure, growth, in_one_arena, interleaved, ratio, wall

from fm_callback.capture.backends import backend
from fm_callback.capture.capture import Capture

ALL = "ours, all work, threads included"
BLOCKED = "ours, training thread (on_epoch_end)"
LIMITS = {"tensorflow": 1.3, "jax": 1.5}
BARE = "bare forward pass"
DEVICE_PASS = "the same and its summary, awaited on the device"


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__, repeats=15)
    parser.add_argument("--captures", type=int, default=300, help="captures over which memory is watched (default 300)")
    parser.add_argument("--memory", action="store_true", help="watch memory, and nothing else")
    options = parser.parse_args()
    if options.quick:
        options.captures = 40
    if options.memory:
        memory(subject(options), options.captures)
        return
    in_one_arena([__file__, *sys.argv[1:], "--memory"])
    watched = subject(options)
    model, batch, _ = watched
    capture = Capture(model, batch, "all", 32)
    tensor = keras.ops.convert_to_tensor(batch)
    forward = backend.compile(model, lambda inputs: model(inputs, training=False))
    names = [plan.info.path for plan in capture.plans][: 3 if options.quick else None]
    print(f"{device()}, {len(capture.plans)} layers, medians of {options.repeats}")

    with Watched(watched) as ours, tempfile.TemporaryDirectory() as folder:
        print(f"step 0, compilation included: {ours.step_zero:.1f} s")
        ways: dict[str, Callable[[], Any]] = {
            BARE: lambda: wait(forward(tensor)),
            "forward pass that keeps the maps, awaited": lambda: wait(capture.outputs(tensor)),
            DEVICE_PASS: lambda: wait(capture(tensor)()),
            "the same, on the host": lambda: capture(tensor)(),
            ALL: ours.step,
        }
        rivals = {
            "the reference's way: new Model + predict": reference(model, batch, names),
            "tf-explain's callback": tf_explain(model, batch, names, Path(folder)),
        }
        ways |= {name: way for name, way in rivals.items() if way is not None}
        times = interleaved(ways, options.repeats, slow=rivals)
        times[BLOCKED] = ours.blocked[-options.repeats :]
    table(times)
    figure(
        "training thread / bare pass",
        ratio(wall(times[BLOCKED]), wall(times[BARE])),
        at_most=None if options.quick else LIMITS.get(backend.name),
    )
    figure(
        "pass with its summary on the device / bare pass",
        ratio(wall(times[DEVICE_PASS]), wall(times[BARE])),
        at_most=2 if accelerated() else None,
    )
    blocked = 1e3 * median(wall(times[BLOCKED]))
    figure("training thread", blocked, unit=" ms", at_most=5 if accelerated() and backend.name == "jax" else None)
    if backend.runs_eagerly:
        print("torch runs eagerly: nothing is compiled, and the bare pass is one eager call")


def memory(watched: Subject, captures: int) -> None:
    """Prints by how much memory grows over many captures, and over as many bare passes."""
    model, batch, _ = watched
    tensor = keras.ops.convert_to_tensor(batch)
    forward = backend.compile(model, lambda inputs: model(inputs, training=False))
    growth("bare passes", lambda: wait(forward(tensor)), captures, settled=20)
    with Watched(watched) as ours:
        growth("captures", ours.step, captures, settled=20, at_most=5)


def table(times: dict[str, list[Spent]]) -> None:
    """Prints medians and their ratios to the bare pass."""
    width = max(map(len, times))
    print(f"{'':{width}}       ms  lowest  / bare")
    for name, taken in times.items():
        each = wall(taken)
        print(f"{name:{width}} {1e3 * median(each):8.1f} {1e3 * min(each):7.1f} {ratio(each, wall(times[BARE])):7.2f}")


if __name__ == "__main__":
    main()
