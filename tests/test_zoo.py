"""Every model of the zoo through all three doors, on the backend of the day: names, arrays, and the log of a `fit`."""

import os
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from support.decoding import decoded, stored
from zoo import BACKEND, CANNOT, NOTES, ZOO, Animal

from fm_callback import FeatureMapCallback, FeatureMapExtractor, conv_layers, open_log
from fm_callback.format import NUMBERS
from fm_callback.read.run import Run

#: Where to write a JSON of what each model did, for the table in docs/backends.md (see tests/zoo_table.py).
REPORT = os.environ.get("ZOO_REPORT")


def picture_of(truth: np.ndarray, samples: Any) -> np.ndarray:
    """The part of a map (N, ..., channels) that is stored, (N, height, width, channels): of volumes, the middle of the
    shortest axis.

    The middle of the samples' own, if they are volumes; of a map with four axes the middle of the first.
    """
    if truth.ndim == 6:
        truth = truth[:, truth.shape[1] // 2]
    while truth.ndim < 4:
        truth = truth[:, None]
    if truth.ndim < 5:
        return truth
    volumes = [leaf.shape[1:4] for leaf in keras.tree.flatten(samples) if leaf.ndim == 5]
    if not volumes:
        return truth[:, truth.shape[1] // 2]
    axis = volumes[0].index(min(volumes[0]))
    middle = (volumes[0][axis] // 2 + 0.5) / volumes[0][axis]  # of the middle voxel
    return truth.take(int(middle * truth.shape[1 + axis]), 1 + axis)


def rounding(animal: Animal, truth: np.ndarray) -> float:
    """What sums in another order may differ by: some units of the largest value's last place."""
    return 32 * animal.eps * max(1.0, float(np.abs(truth).max()))


def check_stored(animal: Animal, step: dict[str, tuple], truths: dict[str, np.ndarray]) -> None:
    assert {facts.path for facts, *_ in step.values()} == truths.keys()
    for entry in step.values():
        facts, _, table, _ = entry
        truth = truths[facts.path]
        near = rounding(animal, truth)
        flat = truth.reshape(-1, truth.shape[-1]).astype("float64")
        assert facts.shape == truth.shape[1:], facts.path
        expected = {
            "low": flat.min(0),
            "high": flat.max(0),
            "mean": flat.mean(0),
            "mean_abs": np.abs(flat).mean(0),
            "std": flat.std(0),
            "nonfinite": np.zeros(flat.shape[1]),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(
                table[:, NUMBERS.index(name)], values, atol=near, rtol=0, err_msg=f"{facts.path} {name}"
            )
        half_a_level = 0.51 * (flat.max(0) - flat.min(0)) / 255 + 3 * near
        assert (np.abs(decoded(entry) - picture_of(truth, animal.samples)) <= half_a_level).all(), facts.path


def check_read(
    animal: Animal, run: Run, steps: dict[int, dict[str, tuple]], truths: list[dict[str, np.ndarray]]
) -> None:
    """The package's own reader: numbers to the bit as they were written, maps within half a level of the truth."""
    assert run.steps == tuple(steps) and not run.problems
    assert [layer.name for layer in run.layers] == list(steps[0])
    for layer in run.layers:
        for column, field in enumerate(layer.fields):
            written = np.stack([step[layer.name].table[:, column] for step in steps.values()])
            np.testing.assert_array_equal(layer.numbers(field), written)
        low, high = layer.numbers("low"), layer.numbers("high")
        for at, (step, truth) in enumerate(zip(run.steps, truths, strict=True)):
            half_a_level = 0.51 * (high[at] - low[at]) / 255 + 3 * rounding(animal, truth[layer.path])
            assert (np.abs(layer.maps(step) - picture_of(truth[layer.path], animal.samples)) <= half_a_level).all(), (
                layer.path
            )


def slow(name: str) -> bool:
    """torch's compiler takes a minute."""
    return (name, BACKEND) == ("jit_compile", "torch")


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if slow(name) else name for name in ZOO])
def test_names_arrays_and_records_equal_the_ground_truth(name: str, tmp_path: Path) -> None:
    if (name, BACKEND) in CANNOT:
        report(name, works=False, remark=CANNOT[name, BACKEND])
        pytest.skip(CANNOT[name, BACKEND])
    keras.utils.set_random_seed(3)
    animal = ZOO[name]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        listed = conv_layers(animal.model, animal.samples)
        extractor = FeatureMapExtractor(animal.model, animal.layers)
        maps = extractor(animal.samples)
        truths = animal.maps()

        if animal.layers == "all":
            assert [layer.path for layer in listed if layer.path not in animal.skipped] == list(truths)
            assert set(animal.skipped) <= {layer.path for layer in listed}
        assert list(maps) == list(truths)
        for path, truth in truths.items():
            assert maps[path].shape == truth.shape, path
            np.testing.assert_allclose(maps[path], truth, atol=rounding(animal, truth), rtol=0, err_msg=path)

        callback = FeatureMapCallback(animal.samples, tmp_path, layers=animal.layers, channels="all", images=False)
        before = animal.maps()
        animal.fit(callback)
        after = animal.maps()
        again = extractor(animal.samples)
    for path, truth in after.items():  # the same extractor, at the trained weights
        np.testing.assert_allclose(again[path], truth, atol=rounding(animal, truth), rtol=0, err_msg=path)
    steps = stored(tmp_path / "feature_maps")
    assert steps.keys() == {0, 1}
    check_stored(animal, steps[0], before)
    check_stored(animal, steps[1], after)
    check_read(animal, open_log(tmp_path)["feature_maps"], steps, [before, after])

    ours = [str(warning.message) for warning in caught if "can't be" in str(warning.message)]
    assert len(ours) == (2 if animal.skipped or animal.eager else 0), (
        ours
    )  # one for the extractor, one for the callback
    assert all(repr(path) in message for path in animal.skipped for message in ours)
    report(name, works=True, remark=NOTES.get((name, BACKEND), ""))


def test_the_zoo_is_complete() -> None:
    """What the README promises by name is in the zoo."""
    assert len(ZOO) >= 45
    assert {key[0] for key in CANNOT} | {key[0] for key in NOTES} <= ZOO.keys()


def report(name: str, *, works: bool, remark: str) -> None:
    if REPORT:
        with open(REPORT, "a") as file:
            file.write(f"{BACKEND}\t{name}\t{'works' if works else 'no'}\t{remark}\n")
