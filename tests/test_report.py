"""Reports: what is in the file, and that a log's texts are never markup. `browser/test_report_page.py` opens them."""

import gzip
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from support.logs import HOSTILE, HOSTILE_RUN, RunLog

from fm_callback import open_log
from fm_callback.cli import main
from fm_callback.read import choose
from fm_callback.read.answers import Answers
from fm_callback.read.pack import to_units
from fm_callback.read.report import write_report
from fm_callback.read.unknown import UnknownError

MARK = "\ue000"


def unpacked(path):
    """What a report holds by key, read after what `pack` and `report` say of it, and with none of their code."""
    text = path.read_bytes().decode("utf-16")
    blocks = [
        b"".join(
            (ord(each[-1]) ^ (0x8000 if len(each) == 2 else 0)).to_bytes(2, "little")
            for each in re.findall(f"{MARK}.|[^{MARK}]", found, re.S)
        )
        for found in re.findall(r'<script type="text/plain" data-as="units">([^<]*)</script>', text)
    ]
    length = int.from_bytes(blocks[-1][:4], "little")
    index = json.loads(gzip.decompress(blocks[-1][4 : 4 + length]))

    def at(place):
        block, offset, length, packed = place
        data = blocks[block][offset : offset + length]
        return gzip.decompress(data) if packed else data

    return {tuple(key.split("\0")): at(place) for key, place in index["held"]}, json.loads(at(index["page"])), text


def test_it_holds_what_the_page_may_ask(tmp_path):
    RunLog(tmp_path / "logs", {"stem": (8, 8, 4), "head": (8, 8, 2)}, steps=[0, 1, 5], prediction="labels")
    log = open_log(tmp_path / "logs")
    made = write_report(log, tmp_path / "report.html")
    held, _, _ = unpacked(tmp_path / "report.html")
    answers, run = Answers(log), "feature_maps"
    for layer in ("stem", "head"):
        assert held["numbers", run, layer, ""] == answers.numbers(run, [layer])
        for step in (0, 1, 5):
            for image in (0, 1):
                assert held["maps", run, layer, str(step), str(image)] == answers.maps(run, layer, step, image)[0]
                assert held["prediction", run, str(step), str(image)] == answers.prediction(run, step, image)[0]
    for kind in ("picture", "label"):
        assert held["probe", run, kind, "1"] == answers.probe(run, kind, 1)[0]
    assert held["summaries", run, ""] == answers.summaries(run)
    assert held["scores", run, ""] == answers.scores(run)
    told, expected = json.loads(held["runs",]), json.loads(answers.runs()[0])
    assert told["layouts"] == expected["layouts"] and told["measures"] == expected["measures"]
    assert told["runs"] == [{**expected["runs"][0], "wall": 0, "pace": None}]
    pictures = [png for key, png in held.items() if key[0] in ("maps", "prediction", "probe")]
    assert made.pictures == sum(map(len, pictures)) and len(pictures) == 12 + 6 + 4


def test_every_module_of_the_page_stands_behind_those_that_it_imports(tmp_path):
    RunLog(tmp_path / "logs", {"stem": (8, 8, 4)}, steps=[0])
    write_report(open_log(tmp_path / "logs"), tmp_path / "report.html")
    seen = set()
    for path, text in unpacked(tmp_path / "report.html")[1]:
        code = re.sub(r"/\*.*?\*/|^\s*//.*$", "", text, flags=re.S | re.M)
        assert not re.search(r"""\b(from|import)\s*["']\.""", code), path
        assert set(re.findall(r'"page:([^"]+)"', text)) <= seen, path
        seen.add(path)
    assert {"report.js", "main.js", "draw/worker.js", "style/theme.css", "vendor/gifenc.js"} <= seen
    assert "tensorboard.js" not in seen


def test_layers_and_steps_are_chosen_and_a_run_without_them_is_left_out(tmp_path):
    RunLog(tmp_path / "logs" / "a", {"stem": (8, 8, 4), "head": (8, 8, 2)}, steps=[0, 1, 5])
    RunLog(tmp_path / "logs" / "b", {"stem": (8, 8, 4)}, steps=[0, 1])
    log = open_log(tmp_path / "logs")
    made = write_report(log, tmp_path / "report.html", layers="he*", steps="0,-1")
    held, _, _ = unpacked(tmp_path / "report.html")
    assert {key[1] for key in held if len(key) > 1} == {"a/feature_maps"} == set(made.steps)
    told = json.loads(held["runs",])
    assert [[each["layer"] for each in layout] for layout in told["layouts"]] == [["head"]]
    assert told["runs"][0]["steps"][0]["steps"] == [0, 5] == made.steps["a/feature_maps"][0]
    assert {key[2:4] for key in held if key[0] == "maps"} == {("head", "0"), ("head", "5")}
    write_report(log, tmp_path / "report.html", layers=[1])
    assert {key[1] for key in unpacked(tmp_path / "report.html")[0] if key[0] == "maps"} == set(log)
    with pytest.raises(UnknownError, match="did you mean 'stem'"):
        write_report(log, tmp_path / "report.html", layers="stm")
    with pytest.raises(UnknownError, match="no step 7"):
        write_report(log, tmp_path / "report.html", steps="7")
    with pytest.raises(ValueError, match="received 'x'"):
        write_report(log, tmp_path / "report.html", steps="0,x")


def test_a_bound_leaves_out_steps_at_equal_ratios_and_says_so(tmp_path, capsys):
    RunLog(tmp_path / "logs", {"stem": (64, 64, 32)}, steps=range(60))
    path = tmp_path / "report.html"
    assert main(["report", str(tmp_path / "logs"), "-o", str(path), "--max-mb", "2"]) == 0
    said = capsys.readouterr().out
    told = json.loads(unpacked(path)[0]["runs",])["runs"][0]["steps"][0]["steps"]
    assert path.stat().st_size <= 2e6
    assert f"feature_maps: {len(told)} of 60 steps, so that it fits 2 MB: {', '.join(map(str, told))}" in said
    assert told == choose.geometric(range(60), len(told)) and told[:2] == [0, 1] and told[-1] == 59
    assert main(["report", str(tmp_path / "logs"), "-o", str(path), "--max-mb", "0.1"]) == 2
    assert "choose fewer layers or runs" in capsys.readouterr().err


def test_it_is_hardly_longer_than_its_pictures(tmp_path):
    RunLog(tmp_path / "logs", {"stem": (64, 64, 32), "down": (64, 64, 32)}, steps=range(20))
    made = write_report(open_log(tmp_path / "logs"), tmp_path / "report.html")
    assert made.pictures > 1e7
    assert (tmp_path / "report.html").stat().st_size < 1.08 * made.pictures


def test_nothing_of_a_log_is_markup(tmp_path):
    RunLog(tmp_path / "plain", {"stem": (8, 8, 4)}, steps=[0])
    RunLog(tmp_path / "odd" / HOSTILE_RUN, {"</script><script>x": (8, 8, 4), HOSTILE: (8, 8, 8)}, steps=[0])
    shells = []
    for name in ("plain", "odd"):
        write_report(open_log(tmp_path / name), tmp_path / "report.html")
        _, _, text = unpacked(tmp_path / "report.html")
        shells.append(re.sub(r'(<script type="text/plain" data-as="units">)[^<]*(</script>\n)', r"\1\2", text))
    assert shells[0] == shells[1], "but for the blocks, which hold no '<', all reports are alike"


def test_units_of_every_kind():
    units = np.arange(65536, dtype="<u2")
    text = to_units(units.tobytes())
    assert not set(text) & {"<", "\r", "\0"}
    text.encode("utf-16-le")  # no halves of characters
    escaped = re.findall(f"{MARK}(.)", text)
    assert len(escaped) == 2048 + 4 and len(text) == 65536 + len(escaped)


def test_a_damaged_picture_is_left_out_and_told(tmp_path):
    log = RunLog(tmp_path / "logs", {"stem": (8, 8, 4)}, steps=[0, 1])
    data = bytearray(log.path.read_bytes())
    run = open_log(tmp_path / "logs")["feature_maps"]
    with run.reader(run.snapshot) as reader:
        at = data.index(reader.maps(0, 0, 1)) + 50
    data[at] ^= 255
    log.path.write_bytes(data)
    write_report(open_log(tmp_path / "logs"), tmp_path / "report.html")
    held, _, _ = unpacked(tmp_path / "report.html")
    assert len([key for key in held if key[0] == "maps"]) == 3
    assert "damaged" in json.loads(held["runs",])["runs"][0]["problems"][0]


def test_the_command_needs_neither_keras_nor_tensorboard(tmp_path):
    RunLog(tmp_path / "logs", {"stem": (8, 8, 4)}, steps=[0])
    program = """
import sys
for name in ("keras", "tensorflow", "tensorboard", "matplotlib"): sys.modules[name] = None
from fm_callback.cli import main
sys.exit(main(["report", "logs", "-o", "report.html"]))"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("report.html: ")
