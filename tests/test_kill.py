"""kill -9 at any moment: every step but the one that is being written is there, and a run that goes on has each step once."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
from reading import on_both_paths

from fm_callback.write import events

#: 200 times: a forked process writes steps as fast as it can, and says of each when it is on disk, until it is killed.
WRITER = """
import json, os, random, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_kill import events, values
said = []
for run in range(200):
    heard, tell = os.pipe()
    child = os.fork()
    if child == 0:
        file = events.open_run(Path(sys.argv[2]) / str(run), 0, values(0, 0))
        for step in range(1000):
            file.write(step, values(step, 0))
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
PICTURES = np.random.default_rng(0).integers(0, 256, 100_000, np.uint8).tobytes()


def values(step, first):
    """Four layers of four images each: 230 kB, as compressed pictures are."""
    found = [events.probe_value(np.zeros((1, 8, 8), np.uint8), "[0, 1]", None, "")] if step == first else []
    for layer in range(4):
        pngs = [PICTURES[start : start + 10_000] for start in random.sample(range(90_000), 4)]
        found += [
            events.maps_value(f"conv{layer}", pngs, b'{"rows":4}'),
            events.numbers_value(f"conv{layer}", np.full((32, 10), step, np.float32), b'{"rows":4}'),
            events.image_value(f"conv{layer}", PICTURES[:16_000], (100, 100), "a picture"),
            events.scalar_value("effective_rank", f"conv{layer}", 1 / (step + 1)),
        ]
    return found


def steps_of_runs(root):
    """`{run: steps}` on both paths, all tags but the probe's alike; runs without a step are not there."""
    found = {}
    for run, tags in on_both_paths(root).items():
        (steps,) = {tuple(steps) for tag, steps in tags.items() if tag != "probe"}
        found[run] = list(steps)
    return found


def test_kill_the_writer_200_times(tmp_path):
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(tmp_path)]
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120).stdout)
    found = steps_of_runs(tmp_path)
    last = {run: len(found.get(f"{run}/feature_maps", [])) for run in range(200)}
    for run, count in last.items():
        assert found.get(f"{run}/feature_maps", []) == list(range(count))
        assert said[run] <= count <= said[run] + 1, "what was on its way may have arrived"
    first = {run: random.randint(1, count) if count else 0 for run, count in last.items()}
    for run, start in first.items():
        file = events.open_run(tmp_path / str(run), start, values(start, start))
        for step in range(start, start + 3):
            file.write(step, values(step, start))
        file.close()
    found = steps_of_runs(tmp_path)
    assert found == {f"{run}/feature_maps": list(range(start + 3)) for run, start in first.items()}
