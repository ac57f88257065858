"""The tab's routes: as the real TensorBoard serves them, and, asked ten thousand times, as the plugin's own application does."""

import argparse
import contextlib
import http.client
import io
import itertools
import json
import os
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
from reading import tensorboard
from support.logs import HOSTILE, HOSTILE_RUN, RunLog
from tab import register_plugin
from tensorboard.backend.security_validator import SecurityValidatorMiddleware
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

from fm_callback.tensorboard_plugin.loader import FeatureMapsLoader
from fm_callback.tensorboard_plugin.plugin import FeatureMapsPlugin, log_directories

BASE = "/data/plugin/feature_maps"
RUN = "seed0/feature_maps"
LAYERS = {"stem": (8, 8, 4), "block/deep": (4, 4, 16), HOSTILE: (3, 5, 3)}
STEPS = list(range(100))
SECRET = b"not for everyone"
RUNS = {RUN, f"{HOSTILE_RUN}/feature_maps", "newer/feature_maps", "changed/feature_maps"}


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory, monkeypatch_module):
    register_plugin(tmp_path_factory.mktemp("site"), monkeypatch_module)
    path = tmp_path_factory.mktemp("logs")
    RunLog(path / "seed0", LAYERS, steps=STEPS)
    RunLog(path / HOSTILE_RUN, {"stem": (8, 8, 4)}, steps=[0, 1])
    RunLog(path / "newer", {"stem": (8, 8, 4)}, steps=[0], facts={"format": 3})
    RunLog(path / "changed", {"stem": (8, 8, 4)}, steps=[0], facts={"format": 3}, lacking=["rows"])
    RunLog(path / "empty", {"stem": (8, 8, 4)})
    (path / "seed0" / "feature_maps" / "secret.txt").write_bytes(SECRET)
    outside = tmp_path_factory.mktemp("outside")
    RunLog(outside, {"stem": (8, 8, 4)}, steps=[0])
    (path / "link").symlink_to(outside)
    return path


@pytest.fixture(scope="module")
def board(log_dir):
    with tensorboard(log_dir, True, "--path_prefix=/behind/a/proxy") as board:
        yield board


def ask(board, path, method="GET", headers=None, **parameters):
    """Status, headers and body of a route, whatever the status."""
    url = urlsplit(board.url)
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    query = urlencode(parameters, doseq=True)
    connection.request(method, f"{url.path}{BASE}/{path}" + (f"?{query}" if query else ""), headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def runs_of(board):
    return {run["run"]: run for run in json.loads(ask(board, "runs")[2])["runs"]}


def steps_of(run):
    return [step for part in run["steps"] for step in part["steps"]]


def frames(body):
    (length,) = struct.unpack_from("<I", body)
    return json.loads(body[4 : 4 + length]), body[4 + length :]


def test_the_first_answer_gives_every_run_and_every_step(board):
    answer = json.loads(ask(board, "runs")[2])
    runs = {run["run"]: run for run in answer["runs"]}
    assert set(runs) == RUNS, "and not the one without a step, nor the one behind a link"
    assert steps_of(runs[RUN]) == STEPS, "the first and all others, without a flag"
    layers = answer["layouts"][runs[RUN]["layout"]]
    assert [layer["number"] for layer in layers] == [1, 2, 3]
    assert [layer["path"] for layer in layers] == list(LAYERS), "the true paths, in model order"
    known = {"images": 2, "stored": 2, "scaling": "[0, 255]", "pictures": 2, "labels": 2}
    assert runs[RUN]["probe"] == {**known, "plane": None, "slice_axis": None, "slices": []}
    assert "link is a link that leads out of the log directory" in answer["problems"][0]
    assert "problem" not in answer["layouts"][runs["newer/feature_maps"]["layout"]][0]
    assert "newer format" in answer["layouts"][runs["changed/feature_maps"]["layout"]][0]["problem"]


def test_an_answer_without_news_is_empty(board):
    status, headers, body = ask(board, "runs")
    assert (status, headers["Content-Type"], headers["X-Content-Type-Options"]) == (200, "application/json", "nosniff")
    assert "no-cache" in headers["Cache-Control"]
    tag = headers["ETag"]
    for method in ("GET", "HEAD"):
        status, headers, nothing = ask(board, "runs", method, {"If-None-Match": tag, "Accept-Encoding": "gzip"})
        assert (status, nothing, headers["ETag"]) == (304, b"", tag)
        assert headers["Content-Encoding"] is None and headers["X-Content-Type-Options"] == "nosniff"
    assert ask(board, "runs", headers={"If-None-Match": '"another"'})[0] == 200
    assert ask(board, "runs", headers={"If-None-Match": f'"another", W/{tag}'})[0] == 304
    status, headers, packed = ask(board, "runs", headers={"Accept-Encoding": "gzip"})
    assert status == 200 and headers["Content-Encoding"] == "gzip" and len(packed) < len(body)


def test_numbers_and_summaries_are_the_whole_history(board):
    status, headers, body = ask(board, "numbers", run=RUN, layer=["stem", "block/deep"], v="1")
    assert status == 200 and "no-cache" in headers["Cache-Control"], "there will be more"
    heads, rest = frames(body)
    assert [(head["layer"], head["shape"]) for head in heads] == [("stem", [4, 8]), ("block/deep", [16, 8])]
    assert heads[0]["steps"] == STEPS
    values = np.frombuffer(rest, "<f4")
    stem = values[: 100 * 4 * 8].reshape(100, 4, 8)
    assert stem[7, 0, 0] == -8, "lowest value of step 7"
    assert stem[7, 2, 6] == 5
    assert values.size == 100 * (4 + 16) * 8
    assert frames(ask(board, "numbers", run=RUN, layer="stem", after=97)[2])[0][0]["steps"] == [98, 99]
    heads, rest = frames(ask(board, "summaries", run=RUN)[2])
    assert heads["steps"] == STEPS and len(rest) == 4 * 100 * 3 * 2
    assert frames(ask(board, "summaries", run=RUN, after=98)[2])[0]["steps"] == [99]


def test_maps_and_the_probe_are_pictures(board):
    version = runs_of(board)[RUN]["steps"][0]["v"]
    status, headers, body = ask(board, "maps", run=RUN, layer="stem", step=99, image=1, v=version)
    assert (status, headers["Content-Type"], headers["X-Content-Type-Options"]) == (200, "image/png", "nosniff")
    assert "max-age=86400" in headers["Cache-Control"]
    assert Image.open(io.BytesIO(body)).size == (16, 16) or Image.open(io.BytesIO(body)).size == (32, 8)
    for parameters in ({}, {"v": "1"}, {"v": version + "0"}):
        status, headers, _ = ask(board, "maps", run=RUN, layer="stem", step=99, **parameters)
        assert status == 200 and "no-cache" in headers["Cache-Control"]
    picture = Image.open(io.BytesIO(ask(board, "probe", run=RUN, kind="picture", image=0)[2]))
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    status, headers, body = ask(board, "probe", run=RUN, kind="label", image=1, v=version)
    assert set(np.unique(np.asarray(Image.open(io.BytesIO(body))))) == {0, 1, 2}
    assert "max-age" in headers["Cache-Control"]


def test_a_bundle_holds_what_single_requests_give(board):
    version = runs_of(board)[RUN]["steps"][0]["v"]
    asked = {"run": RUN, "layer": ["stem", "block/deep"], "image": 1, "v": version}
    status, headers, body = ask(board, "bundle", **asked, step=[0, 50, 1000])
    assert status == 200 and "no-cache" in headers["Cache-Control"], "what is not there may come"
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
    assert "max-age" in ask(board, "bundle", **asked, step=[0, 50])[1]["Cache-Control"]


def test_findings_are_served_and_kept_under_their_version(board):
    (run,) = [each for each in json.loads(ask(board, "runs")[2])["runs"] if each["run"] == RUN]
    version, last = run["steps"][-1]["v"], run["steps"][-1]["steps"][-1]
    status, headers, body = ask(board, "findings", run=RUN, v=f"{version}-{last}")
    assert status == 200 and headers["Content-Type"] == "application/json" and "86400" in headers["Cache-Control"]
    assert {"kind", "severity", "text", "evidence", "advice", "link"} <= json.loads(body)["findings"][0].keys()
    assert "86400" not in ask(board, "findings", run=RUN)[1]["Cache-Control"]


def test_hostile_names_are_only_names(board):
    assert ask(board, "findings", run=f"{HOSTILE_RUN}/feature_maps")[0] == 200
    assert ask(board, "maps", run=RUN, layer=HOSTILE, step=0)[0] == 200
    assert ask(board, "numbers", run=RUN, layer=HOSTILE)[0] == 200
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
        ("maps", {"run": "link/feature_maps", "layer": "stem", "step": 0}, 404),
        ("maps", {"run": "../outside0/feature_maps", "layer": "stem", "step": 0}, 404),
        ("maps", {"run": RUN, "layer": "stem\0", "step": 1}, 404),
        ("maps", {"run": "changed/feature_maps", "layer": "stem", "step": 0}, 404),
        ("probe", {"run": RUN, "kind": "picture", "image": 2}, 404),
        ("probe", {"run": RUN, "kind": "mask", "image": 0}, 400),
        ("probe", {"run": RUN}, 400),
        ("probe", {"run": "nowhere", "kind": "label"}, 404),
        ("numbers", {"run": RUN, "layer": "nowhere"}, 404),
        ("numbers", {"run": RUN, "layer": "stem", "after": "x"}, 400),
        ("numbers", {"run": RUN}, 400),
        ("findings", {}, 400),
        ("findings", {"run": "nowhere"}, 404),
        ("numbers", {"run": RUN, "layer": [str(at) for at in range(300)]}, 400),
        ("summaries", {}, 400),
        ("summaries", {"run": "nowhere"}, 404),
        ("bundle", {"run": RUN, "layer": "stem", "step": list(range(300))}, 400),
        ("bundle", {"run": RUN, "layer": [str(at) for at in range(100)], "step": [1, 2, 3]}, 400),
        ("scalars", {"run": RUN}, 404),
        ("static/../plugin.py", {}, 404),
        ("static/nothing.js", {}, 404),
        ("static", {}, 404),
    ],
)
def test_what_is_wrong_is_told(board, path, parameters, expected):
    status, headers, body = ask(board, path, **parameters)
    assert status == expected
    assert body and headers["Content-Type"].startswith("text/plain") and b"\n" not in body.strip()


def test_only_reading(board):
    for method in ("POST", "PUT", "DELETE"):
        assert ask(board, "runs", method=method)[0] == 405
    status, _, body = ask(board, "runs", method="HEAD")
    assert (status, body) == (200, b"")


def test_the_page_is_a_closed_list_of_files(board):
    static = resources.files("fm_callback") / "page"
    for file in ("tensorboard.js", "main.js", "style/theme.css", "views/layer.js", "vendor/preact.js"):
        status, headers, body = ask(board, f"static/{file}")
        assert status == 200
        assert headers["Content-Type"].startswith("application/javascript" if file.endswith("js") else "text/css")
        assert body == (static / file).read_bytes()
    assert ask(board, "static/vendor/README.md")[0] == 404


def test_tensorboard_shows_the_tab_on_its_own_account(board):
    listed = board.wait_for("/data/plugins_listing", lambda found: found["feature_maps"]["enabled"], seconds=20)
    assert listed["feature_maps"]["tab_name"] == "Feature maps"
    assert board.json("/data/runs") == [], "TensorBoard itself has read nothing of ours"


def test_a_step_shows_within_three_seconds_and_an_empty_directory_becomes_a_log(tmp_path, log_dir):
    """On the reading path that the other tests do not take."""
    with tensorboard(tmp_path / "logs", False) as board:
        assert not board.json("/data/plugins_listing")["feature_maps"]["enabled"]
        assert "there is no directory" in json.loads(ask(board, "runs")[2])["problems"][0]
        run = RunLog(tmp_path / "logs", {"stem": (8, 8, 4)}, steps=[0])
        for step in range(1, 4):
            board.wait_for(
                f"{BASE}/runs",
                lambda found, step=step: found["runs"] and steps_of(found["runs"][0]) == list(range(step)),
                seconds=3,
            )
            run.write(step)
        assert board.json("/data/plugins_listing")["feature_maps"]["enabled"]


def test_the_directories_of_a_spec_give_the_runs_names(log_dir, tmp_path):
    RunLog(tmp_path / "own", {"stem": (8, 8, 4)}, steps=[0])
    spec = f"--logdir_spec=named:{log_dir / 'seed0'},{tmp_path},one:{tmp_path / 'own' / 'feature_maps'}"
    with tensorboard(tmp_path, False, spec) as board:
        runs = runs_of(board)
        names = {run: found["name"] for run, found in runs.items()}
        assert names == {"named/feature_maps": "named", "own/feature_maps": "own", "one": "one"}
        for run in runs:
            assert ask(board, "maps", run=run, layer="stem", step=0)[0] == 200


@pytest.mark.parametrize(
    ("logdir", "spec", "expected"),
    [
        ("logs", None, {"logs": None}),
        ("logs", "a:b", {"logs": None}),
        ("", "", {}),
        (None, "a:/b,/c:d,e", {"/b": "a", "/c:d": None, "e": None}),
        (None, "a:/with:colon", {"/with:colon": "a"}),
        (None, "gs://bucket/a,,x:", {"gs://bucket/a": None}),
        (None, "x:gs://bucket", {"gs://bucket": "x"}),
    ],
)
def test_log_directories_are_those_of_tensorboard(logdir, spec, expected):
    assert log_directories(logdir, spec) == expected


# Without a server


class Application:
    """The plugin's own application, with TensorBoard's check of headers, in this process."""

    def __init__(self, log_dir, **flags):
        self.plugin = FeatureMapsPlugin(TBContext(logdir=str(log_dir), flags=argparse.Namespace(**flags)))
        self._routes = self.plugin.get_plugin_apps()
        self._client = Client(SecurityValidatorMiddleware(self._serve))

    def _serve(self, environ, start_response):
        route = self._routes.get(environ["PATH_INFO"])
        if route is None:  # as TensorBoard
            start_response("404 NOT FOUND", [("Content-Type", "text/plain"), ("X-Content-Type-Options", "nosniff")])
            return [b"Not found"]
        return route(environ, start_response)

    def ask(self, path, method="GET", headers=None, **parameters):
        query = urlencode(parameters, doseq=True)
        answer = self._client.open("/" + path, method=method, query_string=query, headers=headers)
        return answer.status_code, answer.headers, answer.get_data()


@pytest.fixture(scope="module")
def application(log_dir):
    return Application(log_dir)


def test_many_requests_do_not_each_look_at_the_log_directory(log_dir, monkeypatch):
    application = Application(log_dir)
    assert application.ask("runs")[0] == 200
    looks = []
    refresh = application.plugin._log.refresh
    monkeypatch.setattr(application.plugin._log, "refresh", lambda: looks.append(time.monotonic()) or refresh())
    began = time.monotonic()
    while time.monotonic() < began + 2.5:
        assert application.ask("runs")[0] == 200
    assert 1 <= len(looks) <= 3 and all(later - before >= 1 for before, later in itertools.pairwise(looks))


def test_a_log_directory_that_is_no_longer_there_is_no_error(tmp_path):
    run = RunLog(tmp_path, {"stem": (8, 8, 4)}, steps=[0])
    application = Application(tmp_path)
    assert application.plugin.is_active()
    run.path.unlink()
    for path, parameters in [("maps", {"layer": "stem", "step": 0}), ("numbers", {"layer": "stem"}), ("summaries", {})]:
        assert application.ask(path, run="feature_maps", **parameters)[0] == 404
    time.sleep(1.1)
    assert not application.plugin.is_active()
    assert json.loads(application.ask("runs")[2])["runs"] == []
    assert not Application("").plugin.is_active(), "no log directory at all"


def test_damage_is_never_an_error_of_the_server(tmp_path):
    run = RunLog(tmp_path, {"stem": (8, 8, 4)}, steps=[0, 1, 2])
    content = run.path.read_bytes()
    start = len(run.run_record(0))
    end = start + len(run.step_record(0))
    damaged = bytearray(content)
    for at in range(start + 200, end, 50):
        damaged[at] ^= 255
    run.path.write_bytes(damaged)
    application = Application(tmp_path)
    assert json.loads(application.ask("runs")[2])["runs"][0]["run"] == "feature_maps"
    statuses = [application.ask("maps", run="feature_maps", layer="stem", step=step)[0] for step in (0, 1, 2)]
    assert statuses == [404, 200, 200]
    assert frames(application.ask("numbers", run="feature_maps", layer="stem")[2])[0][0]["steps"] == [1, 2]
    assert "step 0" in json.loads(application.ask("runs")[2])["runs"][0]["problems"][0]


def _requests():
    known = st.sampled_from(
        [RUN, "stem", "block/deep", HOSTILE, "0", "1", "99", "feature_maps", "picture", "label", "", ".", "..", "link"]
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
        st.sampled_from(["run", "layer", "step", "image", "kind", "after", "v", "path"]), st.text(max_size=8)
    )
    # Half of the requests have what the route wants, so that something is read.
    sound = st.lists(
        st.sampled_from([("image", "0"), ("image", "1"), ("kind", "label"), ("after", "97"), ("layer", HOSTILE)])
    ).map(lambda more: [("run", RUN), ("layer", "stem"), ("step", "1"), *more])
    route = st.one_of(
        st.sampled_from(
            [
                "runs",
                "numbers",
                "summaries",
                "maps",
                "bundle",
                "probe",
                "findings",
                "static/tensorboard.js",
                "static",
                "",
            ]
        ),
        st.text(max_size=30),
        st.lists(
            st.sampled_from(["static", "..", ".", "views", "%2e%2e", "vendor", "plugin.py", "secret.txt"]), max_size=5
        ).map("/".join),
    )
    method = st.sampled_from(["GET"] * 8 + ["HEAD", "POST", "OPTIONS"])
    return st.tuples(method, route, st.one_of(sound, st.lists(st.tuples(name, value), max_size=8)))


def _is_harmless(request, status, headers, body):
    assert status < 500, (request, body[:300])
    assert SECRET not in body and b"root:" not in body
    assert headers["Content-Type"].split(";")[0] != "text/html" or status >= 300


def _attacks(count):
    """A test of so many hostile requests, the same each time."""

    def decorate(attack):
        attack = hypothesis.given(_requests())(attack)
        for example in [
            ("GET", "maps", [("run", RUN), ("layer", "stem"), ("step", "1"), ("blob_key", "WyJ4Il0")]),
            ("GET", "bundle", [("run", RUN), ("layer", "stem\ufffd"), ("step", "1"), ("image", "9" * 18)]),
        ]:
            attack = hypothesis.example(example)(attack)
        checks = list(hypothesis.HealthCheck)
        settings = hypothesis.settings(max_examples=count, deadline=None, database=None, suppress_health_check=checks)
        return hypothesis.seed(count)(settings(attack))

    return decorate


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_no_request_breaks_it(application, count, caplog):
    statuses = []

    @_attacks(count)
    def attack(request):
        method, route, parameters = request
        query = urlencode(parameters, errors="surrogatepass")
        answer = application._client.open(
            "/" + quote(route, safe="/%", errors="surrogatepass"), method=method, query_string=query
        )
        statuses.append(answer.status_code)
        _is_harmless(request, answer.status_code, answer.headers, answer.get_data())

    attack()
    assert statuses.count(200) > count / 10, "some of them read something"
    assert len(json.loads(application.ask("runs")[2])["runs"]) == 4
    assert not caplog.records, "TensorBoard's check of headers has nothing to say"


@pytest.mark.timeout(600)
def test_no_request_breaks_the_server(board):
    @_attacks(300)
    def attack(request):
        method, route, parameters = request
        url = urlsplit(board.url)
        with contextlib.closing(http.client.HTTPConnection(url.netloc, timeout=30)) as connection:
            query = urlencode(parameters, errors="surrogatepass")
            path = quote(route, safe="/%", errors="surrogatepass")
            connection.request(method, f"{url.path}{BASE}/{path}?{query}")
            answer = connection.getresponse()
            _is_harmless(request, answer.status, answer.headers, answer.read())

    attack()
    assert set(runs_of(board)) == RUNS, "TensorBoard still answers"


def test_the_entry_point_imports_no_framework():
    code = (
        "import sys; from fm_callback.tensorboard_plugin.loader import FeatureMapsLoader; "
        "print([name for name in ('numpy', 'PIL', 'keras', 'fm_callback.read') if name in sys.modules]); "
        "from fm_callback.tensorboard_plugin import plugin; "
        "print([name for name in ('tensorflow', 'keras', 'torch', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"
    assert "keras" not in done.stdout and "fm_callback.read" not in done.stdout


def test_no_flag_of_tensorboards_is_changed():
    flags = argparse.Namespace(samples_per_plugin={})
    FeatureMapsLoader().fix_flags(flags)
    assert flags.samples_per_plugin == {}


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
