"""What README.md and docs/report.md tell people to run, run."""

import inspect
import re
import shlex
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from support.logs import RunLog

from fm_callback import FeatureMapCallback, cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(kind):
    found = re.findall(rf"^( *)```{kind}\n(.*?)^ *```$", README, re.S | re.M)
    return [textwrap.dedent(text) for _, text in found]


PYTHON = blocks("python")


def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(inputs)
    found = keras.Model(inputs, keras.layers.Conv2D(2, 1, activation="softmax", name="head")(x))
    found.compile("adam", "sparse_categorical_crossentropy")
    return found


@pytest.fixture
def log(tmp_path, monkeypatch):
    """A log as the demo's: 51 layers, of which 43 has the demo's name, twelve epochs."""
    layers = {"dec2_sa_trunk_conv1" if each == 43 else f"conv{each}": (8, 8, 4) for each in range(1, 52)}
    RunLog(tmp_path / "logs", layers, steps=range(13), prediction="labels")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_no_block_that_is_not_run():
    assert len(PYTHON) == 5
    assert [
        index
        for index, words in enumerate(
            ("model.fit(", "samples,  ", "keras_tuner", "FeatureMapExtractor(model)", "open_log(")
        )
        if words in PYTHON[index]
    ] == [0, 1, 2, 3, 4]


def test_the_first_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 16, 16, 3), np.float32), rng.integers(0, 2, (8, 16, 16))
    given = {"model": model(), "x": x, "y": y, "x_held_out": x, "y_held_out": y}
    exec(PYTHON[0], given)
    assert cli.main(["check", "logs"]) == 0
    from fm_callback import open_log

    assert open_log("logs")["feature_maps"].steps == tuple(range(31))


def test_the_callbacks_arguments_are_those_that_are_told():
    told = re.sub(r"^FeatureMapCallback\(", "def told(", PYTHON[1].strip()) + ": pass"
    given = {}
    exec(told, given)
    expected = inspect.signature(FeatureMapCallback)
    found = inspect.signature(given["told"])
    assert [(each.name, each.kind) for each in found.parameters.values()] == [
        (each.name, each.kind) for each in expected.parameters.values() if each.name != "verbose"
    ]
    for name, each in found.parameters.items():
        assert each.default == expected.parameters[name].default, name


def test_a_search_has_a_directory_for_each_trial():
    tuner = pytest.importorskip("keras_tuner")
    given = {"keras_tuner": tuner, "FeatureMapCallback": FeatureMapCallback}
    exec(PYTHON[2], given)
    assert issubclass(given["Tuner"], tuner.Hyperband)


def test_once_after_training():
    given = {"model": model(), "image": np.zeros((1, 16, 16, 3), np.float32)}
    exec(PYTHON[3], given)
    assert given["maps"]["stem"].shape == (1, 16, 16, 4)


def test_the_log_is_read(log):
    given = {}
    exec(PYTHON[4], given)
    assert given["layer"].number == 43


def commands():
    texts = [*blocks(""), (ROOT / "docs" / "report.md").read_text().replace("LOG_DIR", "logs")]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return list(dict.fromkeys(line for line in lines if line.startswith("fm-callback ")))


@pytest.mark.parametrize("line", commands())
def test_commands(line, log):
    model().save("model.keras")
    Image.new("RGB", (16, 16)).save("photo.jpg")
    line = line.replace("--layers 1,5,12 -o maps", "--layers 1,2 -o maps")  # that small model has two
    if " sheet " in line:
        pytest.importorskip("matplotlib")
    assert cli.main(shlex.split(line)[1:]) == 0
