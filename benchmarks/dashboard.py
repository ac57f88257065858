"""How fast the "Feature maps" tab is: 2 runs of 51 layers and 100 steps.

    python benchmarks/dashboard.py

Prints the time until the first row is painted after the tab is opened, the median time until a new step of ten visible
layers is on the screen once its pictures are fetched, and the time for 1,000 pictures with six requests in flight.
The browser figures need playwright and Debian's chromium.
"""

import json
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
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
from timing import figure

from fm_callback.format2 import NUMBERS, LayerStep, to_grid
from fm_callback.write import png
from fm_callback.write.grid import layout

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from support.logs import RunLog

RUNS, STEPS, CHANNELS = 2, 100, 32
# The resolutions that the 51 convolutions of SD_UNet have for an input of 96x96.
SIDES = [*[96] * 5, *[48] * 5, *[24] * 5, *[12] * 5, *[6] * 11, *[12] * 5, *[24] * 5, *[48] * 5, *[96] * 5]
FIELDS = ("mask_auroc", "mask_iou", "edge_auroc", "outline_auroc")
PORT = 6420


def main() -> None:
    """Writes the log, and measures on it."""
    folder = Path(tempfile.mkdtemp())
    try:
        size = write_log(folder)
        print(f"log: {RUNS} runs x {len(SIDES)} layers x {STEPS} steps, {size / 1e6:.0f} MB")
        with tensorboard(folder) as address:
            one, bundled = pictures(address)
            figure("1,000 pictures, 6 requests in flight, one each", one, at_most=5, unit=" s")
            figure("the same, 24 each", bundled, at_most=5, unit=" s")
            browse(address)
    finally:
        shutil.rmtree(folder)


def write_log(folder: Path) -> int:
    """Writes the runs in the real format; the pictures of a layer repeat after four steps, which no reader can make use of."""
    rng = np.random.default_rng(0)
    grids = {side: [png.encode(_grid(rng, side)) for _ in range(4)] for side in set(SIDES)}
    layers = {f"block{number // 6}/conv{number}": (side, side, CHANNELS) for number, side in enumerate(SIDES, 1)}
    size = 0
    for at in range(RUNS):
        run = RunLog(folder / f"seed{at}", layers, fields=FIELDS, summaries=(), images=1, masks=False)
        for step in range(STEPS):
            stored = [LayerStep([grids[side][step % 4]], _numbers(rng), np.empty(0)) for side in SIDES]
            run.write(step, layers=stored)
        size += run.path.stat().st_size
    return size


def _grid(rng: np.random.Generator, side: int) -> np.ndarray:
    """Smooth noise, which compresses about as well as maps do."""
    maps = rng.normal(size=(CHANNELS, side, side))
    for axis in (1, 2):
        maps = maps + np.roll(maps, 1, axis) + np.roll(maps, -1, axis)
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return to_grid((255 * (maps - low) / (high - low)).astype(np.uint8), *layout(CHANNELS, side, side))


def _numbers(rng: np.random.Generator) -> np.ndarray:
    numbers = rng.uniform(0.4, 0.9, (CHANNELS, len(NUMBERS) + len(FIELDS))).astype(np.float32)
    numbers[:, 0] = -1
    numbers[:, 6] = 0
    return numbers


@contextmanager
def tensorboard(folder: Path) -> Iterator[str]:
    """A server that has read everything; gives the address of our routes."""
    program = Path(sys.executable).with_name("tensorboard")
    server = subprocess.Popen(
        [program, "--logdir", folder, "--port", str(PORT), "--host", "localhost"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://localhost:{PORT}/data/plugin/feature_maps"
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            try:
                runs = json.load(urlopen(f"{address}/runs"))["runs"]
                if len(runs) == RUNS and all(len(run["steps"][0]["steps"]) == STEPS for run in runs):
                    break
            except HTTPError as error:
                raise SystemExit("TensorBoard does not know the plugin: install the package first") from error
            except (URLError, ConnectionError):
                pass
            time.sleep(0.5)
        else:
            raise SystemExit("TensorBoard did not read the log within five minutes")
        yield address
    finally:
        server.terminate()
        server.wait()


def pictures(address: str) -> tuple[float, float]:
    """Seconds for 1,000 pictures: asked for one by one, and in bundles."""
    layers = [f"block{number // 6}/conv{number}" for number in range(1, len(SIDES) + 1)]

    def timed(route: str, questions: list[list[tuple[str, str]]]) -> float:
        def read(question: list[tuple[str, str]]) -> None:
            urlopen(f"{address}/{route}?{urlencode([('run', 'seed0/feature_maps'), ('image', '0'), *question])}").read()

        began = time.perf_counter()
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(read, questions))
        return time.perf_counter() - began

    singles = [[("layer", layers[at % len(layers)]), ("step", str(at // len(layers)))] for at in range(1000)]
    bundles = [
        [("layer", layer), *(("step", str(step)) for step in range(first, min(first + 24, STEPS)))]
        for layer in layers
        for first in range(0, STEPS, 24)
    ]
    return timed("maps", singles), timed("bundle", bundles[:50])


PAINTED = """() => {
  const row = document.querySelector(".evolution .row");
  const canvases = row ? [...row.querySelectorAll("canvas")] : [];
  return canvases.length > 0 && canvases.every((canvas) => canvas.dataset.step !== undefined);
}"""

# Presses the key and waits until every visible cell of the column that follows the scrubber shows the new step.
SCRUB = """(step) => new Promise((done) => {
  const cells = [...document.querySelectorAll(".row .now canvas")].filter((each) => {
    const { top, bottom } = each.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  });
  const began = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  const look = () => {
    if (cells.every((each) => each.dataset.step === String(step))) done([performance.now() - began, cells.length]);
    else setTimeout(look, 1);
  };
  look();
})"""


def browse(address: str) -> None:
    """Opens the tab and steps through it, as a user does."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("browser: playwright is not installed")
        return
    chromium = shutil.which("chromium")
    if chromium is None:
        print("browser: chromium is not installed")
        return
    home = address.removesuffix("/data/plugin/feature_maps")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        opened = []
        for _ in range(5):
            page.goto("about:blank")
            page.goto(f"{home}/#timeseries")
            page.get_by_text("Feature maps").first.wait_for()
            page.wait_for_timeout(1000)
            began = time.perf_counter()
            page.get_by_text("Feature maps").first.click()
            frame = _frame(page)
            frame.wait_for_function(PAINTED, polling=5)
            opened.append(time.perf_counter() - began)
        figure("first row painted, the first time", opened[0], at_most=1.5, unit=" s")
        figure("the same, median of 5", statistics.median(opened), at_most=1.5, unit=" s")
        page.set_viewport_size({"width": 1280, "height": 1660})  # room for ten layers
        frame.locator("body").press("Home")
        page.wait_for_timeout(8000)
        times = [frame.evaluate(SCRUB, step) for step in range(1, 41)]
        milliseconds = sorted(each for each, _ in times)
        layers = times[0][1]
        figure(f"a new step of {layers} layers", statistics.median(milliseconds), at_most=100, unit=" ms")
        figure("the same, 90 % within", milliseconds[int(0.9 * len(milliseconds))], unit=" ms")
        browser.close()


def _frame(page):
    while True:
        for frame in page.frames:
            if "plugin_entry" in frame.url:
                return frame
        page.wait_for_timeout(5)


if __name__ == "__main__":
    main()
