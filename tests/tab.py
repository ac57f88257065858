"""What the tests of the tab share: logs written by hand in the real format, and TensorBoard with our plugin."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from reading import tensorboard
from support.logs import HOSTILE, HOSTILE_RUN, RunLog

__all__ = ["HOSTILE", "HOSTILE_RUN", "Run", "Tab", "layers_of", "register_plugin", "steps_of", "tab_on"]

GROUP, ENTRY = "tensorboard_plugins", "feature_maps = fm_callback.tensorboard_plugin.loader:FeatureMapsLoader"

#: What people call the fields that the tests look for; the others are called as they are stored.
MEASURES = {
    name: {"label": label, "short": short, "kind": "score", "chance": chance, "says": "how alike"}
    for name, label, short, chance in (
        ("mask_auroc", "mask AUROC", "mask", 0.5),
        ("mask_iou", "mask IoU", "IoU", None),
        ("edge_auroc", "edge AUROC", "edge", 0.5),
    )
}


class Run(RunLog):
    """A run that can still grow. Layers: {path: (height, width, channels)}; changes: {path: {fact: value}}."""

    def __init__(
        self,
        directory: Path,
        layers: Mapping[str, tuple[int, int, int]],
        *,
        version: int = 2,
        changes: Mapping[str, Mapping[str, Any]] | None = None,
        **log: Any,
    ) -> None:
        self._changes = changes or {}
        super().__init__(directory, layers, facts={"format": version, "measures": MEASURES}, **log)

    def layer_facts(self):
        found = []
        for facts in super().layer_facts():
            shape = (*self.layers[facts.path][:2], len(facts.channels))
            changes = self._changes.get(facts.path, {})
            found.append(dataclasses.replace(facts, **{"shape": shape, **changes}))
        return found

    def numbers(self, step: int, path: str) -> np.ndarray:
        """As in any log, but finite in channel 3: channel 1 is dead, channel 2 has a value that is not finite."""
        numbers = super().numbers(step, path)
        if len(numbers) > 3:
            numbers[3, :5] = -1 - step, 1 + step, 0, 0.5, 0.5
        return numbers


def steps_of(run: Mapping[str, Any]) -> list[int]:
    """The steps of a run in the answer to `runs`."""
    return [step for part in run["steps"] for step in part["steps"]]


def layers_of(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The layers of a run in the answer to `runs`, by name."""
    (run,) = [each for each in found["runs"] if each["run"] == name]
    return {layer["layer"]: layer for layer in found["layouts"][run["layout"]]}


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


@contextlib.contextmanager
def tab_on(page, log_dir: Path):
    """The tab of a TensorBoard on a log directory; what asks for news leaves before the server does."""
    with tensorboard(log_dir, True) as board:
        yield Tab(page, board)
        page.goto("about:blank")


def until(page, condition):
    """Waits for a condition, the text of a function. (In Firefox `wait_for_function` does not wait.)"""
    for _ in range(300):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never so: {condition}")


class Tab:
    """The tab in its frame."""

    def __init__(self, page, board):
        self.page, self.board = page, board

    def open(self, *, dark=False, view="evolution", **state):
        state = {"view": view, **state}
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
        until(
            self.page,
            """() => {
              const inner = document.querySelector("iframe")?.contentDocument;
              if (!inner?.querySelector("main") || inner.querySelector("main[aria-label=loading]")) return false;
              const seen = [...inner.querySelectorAll("canvas.waiting")].filter((each) => {
                const { top, bottom } = each.getBoundingClientRect();
                return bottom > 0 && top < 700 && !each.parentElement.querySelector(".trouble");
              });
              return seen.length === 0;
            }""",
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

    def state(self, entry):
        """An entry of the address; empty where it is not there."""
        found = re.search(rf"p\.feature_maps\.{entry}=([^&]*)", self.hash())
        return unquote(found[1]) if found else ""

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
