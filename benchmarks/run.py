"""Runs the benchmarks one after the other, and puts the figures that count into one table.

python benchmarks/run.py                                          # about half an hour on two cores that have nothing else to do
python benchmarks/run.py --model MODEL.keras --arrays FILE.npz    # SD_UNet trained, a photograph
python benchmarks/run.py --quick                                  # small models: to see that all run
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ON_SD_UNET = ("encoders", "forward", "epoch_cost")  # they take a trained model
OTHERS = ("scale", "train_overhead", "measures", "likeness", "log_scale")
# Not run here: an earlier commit, other people's packages, a browser, half an hour.
ALONE = ("demo", "models", "dashboard", "clinic")


def main() -> None:
    """Runs all, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a trained full SD_UNet, a .keras file")
    parser.add_argument("--arrays", help="an .npz file of photographs, `test_images` and `test_labels`")
    parser.add_argument("--quick", action="store_true", help="small models")
    options = parser.parse_args()
    chosen = [
        each for name in ("model", "arrays") if (value := getattr(options, name)) for each in (f"--{name}", value)
    ]
    quick = ["--quick"] if options.quick else []
    rows, failed = [], []
    for name in (*ON_SD_UNET, *OTHERS):
        if options.quick and name == "log_scale":
            continue
        print(f"\n== {name}", flush=True)
        status, figures = run(name, [*quick, *(chosen if name in ON_SD_UNET else [])])
        rows += [f"| {name} {figure}" for figure in figures]
        failed += [name] if status else []
    print("\n| benchmark | figure | value | target | met |\n| --- | --- | --- | --- | --- |")
    print("".join(rows), end="")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(name: str, arguments: list[str]) -> tuple[int, list[str]]:
    """Runs one benchmark and shows what it prints; returns its exit status, and the rows among its lines."""
    script = Path(__file__).with_name(f"{name}.py")
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        lines = []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, [line for line in lines if line.startswith("| ")]


if __name__ == "__main__":
    main()
