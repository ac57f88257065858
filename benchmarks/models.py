"""Fifty models of other people's, each once through the callback: does it find, store and cost what it should?

    python benchmarks/models.py                     # all, on the backend of KERAS_BACKEND: some minutes on two cores
    python benchmarks/models.py SAM YOLO            # those whose name holds one of these
    python benchmarks/models.py --quick             # one that needs no package: to see that it runs

`pip install '.[models]'` beside a backend. Nothing is downloaded: weights are random, and configurations small. Each model is built,
watched and trained for one batch of two in a process of its own.

- convolutions: how many calls of convolutions were logged, of those that ran, as the truth counts them.
- largest difference: of all maps that were logged of the untrained model from the truth, in grey levels of their channel: half of one is
  what 8 bits take. What sums in another order may differ by, some 4e-6 of the layer's largest value, is taken off first. The truth shares
  no code with the package: the `call` of each convolution is wrapped, on the instance, and the model is run eagerly, in evaluation mode.
- step 0: until the maps of all convolutions, at most 32 channels of each, are on disk. First batch: the model's own, in the same `fit`,
  compiled without XLA on TensorFlow (with it the batch takes several times longer), as Keras decides on JAX and PyTorch.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import keras
import numpy as np
from third_party import CASES, Case
from timing import figure

from fm_callback import FeatureMapCallback, open_log
from fm_callback.read.run import Layer

CONVOLUTIONS = tuple(getattr(keras.layers, name) for name in dir(keras.layers) if "Conv" in name)
ROUNDING = 4e-6
LONGEST = 600  # seconds for a model


def main() -> None:
    """Runs each model in a process, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of names (default: all)")
    parser.add_argument("--quick", action="store_true", help="one model that needs no package")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(outcome(options.one)))
        return
    chosen = ["CT classification"] if options.quick else options.names or [""]
    names = [name for name in CASES if any(part.lower() in name.lower() for part in chosen)]
    print(f"{len(names)} models on {keras.backend.backend()}, Keras {keras.__version__}\n")
    print(
        "model | from | convolutions logged / run | largest difference | step 0 | first batch | ratio\n--- |"
        + 6 * " --- |"
    )
    results = {}
    for name in names:
        results[name] = in_a_process(name)
        print(f"{name} | {CASES[name][0]} | {told(results[name])}", flush=True)
    print()
    report([each for each in results.values() if "why" not in each], len(names))
    if wrong := [name for name, result in results.items() if is_wrong(result)]:
        sys.exit(f"not as it should be: {', '.join(wrong)}")


def told(result: dict[str, Any]) -> str:
    """The rest of a model's row."""
    if "why" in result:
        return result["why"]
    cells = [f"{result['logged']} / {result['run']}", f"{result['difference']:.3f}"]
    cells += [f"{result['step_zero']:.2f} s", f"{result['batch']:.2f} s"]
    cells.append("; ".join([f"{result['step_zero'] / result['batch']:.2f}", *result["warnings"]]))
    return " | ".join(cells)


def is_wrong(result: dict[str, Any]) -> bool:
    """Whether the callback did not do what it should: what it leaves out, it says."""
    if "why" in result:
        return result["ours"]
    return result["difference"] > 0.501 or (result["logged"] != result["run"] and not result["warnings"])


def report(done: list[dict[str, Any]], of: int) -> None:
    """The figures."""
    figure(f"models trained and logged, of {of}", len(done))
    if done:
        ratios = [each["step_zero"] / each["batch"] for each in done]
        logged, run = (sum(each[key] for each in done) for key in ("logged", "run"))
        figure(f"convolutions logged, of {run} that ran", logged)
        figure("largest difference of a map, grey levels", max(each["difference"] for each in done), at_most=0.501)
        figure("step 0 / first batch, median", median(ratios))
        figure("step 0 / first batch, highest", max(ratios))


def in_a_process(name: str) -> dict[str, Any]:
    """Runs one model; what fails has a reason in words."""
    command = [sys.executable, __file__, "--one", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return {"why": f"took more than {LONGEST} s", "ours": True}
    if done.returncode:
        return {"why": f"the process ended with {done.returncode}: {in_words(done.stderr[-300:])}", "ours": True}
    return json.loads(done.stdout.splitlines()[-1])


def outcome(name: str) -> dict[str, Any]:
    """What becomes of one model: its figures, or why there are none and whether that is the callback's fault."""
    make = CASES[name][1]
    try:
        case = make()
    except ImportError as error:
        return {"why": f"left out: {in_words(error)}", "ours": False}
    except Exception as error:
        return {"why": f"can't be built here: {in_words(error)}", "ours": False}
    try:
        return watched(case)
    except Exception as error:
        failure = in_words(error)
    try:
        case = make()
        train(case, truth(case)[1])
    except Exception as error:
        return {"why": f"can't be trained here, with or without the callback: {in_words(error)}", "ours": False}
    return {"why": f"FAILED with the callback alone: {failure}", "ours": True}


def in_words(error: Exception | str) -> str:
    """An error on one line."""
    kind = f"{type(error).__name__}: " if isinstance(error, Exception) else ""
    return kind + " ".join(str(error).split())[:300]


def watched(case: Case) -> dict[str, Any]:
    """Trains a model for a batch with the callback, and compares what was logged at step 0 with the truth."""
    ran, targets = truth(case)
    probe = case.x if case.probe is None else case.probe
    clock = FirstBatch()
    with tempfile.TemporaryDirectory() as log_dir, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        callback = Timed(probe, log_dir, layers="all", **case.options)
        train(case, targets, callback, clock)
        layers = open_log(log_dir)["feature_maps"].layers
        differences = [difference(layer, ran) for layer in layers]
    return {
        "logged": len(layers),
        "run": sum(len(each.outputs) for each in ran),
        "difference": max(differences),
        "step_zero": callback.seconds,
        "batch": clock.seconds,
        "warnings": [in_words(str(each.message)) for each in caught if "FeatureMapCallback" in str(each.message)],
    }


class Timed(FeatureMapCallback):
    """Times what comes before training.

    Attributes:
        seconds: Until step 0 was on disk.
    """

    seconds = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        began = time.perf_counter()
        super().on_train_begin(logs)
        self.seconds += time.perf_counter() - began

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        began = time.perf_counter()
        super().on_epoch_begin(epoch, logs)
        self.seconds += time.perf_counter() - began


class FirstBatch(keras.callbacks.Callback):
    """Times the first batch.

    Attributes:
        seconds: Until its loss was there.
    """

    seconds = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.seconds -= time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        float(logs["loss"])
        self.seconds += time.perf_counter()


def train(case: Case, targets: Any, *callbacks: keras.callbacks.Callback) -> None:
    """Trains for one batch."""
    jit = False if keras.backend.backend() == "tensorflow" else "auto"
    case.model.compile(optimizer=keras.optimizers.SGD(1e-3), jit_compile=jit, **case.compile)
    case.model.fit(case.x, targets if case.y is None else case.y, batch_size=2, verbose=0, callbacks=list(callbacks))


class Ran(NamedTuple):
    """What the calls of a convolution layer put out, (N, ..., channels)."""

    name: str
    outputs: list[np.ndarray]


def truth(case: Case) -> tuple[list[Ran], Any]:
    """Runs a model eagerly, in evaluation mode; also gives zeros in the structure of the outputs of what is trained."""
    model = case.model if case.watched is None else case.watched
    seen = next(each for each in (case.seen, case.probe, case.x) if each is not None)
    with no_gradients():
        answer = case.model(tensors(case.x if case.watched is not None else seen), training=False)
        targets = keras.tree.map_structure(lambda output: np.zeros(output.shape, np.float32), answer)
        hooked = [(layer, hook(layer)) for layer in convolutions(model)]
        model(tensors(seen), training=False)
        ran = []
        for layer, outputs in hooked:
            del layer.call
            ran.append(Ran(layer.name, [channels_last(layer, output) for output in outputs]))
    return ran, targets


def convolutions(model: keras.Model) -> Iterator[keras.Layer]:
    """Keras's convolutions in a model, and the wrappers around one in their place."""
    layers = list(model._flatten_layers())
    wrappers = [each for each in layers if isinstance(getattr(each, "layer", None), CONVOLUTIONS)]
    inside = {id(each.layer) for each in wrappers}
    yield from wrappers
    yield from (each for each in layers if isinstance(each, CONVOLUTIONS) and id(each) not in inside)


def hook(layer: keras.Layer) -> list[Any]:
    """The list to which each call of a layer adds its output, from now on."""
    original, outputs = layer.call, []

    def call(*args: Any, **kwargs: Any) -> Any:
        outputs.append(original(*args, **kwargs))
        return outputs[-1]

    layer.call = call
    return outputs


def channels_last(layer: keras.Layer, output: Any) -> np.ndarray:
    """A layer's output as an array with the channels behind."""
    array = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
    first = getattr(getattr(layer, "layer", layer), "data_format", None) == "channels_first"
    return np.moveaxis(array, 1, -1) if first else array


def difference(layer: Layer, ran: list[Ran]) -> float:
    """The largest difference of a logged layer's maps at step 0 from the truth, in grey levels.

    Layers of one name are told apart by their shapes and, of equal ones, by which comes nearest.
    """
    name, _, turn = layer.path.rsplit("/", 1)[-1].partition("#")
    turn = int(turn or 1) - 1
    candidates = [each.outputs[turn] for each in ran if each.name == name and len(each.outputs) > turn]
    found = [each[..., list(layer.channels)] for each in candidates if each.shape[1:] == layer.shape]
    return min((_in_grey_levels(layer, each) for each in found), default=float("inf"))


def _in_grey_levels(layer: Layer, outputs: np.ndarray) -> float:
    facts, axes = layer.facts, tuple(range(outputs.ndim - 1))
    grey_level = (outputs.max(axes) - outputs.min(axes)) / 255
    planes = outputs
    if planes.ndim == 6:
        planes = planes[:, planes.shape[1] // 2]
    if planes.ndim == 5:
        planes = np.stack([each.take(at, facts.slice_axis) for each, at in zip(planes, facts.slices, strict=True)])
    planes = planes.reshape(len(planes), *facts.map, -1)
    beyond = np.maximum(abs(layer.maps(step=0) - planes) - ROUNDING * abs(outputs).max(), 0)
    return float((beyond / np.maximum(grey_level, np.finfo("float32").tiny)).max())


def tensors(arrays: Any) -> Any:
    """Arrays as the backend's tensors, in the same structure."""
    return keras.tree.map_structure(keras.ops.convert_to_tensor, arrays)


def no_gradients() -> AbstractContextManager[Any]:
    """Where PyTorch keeps nothing for a way back."""
    return sys.modules["torch"].no_grad() if keras.backend.backend() == "torch" else nullcontext()


if __name__ == "__main__":
    main()
