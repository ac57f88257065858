"""Event files read back: record by record, and through TensorBoard's own data provider on both of its reading paths."""

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorboard_data_server
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto import event_pb2
from tensorboard.context import RequestContext
from tensorboard.data.server_ingester import ServerBinary, SubprocessServerDataIngester
from tensorboard.util import tensor_util
from tensorboard.util.grpc_util import ChannelCredsType

from fm_callback import tfrecord


def events(directory: Path) -> list[Any]:
    """All whole events of a directory's files, in the order in which readers take them."""
    found = []
    for path in sorted(directory.glob("events.out.tfevents.*")):
        with open(path, "rb") as file:
            found += [event_pb2.Event.FromString(record) for record in tfrecord.records(file)]
    return found


def steps_of(directory: Path) -> list[int]:
    """The steps of a directory's records that hold values."""
    return [event.step for event in events(directory) if event.summary.value]


def values_at(directory: Path, step: int) -> dict[str, Any]:
    """`{tag: value}` of the records at a step."""
    return {value.tag: value for event in events(directory) if event.step == step for value in event.summary.value}


def facts_of(directory: Path) -> dict[str, dict[str, Any]]:
    """`{tag: static facts}` of our own tags, from the first event of each."""
    facts: dict[str, dict[str, Any]] = {}
    for event in events(directory):
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "feature_maps":
                facts.setdefault(value.tag, json.loads(value.metadata.plugin_data.content))
    return facts


def numbers(value: Any) -> np.ndarray:
    return tensor_util.make_ndarray(value.tensor)


def with_tensorboards_own_loader(directory: Path) -> list[tuple[int, str]]:
    """(step, tag) of everything that TensorBoard's Python loader finds in a directory's files."""
    found = []
    for path in sorted(directory.glob("events.out.tfevents.*")):
        for event in LegacyEventFileLoader(str(path)).Load():
            found += [(event.step, value.tag) for value in event.summary.value]
    return found


PLUGINS = ("feature_maps", "images", "scalars", "text")


def on_both_paths(root: Path) -> dict[str, dict[str, list[int]]]:
    """`{run: {tag: steps}}` as TensorBoard's two ways of reading find them under a directory; fails where they differ.

    What its server does behind its pages, without the pages: the Python reader, and the data server's own program.
    """
    samples = dict.fromkeys(PLUGINS, 10**6)
    multiplexer = EventMultiplexer(tensor_size_guidance=samples, max_reload_threads=1)
    multiplexer.AddRunsFromDirectory(str(root))
    multiplexer.Reload()
    slow = _all_steps(MultiplexerDataProvider(multiplexer, str(root)))
    program = ServerBinary(tensorboard_data_server.server_binary(), tensorboard_data_server.__version__)
    server = SubprocessServerDataIngester(
        program, str(root), reload_interval=1, channel_creds_type=ChannelCredsType.LOCAL, samples_per_plugin=samples
    )
    server.start()
    try:
        end = time.monotonic() + 10
        while (fast := _all_steps(server.data_provider)) != slow and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        server._stdin_handle.close()  # it ends with its standard input
    for run in fast.keys() | slow.keys():
        assert fast.get(run) == slow.get(run), run
    return slow


def _all_steps(provider: Any) -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = {}
    for plugin in PLUGINS:
        for read in (provider.read_blob_sequences, provider.read_tensors, provider.read_scalars):
            answer = read(RequestContext(), experiment_id="", plugin_name=plugin, downsample=10**9)
            for run, tags in answer.items():
                for tag, data in tags.items():
                    found.setdefault(run, {})[tag] = [datum.step for datum in data]
    return found


class Board:
    """A running TensorBoard."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return response.read()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def wait_for(self, path: str, condition: Any, seconds: float = 60) -> Any:
        """The JSON at a path once it satisfies a condition; fails the test if it never does."""
        end = time.monotonic() + seconds
        answer = None
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                answer = self.json(path)
                if condition(answer):
                    return answer
            time.sleep(0.2)
        raise AssertionError(f"TensorBoard never answered as expected at {path}; last answer: {answer}")


@contextlib.contextmanager
def tensorboard(logdir: Path, fast: bool, *options: str) -> Iterator[Board]:
    """The real server on a log directory, on its fast (data server) or slow (Python) reading path.

    It answers, but may not have read anything yet.
    """
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--port", str(port), "--reload_interval", "1"]
    if not any(option.startswith("--logdir_spec=") for option in options):
        command += ["--logdir", str(logdir)]
    command += ["--load_fast", "true" if fast else "false", *options]
    prefix = next((option.split("=", 1)[1] for option in options if option.startswith("--path_prefix=")), "")
    board = Board(f"http://localhost:{port}{prefix}")
    with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads fills up and stops the server
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        try:
            board.wait_for("/data/environment", bool)
            yield board
        finally:
            process.terminate()
            process.wait(timeout=20)
            log.seek(0)
            errors = log.read()
            assert "Traceback" not in errors, errors
