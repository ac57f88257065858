"""Maps with three axes and with one, through a whole `fit`: scores against numpy, and the plane that is stored."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from scipy import stats
from support.decoding import Stored, decoded, probe_pictures, run_facts, stored

from fm_callback import FeatureMapCallback, FeatureMapExtractor

VOLUME = (12, 16, 8)


def auroc(values: np.ndarray, inside: np.ndarray) -> float:
    """P(inside > outside) by ranks, ties half."""
    ranks, count = stats.rankdata(values), inside.sum()
    return float((ranks[inside].sum() - count * (count + 1) / 2) / (count * (inside.size - count)))


def field(entry: Stored, name: str) -> np.ndarray:
    return entry.table[:, entry.facts.fields.index(name)]


def halved(labels: np.ndarray) -> np.ndarray:
    """The share of true cells in blocks of two along each axis but the first."""
    for axis in range(1, labels.ndim):
        pairs = np.stack([labels.take(range(start, labels.shape[axis], 2), axis) for start in (0, 1)])
        labels = pairs.mean(0)
    return labels


def logged(model: keras.Model, samples: Any, labels: Any, log: Path, **options: Any) -> dict[str, Stored]:
    model.compile("sgd", "mse")
    targets = np.zeros((len(samples), *model.output_shape[1:]), "float32")
    callback = FeatureMapCallback(samples, log, masks=labels, layers="all", images=False, **options)
    model.fit(samples, targets, epochs=1, verbose=0, callbacks=[callback])
    return stored(log / "feature_maps")[1]


def scored(entries: dict[str, Stored], model: keras.Model, samples: Any, inside: dict[str, np.ndarray]) -> None:
    maps = FeatureMapExtractor(model)(samples)
    for path, cells in inside.items():
        expected = [auroc(maps[path][..., channel].ravel(), cells.ravel()) for channel in range(maps[path].shape[-1])]
        np.testing.assert_allclose(field(entries[path], "mask_auroc"), expected, atol=0.005, err_msg=path)
        assert entries[path].facts.cells["foreground"] == cells.sum() and entries[path].facts.planar


@pytest.fixture
def volumes() -> tuple[np.ndarray, np.ndarray]:
    """Two volumes with a box each, far from the middle of the shortest axis."""
    values, labels = np.random.default_rng(0).random((2, *VOLUME, 1)).astype("float32") - 1, np.zeros((2, *VOLUME), int)
    labels[0, 2:8, 4:12, 1:3] = labels[1, 4:10, 2:8, 5:8] = 1
    values[labels == 1] += 1
    return values, labels


def of_volumes() -> keras.Model:
    keras.utils.set_random_seed(1)
    same = layers.Conv3D(4, 3, padding="same", name="same")
    half = layers.Conv3D(3, 3, strides=2, padding="same", name="half")
    return keras.Sequential([keras.Input((*VOLUME, 1)), same, half])


def test_the_scores_of_a_volume_are_over_all_of_it(volumes: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    values, labels = volumes
    model = of_volumes()
    entries = logged(model, values, labels, tmp_path)
    scored(entries, model, values, {"same": labels == 1, "half": halved(labels == 1) > 0.5})
    assert {"mask_iou", "edge_auroc"} < set(entries["same"].facts.fields)


def test_the_slice_goes_through_each_object_and_its_picture_and_labels_lie_beside_it(
    volumes: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    values, labels = volumes
    model = of_volumes()
    entries = logged(model, values, labels, tmp_path)
    probe, slices = run_facts(tmp_path / "feature_maps")["probe"], [1, 6]
    assert (probe["axes"], probe["slice_axis"], probe["slices"]) == ([*VOLUME], 2, slices)
    told = probe_pictures(tmp_path / "feature_maps")
    cut = np.stack([values[at][:, :, index, 0] for at, index in enumerate(slices)])
    assert probe["scaling"] == "black is -1, white is 1"
    assert np.abs(np.stack(told["pictures"]) - (cut + 1) / 2 * 255).max() <= 0.51
    assert all((told["labels"][at] == labels[at][..., index]).all() for at, index in enumerate(slices))
    maps = FeatureMapExtractor(model)(values)
    for path, cut in (("same", (1, 6)), ("half", (0, 3))):
        facts = entries[path].facts
        assert (facts.slice, facts.slice_axis, facts.slices) == (cut[0], 2, cut)
        truth = np.stack([maps[path][at][:, :, index] for at, index in enumerate(cut)])
        level = np.ptp(maps[path].reshape(-1, maps[path].shape[-1]), axis=0) / 255
        assert (np.abs(decoded(entries[path]) - truth) <= 0.51 * level + 1e-5).all()


def test_axis_and_slice_can_be_chosen(volumes: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    values, labels = volumes
    model = of_volumes()
    entries = logged(model, values, labels, tmp_path, slice_axis=0, slice=[5, -1])
    assert (entries["same"].facts.map, entries["same"].facts.slices) == ((16, 8), (5, 11))
    assert (entries["half"].facts.map, entries["half"].facts.slices) == ((8, 4), (2, 5))
    scored(entries, model, values, {"same": labels == 1})


def test_a_large_probe_of_volumes_goes_through_in_chunks_and_stores_of_some_a_slice(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    values, labels = generator.random((18, *VOLUME, 1)).astype("float32"), np.zeros((18, *VOLUME), int)
    for at, (one, others) in enumerate(zip(labels, values, strict=True)):
        one[2:8, 4:12, at % 6 : at % 6 + 3] = 1
        others[one == 1] += 1
    model = of_volumes()
    entries = logged(model, values, labels, tmp_path, stored=3)
    scored(entries, model, values, {"same": labels == 1, "half": halved(labels == 1) > 0.5})
    facts = entries["same"].facts
    assert facts.slices == (1, 2, 3) == tuple(run_facts(tmp_path / "feature_maps")["probe"]["slices"])
    told = probe_pictures(tmp_path / "feature_maps")
    assert len(told["pictures"]) == 3
    assert all((told["labels"][at] == labels[at][..., at + 1]).all() for at in range(3))
    maps = FeatureMapExtractor(model)(values)["same"]
    truth = np.stack([maps[at][:, :, at + 1] for at in range(3)])
    level = np.ptp(maps.reshape(-1, maps.shape[-1]), axis=0) / 255
    assert (np.abs(decoded(entries["same"]) - truth) <= 0.51 * level + 1e-4).all()


def test_without_masks_a_volume_has_edges_and_its_middle(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((1, *VOLUME, 1)).astype("float32")
    entries = logged(of_volumes(), values, None, tmp_path)
    assert "edge_auroc" in entries["same"].facts.fields and entries["same"].facts.slice == 4
    assert [picture.shape for picture in probe_pictures(tmp_path / "feature_maps")["pictures"]] == [(12, 16)]


@pytest.mark.parametrize("axis", [False, True], ids=["(N, L)", "(N, L, 1)"])
def test_labels_of_signals_score_their_maps(axis: bool, tmp_path: Path) -> None:
    """Twelve leads of an electrocardiogram, more samples than a picture has pixels in a row."""
    keras.utils.set_random_seed(1)
    generator = np.random.default_rng(0)
    labels = np.repeat(generator.integers(0, 2, (4, 500)), 10, axis=1)
    signals = (generator.random((4, 5000, 12)) + 0.5 * labels[..., None]).astype("float32")
    same, half = (
        layers.Conv1D(4, 9, padding="same", name="same"),
        layers.Conv1D(3, 5, strides=2, padding="same", name="half"),
    )
    model = keras.Sequential([keras.Input((5000, 12)), same, half])
    entries = logged(model, signals, labels[..., None] if axis else labels, tmp_path)
    scored(entries, model, signals, {"same": labels == 1, "half": halved(labels == 1) > 0.5})
    assert (entries["same"].facts.map, entries["half"].facts.map) == ((1, 5000), (1, 2500))
    told = probe_pictures(tmp_path / "feature_maps")
    assert [picture.shape[:2] for picture in told["pictures"]] == [(1, 5000)] * 4
    assert (np.concatenate(told["labels"]) == labels).all()


def test_a_slice_of_pictures_is_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="`slice_axis`=1 is for volumes and videos"):
        logged(model, np.zeros((1, 8, 8, 3), "float32"), None, tmp_path, slice_axis=1)
