"""Every view and control of the tab, as a user works them."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from PIL import Image
from tab import until

AXE = Path(__file__).with_name("axe") / "axe.min.js"
LAYERS = ("stem", "down", "up", "head")
VIEWS = ("overview", "evolution", "layer", "channel", "compare", "depth", "prediction", "labels")


def test_evolution_shows_layers_by_epochs(tab):
    tab.open()
    assert tab.frame.locator(".row").count() == 4
    assert [text.split()[0] for text in tab.frame.locator(".row h2").all_inner_texts()] == ["#1", "#2", "#3", "#4"]
    facts = tab.frame.locator(".row").first.locator(".facts").inner_text()
    assert "32×32" in facts and "16 of 16 channels" in facts
    assert tab.step == "epoch 6"
    columns = [select.input_value() for select in tab.frame.locator(".column-head select").all()]
    assert columns[0] == "0", "the untrained network is always there"
    tab.page.set_viewport_size({"width": 900, "height": 900})
    tab.settle()
    tab.frame.locator(".column-head select").first.select_option("5")
    assert "5" in tab.state("columns").split(",")
    tab.frame.get_by_text("automatic columns").click()
    assert "columns" not in tab.hash()
    tab.frame.locator(".caption.opens").first.click()
    tab.settle()
    assert "view=layer" in tab.hash() and "layer=stem" in tab.hash() and "step=0" in tab.hash()


def test_a_cell_is_a_colour_picture_a_best_channel_or_all_channels(tab):
    tab.open()
    assert not tab.frame.get_by_label("channel", exact=True).count(), "an index means nothing across layers"
    row = tab.frame.locator(".row").nth(1)
    assert row.locator("canvas[data-shows=colours]").count() == row.locator(".cell").count()
    assert "% of the variance" in row.inner_text()
    assert not tab.frame.get_by_label("colour", exact=True).count(), "colours have no colour map"
    tab.frame.get_by_role("button", name="best channel").click()
    tab.settle()
    (channel,) = set(re.findall(r"\(channel (\d+)\)", " ".join(titles(row))))
    assert f"ch {channel} mask AUROC" in row.inner_text()
    tab.frame.get_by_role("button", name="all channels").click()
    tab.settle()
    assert "show=all" in tab.hash()
    assert "(best, channel" in titles(row)[0]


def titles(row):
    return [each.get_attribute("title") for each in row.locator(".caption p[title]").all()]


def test_a_marked_place_shows_what_is_like_it(tab):
    tab.open()
    row = tab.frame.locator(".row").nth(1)
    picture = row.locator(".markable").first
    picture.click(position={"x": 20, "y": 30})
    tab.settle()
    until(tab.page, SHOWS.replace("WHAT", "likeness"))
    x, y = (float(part) for part in tab.state("at").split(","))
    box = picture.bounding_box()
    assert x == pytest.approx(20 / box["width"], abs=0.02) and y == pytest.approx(30 / box["height"], abs=0.02)
    picture.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.settle()
    assert float(tab.state("at").split(",")[0]) == pytest.approx(x + 1 / 16, abs=1e-3)
    tab.page.keyboard.press("Escape")
    until(tab.page, SHOWS.replace("WHAT", "colours"))
    assert not tab.state("at")


@pytest.mark.parametrize(("view", "pictures"), [("overview", ".colour-strip canvas"), ("compare", ".panels canvas")])
def test_what_is_like_a_marked_place_is_said_where_it_is_shown(tab, view, pictures):
    tab.open(view=view, at="0.5,0.5", sides="colour", layer="up")
    tab.frame.locator(pictures.split()[0]).scroll_into_view_if_needed()
    tab.frame.locator(f"{pictures}[data-shows]").first.wait_for()
    tab.settle()
    shows = tab.frame.locator(pictures).evaluate_all("all => [...new Set(all.map((each) => each.dataset.shows))]")
    assert shows == ["likeness"]
    said = tab.frame.locator("main").inner_text()
    assert (
        "how like the marked place" in said and "has one colour" not in said and "Both sides in the colours" not in said
    )
    tab.frame.get_by_role("button", name="forget the place").click()
    tab.settle()
    assert not tab.state("at") and "colours" in tab.frame.locator("main").inner_text()


def test_a_place_is_marked_on_both_sides(tab):
    tab.open(view="compare", sides="colour", layer="up")
    assert re.search(r"colours: \d+ % of the variance", tab.frame.locator("main").inner_text())
    tab.frame.locator(".panels .markable").nth(1).click(position={"x": 50, "y": 50})
    tab.settle()
    assert tab.frame.locator(".panels canvas[data-shows=likeness]").count() == 2


SHOWS = """() => [...document.querySelector("iframe").contentDocument.querySelectorAll(".row .now canvas")]
  .slice(0, 2).every((each) => each.dataset.shows === "WHAT")"""


def test_scrubbing_changes_numbers_with_pictures(tab):
    tab.open()
    cell = tab.frame.locator(".row").nth(1).locator(".now")
    seen = set()
    tab.press("Home")
    assert tab.step == "before training"
    for step in range(7):
        assert cell.locator("canvas").get_attribute("data-step") == str(step)
        seen.add(cell.locator(".caption").inner_text())
        tab.press("ArrowRight")
    assert len(seen) > 3
    slider = tab.frame.get_by_label("step", exact=True)
    slider.fill("2")
    tab.settle()
    assert tab.step == "epoch 2"
    assert slider.get_attribute("aria-valuetext") == "epoch 2"


def test_play_and_pause(tab):
    tab.open(step=0)
    tab.press(" ")
    tab.frame.get_by_label("pause").wait_for()
    tab.press(" ")
    tab.frame.get_by_label("play").wait_for()
    tab.frame.get_by_label("play").click()
    until(
        tab.page,
        "() => document.querySelector('iframe').contentDocument.querySelector('output').textContent.startsWith('epoch 6')",
    )
    tab.frame.get_by_label("play").wait_for()


def test_keys(tab):
    tab.open()
    for number, view in enumerate(VIEWS, 1):
        tab.press(str(number))
        assert tab.frame.locator("main").get_attribute("aria-label") == view
    tab.press("3", "k")
    assert "layer=up" in tab.hash()
    tab.press("j", "o", "s", "c", "]")
    found = tab.hash()
    assert all(part in found for part in ("layer=head", "outline=1", "scale=own", "colour=viridis", "channel=0"))
    tab.press("a")
    assert "channel=" not in tab.hash()
    tab.press("?")
    assert tab.frame.locator("dialog").is_visible()
    tab.page.keyboard.press("Escape")
    assert not tab.frame.locator("dialog").is_visible()


def test_the_first_key_marks_a_layer_at_an_end(tab):
    for key, layer in (("j", "stem"), ("k", "head")):
        tab.open()
        tab.press(key)
        assert tab.frame.locator(".row[aria-current]").get_attribute("aria-label") == f"layer {layer}"


def test_a_link_to_what_is_not_there_says_what_is_shown(tab):
    tab.open(run="nowhere", layer="nonsense")
    notices = " ".join(tab.frame.locator(".notice").all_inner_texts())
    assert "no run “nowhere”" in notices and "no layer “nonsense”: “head” is shown" in notices
    tab.open(layer="down")
    assert tab.frame.locator(".notice").count() == 0


@pytest.mark.parametrize(("width", "height"), [(390, 700), (1280, 600)])
def test_only_the_view_scrolls(tab, width, height):
    tab.page.set_viewport_size({"width": width, "height": height})
    for view in VIEWS:
        tab.open(view=view, layer="down")
        size = "[document.documentElement.scrollHeight, document.documentElement.clientHeight]"
        document, window = tab.frame.evaluate(size)
        assert document == window, view


def test_a_linked_layer_is_in_view(tab):
    tab.page.set_viewport_size({"width": 390, "height": 600})
    tab.open(layer="up")
    tab.page.wait_for_timeout(500)
    row, page = tab.frame.locator(".row[aria-current]").bounding_box(), tab.frame.locator("main").bounding_box()
    assert page["y"] <= row["y"] and row["y"] + row["height"] <= page["y"] + page["height"]


def separations(tab):
    """How well the channels of a layer tell the object, whether bright or dark."""
    told = tab.frame.locator(".tile .value").all_inner_texts()
    return [float(text.removesuffix(" dark")) for text in told if text != "–"]


def test_layer_shows_values_and_sorts(tab):
    tab.open(view="layer", layer="down")
    tiles = tab.frame.locator(".tile")
    assert tiles.count() == 32
    tiles.nth(5).locator(".frame").hover()
    told = tab.frame.locator(".pointed").inner_text()
    assert "channel 5" in told and "value" in told and "mask" in told
    tab.frame.get_by_label("sort by").select_option("mask_auroc")
    assert (values := separations(tab)) == sorted(values, reverse=True)
    tab.frame.get_by_label("measure").select_option("std")
    tab.frame.get_by_role("checkbox", name="mask outline").check()
    tab.frame.get_by_label("probe image 3").click()
    assert "image=2" in tab.hash()
    tiles.nth(0).click()
    assert "view=channel" in tab.hash()


def test_a_layer_is_measured_against_the_step_before_training(tab):
    tab.open(view="layer", layer="down", step=2)
    table = tab.frame.locator(".baseline")
    assert [head.inner_text() for head in table.locator("thead th").all()] == ["before training", "epoch 2"]
    assert [head.inner_text() for head in table.locator("tbody th").all()] == ["best", "median", "lowest"]
    told = table.locator("tbody tr").first.locator("td b").last.inner_text()
    assert told.removesuffix(" dark") == f"{max(separations(tab)):.2f}"
    assert "32 channels, 256 cells × 4 images" in tab.frame.locator("aside").inner_text()


def test_what_was_clicked_does_not_keep_the_keys(tab):
    tab.open(step=0)
    tab.frame.get_by_role("button", name="Layer", exact=True).click()
    tab.page.keyboard.press(" ")
    tab.frame.get_by_label("pause").wait_for()
    tab.page.keyboard.press(" ")
    tab.frame.get_by_label("play").wait_for()
    tab.frame.get_by_label("step", exact=True).click()
    tab.page.keyboard.press(" ")
    tab.frame.get_by_label("pause").wait_for()


def test_the_scale_of_both_sides_belongs_to_compare(tab):
    tab.open(show="all")
    tab.press("s", "s", "s", "s")
    assert "scale=" not in tab.hash()
    tab.press("5", "s", "s", "s", "s")
    assert "scale=both" in tab.hash()


def test_the_back_button_returns_to_where_one_was(tab):
    tab.page.set_viewport_size({"width": 1280, "height": 500})
    tab.open()
    tab.frame.evaluate("document.querySelector('main').scrollTop = 200")
    tab.frame.locator(".row").nth(2).scroll_into_view_if_needed()
    tab.settle()
    cell = tab.frame.locator(".row").nth(2).locator(".caption.opens").first
    cell.scroll_into_view_if_needed()
    cell.hover()  # which brings it into view
    before = tab.frame.evaluate("document.querySelector('main').scrollTop")
    cell.click()
    assert "view=layer" in tab.hash()
    tab.page.go_back()
    tab.frame.locator(".row").first.wait_for()
    assert tab.frame.evaluate("document.querySelector('main').scrollTop") == before > 0


def test_the_layer_one_is_at_is_marked(tab):
    tab.page.set_viewport_size({"width": 1280, "height": 500})
    tab.open(layer="down")
    row = tab.frame.locator(".row[aria-current]")
    for name in ("down", "up", "head"):
        assert row.locator("h2").inner_text().endswith(name)
        assert row.locator("canvas").first.bounding_box()["y"] < 500, "it is on the screen"
        tab.press("j")
    tab.press("6")
    assert tab.frame.locator(".way .tile[aria-current]").count() == 1


def test_no_picture_is_asked_for_twice(tab):
    asked = []

    def note(request):
        if "/bundle?" in request.url:
            question = parse_qs(urlsplit(request.url).query)
            (image,) = question["image"]
            asked.extend((layer, step, image) for layer in question["layer"] for step in question["step"])

    tab.page.set_viewport_size({"width": 1280, "height": 1200})  # all layers are seen
    tab.page.on("request", note)
    tab.open()
    for key in ("ArrowLeft",) * 4 + ("ArrowRight",) * 2:
        tab.page.keyboard.press(key)
    tab.settle()
    for _ in range(100):
        tab.page.wait_for_timeout(100)
        if len(asked) >= 4 * (7 + 3):
            break
    tab.page.wait_for_timeout(500)
    wanted = {(name, str(step), "0") for name in LAYERS for step in range(7)}
    wanted |= {(name, "6", str(image)) for name in LAYERS for image in (1, 2, 3)}
    assert set(asked) == wanted and len(asked) == len(wanted), "all of this image, and the newest of the three others"


def test_scales_and_colours_need_no_request(tab):
    tab.open(view="layer", layer="down")
    tab.page.wait_for_timeout(1500)
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url))
    pixels = "() => { const each = document.querySelectorAll('.tile canvas')[2]; return each.toDataURL(); }"
    seen = {tab.frame.evaluate(pixels)}
    for scale in ("channel", "layer"):
        tab.frame.get_by_label("scale").select_option(scale)
        tab.settle()
        seen.add(tab.frame.evaluate(pixels))
    for colour in ("viridis", "diverging"):
        tab.frame.get_by_label("colour").select_option(colour)
        tab.settle()
        seen.add(tab.frame.evaluate(pixels))
    assert len(seen) == 5
    assert not [url for url in asked if "feature_maps/" in url and not url.endswith("/runs")]


def test_channel_is_a_film_with_curves(tab):
    tab.open(view="channel", layer="down", channel=4)
    assert tab.frame.locator(".strip .tile").count() == 7
    tab.frame.locator(".strip .tile").nth(2).click()
    assert tab.step == "epoch 2"
    tab.frame.locator(".uplot canvas").first.wait_for()
    scores = tab.frame.locator(".charts .card").first
    assert scores.locator("h2").inner_text() == "Scores"
    for _ in range(2):  # the numbers beside the curves are those of the step
        told = "".join(scores.locator(".u-legend").inner_text().split())
        value = tab.frame.locator(".strip .tile[aria-pressed=true] .value").inner_text()
        assert tab.step.replace(" ", "") in told and f"maskAUROC{value}" in told
        tab.press("ArrowRight")


def test_what_a_channel_has_over_its_control_is_the_difference_of_what_is_told(tab):
    sides = set()
    for channel in range(16):
        tab.open(view="channel", layer="up", channel=channel)
        about = tab.frame.locator(".about")
        told = dict(zip(about.locator("dt").all_inner_texts(), about.locator("dd").all_inner_texts(), strict=True))
        score, control = told["mask AUROC"], told["mask control"]
        over = re.search(r"mask AUROC ([+−])(\d\.\d\d) more", about.inner_text())
        excess = float(over[2]) * (1 if over[1] == "+" else -1)
        assert float(score.split()[0]) - float(control.split()[0]) == pytest.approx(excess, abs=0.011)
        assert score.endswith("dark") == control.endswith("dark")
        sides.add(score.endswith("dark"))
        if len(sides) == 2:
            break
    assert sides == {True, False}, "both kinds were met"
    assert "below it the dark side" in tab.frame.locator(".charts .card", has_text="Scores").inner_text()


def test_the_next_channel_is_the_one_after_what_is_shown(tab):
    tab.open(view="channel", layer="down")
    shown = int(tab.frame.locator(".about .big b").inner_text())
    tab.press("]" if shown < 31 else "[")
    assert tab.state("channel") == str(shown + 1 if shown < 31 else 30)


def test_a_film_keeps_its_channel(tab):
    tab.open(view="channel", layer="down")
    shown = tab.frame.locator(".big").inner_text()
    assert "the highest mask AUROC at epoch 6" in shown
    tab.frame.get_by_label("scale").select_option("channel")
    low, high = tab.frame.locator(".context .colour-bar").inner_text().split()
    assert float(low.replace("−", "-")) < float(high), "one range, in values"
    for _ in range(6):
        tab.press("ArrowLeft")
        assert tab.frame.locator(".big").inner_text() == shown


def test_compare_two_cells(tab):
    tab.open(view="compare", layer="down", channel=4)
    assert tab.frame.locator(".window canvas").count() == 3
    assert tab.frame.get_by_label("left step").input_value() == "0"
    assert "mean |difference|" in tab.frame.locator(".panels").inner_text()
    tab.frame.get_by_label("left step").select_option("6")
    tab.settle()
    assert "mean |difference| 0," in tab.frame.locator(".panels").inner_text(), "a cell and itself"
    tab.frame.get_by_label("zoom in").click()
    assert "150 %" in tab.frame.locator(".zoomer").inner_text()
    tab.frame.locator(".window canvas").first.hover()
    assert "right − left 0" in tab.frame.locator(".readout").inner_text()
    tab.frame.get_by_label("left layer").select_option("stem")
    tab.settle()
    assert "No difference: the maps are 32×32 and 16×16" in tab.frame.locator(".panels").inner_text()
    assert tab.frame.get_by_label("how to compare").inner_text().split("\n") == ["side by side", "swipe"]
    tab.frame.get_by_text("swipe", exact=True).click()
    tab.frame.get_by_label("swipe handle").fill("200")
    tab.frame.get_by_label("scale").select_option("both")
    tab.frame.get_by_text("swap sides").click()
    assert "layer=stem" in tab.hash() and "withLayer=down" in tab.hash()


def test_the_keyboard_reads_and_moves_compared_maps(tab):
    tab.open(view="compare", layer="stem")
    window = tab.frame.locator(".window canvas").first
    readout = tab.frame.locator(".readout")
    window.focus()
    tab.page.keyboard.press("ArrowRight")
    assert readout.inner_text().startswith("channel 0 at (16, 16): left")
    tab.page.keyboard.press("ArrowDown")
    assert readout.inner_text().startswith("channel 0 at (16, 17): left")
    for _ in range(16):
        tab.page.keyboard.press("ArrowRight")
    assert readout.inner_text().startswith("channel 1 at (0, 17): left"), "over the edge is the next map"
    frames = tab.frame.locator(".window .reticle")
    assert frames.count() == 3, "the cell is framed on both sides and in the difference"
    value = readout.inner_text()
    box, frame = window.bounding_box(), frames.first.bounding_box()
    tab.page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    assert readout.inner_text() == value, "the pointer finds there what the keys do"
    for _ in range(4):
        tab.frame.get_by_label("zoom in").click()
    window.focus()
    tab.page.keyboard.press("ArrowRight")
    frame = frames.first.bounding_box()
    assert box["x"] <= frame["x"] <= box["x"] + box["width"] and box["y"] <= frame["y"] <= box["y"] + box["height"]
    step = tab.step
    window.click()
    tab.page.keyboard.press("ArrowLeft")
    tab.settle()
    assert tab.step != step, "after a click the arrows change the step, as everywhere"


def test_compared_maps_stand_side_by_side_with_their_scores(tab):
    tab.open(view="compare", layer="down")
    tops = "() => [...document.querySelectorAll('.window')].map((each) => each.getBoundingClientRect().top)"
    assert len(set(tab.frame.evaluate(tops))) == 1
    told = tab.frame.locator(".panels figure > div > p, .panels figure > p").all_inner_texts()
    assert all(text.startswith("best mask AUROC ") and "median" in text for text in told[:2])
    assert told[2].startswith("mean |difference|")
    tab.frame.get_by_text("swipe", exact=True).click()
    assert len(set(tab.frame.evaluate(tops))) == 1


def test_a_layer_beside_itself_at_the_first_step_is_one_click_away(tab):
    for view, link in (("evolution", ".row[aria-current] .names > .link"), ("layer", ".baseline .link")):
        tab.open(view=view, layer="down", step=4, withStep=2)
        tab.frame.locator(link).click()
        tab.settle()
        assert [tab.state(each) for each in ("view", "layer", "step", "withStep")] == ["compare", "down", "4", ""]
        names = tab.frame.locator(".side-name").all_inner_texts()
        assert "left" in names[0] and "epoch 4" in names[1]


def test_compare_all_runs(tab):
    tab.open(view="compare", layer="down")
    assert tab.frame.locator(".run-row figure").count() == 2
    tab.frame.locator(".run-choice").get_by_label("seed1").uncheck()
    assert tab.frame.locator(".run-row figure").count() == 1
    tab.frame.get_by_label("left run").select_option("seed1/feature_maps")
    tab.settle()
    assert "withRun=seed1" in tab.hash()


def test_depth_goes_from_input_to_mask(tab):
    tab.open(view="depth")
    texts = tab.frame.locator(".way li").all_inner_texts()
    assert (texts[0], texts[-1], len(texts)) == ("input", "true mask", 6)
    tab.frame.get_by_role("button", name="all channels").click()
    tab.settle()
    assert "show=all" in tab.hash()
    legend = tab.frame.locator(".u-legend .u-series").filter(has_text="before training")
    assert legend.count() == 2
    style = "each => getComputedStyle(each).borderTopStyle"
    assert {marker.evaluate(style) for marker in legend.locator(".u-marker").all()} == {"dashed"}
    assert tab.frame.locator(".heat .colour-bar").inner_text().split() == ["0.50", "1.00"], "of two sides the better"
    tab.frame.get_by_label("measure").select_option("edge_auroc")
    assert tab.frame.locator(".heat .colour-bar").inner_text().split() == ["0.00", "chance", "0.50", "1.00"]
    tab.frame.get_by_label("of each layer").select_option("median")
    field = tab.frame.locator(".field")
    field.focus()
    tab.page.keyboard.press("ArrowDown")
    assert "#2 down, epoch 6" in tab.frame.locator(".told").inner_text()
    tab.page.keyboard.press("Enter")
    assert "view=layer" in tab.hash()


def test_curves_by_depth_keep_their_axis(tab):
    tab.open(view="depth", measure="mask_auroc", step=0)
    tab.frame.locator(".card .uplot").first.wait_for()
    pictures = set()
    for _ in range(7):  # the left edge of the picture holds the axis' numbers
        axis = "(each) => [...each.querySelector('canvas').getContext('2d').getImageData(0, 0, 40, 200).data].join()"
        pictures.add(tab.frame.locator(".card .uplot").first.evaluate(axis))
        tab.press("ArrowRight")
    assert len(pictures) == 1


def test_the_address_reopens_what_was_seen(tab):
    tab.open(view="layer", layer="down", step=3, scale="layer", colour="viridis", sort="std", run="seed1/feature_maps")
    tab.frame.get_by_text("show the same").wait_for()  # which is reckoned last
    before = tab.frame.evaluate("document.querySelector('main').innerText")
    address = tab.page.url
    tab.page.goto("about:blank")
    tab.page.goto(address)
    tab.settle()
    tab.frame.get_by_text("show the same").wait_for()
    assert tab.step == "epoch 3"
    assert tab.frame.evaluate("document.querySelector('main').innerText") == before


@pytest.mark.parametrize("view", ["evolution", "channel"])
def test_a_saved_picture_cuts_nothing_in_two(tab, view):
    tab.page.set_viewport_size({"width": 390, "height": 500})
    tab.open(view=view, layer="down", channel=4)
    tab.frame.evaluate("document.querySelector('main').scrollTop = 90")
    tab.page.wait_for_timeout(500)
    tab.settle()
    blocks = tab.frame.evaluate(
        """() => {
          const view = document.querySelector("main"), page = view.getBoundingClientRect();
          const head = view.querySelector(".columns")?.offsetHeight ?? 0;
          const boxes = [...view.querySelectorAll(".evolution > .tools, .row, .predictions, .tile, .card, figure, .about")].map((each) => each.getBoundingClientRect());
          const seen = boxes.filter((box) => box.bottom > page.top + head + 1 && box.top < page.bottom - 1);
          return Math.max(...seen.map((box) => box.bottom)) - Math.min(...seen.map((box) => box.top)) + head;
        }"""
    )
    picture = Image.open(tab.save("This view (PNG)"))
    assert blocks + 20 < picture.height < blocks + 110, "whole blocks, and what they mean above them"


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_saves_as_a_picture(tab, view):
    tab.open(view=view, layer="down")
    picture = Image.open(tab.save("This view (PNG)")).convert("RGB")
    assert picture.width >= 1200
    assert len(picture.crop((0, picture.height - 60, 1200, picture.height)).getcolors(1 << 24)) > 1, "no empty paper"
    assert len(picture.crop((0, 40, 1200, 500)).getcolors(1 << 24)) > 100, "maps are in it"


SVG_OF_PICTURE = """() => {
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
  Object.defineProperty(HTMLImageElement.prototype, "src", {
    get,
    set(value) {
      if (value.startsWith("data:image/svg")) window.drawn = decodeURIComponent(value);
      set.call(this, value);
    },
  });
}"""


def test_a_saved_picture_says_what_holds_for_it(tab):
    for view, told in (("overview", ""), ("depth", " · scale: each picture"), ("layer", " · scale: 1–99 % · gray")):
        tab.open(view=view)
        tab.frame.evaluate(SVG_OF_PICTURE)
        tab.save("This view (PNG)")
        title = re.search(r"picture-title[^>]*><span[^>]*>([^<]*)", tab.frame.evaluate("drawn"))[1]
        assert title.endswith(f"epoch 6 · probe image 1{told}"), view
    tab.open(view="compare")
    tab.frame.evaluate(SVG_OF_PICTURE)
    tab.save("This view (PNG)")
    ticks = re.findall(r'<input[^>]*type="checkbox"[^>]*>', tab.frame.evaluate("drawn"))
    assert len(ticks) == 2 and all("checked" in tick for tick in ticks), "both runs are shown"


def test_films(tab):
    tab.open(view="channel", layer="down", channel=4)
    for name in ("Film: channels of down", "Film: channel 4"):
        film = Image.open(tab.save(name))
        assert (film.format, film.n_frames) == ("GIF", 7)


def test_colour_films(tab):
    tab.open(view="layer", layer="down")
    film = Image.open(tab.save("Colour film: down (GIF)"))
    assert (film.format, film.n_frames) == ("GIF", 7)
    tab.open()
    film = Image.open(tab.save("Colour film: all layers (GIF)"))
    assert film.n_frames == 7 and film.width > 300
    assert len({film.seek(frame) or film.convert("RGB").tobytes() for frame in range(7)}) == 7
    assert tab.save("Colour film: all layers (WebM)").read_bytes()[:4] == b"\x1aE\xdf\xa3"


def test_a_sheet_of_layers_by_steps(tab):
    tab.open()
    picture = Image.open(tab.save("Layers × epochs (PNG)")).convert("RGB")
    assert picture.width > 1500 and len(picture.getcolors(1 << 24)) > 500
    svg = ElementTree.parse(tab.save("Layers × epochs (SVG)")).getroot()
    name = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in svg.iter(f"{name}text")]
    assert len(list(svg.iter(f"{name}image"))) == 4 * 7
    assert {"before training", "epoch 6", "#2", "down", "16 × 16, 32 channels"} <= set(texts)


def test_labels_of_a_sheet_stay_beside_its_pictures(tab):
    tab.open(show="best")
    tab.page.set_content(tab.save("Layers × epochs (SVG)").read_text())
    reach = """() => {
      const first = Math.min(...[...document.querySelectorAll("image")].map((each) => each.getBBox().x));
      const names = [...document.querySelectorAll("text:not([text-anchor])")].slice(1, -1);
      return [first, names.map((each) => [each.textContent, each.getBBox()]).filter(([, { x }]) => x < first)
        .map(([text, { x, width }]) => [text, x + width])];
    }"""
    first, names = tab.page.evaluate(reach)
    assert len(names) == 4 * 3 and all(end <= first for _, end in names), names
    assert any(re.fullmatch(r"16 × 16, channel \d+ of 32", text) for text, _ in names)


def test_a_film_shows_the_outline_where_the_view_does(tab):
    tab.open(view="channel", layer="stem", channel=4, outline=1)
    frame = Image.open(tab.save("Film: channel 4")).convert("RGB")
    colours = {colour: count for count, colour in frame.getcolors(1 << 24)}
    assert colours.get((255, 138, 31), 0) > 300


@pytest.mark.parametrize("width", [1280, 390])
def test_the_bar_is_calm_and_its_menu_is_on_the_page(tab, width):
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.open(view="channel", layer="down", channel=4)
    run = tab.frame.locator(".bar > .choice select")
    assert run.evaluate("each => each.scrollWidth <= each.clientWidth"), "the run's name is whole"
    if width == 1280:
        assert tab.frame.locator(".bar").bounding_box()["height"] < 50, "one row"
    tab.frame.get_by_text("Save", exact=True).click()
    box = tab.frame.locator(".menu > div").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_view_is_accessible_and_fits(tab, width, dark):
    tab.page.set_viewport_size({"width": width, "height": 900})
    for view in VIEWS:
        tab.open(view=view, layer="down", dark=dark)
        paper = tab.frame.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(32, 33, 36)") == dark
        assert tab.frame.evaluate(
            "document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth"
        ), view
        tab.frame.evaluate(AXE.read_text() + ";0")
        violations = tab.frame.evaluate(
            "axe.run().then((found) => found.violations.map((each) => [each.id, each.nodes[0].html]))"
        )
        assert violations == [], view


@pytest.mark.parametrize(("view", "words"), [("overview", 2), ("layer", 1), ("channel", 8), ("compare", 2)])
def test_words_are_explained_where_they_stand(tab, view, words):
    tab.open(view=view, layer="up")
    tab.frame.locator(".word").first.wait_for()
    found = tab.frame.locator(".word")
    assert found.count() >= words
    word = found.filter(has_text="mask AUROC").first
    # Firefox says what is shown, and not what that is.
    shown = "(each) => getComputedStyle(each, '::after').content.replace('attr(data-says)', each.dataset.says)"
    assert word.evaluate(shown) in ("none", "normal")
    word.hover()
    assert "tells the object from the background" in word.evaluate(shown)
    tab.page.mouse.move(0, 0)
    tab.page.keyboard.press("Tab")
    word.focus()
    assert "tells the object from the background" in word.evaluate(shown)
    assert word.get_attribute("aria-label").startswith("mask AUROC: ")
    tab.page.set_viewport_size({"width": 390, "height": 800})
    found.last.focus()
    fits = "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('main'))"
    until(tab.frame, fits)  # the sentence makes a narrow page no wider, once it is laid out anew


def test_what_is_chosen_in_a_menu_can_be_read(tab):
    cut = """() => [...document.querySelectorAll("main .card select, .context select, .settings select")]
      .filter((each) => CSS.supports("field-sizing: content") || !each.closest(".settings"))
      .map((each) => {
        const context = document.createElement("canvas").getContext("2d");
        const { fontSize, fontFamily } = getComputedStyle(each);
        context.font = `${fontSize} ${fontFamily}`;
        return [each.selectedOptions[0].text, context.measureText(each.selectedOptions[0].text).width, each.clientWidth];
      })
      .filter(([, text, room]) => text > room - 16)"""
    for view in ("overview", "evolution", "layer", "compare", "depth"):
        tab.open(view=view, layer="down")
        assert not tab.frame.evaluate(cut), view


def test_dark_mode_follows_tensorboard(tab):
    tab.open()
    tab.page.evaluate("document.body.classList.add('dark-mode')")
    tab.page.wait_for_timeout(200)
    assert tab.frame.evaluate("document.documentElement.dataset.theme") == "dark"
