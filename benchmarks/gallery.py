"""Retakes the pictures of docs/gallery: every view of the demo's log, light and dark, and its film in colour.

    make gallery            # after `make demo`: python benchmarks/gallery.py logs

Needs playwright and Debian's chromium, as the tests of the tab do.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "gallery"
PORT = 6431
WIDE = 1280
LAYER = "&p.feature_maps.layer=dec2_sa_trunk_conv1"
#: For each view how high the window is, and what else is in the address.
VIEWS = {
    "overview": (1240, ""),
    "evolution": (1420, ""),
    "place": (1420, "&p.feature_maps.at=0.3,0.4"),
    "layer": (1180, f"{LAYER}&p.feature_maps.sort=alike"),
    "channel": (1120, LAYER),
    "compare": (640, f"{LAYER}&p.feature_maps.sides=most"),
    "depth": (1000, ""),
    "prediction": (1080, "&p.feature_maps.errors=1"),
    "labels": (1000, LAYER),
}


def main() -> None:
    """Takes them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log_dir", type=Path, help="the demo's log directory")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tensorboard(options.log_dir) as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (high, state) in VIEWS.items():
            for theme in ("", "_dark"):
                take(browser, home, name, high, state, theme)
        film(browser, home)
        browser.close()


def take(browser: Any, home: str, name: str, high: int, state: str, theme: str) -> None:
    """One picture, in 256 colours."""
    page = browser.new_page(viewport={"width": WIDE, "height": high})
    view = "evolution" if name == "place" else name
    page.goto(f"{home}/?darkMode={'true' if theme else 'false'}#feature_maps&p.feature_maps.view={view}{state}")
    page.wait_for_timeout(6000)
    path = FOLDER / f"{name}{theme}.png"
    page.screenshot(path=path)
    page.close()
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} KB", flush=True)


def film(browser: Any, home: str) -> None:
    """The colour film of all layers, by the tab's own menu."""
    page = browser.new_page(viewport={"width": WIDE, "height": 900}, accept_downloads=True)
    page.goto(f"{home}/#feature_maps&p.feature_maps.view=evolution")
    page.wait_for_timeout(4000)
    frame = next(each for each in page.frames if "plugin_entry" in each.url)
    frame.get_by_text("Save", exact=True).click()
    with page.expect_download(timeout=120_000) as saved:
        frame.get_by_text("Colour film: all layers (GIF)").click()
    saved.value.save_as(FOLDER / "film.gif")
    page.close()
    print(f"film.gif: {(FOLDER / 'film.gif').stat().st_size / 1e3:.0f} KB")


@contextmanager
def tensorboard(log_dir: Path) -> Iterator[str]:
    """A server that has seen the log; gives its address."""
    program = Path(sys.executable).with_name("tensorboard")
    server = subprocess.Popen(
        [program, "--logdir", log_dir, "--port", str(PORT), "--host", "localhost"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    )
    home = f"http://localhost:{PORT}"
    try:
        for _ in range(240):
            try:
                if json.load(urlopen(f"{home}/data/plugin/feature_maps/runs"))["runs"]:
                    break
            except (URLError, ConnectionError):
                pass
            time.sleep(0.5)
        else:
            raise SystemExit(f"TensorBoard saw no run in {log_dir}")
        time.sleep(5)  # its own tabs
        yield home
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
