"""Scores in Keras's own logs: what is logged is what is in the log, and other callbacks use it."""

import csv

import keras
import numpy as np
import pytest
from test_callback import MASKS, X, Y, segmenter

from fm_callback import FeatureMapCallback, open_log


def fitted(tmp_path, *others, epochs=3, **arguments):
    model = segmenter()
    callback = FeatureMapCallback(X[:5], tmp_path, scores_in_logs=True, **arguments)
    return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[callback, *others]).history


def test_the_history_has_the_scores_of_each_epoch(tmp_path):
    history = fitted(tmp_path, masks=MASKS[:5])
    run = open_log(tmp_path)[0]
    for name in ("mask_separation_best", "readout"):
        for layer in run.layers:
            np.testing.assert_array_equal(np.float32(history[f"{name}/{layer.name}"]), layer.summaries(name)[1:])
    scores = run.scores
    of_last = scores["step"] == 3
    for label in ("background", "foreground"):
        iou = scores["iou"][of_last & (scores["label"] == label)]
        assert history[f"prediction_iou/{label}"][-1] == pytest.approx(np.nanmean(iou), abs=1e-6)
    labels = [history[f"prediction_iou/{label}"][-1] for label in ("background", "foreground")]
    assert history["prediction_iou"][-1] == pytest.approx(np.mean(labels))
    assert not any(name.startswith("edge") for name in history)


def test_without_masks_edges_are_told(tmp_path):
    history = fitted(tmp_path)
    assert {name for name in history if "/" in name} == {f"edge_auroc_best/{layer}" for layer in ("down", "up", "head")}


def test_other_callbacks_use_them(tmp_path):
    name = "mask_separation_best/head"
    stop = keras.callbacks.EarlyStopping(name, mode="max", min_delta=1.0, patience=1)
    log = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    best = keras.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), monitor=name, mode="max", save_best_only=True)
    history = fitted(tmp_path, stop, log, best, masks=MASKS[:5], epochs=20)
    assert len(history[name]) == 2, "nothing improves by 1"
    with open(tmp_path / "log.csv") as file:
        rows = [*csv.DictReader(file)]
    assert [float(row[name]) for row in rows] == history[name] and (tmp_path / "best.keras").exists()


def test_without_them_the_history_is_keras_own(tmp_path):
    history = segmenter().fit(
        X, Y, epochs=2, verbose=0, callbacks=[FeatureMapCallback(X[:2], tmp_path, masks=MASKS[:2])]
    )
    assert not [name for name in history.history if "/" in name or name == "prediction_iou"]


def test_the_weights_are_the_same_with_them(tmp_path):
    plain, told = segmenter(), segmenter()
    plain.fit(X, Y, epochs=2, verbose=0)
    callback = FeatureMapCallback(X[:5], tmp_path, masks=MASKS[:5], scores_in_logs=True)
    told.fit(X, Y, epochs=2, verbose=0, callbacks=[callback])
    for one, other in zip(plain.get_weights(), told.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
