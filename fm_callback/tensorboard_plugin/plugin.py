"""The plugin: `read.answers` and the page, by HTTP.

It reads the log directory itself: TensorBoard keeps nothing of ours in memory, thins out no steps, and need not know our
names.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import Request, Response

from fm_callback.format import PLUGIN
from fm_callback.read.answers import MOST_LAYERS, MOST_PICTURES, Answers, BadQuestionError, NothingThereError
from fm_callback.read.log import Log
from fm_callback.tensorboard_plugin.watch import Watch

_TYPES = {"js": "application/javascript", "css": "text/css"}

# What is addressed by its version does not change.
_DAY = 86400
# How long an answer waits for what is new, and for the log to be read for the first time.
_PATIENCE, _FIRST_PATIENCE = 0.5, 10.0

# Seconds. On its slow path TensorBoard reads its own logs on a thread that computes all the time, and lets others have a turn
# every 5 ms, of which an answer takes many: pictures took four times as long (`benchmarks/log_scale.py`).
_TURN = 0.0005

_Route = Callable[[Request], Any]


class FeatureMapsPlugin(base_plugin.TBPlugin):
    """Serves the "Feature maps" tab."""

    plugin_name = PLUGIN

    def __init__(self, context: base_plugin.TBContext) -> None:
        directories = log_directories(context.logdir, getattr(context.flags, "logdir_spec", None))
        log = self._log = Log(*directories, names=list(directories.values()))
        self._answers = Answers(log)
        self._watch = Watch(log)
        sys.setswitchinterval(min(sys.getswitchinterval(), _TURN))

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """The routes; the static files are a closed list, made here."""
        routes: dict[str, _Route] = {
            "/runs": self._runs,
            "/numbers": self._numbers,
            "/summaries": self._summaries,
            "/maps": self._maps,
            "/bundle": self._bundle,
            "/prediction": self._prediction,
            "/scores": self._scores,
            "/probe": self._probe,
            "/findings": self._findings,
        }
        for path, file in _static_files(resources.files("fm_callback") / "page", "/static"):
            routes[path] = partial(_serve_file, file)
        return {path: _read_only(route) for path, route in routes.items()}

    def is_active(self) -> bool:
        """Whether there is a run."""
        self._watch.look(_PATIENCE)
        return len(self._log) > 0

    def data_plugin_names(self) -> tuple[str, ...]:
        """None: what TensorBoard has read itself says nothing of our logs."""
        return ()

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """The page in its frame; it follows TensorBoard's reload."""
        return base_plugin.FrontendMetadata(es_module_path="/static/tensorboard.js", tab_name="Feature maps")

    def _runs(self, request: Request) -> Any:
        self._watch.look(_PATIENCE if self._watch.opened else _FIRST_PATIENCE)
        content, tag = self._answers.runs()
        if request.if_none_match.contains_weak(tag):
            return _not_modified(tag)
        return http_util.Respond(request, content, "application/json", headers=[("ETag", f'"{tag}"')])

    def _numbers(self, request: Request) -> Response:
        layers = _texts(request, "layer", MOST_LAYERS)
        return _frames(request, self._answers.numbers(_text(request, "run"), layers, _integer(request, "after", -1)))

    def _summaries(self, request: Request) -> Response:
        return _frames(request, self._answers.summaries(_text(request, "run"), _integer(request, "after", -1)))

    def _maps(self, request: Request) -> Response:
        run, layer, step, image = (
            _text(request, "run"),
            _text(request, "layer"),
            _integer(request, "step"),
            _integer(request, "image", 0),
        )
        return _picture(request, *self._answers.maps(run, layer, step, image, request.args.get("v")))

    def _bundle(self, request: Request) -> Response:
        run, image = _text(request, "run"), _integer(request, "image", 0)
        layers, steps = (_texts(request, name, MOST_PICTURES) for name in ("layer", "step"))
        numbers = [_number("step", step) for step in steps]
        return _frames(request, *self._answers.bundle(run, layers, numbers, image, request.args.get("v")))

    def _prediction(self, request: Request) -> Response:
        run, step, image = _text(request, "run"), _integer(request, "step"), _integer(request, "image", 0)
        return _picture(request, *self._answers.prediction(run, step, image, request.args.get("v")))

    def _scores(self, request: Request) -> Response:
        return _frames(request, self._answers.scores(_text(request, "run"), _integer(request, "after", -1)))

    def _probe(self, request: Request) -> Response:
        run, kind, image = _text(request, "run"), _text(request, "kind"), _integer(request, "image", 0)
        return _picture(request, *self._answers.probe(run, kind, image, request.args.get("v")))

    def _findings(self, request: Request) -> Response:
        content, lasting = self._answers.findings(_text(request, "run"), request.args.get("v"))
        return http_util.Respond(request, content, "application/json", expires=_DAY if lasting else 0)


def log_directories(logdir: str | None, spec: str | None) -> dict[str, str | None]:
    """The directories that TensorBoard watches, and for each what the names of its runs begin with.

    Args:
        logdir: What it was given as `--logdir`.
        spec: What it was given as `--logdir_spec`, `name:path,path,...`; of no account beside the other.

    >>> log_directories("logs", None)
    {'logs': None}
    >>> log_directories("", "a:one,two,/b:three")
    {'one': 'a', 'two': None, '/b:three': None}
    """
    if logdir or not spec:
        return {logdir: None} if logdir else {}
    found: dict[str, str | None] = {}
    for part in spec.split(","):
        name, colon, path = part.partition(":")
        address = re.match(r"[a-zA-Z][0-9a-zA-Z.]*://", part)
        named = colon and not (part.startswith("/") or address or os.path.splitdrive(part)[0])
        found[path if named else part] = name or None if named else None
    return {path: name for path, name in found.items() if path}


def _read_only(route: _Route) -> Callable[..., Any]:
    @Request.application
    def serve(request: Request) -> Any:
        if request.method not in ("GET", "HEAD"):
            return _refuse(request, 405, "only GET", [("Allow", "GET, HEAD")])
        try:
            return route(request)
        except BadQuestionError as error:
            return _refuse(request, 400, str(error))
        except NothingThereError as error:
            return _refuse(request, 404, str(error))

    return serve


def _refuse(request: Request, code: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    text = re.sub(r"[\ud800-\udfff]", "\ufffd", reason)
    return http_util.Respond(request, text, "text/plain", code=code, headers=list(headers))


def _not_modified(tag: str) -> Callable[..., list[bytes]]:
    """No body and no length; the headers that TensorBoard wants of every answer, which Werkzeug would take out of this one."""

    def serve(environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        headers = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"), ("ETag", f'"{tag}"')]
        start_response("304 NOT MODIFIED", [*headers, ("Cache-Control", "no-cache, must-revalidate")])
        return []

    return serve


def _text(request: Request, name: str) -> str:
    if (value := request.args.get(name)) is None:
        raise BadQuestionError(f"the parameter {name!r} is missing")
    return value


def _texts(request: Request, name: str, most: int) -> list[str]:
    values = list(dict.fromkeys(request.args.getlist(name)))
    if not 0 < len(values) <= most:
        raise BadQuestionError(
            f"the parameter {name!r} must be given 1 to {most} times; it is given {len(values)} times"
        )
    return values


def _integer(request: Request, name: str, default: int | None = None) -> int:
    if default is not None and name not in request.args:
        return default
    return _number(name, _text(request, name))


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadQuestionError(f"the parameter {name!r} must be a whole number from 0")
    return int(text)


def _picture(request: Request, png: bytes, lasting: bool) -> Response:
    # Whatever a log holds, the browser is told that it is a picture, and told not to guess.
    return http_util.Respond(request, png, "image/png", expires=_DAY if lasting else 0)


def _frames(request: Request, content: bytes, lasting: bool = False) -> Response:
    return http_util.Respond(request, content, "application/octet-stream", expires=_DAY if lasting else 0)


def _static_files(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _static_files(entry, f"{path}/{entry.name}")
        elif entry.name.rsplit(".", 1)[-1] in _TYPES:
            yield f"{path}/{entry.name}", entry


def _serve_file(file: Traversable, request: Request) -> Response:
    return http_util.Respond(request, file.read_bytes(), _TYPES[file.name.rsplit(".", 1)[-1]])
