"""How quick the "Feature maps" tab is, view by view, on two runs of 51 layers and 100 steps.

    python benchmarks/dashboard.py            # some three minutes
    python benchmarks/dashboard.py --quick    # few steps: to see that it runs

- first picture: from the click on the tab until the Overview's sentences and its layer × epoch, or Evolution's first row, are painted.
- a new step: from the key until all visible layers of Evolution, ten or more, show it, once its pictures are fetched; in colour and as
  channels. Medians.
- colours: what the bases and pictures of 51 layers of 32 channels and four images take, in the browser, off the page's thread.
- longest task: the longest time for which a view kept the page from anything else, while it was opened, scrolled and stepped through.

The page is that of the installed package, in Debian's chromium, by playwright; TensorFlow is kept out of TensorBoard.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from log_scale import SIDES, Size, browse, open_tab, tensorboard, write_log
from timing import figure

VIEWS = ("overview", "evolution", "layer", "channel", "compare", "depth", "prediction", "labels")
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

OPENED = """() => {
  const picture = document.querySelector(".heat .field canvas");
  return picture !== null && document.querySelector(".short li") !== null;
}"""

# The bases of 51 layers of four images, and one picture of each: as the worker does it.
COLOURS = """async ([sides, module]) => {
  const { basisOf, colours } = await import(module);
  const layers = sides.map((side) => {
    const pictures = Array.from({ length: 4 }, () => ({
      pixels: Uint8Array.from({ length: 32 * side * side }, (_, at) => 128 + 127 * Math.sin(at / 7) * Math.random()),
      width: 8 * side,
    }));
    return { pictures, grid: { map: [side, side], columns: 8, channels: [...Array(32).keys()] } };
  });
  const ranges = Array.from({ length: 32 }, () => [-1, 1]);
  const times = [];
  for (let round = 0; round < 4; round++) {
    const began = performance.now();
    for (const { pictures, grid } of layers) colours(pictures[0], grid, ranges, basisOf(pictures, grid, ranges), true);
    times.push(performance.now() - began);
  }
  return times.slice(1);
}"""

TASKS = """() => {
  window.longest = [];
  new PerformanceObserver((list) => window.longest.push(...list.getEntries().map((each) => each.duration)))
    .observe({ type: "longtask" });
}"""


def main() -> None:
    """Writes the log, and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few steps: to see that it runs")
    judged = not (quick := parser.parse_args().quick)
    size = Size(2, 12 if quick else 100, SIDES, images=False, stored=4)
    with tempfile.TemporaryDirectory() as name:
        write_log(Path(name), size)
        with tensorboard(Path(name), size, []) as (_, address):
            for show in ("colour", "all"):
                first, step = browse(address, size, f"&p.feature_maps.show={show}")
                figure(f"Evolution, {show}: first row", first, **_most(judged, 1.5), unit=" s")
                figure(f"Evolution, {show}: a new step of ten layers", step, **_most(judged, 100), unit=" ms")
            _views(address, judged)


def _most(judged: bool, most: float) -> dict[str, float]:
    return {"at_most": most} if judged else {}


def _views(address: str, judged: bool) -> None:
    from playwright.sync_api import sync_playwright

    home = address.removesuffix("/data/plugin/feature_maps")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page, frame, opened = open_tab(browser, home, "", OPENED)
        figure("Overview: sentences and layer × epoch", opened, **_most(judged, 3), unit=" s")
        page.wait_for_timeout(5000)
        frame.evaluate(TASKS)
        times = frame.evaluate(COLOURS, [SIDES, f"{address}/static/draw/components.js"])
        figure("colours of 51 layers", statistics.median(times), **_most(judged, 300), unit=" ms")
        page.wait_for_timeout(500)
        for number, view in enumerate(VIEWS, 1):
            longest = _visit(page, frame, number)
            figure(f"{view}: longest task", longest, **_most(judged, 100), unit=" ms")
        browser.close()


def _visit(page: Any, frame: Any, number: int) -> float:
    """Opens a view by its key, scrolls through it and steps on and back; milliseconds of the longest task."""
    frame.evaluate("window.longest.length = 0")
    frame.locator("body").press(str(number))
    page.wait_for_timeout(2500)
    for _ in range(4):
        frame.evaluate("document.querySelector('main').scrollTop += 700")
        page.wait_for_timeout(400)
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "Home", "End"):
        frame.locator("body").press(key)
        page.wait_for_timeout(700)
    return max(frame.evaluate("window.longest"), default=0.0)


if __name__ == "__main__":
    main()
