"""Films and sheets of a log, as files that others read. Their colours are tested beside the page's, `browser/test_colours.py`."""

import re
import shutil
import subprocess
import sys
import zlib
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from support.logs import HOSTILE, RunLog

from fm_callback import open_log
from fm_callback.cli import main
from fm_callback.format import NUMBERS
from fm_callback.read.painted import Painter
from fm_callback.read.unknown import UnknownError

STEPS = [0, 1, 2, 5, 9]


@pytest.fixture
def log(tmp_path):
    RunLog(tmp_path / "logs", {"stem": (12, 12, 6), "blocks/strip": (1, 40, 4), HOSTILE: (6, 6, 2)}, steps=STEPS)
    return tmp_path / "logs"


def frames(path):
    with Image.open(path) as film:
        found = []
        for at in range(film.n_frames):
            film.seek(at)
            found.append((np.array(film.convert("RGB")).astype(int), film.info.get("duration")))
        return found


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
@pytest.mark.parametrize("shown", [["--colour"], ["--channel", "4"], []], ids=["colour", "channel", "all"])
def test_a_film_has_a_frame_a_step_and_shows_its_maps(log, tmp_path, kind, shown, capsys):
    path = tmp_path / f"film.{kind}"
    assert main(["film", str(log), "--layer", "1", *shown, "-o", str(path)]) == 0
    assert "5 steps" in capsys.readouterr().out
    found = frames(path)
    assert len(found) == len(STEPS)
    assert found[0][1] == 600 and found[-1][1] == 1600, "milliseconds"
    if not shown:
        return
    painter = Painter(open_log(log)[0]["stem"])
    for (frame, _), step in zip(found, STEPS, strict=True):
        truth = painter.colour(step) if shown == ["--colour"] else painter.channel(step, 4)
        map_ = frame[40 : 40 + 384, -12 - 384 : -12][16::32, 16::32]
        assert np.abs(map_ - truth.astype(int)).max() <= (40 if kind == "gif" else 0), step
    heads = [frame[:38].tobytes() for frame, _ in found]
    assert len(set(heads)) == len(STEPS), "the step and its score are written above"


def test_a_channel_is_gray_from_its_1st_to_its_99th_percentile(log):
    layer = open_log(log)[0]["stem"]
    pixels = layer.pixels(2)[1, ..., 4].astype(float)
    black, white = np.percentile(pixels, [1, 99])
    shown = Painter(layer, 1).channel(2, 4)
    assert np.abs(shown[..., 0] - np.clip((pixels - black) / (white - black), 0, 1) * 255).max() <= 0.5
    assert Painter(layer, 1).channels(2)[4].tolist() == shown.tolist()


def test_what_is_no_signal_is_said(log):
    painter = Painter(open_log(log)[0]["stem"])
    words = [each for each in painter.channels(0) if isinstance(each, str)]
    assert words and set(words) <= {"dead", "flat", "not finite"}


def test_a_score_is_the_separation_with_its_side(tmp_path):
    run = RunLog(tmp_path, {"stem": (8, 8, 4)}, steps=[0])
    auroc = run.numbers(0, "stem")[:, len(NUMBERS)]
    reader = Painter(open_log(tmp_path)[0]["stem"])
    known = reader.run.measures["mask_auroc"]
    side = known.get("sided")
    for channel, value in enumerate(auroc.tolist()):
        told = max(value, 1 - value) if side else value
        dark = " dark" if side and value < 0.5 else ""
        assert reader.score(0, channel) == f"mask AUROC {told:.2f}{dark}"
    best = max(max(each, 1 - each) if side else each for each in auroc.tolist())
    assert reader.score(0).startswith(f"mask AUROC {best:.2f}")


def test_what_is_not_there_is_named(log, tmp_path, capsys):
    for wrong, said in (
        (["--layer", "stm"], "did you mean 'stem'"),
        (["--layer", "1", "--channel", "99"], "has no channel 99"),
        (["--layer", "1", "--image", "7"], "has no image 7"),
        (["--layer", "1", "--steps", "3"], "has no step 3"),
        (["--layer", "1", "-o", "film.avi"], ".gif, .webp, .png, .apng or .mp4"),
    ):
        assert main(["film", str(log), "-o", str(tmp_path / "film.gif"), *wrong]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "film.gif").exists()
    RunLog(log, {"stem": (8, 8, 4)}, steps=[0], name="other")
    assert main(["film", str(log), "--layer", "1"]) == 2
    assert "give --run, one of 'feature_maps', 'other'" in capsys.readouterr().err
    with pytest.raises(UnknownError, match="no image -1"):
        Painter(open_log(log)["other"]["stem"], -1)


def test_an_mp4_is_made_where_ffmpeg_is(log, tmp_path, capsys):
    path = tmp_path / "film.mp4"
    done = main(["film", str(log), "--layer", "1", "--colour", "-o", str(path)])
    if shutil.which("ffmpeg"):
        assert done == 0 and path.read_bytes()[4:8] == b"ftyp"
    else:
        assert done == 2 and "ffmpeg, which is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_a_sheet_of_layers_and_steps(log, tmp_path, kind):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"figure.{kind}"
    assert main(["sheet", str(log), "--steps", "0,2,-1", "-o", str(path)]) == 0
    if kind == "png":
        with Image.open(path) as picture:
            assert picture.width > 1000
            shown = np.array(picture.convert("RGB"))
        truth = Painter(open_log(log)[0]["stem"]).colour(2)
        wanted = {tuple(each) for each in truth.reshape(-1, 3).tolist()}
        assert len(wanted & {tuple(each) for each in shown.reshape(-1, 3).tolist()}) > 0.9 * len(wanted)
    elif kind == "svg":
        tree = ElementTree.parse(path)
        assert len(tree.findall(".//{http://www.w3.org/2000/svg}image")) == 9
        assert not tree.findall(".//{http://www.w3.org/2000/svg}text"), "words are shapes"
        assert not [each for each in tree.iter() if each.tag.endswith("script") or "onerror" in each.attrib]
    else:
        data = path.read_bytes()
        streams = [
            zlib.decompress(each) for each in re.findall(rb"FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", data, re.S)
        ]
        assert b"/FontFile2" in data and b"/Type3" not in data, "the font is inside"
        assert data.count(b"/Subtype /Image") >= 9 and any(b" Tf" in each for each in streams)


def test_a_sheet_says_what_it_needs(log, tmp_path):
    program = """
import sys
for name in ("keras", "tensorboard", "matplotlib"): sys.modules[name] = None
from fm_callback.cli import main
assert main(["film", "logs", "--layer", "1", "-o", "film.gif"]) == 0
sys.exit(main(["sheet", "logs"]))"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "pip install matplotlib" in done.stderr
