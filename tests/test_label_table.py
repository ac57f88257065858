"""Which label is detected where, since when: trained for real, and read back."""

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fm_callback import FeatureMapCallback, open_log

IMAGES = np.random.default_rng(0).random((3, 16, 16, 3)).astype("float32") * 0.2
LABELS = np.zeros((3, 16, 16), int)
LABELS[:, 2:7, 2:9], LABELS[:, 9:14, 4:12], LABELS[:, 0, :] = 1, 2, 7
IMAGES[..., 0] += (LABELS == 1) * 0.7
IMAGES[..., 1] += (LABELS == 2) * 0.7


class Learning(keras.callbacks.Callback):
    """From epoch 2 to 3 the first channel shows the red of the pictures; from epoch 2 on the second their green, dark."""

    def on_epoch_begin(self, epoch, logs=None):
        kernel = np.zeros((1, 1, 3, 2))
        kernel[0, 0, 0, 0] = epoch in (1, 2)
        kernel[0, 0, 1, 1] = -1.0 if epoch else 0.0
        self.model.get_layer("conv").set_weights([kernel, np.zeros(2)])


def trained(log_dir, **arguments):
    inputs = keras.Input((16, 16, 3))
    conv = keras.layers.Conv2D(2, 1, name="conv", trainable=False)
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1, name="head")(conv(inputs)))
    model.compile("sgd", "mse")
    callback = FeatureMapCallback(IMAGES, log_dir, masks=LABELS, layers=["conv"], **arguments)
    model.fit(IMAGES, IMAGES[..., :1], epochs=5, verbose=0, callbacks=[Learning(), callback])
    return open_log(log_dir)[0], callback


def test_which_channel_detects_which_label_since_when(tmp_path):
    classes = {0: "wall", 1: "cat", 2: "dog"}
    run, callback = trained(tmp_path, ignore=7, classes=classes, concepts={"top": LABELS == 1, "eyes": LABELS == 9})
    assert [(label.name, label.ignored) for label in run.labels][-1] == ("ignored", True)
    table = run.table("label")
    rows = {label: {name: table[name][at] for name in table} for at, label in enumerate(table["label"])}
    assert [*rows] == ["wall", "cat", "dog", "top"], "no eyes anywhere: no score"
    assert (rows["cat"]["first"], np.isnan(rows["cat"]["since"])) == (2, True), "it fell again at step 4"
    assert (rows["dog"]["first"], rows["dog"]["since"], rows["dog"]["channel"]) == (2, 2, 1)
    assert rows["dog"]["auroc"] < 0.1, "as its dark side"
    assert (rows["top"]["first"], rows["wall"]["first"].item()) == (2, pytest.approx(np.nan, nan_ok=True))
    assert rows["cat"]["excess"] == run.table("layer")["cat_excess"][-1] and not np.isnan(table["excess"]).any()
    scores = run["conv"].numbers("cat_auroc")[3]
    maps, counted = run["conv"].maps(3), LABELS != 7
    assert scores[0] == pytest.approx(roc_auc_score(LABELS[counted] == 1, maps[..., 0][counted]), abs=0.005)
    assert {"mask_separation_best", "mask_excess_best", "cat_separation_best"} <= run.table("layer").keys()
    said = callback.summary()
    assert "label" in said and [line.split()[:2] for line in said.splitlines() if line.startswith("dog")] == [
        ["dog", "2"]
    ]


def test_of_two_labels_the_object_alone_is_told(tmp_path):
    run, _ = trained(tmp_path, foreground=[1, 2], ignore=7, classes={1: "cat", 2: "dog"})
    assert list(run.table("label")["label"]) == ["label 0", "cat", "dog"], "three labels, two of them the object"
    two = FeatureMapCallback(IMAGES, tmp_path, masks=LABELS == 1, classes={1: "cat"}).masks
    assert two.scored == ()


def test_a_table_of_a_run_with_two_labels(tmp_path):
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1, name="conv")(inputs))
    model.compile("sgd", "mse")
    callback = FeatureMapCallback(IMAGES, tmp_path, masks=LABELS == 1, classes={1: "cat"})
    model.fit(IMAGES, IMAGES[..., :1], verbose=0, callbacks=[callback])
    run = open_log(tmp_path)[0]
    table = run.table("label")
    assert list(table["label"]) == ["cat"] and list(table["layer"]) == ["conv"]
    assert table["auroc"][0] == run["conv"].numbers("mask_auroc")[-1, 0]
    assert abs(table["excess"][0]) == abs(table["auroc"][0] - run["conv"].numbers("mask_control")[-1, 0])


def test_maps_that_have_no_cell_to_tell_apart(tmp_path):
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 16, name="conv")(inputs))
    model.compile("sgd", "mse")
    callback = FeatureMapCallback(IMAGES, tmp_path, masks=LABELS == 1, layers=["conv"], prediction=False)
    model.fit(IMAGES, np.zeros((3, 1, 1, 2)), verbose=0, callbacks=[callback])
    assert callback.summary().startswith("no logged layer has cells of what was given")
    assert len(open_log(tmp_path)[0].table("label")["label"]) == 0


def test_of_few_cells_of_the_object_nothing_is_told(tmp_path):
    """As in the table of masks: on four cells some channel of any network shows anything."""
    inputs = keras.Input((16, 16, 3))
    pooled = keras.layers.Conv2D(8, 1, name="conv")(keras.layers.AveragePooling2D(8)(inputs))
    model = keras.Model(inputs, keras.layers.Conv2DTranspose(1, 8, 8, name="head")(pooled))
    model.compile("sgd", "mse")
    masks = (np.indices((16, 16)).sum(0) < 12) & (np.arange(3) < 2)[:, None, None]
    callback = FeatureMapCallback(IMAGES, tmp_path, masks=masks, layers=["conv"], prediction=False)
    model.fit(IMAGES, IMAGES[..., :1], verbose=0, callbacks=[callback])
    table = open_log(tmp_path)[0].table("label")
    assert np.isnan([*table["first"], *table["since"]]).all() and "too few cells" in callback.summary()
    assert not np.isnan(table["auroc"]).any()
