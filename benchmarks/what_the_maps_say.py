"""Measures how SD_UNet's feature maps change while it learns to segment photographs: the figures of docs/what-the-maps-say.md.

    python benchmarks/what_the_maps_say.py --archives DIR

trains the full model with three seeds, and three times more on shuffled masks, measures all 51 layers on 16 held-out
photographs before training and after every epoch, and writes figures, plots and `results.json` to --out. On a machine without
TensorFlow Datasets, `--arrays FILE` takes photographs that `--only-arrays FILE` wrote on another.
"""

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take the whole GPU for the first of them
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

PROBE = 16
SIZE = 160


def photographs(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Photographs and trimaps, (N, size, size, 3) and (N, size, size) uint8, as `train_*` and `test_*`."""
    if args.arrays:
        return dict(np.load(args.arrays))
    from pets import oxford_iiit_pet

    train, test = oxford_iiit_pet(args.size, data_dir=args.data_dir, archives=args.archives)
    return {"train_images": train[0], "train_labels": train[1], "test_images": test[0], "test_labels": test[1]}


def train(data: dict[str, np.ndarray], seed: int, shuffled: bool, args: argparse.Namespace) -> dict[str, Any]:
    """One training and what was measured at each of its steps."""
    import keras
    from pets import BORDER, PET
    from sd_unet import sd_unet
    from train_pets import Batches, compile_model, scaled

    from fm_callback.capture.capture import Capture
    from fm_callback.capture.probe import read_masks
    from fm_callback.scores.activations import Activations, cka
    from fm_callback.scores.concepts import Concepts, luminance
    from fm_callback.scores.layer_scores import LayerStep, effective_rank
    from fm_callback.scores.measures import measure

    keras.utils.set_random_seed(seed)
    labels = data["train_labels"]
    if shuffled:
        labels = labels[np.random.default_rng(seed).permutation(len(labels))]
    model = sd_unet((args.size, args.size, 3), filters=args.filters, neck=args.filters[3])
    batches = Batches((data["train_images"], labels), args.batch, drawn=True, seed=seed)
    compile_model(model, True, args.epochs * len(batches))
    picked = np.linspace(0, len(data["test_images"]) - 1, PROBE).astype(int)  # the breeds stand in order
    images = scaled(data["test_images"][picked], True)
    concepts = Concepts(luminance(images), read_masks(data["test_labels"][picked], PET, BORDER))
    capture = Capture(model, images, "all", 32)
    probe = keras.ops.convert_to_tensor(images)
    steps: list[dict[str, Any]] = []
    activations: list[list[Activations]] = []

    class Measure(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            if epoch == 0:
                self.measure({})

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            self.measure({name: float(value) for name, value in (logs or {}).items()})

        def measure(self, logs: dict[str, float]) -> None:
            _ = self.model  # on JAX this brings the weights back into the model
            maps, numbers, _ = capture(probe)()
            layers = []
            for plan, layer_maps, layer_numbers in zip(capture.plans, maps, numbers, strict=True):
                scores = measure(layer_maps, layer_numbers, concepts.at(*plan.axes))
                layers.append({name: [round(float(value), 4) for value in values] for name, values in scores.items()})
            activations.append([Activations.of(*both) for both in zip(maps, numbers, strict=True)])
            for layer, layer_numbers, kept in zip(layers, numbers, activations[-1], strict=True):
                layer["effective_rank"] = round(effective_rank(LayerStep(layer_numbers, kept)), 3)
            steps.append({"logs": logs, "layers": layers})

    began = time.perf_counter()
    held_out = Batches((data["test_images"], data["test_labels"]), args.batch, drawn=True)
    model.fit(batches, epochs=args.epochs, validation_data=held_out, verbose=0, callbacks=[Measure()])
    for step, kept in zip(steps, activations, strict=True):
        for at, layer in enumerate(step["layers"]):
            layer["cka_last"] = round(cka(kept[at], activations[-1][at]), 4)
    last = steps[-1]["logs"]
    print(
        f"seed {seed}{' shuffled masks' if shuffled else ''}: {time.perf_counter() - began:.0f} s, held out: mean IoU "
        f"{last['val_mean_iou']:.3f}, pet {last['val_iou_pet']:.3f}, background {last['val_iou_background']:.3f}, "
        f"border {last['val_iou_border']:.3f}",
        flush=True,
    )
    described = [
        {"number": plan.info.number, "name": plan.info.path, "size": plan.axes, "cells": concepts.at(*plan.axes).counts}
        for plan in capture.plans
    ]
    return {"seed": seed, "shuffled": shuffled, "layers": described, "steps": steps}


def main() -> None:
    """Runs the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", type=Path, help="folder with images.tar.gz and annotations.tar.gz")
    parser.add_argument("--data-dir", type=Path, help="where TensorFlow Datasets keeps prepared data")
    parser.add_argument("--arrays", type=Path, help="photographs from this file")
    parser.add_argument("--only-arrays", type=Path, metavar="FILE", help="write the photographs to this file and stop")
    parser.add_argument("--out", type=Path, default=Path("what-the-maps-say"))
    parser.add_argument("--results", type=Path, nargs="+", help="only draw the figures of earlier runs' results.json")
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument(
        "--filters", type=lambda text: tuple(map(int, text.split(","))), default=(32, 64, 128, 256, 512)
    )
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (default 1)")
    args = parser.parse_args()
    if args.results:
        runs = [run for path in args.results for run in json.loads(path.read_text())]
    else:
        data = photographs(args)
        if args.only_arrays:
            np.savez_compressed(args.only_arrays, **data)
            return
        args.out.mkdir(parents=True, exist_ok=True)
        chosen = [(seed, shuffled) for seed in args.seeds for shuffled in (False, True)]
        # Each in a process of its own: they can stand side by side on a GPU that one of them does not fill.
        with ProcessPoolExecutor(args.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
            runs = [run.result() for run in [pool.submit(train, data, *each, args) for each in chosen]]
        (args.out / "results.json").write_text(json.dumps(runs, separators=(",", ":")))
    from maps_figures import draw, tables

    args.out.mkdir(parents=True, exist_ok=True)
    print(tables(runs))
    draw(runs, args.out)


if __name__ == "__main__":
    main()
