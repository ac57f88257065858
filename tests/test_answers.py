"""What the page asks, answered over real logs: as the contract says, bounded, and whatever a log holds."""

import contextlib
import io
import json
import math
import os
import random
import re
import resource
import struct
import time

import numpy as np
import pytest
from PIL import Image
from support.logs import BEGAN, HOSTILE, LABELS, RunLog

from fm_callback import format, tfrecord
from fm_callback.format import Blobs, Label, LayerStep
from fm_callback.read import answers
from fm_callback.read.answers import Answers, BadQuestionError, NothingThereError
from fm_callback.read.log import Log
from fm_callback.scores.measures import described

LAYERS = {"stem": (8, 8, 4), "block/deep": (4, 4, 16), HOSTILE: (3, 5, 3)}
SMALL = {"a": (2, 2, 2), "b": (1, 3, 4)}
RUN = "seed0/feature_maps"


def asked(path):
    """Answers over a log directory as it is now."""
    log = Log(path)
    log.refresh()
    return Answers(log)


def strictly(content):
    """JSON as browsers read it."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(content, parse_constant=refuse)


def frames(content):
    (length,) = struct.unpack_from("<I", content)
    return strictly(content[4 : 4 + length]), content[4 + length :]


@pytest.fixture
def written(tmp_path):
    return RunLog(tmp_path / "seed0", LAYERS, steps=[0, 1, 2])


@pytest.fixture
def found(written, tmp_path):
    return asked(tmp_path)


def test_runs_say_all_that_is_the_same_at_every_step(found):
    answer = strictly(found.runs()[0])
    assert (answer["format"], answer["problems"]) == (2, [])
    assert answer["measures"] == described()
    (run,) = answer["runs"]
    (version,) = [part.pop("v") for part in run["steps"]]
    assert re.fullmatch("[0-9a-f]+", version)
    assert run == {
        "run": RUN,
        "name": "seed0",
        "layout": 0,
        "step_unit": "epoch",
        "format": 2,
        "steps": [{"steps": [0, 1, 2]}],
        "wall": BEGAN + 20,
        "pace": 10,
        "probe": {
            "images": 2,
            "stored": 2,
            "scaling": "[0, 255]",
            "plane": None,
            "slice_axis": None,
            "slices": [],
            "pictures": 2,
            "labels": 2,
        },
        "labels": [vars(label) for label in LABELS],
        "prediction": None,
        "model": {"name": "pets", "class": "Functional", "parameters": 1234, "backend": "tensorflow", "versions": {}},
        "problems": [],
    }
    (layers,) = answer["layouts"]
    assert [layer["layer"] for layer in layers] == list(LAYERS)
    fields = [*format.NUMBERS, "mask_auroc"]
    assert layers[1] == {
        "layer": "block/deep", "path": "block/deep", "kind": "Conv2D", "number": 2, "kernel": [3, 3], "activation": None,
        "shape": [4, 4, 32], "map": [4, 4], "planar": True, "slice": None, "slice_axis": None, "slices": [], "prefix": 0, "trainable": None, "period": 0, "dilation": 1, "order": None, "channels": list(range(16)), "rows": 4, "columns": 4,
        "fields": fields, "summaries": ["mask_auroc_best", "effective_rank"], "cells": {"foreground": 20, "background": 44}, "images": {},
    }  # fmt: skip


def test_runs_are_told_apart_by_their_tag_and_unchanged_ones_are_not_made_again(written, tmp_path):
    log = Log(tmp_path)
    log.refresh()
    found = Answers(log)
    first = found.runs()
    assert found.runs()[0] is first[0]
    log.refresh()
    assert found.runs() == first
    written.write(3)
    log.refresh()
    second = found.runs()
    assert second[1] != first[1] and strictly(second[0])["runs"][0]["steps"][0]["steps"] == [0, 1, 2, 3]
    assert asked(tmp_path).runs() == second, "another server says the same"


def test_runs_of_the_same_layers_share_their_description(tmp_path):
    for name in "abc":
        RunLog(tmp_path / name, SMALL, steps=[0])
    RunLog(tmp_path / "b2", LAYERS, steps=[0])
    answer = strictly(asked(tmp_path).runs()[0])
    assert [run["layout"] for run in answer["runs"]] == [0, 0, 1, 0] and len(answer["layouts"]) == 2
    assert all(run["pace"] is None for run in answer["runs"])


def test_steps_of_several_files_have_versions_of_their_own(written, tmp_path):
    written.start(2)
    written.write(2)
    written.write(3)
    (run,) = strictly(asked(tmp_path).runs()[0])["runs"]
    assert [part["steps"] for part in run["steps"]] == [[0, 1], [2, 3]]
    old, new = (part["v"] for part in run["steps"])
    found = asked(tmp_path)
    assert found.maps(RUN, "stem", 1, 0, old)[1] and not found.maps(RUN, "stem", 2, 0, old)[1]
    assert found.maps(RUN, "stem", 2, 0, new)[1] and not found.maps(RUN, "stem", 2, 0, None)[1]
    assert found.bundle(RUN, ["stem"], [0, 1], 0, old)[1] and not found.bundle(RUN, ["stem"], [0, 2], 0, old)[1]
    assert found.probe(RUN, "picture", 0, new)[1] and not found.probe(RUN, "picture", 0, "k")[1]


def test_layers_that_cannot_be_shown_are_named_with_the_reason(tmp_path):
    RunLog(tmp_path, {"stem": (8, 8, 2)}, steps=[0], facts={"format": 3}, lacking=["rows"])
    found = asked(tmp_path)
    answer = strictly(found.runs()[0])
    (layer,) = answer["layouts"][0]
    assert answer["runs"][0]["format"] == 3
    assert layer == {"layer": "stem", "path": "stem", "problem": "a newer format that this version can't show"}
    with pytest.raises(NothingThereError, match="newer format"):
        found.maps("feature_maps", "stem", 0, 0)
    heads, rest = frames(found.summaries("feature_maps"))
    assert (heads, rest) == ({"steps": [0], "layers": [], "more": False}, b"")


def test_the_servers_own_words_win_and_those_of_a_newer_version_are_passed_on(tmp_path):
    told = {
        "low": {"label": "lies"},
        "novelty": {"label": "how new", "kind": "score", "says": 5, "chance": math.nan, "x": 1},
    }
    RunLog(tmp_path, SMALL, steps=[0], facts={"measures": told})
    measures = strictly(asked(tmp_path).runs()[0])["measures"]
    assert measures == described() | {"novelty": {"label": "how new", "kind": "score"}}


def test_numbers_are_the_history_of_each_layer(written, found):
    heads, rest = frames(found.numbers(RUN, ["block/deep", "stem"]))
    assert heads == [
        {"layer": "block/deep", "steps": [0, 1, 2], "shape": [16, 8], "more": False},
        {"layer": "stem", "steps": [0, 1, 2], "shape": [4, 8], "more": False},
    ]
    expected = [written.numbers(step, layer).ravel() for layer in ("block/deep", "stem") for step in range(3)]
    np.testing.assert_array_equal(np.frombuffer(rest, "<f4"), np.concatenate(expected))
    heads, rest = frames(found.numbers(RUN, ["stem"], after=1))
    assert heads[0]["steps"] == [2] and len(rest) == 4 * 4 * 8
    assert frames(found.numbers(RUN, ["stem"], after=2)) == (
        [{"layer": "stem", "steps": [], "shape": [4, 8], "more": False}],
        b"",
    )


def test_what_does_not_fit_an_answer_is_asked_for_again(tmp_path, monkeypatch):
    written = RunLog(tmp_path, SMALL, steps=range(10))
    found = asked(tmp_path)
    whole = frames(found.numbers("feature_maps", ["a", "b"])), frames(found.summaries("feature_maps"))
    monkeypatch.setattr(answers, "MOST", 600)
    monkeypatch.setattr(answers, "_LEAST", 1)
    steps, tables, after, more = [], [b"", b""], -1, True
    while more:
        heads, rest = frames(found.numbers("feature_maps", ["a", "b"], after))
        assert 0 < len(rest) <= 600
        size = len(heads[0]["steps"]) * 2 * 8 * 4
        tables[0] += rest[:size]
        tables[1] += rest[size:]
        steps += heads[0]["steps"]
        after, more = steps[-1], heads[0]["more"]
    assert steps == list(range(10)) and b"".join(tables) == whole[0][1]
    with pytest.raises(BadQuestionError, match="too large for one answer"):
        monkeypatch.setattr(answers, "MOST", 100)
        found.numbers("feature_maps", ["a", "b"])
    steps, after, more = [], -1, True
    while more:
        heads, _ = frames(found.summaries("feature_maps", after))
        steps += heads["steps"]
        after, more = steps[-1], heads["more"]
    assert steps == whole[1][0]["steps"]
    pictures = written.layer_steps(0)[0].maps
    monkeypatch.setattr(answers, "MOST", len(pictures[0]) + 5)
    content, lasting = found.bundle("feature_maps", ["a"], [0, 1, 2], 0)
    heads, rest = frames(content)
    assert [head["size"] for head in heads] == [len(pictures[0]), None, None] and not lasting
    assert [head.get("later") for head in heads] == [None, True, True] and rest == pictures[0]


def test_a_writers_clock_that_is_ahead_is_not_believed(tmp_path):
    written = RunLog(tmp_path, SMALL)
    written.write(0, wall_time=BEGAN + 10**6)
    os.utime(written.path, (BEGAN + 50, BEGAN + 50))
    (run,) = strictly(asked(tmp_path).runs()[0])["runs"]
    assert run["wall"] == BEGAN + 50


def test_numbers_that_are_few_count_as_many(tmp_path, monkeypatch):
    """However little a layer holds, a step of it takes time and room: an answer about many of them is bounded, too."""
    RunLog(tmp_path, {"a": (2, 2, 1), "b": (2, 2, 1)}, steps=range(30), fields=(), summaries=())
    found = asked(tmp_path)
    monkeypatch.setattr(answers, "MOST", 2 * answers._LEAST * 10)
    heads, rest = frames(found.numbers("feature_maps", ["a", "b"]))
    assert [(head["steps"], head["more"]) for head in heads] == [(list(range(10)), True)] * 2
    assert len(rest) == 2 * 10 * 7 * 4 < answers.MOST / 10
    heads, _ = frames(found.numbers("feature_maps", ["a", "b"], 19))
    assert [(head["steps"], head["more"]) for head in heads] == [(list(range(20, 30)), False)] * 2


def test_summaries_are_those_of_all_layers(written, found):
    heads, rest = frames(found.summaries(RUN))
    assert heads["steps"] == [0, 1, 2] and not heads["more"]
    assert [layer["layer"] for layer in heads["layers"]] == list(LAYERS)
    assert heads["layers"][0]["names"] == ["mask_auroc_best", "effective_rank"]
    values = np.frombuffer(rest, "<f4").reshape(3, 3, 2)
    for at, path in enumerate(LAYERS):
        np.testing.assert_array_equal(values[at], [written.summaries(step, path) for step in range(3)])


def test_maps_and_the_probe_are_pictures(written, found):
    png, _ = found.maps(RUN, HOSTILE, 1, 1)
    rows, columns = written.layer_facts()[2].rows, written.layer_facts()[2].columns
    grid = np.asarray(Image.open(io.BytesIO(png)))
    np.testing.assert_array_equal(format.to_tiles(grid, rows, columns, 3), written.maps(1, HOSTILE)[1])
    for kind, pixels in (("picture", written.pictures()), ("label", written.labels())):
        for image in (0, 1):
            np.testing.assert_array_equal(
                np.asarray(Image.open(io.BytesIO(found.probe(RUN, kind, image)[0]))), pixels[image]
            )


def test_what_is_predicted_is_told_shown_and_scored(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 1, 2], prediction="labels")
    found = asked(tmp_path)
    (run,) = strictly(found.runs()[0])["runs"]
    assert run["prediction"] == {
        "kind": "labels",
        "labels": [vars(label) for label in (*LABELS, Label("label 3", 3, "#0000ff"))],
        "output": "head",
        "truth": [0, 1, -1],
        "size": [16, 8],
    }
    version = run["steps"][0]["v"]
    content, lasting = found.prediction("feature_maps", 1, 1, version)
    assert lasting and not found.prediction("feature_maps", 1, 1, "k")[1]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), written.predicted(1)[1])
    heads, rest = frames(found.scores("feature_maps"))
    assert heads == {"steps": [0, 1, 2], "shape": [2, 4, 3], "more": False}
    expected = np.stack([written.scores(step) for step in range(3)])
    np.testing.assert_array_equal(np.frombuffer(rest, "<f4"), expected.ravel())
    heads, rest = frames(found.scores("feature_maps", after=1))
    assert heads["steps"] == [2] and len(rest) == 4 * 2 * 4 * 3


def test_predicted_classes_have_scores_and_no_pictures(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0, 1], prediction="class")
    found = asked(tmp_path)
    heads, rest = frames(found.scores("feature_maps"))
    assert heads == {"steps": [0, 1], "shape": [2, 2], "more": False}
    np.testing.assert_array_equal(
        np.frombuffer(rest, "<f4"), np.stack([written.scores(step) for step in (0, 1)]).ravel()
    )
    with pytest.raises(NothingThereError, match="step 1 has no predicted labels"):
        found.prediction("feature_maps", 1, 0)


def test_a_run_without_a_prediction_has_no_scores(found):
    assert frames(found.scores(RUN)) == ({"steps": [], "shape": [0], "more": False}, b"")


def test_scores_that_do_not_fit_an_answer_are_asked_for_again(tmp_path, monkeypatch):
    RunLog(tmp_path, SMALL, steps=range(10), prediction="labels")
    found = asked(tmp_path)
    whole = frames(found.scores("feature_maps"))
    monkeypatch.setattr(answers, "MOST", 300)
    monkeypatch.setattr(answers, "_LEAST", 1)
    steps, content, after, more = [], b"", -1, True
    while more:
        heads, rest = frames(found.scores("feature_maps", after))
        assert 0 < len(rest) <= 300
        steps, content, after, more = steps + heads["steps"], content + rest, heads["steps"][-1], heads["more"]
    assert steps == list(range(10)) and content == whole[1]


def test_a_bundle_holds_what_single_answers_give(found):
    heads, rest = frames(found.bundle(RUN, ["stem", "nowhere", "block/deep"], [0, 2, 1000], 1)[0])
    assert [(head["layer"], head["step"]) for head in heads] == [
        (layer, step) for layer in ("stem", "nowhere", "block/deep") for step in (0, 2, 1000)
    ]
    for head in heads:
        assert (head["size"] is None) == (head["layer"] == "nowhere" or head["step"] == 1000) and "later" not in head
        if head["size"] is not None:
            assert rest[: head["size"]] == found.maps(RUN, head["layer"], head["step"], 1)[0]
            rest = rest[head["size"] :]
    assert rest == b""


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda found: found.maps("nowhere", "stem", 0, 0), NothingThereError, "no run 'nowhere'"),
        (lambda found: found.maps("seed0", "stem", 0, 0), NothingThereError, "no run 'seed0'"),
        (lambda found: found.maps(RUN, "nowhere", 0, 0), NothingThereError, "no layer 'nowhere'"),
        (lambda found: found.maps(RUN, "stem", 7, 0), NothingThereError, "no step 7"),
        (lambda found: found.maps(RUN, "stem", 10**17, 0), NothingThereError, "no step"),
        (lambda found: found.maps(RUN, "stem", 0, 2), NothingThereError, "for 2 images, and none for 2"),
        (lambda found: found.numbers(RUN, ["stem", "x"]), NothingThereError, "no layer 'x'"),
        (lambda found: found.summaries("x"), NothingThereError, "no run 'x'"),
        (lambda found: found.bundle("x", ["stem"], [0], 0), NothingThereError, "no run 'x'"),
        (lambda found: found.bundle(RUN, ["stem"] * 20, [0] * 20, 0), BadQuestionError, "at most 256 pictures"),
        (lambda found: found.prediction(RUN, 0, 0), NothingThereError, "step 0 has no predicted labels"),
        (lambda found: found.prediction(RUN, 7, 0), NothingThereError, "no step 7"),
        (lambda found: found.scores("x"), NothingThereError, "no run 'x'"),
        (lambda found: found.probe(RUN, "picture", 2), NothingThereError, "2 pictures, and none for image 2"),
        (lambda found: found.probe(RUN, "mask", 0), BadQuestionError, "'picture' or 'label'"),
    ],
)
def test_what_can_not_be_answered_is_told(found, ask, error, message):
    with pytest.raises(error, match=message):
        ask(found)


def test_what_was_deleted_meanwhile_is_not_there(written, found):
    written.path.unlink()
    for ask in (
        lambda: found.maps(RUN, "stem", 0, 0),
        lambda: found.prediction(RUN, 0, 0),
        lambda: found.numbers(RUN, ["stem"]),
        lambda: found.summaries(RUN),
        lambda: found.scores(RUN),
    ):
        with pytest.raises(NothingThereError, match="no longer what it was"):
            ask()


def test_damage_costs_that_step_or_picture_alone(tmp_path):
    written = RunLog(tmp_path, SMALL, steps=[0])
    blobs = Blobs()
    written.append(format.pack_record({"kind": "step", "step": 1, "wall_time": 1.0, "layers": blobs.add(b"[]")}, blobs))
    stored = written.layer_steps(2)
    stored[1] = LayerStep([b"no picture"] * 2, stored[1].numbers[:1], stored[1].summaries[:1])
    written.write(2, layers=stored)
    written.write(3)
    found = asked(tmp_path)
    before = found.runs()
    assert [head["steps"] for head in frames(found.numbers("feature_maps", ["a", "b"]))[0]] == [[0, 2, 3], [0, 3]]
    heads, rest = frames(found.summaries("feature_maps"))
    assert heads["steps"] == [0, 2, 3]
    values = np.frombuffer(rest, "<f4").reshape(2, 3, 2)
    assert np.isnan(values[1, 1]).all() and not np.isnan(values[:, 2]).any()
    heads, _ = frames(found.bundle("feature_maps", ["a", "b"], [0, 1, 2, 3], 0)[0])
    assert [head["size"] is None for head in heads] == [False, True, False, False, False, True, True, False]
    after = found.runs()
    assert after[1] != before[1] and len(strictly(after[0])["runs"][0]["problems"]) >= 3, "what was met is told"


def test_a_model_that_says_what_json_cannot_is_cleaned(tmp_path):
    deep = []
    for _ in range(300):
        deep = [deep]
    model = {"name": math.nan, "class": [math.inf, 1.5], "deep": deep, "half": "\ud800"}
    RunLog(tmp_path / "a", SMALL, steps=[0], facts={"model": model, "measures": {"\ud800": {"label": "\ud800"}}})
    RunLog(tmp_path / "b", SMALL, steps=[0], facts={"model": {"name": "x" * 10**6}})
    RunLog(tmp_path / "c", SMALL, steps=[0], layer={"name": "a\ud800b", "path": "a\ud800b"})
    found = asked(tmp_path)
    answer = strictly(found.runs()[0])
    first, second, third = answer["runs"]
    assert first["model"]["name"] is None and first["model"]["class"] == [None, 1.5] and second["model"] == {}
    layer = answer["layouts"][third["layout"]][0]["layer"]
    assert layer == "a\ufffdb" and found.maps("c/feature_maps", layer, 0, 0)[0]


def test_more_than_an_answer_holds_is_left_out_and_told(tmp_path, monkeypatch):
    for name in "abc":
        RunLog(tmp_path / name, {name: (2, 2, 2)}, steps=[0])
    monkeypatch.setattr(answers, "MOST", 2500)
    content, _ = asked(tmp_path).runs()
    answer = strictly(content)
    assert (
        len(content) < 4000 + len(json.dumps(described()))
        and 0 < len(answer["runs"]) < 3
        and "is left out" in answer["problems"][0]
    )


def test_hundreds_of_runs_are_answered_at_once(tmp_path):
    layers = {f"block{number // 6}/conv{number}": (1, 1, 1) for number in range(51)}
    first = RunLog(tmp_path / "0", layers, images=0, steps=range(20))
    content = first.path.read_bytes()
    for at in range(1, 250):
        directory = tmp_path / str(at) / "feature_maps"
        directory.mkdir(parents=True)
        (directory / first.path.name).write_bytes(content)
    log = Log(tmp_path)
    log.refresh()
    found, times = Answers(log), []
    found.runs()
    for step in range(20, 25):
        first.write(step)
        log.refresh()
        began = time.perf_counter()
        answer, _ = found.runs()
        times.append(time.perf_counter() - began)
    assert len(strictly(answer)["runs"]) == 250 and len(answer) < 10**6
    assert min(times) < 0.05, times


# Logs that were made to hurt


def hostile_log(rng, content, starts, written):
    """The bytes of a log that was damaged, or made up: flipped, cut, spliced, with heads and references of all kinds."""
    data = bytearray(content)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        kind = rng.randrange(7)
        at = rng.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.choice([1, 12, 300]))
        elif kind == 3:
            del data[at : at + rng.choice([1, 16, 3000])]
        elif kind == 4:
            first, last = sorted(rng.sample(starts, 2))
            data[at:at] = content[first:last]
        elif kind == 5:
            data[at : at + 24] = bytes(24)
        else:
            length = struct.pack("<Q", rng.choice([0, 11, 2**31, 2**60, 2**64 - 1, len(data)]))
            prefix = struct.pack("<4sI4s", format.MAGIC, rng.choice([0, 5, 2**24, 2**32 - 1]), rng.randbytes(4))
            data[at:at] = length + tfrecord.checksum(length) + prefix
    for _ in range(rng.choice([0, 0, 1, 2])):
        blobs = Blobs()
        anything = [
            None,
            True,
            -1,
            0,
            3,
            1.5,
            math.nan,
            math.inf,
            2**60,
            10**300,
            "",
            "a",
            [],
            {},
            [[]],
            [0, 2**62, 1],
            "\ud800",
        ]
        head = {
            key: rng.choice(anything)
            for key in ("step", "wall_time", "layers", "first_step", "format", "probe", "labels", "prediction")
        }
        layers = [{key: rng.choice(anything) for key in ("maps", "numbers", "summaries")} for _ in SMALL]
        head["kind"] = rng.choice(["run", "step", "step", "step", 5, None])
        if rng.random() < 0.7:
            head |= {
                "step": rng.randrange(20),
                "wall_time": rng.random() * 1e9,
                "layers": blobs.add(format.to_json(layers)),
                "prediction": blobs.add(format.to_json({"maps": rng.choice(anything), "scores": rng.choice(anything)})),
            }
        record = format.pack_record(head, blobs)
        at = rng.choice([*starts, len(data)])
        data[at:at] = record
    if rng.random() < 0.3:
        facts = dict.fromkeys(
            rng.sample(["rows", "map", "fields", "channels", "name", "cells", "shape"], 2),
            rng.choice(anything_in_json(rng)),
        )
        crafted = RunLog(
            written.directory.parent.parent / "crafted",
            SMALL,
            prediction="labels",
            layer=facts,
            facts={"prediction": hostile_prediction(rng)} if rng.random() < 0.5 else {},
        )
        record = crafted.run_record(rng.randrange(3))
        data[: starts[0]] = record
    return bytes(data)


def hostile_prediction(rng):
    """Facts of a prediction of which one or two are anything."""
    facts = {"kind": "labels", "labels": [{"name": "a"}] * 4, "output": None, "truth": [0, 1, -1], "size": [16, 8]}
    return facts | dict.fromkeys(rng.sample([*facts], rng.choice([1, 2])), rng.choice(anything_in_json(rng)))


def anything_in_json(rng):
    return [None, True, -1, 0, 2**31, 1e999, "", "\ud800", [], {}, [2**31], [1] * 3, {"a": "b"}, [[1]], rng.random()]


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_no_log_breaks_it(tmp_path, count):
    rng = random.Random(count)
    written = RunLog(tmp_path / "source" / "x", SMALL, steps=[0, 1, 2, 3], prediction="labels")
    content = written.path.read_bytes()
    starts = [len(written.run_record(0))]
    for step in range(4):
        starts.append(starts[-1] + len(written.step_record(step)))
    RunLog(tmp_path / "logs" / "good", SMALL, steps=[0, 1, 2, 3], prediction="labels")
    path = tmp_path / "logs" / "hostile" / "feature_maps" / written.path.name
    path.parent.mkdir(parents=True)
    good = "good/feature_maps"
    alone = asked(tmp_path / "logs")
    expected = (
        alone.numbers(good, ["a", "b"]),
        alone.summaries(good),
        alone.bundle(good, ["a", "b"], [0, 1, 2, 3], 0)[0],
        alone.scores(good),
        alone.prediction(good, 2, 1)[0],
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shown = 0
    for _ in range(count):
        path.write_bytes(hostile_log(rng, content, starts, written))
        log = Log(tmp_path / "logs")
        log.refresh()
        found = Answers(log)
        for _ in range(2):
            answer = strictly(found.runs()[0])
            for run in answer["runs"]:
                shown += run["run"] != good
                ask_everything(found, run, answer["layouts"][run["layout"]])
        assert good in [run["run"] for run in answer["runs"]]
        assert (found.numbers(good, ["a", "b"]), found.summaries(good)) == expected[:2]
        assert found.bundle(good, ["a", "b"], [0, 1, 2, 3], 0)[0] == expected[2]
        assert (found.scores(good), found.prediction(good, 2, 1)[0]) == expected[3:]
        for run in log.values():
            run.table("channel")
            run.table("layer")
            run.scores  # noqa: B018
            with contextlib.suppress(KeyError, format.DamagedError):
                run.prediction()
    assert shown > count, "most of them can still be shown"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000, "kilobytes"


def test_findings_are_looked_for_once_in_each_state_of_a_run(written, tmp_path):
    log = Log(tmp_path)
    log.refresh()
    found = Answers(log)
    (part,) = strictly(found.runs()[0])["runs"][0]["steps"]
    first, lasting = found.findings(RUN, f"{part['v']}-2")
    assert lasting and found.findings(RUN)[0] is first and not found.findings(RUN)[1]
    answer = strictly(first)
    assert answer["more"] == 0 and answer["findings"][0]["kind"] == "non_finite"
    assert answer["findings"][0]["link"] == {"view": "layer", "layer": "stem", "step": 0, "channel": 2}
    written.write(3)
    log.refresh()
    assert found.findings(RUN, f"{part['v']}-2")[0] is not first and not found.findings(RUN, f"{part['v']}-2")[1]
    with pytest.raises(NothingThereError, match="no run 'nowhere'"):
        found.findings("nowhere")


def test_findings_of_more_than_anybody_reads_are_counted(tmp_path):
    layers = {f"layer{at}": (2, 2, 4) for at in range(250)}
    log = RunLog(tmp_path / "many", layers, images=1)
    for step in (0, 1):
        numbers = {path: np.where(np.arange(4)[:, None] >= 0, 0, log.numbers(step, path)) for path in layers}
        steps = log.layer_steps(step)
        log.write(
            step,
            layers=[
                LayerStep(each.maps, numbers[path], each.summaries) for path, each in zip(layers, steps, strict=True)
            ],
        )
    answer = strictly(asked(tmp_path).findings("many/feature_maps")[0])
    assert len(answer["findings"]) == 200 and answer["more"] == 50


def ask_everything(found, run, layers):
    """All that the page may ask of a run; what can't be answered is told."""
    steps = [step for part in run["steps"] for step in part["steps"]]
    assert steps == sorted(set(steps))
    names = [layer["layer"] for layer in layers]
    questions = [lambda: found.summaries(run["run"])]
    if names:
        questions.append(lambda: found.numbers(run["run"], names))
        questions.append(lambda: found.bundle(run["run"], names, steps[:100], 0))
    questions.append(lambda: found.scores(run["run"]))
    questions.append(lambda: strictly(found.findings(run["run"])[0]))
    questions += [lambda step=step: found.prediction(run["run"], step, 1) for step in steps[:100]]
    questions += [lambda kind=kind: found.probe(run["run"], kind, 0) for kind in ("picture", "label")]
    for question in questions:
        try:
            question()
        except (NothingThereError, BadQuestionError) as error:
            assert str(error)
