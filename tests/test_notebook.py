"""What a notebook shows of logs, runs and layers: escaped, whatever a log says. `browser/test_report.py` opens the frame."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from support.logs import HOSTILE, HOSTILE_RUN, RunLog

import fm_callback
from fm_callback import open_log
from fm_callback.read.painted import Painter


class Parsed(HTMLParser):
    """Its elements, and its texts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def log(tmp_path):
    RunLog(tmp_path / "logs" / HOSTILE_RUN, {"stem": (8, 8, 4), HOSTILE: (6, 6, 8)}, steps=[0, 1, 2, 7])
    return open_log(tmp_path / "logs")


def test_tables_hold_what_there_is_and_no_markup_of_a_log(log):
    run = log[0]
    for shown, words in (
        (log, [run.display_name, "4 steps, 0 to 7", "2"]),
        (run, [f"#2 {HOSTILE}", "Conv2D", "6×6", "8", "best mask AUROC"]),
        (run[HOSTILE], [f"#2 {HOSTILE}: Conv2D, 8 channels of 6×6", "before training", "epoch 7"]),
    ):
        parsed = Parsed(shown._repr_html_())
        assert set(parsed.tags) <= {"p", "table", "thead", "tbody", "tr", "th", "td", "br", "img"}
        assert {name for name, _ in parsed.attributes} <= {"style", "src", "alt"}
        assert set(words) <= set(parsed.texts)


def test_a_score_goes_from_the_first_step_to_the_last(log):
    painter = Painter(log[0]["stem"])
    first, last = (painter.score(step).removeprefix("mask AUROC ") for step in (0, 7))
    assert f"{first} → {last}" in Parsed(log[0]._repr_html_()).texts


def test_a_layer_shows_its_colours(log):
    layer = log[0]["stem"]
    pictures = [
        np.array(Image.open(io.BytesIO(base64.b64decode(each))))
        for each in re.findall('src="data:image/png;base64,([^"]*)"', layer._repr_html_())
    ]
    assert len(pictures) == 4
    for picture, step in zip(pictures, (0, 1, 2, 7), strict=True):
        assert np.array_equal(picture[6::12, 6::12], Painter(layer).colour(step))


def test_damage_is_no_error(tmp_path):
    written = RunLog(tmp_path / "logs", {"stem": (8, 8, 4)}, steps=[0, 1])
    run = open_log(tmp_path / "logs")[0]
    data = bytearray(written.path.read_bytes())
    with run.reader(run.snapshot) as reader:
        data[data.index(reader.maps(0, 0, 0)) + 50] ^= 255
    written.path.write_bytes(data)
    log = open_log(tmp_path / "logs")
    assert "damaged" in Parsed(log[0]["stem"]._repr_html_()).texts
    assert "1 more" not in log[0]._repr_html_() and log._repr_html_()


def test_show_is_a_frame_that_can_touch_nothing_and_says_what_it_left_out(tmp_path):
    RunLog(tmp_path / "logs", {"</script>": (32, 32, 32)}, steps=range(40))
    shown = fm_callback.show(tmp_path / "logs", height=500, max_mb=2)
    text = shown._repr_html_()
    parsed = Parsed(text)
    assert parsed.tags == ["iframe", "p"] and len(text) <= 2e6
    attributes = dict(parsed.attributes)
    assert attributes["sandbox"] == "allow-scripts allow-downloads" and "height: 500px" in attributes["style"]
    assert attributes["srcdoc"].startswith("<!doctype html>") and text.count("</script>") == 0
    assert re.search(r"feature_maps, \d+ steps of 40, so that it fits 2 MB", repr(shown))
    assert parsed.texts[0] in repr(shown)
