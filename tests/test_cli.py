"""The command line on a saved model and a real image file."""

import errno
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import ExifTags, Image
from support.logs import BEGAN, RunLog

from fm_callback.cli import _image, main


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
        assert picture.mode == "P" and len(np.unique(np.array(picture))) > 50
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


def received(image, channels):
    """What a model of the image's size and so many channels is given of a file: (height, width, channels), 0 to 255."""
    model = keras.Sequential([keras.Input((4, 6, channels)), keras.layers.Conv2D(1, 1)])
    return _image(str(image), model, 0.0, 255.0)[0]


def test_an_image_of_16_bits_keeps_its_grays(tmp_path):
    values = np.linspace(0, 65535, 24).reshape(4, 6).astype("uint16")
    Image.fromarray(values).save(tmp_path / "deep.png")
    for channels in (1, 3, 4):
        pixels = received(tmp_path / "deep.png", channels)
        assert pixels.shape == (4, 6, channels)
        for channel in range(min(channels, 3)):
            np.testing.assert_allclose(pixels[..., channel], values / 257, atol=1e-3)
        assert (pixels[..., 3:] == 255).all()


def test_an_image_that_lies_on_its_side_is_set_upright(tmp_path):
    upright = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    lying = Image.fromarray(np.rot90(upright))
    exif = lying.getexif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned clockwise by a quarter
    lying.save(tmp_path / "lying.png", exif=exif)
    np.testing.assert_array_equal(received(tmp_path / "lying.png", 3), upright)


OWN = """
import keras

class Own(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.conv = keras.layers.Conv2D(2, 1, name="inside")

    def call(self, inputs):
        return keras.ops.relu(self.conv(inputs))
"""


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """A folder to stand in, with a module of one's own; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_layers.py").write_text(OWN)
    yield tmp_path
    sys.modules.pop("own_layers", None)


def test_a_layer_of_ones_own_needs_its_module(in_a_folder, capsys):
    namespace = {"__name__": "somewhere_else"}
    exec(OWN, namespace)
    keras.Sequential([keras.Input((8, 8, 3)), namespace["Own"](name="own")]).save("own.keras")
    assert main(["layers", "own.keras"]) == 2
    assert capsys.readouterr().err == (
        "fm-callback: error: own.keras can't be loaded as a Keras model: Could not locate class 'Own'. "
        "Give --import MODULE, the module that has it\n"
    )
    assert main(["layers", "own.keras", "--import", "own_layers"]) == 0
    assert "own/inside" in capsys.readouterr().out
    assert main(["layers", "own.keras", "--import", "own_layer"]) == 2
    assert "error: --import own_layer: ModuleNotFoundError: No module named 'own_layer'\n" in capsys.readouterr().err


def test_a_lambda_layer_needs_trust(in_a_folder, capsys):
    doubled = keras.layers.Lambda(lambda values: values * 2)
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 1, name="conv"), doubled]).save("lambda.keras")
    assert main(["layers", "lambda.keras"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "`Lambda` layer" in said and said.endswith("if you trust that, give --unsafe")
    assert main(["layers", "lambda.keras", "--unsafe"]) == 0
    assert "conv" in capsys.readouterr().out


def test_a_size_that_the_model_does_not_take_is_told_with_one_that_it_may(in_a_folder, capsys):
    image = keras.Input((None, None, 3))
    first = keras.layers.Conv2D(4, 3, padding="same", name="first")(image)
    halved = keras.layers.UpSampling2D()(keras.layers.MaxPooling2D()(first))
    keras.Model(image, keras.layers.Concatenate(name="join")([halved, first]), name="unet").save("unet.keras")
    Image.new("RGB", (301, 199)).save("photo.png")
    assert main(["render", "unet.keras", "photo.png", "-o", "maps"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("fm-callback: error: model 'unet' can't take the image at 199×301 (layer 'join': ")
    assert said.endswith("; give a size that it takes, such as --size 192x288")
    assert main(["render", "unet.keras", "photo.png", "-o", "maps", "--size", "192x288"]) == 0
    assert "001_first.png  4 of 4 channels, 192×288" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["render", "{saved}", "{photo}", "--size", "32"], "--size must be a height and a width, such as 224x320"),
        (["render", "{saved}", "{photo}", "--size", "0x32"], "--size must be a height and a width, such as 224x320"),
        (["render", "{saved}", "{photo}", "--size", "32x32"], "--size 32x32 is not that of model"),
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
        (["render", "{saved}", "{photo}", "--channels", "²"], "--channels must be a count from 1, or 'all'"),
        (["render", "{saved}", "{photo}", "--range", "nan", "1"], "two different finite numbers; received nan 1"),
        (["render", "{saved}", "{photo}", "--range", "0", "inf"], "two different finite numbers; received 0 inf"),
        (["render", "{saved}", "{photo}", "--range", "1", "1"], "two different finite numbers; received 1 1"),
        (["render", "{saved}", "{photo}", "-o", "{photo}"], "-o must be a directory, and {photo} is a file"),
        (["render", "{saved}", "{photo}", "-o", "{photo}/maps"], "error: {photo}/maps: Not a directory"),
        (["ls", "nowhere"], "the log directory nowhere does not exist"),
        (["ls", "{photo}"], "{photo} is a file, and no directory"),
        (["ls", "{folder}"], "{folder} holds no log of feature maps with a whole step. It holds photo.jpg"),
        (["check", "nowhere"], "no such log directory or file: nowhere"),
        (["check", "{folder}"], "{folder} holds no log of feature maps"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(saved, photo, arguments, message, capsys):
    names = {"saved": saved, "photo": photo, "folder": photo.parent}
    assert main([argument.format(**names) for argument in arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("fm-callback: error: ") and "Traceback" not in errors
    assert message.format(**names) in errors


@pytest.fixture
def logs(tmp_path):
    RunLog(tmp_path / "logs" / "seed1", {"stem": (8, 8, 4), "head": (4, 4, 2)}, steps=[0, 1, 5])
    RunLog(tmp_path / "logs" / "evil\x1b[31m", {"stem": (8, 8, 4)}, steps=[0])
    return tmp_path / "logs"


def test_ls_lists_the_runs(logs, capsys, monkeypatch):
    assert main(["ls", str(logs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "steps", "layers", "size", "newest", "step"]
    assert lines[2].startswith("evil\\x1b[31m  1 (0) "), "what a terminal would obey is spelled out"
    assert lines[3].startswith("seed1         3 (0 to 5)  2       0.0 MB  2025-11-27 ")
    assert main(["ls", str(logs), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)[1]
    assert listed.pop("bytes") > 1000
    assert listed == {
        "run": "seed1/feature_maps",
        "name": "seed1",
        "steps": [0, 1, 5],
        "step_unit": "epoch",
        "layers": ["stem", "head"],
        "wall_time": BEGAN + 50,
        "problems": [],
    }


def test_check_says_what_is_damaged_and_where(logs, capsys):
    assert main(["check", str(logs)]) == 0
    assert capsys.readouterr().out == "2 files, 4 records: all sound\n"
    (path,) = (logs / "seed1" / "feature_maps").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    assert main(["check", str(logs)]) == 0, "as a training leaves it that was killed"
    assert "bytes at the end are not a whole record: passed over" in capsys.readouterr().out
    changed = bytearray(content)
    map_of = RunLog(logs.parent / "same", {"stem": (8, 8, 4), "head": (4, 4, 2)}).layer_steps(0)[0].maps[1]
    start = content.index(map_of)
    changed[start + 40] ^= 1
    path.write_bytes(changed)
    assert main(["check", str(logs)]) == 1
    out = capsys.readouterr().out
    what = "step 0: the maps of layer 'stem', image 2 of 2, are damaged: the checksum is wrong"
    assert out == f"{path}: byte {start:,}: {what}\n2 files, 4 records: damaged places: 1\n"


def test_check_names_what_it_may_not_read_and_looks_at_the_rest(logs, capsys, monkeypatch):
    (path,) = (logs / "seed1" / "feature_maps").iterdir()
    real = os.open

    def refuse(name, *arguments, **named):
        if name == str(path):
            raise PermissionError(errno.EACCES, "Permission denied", name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse)
    assert main(["check", str(logs)]) == 2
    told = f"{path}: can't be read: Permission denied\n2 files, 1 record: nothing damaged in what could be read\n"
    assert capsys.readouterr().out == told


def test_logs_are_looked_at_without_keras(logs):
    code = (
        "import sys; from fm_callback.cli import main; "
        f"main(['ls', {str(logs)!r}]); main(['check', {str(logs)!r}]); "
        "print([name for name in ('keras', 'tensorflow', 'jax', 'torch', 'tensorboard') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_findings_in_words_and_for_programs(logs, capsys):
    assert main(["findings", str(logs)]) == 0
    out = capsys.readouterr().out
    assert "  alarm: non_finite: Since step 0, channel 2 of #1 stem" in out and "    people then try: " in out
    assert main(["findings", str(logs), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() == {"format", "runs"} and answer["format"] == 1
    for run in answer["runs"]:
        assert run.keys() == {"run", "name", "step_unit", "step", "findings"}
        for each in run["findings"]:
            assert list(each) == [
                "kind", "severity", "text", "layer", "channel", "step", "evidence", "advice", "link",
            ]  # fmt: skip
    assert answer["runs"][0]["findings"][0]["kind"] == "non_finite"


def test_findings_of_what_is_no_log_are_an_error(tmp_path, capsys):
    assert main(["findings", str(tmp_path)]) == 2
    assert "holds no log of feature maps" in capsys.readouterr().err


def test_it_is_installed_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "fm_callback.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert "layers" in done.stdout and "render" in done.stdout
