"""The first view: sentences that the log's numbers bear out, and pictures that lead on."""

import numpy as np
from PIL import Image
from tab import Run, Tab, tab_on

from fm_callback import open_log


def sentences(tab):
    tab.frame.locator(".short li").first.wait_for()
    return [" ".join(each.split()) for each in tab.frame.locator(".short li").all_inner_texts()]


def test_it_says_whether_it_has_learned_and_where(tab, trained):
    tab.open(view="overview")
    run = open_log(trained)["seed0/feature_maps"]
    scores = run.scores
    iou = {
        step: np.nanmean([row for at, row in zip(scores["step"], scores["iou"], strict=True) if at == step])
        for step in (0, 6)
    }
    learned = next(text for text in sentences(tab) if "mean IoU" in text)
    assert f"{iou[6]:.2f} at epoch 6" in learned and f"from {iou[0]:.2f} before training" in learned
    last = {name: run[name].numbers("mask_auroc")[-1] for name in ("stem", "down", "up", "head")}
    shows = [f"#{number}" for number, each in enumerate(last.values(), 1) if np.maximum(each, 1 - each).max() >= 0.9]
    told = next(text for text in sentences(tab) if "A single channel" in text)
    assert all(name in told for name in shows), "it may leave out what does as well on other images' masks"
    tab.frame.locator(".short li", has_text="mean IoU").get_by_role("button").click()
    assert "view=prediction" in tab.hash()


def test_it_says_where_the_edges_are(tab, trained):
    tab.open(view="overview")
    run = open_log(trained)["seed0/feature_maps"]
    best = {f"#{layer.facts.number}": layer.numbers("edge_auroc")[-1].max() for layer in run.layers}
    order = sorted(best, key=lambda name: -best[name])
    told = next(text for text in sentences(tab) if "edges show most" in text)
    assert (
        f"most in {order[0]} ({best[order[0]]:.2f})" in told and f"least in {order[-1]} ({best[order[-1]]:.2f})" in told
    )


def test_its_sentences_are_of_the_step_in_view(tab):
    tab.open(view="overview", step=0)
    texts = " ".join(sentences(tab))
    assert "before training" in texts and "epoch 6" not in texts


def test_its_pictures_open_what_they_show(tab):
    tab.open(view="overview")
    assert tab.frame.locator(".colour-strip li").count() == 4
    tab.frame.locator(".colour-strip .tile").nth(1).click()
    assert "view=layer" in tab.hash() and tab.state("layer") == "down"
    tab.open(view="overview")
    tab.frame.locator(".film .predicted").first.click()
    assert "view=prediction" in tab.hash() and tab.state("step") == "0"
    logged = tab.open(view="overview").frame.locator(".logged").inner_text()
    assert "4 (#1 to #4)" in logged and "7 steps, epoch 0 to 6" in logged and "4 images, 32×32" in logged


def test_a_saved_overview_has_all_in_its_place(tab):
    tab.open(view="overview")
    sentences(tab)
    main, field = (tab.frame.locator(each).bounding_box() for each in ("main", ".heat .field"))
    picture = np.asarray(Image.open(tab.save("This view (PNG)")).convert("RGB")).astype(int)
    drawn = picture.min(-1) < 250
    left = round(field["x"] - main["x"])
    untrained, others = drawn[:, left + 4], drawn[:, left + 60 : left + round(field["width"]) - 30].all(axis=1)
    assert others.sum() > 0.7 * field["height"] and untrained[others].mean() > 0.8, "its strips stand side by side"


def test_what_is_wrong_is_told_and_what_is_not_known_is_not_claimed(page, tmp_path):
    Run(tmp_path / "bare", {"stem": (8, 8, 4), "point": (1, 1, 4)}, steps=[0, 1], masks=False, fields=["edge_auroc"])
    with tab_on(page, tmp_path) as tab:
        tab.open(view="overview")
        texts = sentences(tab)
        assert any("Whether it has learned is not known here: no masks were given" in text for text in texts)
        assert any("one value everywhere" in text and "1 of 4 in #1" in text for text in texts), "channel 1 is dead"
        assert not any("IoU" in text or "shows the object" in text for text in texts)
        found = tab.frame.locator(".finding", has_text="NaN or infinite").first
        found.locator("summary").click()
        assert found.locator("summary").inner_text().startswith("alarm: ")
        assert "What people then try" in found.inner_text()
        found.get_by_role("button").click()
        tab.settle()
        assert (tab.state("view"), tab.state("layer")) == ("layer", "stem")
        tab.open()
        mark = tab.frame.locator(".row .trouble-mark").first
        assert "NaN or infinite" in mark.get_attribute("title"), "the layer is marked where it is named"


def test_the_tour_is_shown_once(page, tab_of):
    page.goto(f"{tab_of.url}/#feature_maps")
    tab = Tab(page, tab_of)
    tour = tab.frame.locator(".tour")
    tour.wait_for()
    for view in ("evolution", "layer", "compare", "prediction"):
        tour.get_by_role("button", name="Next").click()
        assert f"view={view}" in tab.hash()
    tour.get_by_role("button", name="Close").click()
    tour.wait_for(state="detached")
    page.goto("about:blank")
    page.goto(f"{tab_of.url}/#feature_maps")
    tab.frame.locator(".short li").first.wait_for()
    assert not tab.frame.locator(".tour").count()
    tab.press("?")
    tab.frame.get_by_role("button", name="Show the tour").click()
    tab.frame.locator(".tour").wait_for()


def test_a_link_shows_no_tour(tab):
    tab.open(view="overview")
    sentences(tab)
    assert not tab.frame.locator(".tour").count()


def test_findings_follow_a_run_that_grows(page, tmp_path):
    run = Run(tmp_path / "grows", {"stem": (8, 8, 4)}, steps=[0], masks=False, fields=["edge_auroc"])
    asked = []
    page.on("request", lambda request: "/findings?" in request.url and asked.append(request.url))
    with tab_on(page, tmp_path) as tab:
        tab.open(view="overview")
        tab.frame.locator(".finding").first.wait_for()
        run.write(1)
        run.write(2)
        for _ in range(200):
            if asked[-1].endswith("-2"):
                break
            page.wait_for_timeout(100)
    assert asked[-1].endswith("-2") and len(asked) <= 3, "what came too soon is asked for later, and once"
