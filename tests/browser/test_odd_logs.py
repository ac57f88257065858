"""Logs that are not as expected: hostile names, newer formats, growing runs, nothing at all, a server that is gone."""

from reading import tensorboard
from tab import HOSTILE, HOSTILE_RUN, Run, Tab

VIEWS = ("evolution", "layer", "channel", "compare", "depth")


def test_hostile_names_are_shown_and_never_run(odd):
    run = f"{HOSTILE_RUN}/feature_maps"
    for view in VIEWS:
        odd.open(view=view, run=run, layer=HOSTILE.replace('"', "_").replace("\\", "_"))
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
        odd.open(view=view, run=f"{HOSTILE_RUN}/feature_maps", layer=HOSTILE.replace('"', "_").replace("\\", "_"))
        for part in ("main", "body"):
            fits = f"(({{ scrollWidth, clientWidth }}) => scrollWidth <= clientWidth)(document.querySelector('{part}'))"
            assert odd.frame.evaluate(fits), (view, part)
        assert odd.frame.evaluate(
            "[...document.querySelectorAll('main *')].every((each) => each.closest('.facts, .unseen, .u-wrap') || each.getBoundingClientRect().right <= innerWidth)"
        ), view


def test_a_newer_format_is_named(odd):
    odd.open(run="newer/feature_maps")
    assert "newer version of fm_callback (format 2" in odd.frame.locator(".notice").inner_text()
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
    for x, y in ((0.02, 0.02), (0.05, 0.02), (0.02, 0.12), (0.995, 0.99)):
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


def test_a_growing_run_is_followed(page, tmp_path):
    run = Run(tmp_path, {"stem": (8, 8, 4), "head": (8, 8, 2)}, steps=[0, 1])
    with tensorboard(tmp_path, True) as board:
        board.wait_for(
            "/data/plugin/feature_maps/runs",
            lambda found: found["runs"] and found["runs"][0]["layers"][0]["steps"] == [0, 1],
        )
        tab = Tab(page, board).open()
        assert tab.step == "epoch 1"
        run.write(2)
        board.wait_for(
            "/data/plugin/feature_maps/runs", lambda found: found["runs"][0]["layers"][0]["steps"] == [0, 1, 2]
        )
        page.locator("button[title*='Last Updated'], app-header-reload button").first.click()
        page.wait_for_function(
            "document.querySelector('iframe').contentDocument.querySelector('output').textContent.startsWith('epoch 2')"
        )
        tab.settle()
        assert tab.frame.locator(".row").first.locator(".now canvas").get_attribute("data-step") == "2"
        tab.frame.locator("h2").first.click()  # back from TensorBoard's own button
        tab.press("ArrowLeft")
        run.write(3)
        board.wait_for("/data/plugin/feature_maps/runs", lambda found: len(found["runs"][0]["layers"][0]["steps"]) == 4)
        page.locator("button[title*='Last Updated'], app-header-reload button").first.click()
        page.wait_for_timeout(1500)
        assert tab.step == "epoch 1", "who looks back stays there"


def test_an_empty_log_explains_the_callback(page, tmp_path):
    with _empty(tmp_path) as board:
        page.goto(f"{board.url}/#feature_maps")
        frame = Tab(page, board).frame
        frame.get_by_role("heading", name="No feature maps in this log yet").wait_for()
        assert "FeatureMapCallback" in frame.locator("pre").inner_text()
        page.set_viewport_size({"width": 390, "height": 700})
        heading = frame.get_by_role("heading").bounding_box()
        assert heading["x"] > 0 and heading["x"] + heading["width"] < 390
        frame.get_by_role("button", name="Copy").click()
        frame.get_by_role("button", name="Copied").wait_for()


def _empty(path):
    # Something must be there for TensorBoard to have a run at all.
    from tensorboard.compat.proto import event_pb2

    from fm_callback.format import pack_record

    event = event_pb2.Event(step=1, wall_time=1)
    event.summary.value.add(tag="loss", simple_value=1.0)
    (path / "events.out.tfevents.1.host").write_bytes(pack_record(event.SerializeToString()))
    return tensorboard(path, True)


def test_the_page_does_not_jump_when_the_log_is_there(page, odd_board):
    held = []
    page.route("**/feature_maps/runs*", lambda route: held.append(route))
    page.goto(f"{odd_board.url}/#feature_maps&p.feature_maps.run=strips%2Ffeature_maps")
    tab = Tab(page, odd_board)
    tab.frame.locator("main[aria-label=loading] .ghost-row").first.wait_for()
    top = tab.frame.locator("main").bounding_box()["y"]
    held[0].continue_()
    tab.frame.locator(".row").first.wait_for()
    assert tab.frame.locator("main").bounding_box()["y"] == top


def test_an_error_says_what_failed_and_what_to_do(page, odd_board):
    tab = Tab(page, odd_board)
    page.route("**/feature_maps/runs*", lambda route: route.fulfill(status=500, body="out of order"))
    page.goto(f"{odd_board.url}/#feature_maps")
    tab.frame.get_by_role("heading", name="The log could not be read").wait_for()
    assert "out of order" in tab.frame.locator("main").inner_text()
    page.unroute("**/feature_maps/runs*")
    tab.frame.get_by_role("button", name="Try again").click()
    tab.frame.locator(".row").first.wait_for()
    page.trouble.clear()  # the browser's own report of the 500


def test_a_picture_that_fails_is_marked_and_the_rest_is_shown(page, odd_board):
    tab = Tab(page, odd_board)
    page.route("**/feature_maps/bundle*", lambda route: route.fulfill(status=404, body="gone"))
    page.goto(f"{odd_board.url}/#feature_maps&p.feature_maps.run=newer%2Ffeature_maps")
    tab.frame.locator(".trouble").first.wait_for()
    assert "gone" in tab.frame.locator(".trouble").first.inner_text()
    page.trouble.clear()


def test_thinned_steps_are_declared(page, odd_log):
    with tensorboard(odd_log, True, "--samples_per_plugin=feature_maps=2") as board:
        board.wait_for("/data/plugin/feature_maps/runs", lambda found: len(found["runs"]) == 4)
        tab = Tab(page, board).open(run="strips/feature_maps")
        assert (
            "TensorBoard kept 2 steps of this run and may have dropped others"
            in tab.frame.locator(".notice").inner_text()
        )
