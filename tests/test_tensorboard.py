"""The real TensorBoard on a log that a real `fit` wrote, on both of its reading paths."""

import io
from urllib.parse import quote

import keras
import numpy as np
import pytest
from PIL import Image
from reading import tensorboard

from fm_callback import FeatureMapCallback
from fm_callback.format import RunFacts, run_record
from fm_callback.write import event_copies, grid, png
from fm_callback.write.run_files import new_run

LAYERS = ["down", "odd.name>1", "head"]
BY_HAND = "by_hand/feature_maps"
HOSTILE = 'a"b\\c\td <b>&amp;</b> #?%/é' + "x" * 300
X = np.random.default_rng(0).random((4, 16, 16, 3)).astype("float32")


def model():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((16, 16, 3)), *(keras.layers.Conv2D(4, 3, name=name) for name in LAYERS)]
    model = keras.Sequential(layers)
    model.compile("adam", "mse")
    return model


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory):
    """Three epochs, gone on with from the second, then another run of one epoch in the same directory."""
    path = tmp_path_factory.mktemp("logs")
    y = np.zeros((4, 10, 10, 4))
    resumed = model()
    callbacks = [FeatureMapCallback(X[:1], path), keras.callbacks.TensorBoard(path)]
    resumed.fit(X, y, epochs=2, verbose=0, callbacks=callbacks)
    saved = resumed.get_weights()
    resumed.fit(X, y, epochs=3, initial_epoch=2, verbose=0, callbacks=callbacks)
    resumed.set_weights(saved)  # as after a crash
    resumed.fit(X, y, epochs=4, initial_epoch=2, verbose=0, callbacks=[FeatureMapCallback(X[:1], path)])
    model().fit(X, y, epochs=1, verbose=0, callbacks=[FeatureMapCallback(X[:1], path)])
    # TensorFlow has no such layer names, JAX and PyTorch have: this record is made by hand.
    (tag,) = event_copies.tags([HOSTILE])
    maps = np.zeros((1, 4, 4), np.uint8)
    one_tile = grid.picture(maps, np.zeros((1, 7), np.float32), (0,), 1, 1)  # of 64 pixels
    picture = png.encode(one_tile, grid.PALETTE)
    facts = RunFacts(0, ())
    files = new_run(path / "by_hand", 0)
    files.write(0, run_record(facts), [event_copies.image_value(tag, picture, (10, 10), "")])
    files.close()
    return path


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "slow"])
def test_the_images_tab_lists_every_layer_and_every_step_once(log_dir, fast):
    with tensorboard(log_dir, fast) as board:
        expected = {f"feature_maps/#{number} {name}" for number, name in enumerate(LAYERS, 1)}
        tags = board.wait_for(
            "/data/plugin/images/tags", lambda found: {"feature_maps", "feature_maps_2", BY_HAND} <= found.keys()
        )
        hostile = {"feature_maps/" + event_copies.tags([HOSTILE])[0]}
        runs = {"feature_maps": expected, "feature_maps_2": expected, BY_HAND: hostile}
        assert {run: set(found) for run, found in tags.items()} == runs
        descriptions = [
            entry["description"] for tag in ("feature_maps", "feature_maps_2") for entry in tags[tag].values()
        ]
        assert all("Layer #" in each and "<h" not in each for each in descriptions), "Markdown, but no heading"
        for run, steps in (("feature_maps", [0, 1, 2, 3, 4]), ("feature_maps_2", [0, 1]), (BY_HAND, [0])):
            for tag in runs[run]:
                path = f"/data/plugin/images/images?run={quote(run, safe='')}&tag={quote(tag, safe='')}&sample=0"
                found = board.wait_for(path, lambda entries, steps=steps: len(entries) >= len(steps))
                assert [entry["step"] for entry in found] == steps, (run, tag)
                with Image.open(
                    io.BytesIO(board.get(f"/data/plugin/images/individualImage?{found[0]['query']}"))
                ) as image:
                    assert image.mode == "P" and min(image.size) >= 70
