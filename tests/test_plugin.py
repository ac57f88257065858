"""The tab's routes, as the real TensorBoard serves them on both of its reading paths."""

import argparse
import http.client
import io
import json
import os
import socket
import struct
import subprocess
import sys
import time
from importlib import resources
from urllib.parse import quote, urlencode, urlsplit

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image
from reading import Board, tensorboard
from tab import HOSTILE, HOSTILE_RUN, Run, register_plugin

from fm_callback.tensorboard_plugin.loader import FeatureMapsLoader
from fm_callback.tensorboard_plugin.log import _layer_facts

BASE = "/data/plugin/feature_maps"
RUN = "seed0/feature_maps"
LAYERS = {"stem": (8, 8, 4), "block/deep": (4, 4, 16), HOSTILE: (3, 5, 3)}
STEPS = list(range(100))
SECRET = b"not for everyone"


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory, monkeypatch_module):
    register_plugin(tmp_path_factory.mktemp("site"), monkeypatch_module)
    path = tmp_path_factory.mktemp("logs")
    Run(path / "seed0", LAYERS, steps=STEPS)
    Run(path / HOSTILE_RUN, {"stem": (8, 8, 4)}, steps=[0, 1])
    Run(path / "newer", {"stem": (8, 8, 4)}, steps=[0], version=2)
    Run(path / "changed", {"stem": (8, 8, 4)}, steps=[0], version=3, damaged=True)
    (path / "seed0" / "feature_maps" / "secret.txt").write_bytes(SECRET)
    return path


@pytest.fixture(scope="module", params=["fast", "slow"])
def board(request, log_dir):
    options = [] if request.param == "fast" else ["--path_prefix=/behind/a/proxy"]
    with tensorboard(log_dir, request.param == "fast", *options) as board:
        board.wait_for(f"{BASE}/runs", lambda found: sorted(map(len, map(_steps, found["runs"]))) == [1, 1, 2, 100])
        yield board


def _steps(run):
    return run["layers"][0]["steps"]


def ask(board, path, method="GET", **parameters):
    """Status, headers and body of a route, whatever the status."""
    url = urlsplit(board.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    query = urlencode(parameters, doseq=True)
    connection.request(method, f"{url.path}{BASE}/{path}" + (f"?{query}" if query else ""))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def frames(body):
    (length,) = struct.unpack_from("<I", body)
    return json.loads(body[4 : 4 + length]), body[4 + length :]


def test_runs_give_every_step_and_the_static_facts(board):
    runs = {run["run"]: run for run in json.loads(ask(board, "runs")[2])["runs"]}
    assert set(runs) == {RUN, f"{HOSTILE_RUN}/feature_maps", "newer/feature_maps", "changed/feature_maps"}
    layers = runs[RUN]["layers"]
    assert [layer["number"] for layer in layers] == [1, 2, 3]
    assert [layer["path"] for layer in layers] == list(LAYERS), "the true paths, in model order"
    assert layers[0]["steps"] == STEPS, "the first and all others, without a flag"
    assert len(layers[0]["wall_times"]) == 100
    assert "steps" not in layers[1], "said once"
    assert layers[0]["shape"] == [8, 8, 8]
    probe = runs[RUN]["probe"]
    assert (probe["images"], probe["masks"], probe["scaling"]) == (2, 2, "[0, 255]")


def test_a_newer_format_is_shown_as_far_as_it_is_understood(board):
    runs = {run["run"]: run["layers"][0] for run in json.loads(ask(board, "runs")[2])["runs"]}
    assert runs["newer/feature_maps"]["version"] == 2
    assert "problem" not in runs["newer/feature_maps"]
    assert "newer format" in runs["changed/feature_maps"]["problem"]
    assert runs["changed/feature_maps"]["path"] == "stem"


def test_numbers_are_the_whole_history(board):
    status, headers, body = ask(board, "numbers", run=RUN, layer=["stem", "block/deep"], v="1")
    assert status == 200
    assert "max-age" in headers["Cache-Control"]
    heads, rest = frames(body)
    assert [(head["layer"], head["shape"]) for head in heads] == [("stem", [4, 8]), ("block/deep", [16, 8])]
    assert heads[0]["steps"] == STEPS
    values = np.frombuffer(rest, "<f4")
    stem = values[: 100 * 4 * 8].reshape(100, 4, 8)
    assert stem[7, 0, 0] == -8, "lowest value of step 7"
    assert stem[7, 2, 6] == 5
    assert values.size == 100 * (4 + 16) * 8


def test_maps_and_the_probe_are_pictures(board):
    status, headers, body = ask(board, "maps", run=RUN, layer="stem", step=99, image=1, v="1")
    assert (status, headers["Content-Type"], headers["X-Content-Type-Options"]) == (200, "image/png", "nosniff")
    assert "max-age" in headers["Cache-Control"]
    assert Image.open(io.BytesIO(body)).size == (16, 16) or Image.open(io.BytesIO(body)).size == (32, 8)
    assert "no-cache" in ask(board, "maps", run=RUN, layer="stem", step=99)[1]["Cache-Control"], "image 0, no wall time"
    picture = Image.open(io.BytesIO(ask(board, "probe", run=RUN, index=0)[2]))
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    mask = np.asarray(Image.open(io.BytesIO(ask(board, "probe", run=RUN, index=3)[2])))
    assert set(np.unique(mask)) == {0, 255}


def test_a_bundle_holds_what_single_requests_give(board):
    status, _, body = ask(board, "bundle", run=RUN, layer=["stem", "block/deep"], step=[0, 50, 1000], image=1, v="1")
    assert status == 200
    heads, rest = frames(body)
    assert [(head["layer"], head["step"], head["size"] is None) for head in heads] == [
        (layer, step, step == 1000) for layer in ("stem", "block/deep") for step in (0, 50, 1000)
    ]
    for head in heads:
        if head["size"] is not None:
            single = ask(board, "maps", run=RUN, layer=head["layer"], step=head["step"], image=1)[2]
            assert rest[: head["size"]] == single
            rest = rest[head["size"] :]
    assert rest == b""


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "slow"])
def test_one_layer_that_cannot_be_read_leaves_the_others(tmp_path, fast):
    run = Run(tmp_path, {"good": (8, 8, 4), "bad": (8, 8, 4)})
    run._tags["bad"] = "b\x01d"  # as a writer of another version may call it
    run.write(0)
    with tensorboard(tmp_path, fast) as board:
        found = board.wait_for(f"{BASE}/runs", lambda found: found["runs"] and len(found["runs"][0]["layers"]) == 2)
        status, _, body = ask(board, "bundle", run=found["runs"][0]["run"], layer=["good", "b\x01d"], step=0)
    assert status == 200
    heads, rest = frames(body)
    assert rest.startswith(b"\x89PNG")
    assert [head["size"] is None for head in heads] == [False, fast]


@pytest.mark.parametrize(
    "changed",
    [
        {"kernel": {"size": [3, 3]}},
        {"kernel": 3},
        {"kernel": ["3", "3"]},
        {"activation": {"name": "relu"}},
        {"slice": [1, 2]},
        {"fields": "low"},
        {"fields": {"low": 0}},
        {"shape": [8, 0, 8]},
        {"shape": {}},
        {"channels": "0123"},
    ],
    ids=str,
)
def test_static_facts_that_are_not_understood_are_a_problem(changed):
    stored = {
        "number": 1, "kind": "Conv2D", "path": "stem", "kernel": [3, 3], "activation": None, "shape": [8, 8, 8], "slice": None,
        "channels": [0, 1], "rows": 1, "columns": 2, "fields": ["low"], "cells": {}, "step_unit": "epoch",
        "probe_images": 2, "stored_images": 2, "version": 2,
    }  # fmt: skip
    assert "problem" not in _layer_facts(json.dumps(stored).encode())
    found = _layer_facts(json.dumps(stored | changed).encode())
    assert "newer format" in found["problem"]
    assert found["path"] == "stem"


def test_hostile_names_are_only_names(board):
    tag = json.loads(ask(board, "runs")[2])["runs"]
    layer = next(run for run in tag if run["run"] == RUN)["layers"][2]
    assert layer["path"] == HOSTILE
    assert ask(board, "maps", run=RUN, layer=layer["layer"], step=0)[0] == 200
    assert ask(board, "maps", run=f"{HOSTILE_RUN}/feature_maps", layer="stem", step=1)[0] == 200


@pytest.mark.parametrize(
    ("path", "parameters", "expected"),
    [
        ("maps", {}, 400),
        ("maps", {"run": RUN, "layer": "stem"}, 400),
        ("maps", {"run": RUN, "layer": "stem", "step": "-1"}, 400),
        ("maps", {"run": RUN, "layer": "stem", "step": "1e3"}, 400),
        ("maps", {"run": RUN, "layer": "stem", "step": "9" * 5000}, 400),
        ("maps", {"run": RUN, "layer": "stem", "step": "１"}, 400),
        ("maps", {"run": RUN, "layer": "stem", "step": 100}, 404),
        ("maps", {"run": RUN, "layer": "stem", "step": 1, "image": 2}, 404),
        ("maps", {"run": RUN, "layer": "nowhere", "step": 1}, 404),
        ("maps", {"run": "nowhere", "layer": "stem", "step": 1}, 404),
        ("maps", {"run": RUN, "layer": "stem\0", "step": 1}, 404),
        ("probe", {"run": RUN, "index": 4}, 404),
        ("probe", {"run": "nowhere", "index": 0}, 404),
        ("numbers", {"run": RUN, "layer": "nowhere"}, 404),
        ("numbers", {"run": RUN}, 400),
        ("bundle", {"run": RUN, "layer": "stem", "step": list(range(300))}, 400),
        ("bundle", {"run": RUN, "layer": [str(at) for at in range(100)], "step": [1, 2, 3]}, 400),
        ("scalars", {}, 400),
        ("static/../plugin.py", {}, 404),
        ("static/nothing.js", {}, 404),
        ("static", {}, 404),
    ],
)
def test_what_is_wrong_is_told(board, path, parameters, expected):
    status, _, body = ask(board, path, **parameters)
    assert status == expected
    assert body


def test_only_reading(board):
    for method in ("POST", "PUT", "DELETE"):
        assert ask(board, "runs", method=method)[0] == 405
    status, _, body = ask(board, "runs", method="HEAD")
    assert (status, body) == (200, b"")


def test_the_page_is_a_closed_list_of_files(board):
    static = resources.files("fm_callback") / "page"
    for file in ("index.js", "main.js", "style.css", "views/layer.js", "vendor/preact.js"):
        status, headers, body = ask(board, f"static/{file}")
        assert status == 200
        assert headers["Content-Type"].startswith("application/javascript" if file.endswith("js") else "text/css")
        assert body == (static / file).read_bytes()
    assert ask(board, "static/vendor/README.md")[0] == 404


def _requests():
    known = st.sampled_from(
        [RUN, "stem", "block/deep", HOSTILE, "0", "1", "99", "feature_maps", "probe", "", ".", "..", "stem/maps"]
    )
    hostile = st.sampled_from(
        [
            "../" * 8 + "etc/passwd",
            f"{RUN}/secret.txt",
            "\0",
            "%00",
            "NaN",
            "-1",
            "1e9",
            "0x1",
            "9" * 400,
            '"',
            "\\",
            "\t\n",
        ]
    )
    value = st.one_of(known, hostile, st.text(max_size=40), st.integers().map(str))
    name = st.one_of(
        st.sampled_from(["run", "layer", "step", "image", "index", "v", "blob_key", "path"]), st.text(max_size=8)
    )
    route = st.one_of(
        st.sampled_from(["runs", "numbers", "maps", "bundle", "probe", "scalars", "static/index.js", "static", ""]),
        st.text(max_size=30),
        st.lists(
            st.sampled_from(["static", "..", ".", "views", "%2e%2e", "vendor", "plugin.py", "secret.txt"]), max_size=5
        ).map("/".join),
    )
    method = st.sampled_from(["GET"] * 8 + ["HEAD", "POST", "OPTIONS"])
    return st.tuples(method, route, st.lists(st.tuples(name, value), max_size=8))


def _attack(board, request):
    method, route, parameters = request
    url = urlsplit(board.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    connection.request(method, f"{url.path}{BASE}/{quote(route, safe='/%')}?{urlencode(parameters)}")
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status < 500, (request, body[:300])
    assert SECRET not in body and b"root:" not in body
    assert answer.headers["Content-Type"].split(";")[0] != "text/html" or answer.status >= 300


@pytest.fixture(params=["fast", "slow"])
def logging_board(request, log_dir, tmp_path):
    """A server that says what it likes into a file: a pipe that nobody reads would stop it after some thousand refusals."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    said = tmp_path / "said.txt"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(log_dir), "--port", str(port)]
    command += [f"--load_fast={'true' if request.param == 'fast' else 'false'}"]
    with open(said, "wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            board = Board(f"http://localhost:{port}")
            board.wait_for(f"{BASE}/runs", lambda found: sorted(map(len, map(_steps, found["runs"]))) == [1, 1, 2, 100])
            yield board
        finally:
            server.terminate()
            server.wait(20)
    assert b"Traceback" not in said.read_bytes()


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_no_request_breaks_it(logging_board, count):
    board = logging_board

    @hypothesis.seed(count)  # kept, so that a failure comes again
    @hypothesis.settings(
        max_examples=count // 2, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(_requests())
    @hypothesis.example(("GET", "maps", [("run", RUN), ("layer", "stem"), ("step", "1"), ("blob_key", "WyJ4Il0")]))
    @hypothesis.example(("GET", "bundle", [("run", RUN), ("layer", "stem\ud7ff"), ("step", "1"), ("image", "9" * 18)]))
    def attack(request):
        _attack(board, request)

    attack()
    assert len(json.loads(ask(board, "runs")[2])["runs"]) == 4, "TensorBoard still answers"


def test_the_entry_point_imports_no_framework():
    code = (
        "import sys; from fm_callback.tensorboard_plugin.loader import FeatureMapsLoader; "
        "from fm_callback.tensorboard_plugin import plugin; "
        "print([name for name in ('tensorflow', 'keras', 'torch', 'jax', 'PIL') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_sampling_default_yields_to_the_users_own():
    flags = argparse.Namespace(samples_per_plugin={})
    FeatureMapsLoader().fix_flags(flags)
    assert flags.samples_per_plugin == {"feature_maps": 1000}
    flags = argparse.Namespace(samples_per_plugin={"feature_maps": 7})
    FeatureMapsLoader().fix_flags(flags)
    assert flags.samples_per_plugin == {"feature_maps": 7}


def test_thinned_steps_are_declared(log_dir):
    with tensorboard(log_dir, True, "--samples_per_plugin=feature_maps=20") as board:
        found = board.wait_for(f"{BASE}/runs", lambda found: any(len(_steps(run)) == 20 for run in found["runs"]))
        assert found["cap"] == 20


def test_a_broken_dependency_leaves_tensorboard_running(log_dir, tmp_path):
    (tmp_path / "google_crc32c.py").write_text("raise ImportError('broken on purpose')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(log_dir), "--port", "0"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any("http://" in line for line in said):
            said.append(server.stderr.readline())
        assert any("broken on purpose" in line for line in said), said
        assert any("TensorBoard" in line and "http://" in line for line in said), said
        assert server.poll() is None
    finally:
        server.terminate()
        server.communicate(timeout=20)
