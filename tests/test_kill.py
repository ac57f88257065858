"""kill -9 at any moment: every step but the one that is being written is there, and a run that goes on has each step once."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from reading import on_both_paths
from support.decoding import stored

from fm_callback.format import NUMBERS, LayerFacts, LayerStep, RunFacts, run_record, step_record
from fm_callback.write import event_copies, png
from fm_callback.write.resume import open_run

#: 200 times: a forked process writes steps as fast as it can, and says of each when it is on disk, until it is killed.
WRITER = """
import json, os, random, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_kill import facts, open_run, write
said = []
for run in range(200):
    heard, tell = os.pipe()
    child = os.fork()
    if child == 0:
        files = open_run(Path(sys.argv[2]) / str(run), facts(0)).files
        for step in range(1000):
            write(files, step, 0)
            os.write(tell, b".")
    os.close(tell)
    wanted = random.randint(0, 5)
    count = sum(len(os.read(heard, 1)) for _ in range(wanted))
    time.sleep(random.uniform(0, 0.004))
    os.kill(child, 9)
    os.waitpid(child, 0)
    said.append(count + len(os.read(heard, 1000)))
    os.close(heard)
print(json.dumps(said))
"""
PICTURES = [png.encode(np.random.default_rng(seed).integers(0, 256, (100, 100), np.uint8)) for seed in range(10)]
LAYERS = [f"conv{count}" for count in range(4)]


def facts(first):
    channels = tuple(range(10))
    layers = [
        LayerFacts(name, name, (20, 50, 10), (20, 50), channels, 5, 2, NUMBERS, ("effective_rank",)) for name in LAYERS
    ]
    return RunFacts(first, tuple(layers))


def numbers(step):
    return np.full((10, len(NUMBERS)), 1 + step, np.float32)


def write(files, step, first):
    """Four layers of four images each: 230 kB, as compressed pictures are."""
    layers, copies = [], []
    for layer in LAYERS:
        layers.append(LayerStep(random.sample(PICTURES, 4), numbers(step), np.ones(1, np.float32)))
        copies += [
            event_copies.image_value(layer, PICTURES[0], (100, 100), "a picture"),
            event_copies.scalar_value("effective_rank", layer, 1 / (step + 1), "a curve"),
        ]
    files.write(step, step_record(step, step, layers), copies, run_record(facts(first)) if step == first else b"")


def steps_of_runs(root):
    """`{run: steps}` of our log; runs without a step are not there."""
    found = {int(path.parent.name): list(stored(path)) for path in root.glob("*/feature_maps")}
    return {run: steps for run, steps in found.items() if steps}


def copies_of_runs(root):
    """The same of TensorBoard's copies, on both of its reading paths: the steps of all tags; a kill may leave a part of one."""
    found = {}
    for run, tags in on_both_paths(root).items():
        assert all(steps == sorted(set(steps)) for steps in tags.values())
        anywhere, everywhere = set.union(*map(set, tags.values())), set.intersection(*map(set, tags.values()))
        assert len(anywhere - everywhere) <= 1
        found[int(run.split("/")[0])] = sorted(everywhere)
    return found


def test_kill_the_writer_200_times(tmp_path):
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(tmp_path)]
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120).stdout)
    found, copied = steps_of_runs(tmp_path), copies_of_runs(tmp_path)
    last = {run: len(found.get(run, [])) for run in range(200)}
    for run, count in last.items():
        assert found.get(run, []) == list(range(count))
        assert said[run] <= count <= said[run] + 1, "what was on its way may have arrived"
        copies = copied.get(run, [])
        assert copies == list(range(len(copies))) and said[run] <= len(copies) <= count, "they come second"
    # What was killed behind step 0 begins anew: there is nothing to go on from.
    first = {run: random.randint(2, count) if count else 0 for run, count in last.items() if count != 1}
    for run, start in first.items():
        held = max(start - 1, 0)  # the weights that were saved
        files = open_run(tmp_path / str(run), facts(held), [numbers(held)] * len(LAYERS), goes_on=start > 0).files
        for step in range(start, start + 3):
            write(files, step, start)
        files.close()
    expected = {run: list(range(start + 3)) for run, start in first.items()}
    assert steps_of_runs(tmp_path) == {run: [0] for run in last.keys() - first.keys()} | expected
    lost = {run for run, start in first.items() if len(copied.get(run, [])) < start}  # the one at which the kill came
    copied = copies_of_runs(tmp_path)
    for run, start in first.items():
        assert copied[run] == [step for step in range(start + 3) if not (run in lost and step == start - 1)]
