"""Logs that are not as expected: hostile names, newer formats, growing runs, nothing at all, a server that is gone."""

import io
import os
import re
import time
from importlib import resources
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image
from tab import HOSTILE, HOSTILE_RUN, Run, Tab, tab_on, until

VIEWS = ("evolution", "layer", "channel", "compare", "depth")


def test_hostile_names_are_shown_and_never_run(odd):
    run = f"{HOSTILE_RUN}/feature_maps"
    for view in VIEWS:
        odd.open(view=view, run=run, layer=HOSTILE)
        assert odd.frame.locator("main img[src=x]").count() == 0
        assert odd.frame.evaluate("document.title") == "Feature maps"
        assert odd.page.title() != "pwned"
    odd.open(run=run)
    assert "<img src=x onerror=" in odd.frame.locator("main").inner_text()
    odd.open(
        view="layer",
        run=run,
        layer="<b>none</b>",
        measure="<i>",
        sort="<i>",
        hidden='{"a":1}',
        step="-1",
        columns="x,<b>",
    )
    odd.frame.locator(".tile").first.wait_for()


def test_hostile_names_fit_a_narrow_page(odd):
    odd.page.set_viewport_size({"width": 390, "height": 900})
    for view in VIEWS:
        odd.open(view=view, run=f"{HOSTILE_RUN}/feature_maps", layer=HOSTILE)
        for part in ("main", "body"):
            fits = f"(({{ scrollWidth, clientWidth }}) => scrollWidth <= clientWidth)(document.querySelector('{part}'))"
            assert odd.frame.evaluate(fits), (view, part)
        assert odd.frame.evaluate(
            "[...document.querySelectorAll('main *')].every((each) => each.closest('.facts, .unseen, .u-wrap') || each.getBoundingClientRect().right <= innerWidth)"
        ), view


def test_a_newer_format_is_named(odd):
    odd.open(run="newer/feature_maps")
    assert "newer version of fm_callback (format 3" in odd.frame.locator(".notice").inner_text()
    assert odd.frame.locator(".row").count() == 1
    odd.open(run="unreadable/feature_maps")
    assert "No layer of this run can be shown" in odd.frame.locator("main").inner_text()


def test_strips_points_and_many_channels(odd):
    for view in VIEWS:
        odd.open(view=view, run="strips/feature_maps", layer="many")
    odd.open(view="layer", run="strips/feature_maps", layer="many")
    assert odd.frame.locator(".tile").count() == 70
    odd.open(view="layer", run="strips/feature_maps", layer="point")
    middle = "[...document.querySelectorAll('.tile canvas')].map((each) => each.getContext('2d').getImageData(50, 50, 1, 1).data[0])"
    assert len(set(odd.frame.evaluate(middle))) > 8, "a map of one cell is a gray, not a hatch"


def test_small_maps_are_compared_cell_by_cell(odd):
    odd.open(view="compare", run="strips/feature_maps", layer="many")
    window = odd.frame.locator(".window canvas").first
    box = window.bounding_box()
    seen = set()
    # In the middles of cells: of ten columns of five, and of seven rows.
    for x, y in ((0.03, 0.015), (0.05, 0.015), (0.03, 0.128), (0.995, 0.99)):
        window.hover(position={"x": x * box["width"], "y": y * box["height"]})
        seen.add(odd.frame.locator(".readout").inner_text().split(":")[0])
    assert seen == {"channel 0 at (1, 0)", "channel 0 at (2, 0)", "channel 0 at (1, 4)", "channel 69 at (4, 4)"}


def test_what_is_no_signal_is_marked(odd):
    odd.open(view="layer", run=f"{HOSTILE_RUN}/feature_maps", layer="stem")
    colours = "(at) => [...new Set(new Uint32Array(document.querySelectorAll('.tile canvas')[at].getContext('2d').getImageData(0, 0, 110, 110).data.buffer))].length"
    assert odd.frame.evaluate(colours, 1) <= 3, "a dead map is hatched, not painted"
    assert odd.frame.evaluate(colours, 0) > 10
    red = "(at) => [...document.querySelectorAll('.tile canvas')[at].getContext('2d').getImageData(0, 0, 1, 1).data]"
    assert odd.frame.evaluate(red, 2)[0] > 150 > odd.frame.evaluate(red, 2)[2], "not finite in part: a red frame"


class Broken(Run):
    """All is NaN from step 2 on, as a training leaves it that diverged."""

    def numbers(self, step, path):
        numbers = super().numbers(step, path)
        if step >= 2:
            numbers[:], numbers[:, 6] = np.nan, 64
        return numbers


def test_of_what_is_not_finite_nothing_is_claimed(page, tmp_path):
    Broken(tmp_path, {"stem": (8, 8, 4)}, steps=[0, 1, 2, 3])
    with tab_on(page, tmp_path) as tab:

        def said(view, **state):
            tab.open(view=view, **state)
            tab.page.wait_for_timeout(600)  # what is reckoned a moment after the layer is looked at
            return tab.frame.locator("main").inner_text()

        assert "No difference can be told: no channel is finite on both sides." in said("compare")
        assert not tab.frame.locator("main .colour-bar").count(), "no range where there is no value"
        assert "largest" in said("compare", step=1)
        text = said("channel")
        assert "the first one: none has a mask AUROC at epoch 3" in text and "the highest" not in text
        assert "image 1" not in text.split("On all images")[0] and not tab.frame.locator(".densities").count()
        assert tab.frame.get_by_text("mark clipped").inner_text() == "mark clipped"
        assert "No two channels show the same" not in said("layer")
        assert not tab.frame.locator(".densities").count()
        said("channel", step=1, channel=0)
        assert tab.frame.locator(".densities").count() == 1


def test_cells_without_a_number_are_hatched(page, tmp_path):
    hatched = """() => {
      const hatch = document.querySelector(".cells .holes").getBoundingClientRect();
      const { width } = document.querySelector(".field canvas:not(.untrained)").getBoundingClientRect();
      const { clipPath, backgroundImage } = getComputedStyle(document.querySelector(".cells .holes"));
      const starts = [...clipPath.matchAll(/M ?([\\d.]+)/g)].map(([, x]) => (hatch.width - x) / width);
      return [starts.map((part) => Math.round(3 * part)), backgroundImage.split("(")[0]];
    }"""
    Broken(tmp_path, {"stem": (8, 8, 4)}, steps=[0, 1, 2, 3])
    with tab_on(page, tmp_path) as tab:
        for view in ("overview", "depth"):
            tab.open(view=view)
            assert tab.frame.evaluate(hatched) == [[2, 1], "repeating-linear-gradient"], "the last two of three steps"
            assert "Hatched: there is no number." in tab.frame.locator(".cells .told").inner_text()


def test_sides_that_are_the_same_are_said_to_be(odd):
    odd.open(view="compare", run="newer/feature_maps", step=0)
    assert "mean |difference| 0, both sides are the same" in odd.frame.locator("main").inner_text()
    odd.open(view="compare", run="newer/feature_maps", step=0, sides="most")
    assert "No channel differs." in odd.frame.locator("main").inner_text()


def test_a_link_to_a_step_that_is_not_there_says_what_is_shown(odd):
    for step, told in ((99, "This run has no epoch 99: epoch 9 is shown."), (5, "no epoch 5: epoch 3"), (3, "")):
        odd.open(view="layer", run="strips/feature_maps", step=step)
        assert told in " ".join(odd.frame.locator(".notice").all_inner_texts())
    assert not odd.frame.locator(".notice").count()


def _grown(tab, text):
    """Waits until the page itself shows a step."""
    until(
        tab.page,
        f"() => document.querySelector('iframe').contentDocument.querySelector('output').textContent.startsWith('{text}')",
    )


def test_a_growing_run_is_followed(page, tmp_path):
    run = Run(tmp_path, {"stem": (8, 8, 4), "head": (8, 8, 2)}, steps=[0, 1])
    with tab_on(page, tmp_path) as tab:
        tab.open()
        assert tab.step == "epoch 1"
        run.write(2)
        _grown(tab, "epoch 2")
        tab.settle()
        now = tab.frame.locator(".row").first.locator(".now")
        assert now.locator("canvas").get_attribute("data-step") == "2"
        best = max(run.numbers(2, "stem")[:, 7].tolist(), key=lambda auroc: max(auroc, 1 - auroc))
        assert now.locator(".caption .value").inner_text() == (f"{1 - best:.2f} dark" if best < 0.5 else f"{best:.2f}")
        tab.press("ArrowLeft")
        run.write(3)
        page.wait_for_timeout(3500)
        assert tab.step == "epoch 1", "who looks back stays there"
        assert tab.frame.locator(".scrubber .second").inner_text().strip() == "/ 3"


def test_a_new_step_is_there_after_two_questions_for_news(page, tmp_path):
    """Asked every two seconds; the first question may come while the server still looks."""
    run = Run(tmp_path, {"stem": (8, 8, 4), "head": (8, 8, 2)}, steps=[0])
    with tab_on(page, tmp_path) as tab:
        tab.open(view="layer")
        tab.frame.evaluate("performance.clearResourceTimings()")

        def asked(route):
            return tab.frame.evaluate(
                "(route) => performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.includes(route))",
                route,
            )

        for step in range(1, 6):
            before = len(asked("feature_maps/runs"))
            run.write(step)
            _grown(tab, f"epoch {step}")
            assert len(asked("feature_maps/runs")) - before <= 2
            page.wait_for_timeout(377)  # so that polls and steps fall differently each time
        tab.settle()
        numbers = asked("feature_maps/numbers")
        assert len(numbers) == 5 and all("after=" in url for url in numbers), "only what is new is asked for"


def test_tensorboards_reload_asks_at_once(page, tmp_path):
    """Also where nobody looks, and nothing is asked for by itself."""
    run = Run(tmp_path, {"stem": (8, 8, 4)}, steps=[0])
    with tab_on(page, tmp_path) as tab:
        tab.open()
        tab.frame.evaluate("Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' })")
        run.write(1)
        page.wait_for_timeout(3000)
        assert tab.step == "before training"
        page.locator("button[title*='Last Updated'], app-header-reload button").first.click()
        _grown(tab, "epoch 1")


def test_what_still_grows_is_live(page, tmp_path):
    run = Run(tmp_path, {"stem": (8, 8, 4)})
    for step in range(3):
        run.write(step, wall_time=time.time() - 60 * (4 - step))
    with tab_on(page, tmp_path) as tab:
        tab.open()
        assert tab.frame.locator(".live").inner_text() == "live", "a step takes a minute, the newest is two minutes old"
        Run(tmp_path / "old", {"stem": (8, 8, 4)}, steps=[0, 1])
        tab.board.wait_for("/data/plugin/feature_maps/runs", lambda found: len(found["runs"]) == 2)
        tab.open(run="old/feature_maps")
        assert tab.frame.locator(".live").count() == 0
        tab.frame.locator(".bar > .choice select").select_option("feature_maps")
        tab.frame.locator(".live").wait_for()


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_run_is_live_whatever_its_writers_clock_says(page, tmp_path, hours):
    run = Run(tmp_path, {"stem": (8, 8, 4)})
    for step in range(3):
        run.write(step, wall_time=time.time() + 3600 * hours + step)
    long_ago = time.time() - 7200
    os.utime(run.path, (long_ago, long_ago))
    with tab_on(page, tmp_path) as tab:
        tab.open()
        assert tab.frame.locator(".live").count() == 0, "nothing has come for hours"
        run.write(3, wall_time=time.time() + 3600 * hours + 3)
        _grown(tab, "epoch 3")
        tab.frame.locator(".live").wait_for()


def test_a_run_that_begins_anew_is_shown_anew(page, tmp_path):
    run = Run(tmp_path, {"stem": (8, 8, 4)}, steps=[0, 1, 2])
    with tab_on(page, tmp_path) as tab:
        tab.open(view="channel", layer="stem", channel=0, measure="high")
        run.start(1)
        run.numbers = lambda step, path: np.full((4, 8), 7 + step, np.float32)
        run.write(1)
        until(
            page, "() => document.querySelector('iframe').contentDocument.querySelectorAll('.strip .tile').length === 2"
        )
        page.wait_for_timeout(500)
        assert tab.frame.locator(".strip .value").all_inner_texts() == ["1", "8"]


def test_an_empty_log_explains_the_callback(page, tmp_path):
    with tab_on(page, tmp_path) as tab:
        page.goto(f"{tab.board.url}/#feature_maps")
        frame = tab.frame
        frame.get_by_role("heading", name="No feature maps in this log yet").wait_for()
        assert "FeatureMapCallback" in frame.locator("pre").inner_text()
        page.set_viewport_size({"width": 390, "height": 700})
        heading = frame.get_by_role("heading").bounding_box()
        assert heading["x"] > 0 and heading["x"] + heading["width"] < 390
        frame.get_by_role("button", name="Copy").click()
        frame.get_by_role("button", name="Copied").wait_for()


def test_an_empty_log_fills_by_itself(page, tmp_path):
    with tab_on(page, tmp_path) as tab:
        page.goto(f"{tab.board.url}/#feature_maps")
        tab.frame.get_by_role("heading", name="No feature maps in this log yet").wait_for()
        Run(tmp_path / "late", {"stem": (8, 8, 4)}, steps=[0])
        tab.frame.locator(".colour-strip canvas:not(.waiting)").first.wait_for()


def test_the_page_does_not_jump_when_the_log_is_there(page, odd_board):
    held = []
    page.route("**/feature_maps/runs*", lambda route: held.append(route))
    page.goto(f"{odd_board.url}/#feature_maps&p.feature_maps.run=strips%2Ffeature_maps")
    tab = Tab(page, odd_board)
    tab.frame.locator("main[aria-label=loading] .ghost-row").first.wait_for()
    top = tab.frame.locator("main").bounding_box()["y"]
    held[0].continue_()
    tab.frame.locator(".colour-strip li").first.wait_for()
    assert tab.frame.locator("main").bounding_box()["y"] == top


def test_an_error_says_what_failed_and_what_to_do(page, odd_board):
    tab = Tab(page, odd_board)
    page.route("**/feature_maps/runs*", lambda route: route.fulfill(status=500, body="out of order"))
    page.goto(f"{odd_board.url}/#feature_maps")
    tab.frame.get_by_role("heading", name="The log could not be read").wait_for()
    assert "out of order" in tab.frame.locator("main").inner_text()
    page.unroute("**/feature_maps/runs*")
    tab.frame.get_by_role("button", name="Try again").click()
    tab.frame.locator(".colour-strip li").first.wait_for()
    page.trouble.clear()  # the browser's own report of the 500


def test_a_picture_that_fails_is_marked_and_the_rest_is_shown(page, odd_board):
    tab = Tab(page, odd_board)
    page.route("**/feature_maps/bundle*", lambda route: route.fulfill(status=404, body="gone"))
    page.goto(f"{odd_board.url}/#feature_maps&p.feature_maps.run=newer%2Ffeature_maps")
    tab.frame.locator(".trouble").first.wait_for()
    assert "gone" in tab.frame.locator(".trouble").first.inner_text()
    page.goto("about:blank")  # it goes on asking
    page.trouble.clear()


def test_what_is_wrong_with_a_log_is_said(page, tmp_path):
    run = Run(tmp_path, {"stem": (8, 8, 4)}, steps=[0])
    middle = run.path.stat().st_size
    run.write(1)
    run.write(2)
    content = bytearray(run.path.read_bytes())
    content[middle + 40] ^= 255
    run.path.write_bytes(content)
    with tab_on(page, tmp_path) as tab:
        tab.open()
        assert tab.step == "epoch 2"
        assert "damaged" in tab.frame.locator(".notice").inner_text()
        assert tab.frame.locator(".column-head select").first.locator("option").all_inner_texts() == [
            "before training",
            "epoch 2",
        ]


def test_damage_is_told_before_it_is_met(page, tmp_path):
    run = Run(tmp_path, {"stem": (8, 8, 4), "deep": (8, 8, 4)}, steps=range(5))
    content = bytearray(run.path.read_bytes())
    content[content.index(run.layer_steps(2)[1].maps[1]) + 60] ^= 1
    run.path.write_bytes(content)
    with tab_on(page, tmp_path) as tab:
        tab.open(view="layer", layer="stem")
        tab.frame.locator(".notice").wait_for()
        what = "step 2: the maps of layer 'deep', image 2 of 2, are damaged: the checksum is wrong"
        assert tab.frame.locator(".notice").all_inner_texts() == [what]
        tab.open(view="layer", layer="deep", step=2, image=1)
        assert tab.frame.locator(".trouble").first.inner_text() == "The log holds no picture here."
        assert tab.frame.locator(".notice").all_inner_texts() == [what]


def test_a_server_that_comes_back_is_heard(page, odd_board):
    tab = Tab(page, odd_board)
    # Of what is behind the page, nothing comes but the log.
    for path in ("numbers", "bundle"):
        page.route(f"**/feature_maps/{path}*", lambda route: route.abort())
    tab.open(view="layer", run=f"{HOSTILE_RUN}/feature_maps", layer="stem")
    tab.frame.locator(".notice", has_text="The numbers could not be read.").wait_for()
    page.route("**/feature_maps/runs*", lambda route: route.abort())
    tab.frame.locator(".notice", has_text=re.compile("^TensorBoard does not answer")).wait_for()
    page.unroute_all()
    tab.frame.locator(".notice").first.wait_for(state="detached")
    tab.settle()
    assert tab.frame.locator(".notice, .trouble, .waiting").count() == 0
    assert "–" not in tab.frame.locator(".baseline").inner_text()
    page.trouble.clear()  # the browser's own report of what was aborted


#: What a browser that guards against fingerprinting does: stripes in the place of what was drawn.
STRIPES = """for (const kind of [OffscreenCanvasRenderingContext2D, CanvasRenderingContext2D]) {
  const real = kind.prototype.getImageData;
  kind.prototype.getImageData = function (...box) {
    const found = real.apply(this, box);
    for (let at = 0; at < found.data.length; at++) found.data[at] = at % 4 === 3 ? 255 : (53 * ((at >> 2) % 8)) % 256;
    return found;
  };
}"""


@pytest.fixture
def guarded(page, odd_board):
    page.add_init_script(STRIPES)
    return Tab(page, odd_board)


def test_a_browser_that_guards_its_canvas_shows_what_is_stored(guarded, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    for view in VIEWS:
        texts, pixels = [], []
        for tab in (guarded, Tab(page, guarded.board)):
            tab.open(view=view, run=f"{HOSTILE_RUN}/feature_maps", layer="stem", outline=1)
            tab.page.wait_for_timeout(1000)  # which channels are alike is known a moment later
            texts.append(tab.frame.locator("main").inner_text())
            # What is on the screen, which no guard alters. The browser smooths letters as it likes.
            picture = Image.open(io.BytesIO(tab.frame.locator("main").screenshot())).convert("RGB")
            pixels.append(np.asarray(picture).astype(int))
        assert texts[0] == texts[1], view
        assert np.mean(np.abs(pixels[0] - pixels[1]).max(-1) > 16) < 1e-3, view
    page.close()


def test_a_browser_that_guards_its_canvas_saves_true_films_and_says_why_no_pictures(guarded):
    guarded.open(view="channel", run=f"{HOSTILE_RUN}/feature_maps", layer="stem", channel=0, scale="own")
    guarded.frame.get_by_text("Save", exact=True).click()
    guarded.frame.get_by_text("This view (PNG)").click()
    guarded.frame.locator(".save output", has_text="guard against fingerprinting").wait_for()
    film = np.asarray(Image.open(guarded.save("Film: channel 0")).convert("L")).astype(int)
    query = urlencode({"run": f"{HOSTILE_RUN}/feature_maps", "layer": "stem", "step": 0, "image": 0})
    stored = np.asarray(Image.open(io.BytesIO(guarded.board.get(f"/data/plugin/feature_maps/maps?{query}"))))
    cells = film[-320:, -320:].reshape(8, 40, 8, 40)[:, 20, :, 20]
    assert np.abs(cells - stored[:8, :8]).max() <= 2, "a film has 228 grays"


def test_a_browser_of_2023_is_enough(page, odd_board):
    page.add_init_script(
        """for (const [owner, name] of [[Map, "groupBy"], [Object, "groupBy"], [Promise, "withResolvers"],
            [Array, "fromAsync"], [Promise, "try"], [globalThis, "Iterator"]]) delete owner[name];
          for (const name of ["union", "intersection", "difference", "isSubsetOf"]) delete Set.prototype[name];"""
    )
    tab = Tab(page, odd_board)
    for view in VIEWS:
        tab.open(view=view, run="strips/feature_maps", layer="many")
        assert tab.frame.locator("main canvas:not(.waiting)").count() > 0
        assert tab.frame.locator("main .ghost").count() == 0


def test_the_answer_is_what_the_page_expects(odd_board):
    """The typedefs of the page name every key of the answer, and no other."""
    source = (resources.files("fm_callback") / "page" / "data" / "types.js").read_text()

    def keys(name):
        (body,) = re.findall(rf"@typedef {{object}} {name}\b(.*?)\*/", source, re.S)
        return set(re.findall(r"@property {.*} \[?(\w+)", body))

    found = odd_board.json("/data/plugin/feature_maps/runs")
    assert found.keys() == keys("RunsAnswer")
    runs = {run["run"]: run for run in found["runs"]}
    run = runs[f"{HOSTILE_RUN}/feature_maps"]
    assert run.keys() == keys("RunAnswer")
    assert run["probe"].keys() == keys("Probe")
    assert all(label.keys() == keys("Label") for label in run["labels"])
    for layer in found["layouts"][run["layout"]]:
        assert layer.keys() == {"layer", *keys("Facts")}
    assert all(words.keys() <= keys("Words") | {"of", "part"} for words in found["measures"].values())
