"""How often findings are right: trainings that are sick on purpose and healthy ones, on seeds for which nothing was tuned.

For each kind: in how many of the trainings that have it it was found, and in how many healthy and other sick ones it was said all the
same. A training that may be told by one of several kinds counts for that which was found, or for the first.

    python benchmarks/clinic.py [--seeds 9 10 11] [--only NAME ...] [--quick]
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
for folder in ("tests", "examples"):
    sys.path.insert(
        0, str(Path(__file__).resolve().parent.parent / folder)
    )  # before this one, which has a `clinic` too

from clinic.patients import PATIENTS, train  # noqa: E402
from timing import figure  # noqa: E402

from fm_callback import open_log  # noqa: E402
from fm_callback.read.findings import KINDS  # noqa: E402

QUICK = ("unet_batch_normalised", "rate_that_kills_relus")


def said(name: str, seed: int) -> dict[str, str]:
    """Which kinds are found in a training, with the gravest severity of each."""
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(name, seed, Path(directory))
        return {each.kind: each.severity for each in reversed(open_log(directory)[0].findings())}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line for each training, and a table of the kinds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[9, 10, 11], help="9 to 11, for which nothing was tuned, by default"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PATIENTS, metavar="NAME", default=list(PATIENTS), help="these trainings"
    )
    parser.add_argument("--quick", action="store_true", help="two trainings, once each")
    options = parser.parse_args(arguments)
    names, seeds = (QUICK, [0]) if options.quick else (options.only, options.seeds)
    asked: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    on_healthy: Counter[str] = Counter()
    on_sick: Counter[str] = Counter()
    healthy = quiet = 0
    for name in names:
        patient = PATIENTS[name]
        for seed in seeds:
            found = said(name, seed)
            grave = [kind for kind, severity in found.items() if severity != "note"]
            told = ", ".join(f"{kind} ({severity})" for kind, severity in found.items()) or "nothing"
            print(f"{name}, seed {seed}: {told}", flush=True)
            if not patient.kinds:
                healthy, quiet = healthy + 1, quiet + (not grave)
                on_healthy.update(grave)
                continue
            right = [kind for kind in patient.kinds if kind in found]
            asked[(right or patient.kinds)[0]] += 1
            hits.update(right[:1])
            on_sick.update(kind for kind in grave if kind not in patient.kinds)
    print("\nkind                    hits     on healthy  on other sick")
    for kind in KINDS:
        if asked[kind] or on_healthy[kind] or on_sick[kind]:
            print(f"{kind:22}  {hits[kind]:2} of {asked[kind]:2}  {on_healthy[kind]:10}  {on_sick[kind]:13}")
    print()
    if asked:
        figure("sick trainings in which what they have is found", hits.total() / asked.total(), at_least=0.9)
    if healthy:
        figure("healthy trainings without an alarm or a warning", quiet / healthy, at_least=0.95)


if __name__ == "__main__":
    main()
