"""The benchmarks: that each of them runs, and that what they time with does what it says."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from drawn_pets import drawn_pets

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.append(str(FOLDER))

import run  # noqa: E402
import timing  # noqa: E402


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_study_of_the_maps_trains_measures_and_draws(tmp_path):
    data = {}
    for seed, (name, count) in enumerate({"train": 16, "test": 64}.items()):
        data[f"{name}_images"], data[f"{name}_labels"] = drawn_pets(count, 64, seed=seed)
    np.savez(tmp_path / "pets.npz", **data)
    command = [sys.executable, FOLDER / "what_the_maps_say.py", "--arrays", tmp_path / "pets.npz", "--out", tmp_path]
    command += ["--size", "64", "--filters", "4,4,4,8,8", "--epochs", "1", "--seeds", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-2000:]
    real, shuffled = json.loads((tmp_path / "results.json").read_text())
    assert (real["seed"], real["shuffled"], shuffled["shuffled"]) == (3, False, True)
    for layer in real["layers"]:
        assert len(layer["readout"]) == len(layer["readout_control"]) == len(layer["cka_last"]) == 2, layer["name"]
        assert layer["cka_last"][1] == 1 or math.isnan(layer["cka_last"][1])
    head = real["layers"][-1]
    assert all(0.5 <= head[f"{label}_separation_best"][1] <= 1 for label in ("pet", "background", "border"))
    assert sum(line.startswith("| #") for line in done.stdout.splitlines()) == len(real["layers"]) == 51
    assert {path.name for path in tmp_path.glob("*.png")} == {"depth.png", "labels.png", "became.png", "settled.png"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in (*run.ON_SD_UNET, *run.OTHERS, *run.ALONE) if name != "log_scale"])
def test_each_runs_and_gives_figures(name):
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", "--quick"], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    values = [
        re.match(r"\| .+ \| (\S+)( [A-Za-z]+)? \|( [≤≥] \S+( [A-Za-z]+)?)? +\| (yes|NO)? *\|$", row) for row in rows
    ]
    assert rows and all(values), rows
    assert all(math.isfinite(float(value[1])) for value in values)


def test_ways_take_turns_and_slow_ones_fewer():
    calls = []
    ways = {name: lambda name=name: calls.append(name) for name in ("one", "two", "slow")}
    times = timing.interleaved(ways, 3, slow=["slow"], slow_turns=2)
    assert calls == ["one", "two", "one", "two", "slow", "one", "two", "slow", "one", "two"]
    assert {name: len(taken) for name, taken in times.items()} == {"one": 3, "two": 3, "slow": 2}


def test_a_ratio_is_the_median_of_pairs():
    assert timing.ratio([2, 9, 40], [1, 3, 10]) == 3
    assert timing.ratio([2, 9], [1, 3, 10]) == 2.5, "a slow way took part in the first turns only"


def test_a_figure_says_whether_its_target_is_met(capsys):
    timing.figure("a", 1.234, at_most=1.3)
    timing.figure("b", 12.34, at_least=50, unit=" MB")
    timing.figure("c", 0.5)
    assert capsys.readouterr().out == "| a | 1.23 | ≤ 1.3 | yes |\n| b | 12.3 MB | ≥ 50 MB | NO |\n| c | 0.5 |  |  |\n"
