"""The benchmarks: that each of them runs, and that what they time with does what it says."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.append(str(FOLDER))

import run  # noqa: E402
import timing  # noqa: E402


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
