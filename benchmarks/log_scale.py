"""What a large log costs TensorBoard, and how fast the "Feature maps" tab is on it.

    python benchmarks/log_scale.py            # about a quarter of an hour
    python benchmarks/log_scale.py --quick    # one and two runs of few steps: to see that it runs

Runs of 51 layers and 100 steps, 1, 5 and 20 of them (copies of one), with pictures for the Images tab and without, on both of
TensorBoard's reading paths; and one run of 2,000 steps of 8 layers. For each: the resident memory of all of TensorBoard's processes
once it has read everything and the tab has been used (TensorFlow kept out of them: where it is installed, TensorBoard loads it, which
takes some 620 MB before any log is read); the time until the first row of Evolution's channels is painted after the tab is opened
(what colours and other views take is measured by `dashboard.py`); the median time until a new step of ten visible layers is on the screen once its pictures are fetched; the time for 1,000 pictures with six requests
in flight. The browser's figures need playwright and Debian's chromium.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
from timing import figure

from fm_callback.format import (
    NUMBERS,
    TABLE_TAG,
    LayerFacts,
    LayerStep,
    ProbeFacts,
    RunFacts,
    run_record,
    step_record,
    to_grid,
)
from fm_callback.scores.measures import described, summaries
from fm_callback.write import event_copies, grid, png
from fm_callback.write.run_files import new_run

CHANNELS = 32
# The resolutions that the 51 convolutions of SD_UNet have for an input of 96x96.
SIDES = [*[96] * 5, *[48] * 5, *[24] * 5, *[12] * 5, *[6] * 11, *[12] * 5, *[24] * 5, *[48] * 5, *[96] * 5]
FIELDS = (*NUMBERS, "mask_auroc", "mask_iou", "edge_auroc", "outline_auroc")
PORT = 6420
DIFFERENT = 4  # the pictures of a layer repeat after so many steps, which no reader can make use of


class Size(NamedTuple):
    """A log: so many runs with so many steps of some layers."""

    runs: int
    steps: int
    sides: list[int]
    images: bool
    stored: int = 1  # images of which each step has maps


class Figures(NamedTuple):
    """What was measured on a log."""

    memory: float  # MB
    first: float  # seconds until the first row
    step: float  # milliseconds for a new step
    pictures: float  # seconds for 1,000 pictures


def main() -> None:
    """Writes the logs, and measures on each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few runs and steps: to see that it runs")
    options = parser.parse_args()
    counts, steps, many = ((1, 2), 12, 40) if options.quick else ((1, 5, 20), 100, 2000)
    judged = not options.quick
    for path, flags in (("fast path", []), ("slow path", ["--load_fast=false"])):
        for images, whole, each in ((True, 1000, 35), (False, 600, 15)):
            name = f"{path}, {'with' if images else 'without'} copies for Images"
            found = {runs: measure(Size(runs, steps, SIDES, images), flags) for runs in counts}
            few, most = counts[0], counts[-1]
            figure(f"{name}: memory, {most} runs", found[most].memory, **at(judged, whole), unit=" MB")
            further = (found[most].memory - found[few].memory) / (most - few)
            figure(f"{name}: memory, each further run", further, **at(judged, each), unit=" MB")
            for runs, figures in found.items():
                figure(f"{name}: first row, {runs} run{'s' * (runs > 1)}", figures.first, **at(judged, 1.5), unit=" s")
            figure(f"{name}: a new step of ten layers, {most} runs", found[most].step, **at(judged, 100), unit=" ms")
            figure(f"{name}: 1,000 pictures, {most} runs", found[most].pictures, **at(judged, 5), unit=" s")
        long = measure(Size(1, many, SIDES[:40:5], True), flags)
        figure(f"{path}: memory, {many:,} steps of 8 layers", long.memory, unit=" MB")
        figure(f"{path}: first row, {many:,} steps of 8 layers", long.first, **at(judged, 1.5), unit=" s")


def at(judged: bool, most: float) -> dict[str, float]:
    """A target, where the sizes are those that it is set for."""
    return {"at_most": most} if judged else {}


def measure(size: Size, flags: list[str]) -> Figures:
    """Writes a log and measures on it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = write_log(folder, size)
        with tensorboard(folder, size, flags) as (server, address):
            seconds = pictures(address, size)
            first, step = browse(address, size, "&p.feature_maps.show=all")
            memory = resident(server.pid)
    print(
        f"{size.runs} x {len(size.sides)} layers x {size.steps} steps, {written / 1e6:,.0f} MB, images={size.images}, "
        f"{' '.join(flags)}: {memory:.0f} MB, first row {first:.2f} s, a step {step:.0f} ms, pictures {seconds:.2f} s",
        flush=True,
    )
    return Figures(memory, first, step, seconds)


def write_log(folder: Path, size: Size) -> int:
    """Writes a run as the callback does, and copies it; returns the bytes of all."""
    rng = np.random.default_rng(0)
    maps = {side: [_maps(rng, side) for _ in range(DIFFERENT)] for side in set(size.sides)}
    numbers = [_numbers(rng) for _ in range(DIFFERENT)]
    grids = {side: [png.encode(to_grid(each, 4, 8)) for each in maps[side]] for side in maps}
    copies = {side: [_copy(each, table) for each, table in zip(maps[side], numbers, strict=True)] for side in maps}
    layers, words = [_facts(number, side) for number, side in enumerate(size.sides, 1)], described()
    facts = RunFacts(0, tuple(layers), probe=ProbeFacts(8, size.stored), measures=words, images=size.images)
    files = new_run(folder / "seed0", 0)
    scalars = rng.uniform(0.4, 0.9, len(layers[0].summaries)).astype(np.float32)
    for step in range(size.steps):
        turn = step % DIFFERENT
        stored, values = [], []
        for layer, side in zip(layers, size.sides, strict=True):
            pictures = [grids[side][(turn + image) % DIFFERENT] for image in range(size.stored)]
            stored.append(LayerStep(pictures, numbers[turn], scalars))
            if size.images:
                values.append(event_copies.image_value(layer.name, *copies[side][turn], "a picture"))
            values += [
                event_copies.scalar_value(event_copies.group(name), layer.name, 0.5, words[name]["says"])
                for name in event_copies.curves(layer.summaries)
            ]
        values.append(
            event_copies.text_value(
                TABLE_TAG, "| layer |\n| --- |\n" + "| of so many words as the table has |\n" * len(layers)
            )
        )
        head = run_record(facts) if step == 0 else b""
        files.write(step, step_record(step, 1e9 + step, stored), values, head)
    files.close()
    for run in range(1, size.runs):
        shutil.copytree(folder / "seed0", folder / f"seed{run}")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _maps(rng: np.random.Generator, side: int) -> np.ndarray:
    """Smooth noise, which compresses about as well as maps do."""
    maps = rng.normal(size=(CHANNELS, side, side))
    for axis in (1, 2):
        maps = maps + np.roll(maps, 1, axis) + np.roll(maps, -1, axis)
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (255 * (maps - low) / (high - low)).astype(np.uint8)


def _copy(maps: np.ndarray, numbers: np.ndarray) -> tuple[bytes, tuple[int, int]]:
    picture = grid.picture(maps, numbers, tuple(range(CHANNELS)), 4, 8)
    return png.encode(picture, grid.PALETTE), picture.shape[::-1]


def _numbers(rng: np.random.Generator) -> np.ndarray:
    numbers = rng.uniform(0.4, 0.9, (CHANNELS, len(FIELDS))).astype(np.float32)
    numbers[:, 0] = -1
    numbers[:, 6] = 0
    return numbers


def _facts(number: int, side: int) -> LayerFacts:
    name = f"block{number // 6}/conv{number}"
    return LayerFacts(
        name, name, (side, side, 64), (side, side), tuple(range(CHANNELS)), 4, 8, FIELDS, summaries(FIELDS),
        kind="Conv2D", number=number, kernel=(3, 3), planar=True,
    )  # fmt: skip


@contextmanager
def tensorboard(folder: Path, size: Size, flags: list[str]) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """A server that has read everything; gives its process, and the address of our routes."""
    program = Path(sys.executable).with_name("tensorboard")
    hidden = folder.with_name(f"{folder.name}-hidden")
    hidden.mkdir()
    (hidden / "tensorflow.py").write_text("raise ImportError('kept out of this measurement')")
    server = subprocess.Popen(
        [program, "--logdir", folder, "--port", str(PORT), "--host", "localhost", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(hidden), os.environ.get("PYTHONPATH", "")])},
    )
    home = f"http://localhost:{PORT}/data/plugin"
    tag = f"maps_dead_or_flat/{_facts(len(size.sides), 6).name}"
    last = urlencode({"run": f"seed{size.runs - 1}/feature_maps", "tag": tag})

    def everything_is_read() -> bool:
        runs = json.load(urlopen(f"{home}/feature_maps/runs"))["runs"]
        if len(runs) < size.runs or any(run["steps"][-1]["steps"][-1] < size.steps - 1 for run in runs):
            return False
        points = json.load(urlopen(f"{home}/scalars/scalars?{last}"))
        return bool(points and points[-1][1] == size.steps - 1)

    try:
        deadline = time.monotonic() + 1200
        while time.monotonic() < deadline:
            try:
                if everything_is_read():
                    break
            except HTTPError as error:
                if error.code == 404 and error.url.endswith("/runs"):
                    raise SystemExit("TensorBoard does not know the plugin: install the package first") from error
            except (URLError, ConnectionError):
                pass
            time.sleep(0.5)
        else:
            raise SystemExit("TensorBoard did not read the log within twenty minutes")
        time.sleep(3)
        yield server, f"{home}/feature_maps"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(hidden)


def resident(pid: int) -> float:
    """Resident memory of a process and all that it has started, MB."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(resident(int(child)) for child in children)


def pictures(address: str, size: Size) -> float:
    """Seconds for 1,000 pictures, six requests in flight, 24 pictures each."""
    names = [_facts(number, side).name for number, side in enumerate(size.sides, 1)]
    wanted = [(name, first) for name in names for first in range(0, size.steps, 24)][: -(-1000 // 24)]

    def read(bundle: tuple[str, int]) -> None:
        name, first = bundle
        steps = [("step", str(step)) for step in range(first, min(first + 24, size.steps))]
        urlopen(f"{address}/bundle?{urlencode([('run', 'seed0/feature_maps'), ('layer', name), *steps])}").read()

    began = time.perf_counter()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(read, wanted))
    count = sum(min(24, size.steps - first) for _, first in wanted)
    return (time.perf_counter() - began) * 1000 / count


PAINTED = """() => {
  const row = document.querySelector(".evolution .row");
  const canvases = row ? [...row.querySelectorAll("canvas")] : [];
  return canvases.length > 0 && canvases.every((canvas) => canvas.dataset.step !== undefined);
}"""

# Presses the key and waits until every visible cell of the column that follows the scrubber shows the new step: steps go
# through the columns, so that it may be another one.
SCRUB = """(step) => new Promise((done) => {
  const cells = () => [...document.querySelectorAll(".row .now canvas")].filter((each) => {
    const { top, bottom } = each.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  });
  const began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  const look = () => {
    if (cells().every((each) => each.dataset.step === String(step))) done(performance.now() - began);
    else setTimeout(look, 1);
  };
  look();
})"""


def browse(address: str, size: Size, state: str = "") -> tuple[float, float]:
    """Opens Evolution and steps through it, as a user does: seconds until the first row, milliseconds for a step."""
    from playwright.sync_api import sync_playwright

    home = address.removesuffix("/data/plugin/feature_maps")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page, frame, opened = open_tab(browser, home, f"&p.feature_maps.view=evolution{state}", PAINTED)
        page.set_viewport_size({"width": 1280, "height": 1660})  # room for ten layers
        frame.locator("body").press("Home")
        page.wait_for_timeout(8000)
        last = min(41, size.steps - 1)
        times = [frame.evaluate(SCRUB, step) for step in range(1, last)]
        frame.locator("body").press("End")
        frame.wait_for_function(f"document.querySelector('.row .now canvas').dataset.step === '{size.steps - 1}'")
        browser.close()
    return opened, statistics.median(times)


def open_tab(browser: Any, home: str, state: str, painted: str) -> tuple[Any, Any, float]:
    """Opens the tab as a user does, with a click: the page, the tab's frame, and the seconds until something is painted."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{home}/#timeseries{state}")
    page.get_by_text("Feature maps").first.wait_for()
    page.wait_for_timeout(1000)
    began = time.perf_counter()
    page.get_by_text("Feature maps").first.click()
    frame = _frame(page)
    frame.wait_for_function(painted, polling=5)
    return page, frame, time.perf_counter() - began


def _frame(page: Any) -> Any:
    while True:
        for frame in page.frames:
            if "plugin_entry" in frame.url:
                return frame
        page.wait_for_timeout(5)


if __name__ == "__main__":
    main()
