"""What the model predicts, and which label is told where: as a user sees it, against what `open_log` says."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tab import tab_on

from fm_callback import open_log
from fm_callback.scores.concepts import Concepts, Masks

PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return { width: canvas.width, height: canvas.height, red: [...data].filter((_, at) => at % 4 === 0) };
}"""


@pytest.fixture(scope="module")
def run(trained):
    return open_log(trained)["seed0/feature_maps"]


def pixels(canvas):
    found = canvas.evaluate(PIXELS)
    return np.array(found["red"]).reshape(found["height"], found["width"])


def mean_iou(run, step, image=None):
    scores = run.scores
    of = (scores["step"] == step) & ((scores["image"] == image) if image is not None else True)
    return np.nanmean(scores["iou"][of])


def test_the_prediction_stands_above_all_layers(tab, run):
    tab.open(image=1)
    row = tab.frame.get_by_label("prediction", exact=True)
    for when, cell in ((0, row.locator(".cell").first), (6, row.locator(".now"))):
        assert cell.locator("canvas").get_attribute("data-step") == str(when)
        assert f"IoU {mean_iou(run, when, 1):.2f}" in cell.inner_text()
        predicted = run.prediction(when)[1]
        np.testing.assert_array_equal(pixels(cell.locator("canvas")) > 127, predicted == 1)  # the object is white
    assert f"{mean_iou(run, 6):.2f}" in row.inner_text()
    row.locator("button").first.click()
    tab.settle()
    assert "view=prediction" in tab.hash() and "step=0" in tab.hash()


def test_the_worst_image_stands_first_and_errors_are_shown(tab, run):
    tab.open(view="prediction", step=2)
    lines = tab.frame.locator(".samples .line:not(.head)")
    order = [line.get_attribute("aria-label") for line in lines.all()]
    assert order == [f"image {image + 1}" for image in sorted(range(4), key=lambda image: mean_iou(run, 2, image))]
    labels = pixels(lines.first.locator("canvas").last)
    assert "of background and foreground over 4 probe images" in tab.frame.locator("main").inner_text()
    tab.frame.get_by_role("button", name="errors").click()
    lines.first.locator("canvas[data-shows=errors]").last.wait_for()
    assert "errors=1" in tab.hash() and "missed of the object" in tab.frame.locator(".key").inner_text()
    image = int(order[0].split()[1]) - 1
    errors = pixels(lines.first.locator("canvas").last)
    times = errors.shape[0] // labels.shape[0]
    wrong = (run.prediction(2)[image] == 1) & (np.asarray(run.probe.labels[image]) == 0)  # positions are values here
    much = np.kron(wrong, np.ones((times, times), bool))
    assert ((errors == 0xE0) == much).all(), "too much is filled"
    assert tab.frame.locator(".card canvas").count() >= 1, "IoU by epoch"


def test_a_run_without_a_prediction_says_so(page, tmp_path):
    from support.logs import RunLog

    RunLog(tmp_path / "feature_maps", {"stem": (8, 8, 4)}, steps=[0, 1])
    with tab_on(page, tmp_path) as tab:
        tab.open(view="prediction")
        assert "No prediction is stored" in tab.frame.locator("main").inner_text()


def test_the_class_of_each_image(page, tmp_path):
    from support.logs import RunLog

    RunLog(tmp_path / "feature_maps", {"stem": (8, 8, 4)}, steps=[0, 1, 2], prediction="class")
    scores, seen = open_log(tmp_path)[0].scores, []
    with tab_on(page, tmp_path) as tab:
        tab.open(view="prediction")
        rows = tab.frame.locator(".matrix tbody tr")
        for image in range(2):
            of = (scores["image"] == image) & (scores["step"] == 2)
            (label,), (sure,) = scores["label"][of], scores["probability"][of]
            told = "–" if label is None else f"{label} {sure:.2f}"  # where the output is not a number
            assert rows.nth(image).locator("td").last.inner_text() == told
            seen.append(label)
    assert None in seen and len(set(seen)) > 1


def test_labels_by_layer_by_step_and_by_channel(tab, run):
    tab.open(view="labels", layer="up", step=3)
    tables = tab.frame.locator("table.matrix")
    assert tables.count() == 3
    auroc = {layer.name: layer.numbers("mask_auroc")[3] for layer in run.layers}
    best = {name: f"{np.nanmax(np.maximum(values, 1 - values)):.2f}" for name, values in auroc.items()}
    texts = [text.split() for text in tables.first.locator("td.scored").all_inner_texts()]
    assert [text[0] for text in texts] == [best[layer.name] for layer in run.layers]
    for layer, (_, excess) in zip(run.layers, texts, strict=True):
        values, control = auroc[layer.name], layer.numbers("mask_control")[3]
        at = np.nanargmax(np.maximum(values, 1 - values))
        over = float(values[at] - control[at]) * (1 if values[at] >= 0.5 else -1)
        assert excess == f"{'−' if round(over, 2) < 0 else '+'}{abs(over):.2f}"
    assert tables.nth(1).locator("td.scored").count() == 7
    sides = [f"{max(value, 1 - value):.2f}{' dark' if value < 0.5 else ''}" for value in auroc["up"].tolist()]
    assert tables.nth(2).locator("td.scored").all_inner_texts() == sides
    tables.nth(2).locator("td.scored button").nth(5).click()
    tab.settle()
    assert "view=channel" in tab.hash() and "channel=5" in tab.hash()


def test_the_score_on_the_picture_in_view(tab, run):
    tab.open(view="channel", layer="down", channel=3, step=4, image=2)
    layer = run["down"]
    labels = np.stack(run.probe.labels)
    cells = Concepts(None, Masks(labels.astype(np.uint8), run.labels)).at(*layer.facts.map)
    levels, inside = layer.pixels(4)[2, ..., 3], cells.foreground[2]
    auroc = roc_auc_score(inside.ravel(), levels.ravel())
    told = f"{1 - auroc:.2f} dark" if auroc < 0.5 else f"{auroc:.2f}"
    tab.frame.locator(".in-view").wait_for()
    tab.settle()
    assert f"image 3: {told}" in tab.frame.locator(".in-view").inner_text()


def test_excess_stands_beside_a_best_score(tab, run):
    tab.open(view="compare", layer="up")
    layer = run["up"]
    auroc, control = layer.numbers("mask_auroc")[-1], layer.numbers("mask_control")[-1]
    best = np.nanargmax(np.maximum(auroc, 1 - auroc))
    over = (auroc - control)[best] if auroc[best] >= 0.5 else (control - auroc)[best]
    text = tab.frame.locator(".panels figure").nth(1).inner_text()
    assert f"{'−' if over < 0 else '+'}{abs(over):.2f} (channel {best})" in text
