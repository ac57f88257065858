"""The command line on a saved model and a real image file."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from fm_callback.cli import main


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 48, 3)),
            keras.layers.Conv2D(6, 3, name="stem"),
            keras.Sequential([keras.layers.Conv2D(2, 3, name="deep")], name="block"),
        ]
    )
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)).save(path)
    return path


def test_layers_prints_the_table(saved, capsys):
    assert main(["layers", str(saved)]) == 0
    assert capsys.readouterr().out == (
        "#  layer       kind    kernel   bias  output\n"
        "-  ----------  ------  -------  ----  -------\n"
        "1  stem        Conv2D  3×3×3×6  6     30×46×6\n"
        "2  block/deep  Conv2D  3×3×6×2  2     28×44×2\n"
    )


def test_render_writes_one_picture_a_layer(saved, photo, tmp_path, capsys):
    assert main(["render", str(saved), str(photo), "--range", "-1", "1", "-o", str(tmp_path / "maps")]) == 0
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["001_stem.png", "002_block_deep.png"]
    with Image.open(tmp_path / "maps" / "001_stem.png") as picture:
        assert picture.mode == "P" and len(set(picture.get_flattened_data())) > 50
    assert "6 of 6 channels, 30×46" in capsys.readouterr().out


def test_render_takes_numbers_names_and_globs(saved, photo, tmp_path):
    for at, (layers, names) in enumerate(
        [
            ("1", ["001_stem.png"]),
            ("-1", ["002_block_deep.png"]),
            ("stem,block/*", ["001_stem.png", "002_block_deep.png"]),
        ]
    ):
        assert main(["render", str(saved), str(photo), f"--layers={layers}", "-o", str(tmp_path / str(at))]) == 0
        assert sorted(path.name for path in (tmp_path / str(at)).iterdir()) == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["layers", "none.keras"], "no such model: none.keras"),
        (["layers", "{photo}"], "can't be loaded as a Keras model"),
        (["render", "{saved}", "none.jpg"], "none.jpg can't be read as an image"),
        (["render", "{saved}", "{saved}"], "can't be read as an image"),
        (["render", "{saved}", "{photo}", "--layers", "stm"], "no conv layer 'stm'; did you mean 'stem'?"),
        (["render", "{saved}", "{photo}", "--layers", "9"], "no conv layer number 9"),
        (
            ["render", "{saved}", "{photo}", "--channels", "many"],
            "--channels must be a count from 1, or 'all'; received 'many'",
        ),
        (["render", "{saved}", "{photo}", "-o", "{photo}"], "photo.jpg"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(saved, photo, arguments, message, capsys):
    assert main([argument.format(saved=saved, photo=photo) for argument in arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("fm-callback: error: ") and message in errors and "Traceback" not in errors


def test_it_is_installed_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "fm_callback.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "layers" in done.stdout and "render" in done.stdout
