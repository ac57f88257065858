"""What the tests of the tab share: logs written by hand in the real format, and TensorBoard with our plugin."""

import contextlib
import json
import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import quote

import numpy as np

from fm_callback.format import NUMBERS, LayerFacts, layer_tags
from fm_callback.write import events, grid, png

GROUP, ENTRY = "tensorboard_plugins", "feature_maps = fm_callback.tensorboard_plugin.loader:FeatureMapsLoader"

#: Markup, both quotes, slashes, dots, escapes, and 300 characters.
HOSTILE = "<img src=x onerror=document.title='pwned'>\"'`/../..\\%2e%2e&amp;#?=;" + "é" * 240
#: What a directory can be called.
HOSTILE_RUN = "<script>document.title='pwned'</script>&'%2e#?=".replace("/", "∕")


class Run:
    """A run that can still grow. Layers: {path: (height, width, channels)}."""

    def __init__(
        self, directory: Path, layers, *, steps=(), version=1, masks=True, fields=("mask_auroc",), damaged=False
    ):
        self.layers = layers
        self._tags = dict(zip(layers, layer_tags(layers), strict=True))
        self._fields = (*NUMBERS, *fields)
        self._facts = {path: self._facts_of(number, path, version, damaged) for number, path in enumerate(layers, 1)}
        self._file = events.EventFile(directory / "feature_maps", 0)
        self._masks = masks
        for step in steps:
            self.write(step)

    def _facts_of(self, number, path, version, damaged) -> bytes:
        height, width, channels = self.layers[path]
        rows, columns = grid.layout(channels, height, width)
        facts = LayerFacts(
            number=number,
            kind="Conv2D",
            path=path,
            kernel=(3, 3),
            activation=None,
            shape=(height, width, 2 * channels),
            slice=None,
            channels=tuple(range(channels)),
            rows=rows,
            columns=columns,
            fields=self._fields,
            cells={"foreground": 20, "background": 44},
            step_unit="epoch",
            probe_images=2,
            stored_images=2,
            version=version,
        )
        stored = json.loads(facts.to_json())
        if version > 1:
            stored["dreams"] = {"of": "later"}
        if damaged:
            del stored["rows"]
        return json.dumps(stored).encode()

    def write(self, step: int) -> None:
        """One step: channel 0 tends to the mask, channel 1 is dead, channel 2 has a value that is not finite."""
        rng = np.random.default_rng(step)
        values = []
        if not self._file._tags:
            pictures = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
            masks = np.zeros((2, 32, 32), np.uint8)
            masks[:, 8:24, 8:24] = 255
            values.append(events.probe_value(pictures, "[0, 255]", masks if self._masks else None, ""))
        for path, (height, width, channels) in self.layers.items():
            maps = rng.integers(0, 256, (2, channels, height, width), np.uint8)
            numbers = rng.uniform(0.4, 0.9, (channels, len(self._fields))).astype(np.float32)
            numbers[:, 0], numbers[:, 1], numbers[:, 6] = -1 - step, 1 + step, 0
            if channels > 2:
                maps[:, 1] = 0
                numbers[1] = 0
                numbers[2, 6] = 5
            rows, columns = grid.layout(channels, height, width)
            tag, facts = self._tags[path], self._facts[path]
            values.append(
                events.maps_value(tag, [png.encode(grid.tile_grid(each, rows, columns)) for each in maps], facts)
            )
            values.append(events.numbers_value(tag, numbers, facts))
        self._file.write(step, values)

    def tag(self, path: str) -> str:
        return self._tags[path]


def register_plugin(folder: Path, monkeypatch) -> None:
    """Lets a TensorBoard that is started from here find the plugin, also where the package is not installed."""
    if any(entry.name == "feature_maps" for entry in entry_points(group=GROUP)):
        return
    info = folder / "tab_for_tests-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tab-for-tests\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{ENTRY}\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]))


PLUGIN_PAGE = re.compile("plugin_entry")


class Tab:
    """The tab in its frame."""

    def __init__(self, page, board):
        self.page, self.board = page, board

    def open(self, *, dark=False, **state):
        entries = "".join(f"&p.feature_maps.{key}={quote(str(value), safe='')}" for key, value in state.items())
        self.page.goto("about:blank")
        self.page.goto(f"{self.board.url}/?darkMode={'true' if dark else 'false'}#feature_maps{entries}")
        self.frame.locator("main").wait_for()
        self.settle()
        return self

    @property
    def frame(self):
        """The tab's own document, once it is there. (In Firefox a frame locator takes eight times as long.)"""
        for _ in range(300):
            if found := self.page.frame(url=PLUGIN_PAGE):
                return found
            self.page.wait_for_timeout(100)
        raise AssertionError("TensorBoard never opened the tab")

    def settle(self):
        """Waits until what is on the screen is painted."""
        self.page.wait_for_function(
            """() => {
              const inner = document.querySelector("iframe")?.contentDocument;
              if (!inner?.querySelector("main") || inner.querySelector("main[aria-label=loading]")) return false;
              const seen = [...inner.querySelectorAll("canvas.waiting")].filter((each) => {
                const { top, bottom } = each.getBoundingClientRect();
                return bottom > 0 && top < 700 && !each.parentElement.querySelector(".trouble");
              });
              return seen.length === 0;
            }"""
        )
        self.page.wait_for_timeout(150)

    def press(self, *keys):
        for key in keys:
            self.frame.evaluate("document.activeElement.blur()")
            self.page.keyboard.press(key)
        self.page.wait_for_timeout(400)
        self.settle()

    @property
    def step(self):
        return self.frame.locator(".scrubber output").inner_text().split(" /")[0].strip()

    def hash(self):
        self.page.wait_for_timeout(400)
        return self.page.evaluate("location.hash")

    def save(self, what):
        """The file that a choice of the menu Save downloads.

        It is awaited in its folder: Firefox 153 ESR tells of a page's own bytes neither a navigation nor a number, and
        Playwright's `expect_download` passes over such.
        """
        folder, last = self.page.downloads, None
        before = set(folder.iterdir())
        self.frame.get_by_text("Save", exact=True).click()
        self.frame.get_by_text(what).click()
        for _ in range(300):
            self.page.wait_for_timeout(100)
            with contextlib.suppress(FileNotFoundError):  # a part that has just been renamed
                found = {file: file.stat().st_size for file in set(folder.iterdir()) - before}
                if len(found) == 1 and all(found.values()) and found == last:
                    return next(iter(found))
                last = found
        raise AssertionError(f"{what} was never saved")
