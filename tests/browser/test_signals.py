"""Strips of any length, slices of volumes and tokens, as a user sees them."""

import dataclasses

import numpy as np
import pytest
from reading import tensorboard
from tab import Run, Tab, steps_of, until

from fm_callback import format
from fm_callback.format import Blobs
from fm_callback.write import png

VIEWS = ("evolution", "layer", "channel", "compare", "depth")
LENGTH = 66150  # a second and a half of sound; no canvas is as wide
FACTS = {"kind": "Conv1D", "kernel": (9,)}
WIDE = {"wide": (1, LENGTH, 4), "narrow": (1, 300, 4)}


class Shaped(Run):
    """A run whose probe has axes; pictures and labels are of its plane."""

    def __init__(self, *arguments, axes, slice_axis=None, **log):
        self._probe = format.ProbeFacts(2, 2, "digest", "[0, 255]", axes, slice_axis, (3, 5) if slice_axis else ())
        super().__init__(*arguments, **log)

    def pictures(self):
        return np.random.default_rng(7).integers(0, 256, (2, *self._probe.plane, 3), np.uint8)

    def labels(self):
        labels = np.zeros((2, *self._probe.plane), np.uint8)
        labels[..., labels.shape[-1] // 4 : labels.shape[-1] // 2] = 1
        return labels

    def run_record(self, first_step):
        blobs = Blobs()
        pictures = blobs.add_all(png.encode(each) for each in self.pictures())
        labels = blobs.add_all(png.encode(each) for each in self.labels())
        probe = dataclasses.replace(self._probe, pictures=tuple(pictures), labels=tuple(labels))
        head = format.read_head(super().run_record(first_step)[12:]) | {"probe": dataclasses.asdict(probe)}
        return format.pack_record(head, blobs)


@pytest.fixture(scope="module")
def board(tmp_path_factory, plugin):
    path = tmp_path_factory.mktemp("shapes")
    changes = {name: {**FACTS, "shape": (length, 4)} for name, (_, length, _) in WIDE.items()}
    Shaped(path / "sound", WIDE, axes=(LENGTH,), steps=[0, 1], changes=changes)
    changes = {"conv": {"kind": "Conv3D", "shape": (9, 12, 8, 4), "slice": 3, "slices": (3, 5), "slice_axis": 2}}
    Shaped(path / "volumes", {"conv": (9, 12, 4)}, axes=(9, 12, 8), slice_axis=2, steps=[0, 1], changes=changes)
    Run(path / "tokens", {"block": (4, 4, 1)}, steps=[0], changes={"block": {"number": None, "prefix": 2}})
    with tensorboard(path, True) as board:
        board.wait_for(
            "/data/plugin/feature_maps/runs", lambda found: [len(steps_of(run)) for run in found["runs"]] == [2, 1, 2]
        )
        yield board


@pytest.fixture
def shapes(page, board):
    return Tab(page, board)


def maps_of(step, path):
    """What `Shaped` stores, (images, channels, cells)."""
    rng = np.random.default_rng([step, list(WIDE).index(path)])
    maps = rng.integers(0, 256, (2, 4, 1, WIDE[path][1]), np.uint8)
    maps[:, 1] = 0
    return maps[:, :, 0]


#: The gray of each pixel of a canvas, row by row.
GRAYS = """(canvas) => {
  const { width, height } = canvas, { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  return [width, height, Array.from({ length: width * height }, (_, at) => data[4 * at])];
}"""


def grays(canvas):
    width, height, pixels = canvas.evaluate(GRAYS)
    return np.array(pixels).reshape(height, width)


def test_a_strip_of_any_length_is_drawn(shapes):
    shapes.open(view="layer", run="sound/feature_maps", layer="wide", scale="own")
    shown = grays(shapes.frame.locator(".tile canvas").first)
    strip = maps_of(1, "wide")[0, 0]
    starts = np.arange(shown.shape[1] + 1) * LENGTH // shown.shape[1]
    assert np.array_equal(shown[0], np.maximum.reduceat(strip, starts[:-1])), "each column's highest cell is on top"
    assert np.array_equal(shown[-1], np.minimum.reduceat(strip, starts[:-1]))
    cells = round(LENGTH / shown.shape[1])
    assert f"{cells} cells in each column of pixels" in shapes.frame.locator("aside").inner_text()
    assert shapes.frame.locator(".trouble").count() == 0
    dead = grays(shapes.frame.locator(".tile canvas").nth(1))[:, 100:]  # behind its word
    assert len(np.unique(dead)) == 2, "hatched, because it is dead"
    # The whole input and its labels, over the maps.
    width, height, pixels = shapes.frame.locator(".inputs.over canvas").nth(1).evaluate(GRAYS)
    labels = np.array(pixels).reshape(height, width)
    assert (labels[:, width // 4 + 2 : width // 2 - 2] == 0xFF).all() and (labels[:, : width // 4 - 2] == 0x20).all()
    box = shapes.frame.locator(".inputs.over canvas").first.bounding_box()
    assert box["height"] > 15 and box["width"] > 400


def test_the_values_under_the_pointer_are_those_of_its_column(shapes):
    shapes.open(view="layer", run="sound/feature_maps", layer="wide")
    frame = shapes.frame.locator(".tile .frame").first
    width = frame.bounding_box()["width"]
    frame.hover(position={"x": 100.5, "y": 5})
    told = shapes.frame.locator(".pointed").inner_text()
    low, high = (float(text.replace("−", "-")) for text in told.split("value")[1].split("\n")[0].split(" to "))
    cell, others = (int(told.split(word)[1].split()[0].replace(",", "")) for word in (" at ", " and "))
    pixel = int(cell * width / LENGTH)  # Firefox takes the pointer to whole pixels
    assert abs(pixel - 100) <= 1
    span = maps_of(1, "wide")[0, 0][int(pixel * LENGTH // width) : int((pixel + 1) * LENGTH // width)]
    assert abs(low - (-2 + span.min() / 255 * 4)) < 0.01 and abs(high - (-2 + span.max() / 255 * 4)) < 0.01
    assert others == len(span) - 1


def test_strips_of_any_length_are_compared(shapes):
    shapes.open(view="compare", run="sound/feature_maps", layer="wide", channel=0)
    until(shapes.page, "() => document.querySelector('iframe').contentDocument.body.innerText.includes('mean |')")
    windows = shapes.frame.locator(".window canvas")
    before, now = (maps_of(step, "wide")[0, 0] / 255 for step in (0, 1))
    difference = (-2 + 4 * now) - (-1 + 2 * before)
    told = shapes.frame.locator(".panels figure > p").last.inner_text()
    assert f"mean |difference| {np.abs(difference).mean():.3g}, largest {np.abs(difference).max():.3g}" in told
    for times in range(10):
        for at in range(3):
            shown = grays(windows.nth(at))
            middle = shown[shown.shape[0] // 2 - 10 : shown.shape[0] // 2 + 10]
            assert len(np.unique(middle)) > 8, (times, at)
            # The board fills the window from end to end.
            assert len(np.unique(middle[:, :40])) > 4 and len(np.unique(middle[:, -40:])) > 4, (times, at)
        shapes.frame.get_by_role("button", name="zoom in").click()
        shapes.page.wait_for_timeout(100)
    # Zoomed in 38 times, a window of some 1,250 pixels shows about 1,700 cells around the middle.
    box = windows.nth(1).bounding_box()
    shapes.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    readout = shapes.frame.locator(".readout").inner_text()
    cell = int(readout.split(" at ")[1].split(":")[0].replace(",", ""))
    assert abs(cell - LENGTH / 2) < 5
    right = float(readout.split("right ")[1].split(",")[0].replace("−", "-"))
    assert abs(right - (-2 + 4 * now[cell])) < 0.01


def test_every_view_shows_strips(shapes):
    for width in (1280, 390):
        shapes.page.set_viewport_size({"width": width, "height": 900})
        for view in VIEWS:
            shapes.open(view=view, run="sound/feature_maps", layer="wide", outline=1)
            assert shapes.frame.locator(".trouble").count() == 0, (width, view)
            sizes = "[...document.querySelectorAll('main canvas')].map((each) => each.getBoundingClientRect()).map(({ width, height }) => [width, height])"
            assert all(height >= 5 for width, height in shapes.frame.evaluate(sizes) if width), (width, view)
            fits = "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('main'))"
            assert shapes.frame.evaluate(fits), (width, view)


def test_a_film_of_strips_is_saved(shapes):
    shapes.open(view="channel", run="sound/feature_maps", layer="wide", channel=0)
    assert shapes.save("Film: channel 0").stat().st_size > 5000


def test_a_slice_and_tokens_are_named(shapes):
    shapes.open(view="layer", run="volumes/feature_maps", layer="conv")
    assert "9×12×8, slice 3 of axis 2" in shapes.frame.locator("aside .facts").inner_text()
    captions = shapes.frame.locator("aside .inputs figcaption")
    assert captions.all_inner_texts() == ["input, slice 3 of axis 2", "true mask"]
    shapes.frame.get_by_label("probe image 2").click()
    assert captions.first.inner_text() == "input, slice 5 of axis 2"
    assert "slice 5 of axis 2" in shapes.frame.locator("aside .facts").inner_text()
    shapes.open(view="layer", run="tokens/feature_maps", layer="block")
    facts = shapes.frame.locator("aside .facts").inner_text()
    assert "4×4 tokens, 2 more left out" in facts and "1 of 1 channel" in facts and "channels" not in facts
    assert shapes.frame.locator("aside").get_by_text("1 channel, 16 cells × 2 images").count() == 1
    shapes.open(view="depth", run="tokens/feature_maps")
    assert "block" in shapes.frame.locator(".way .under").nth(1).inner_text(), "a layer without a number has a name"
