"""From `fit` to the event file: what is written when, and what is refused before the first batch."""

import contextlib
import copy
import gc
import io
import pickle
import re
import sys
import threading
import warnings
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from reading import events, numbers, values_at, with_tensorboards_own_loader
from support.decoding import all_steps, decoded, probe_pictures, run_facts, stored

from fm_callback import FeatureMapCallback, FeatureMapExtractor, conv_layers
from fm_callback.format import (
    BEHIND,
    MOST_BLOB,
    MOST_HEAD,
    NUMBERS,
    LayerFacts,
    ProbeFacts,
    RunFacts,
    from_json,
    to_json,
)
from fm_callback.read.log import Log
from fm_callback.scores.measures import MEASURES, ChannelMeasure, summaries
from fm_callback.write.cost import Cost, foretold
from fm_callback.write.limits import refuse_too_much
from fm_callback.write.say import say

X = np.random.default_rng(0).random((8, 16, 16, 3)).astype("float32")
Y = (X.mean(-1, keepdims=True) > 0.5).astype("float32")
MASKS = Y[..., 0].astype(int)
#: What TensorBoard's Scalars tab gets of each layer.
CURVES = ("mask_separation_best", "dead_or_flat")
#: The measures that exist with masks of several images of which nothing is ignored.
FIELDS = tuple(each.name for each in MEASURES if isinstance(each, ChannelMeasure) and each.concept != "outline")


def segmenter(**compiling):
    """A small model of three convolutions that learns a threshold."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(40, 3, strides=2, padding="same", name="down"),
            keras.layers.ReLU(),
            keras.layers.Conv2DTranspose(6, 2, strides=2, name="up"),
            keras.layers.Conv2D(1, 1, activation="sigmoid", name="head"),
        ],
        name="segmenter",
    )
    model.compile(**{"optimizer": "adam", "loss": "binary_crossentropy"} | compiling)
    return model


def fit(model, callback, epochs=2, **options):
    model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=[callback], **options)
    return model


def layers_of(directory):
    """`{name: facts}` of the layers of a run."""
    return {layer["name"]: layer for layer in run_facts(directory)["layers"]}


def runs(log_dir):
    return sorted(path.name for path in log_dir.iterdir())


def test_two_epochs_write_exactly_three_steps_of_every_tag(tmp_path):
    fit(segmenter(), FeatureMapCallback(X[:2], tmp_path, masks=MASKS[:2]))
    assert runs(tmp_path) == ["feature_maps"]
    layers = ["down", "up", "head"]
    numbered = [f"#{number} {layer}" for number, layer in enumerate(layers, 1)]
    tags = {f"feature_maps/{layer}" for layer in numbered}
    tags |= {f"maps_{measure}/{layer}" for measure in CURVES for layer in numbered} | {"mask_table"}
    tags |= {f"prediction_iou/{label}" for label in ("background", "foreground")}
    expected = {(step, tag) for step in range(3) for tag in tags}
    found = with_tensorboards_own_loader(tmp_path / "feature_maps")
    assert sorted(found) == sorted(expected), "each once"
    assert all_steps(tmp_path / "feature_maps") == [0, 1, 2], "one record a step"
    assert [list(step) for step in stored(tmp_path / "feature_maps").values()] == [layers] * 3


def test_curves_are_written_without_large_pictures(tmp_path):
    """TensorBoard's slow reading path keeps the whole record of a value as long as it keeps the value."""
    images = np.random.default_rng(0).random((2, 128, 128, 3)).astype("float32")
    inputs = keras.Input((128, 128, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(32, 3, name="up")(inputs))
    model.compile("sgd", "mse")
    masks = (images.mean(-1) > 0.5).astype(int)
    callback = FeatureMapCallback(images[:1], tmp_path, masks=masks[:1], prediction=False)
    model.fit(images, np.zeros((2, 126, 126, 32)), verbose=0, callbacks=[callback])
    records = [event.summary.value for event in events(tmp_path / "feature_maps") if event.step == 1]
    curves, picture, text = ([value.tag for value in each] for each in records if each)
    assert len(curves) == len(CURVES) and {tag.split("/")[1] for tag in curves} == {"#1 up"}
    assert (picture, text) == (["feature_maps/#1 up"], ["mask_table"])
    best = stored(tmp_path / "feature_maps")[1]["up"].summaries["mask_separation_best"]
    value = values_at(tmp_path / "feature_maps", 1)["maps_mask_separation_best/#1 up"]
    assert numbers(value) == pytest.approx(best)


def test_the_pictures_say_their_size(tmp_path):
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path), epochs=1)
    for layer in ("#1 down", "#2 up", "#3 head"):
        width, height, picture = values_at(tmp_path / "feature_maps", 1)[f"feature_maps/{layer}"].tensor.string_val
        with Image.open(io.BytesIO(picture)) as image:
            assert image.size == (int(width), int(height))


def test_the_static_facts_say_what_was_logged(tmp_path):
    fit(segmenter(), FeatureMapCallback(X[:5], tmp_path, masks=MASKS[:5]), epochs=1)
    run = run_facts(tmp_path / "feature_maps")
    facts = layers_of(tmp_path / "feature_maps")
    assert facts["down"] == {
        "name": "down", "number": 1, "kind": "Conv2D", "path": "down", "kernel": [3, 3], "activation": None, "shape": [8, 8, 40],
        "map": [8, 8], "planar": True, "slice": None, "slice_axis": None, "slices": [], "prefix": 0, "trainable": True, "period": 0, "dilation": 1, "order": 0, "channels": list(range(32)), "rows": 4, "columns": 8,
        "fields": facts["down"]["fields"], "summaries": facts["down"]["summaries"], "cells": facts["down"]["cells"], "images": dict.fromkeys(("foreground", "background", "edges"), 5),
    }  # fmt: skip
    assert tuple(facts["down"]["fields"]) == (*NUMBERS, BEHIND, *FIELDS)
    assert tuple(facts["down"]["summaries"]) == summaries(FIELDS)
    cells = facts["down"]["cells"]
    assert cells["foreground"] + cells["background"] == 5 * 8 * 8 and 0 < cells["edges"] < 5 * 8 * 8
    assert facts["head"]["activation"] == "sigmoid" and facts["head"]["rows"] == facts["head"]["columns"] == 1
    assert (run["format"], run["step_unit"], run["first_step"], run["images"]) == (2, "epoch", 0, True)
    assert (run["probe"]["images"], run["probe"]["stored"], run["probe"]["scaling"]) == (5, 4, "black is 0, white is 1")
    pictures = probe_pictures(tmp_path / "feature_maps")
    np.testing.assert_array_equal(pictures["pictures"], (X[:4] * 255 + 0.5).astype(np.uint8))
    np.testing.assert_array_equal(pictures["labels"], MASKS[:4])
    assert [label["name"] for label in run["labels"]] == ["background", "foreground"]
    assert run["model"]["name"] == "segmenter" and run["model"]["parameters"] == 1120 + 966 + 7
    assert {*NUMBERS, "mask_auroc", "mask_auroc_best", "effective_rank"} <= run["measures"].keys()


def stored_values(directory, layer, step):
    """Maps as a reader sees them: (images, channels, height, width), and half the width of a level of each channel."""
    entry = stored(directory)[step][layer]
    return np.moveaxis(decoded(entry), -1, 1), (entry.table[:, 1] - entry.table[:, 0]) / 510, entry.table


def test_the_stored_maps_and_numbers_are_those_of_the_trained_weights(tmp_path):
    model = fit(segmenter(), FeatureMapCallback(X[:3], tmp_path), epochs=2)
    truth = FeatureMapExtractor(model)(X[:3])
    for layer in ("down", "up", "head"):
        exact = truth[layer][..., :32].transpose(0, 3, 1, 2)
        stored, half_a_level, table = stored_values(tmp_path / "feature_maps", layer, 2)
        error = np.abs(stored - exact).max((0, 2, 3))
        assert (error <= half_a_level * 1.01 + 1e-6).all(), layer
        flat = exact.transpose(1, 0, 2, 3).reshape(len(table), -1)
        expected = [
            flat.min(1),
            flat.max(1),
            flat.mean(1),
            np.abs(flat).mean(1),
            flat.std(1),
            (flat == 0).mean(1),
            0 * flat.sum(1),
        ]
        np.testing.assert_allclose(table[:, :7], np.stack(expected, 1), rtol=1e-4, atol=1e-5)


def test_a_log_that_is_being_written_never_shows_half_a_step(tmp_path):
    """Now and then the training waits until somebody has looked: on a machine with other work it would be over before."""
    log, seen, looked = Log(tmp_path), [], threading.Semaphore(0)

    class Paced(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch % 4 == 0:
                while looked.acquire(blocking=False):
                    pass
                for _ in range(2):  # the first look may have begun before
                    looked.acquire(timeout=30)

    callbacks = [FeatureMapCallback(X[:4], tmp_path, masks=MASKS[:4]), Paced()]
    options = {"batch_size": 4, "epochs": 40, "verbose": 0, "callbacks": callbacks}
    training = threading.Thread(target=segmenter().fit, args=(X, Y), kwargs=options)
    training.start()
    looks, goes_on = 0, True
    while goes_on or looks < 1000:
        looks, goes_on = looks + 1, training.is_alive()  # so that one look comes after the end
        if log.refresh() and log:
            (run,) = log.values()
            seen.append(run.steps)
            assert run.problems == () and [layer.maps().shape[0] for layer in run.layers] == [4, 4, 4]
            table = run.table("channel")
            assert len(table["step"]) == len(run.steps) * (32 + 6 + 1) and not np.isnan(table["std"]).any()
        looked.release()
    training.join()
    assert seen[-1] == tuple(range(41)) and all(steps == tuple(range(len(steps))) for steps in seen)
    assert len(seen) > 5, "it was looked at between steps"


def test_step_zero_is_the_untrained_network(tmp_path):
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path, layers=["head"]), epochs=1)
    truth = FeatureMapExtractor(segmenter(), layers=["head"])(X[:1])["head"].transpose(0, 3, 1, 2)
    stored, half_a_level, _ = stored_values(tmp_path / "feature_maps", "head", 0)
    assert np.abs(stored - truth).max() <= half_a_level.max() * 1.01 + 1e-6


def test_initial_epoch_is_the_first_step_and_resuming_keeps_each_step_once_for_readers(tmp_path):
    model = fit(segmenter(), FeatureMapCallback(X[:1], tmp_path), epochs=2)
    fit(model, FeatureMapCallback(X[:1], tmp_path), epochs=4, initial_epoch=2)
    assert runs(tmp_path) == ["feature_maps"]
    assert all_steps(tmp_path / "feature_maps") == [0, 1, 2, 3, 4], "what is there is not written again"
    summaries = {step: entry["up"].summaries for step, entry in stored(tmp_path / "feature_maps").items()}
    for each in ("cka_previous", "cka_first"):
        assert [np.isnan(values[each]) for values in summaries.values()] == [True, False, False, False, False]
    assert [event.step for event in events(tmp_path / "feature_maps") if event.session_log.status] == [0]


def test_a_second_run_from_the_start_gets_its_own_directory(tmp_path):
    callback = FeatureMapCallback(X[:1], tmp_path)
    fit(segmenter(), callback)
    first = (tmp_path / "feature_maps").glob("*")
    before = {path: path.read_bytes() for path in first}
    fit(segmenter(), callback, epochs=1)
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path, layers=[1]), epochs=3, initial_epoch=2)
    assert runs(tmp_path) == ["feature_maps", "feature_maps_2", "feature_maps_3"]
    assert {path: path.read_bytes() for path in before} == before
    assert [all_steps(tmp_path / name) for name in runs(tmp_path)] == [[0, 1, 2], [0, 1], [2, 3]]


def test_the_log_directory_is_shared_with_keras_own_callback(tmp_path):
    model, ours = segmenter(), FeatureMapCallback(X[:1], tmp_path)
    callbacks = [keras.callbacks.TensorBoard(tmp_path, write_graph=False), ours]
    model.fit(X, Y, epochs=1, verbose=0, callbacks=callbacks, validation_split=0.5)
    assert runs(tmp_path) == ["feature_maps", "train", "validation"]


def test_every_takes_each_nth_step_and_always_the_first_and_the_last(tmp_path):
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path / "a", every=3, images=False), epochs=7)
    assert all_steps(tmp_path / "a" / "feature_maps") == [0, 3, 6, 7]
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path / "b", every=lambda step: step == 2), epochs=4)
    assert all_steps(tmp_path / "b" / "feature_maps") == [0, 2, 4]


def test_batch_frequencies_count_the_optimizers_iterations(tmp_path):
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path / "a", update_freq="batch"), epochs=2)
    assert all_steps(tmp_path / "a" / "feature_maps") == [0, 1, 2, 3, 4]
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path / "b", update_freq=3), epochs=5)
    assert all_steps(tmp_path / "b" / "feature_maps") == [0, 3, 6, 9, 10]
    assert run_facts(tmp_path / "b" / "feature_maps")["step_unit"] == "batch"


def test_the_last_step_is_what_the_epoch_left_not_what_early_stopping_put_back(tmp_path):
    class Restore(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.after = [value.numpy() for value in self.model.weights]
            self.model.stop_training = epoch == 1

        def on_train_end(self, logs=None):
            self.model.set_weights([0 * value for value in self.after])

    model, restore = segmenter(), Restore()
    model.fit(X, Y, epochs=5, verbose=0, callbacks=[FeatureMapCallback(X[:1], tmp_path, every=100), restore])
    assert all_steps(tmp_path / "feature_maps") == [0, 2]
    model.set_weights(restore.after)
    truth = FeatureMapExtractor(model, layers=["up"])(X[:1])["up"].transpose(0, 3, 1, 2)
    stored, half_a_level, _ = stored_values(tmp_path / "feature_maps", "up", 2)
    assert np.abs(stored - truth).max() <= half_a_level.max() * 1.01 + 1e-6


def test_images_false_writes_none(tmp_path):
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path, images=False), epochs=1)
    found = {tag for _, tag in with_tensorboards_own_loader(tmp_path / "feature_maps")}
    assert {"maps_dead_or_flat/#1 down", "maps_edge_auroc_best/#1 down"} <= found, "without masks, the edges"
    assert not [tag for tag in found if tag.startswith("feature_maps/")]


def test_channels_are_chosen_by_count_by_index_or_all(tmp_path):
    for at, (channels, expected) in enumerate([(2, [0, 1]), ([5, 3], [5, 3]), ("all", list(range(40)))]):
        fit(segmenter(), FeatureMapCallback(X[:1], tmp_path / str(at), channels=channels, layers=["down"]), epochs=1)
        assert layers_of(tmp_path / str(at) / "feature_maps")["down"]["channels"] == expected


def test_an_interrupted_training_leaves_no_thread_and_no_model(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    def interrupted():
        model = segmenter()
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, verbose=0, callbacks=[FeatureMapCallback(X[:1], tmp_path, every=2), Interrupt()])
        return weakref.ref(model)

    model = interrupted()
    gc.collect()
    assert model() is None
    assert "fm_callback" not in [thread.name for thread in threading.enumerate()]
    assert all_steps(tmp_path / "feature_maps") == [0, 1], "what was held is on disk, too"


def test_a_loop_of_ones_own_with_a_model_that_is_not_compiled(tmp_path):
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(1, 3, name="head")(inputs))
    callback = FeatureMapCallback(X[:1], tmp_path, update_freq="batch")
    callback.set_params({"verbose": 0, "epochs": 1})
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    for batch in range(3):
        callback.on_train_batch_end(batch)
    callback.on_epoch_end(0)
    callback.on_train_end()
    assert all_steps(tmp_path / "feature_maps") == [0, 1, 2, 3]


def test_weights_that_become_nan_are_counted_and_training_goes_on(tmp_path):
    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.get_layer("up").set_weights([w * np.nan for w in self.model.get_layer("up").get_weights()])

    model = segmenter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[FeatureMapCallback(X[:1], tmp_path, masks=MASKS[:1]), Poison()])
    _, _, table = stored_values(tmp_path / "feature_maps", "up", 2)
    assert np.isnan(table[:, :5]).all() and (table[:, 6] == 16 * 16).all()
    assert np.isfinite(stored_values(tmp_path / "feature_maps", "up", 1)[2]).all()


def test_a_predicate_that_fails_is_one_warning_and_training_goes_on(tmp_path):
    model = segmenter()
    callback = FeatureMapCallback(X[:1], tmp_path, every=lambda step: [True][step - 1])
    with pytest.warns(RuntimeWarning, match="IndexError: list index out of range"):
        history = model.fit(X, Y, epochs=4, verbose=0, callbacks=[callback])
    assert len(history.history["loss"]) == 4 and all_steps(tmp_path / "feature_maps") == [0, 1]


def test_another_mask_of_an_image_that_is_not_stored_is_another_run(tmp_path):
    model = fit(segmenter(), FeatureMapCallback(X[:6], tmp_path, masks=MASKS[:6]))
    other = MASKS[:6].copy()
    other[5] = np.roll(other[5], 4, 0)
    fit(model, FeatureMapCallback(X[:6], tmp_path, masks=other), epochs=3, initial_epoch=2)
    assert runs(tmp_path) == ["feature_maps", "feature_maps_2"]


def test_numpy_integers_are_numbers(tmp_path):
    options = {"layers": np.array([1, 3]), "channels": np.array([0]), "every": np.int64(2), "update_freq": np.int64(1)}
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path, **options), epochs=1)
    assert list(layers_of(tmp_path / "feature_maps")) == ["down", "head"]
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path / "b", layers=np.int64(1), channels=np.int64(1)), epochs=1)
    assert layers_of(tmp_path / "b" / "feature_maps")["head"]["channels"] == [0]


def test_a_lost_directory_is_one_warning_and_training_goes_on(tmp_path):
    import shutil

    class Remove(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                shutil.rmtree(tmp_path / "logs")

    model = segmenter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(
            X, Y, epochs=6, verbose=0, callbacks=[FeatureMapCallback(X[:1], tmp_path / "logs"), Remove()]
        )
    ours = [str(warning.message) for warning in caught if "FeatureMapCallback" in str(warning.message)]
    assert len(ours) == 1 and "no longer there" in ours[0] and str(tmp_path / "logs") in ours[0]
    assert len(history.history["loss"]) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["dwon"]}, r"no conv layer 'dwon'; did you mean 'down'\? The model has 3: down, up, head"),
        ({"layers": [4]}, "no conv layer number 4: numbers go from 1 to 3"),
        ({"layers": [0]}, "no conv layer number 0"),
        ({"layers": []}, "`layers` is an empty list"),
        ({"layers": [1, "down"]}, "layer 'down' is chosen twice in `layers`: by 1 and by 'down'"),
        ({"layers": 0}, "at least 1; received 0"),
        ({"layers": [2.5]}, "received 2.5"),
        ({"layers": True}, "received True"),
        ({"layers": None}, "received None"),
        ({"layers": [keras.layers.ReLU(name="relu_x")]}, "the layer 'relu_x' itself: give its name or path"),
        ({"channels": [0, 50]}, r"no chosen layer has the channels \[50\]"),
        ({"samples": X[:1, :8]}, r"shape \(1, 8, 16, 3\) do not fit the model's input shape \(None, 16, 16, 3\)"),
        ({"masks": MASKS[:1, :8]}, r"`masks` of shape \(1, 8, 16\) do not fit `samples`: 1 images of 16×16"),
        ({"masks": MASKS[:2]}, r"`masks` of shape \(2, 16, 16\)"),
    ],
)
def test_a_wrong_configuration_fails_before_the_first_batch(tmp_path, options, message):
    begun = []
    watcher = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: begun.append(batch))
    model, callback = segmenter(), FeatureMapCallback(**{"samples": X[:1], "log_dir": tmp_path} | options)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y, verbose=0, callbacks=[callback, watcher])
    assert begun == [] and all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "received 0"),
        ({"channels": "some"}, "received 'some'"),
        ({"channels": [1, 1]}, r"received \[1, 1\]"),
        ({"channels": [-1]}, r"received \[-1\]"),
        (
            {"update_freq": "epochs"},
            "update_freq must be 'epoch', 'batch' or a positive number of batches; received 'epochs'",
        ),
        ({"update_freq": 0}, "received 0"),
        ({"every": 0}, "received 0"),
        ({"log_dir": "gs://bucket/logs"}, "must be a local directory"),
        ({"log_dir": None}, "log_dir must be a directory's path; received None"),
        ({"masks": MASKS / 2.0}, "integer or bool"),
        ({"submodel": 3}, "`submodel` must be a name or a function of the model; received 3"),
    ],
)
def test_a_malformed_argument_fails_at_construction(options, message):
    with pytest.raises(ValueError, match=message):
        FeatureMapCallback(**{"samples": X[:1]} | options)


def test_a_home_directory_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model = segmenter()
    model.fit(X, Y, verbose=2, callbacks=[FeatureMapCallback(X[:1], "~/logs")])
    assert runs(tmp_path / "logs") == ["feature_maps"]
    assert str(tmp_path / "logs" / "feature_maps") in capsys.readouterr().out
    for kind in (Path("~/logs"), b"~/logs"):
        assert FeatureMapCallback(X[:1], kind).log_dir == str(tmp_path / "logs")


@pytest.mark.parametrize("use", [FeatureMapExtractor, conv_layers, "fit"])
def test_a_model_of_keras_2_is_refused_in_a_sentence(use):
    """Keras 2 is another package, of another name: a class that says it is from there stands for it."""
    model = type("Functional", (), {"__module__": "tf_keras.src.engine.functional"})()
    if use == "fit":  # which gives each callback the model before anything else
        use = FeatureMapCallback(X[:1]).set_model
    with pytest.raises(ValueError, match=r"a Functional of tf_keras, which is Keras 2: .* Keras 3"):
        use(model)


@pytest.mark.parametrize("use", [FeatureMapExtractor, conv_layers])
def test_what_is_no_model_is_refused(use):
    with pytest.raises(ValueError, match="must be a Keras model; received a ndarray"):
        use(X)


def test_a_picture_that_no_reader_takes_is_refused_before_training(tmp_path):
    model = keras.Sequential([keras.Input((512, 512, 1)), keras.layers.Conv2D(256, 1, name="wide")])
    model.compile("sgd", "mse")
    x = np.zeros((1, 512, 512, 1), "float32")
    with pytest.raises(
        ValueError, match=r"layer 'wide': 256 channels of 512×512 make a picture of 67 MB.*the first 94"
    ):
        model.fit(x, x, verbose=0, callbacks=[FeatureMapCallback(x, tmp_path / "logs", channels="all")])
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("layers", "channels", "stored", "message"),
    [
        (100, 1, 10_000, "maps of 10,000 samples in 100 layers .* `stored` 4,657 at most"),
        (100, 1, 4_657, None),
        (46, 1, 10_000, None),
        (10_001, 1, 1, "up to 10,000 layers; `layers` chooses 10,001"),
        (9, 120_000, 1, "up to 1,048,576 channels; `channels` chooses 1,080,000"),
    ],
)
def test_a_log_that_no_reader_takes_is_refused_before_training(layers, channels, stored, message):
    """And what is not refused is read: the list of a step, with references as long as they get."""
    conv = LayerFacts("c", "c", (1, 1, channels), (1, 1), tuple(range(channels)), 1, channels, (*NUMBERS,), ("rank",))
    facts = RunFacts(0, (conv,) * layers, probe=ProbeFacts(stored, stored))
    if message:
        with pytest.raises(ValueError, match=message):
            refuse_too_much(facts)
        return
    refuse_too_much(facts)
    longest = [99_999_999_999, MOST_BLOB, 2**32 - 1]
    entry = {"maps": [longest] * stored, "numbers": longest, "summaries": longest}
    text = to_json([entry] * layers)
    assert len(text) <= MOST_HEAD and len(from_json(text)) == layers
    assert len(to_json(facts.head())) <= MOST_HEAD


def test_a_log_dir_that_is_a_file_is_refused(tmp_path):
    path = tmp_path / "logs"
    path.write_text("notes")
    for log_dir in (path, path / "deeper"):
        with pytest.raises(ValueError, match=r"log_dir .*logs"):
            fit(segmenter(), FeatureMapCallback(X[:1], log_dir))
    assert path.read_text() == "notes"


def test_it_is_copied_and_pickled_before_and_after_a_fit(tmp_path):
    callback = FeatureMapCallback(X[:1], tmp_path / "a", update_freq=2)
    clone = pickle.loads(pickle.dumps(copy.deepcopy(callback)))
    clone.log_dir = tmp_path / "b"
    fit(segmenter(), callback, epochs=1)
    fit(segmenter(), clone, epochs=1)
    fit(segmenter(), pickle.loads(pickle.dumps(copy.deepcopy(clone))), epochs=1)
    assert all_steps(tmp_path / "a" / "feature_maps") == all_steps(tmp_path / "b" / "feature_maps") == [0, 2]


def test_fits_of_one_epoch_each_go_on_in_one_run_and_compile_once(tmp_path, caplog):
    traces = []

    class Counting(keras.layers.Layer):
        def call(self, inputs):
            traces.append(1)
            return inputs

    model = keras.Sequential([keras.Input((16, 16, 3)), Counting(), keras.layers.Conv2D(1, 1, name="head")])
    model.compile("sgd", "mse")
    model.fit(X, Y, epochs=1, verbose=0)
    callback, before = FeatureMapCallback(X[:1], tmp_path), len(traces)
    for epoch in range(8):
        model.fit(X, Y, epochs=epoch + 1, initial_epoch=epoch, verbose=0, callbacks=[callback])
        if epoch == 0:
            first = len(traces)
    assert first > before and len(traces) == first
    assert all_steps(tmp_path / "feature_maps") == list(range(9))
    assert runs(tmp_path) == ["feature_maps"] and "retracing" not in caplog.text


def test_a_layer_put_in_between_two_fits_is_seen(tmp_path):
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(1, 1, name="conv"), keras.layers.ReLU(name="relu")]
    )
    callback = FeatureMapCallback(X[:1], tmp_path, layers=["conv", lambda layer: layer is model.layers[-1]])
    model.compile("sgd", "mse")
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[callback])
    model.pop()
    model.add(keras.layers.Activation("sigmoid", name="sigmoid"))
    model.compile("sgd", "mse")
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[callback])
    assert {"relu", "sigmoid"} & set(layers_of(tmp_path / "feature_maps")) == {"relu"}
    assert {"relu", "sigmoid"} & set(layers_of(tmp_path / "feature_maps_2")) == {"sigmoid"}


def test_step_zero_says_on_one_line_what_it_does_and_verbose_0_says_nothing(tmp_path, capsys):
    fit(segmenter(), FeatureMapCallback(X[:1], tmp_path / "a"), epochs=1)
    assert capsys.readouterr().out == ""
    segmenter().fit(X, Y, epochs=1, verbose=2, callbacks=[FeatureMapCallback(X[:1], tmp_path / "b")])
    start, _ = [line for line in capsys.readouterr().out.splitlines() if "FeatureMapCallback" in line]
    assert "3 layers" in start and str(tmp_path / "b" / "feature_maps") in start


@pytest.mark.parametrize(
    ("options", "epochs"),
    [({}, 1), ({}, 3), ({"every": 100}, 3), ({"update_freq": "batch"}, 1), ({"update_freq": 2}, 2)],
)
def test_one_line_says_what_a_step_costs(tmp_path, capsys, options, epochs):
    callback = FeatureMapCallback(X[:1], tmp_path, **options)
    segmenter().fit(X, Y, epochs=epochs, batch_size=2, verbose=2, callbacks=[callback])
    (cost,) = [line for line in capsys.readouterr().out.splitlines() if "a step costs" in line]
    pattern = r"\d+ ms in the training thread, \d+ ms behind it and \d\.\d MB; of the time of an epoch that is \d+\.\d% and \d+\.\d%"
    assert re.search(pattern, cost)


def test_a_cost_of_more_than_a_twentieth_of_an_epoch_comes_with_advice():
    def told(captured, recorded, waited, epoch, epochs=10):
        cost = Cost(captured * epochs, round(recorded * epochs), blocked=0.002, behind=0.010, size=1_200_000)
        return cost.told(epochs, waited * epochs, epoch)

    expected = "a step costs 2 ms in the training thread, 10 ms behind it and 1.2 MB; of the time of an epoch that is 1.0% and 5.0%"
    assert told(1, 1, waited=0, epoch=0.2) == expected
    assert told(1, 1, waited=0, epoch=0.19).startswith(expected[:80])
    assert "For less" in told(1, 1, waited=0, epoch=0.19)
    assert "that is 10.0% and 50.0%. For less, log fewer `layers`" in told(100, 100, waited=0, epoch=2)
    assert "that is 6.0% and 3.0%. For less" in told(3, 0.3, waited=0, epoch=0.1)
    waits = told(100, 100, waited=0.8, epoch=2)
    assert waits.startswith("a step costs 10 ms in the training thread, 10 ms behind") and "50.0% and 50.0%" in waits
    assert told(1, 1, waited=0, epoch=0.0) is None, "an epoch of no length has no share"
    assert told(1, 0, waited=0, epoch=1.0) is None, "nothing is known yet"
    without = Cost(1, 1, blocked=1.0, behind=1.0, size=1, images=False).told(1, 0.0, 1.0)
    assert without.endswith("a smaller probe, or fewer steps") and foretold(10**9, 9, 9, images=False).endswith(
        "fewer steps"
    )


def test_the_size_of_a_log_is_told_before_training(tmp_path, capsys):
    def said(epochs, **options):
        callback = FeatureMapCallback(X[:2], tmp_path / str(len(list(tmp_path.iterdir()))), **options)
        stops = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(callback.model, "stop_training", True))
        segmenter().fit(X, Y, batch_size=2, epochs=epochs, verbose=2, callbacks=[callback, stops])
        (line,) = [line for line in capsys.readouterr().out.splitlines() if "feature maps go to" in line]
        size = sum(path.stat().st_size for path in callback._written.files.directory.iterdir())
        return line, size

    line, size = said(200)
    assert float(re.search(r"about (\d+) MB in 200 epochs$", line)[1]) == pytest.approx(201 * size / 2e6, rel=0.3)
    steps = said(200, every=10)[0], said(50, update_freq=2)[0]
    assert all(re.search(r"about \d+ MB in \d+ epochs$", line) for line in steps)
    assert "in 1 epoch" in said(1)[0] and " GB in 9999999 epochs; for less, log fewer `layers`" in said(9_999_999)[0]
    assert "about" not in said(200, every=lambda step: False)[0], "a predicate is not asked in advance"


@pytest.mark.parametrize(
    ("size", "steps", "told"),
    [
        (1_000_000, 3, "about 3 MB"),
        (94_900_000, 10, "about 949 MB"),
        (23_000_000, 51, "about 1.2 GB"),
        (10**9, 30, "about 30 GB"),
    ],
)
def test_sizes_are_told_in_round_numbers(size, steps, told):
    assert foretold(size, steps, 50).startswith(f"{told} in 50 epochs")
    assert ("for less" in foretold(size, steps, 50)) == (size * steps > 2e9)


def test_no_cost_is_told_of_an_epoch_that_never_ended(tmp_path, capsys):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1 and not model.interrupted:
                model.interrupted = True
                callback._recorder.close()  # all of the step is on disk
                raise KeyboardInterrupt

    model = segmenter()
    model.interrupted = False
    callback = FeatureMapCallback(X[:1], tmp_path, update_freq="batch")
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt):
            model.fit(X, Y, batch_size=4, epochs=2, verbose=2, callbacks=[callback, Interrupt()])
    costs = re.findall(r"of the time of an epoch that is ([\d.]+)% and ([\d.]+)%", capsys.readouterr().out)
    assert len(costs) == 1 and all(float(share) < 1000 for share in costs[0])


def test_what_is_said_needs_no_letters_and_no_terminal(tmp_path, monkeypatch):
    letters = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(letters, encoding="ascii"))
    model = segmenter()
    model.fit(X, Y, epochs=1, verbose=2, callbacks=[FeatureMapCallback(X[:1], tmp_path / "Übung")])
    sys.stdout.flush()
    assert b"feature maps go to" in letters.getvalue() and b"\\xdcbung" in letters.getvalue()
    sys.stdout.close()
    say("nobody hears this")


def test_the_table_says_when_a_layer_became_a_mask(tmp_path):
    class Perfect(keras.callbacks.Callback):
        """From the end of epoch 2 on, the head shows its input's mean, which the mask is a threshold of."""

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.get_layer("copy").set_weights([np.full((1, 1, 3, 2), [1 / 3, -1 / 3]), np.zeros(2)])

    inputs = keras.Input((16, 16, 3))
    noise = keras.layers.Conv2D(2, 1, name="copy", kernel_initializer="zeros", trainable=False)(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(1, 1, name="head")(noise))
    model.compile("sgd", "mse")
    callback = FeatureMapCallback(X[:2], tmp_path, masks=MASKS[:2], layers=["copy"])
    assert callback.summary() == "no training has ended yet"
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback, Perfect()])
    (line,) = [line for line in callback.summary().splitlines() if line.startswith("#1 copy")]
    assert re.split(r" {2,}", line)[:7] == ["#1 copy", "2", "2", "0", "0.500", "1.000", "1.000"]
    (text,) = values_at(tmp_path / "feature_maps", 3)["mask_table"].tensor.string_val
    assert "| #1 copy | 2 | 2 | 0 | 0.500 | 1.000 | 1.000 |" in text.decode()
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[without := FeatureMapCallback(X[:2], tmp_path)])
    assert "no masks were given" in without.summary()
