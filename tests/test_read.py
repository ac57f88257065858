"""Logs read back: what is written is what is read, also behind damage, while it grows, and when it is hostile."""

import errno
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from support.logs import BEGAN, HOSTILE, HOSTILE_RUN, LABELS, RunLog

import fm_callback
from fm_callback import format, tfrecord
from fm_callback.format import Blobs, DamagedError, LayerStep, to_values
from fm_callback.read.log import Log, open_log
from fm_callback.read.log_file import LogFile
from fm_callback.read.table import Table
from fm_callback.read.walk import Walk
from fm_callback.write import png

LAYERS = {"stem": (8, 8, 4), "block/deep": (4, 4, 16), HOSTILE: (3, 5, 3)}
SMALL = {"a": (2, 2, 2), "b": (1, 3, 4)}


def everything(run):
    """All that can be read of a run, by step: the bytes of each layer's maps, numbers and summaries; None where damaged."""
    found = {}
    now = run.snapshot
    with run.reader(now) as reader:
        for at, step in enumerate(run.steps):
            found[step] = entry = []
            for layer in run.layers:
                for summaries in (False, True):
                    numbers = reader.numbers(at, layer.position, summaries)
                    entry.append(None if numbers is None else numbers.tobytes())
                for image in range(run.probe.stored):
                    try:
                        entry.append(reader.maps(at, layer.position, image))
                    except (DamagedError, KeyError):
                        entry.append(None)
            if run.facts.prediction:
                scores = reader.scores(at)
                entry.append(None if scores is None else scores.tobytes())
                for image in range(run.probe.stored):
                    try:
                        entry.append(reader.prediction(at, image))
                    except DamagedError:
                        entry.append(None)
    return found


def check(directory):
    """All damage that is found when every checksum is looked at."""
    return [damage for path in sorted(directory.glob("*.fmlog")) for damage in LogFile(str(path)).check()]


def test_what_is_written_is_read(tmp_path):
    written = RunLog(tmp_path, LAYERS, steps=range(5))
    run = open_log(tmp_path)["feature_maps"]
    assert run.steps == (0, 1, 2, 3, 4)
    assert [layer.name for layer in run.layers] == list(LAYERS)
    for path, layer in zip(LAYERS, run.layers, strict=True):
        for step in (0, 3):
            pixels = np.moveaxis(written.maps(step, path), 1, -1)
            np.testing.assert_array_equal(layer.pixels(step), pixels)
            numbers = written.numbers(step, path)
            maps = layer.maps(step)
            assert maps.dtype == np.float32 and maps.shape == (2, *LAYERS[path][:2], LAYERS[path][2])
            np.testing.assert_array_equal(maps, to_values(pixels, numbers[:, 0], numbers[:, 1]))
        for column, field in enumerate(layer.fields):
            expected = np.stack([written.numbers(step, path)[:, column] for step in range(5)])
            np.testing.assert_array_equal(layer.numbers(field), expected)
        for column, name in enumerate(layer.facts.summaries):
            expected = np.array([written.summaries(step, path)[column] for step in range(5)])
            np.testing.assert_array_equal(layer.summaries(name), expected)
    assert np.isnan(run["stem"].maps()[..., 3]).all(), "a channel without a finite value"
    np.testing.assert_array_equal(run["stem"].maps(), run["stem"].maps(step=4))


def test_a_run_says_what_it_is(tmp_path):
    written = RunLog(tmp_path, LAYERS, steps=[0, 2], facts={"step_unit": "batch"})
    run = open_log(tmp_path)[0]
    assert (run.name, run.display_name, run.step_unit) == ("feature_maps", "feature_maps", "batch")
    assert run.labels == LABELS
    assert run.model["backend"] == "tensorflow" and run.measures["mask_auroc"]["chance"] == 0.5
    assert (run.wall_time(0), run.wall_time()) == (BEGAN, BEGAN + 20)
    assert (run.probe.count, run.probe.stored, run.probe.scaling) == (2, 2, "[0, 255]")
    np.testing.assert_array_equal(np.stack(run.probe.images), written.pictures())
    np.testing.assert_array_equal(np.stack(run.probe.labels), written.labels())
    assert run.problems == ()
    layer = run["stem"]
    assert (layer.number, layer.kind, layer.shape, layer.channels) == (1, "Conv2D", (8, 8, 8), (0, 1, 2, 3))


def test_a_run_without_masks_or_maps(tmp_path):
    RunLog(tmp_path / "none", {"point": (1, 1, 32)}, masks=False, fields=(), summaries=(), images=0, steps=[0])
    run = open_log(tmp_path)[0]
    assert run.labels == () and run.probe.images == [] and run.problems == ()
    assert run["point"].maps().shape == (0, 1, 1, 32)
    assert list(run.table("layer")) == ["step", "layer"]


def test_tables_have_a_row_for_each_layer_and_channel(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 7])
    run = open_log(tmp_path)[0]
    layers, channels = run.table("layer"), run.table("channel")
    assert list(layers) == ["step", "layer", "mask_auroc_best", "effective_rank"]
    assert layers["step"].tolist() == [0, 0, 7, 7] and layers["layer"].tolist() == ["a", "b", "a", "b"]
    assert layers["mask_auroc_best"][3] == written.summaries(7, "b")[0]
    assert list(channels) == ["step", "layer", "channel", *run["a"].fields]
    assert channels["channel"].tolist() == [0, 1, 0, 1, 2, 3] * 2
    np.testing.assert_array_equal(channels["std"][8:], written.numbers(7, "b")[:, 4])
    with pytest.raises(ValueError, match='of each "channel" or of each "label"; received \'step\''):
        run.table("step")


def test_a_table_can_be_read(tmp_path):
    RunLog(tmp_path, {"stem": (2, 2, 1), "a\x1b[31m\nb": (2, 2, 1)}, steps=range(30))
    run = open_log(tmp_path)[0]
    lines = str(run.table("layer")).splitlines()
    assert lines[0].split() == ["step", "layer", "mask_auroc_best", "effective_rank"]
    assert lines[1].split() == ["0", "stem", "0", "nan"] and lines[2].split()[1] == "a\\x1b[31m\\nb"
    assert lines[11].split() == ["..."] * 4 and lines[-2].split() == ["29", "a\\x1b[31m\\nb", "29.1", "30.1"]
    assert lines[-1] == "60 rows, 4 columns" and len(lines) == 23
    assert len({line.index("0.1") for line in lines[:3] if "0.1" in line}) == 1
    wide = str(Table({f"column {at}": np.zeros(1, np.float32) for at in range(40)}))
    assert max(map(len, wide.splitlines()[:2])) <= 120 and "and the columns column 1" in wide and "1 row, 40" in wide


def test_a_column_that_a_layer_lacks_is_nan(tmp_path):
    written = RunLog(tmp_path, SMALL)
    facts = [json.loads(format.to_json(vars(each))) for each in written.layer_facts()]
    facts[1] |= {"summaries": [], "fields": ["low", "high"]}
    written.start(0, {"layers": facts})
    stored = written.layer_steps(0)
    stored[1] = LayerStep(stored[1].maps, stored[1].numbers[:, :2], stored[1].summaries[:0])
    written.write(0, layers=stored)
    run = open_log(tmp_path)[0]
    assert run.problems == ()
    assert np.isnan(run.table("layer")["mask_auroc_best"]).tolist() == [False, True]
    assert np.isnan(run.table("channel")["std"]).tolist() == [False] * 2 + [True] * 4


def test_predicted_labels_and_their_scores_are_read(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 7], prediction="labels")
    run = open_log(tmp_path)[0]
    assert run.facts.prediction == written.prediction_facts() and run.problems == ()
    values = np.array([0, 1, 2, 3])
    for step in (0, 7):
        positions, labels = written.predicted(step), run.prediction(step)
        assert labels.shape == (2, 16, 8) and (labels[:, 0, 0] == -1).all(), "no label where the output is not a number"
        np.testing.assert_array_equal(labels[positions != 255], values[positions[positions != 255]])
    np.testing.assert_array_equal(run.prediction(), run.prediction(7))
    scores = run.scores
    assert list(scores) == ["step", "image", "label", "iou", "share", "true_share"]
    assert scores["step"].tolist() == [0] * 8 + [7] * 8 and scores["image"].tolist() == ([0] * 4 + [1] * 4) * 2
    assert scores["label"].tolist() == ["background", "pet", "border", "label 3"] * 4
    expected = np.concatenate([written.scores(step).reshape(8, 3) for step in (0, 7)])
    for column, name in enumerate(format.SCORES):
        np.testing.assert_array_equal(scores[name], expected[:, column])
    assert scores.to_pandas().shape == (16, 6)


def test_predicted_classes_are_read(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 7], prediction="class", images=3)
    run = open_log(tmp_path)[0]
    assert run.prediction(0).tolist() == [0, 1, -1] and run.prediction().tolist() == [3, 0, -1]
    scores = run.scores
    assert list(scores) == ["step", "image", "label", "probability"]
    assert scores["label"].tolist() == ["background", "pet", None, "label 3", "background", None]
    np.testing.assert_array_equal(
        scores["probability"], np.concatenate([written.scores(step)[:, 1] for step in (0, 7)])
    )
    with run.reader(run.snapshot) as reader, pytest.raises(KeyError, match="step 0 has no predicted labels"):
        reader.prediction(0, 0)


def test_a_run_or_a_step_without_a_prediction(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0], prediction="labels")
    written.append(format.step_record(1, BEGAN + 1, written.layer_steps(1)))
    written.write(2)
    RunLog(tmp_path / "none", SMALL, steps=[0])
    run, other = open_log(tmp_path).values()
    assert set(run.scores["step"].tolist()) == {0, 2}
    with pytest.raises(KeyError, match="step 1 has no predicted labels"):
        run.prediction(1)
    assert run.prediction(2).shape == (2, 16, 8) and run.problems == () and check(written.directory) == []
    with pytest.raises(KeyError, match="run 'none/feature_maps' has no prediction"):
        other.prediction()
    assert list(other.scores) == ["step", "image", "label", "iou", "share", "true_share"]
    assert all(len(column) == 0 for column in other.scores.values())


def test_a_table_becomes_pandas_or_says_what_is_missing(tmp_path, monkeypatch):
    RunLog(tmp_path, SMALL, steps=[0])
    table = open_log(tmp_path)[0].table("layer")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="needs pandas: `pip install pandas`"):
        table.to_pandas()
    monkeypatch.delitem(sys.modules, "pandas")
    pandas = pytest.importorskip("pandas")
    assert isinstance(table.to_pandas(), pandas.DataFrame)


def test_a_log_of_this_format_stays_readable():
    """Two trainings, the second gone on with from step 2, wrote it when the format was made; it is never written again."""
    folder = Path(__file__).parent / "data" / "format2"
    run, truth = open_log(folder)["feature_maps"], np.load(folder / "truth.npz")
    assert run.steps == (0, 1, 2, 3, 4) and run.problems == () and run.facts.format == 2 and run.step_unit == "epoch"
    assert [each.name for each in run.labels] == ["background", "foreground", "ignored"]
    assert (run.probe.count, run.probe.stored, run.probe.scaling, run.model["name"]) == (2, 2, "[0, 1]", "small")
    assert [picture.shape for picture in run.probe.images] == [(12, 12, 3)] * 2
    np.testing.assert_array_equal(run.probe.labels[0][:, 5], [0, 0, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    assert [each.name for each in run.layers] == list(truth) == ["down", "up"]
    for layer in run.layers:
        low, high = layer.numbers("low")[-1], layer.numbers("high")[-1]
        assert (np.abs(layer.maps() - truth[layer.name]) <= (high - low) / 510 * 1.001 + 1e-6).all()
        np.testing.assert_allclose(layer.numbers("mean")[-1], truth[layer.name].mean((0, 1, 2)), rtol=1e-5)
        assert np.isnan(layer.summaries("cka_previous")[[0, 2]]).all(), "each training's first step"
        assert layer.numbers("mask_auroc").shape == (5, len(layer.channels))
    assert run.facts.prediction is None and len(run.scores["step"]) == 0, "there was none in the format's first days"
    with pytest.raises(KeyError, match="no prediction"):
        run.prediction()


@pytest.mark.parametrize("below", ["", "feature_maps"])
def test_a_log_directory_and_a_runs_own(tmp_path, below):
    RunLog(tmp_path, SMALL, steps=[0])
    for path in (tmp_path / below, str(tmp_path / below), f"{tmp_path / below}/"):
        assert list(open_log(path)) == ["feature_maps"]


def test_many_runs_have_the_names_that_tensorboard_shows(tmp_path):
    for name in ("b", "a", "a/deep", HOSTILE_RUN):
        RunLog(tmp_path / name, SMALL, steps=[0])
    RunLog(tmp_path / "a", SMALL, steps=[0, 1], name="feature_maps_2")
    log = fm_callback.open_log(tmp_path)
    assert list(log) == sorted(
        f"{name}/feature_maps{number}"
        for name, number in [("a", ""), ("a", "_2"), ("a/deep", ""), ("b", ""), (HOSTILE_RUN, "")]
    )
    assert log["a (2)"] is log["a/feature_maps_2"] is log[log["a (2)"].name]
    assert log[-1] is list(log.values())[-1]
    assert len(log) == 5 and "a" in log and "c" not in log


def test_names_of_directories_that_are_no_text(tmp_path):
    RunLog(tmp_path / os.fsdecode(b"caf\xe9"), SMALL, steps=[0])
    (name,) = open_log(tmp_path)
    assert name == "caf\ufffd/feature_maps"
    assert open_log(tmp_path)[name].steps == (0,)


def test_what_is_not_there_is_told_with_what_is(tmp_path):
    RunLog(tmp_path / "logs", {"dec1": (2, 2, 2), "dec2": (2, 2, 2), "top/same": (1, 1, 1)}, steps=[0, 5])
    log = open_log(tmp_path / "logs")
    run = log[0]
    for ask, message in [
        (lambda: log["feature_map"], "no run 'feature_map'; did you mean 'feature_maps'? It has 1: feature_maps"),
        (lambda: log[1], "the log has no run 1"),
        (lambda: run["dek2"], "no layer 'dek2'; did you mean 'dec2'? It has 3: dec1, dec2, top/same"),
        (lambda: run[4], "has no layer 4"),
        (lambda: run[0], "has no layer 0: layers are counted from 1"),
        (lambda: run["dec1"].maps(3), "has no step 3. It has 0, 5"),
        (lambda: run["dec1"].maps(-1), "has no step -1"),
        (lambda: run["dec1"].pixels("last"), "has no step 'last'"),
        (lambda: run["dec1"].numbers("mask_aurok"), "no field 'mask_aurok'; did you mean 'mask_auroc'?"),
        (lambda: run["dec1"].summaries("rank"), "no summary 'rank'"),
        (lambda: run.wall_time(4), "has no step 4"),
    ]:
        with pytest.raises(KeyError) as error:
            ask()
        assert message in str(error.value)
    assert run["same"].path == "top/same"
    assert (run[2].name, run[-1].name) == ("dec2", "top/same")


def test_no_log_at_all_is_an_error(tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "events.out.tfevents.1").touch()
    (tmp_path / "empty").mkdir()
    for path, message in [
        ("nowhere", "does not exist"),
        ("here", "holds no log of feature maps with a whole step. It holds events.out.tfevents.1"),
        ("empty", "It is empty"),
        ("here/events.out.tfevents.1", "is a file, and no directory"),
    ]:
        with pytest.raises(OSError, match=message):
            open_log(tmp_path / path)


def test_a_refresh_finds_new_steps_and_new_runs(tmp_path):
    first = RunLog(tmp_path / "a", SMALL, steps=[0])
    log = open_log(tmp_path)
    run = log[0]
    assert not log.refresh() and not run.refresh()
    first.write(1)
    assert run.refresh() and run.steps == (0, 1) and not log.refresh()
    RunLog(tmp_path / "b", SMALL, steps=[0])
    assert log.refresh() and list(log) == ["a/feature_maps", "b/feature_maps"] and log[0] is run
    other = RunLog(tmp_path / "c", SMALL)
    assert not log.refresh() or "c/feature_maps" not in log
    other.write(0)
    assert log.refresh() and len(log) == 3


def test_deleted_directories_and_files_are_gone_without_an_error(tmp_path):
    written = [RunLog(tmp_path / name, SMALL, steps=[0, 1]) for name in "ab"]
    log = open_log(tmp_path)
    runs = list(log.values())
    shutil.rmtree(written[0].directory)
    assert log.refresh() and list(log) == ["b/feature_maps"]
    with pytest.raises((OSError, KeyError)):
        runs[0]["a"].maps()
    written[1].path.unlink()
    assert log.refresh() and not log
    shutil.rmtree(tmp_path)
    log.refresh()
    assert "there is no directory" in log.problems[0]


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 1, 2])
    log = open_log(tmp_path)
    layer = log[0]["a"]
    content = written.path.read_bytes()
    other = RunLog(tmp_path / "other", {"c": (3, 3, 3)}, steps=[5])
    os.replace(other.path, written.path)
    assert log.refresh()
    assert log["feature_maps"].steps == (5,)
    with pytest.raises(KeyError, match="replaced by another"):
        layer.maps()
    written.path.write_bytes(content[:-1])
    log.refresh()
    assert log["feature_maps"].steps == (0, 1)
    written.path.write_bytes(content[: len(content) // 3])
    log.refresh()
    assert log.get("feature_maps") is None or log["feature_maps"].steps == (0,)


def test_a_file_that_is_written_over_with_the_same_beginning_is_read_anew(tmp_path):
    """As by a training with the same facts, or a copy that was put in the place of a damaged file."""
    written = RunLog(tmp_path, SMALL, steps=[0, 1, 2])
    log = open_log(tmp_path)
    before, content = everything(log[0]), written.path.read_bytes()
    record = written.run_record(0)
    for steps in ([3, 4, 5, 6], [7, 8, 9], [0, 1, 2]):  # more, as many, and the first ones again
        written.path.write_bytes(record)
        for step in steps:
            written.write(step)
        os.utime(written.path, (BEGAN + steps[0], BEGAN + steps[0]))
        log.refresh()
        fresh = open_log(tmp_path)
        assert log[0].steps == tuple(steps) and everything(log[0]) == everything(fresh[0]) and log[0].problems == ()
    assert everything(log[0]) == before
    # The same steps, one map of which was repaired: what was known of its place does not hold.
    changed = bytearray(content)
    changed[-200] ^= 1
    written.path.write_bytes(changed)
    os.utime(written.path, (BEGAN + 100, BEGAN + 100))
    log.refresh()
    assert everything(log[0]) != before
    written.path.write_bytes(content)
    os.utime(written.path, (BEGAN + 200, BEGAN + 200))
    log.refresh()
    assert everything(log[0]) == before and log[0].problems == ()


def test_a_file_to_which_a_step_is_being_added_is_not_taken_for_another(tmp_path):
    """Its time is new before its size is: it looks as if it had been written over."""
    written = RunLog(tmp_path, SMALL, steps=[0])
    log = open_log(tmp_path)
    (file,) = log[0].snapshot.files
    writing = threading.Thread(target=lambda: [written.write(step) for step in range(1, 400)])
    writing.start()
    goes_on = True
    while goes_on:
        goes_on = writing.is_alive()
        if log.refresh():
            assert log[0].snapshot.files == (file,)
    assert log[0].steps == tuple(range(400)) and log[0].problems == ()
    os.utime(written.path)
    assert not log.refresh() and log[0].snapshot.files == (file,)
    os.utime(written.path, (BEGAN, BEGAN))
    assert log.refresh() and log[0].snapshot.files != (file,), "nothing has come since: it was written over"


def _failing(monkeypatch, path, error):
    """The system refuses to open a file."""
    real = os.open

    def refuse(name, *arguments, **named):
        if os.fspath(name) == os.fspath(path):
            raise OSError(error, os.strerror(error), name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse)


def test_a_network_that_has_hiccups_costs_nothing_that_is_known(tmp_path, monkeypatch):
    written = RunLog(tmp_path, SMALL, steps=[0, 1])
    log = open_log(tmp_path)
    before = everything(log[0])
    written.write(2)
    with monkeypatch.context() as broken:
        _failing(broken, written.path, errno.EIO)
        log.refresh()
        assert log[0].steps == (0, 1)
        assert log[0].problems == (f"{written.path} can't be read: Input/output error",)
    log.refresh()
    found = everything(log[0])
    assert log[0].problems == () and {step: found[step] for step in (0, 1)} == before and 2 in found


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    written = RunLog(tmp_path, SMALL, steps=[0, 1])
    _failing(monkeypatch, written.path, errno.EACCES)
    told = f"{written.path} can't be read: Permission denied"
    with pytest.raises(OSError, match=re.escape(f"no log of feature maps with a whole step; feature_maps: {told}.")):
        open_log(tmp_path)
    RunLog(tmp_path, SMALL, steps=[1])
    run = open_log(tmp_path)[0]
    assert run.steps == (1,) and run.problems == (told,)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs a user that may become another")
def test_what_belongs_to_another_user_is_named(tmp_path):
    """With the rights that a system has in earnest."""
    RunLog(tmp_path / "mine", SMALL, steps=[0])
    file = RunLog(tmp_path / "file", SMALL, steps=[0]).path
    folder = RunLog(tmp_path / "folder", SMALL, steps=[0]).directory
    os.chmod(file, 0)
    os.chmod(folder, 0)
    log = Log(tmp_path)
    ways = (tmp_path.parent.parent, tmp_path.parent, tmp_path)
    modes = [path.stat().st_mode for path in ways]
    reads, writes = os.pipe()
    try:
        for path in ways:
            os.chmod(path, 0o755)
        if not (child := os.fork()):
            os.setuid(65534)
            log.refresh()
            os.write(writes, "\n".join([*log, *log.problems]).encode())
            os._exit(0)
        os.waitpid(child, 0)
    finally:
        for path, mode in zip(ways, modes, strict=True):
            os.chmod(path, mode)
    assert os.read(reads, 10**5).decode().splitlines() == [
        "mine/feature_maps",
        f"file/feature_maps: {file} can't be read: Permission denied",
        f"{folder} can't be read: Permission denied",
    ]


def test_a_training_that_goes_on_takes_the_place_of_later_steps(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 1, 2, 3])
    first = written.path
    log = open_log(tmp_path)
    run = log[0]
    written.start(2)
    assert not log.refresh() or run.steps == (0, 1, 2, 3), "a file without a whole step does not count"
    whole = written.step_record(2, wall_time=1.0)
    written.append(whole[:-1])
    log.refresh()
    assert run.steps == (0, 1, 2, 3)
    written.append(whole[-1:])
    assert log.refresh() and run.steps == (0, 1, 2) and run.wall_time(2) == 1.0
    assert len(set(run.snapshot.versions)) == 2
    written.write(3)
    log.refresh()
    assert run.steps == (0, 1, 2, 3) and run.problems == ()
    os.rename(first, first.with_name("zz.not.a.stamp.fmlog"))  # stamps are in front
    assert open_log(tmp_path)[0].steps == (0, 1, 2, 3)


def test_files_are_in_the_order_of_their_stamps_as_numbers(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 1])
    written.path.rename(written.directory / "9.host.1.0.fmlog")
    written.start(1)
    written.write(1, wall_time=1.0)
    written.path.rename(written.directory / "10.host.1.0.fmlog")
    run = open_log(tmp_path)[0]
    assert run.steps == (0, 1) and run.wall_time(1) == 1.0


def test_a_file_of_another_model_decides_alone_and_is_told(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 1])
    written.layers = {"c": (2, 2, 2)}
    written.start(0)
    log = open_log(tmp_path)
    assert [layer.name for layer in log[0].layers] == ["a", "b"]
    written.write(0)
    log.refresh()
    run = log[0]
    assert run.steps == (0,) and [layer.name for layer in run.layers] == ["c"]
    assert "2 steps of" in run.problems[0] and "of another model" in run.problems[0]


def test_two_layers_of_one_name_stay_apart(tmp_path):
    RunLog(tmp_path, SMALL, layer={"name": "same", "path": "same"}, steps=[0])
    run = open_log(tmp_path)[0]
    assert [layer.name for layer in run.layers] == ["same", "same~2"]
    assert run["same~2"].maps().shape == (2, 1, 3, 4)


def test_a_newer_format_is_read_as_far_as_it_is_understood(tmp_path):
    RunLog(tmp_path / "newer", SMALL, steps=[0], facts={"format": 3, "dreams": {"of": "later"}}, layer={"dream": 1})
    RunLog(tmp_path / "changed", SMALL, steps=[0], facts={"format": 3}, lacking=["rows"])
    log = open_log(tmp_path)
    assert log["newer"].facts.format == 3 and log["newer"]["a"].maps().shape == (2, 2, 2, 2)
    assert log["changed"].layers == () and log["changed"].steps == (0,)
    assert all("newer format" in problem for problem in log["changed"].problems)


@pytest.mark.parametrize(
    "changed",
    [
        {"kernel": {"size": [3, 3]}},
        {"kernel": 3},
        {"kernel": ["3", "3"]},
        {"activation": {"name": "relu"}},
        {"activation": []},
        {"slice": [1, 2]},
        {"number": 0.0},
        {"number": -1},
        {"number": 10**400},
        {"fields": "low"},
        {"fields": {"low": 0}},
        {"fields": ["low", "low"]},
        {"summaries": "rank"},
        {"shape": [8, 0, 8]},
        {"shape": {}},
        {"map": [2]},
        {"map": [2**30, 2**30]},
        {"channels": "0123"},
        {"channels": [0, 0]},
        {"channels": [True]},
        {"channels": []},
        {"rows": 0},
        {"cells": {"edges": None}},
        {"cells": []},
        {"planar": "yes"},
        {"name": 7},
    ],
    ids=str,
)
def test_facts_of_a_layer_that_are_not_understood_cost_that_layer(tmp_path, changed):
    RunLog(tmp_path, {"stem": (8, 8, 2)}, steps=[0], layer=changed)
    run = open_log(tmp_path)[0]
    assert run.layers == () and len(run.problems) == 1
    assert "layer 'stem' can't be shown" in run.problems[0]
    with pytest.raises(KeyError, match=r"can't be shown|has no layer"):
        run["stem"]


@pytest.mark.parametrize(
    "changed",
    [
        {"labels": [{"name": 1}]},
        {"labels": [{"name": "a", "colour": "red;}"}]},
        {"labels": [{"name": "a", "colour": []}]},
        {"labels": [{"name": "a", "foreground": {}}]},
        {"labels": [{"name": "a", "value": "1"}]},
        {"labels": 7},
        {"probe": {"pictures": 5}},
        {"probe": {"images": 0}},
        {"probe": {"scaling": []}},
        {"probe": []},
        {"measures": [1]},
        {"measures": {"low": 7}},
        {"model": "pets"},
        {"step_unit": 5},
        {"images": "maybe"},
        {"prediction": 5},
        {"prediction": {}},
        {"prediction": {"kind": [], "labels": []}},
    ],
    ids=str,
)
def test_other_facts_that_are_not_understood_cost_no_step(tmp_path, changed):
    RunLog(tmp_path, SMALL, steps=[0, 1], facts=changed)
    run = open_log(tmp_path)[0]
    assert run.steps == (0, 1) and run["a"].numbers("std").shape == (2, 2)


PREDICTION = {"kind": "labels", "labels": [{"name": "a"}, {"name": "b"}], "truth": [0, 1, -1], "size": [16, 8]}


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "dream"},
        {"kind": "class"},
        {"kind": []},
        {"labels": []},
        {"labels": {"a": 1}},
        {"labels": [{"name": "a"}] * 256},
        {"labels": [{"name": 1}]},
        {"labels": [{"name": "a", "colour": "red;}"}, {"name": "b"}]},
        {"truth": [0, 1]},
        {"truth": [0, 2, -1]},
        {"truth": [0, -2, 1]},
        {"truth": [0, True, 1]},
        {"truth": "01"},
        {"size": [16]},
        {"size": [16, 0]},
        {"size": [2**20, 2**20]},
        {"size": [10**400, 1]},
        {"size": ["16", "8"]},
        {"output": 7},
    ],
    ids=str,
)
def test_a_prediction_that_is_not_understood_costs_itself_alone(tmp_path, changed):
    RunLog(tmp_path, SMALL, steps=[0, 1], facts={"prediction": PREDICTION | changed})
    run = open_log(tmp_path)[0]
    assert run.facts.prediction is None and run.problems == ()
    assert run.steps == (0, 1) and run["a"].numbers("std").shape == (2, 2) and run["a"].maps().shape == (2, 2, 2, 2)
    RunLog(tmp_path / "sound", SMALL, steps=[0], facts={"prediction": PREDICTION})
    assert open_log(tmp_path / "sound")[0].facts.prediction.size == (16, 8)


def test_scores_of_more_images_than_a_blob_holds_are_not_read(tmp_path):
    probe = {"images": 2**31 - 1, "stored": 2}
    RunLog(tmp_path, SMALL, steps=[0], facts={"prediction": PREDICTION, "probe": probe})
    assert open_log(tmp_path)[0].facts.prediction is None


@pytest.mark.parametrize(
    "changed", [{"first_step": -1}, {"first_step": 10**400}, {"first_step": None}, {"layers": {}}], ids=str
)
def test_facts_without_which_nothing_can_be_read_are_told(tmp_path, changed):
    RunLog(tmp_path, SMALL, steps=[0], facts=changed)
    with pytest.raises(OSError, match="no log of feature maps with a whole step; feature_maps: the file can't be read"):
        open_log(tmp_path)


# What is damaged


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A small run of four steps, where its records begin, and all that is read of it."""
    path = tmp_path_factory.mktemp("sound")
    written = RunLog(path, SMALL, steps=[0, 1, 2, 3], prediction="labels")
    content = written.path.read_bytes()
    starts = [len(written.run_record(0))]
    for step in range(4):
        starts.append(starts[-1] + len(written.step_record(step)))
    return written, content, starts, everything(open_log(path)[0])


def test_a_flipped_bit_anywhere_in_a_step_costs_that_step_at_most_and_is_told(sound, tmp_path):
    written, content, starts, all_of_it = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    for at in range(starts[2], starts[3]):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        run = open_log(tmp_path)[0]
        found = everything(run)
        assert {step: found.get(step) for step in (0, 1, 3)} == {step: all_of_it[step] for step in (0, 1, 3)}, at
        whole = [
            None if read is None or read == was else at
            for read, was in zip(found.get(2, []), all_of_it[2], strict=False)
        ]
        assert not any(whole), f"byte {at}: something else was read"
        if found.get(2) != all_of_it[2]:
            assert any(text in run.problems[0] for text in ("step 2", "between step 1 and step 3")), (at, run.problems)
        damages = check(path.parent)
        assert len(damages) >= 1 and all(starts[2] <= damage.offset <= at for damage in damages), (at, damages)
        assert any(text in damages[0].what for text in ("step 2", "between step 1 and step 3")), damages


def test_a_flipped_bit_in_the_run_record_costs_no_step_unless_it_is_in_the_head(sound, tmp_path):
    written, content, starts, all_of_it = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    (length,) = struct.unpack_from("<I", content, tfrecord.BEFORE + 4)
    head = range(tfrecord.BEFORE, tfrecord.BEFORE + format.PREFIX + length)
    for at in (*range(0, 40), *range(40, starts[0], 29), *range(starts[0] - 4, starts[0])):
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        assert check(path.parent), at
        log = Log(tmp_path)
        log.refresh()
        if at in head:
            assert not log
        else:
            assert everything(log[0]) == all_of_it, at


@pytest.mark.parametrize("step", [0, 2, 3])
def test_a_cut_anywhere_leaves_the_steps_before_it(sound, tmp_path, step):
    written, content, starts, all_of_it = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    for end in range(starts[step], starts[step + 1], 1 if step == 2 else 9):
        path.write_bytes(content[:end])
        log = Log(tmp_path)
        log.refresh()
        if step:
            assert everything(log[0]) == {at: all_of_it[at] for at in range(step)}
            assert log[0].problems == (), "a step that is not whole is nothing to tell of"
        else:
            assert not log
        assert not check(path.parent)


@pytest.mark.parametrize("more", [1, 2])
def test_whole_steps_behind_a_cut_one_are_read(sound, tmp_path, more):
    """As of a disk that was full for a moment."""
    written, content, starts, all_of_it = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    behind = [2, 3][:more]
    for end in range(starts[1] + 1, starts[2], 5):
        path.write_bytes(content[:end])
        log = Log(tmp_path)
        log.refresh()
        path.write_bytes(content[:end] + content[starts[2] : starts[2 + more]])
        log.refresh()
        again = open_log(tmp_path)
        for run in (log[0], again[0]):
            found = everything(run)
            assert {at: found.get(at) for at in (0, *behind)} == {at: all_of_it[at] for at in (0, *behind)}, end
            assert 1 not in found and len(run.problems) == 1, (end, run.problems)
            assert "between step 0 and step 2" in run.problems[0], run.problems
        assert [damage.offset for damage in check(path.parent)] == [starts[1]]


def test_a_damaged_last_step_does_not_count_until_it_is_whole(sound, tmp_path):
    written, content, _, all_of_it = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    changed = bytearray(content)
    changed[-100] ^= 1
    path.write_bytes(changed)
    log = open_log(tmp_path)
    assert log[0].steps == (0, 1, 2) and "the last record after step 2 is damaged" in log[0].problems[0]
    path.write_bytes(content)
    assert log.refresh() and everything(log[0]) == all_of_it and log[0].problems == ()
    path.write_bytes(changed)
    log = open_log(tmp_path)
    with open(path, "ab") as file:
        file.write(written.step_record(4))
    log.refresh()
    assert log[0].steps == (0, 1, 2, 4) and "between step 2 and step 4" in log[0].problems[0]


@pytest.mark.parametrize("more", [1, 11, 12, 100])
def test_a_damaged_last_step_is_told_also_with_a_beginning_behind_it(sound, tmp_path, more):
    written, content, _, all_of_it = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    changed = bytearray(content)
    changed[-100] ^= 1
    behind = written.step_record(4)
    path.write_bytes(changed + behind[:more])
    log = open_log(tmp_path)
    assert log[0].steps == (0, 1, 2) and len(check(path.parent)) == 1
    path.write_bytes(changed + behind)
    log.refresh()
    for run in (log[0], open_log(tmp_path)[0]):
        found = everything(run)
        assert {step: found[step] for step in (0, 1, 2)} == {step: all_of_it[step] for step in (0, 1, 2)}
        assert 4 in found and (3 not in found or None in found[3])


def test_a_flipped_bit_in_a_run_records_head_is_told_with_what_is_lost(sound, tmp_path):
    """Also where another file of the run says the same."""
    written, content, _, all_of_it = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    changed = bytearray(content)
    changed[60] ^= 1
    path.write_bytes(changed)
    lost = "the file can't be read: the head of a record is damaged; 4 steps, 0 to 3, are lost with its run record"
    with pytest.raises(FileNotFoundError, match=f"{lost}.* put a copy of the file in its place.*{path.name}"):
        open_log(tmp_path)
    (tmp_path / "feature_maps" / "1999999999.host.1.0.fmlog").write_bytes(content)
    run = open_log(tmp_path)[0]
    assert everything(run) == all_of_it
    assert len(run.problems) == 1 and lost in run.problems[0] and path.name in run.problems[0]
    assert [(each.offset, each.what[: len(lost)]) for each in check(path.parent)] == [(0, lost)]


def test_what_is_verified_is_told_before_anybody_meets_it(sound, tmp_path):
    written, content, _, _ = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    changed = bytearray(content)
    changed[content.index(written.layer_steps(2)[1].maps[1]) + 20] ^= 1
    changed[content.index(b"IDAT") + 10] ^= 1  # in the first picture of the probe
    path.write_bytes(changed)
    log = open_log(tmp_path)
    assert log[0].problems == ()
    read = []
    while piece := log.verify(1):
        read.append(piece)
    assert len(read) == 5 and sum(read) == len(content), "a record at a time: of the run, and of four steps"
    run = log[0]
    assert run.problems == (
        "the run record: the pictures of the probe, image 1 of 2, are damaged: the checksum is wrong",
        "step 2: the maps of layer 'b', image 2 of 2, are damaged: the checksum is wrong",
    )
    everything(run)
    with pytest.raises(DamagedError):
        run.probe.images  # noqa: B018
    assert len(run.problems) == 2, "what is met then is known"
    before = log[0].problems
    with open(path, "ab") as file:
        file.write(written.step_record(4))
    log.refresh()
    assert log.verify(2**20) == len(written.step_record(4)) and log[0].problems == before


def test_zeros_at_the_end_are_told(sound, tmp_path):
    written, content, _, all_of_it = sound
    path = tmp_path / "feature_maps" / written.path.name
    path.parent.mkdir()
    path.write_bytes(content + bytes(5000))
    run = open_log(tmp_path)[0]
    assert everything(run) == all_of_it and "the last 5,000 bytes after step 3 are damaged" in run.problems[0]
    assert len(check(path.parent)) == 1


def test_damage_that_is_met_costs_that_picture(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0])
    stored = written.layer_steps(1)
    stored[0] = LayerStep([b"no picture", *stored[0].maps[1:]], stored[0].numbers, stored[0].summaries)
    written.write(1, layers=stored)
    run = open_log(tmp_path)[0]
    what = "step 1: the maps of layer 'a', image 1 of 2, are damaged: a stored picture is no 8-bit PNG"
    with pytest.warns(UserWarning) as told:
        maps = run["a"].maps(1)
    assert [str(each.message) for each in told] == [f"run 'feature_maps', {what}; its values are NaN"]
    assert told[0].filename == __file__, "at the line of who asked"
    assert np.isnan(maps[0]).all() and np.isfinite(maps[1]).all()
    with pytest.raises(DamagedError, match=what):
        run["a"].pixels(1)
    assert run["a"].maps(0).shape == (2, 2, 2, 2) and run["b"].maps(1).shape == (2, 1, 3, 4)
    assert run["a"].numbers("std").shape == (2, 2)
    assert len(run.problems) == 1


def record(head, blobs=()):
    packed = Blobs()
    packed.add_all(blobs)
    return format.pack_record(head, packed)


def framed(length):
    frame = struct.pack("<Q", length)
    return frame + tfrecord.checksum(frame)


@pytest.mark.parametrize(
    "between",
    [
        framed(2**60) + b"x" * 100,
        framed(2**60) + format.MAGIC + b"\xff" * 8,
        framed(10) + b"x" * 14,
        tfrecord.pack(b""),
        tfrecord.pack(struct.pack("<4sI4s", format.MAGIC, 2**31, b"1234") + b"x" * 100),
        tfrecord.pack(struct.pack("<4sI4s", format.MAGIC, format.MOST_HEAD, b"1234")),
        format.MAGIC * 1000,
        record([1, 2]),
        record({"kind": "step"}),
        record({"kind": "step", "step": -1, "wall_time": 0, "layers": [0, 0, 0]}),
        record({"kind": "step", "step": 10**400, "wall_time": 0, "layers": [0, 0, 0]}),
        record({"kind": "step", "step": 2.0, "wall_time": 0, "layers": [0, 0, 0]}),
        record({"kind": "step", "step": 2, "wall_time": 10**400, "layers": [0, 0, 0]}),
        record({"kind": "step", "step": 2, "wall_time": float("nan"), "layers": [0, 0, 0]}),
        tfrecord.pack(struct.pack("<4sI4s", format.MAGIC, 10**5, tfrecord.checksum(b"[" * 10**5)), b"[" * 10**5),
    ],
    ids=range(15),
)
def test_what_is_no_step_is_passed_over(tmp_path, between):
    written = RunLog(tmp_path, SMALL, steps=[0])
    written.append(between)
    written.write(5)
    run = open_log(tmp_path)[0]
    assert run.steps == (0, 5) and "between step 0 and step 5" in run.problems[0]
    assert run["a"].maps().shape == (2, 2, 2, 2)


def test_records_of_unknown_kinds_are_passed_over(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0])
    written.append(record({"kind": "dream", "step": 3}, [b"of later"]))
    written.write(5)
    run = open_log(tmp_path)[0]
    assert run.steps == (0, 5) and run.problems == () and not check(written.directory)


@pytest.mark.parametrize(
    "layers",
    [
        None,
        [2**60, 2**60, 0],
        [-5, 10, 0],
        [0, 2, "a"],
        [0, 2**24 + 1, 0],
        b"{}",
        b"[]",
        b"[1, 2]",
        b"[" * 2000,
        b"nonsense",
        b"[" + b"{}," * format.MOST_OBJECTS + b"{}]",
        b'[{"numbers":[0,1,2,3]},{"maps":5}]',
        b'[{"numbers":[0,4611686018427387904,1],"maps":[[0,1e999,0],null,[]]},{"summaries":{}}]',
    ],
    ids=range(13),
)
def test_a_step_with_impossible_references_is_damaged(tmp_path, layers):
    written = RunLog(tmp_path, SMALL, steps=[0])
    blobs = Blobs()
    reference = blobs.add(layers) if isinstance(layers, bytes) else layers
    written.append(format.pack_record({"kind": "step", "step": 1, "wall_time": 1.0, "layers": reference}, blobs))
    written.write(2)
    run = open_log(tmp_path)[0]
    assert np.isnan(run["a"].numbers("std")).all(axis=1).tolist() == [False, True, False]
    assert np.isnan(run.table("layer")["mask_auroc_best"]).tolist() == [False] * 2 + [True] * 2 + [False] * 2
    with pytest.raises((DamagedError, KeyError)):
        assert run["a"].maps(1).shape[0] == 2
    assert run.problems and check(written.directory)


@pytest.mark.parametrize(
    "prediction",
    [
        [2**60, 2**60, 0],
        [0, 2**24 + 1, 0],
        5,
        b"5",
        b"{}",
        b"[" * 2000,
        b"nonsense",
        b'{"maps":5,"scores":[0,96,0]}',
        b'{"maps":[[0,10,0],null,5],"scores":[0,95,0]}',
        b'{"maps":[[0,4611686018427387904,1]],"scores":[0,1e999,0]}',
    ],
    ids=range(10),
)
def test_a_damaged_prediction_costs_the_prediction_alone(tmp_path, prediction):
    written = RunLog(tmp_path, SMALL, steps=[0], prediction="labels")
    (data,) = tfrecord.records(io.BytesIO(written.step_record(1)))
    head = format.read_head(data)
    blobs = Blobs()
    blobs.add(data[format.PREFIX + format.head_length(data) :])
    head["prediction"] = blobs.add(prediction) if isinstance(prediction, bytes) else prediction
    written.append(format.pack_record(head, blobs))
    written.write(2)
    run = open_log(tmp_path)[0]
    with pytest.raises(DamagedError, match="step 1: the predicted labels are damaged"):
        run.prediction(1)
    assert set(run.scores["step"].tolist()) == {0, 2} and run.prediction(2).shape == (2, 16, 8)
    np.testing.assert_array_equal(run["a"].pixels(1), np.moveaxis(written.maps(1, "a"), 1, -1))
    assert not np.isnan(run["a"].numbers("std")).all(axis=1).any()
    assert any("step 1" in problem for problem in run.problems)
    assert [damage for damage in check(written.directory) if "prediction" in damage.what]


def bomb(width, height, depth=8, kind=0, data=None):
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    content = zlib.compress(bytes(10**7)) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "picture",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        bomb(60_000, 60_000),
        bomb(2**31 - 1, 1),
        bomb(2, 2, depth=16),
        bomb(2, 2, kind=2),
        bomb(2, 2, depth=1),
        png.encode(np.zeros((2, 3), np.uint8)),
        b"BM" + bytes(100),
    ],
    ids=range(9),
)
def test_a_picture_that_is_not_of_its_layer_is_never_decoded(tmp_path, picture):
    written = RunLog(tmp_path, {"a": (2, 2, 1)})
    (stored,) = written.layer_steps(0)
    written.write(0, layers=[LayerStep([picture, *stored.maps[1:]], stored.numbers, stored.summaries)])
    layer = open_log(tmp_path)[0]["a"]
    with pytest.raises(DamagedError, match="a stored"):
        layer.pixels()


@pytest.mark.parametrize(
    "picture",
    [b"", bomb(60_000, 60_000), bomb(16, 8), bomb(8, 16, kind=2), bomb(8, 16, depth=16), bomb(8, 16, data=b"nothing")],
    ids=range(6),
)
def test_a_predicted_picture_that_is_none_is_not_decoded(tmp_path, picture):
    written = RunLog(tmp_path, SMALL, prediction="labels")
    written.append(
        format.step_record(0, BEGAN, written.layer_steps(0), format.PredictionStep([picture], written.scores(0)))
    )
    run = open_log(tmp_path)[0]
    with pytest.raises(DamagedError, match="a stored p"):
        run.prediction()
    assert len(run.scores["step"]) == 8


@pytest.mark.parametrize("kind", ["labels", "class"])
def test_what_is_predicted_outside_of_all_labels_is_none(tmp_path, kind):
    written = RunLog(tmp_path, SMALL, prediction=kind)
    wild = np.array([[7, np.nan], [-np.inf, 0.5]], np.float32) if kind == "class" else written.scores(0)
    maps = [png.encode(np.full((16, 8), 200, np.uint8))] if kind == "labels" else []
    written.append(format.step_record(0, BEGAN, written.layer_steps(0), format.PredictionStep(maps, wild)))
    run = open_log(tmp_path)[0]
    assert (run.prediction() == -1).all()
    assert len(run.scores["label"]) == (2 if kind == "class" else 8)


def test_a_picture_that_holds_more_than_it_says_is_decoded_to_its_size(tmp_path):
    written = RunLog(tmp_path, {"a": (2, 2, 1)})
    (stored,) = written.layer_steps(0)
    for step, picture in enumerate([bomb(2, 2), bomb(2, 2, data=zlib.compress(b"\0")), bomb(2, 2, data=b"nothing")]):
        written.write(step, layers=[LayerStep([picture, *stored.maps[1:]], stored.numbers, stored.summaries)])
    layer = open_log(tmp_path)[0]["a"]
    assert layer.pixels(0).shape == (2, 2, 2, 1)
    for step in (1, 2):
        with pytest.raises(DamagedError, match="can't be decoded"):
            layer.pixels(step)


def test_a_probe_that_is_a_bomb_is_not_decoded(tmp_path):
    written = RunLog(tmp_path, SMALL)
    blobs = Blobs()
    references = blobs.add_all([bomb(60_000, 60_000), bomb(4, 4, depth=16), bomb(4, 4, kind=2)])
    head = {"kind": "run", **vars(format.RunFacts(0, tuple(written.layer_facts())))}
    head |= {
        "layers": [vars(each) for each in head["layers"]],
        "probe": {"pictures": references, "labels": references[2:]},
    }
    written.path.write_bytes(format.pack_record(head, blobs))
    written.write(0)
    run = open_log(tmp_path)[0]
    for kind, image in [("picture", 0), ("picture", 1), ("label", 0)]:
        with run.reader(run.snapshot) as reader, pytest.raises(DamagedError):
            reader.probe(kind, image)
    assert len(run.problems) == 3


@pytest.mark.parametrize(
    ("axes", "slice_axis", "plane"),
    [((40,), None, (1, 40)), ((6, 8), None, (6, 8)), ((6, 8, 3), 2, (6, 8)), ((6, 8, 3), 0, (8, 3)), ((), None, None)],
)
def test_a_picture_of_the_probe_has_the_size_of_its_samples(tmp_path, axes, slice_axis, plane):
    written = RunLog(tmp_path, SMALL)
    blobs = Blobs()
    sizes = [plane or (5, 5), (7, 9)]
    references = blobs.add_all(png.encode(np.zeros(size, np.uint8)) for size in sizes)
    head = {"kind": "run", **vars(format.RunFacts(0, tuple(written.layer_facts())))}
    head["layers"] = [vars(each) for each in head["layers"]]
    head["probe"] = {"axes": axes, "slice_axis": slice_axis, "labels": references, "pictures": references}
    written.path.write_bytes(format.pack_record(head, blobs))
    written.write(0)
    run = open_log(tmp_path)[0]
    assert run.probe.facts.plane == plane
    with run.reader(run.snapshot) as reader:
        for kind in ("picture", "label"):
            assert reader.probe(kind, 0)
            with pytest.raises(DamagedError, match="has not the size of the samples") if plane else nullcontext():
                reader.probe(kind, 1)


def test_a_file_made_to_be_searched_for_ever_is_given_up(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0])
    good = RunLog(tmp_path / "good", SMALL, steps=[0])
    nested = b"".join(
        framed(10**7 - 24 * at) + format.MAGIC + struct.pack("<I", 2**20) + b"abcd" for at in range(20_000)
    )
    written.append(b"x" + nested + bytes(2**20))
    log = open_log(tmp_path)
    assert log["feature_maps"].steps == (0,) and log["good"].steps == (0,)
    assert "damaged" in log["feature_maps"].problems[0]
    assert good.path.exists()


# Where it looks


def test_links_are_not_followed_and_those_that_lead_out_are_told(tmp_path):
    secret = RunLog(tmp_path / "secret", SMALL, steps=[0])
    RunLog(tmp_path / "logs" / "a", SMALL, steps=[0])
    (tmp_path / "logs" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "logs" / "loop").symlink_to(tmp_path / "logs")
    (tmp_path / "logs" / "again").symlink_to(tmp_path / "logs" / "a")
    (tmp_path / "logs" / "nowhere").symlink_to(tmp_path / "none")
    (tmp_path / "logs" / "a" / "out.fmlog").symlink_to(secret.path)
    log = open_log(tmp_path / "logs")
    assert list(log) == ["a/feature_maps"]
    assert len(log.problems) == 2
    assert log.problems[0].startswith("a/out.fmlog is a link that leads out of the log directory")
    assert "--logdir_spec" in log.problems[1]
    (tmp_path / "opened").symlink_to(tmp_path / "logs")
    assert list(open_log(tmp_path / "opened")) == ["a/feature_maps"], "what is opened may be a link"


def test_a_file_that_becomes_a_link_is_not_read(tmp_path):
    secret = RunLog(tmp_path / "secret", SMALL, steps=[0, 1, 2])
    written = RunLog(tmp_path / "logs", SMALL, steps=[0])
    log = open_log(tmp_path / "logs")
    run = log[0]
    written.path.unlink()
    written.path.symlink_to(secret.path)
    with pytest.raises(OSError):
        run["a"].maps(0)
    run.refresh()
    assert run.steps == ()
    written.path.unlink()
    written.directory.rmdir()
    written.directory.symlink_to(secret.directory)
    run.refresh()
    assert run.steps == ()


def test_pipes_devices_and_directories_are_no_logs(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0])
    os.mkfifo(written.directory / "1.pipe.1.0.fmlog")
    (written.directory / "2.directory.1.0.fmlog").mkdir()
    log = open_log(tmp_path)
    assert log[0].steps == (0,)
    written.path.unlink()
    os.mkfifo(written.path)
    with pytest.raises(OSError):
        log[0]["a"].maps()
    log.refresh()
    assert not log


def test_a_walk_lists_only_what_was_changed(tmp_path, monkeypatch):
    RunLog(tmp_path / "a", SMALL, steps=[0])
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for path in (
        tmp_path,
        tmp_path / "a",
        tmp_path / "a" / "feature_maps",
        tmp_path / "data",
        tmp_path / "data" / "deep",
    ):
        os.utime(path, (1, 1))
    walk, listed = Walk(tmp_path), []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    first = walk()
    assert len(listed) == 5
    assert walk() == first and len(listed) == 5
    RunLog(tmp_path / "data", SMALL, steps=[0])
    assert len(walk()) == 2
    assert {os.path.basename(path) for path in listed[5:]} == {"data", "feature_maps"}
    listed.clear()
    walk()
    assert len(listed) == 2, "what was changed just now is not trusted"
    listed.clear()
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    walk()
    assert len(listed) == 6, "after a while nothing is"


# While it grows

WRITER = """
import sys, time
path, source = sys.argv[1:]
content = open(source, "rb").read()
with open(path, "ab", buffering=0) as file:
    for at in range(0, len(content), 97):
        file.write(content[at : at + 97])
        time.sleep(0.0005)
"""


def test_a_growing_log_is_never_read_in_half(tmp_path):
    whole = RunLog(tmp_path / "source", SMALL, steps=range(60))
    expected = everything(open_log(tmp_path / "source")[0])
    path = tmp_path / "logs" / "feature_maps" / whole.path.name
    path.parent.mkdir(parents=True)
    path.touch()
    log, seen, looks = Log(tmp_path / "logs"), [], 0
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path, whole.path])
    try:
        while writer.poll() is None or looks < 1000:
            looks += 1
            log.refresh()
            for run in log.values():
                assert run.steps == tuple(range(len(run.steps)))
                seen.append(len(run.steps))
                assert everything(run)[run.steps[-1]] == expected[run.steps[-1]]
                assert run.problems == ()
    finally:
        writer.wait(60)
    log.refresh()
    assert everything(log[0]) == expected
    assert seen == sorted(seen) and len(set(seen)) > 20, "it was read while it grew"


def test_who_reads_while_others_refresh_reads_one_state(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 1])
    log = open_log(tmp_path)
    run, failures, done = log[0], [], threading.Event()

    def read():
        while not done.is_set():
            try:
                assert run["a"].numbers("low").shape[1] == 2
                assert run["a"].maps(0).shape == (2, 2, 2, 2)
                assert log["feature_maps"] is run
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for step in range(2, 60):
        written.write(step)
        log.refresh()
    done.set()
    for thread in threads:
        thread.join()
    assert not failures and run.steps == tuple(range(60))


def test_the_reader_loads_neither_keras_nor_tensorboard():
    code = (
        "import sys, fm_callback; fm_callback.open_log; import fm_callback.read.answers; "
        "print([name for name in ('keras', 'tensorflow', 'jax', 'torch', 'tensorboard', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_of_holes_is_not_searched_to_its_end(tmp_path):
    """Terabytes that are not there, behind two good steps; the run beside it must not wait for them."""
    log = RunLog(tmp_path / "holes", SMALL, steps=[0, 1])
    RunLog(tmp_path / "sound", SMALL, steps=[0, 1, 2])
    os.truncate(log.path, 2**43)
    found = open_log(tmp_path)
    assert found["sound"].steps == (0, 1, 2) and found["holes"].steps == (0, 1)


def test_heads_of_records_that_nobody_knows_are_not_kept(tmp_path):
    log = RunLog(tmp_path, SMALL, steps=[0])
    head = {"kind": "x", "a": [[]] * 200_000}
    for _ in range(20):
        log.append(format.pack_record(head, Blobs()))
    log.write(1)
    tracemalloc.start()
    assert open_log(tmp_path)[0].steps == (0, 1)
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def test_a_log_directory_that_is_a_link_may_be_turned(tmp_path):
    for name, steps in (("one", [0]), ("two", [0, 1])):
        RunLog(tmp_path / name, SMALL, steps=steps)
    (tmp_path / "current").symlink_to(tmp_path / "one")
    log = open_log(tmp_path / "current")
    assert log[0].steps == (0,)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(tmp_path / "two")
    assert log.refresh() and log[0].steps == (0, 1)
