"""This tree against an older commit, in one run: what a step costs the training thread, all work behind it, and on disk.

    python benchmarks/against.py --commit bddd8de          # SD_UNet, 51 layers, a drawn pet
    python benchmarks/against.py --commit bddd8de --quick  # a small model

A process for each, on a checkout of the commit and on this tree; they take turns, a step each, so that a busy machine is busy for both.
Ratios are medians of the ratios within a turn.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from driving import ROOT, arguments
from timing import figure, ratio

#: Drives the callback of the tree that it is started in: a step for each line that it hears.
DRIVER = """
import sys
from pathlib import Path
from driving import Watched, arguments, subject
with Watched(subject(arguments("", repeats=1).parse_args())) as ours:
    def size():
        return sum(path.stat().st_size for path in Path(ours.directory).rglob("*") if path.is_file())
    print("ready", flush=True)
    for line in sys.stdin:
        before = size()
        ours.step()
        told = (*ours.blocked[-1], *ours.behind[-1], size() - before)
        print(*told, flush=True)
"""
FIGURES = ("training thread", "training thread, cpu", "behind it", "behind it, cpu", "bytes on disk")


def main() -> None:
    """Measures and prints."""
    parser = arguments(__doc__, repeats=30)
    parser.add_argument("--commit", required=True, help="the older commit")
    options = parser.parse_args()
    turns = 4 if options.quick else options.repeats
    chosen = [argument for argument in sys.argv[1:] if argument not in ("--commit", options.commit)]
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(old), options.commit], check=True)
        try:
            processes = [drive(tree, chosen) for tree in (old, ROOT)]
            steps = [[step(process) for process in processes] for _ in range(turns + 1)][1:]
            for process in processes:
                process.stdin.close()
                process.wait()
        finally:
            subprocess.run([*git, "remove", "--force", str(old)], check=True)
    for position, name in enumerate(FIGURES):
        before, now = ([pair[tree][position] for pair in steps] for tree in (0, 1))
        scale, unit = (1, "bytes") if "bytes" in name else (1e3, "ms")
        print(
            f"{name}: {scale * median(before):,.1f} {unit} at {options.commit}, {scale * median(now):,.1f} {unit} here"
        )
        figure(f"{name}, here / at {options.commit}", ratio(now, before), at_most=1.02 if "bytes" in name else 1.05)
    for clock, part in (("wall time", 0), ("cpu", 1)):
        before, now = ([pair[tree][part] + pair[tree][part + 2] for pair in steps] for tree in (0, 1))
        figure(f"all work, {clock}, here / at {options.commit}", ratio(now, before), at_most=1.05)


def drive(tree: Path, options: list[str]) -> "subprocess.Popen[str]":
    """A process on a tree, once its step 0 is on disk."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tree), str(tree / "benchmarks")])}
    command = [sys.executable, "-c", DRIVER, *options]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tree
    )
    while process.stdout.readline() != "ready\n":
        if process.poll() is not None:
            raise SystemExit(f"the driver of {tree} ended")
    return process


def step(process: "subprocess.Popen[str]") -> tuple[float, ...]:
    """What a step of a process takes: seconds of the training thread, of its processor, the same behind it, bytes."""
    process.stdin.write("step\n")
    process.stdin.flush()
    return tuple(map(float, process.stdout.readline().split()))


if __name__ == "__main__":
    main()
