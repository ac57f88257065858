"""Measures how SD_UNet's feature maps change while it learns to segment photographs: the figures of docs/what-the-maps-say.md.

    python benchmarks/what_the_maps_say.py --archives DIR

trains the full model with six seeds, and six times more on shuffled masks, measures all 51 layers on 64 held-out
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

SIZE = 160
PROBE = 64  # enough for the readout and its control, which are fitted and tested on parts of it
CHANNELS = 32  # as the callback's default; the readout is taken of more, too
WIDE = 64
#: What is kept of each layer at each step.
KEPT = (
    *("mask_auroc_best", "mask_auroc_lowest", "mask_separation_best", "mask_excess_best", "edge_auroc_median"),
    *("pet_separation_best", "background_separation_best", "border_separation_best"),
    *("readout", "readout_control", "readout_wide", "readout_control_wide"),
)


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
    from pets import BORDER, CLASSES, PET
    from sd_unet import sd_unet
    from train_pets import Batches, compile_model, scaled

    from fm_callback.capture.capture import Capture
    from fm_callback.capture.labels import read_masks
    from fm_callback.scores.activations import Activations, cka
    from fm_callback.scores.channel_scores import Levels, mask_auroc
    from fm_callback.scores.concepts import Cells, Concepts, luminance, score_of
    from fm_callback.scores.detection import Detection, detect, enough
    from fm_callback.scores.layer_scores import LayerStep
    from fm_callback.scores.measures import measure, measure_layer
    from fm_callback.scores.readout import readout

    keras.utils.set_random_seed(seed)
    labels = data["train_labels"]
    if shuffled:
        labels = labels[np.random.default_rng(seed).permutation(len(labels))]
    model = sd_unet((args.size, args.size, 3), filters=args.filters, neck=args.filters[3])
    batches = Batches((data["train_images"], labels), args.batch, drawn=True, seed=seed)
    compile_model(model, True, args.epochs * len(batches))
    picked = np.linspace(0, len(data["test_images"]) - 1, PROBE).astype(int)
    images, trimaps = scaled(data["test_images"][picked], True), data["test_labels"][picked]
    concepts = Concepts(luminance(images), read_masks(trimaps, PET, BORDER))
    # Nothing is ignored here: the border is a label beside the other two.
    three = Concepts(None, read_masks(trimaps, PET, None, dict(enumerate(CLASSES))))
    usual = np.round(255 * (data["train_labels"] == PET).mean(axis=0)).astype(np.uint8)  # where pets are
    position = mask_auroc(Levels(np.broadcast_to(usual, (PROBE, 1, *usual.shape)), concepts.at(*usual.shape)))[0]
    capture = Capture(model, images, "all", WIDE)
    probe = keras.ops.convert_to_tensor(images)
    steps: list[dict[str, float]] = []
    activations: list[list[Activations]] = []
    detections: list[dict[str, Detection]] = [{} for _ in capture.plans]
    told: list[list[str]] = []
    layers: list[dict[str, Any]] = []
    for plan in capture.plans:
        there = three.at(*plan.axes)
        told.append([name for name in map(score_of, CLASSES) if enough(there.counts, there.images, name)])
        cells = concepts.at(*plan.axes).counts["foreground"]
        layers.append({"number": plan.info.number, "name": plan.info.path, "cells": cells})

    def scored(at: int, maps: np.ndarray, numbers: np.ndarray) -> tuple[dict[str, np.ndarray], LayerStep]:
        cells, named = (each.at(*capture.plans[at].axes) for each in (concepts, three))
        maps, numbers = maps[:, :CHANNELS], numbers[:CHANNELS]
        labels = measure(maps, numbers, Cells(named=named.named))
        labels = {name: labels[name] for name in told[at]}
        scores = measure(maps, numbers, cells) | labels
        return labels, LayerStep(numbers, Activations.of(maps, numbers), scores=scores, maps=maps, cells=cells)

    class Measure(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            if epoch == 0:
                self.measure({})

        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            self.measure({name: float(value) for name, value in (logs or {}).items()})

        def measure(self, logs: dict[str, float]) -> None:
            _ = self.model  # on JAX this brings the weights back into the model
            activations.append([])
            captured = capture(probe)()
            for at, (maps, numbers) in enumerate(zip(captured.maps, captured.numbers, strict=True)):
                labels, step = scored(at, maps, numbers)
                activations[-1].append(step.now)
                detect(detections[at], len(steps), labels, told[at])
                wide = readout(maps, step.cells)
                known = measure_layer(step) | {"readout_wide": wide.score, "readout_control_wide": wide.control}
                for name in filter(known.__contains__, KEPT):  # a label has no score where it has too few cells
                    layers[at].setdefault(name, []).append(round(known[name], 4))
            steps.append(logs)

    began = time.perf_counter()
    held_out = Batches((data["test_images"], data["test_labels"]), args.batch, drawn=True)
    model.fit(batches, epochs=args.epochs, validation_data=held_out, verbose=0, callbacks=[Measure()])
    for at, layer in enumerate(layers):
        layer["cka_last"] = [round(cka(kept[at], activations[-1][at]), 4) for kept in activations]
        layer["detected"] = {name: {"first": each.first, "since": each.since} for name, each in detections[at].items()}
    last = steps[-1]
    print(
        f"seed {seed}{' shuffled masks' if shuffled else ''}: {time.perf_counter() - began:.0f} s, held out: mean IoU "
        f"{last['val_mean_iou']:.3f}, pet {last['val_iou_pet']:.3f}, background {last['val_iou_background']:.3f}, "
        f"border {last['val_iou_border']:.3f}",
        flush=True,
    )
    return {"seed": seed, "shuffled": shuffled, "position": round(position, 4), "steps": steps, "layers": layers}


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
    parser.add_argument("--seeds", type=int, nargs="+", default=range(6))
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
