"""The plugin: read-only routes over the data provider, and the page.

| route | answer |
|---|---|
| `runs` | JSON: runs, layers with their static facts, steps |
| `numbers?run&layer...` | frames: for each layer its steps and all its numbers |
| `maps?run&layer&step&image` | the stored PNG of a layer at a step |
| `bundle?run&layer...&step...&image` | frames: the same for each of these layers at each of these steps |
| `probe?run&index` | a PNG of the probe: its images, then its masks |
| `scalars?run` | JSON: the layers' summaries |
| `static/...` | the page |

Frames: a 32-bit little-endian length, JSON of that length that says what follows, then the bytes.
"""

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from tensorboard import errors, plugin_util
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import Request, Response

from fm_callback.format import PLUGIN, VERSION
from fm_callback.tensorboard_plugin.loader import STEPS
from fm_callback.tensorboard_plugin.log import Log

#: Most pictures of a bundle, and most layers of one answer.
MOST = 256

_TYPES = {"js": "application/javascript", "css": "text/css"}

# Content that is addressed by its wall time does not change.
_DAY = 86400

_Route = Callable[[Request], Response]


class FeatureMapsPlugin(base_plugin.TBPlugin):
    """Serves the "Feature maps" tab."""

    plugin_name = PLUGIN

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._log = Log(context.data_provider)
        hints = getattr(context.flags, "samples_per_plugin", None) or {}
        self._cap = hints.get(PLUGIN, STEPS)

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """The routes; the static files are a closed list, made here."""
        routes: dict[str, _Route] = {
            "/runs": self._runs,
            "/numbers": self._numbers,
            "/maps": self._maps,
            "/bundle": self._bundle,
            "/probe": self._probe,
            "/scalars": self._scalars,
        }
        for path, file in _static_files(resources.files("fm_callback") / "page", "/static"):
            routes[path] = partial(_serve_file, file)
        return {path: _read_only(route) for path, route in routes.items()}

    def is_active(self) -> bool:
        """TensorBoard itself adds whether there is any data."""
        return False

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """The page in its frame; it follows TensorBoard's reload."""
        return base_plugin.FrontendMetadata(es_module_path="/static/index.js", tab_name="Feature maps")

    def _runs(self, request: Request) -> Response:
        content = {"version": VERSION, "cap": self._cap, "runs": self._log.runs(*_asker(request))}
        return http_util.Respond(request, content, "application/json")

    def _numbers(self, request: Request) -> Response:
        run, layers = _text(request, "run"), _texts(request, "layer")
        found = self._log.numbers(*_asker(request), run, layers)
        heads = []
        for layer, (steps, tables) in zip(layers, found, strict=True):
            heads.append({"layer": layer, "steps": steps, "shape": list(tables[0].shape) if tables else [0, 0]})
        return _frames(request, heads, (table.tobytes() for _, tables in found for table in tables))

    def _maps(self, request: Request) -> Response:
        run, layer, step, image = (
            _text(request, "run"),
            _text(request, "layer"),
            _integer(request, "step"),
            _integer(request, "image", 0),
        )
        return _picture(request, self._log.maps(*_asker(request), run, layer, step, image))

    def _bundle(self, request: Request) -> Response:
        run, image = _text(request, "run"), _integer(request, "image", 0)
        layers, steps = _texts(request, "layer"), [_number("step", text) for text in _texts(request, "step")]
        if len(layers) * len(steps) > MOST:
            raise errors.InvalidArgumentError(
                f"at most {MOST} pictures at a time; asked for {len(layers)} layers at {len(steps)} steps"
            )
        wanted = ((layer, step) for layer in layers for step in steps)
        heads, blobs = [], []
        for layer, step, png in self._log.bundle(*_asker(request), run, wanted, image):
            heads.append({"layer": layer, "step": step, "size": None if png is None else len(png)})
            blobs.append(png or b"")
        # What is not there may come.
        return _frames(request, heads, blobs, lasting=all(head["size"] for head in heads))

    def _probe(self, request: Request) -> Response:
        return _picture(request, self._log.probe(*_asker(request), _text(request, "run"), _integer(request, "index")))

    def _scalars(self, request: Request) -> Response:
        return http_util.Respond(
            request, self._log.scalars(*_asker(request), _text(request, "run")), "application/json"
        )


def _read_only(route: _Route) -> Callable[..., Any]:
    @Request.application
    def serve(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return http_util.Respond(request, "only GET", "text/plain", code=405, headers=[("Allow", "GET, HEAD")])
        return route(request)

    return serve


def _asker(request: Request) -> tuple[Any, str]:
    return plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)


def _text(request: Request, name: str) -> str:
    if (value := request.args.get(name)) is None:
        raise errors.InvalidArgumentError(f"the parameter {name!r} is missing")
    return value


def _texts(request: Request, name: str) -> list[str]:
    values = list(dict.fromkeys(request.args.getlist(name)))
    if not 0 < len(values) <= MOST:
        raise errors.InvalidArgumentError(
            f"the parameter {name!r} must be given 1 to {MOST} times; it is given {len(values)} times"
        )
    return values


def _integer(request: Request, name: str, default: int | None = None) -> int:
    if default is not None and name not in request.args:
        return default
    return _number(name, _text(request, name))


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise errors.InvalidArgumentError(f"the parameter {name!r} must be a whole number from 0")
    return int(text)


def _picture(request: Request, png: bytes) -> Response:
    # Whatever a log holds under our name, the browser is told that it is a picture, and told not to guess.
    return http_util.Respond(request, png, "image/png", expires=_expires(request))


def _frames(request: Request, heads: list[dict[str, Any]], blobs: Iterable[bytes], lasting: bool = True) -> Response:
    head = json.dumps(heads).encode()
    content = b"".join((struct.pack("<I", len(head)), head, *blobs))
    return http_util.Respond(request, content, "application/octet-stream", expires=_expires(request) if lasting else 0)


def _expires(request: Request) -> int:
    return _DAY if "v" in request.args else 0


def _static_files(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _static_files(entry, f"{path}/{entry.name}")
        elif entry.name.rsplit(".", 1)[-1] in _TYPES:
            yield f"{path}/{entry.name}", entry


def _serve_file(file: Traversable, request: Request) -> Response:
    return http_util.Respond(request, file.read_bytes(), _TYPES[file.name.rsplit(".", 1)[-1]])
