"""What `make demo` takes, against what it took at an earlier commit: processor time, the wait for the first maps, what it learns.

    python benchmarks/demo.py                      # three seeds, some ten minutes on two cores that have nothing else to do
    python benchmarks/demo.py --before COMMIT      # another commit than that before it was made faster
    python benchmarks/demo.py --quick              # a tiny network for two epochs, against the last commit: to see that it runs

Both demos in turns, each a process of its own on two cores: user and system time of the process and its threads; seconds from its start
until the reader finds step 0, and step 1, on disk; and the intersection over union (mean of pet, background and border) of the
trained models on the same pets, which neither has seen.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from driving import ROOT, drawn_pets, keras
from timing import figure, ratio
from train_pets import Batches, IoU

from fm_callback import open_log

BEFORE = "ad9b03d"
UNSEEN, SEED = 200, 10**6  # pets that measure what was learned, and what they are drawn from
TINY = ["--size", "32", "--filters", "8", "--neck", "8", "--images", "8", "--epochs", "2"]


class Demo(NamedTuple):
    """One run: seconds of the processor, of which the system's; seconds until steps 0 and 1 and the end; IoU on unseen pets."""

    cpu: float
    system: float
    step_zero: float
    step_one: float
    wall: float
    iou: float


def main() -> None:
    """Runs both in turns, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", help=f"commit to compare with (default {BEFORE})")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tiny network for two epochs, against the last commit")
    options = parser.parse_args()
    options.before = options.before or ("HEAD" if options.quick else BEFORE)
    seeds = range(1 if options.quick else options.seeds)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    runs: dict[str, list[Demo]] = {"before": [], "now": []}
    with tempfile.TemporaryDirectory() as folder:
        trees = {"before": Path(folder, "before"), "now": ROOT}
        check_out(options.before, trees["before"])
        for seed in seeds:
            for name, tree in trees.items():
                run = demo(tree, Path(folder, f"{name}_{seed}"), seed, options.quick)
                runs[name].append(run)
                told = "  ".join(f"{field} {value:.3g}" for field, value in run._asdict().items())
                print(f"seed {seed}, {name}: {told}", flush=True)
    report(runs["before"], runs["now"], options.quick)


def report(before: list[Demo], now: list[Demo], quick: bool) -> None:
    """The figures, with the targets of the demo that a user sees."""
    figure(
        "demo, processor time against before",
        ratio([each.cpu for each in now], [each.cpu for each in before]),
        at_most=None if quick else 0.6,
    )
    figure("demo, processor time", mean(each.cpu for each in now), unit=" s")
    figure("demo, step 0 on disk after", max(each.step_zero for each in now), at_most=90, unit=" s")
    figure("demo, step 1 on disk after", max(each.step_one for each in now), at_most=90, unit=" s")
    figure("demo, duration", mean(each.wall for each in now), unit=" s")
    figure("demo, mean IoU on unseen pets before", mean(each.iou for each in before))
    figure("demo, mean IoU on unseen pets", mean(each.iou for each in now), at_least=None if quick else 0.75)


def check_out(commit: str, folder: Path) -> None:
    """Puts the files of a commit into a folder."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit], capture_output=True)
    if archive.returncode:
        sys.exit(f"this clone has no commit {commit}: {archive.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)


def demo(tree: Path, folder: Path, seed: int, quick: bool) -> Demo:
    """Runs the demo of a tree as `make demo` does."""
    logs, model = folder / "logs", folder / "model.keras"
    folder.mkdir()
    command = [
        sys.executable,
        tree / "examples" / "train_pets.py",
        "--seed",
        str(seed),
        "--log-dir",
        logs,
        "--save",
        model,
    ]
    began = time.perf_counter()
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            [*command, *(TINY if quick else [])],
            env={**os.environ, "PYTHONPATH": str(tree)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        steps: dict[int, float] = {}
        watcher = threading.Thread(target=watch, args=(process, logs, began, steps), daemon=True)
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        watcher.join()
    if process.returncode:
        sys.exit(f"{tree / 'examples'} failed:\n{(folder / 'output').read_text()[-2000:]}")
    return Demo(used.ru_utime + used.ru_stime, used.ru_stime, steps[0], steps[1], wall, iou(model, quick))


def watch(process: subprocess.Popen, logs: Path, began: float, steps: dict[int, float]) -> None:
    """Notes when steps 0 and 1 are on disk."""
    while len(steps) < 2:
        running = process.returncode is None
        with contextlib.suppress(FileNotFoundError):  # no step yet
            for step in open_log(logs)["feature_maps"].steps[:2]:
                steps.setdefault(step, time.perf_counter() - began)
        if not running:
            return
        time.sleep(0.2)


def iou(path: Path, quick: bool) -> float:
    """Mean intersection over union of a saved model on pets that it has not seen."""
    model = keras.models.load_model(path)
    model.compile(loss="sparse_categorical_crossentropy", metrics=[IoU()], jit_compile=False)
    unseen = drawn_pets(8 if quick else UNSEEN, model.input_shape[1], seed=SEED)
    return model.evaluate(Batches(unseen, 8, drawn=True), verbose=0, return_dict=True)["mean_iou"]


if __name__ == "__main__":
    main()
