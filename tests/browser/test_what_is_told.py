"""What is told of a picture is true of that picture, also while it is on its way, and where two sides differ."""

import io
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pytest
from PIL import Image
from reading import tensorboard
from tab import Run, Tab, layers_of, steps_of, tab_on

RUNS = "/data/plugin/feature_maps/runs"
SIZE = (8, 8, 8)
#: Of these, 1, 3, 5 and 7 are logged in the run "a", too.
OTHERS = (1, 20, 3, 33, 5, 9, 50, 7)
#: What a later version might write in the place of what this one knows.
CHANGED = {"kernel": {"size": [3, 3]}, "activation": {"name": "relu"}, "slice": [1, 2], "fields": "low", "shape": [0, 8, 8]}  # fmt: skip


@pytest.fixture(scope="module")
def board(tmp_path_factory, plugin):
    path = tmp_path_factory.mktemp("told")
    Run(path / "a", {"alpha": SIZE, "beta": SIZE}, steps=range(5))
    Run(path / "b", {"alpha": SIZE, "gamma": SIZE}, steps=range(5))
    Run(path / "others", {"alpha": SIZE}, steps=range(5), changes={"alpha": {"channels": OTHERS, "shape": (8, 8, 64)}})
    Run(path / "deep", {f"layer{number}": SIZE for number in range(10)}, steps=range(5))
    Run(path / "long", {"alpha": SIZE}, steps=range(40))
    Run(path / "large", {"alpha": (96, 96, 16)}, steps=[0])
    # What each cell of a notebook gives that builds its model anew: names go on, and say nothing of the layers.
    for cell, begin in (("cell1", 0), ("cell2", 2)):
        names = [f"conv2d_{begin + number}" if begin + number else "conv2d" for number in range(3)]
        Run(path / cell, dict.fromkeys(names, (6, 6, 8)), steps=range(2))
    Run(
        path / "later",
        {"alpha": SIZE, **dict.fromkeys(CHANGED, SIZE)},
        steps=range(2),
        version=3,
        changes={name: {name: value} for name, value in CHANGED.items()},
    )
    with tensorboard(path, True) as board:
        board.wait_for(
            RUNS,
            lambda found: sorted(len(steps_of(run)) for run in found["runs"]) == [1, 2, 2, 2, 5, 5, 5, 5, 40],
        )
        yield board


@pytest.fixture
def told(page, board):
    return Tab(page, board)


def _map(board, run, layer, step, place, image=0):
    """A stored map (height, width)."""
    query = urlencode({"run": f"{run}/feature_maps", "layer": layer, "step": step, "image": image})
    picture = np.asarray(Image.open(io.BytesIO(board.get(f"/data/plugin/feature_maps/maps?{query}"))))
    facts = layers_of(board.json(RUNS), f"{run}/feature_maps")[layer]
    rows, columns = facts["rows"], facts["columns"]
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    row, column = divmod(place, columns)
    return picture[row * height : (row + 1) * height, column * width : (column + 1) * width].astype(int)


def _drawn(tab, selector):
    return tab.frame.evaluate(
        "(selector) => [...document.querySelectorAll(selector)].map((each) => each.toDataURL())", selector
    )


def _held(page):
    """Holds what is asked for of the step 39; returns a function that lets it go."""
    held, kept = [], {"39"}

    def hear(route):
        if kept & set(parse_qs(urlsplit(route.request.url).query)["step"]):
            held.append(route)
        else:
            route.continue_()

    page.route("**/feature_maps/bundle*", hear)

    def release():
        kept.clear()
        for route in held:
            route.continue_()

    return release


def test_compare_shows_the_chosen_image(told):
    view = {"view": "compare", "run": "a/feature_maps", "layer": "alpha", "channel": 0}
    told.open(**view, image=1)
    expected = _drawn(told, ".window canvas")
    told.open(**view)
    assert _drawn(told, ".window canvas")[1] != expected[1]
    for number in (2, 1, 2):
        told.frame.get_by_label(f"probe image {number}").click()
        told.page.wait_for_timeout(300)
        told.settle()
    assert _drawn(told, ".window canvas") == expected


def test_compared_channels_are_those_of_both_sides(told, board):
    view = {
        "view": "compare",
        "run": "others/feature_maps",
        "layer": "alpha",
        "withRun": "a/feature_maps",
        "withStep": 4,
    }
    told.open(**view)
    assert "of the 4 channels that both sides logged" in told.frame.locator(".panels").inner_text()
    window, readout = told.frame.locator(".window canvas").nth(2), told.frame.locator(".readout")
    box, seen = window.bounding_box(), {}
    for x in np.linspace(0.02, 0.98, 12):
        for y in np.linspace(0.02, 0.98, 12):
            told.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            if (text := readout.inner_text()).startswith("channel"):
                seen[int(text.split()[1])] = text
    assert sorted(seen) == [1, 3, 5, 7]
    x, y = map(int, seen[3].split("(")[1].split(")")[0].split(","))
    for side, run, place in (("left", "a", 3), ("right", "others", OTHERS.index(3))):
        value = float(seen[3].split(f"{side} ")[1].split(",")[0].replace("−", "-"))
        assert abs(value - (-5 + _map(board, run, "alpha", 4, place)[y, x] / 255 * 10)) < 0.01
    told.open(**view, channel=20)
    assert told.frame.locator(".panels .trouble").all_inner_texts() == ["Channel 20 is not logged on the left."] * 2
    told.frame.get_by_text("swipe", exact=True).click()
    assert told.frame.locator(".panels .trouble").first.inner_text() == "Channel 20 is not logged on the left."
    # Channel 1 is dead on the left, and from -5 to 5 on the right.
    told.open(**view, channel=1, scale="both")
    told.frame.locator(".told-of .colour-bar").nth(1).wait_for()
    bars = told.frame.locator(".told-of .colour-bar").all_inner_texts()
    assert [bar.split() for bar in bars] == [["−5", "5"]] * 2


def test_layers_of_a_model_that_was_built_anew_are_compared_by_number(told, board):
    view = {"view": "compare", "run": "cell1/feature_maps", "withRun": "cell2/feature_maps", "withStep": 1}
    for number, name, other in ((1, "conv2d", "conv2d_2"), (2, "conv2d_1", "conv2d_3"), (3, "conv2d_2", "conv2d_4")):
        told.open(**view, layer=name, channel=0)
        chosen = told.frame.get_by_label("left layer").evaluate("(box) => box.selectedOptions[0].textContent")
        assert chosen == f"#{number} {other}"
        said = f"#{number} {other} stands for #{number} {name}: it has the same number, kind and shape."
        assert said in told.frame.locator("main").inner_text()
        one, two = _map(board, "cell2", other, 1, 0), _map(board, "cell1", name, 1, 0)
        mean = np.abs((two - one) / 255 * 4).mean()
        assert f"mean |difference| {mean:.3g}" in told.frame.locator(".panels").inner_text()
        runs = told.frame.locator(".runs")
        assert "where its name differs, the layer of the same number, kind and shape" in runs.inner_text()
        captions = runs.locator("figcaption").all_inner_texts()
        assert captions[0].startswith("cell1 · epoch 1") and captions[1].startswith(
            f"cell2 · #{number} {other} · epoch 1"
        )
        assert len(captions) == 2, "and no layer of the others is like it"
    # The layer stays when another run is looked at, and when another is taken for the left.
    told.frame.locator(".bar > .choice select").select_option("cell2/feature_maps")
    told.settle()
    assert told.frame.locator(".context select").first.input_value() == "conv2d_4"
    told.frame.get_by_label("left layer").select_option("conv2d_3")
    told.frame.get_by_label("left run").select_option("cell1/feature_maps")
    told.settle()
    assert told.frame.get_by_label("left layer").input_value() == "conv2d_1"
    # Where there is no layer like it, none is shown in its place.
    told.frame.get_by_label("left run").select_option("a/feature_maps")
    told.settle()
    trouble = told.frame.locator(".panels .trouble")
    assert trouble.first.inner_text() == "This run has no layer like #3 conv2d_4. Choose one."
    assert told.frame.get_by_role("button", name="swap sides").is_disabled()
    told.frame.get_by_label("left layer").select_option("beta")
    told.settle()
    assert trouble.all_inner_texts() == ["No difference: the maps are 8×8 and 6×6."]


def test_a_scale_that_only_compare_has_is_each_maps_own_elsewhere(told):
    told.open(view="compare", run="a/feature_maps", scale="both")
    assert told.frame.locator(".settings select").first.input_value() == "both"
    told.press("3")
    assert told.frame.locator(".settings select").first.input_value() == "most"
    assert "1st percentile" in told.frame.locator(".context .colour-bar").inner_text()
    told.press("s")
    assert "scale=own" in told.hash()


def test_a_film_waits_for_the_numbers_of_its_scale(told):
    def film(**view):
        told.open(run="deep/feature_maps", scale="layer", **view)
        picture = Image.open(told.save("Film: channels of layer9"))
        picture.seek(1)
        return np.asarray(picture.convert("RGB"))

    told.page.set_viewport_size({"width": 1280, "height": 260})
    of_a_layer_not_seen = film()
    assert np.array_equal(of_a_layer_not_seen, film(view="layer", layer="layer9"))


@pytest.mark.parametrize(
    ("view", "picture", "number"),
    [
        ("layer", ".tile canvas", ".tile .value"),
        ("channel", ".now-panel .maps canvas", ".now-panel .list dd:nth-of-type(2)"),
        ("depth", ".way .tile canvas", ".way .tile .value"),
    ],
)
def test_a_number_waits_for_its_picture(told, board, view, picture, number):
    release = _held(told.page)
    told.page.goto(f"{board.url}/#feature_maps&p.feature_maps.run=long%2Ffeature_maps&p.feature_maps.step=0&p.feature_maps.view={view}&p.feature_maps.measure=high&p.feature_maps.show=best")  # fmt: skip
    shown, value = told.frame.locator(picture).first, told.frame.locator(number).first
    value.wait_for()
    told.page.wait_for_timeout(1000)
    assert (shown.get_attribute("data-step"), value.inner_text()) == ("0", "1")
    told.frame.get_by_label("step", exact=True).fill("39")
    told.page.wait_for_timeout(400)
    assert (told.step, shown.get_attribute("data-step"), value.inner_text()) == ("epoch 39", "0", "1")
    release()
    told.page.wait_for_timeout(1000)
    assert (shown.get_attribute("data-step"), value.inner_text()) == ("39", "40")


def test_the_value_under_the_pointer_comes_with_the_picture(told):
    release = _held(told.page)
    told.open(view="layer", run="long/feature_maps", step=0)
    told.frame.locator(".tile .frame").first.hover()
    pointed, value = told.frame.locator(".pointed"), told.frame.locator(".pointed p b").nth(1)
    before = value.inner_text()
    told.frame.get_by_label("step", exact=True).fill("39")
    told.page.wait_for_timeout(400)
    assert value.inner_text() == before != "–"
    release()
    told.page.wait_for_timeout(1000)
    after = pointed.inner_text()
    assert value.inner_text() not in ("–", before)
    told.frame.locator(".tile .frame").nth(3).hover()
    told.frame.locator(".tile .frame").first.hover()
    assert pointed.inner_text() == after


def test_the_cell_under_the_pointer_is_the_one_that_is_drawn(told, board):
    told.open(view="layer", run="large/feature_maps", layer="alpha", scale="own")
    stored, frame = _map(board, "large", "alpha", 0, 0), told.frame.locator(".tile .frame").first
    told.frame.evaluate("document.addEventListener('pointermove', (event) => (window.moved = event), true)")
    # Which pixel of the map the pointer is on (Firefox takes it to whole pixels of the page), and how bright it is.
    under = """() => {
      const box = document.querySelector(".tile .frame").getBoundingClientRect();
      const x = Math.floor(moved.clientX - box.left), y = Math.floor(moved.clientY - box.top);
      return [x, document.querySelector(".tile canvas").getContext("2d").getImageData(x, y, 1, 1).data[0]];
    }"""
    box, pixels = frame.bounding_box(), set()
    width = int(box["width"])
    assert 96 < width < 2 * 96
    for at in range(0, width, 4):
        for part in (0.1, 0.9):
            told.page.mouse.move(box["x"] + at + part, box["y"] + at + part)
            cell = told.frame.locator(".pointed .second").first.inner_text().split("(")[1].split(")")[0]
            x, y = map(int, cell.split(","))
            pixel, drawn = told.frame.evaluate(under)
            if pixel < width:
                assert stored[y, x] == drawn, (at, part)
                pixels.add(pixel)
    assert pixels >= set(range(0, width, 4))


def test_curves_name_the_layers_of_the_run_that_is_shown(told):
    told.open(view="depth", run="a/feature_maps")
    for run, layer in (("a", "beta"), ("b", "gamma"), ("a", "beta")):
        told.frame.locator(".bar > .choice select").select_option(f"{run}/feature_maps")
        told.settle()
        over = told.frame.locator(".u-over").first
        told.page.mouse.move(0, 0)  # a pointer that stays where it is tells Firefox nothing
        over.hover(position={"x": over.bounding_box()["width"] - 3, "y": 20})
        legend = told.frame.locator(".u-legend .u-series").first
        legend.get_by_text(layer).wait_for(timeout=3000)


def test_curves_are_of_the_channel_that_is_shown_when_they_are_late(told):
    view = {"view": "channel", "run": "a/feature_maps", "layer": "alpha"}
    held = []
    told.page.route("**/vendor/uplot.js", lambda route: held.append(route))
    told.open(**view, channel=3)
    told.press("]", "]")
    assert "channel 5" in told.frame.locator(".big").inner_text()
    assert told.frame.locator(".uplot").count() == 0
    for route in held:
        route.continue_()
    told.page.unroute("**/vendor/uplot.js")
    told.frame.locator(".uplot canvas").first.wait_for()
    told.page.wait_for_timeout(500)
    late = _drawn(told, ".uplot canvas")
    told.open(**view, channel=5)
    told.frame.locator(".uplot canvas").first.wait_for()
    told.page.wait_for_timeout(500)
    assert late == _drawn(told, ".uplot canvas")


def test_what_a_later_format_changed_is_one_layers_problem(told):
    for view in ("overview", "evolution", "layer", "channel", "compare", "depth"):
        told.open(view=view, run="later/feature_maps", layer="alpha")
        assert "This view failed" not in told.frame.locator("main").inner_text()
        assert told.frame.locator("main canvas:not(.waiting)").count() > 0, view
    told.open(run="later/feature_maps")
    assert told.frame.locator(".row .cannot").count() == len(CHANGED)


@pytest.mark.parametrize("dark", [False, True])
def test_the_picture_of_layers_by_epochs_parts_at_chance(page, tmp_path, dark):
    run = Run(tmp_path, {"up": SIZE, "down": SIZE}, fields=["edge_auroc"])  # of a mask dark tells as much as bright
    scores = np.array([[0.5, 0.6, 0.8, 1.0], [0.5, 0.4, 0.2, np.nan]], "f4")
    whole = run.numbers

    def numbers(step, path):
        found = whole(step, path)
        found[:, -1] = scores[("up", "down").index(path), step]
        return found

    run.numbers = numbers
    for step in range(4):
        run.write(step)
    with tab_on(page, tmp_path) as tab:
        tab.open(view="depth", dark=dark)
        bar = tab.frame.locator(".heat .colour-bar")
        assert bar.inner_text().split() == ["0.00", "chance", "0.50", "1.00"]
        read = "(each) => [...each.getContext('2d').getImageData(0, 0, each.width, 2).data]"
        strips = [np.reshape(each.evaluate(read), (2, -1, 4)) for each in tab.frame.locator(".field canvas").all()]
        assert [strip.shape[1] for strip in strips] == [1, 3], "the untrained network has a strip of its own"
        red, _, blue, _ = np.moveaxis(np.concatenate(strips, 1), -1, 0)
        warm = red - blue
        assert np.abs(warm[:, 0]).max() < 10, "chance has no colour"
        assert (np.diff(warm[0]) < -20).all(), "above it: bluer and bluer"
        assert (np.diff(warm[1, :3]) > 20).all(), "below it: more and more orange"
        paper = tab.frame.evaluate("getComputedStyle(document.body).backgroundColor")
        assert f"rgb({red[1, 3]}, " in paper, "what is not known has no colour"


def test_the_picture_of_layers_by_epochs_grows_with_the_run(page, tmp_path):
    run = Run(tmp_path, {"stem": SIZE, "head": SIZE}, steps=[0, 1])
    with tab_on(page, tmp_path) as tab:
        tab.open(view="depth", heat="effective_rank")
        run.write(2)
        page.wait_for_timeout(4000)
        grown = _drawn(tab, ".field canvas:not(.untrained)")
        tab.open(view="depth", heat="effective_rank")
        page.wait_for_timeout(500)
        assert grown == _drawn(tab, ".field canvas:not(.untrained)")
