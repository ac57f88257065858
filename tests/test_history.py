"""A layer's way through the steps, and the table."""

import numpy as np
import pytest

from fm_callback.format import NUMBERS
from fm_callback.scores.concepts import Cells
from fm_callback.scores.history import LayerHistory, aligned, label_table, markdown, table
from fm_callback.scores.measures import summaries

RNG = np.random.default_rng(0)


def numbers(channels):
    return np.tile(np.array([0, 1, 0.5, 0.5, 0.3, 0, 0], np.float32), (channels, 1))


def maps(channels=4):
    return RNG.integers(0, 256, (2, channels, 8, 8), np.uint8)


def test_a_step_is_compared_with_the_one_before_and_with_the_first():
    history, first, second = LayerHistory("conv", (0, 1, 2, 3)), maps(), maps()
    at_start = history.add(0, first, numbers(4), {"edge_auroc": np.array([0.4, 0.6, 0.5, np.nan], np.float32)})
    assert np.isnan(at_start["cka_previous"]) and np.isnan(at_start["cka_first"])
    assert at_start["edge_auroc_best"] == pytest.approx(0.6) and at_start["edge_auroc_median"] == pytest.approx(0.5)
    changed = history.add(1, second, numbers(4), {})
    assert changed["cka_previous"] == changed["cka_first"] < 0.5
    back = history.add(2, first, numbers(4), {})
    assert back["cka_first"] == pytest.approx(1) and back["cka_previous"] == pytest.approx(changed["cka_first"])
    assert 1 < back["effective_rank"] <= 4


def test_dead_flat_and_dormant_channels_are_shares():
    table_of_numbers = numbers(4)
    table_of_numbers[0] = 0
    table_of_numbers[1] = [2, 2, 2, 2, 0, 0, 0]
    table_of_numbers[2, 3] = 1e-3
    values = LayerHistory("conv", (0, 1, 2, 3)).add(0, maps(), table_of_numbers, {})
    assert values["dead_or_flat"] == 0.5 and values["dormant"] == 0.5


def test_every_summary_has_a_value_and_is_nan_where_it_is_not_defined():
    history = LayerHistory("conv", (0,))
    values = history.add(0, np.zeros((1, 1, 4, 4), np.uint8), np.zeros((1, 7), np.float32), {
        "mask_auroc": np.array([np.nan], np.float32)
    })  # fmt: skip
    assert tuple(values) == summaries((*NUMBERS, "mask_auroc"))
    defined = {name: value for name, value in values.items() if not np.isnan(value)}
    assert defined == {"dead_or_flat": 1.0, "dormant": 1.0}


def cells(count):
    """So many cells of the object, in two images."""
    inside = np.zeros((2, 512), bool)
    inside.flat[:count] = True
    return Cells(inside, ~inside)


def scored(name, foreground, *steps):
    history = LayerHistory(name, (5, 9), cells(foreground))
    for step, scores in steps:
        history.add(step, maps(2), numbers(2), {"mask_auroc": np.array(scores, np.float32)})
    return history


def test_the_table_names_first_and_lasting_steps_the_best_channel_and_its_side():
    rows = table(
        [
            scored("#1 a|b", 500, (3, [0.5, 0.6]), (4, [0.2, 0.95]), (5, [0.91, 0.4])),
            scored("#2 c", 500, (3, [0.1, 0.2]), (4, [0.3, 0.2]), (5, [0.3, 0.04])),
            scored("#3 d", 500, (3, [0.5, 0.6]), (4, [0.2, 0.95]), (5, [0.71, 0.4])),
            scored("#4 e", 500, (3, [0.5, 0.6])),
        ]
    )
    assert rows[0][:6] == [
        "layer",
        "first ≥ 0.9",
        "held since",
        "best channel",
        "separation at step 3",
        "best separation",
    ]
    assert rows[1][:7] == ["#1 a|b", "4", "4", "5", "0.600", "0.910", f"{(0.91 + 0.6) / 2:.3f}"]
    assert rows[2][:6] == ["#2 c", "3 or before", "5", "9 dark", "0.900", "0.960"], "fell, and came again"
    assert rows[3][:6] == ["#3 d", "4", "not now", "5", "0.600", "0.710"]
    assert rows[4][:6] == ["#4 e", "not since 3", "-", "9", "0.600", "0.600"]
    assert markdown(rows).splitlines()[2].startswith("| #1 a\\|b | 4 | 4 | 5 |")
    assert markdown([["layer"], ["_a_b"]]).splitlines()[2] == "| \\_\u200ba\\_\u200bb |", (
        "no emphasis, and places to break"
    )
    lines = aligned(rows).splitlines()
    assert len(lines) == 6 and lines[1].startswith("------") and lines[2].index(" 5 ") == lines[3].index(" 9 ")


def test_a_training_that_goes_on_does_not_claim_a_first_step():
    rows = table([scored("#1 a", 500, (4, [0.95, 0.5]), (5, [0.95, 0.5]))])
    assert rows[0][4] == "separation at step 4" and rows[1][1:3] == ["4 or before", "4 or before"]
    assert table([scored("#1 a", 500, (0, [0.2, 0.2]), (1, [0.3, 0.5]))])[1][1:3] == ["never", "-"]
    assert table([scored("#1 a", 500, (0, [0.95, 0.5]))])[1][1:3] == ["0", "0"]


def test_a_score_on_few_cells_is_not_called_a_mask():
    rows = table([scored("pooled", 1, (0, [1.0, 0.5]))])
    assert rows[1][1:3] == ["too few cells (1)", "-"]


def test_without_masks_there_is_no_table():
    assert table([LayerHistory("conv", (0,))]) is None and label_table([LayerHistory("conv", (0,))]) is None


def labelled(name, *steps, images=2):
    """A layer of two channels, scored for three labels and a concept."""
    inside = np.zeros((images, 512 // images), bool)
    inside[:, :40] = True
    named = {f"{label}_auroc": inside for label in ("cat", "dog", "sky", "eyes")}
    history = LayerHistory(name, (5, 9), Cells(inside, ~inside, named=named), ("cat", "dog", "sky"))
    for step, scores in steps:
        history.add(
            step, maps(2), numbers(2), {key: np.array(one, np.float32) for key, one in zip(named, scores, strict=True)}
        )
    return history


def test_the_labels_table_names_who_detects_what_since_when():
    early, late = labelled(
        "#1 a",
        (0, [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]),
        (1, [[0.95, 0.5], [0.93, 0.5], [0.5, 0.09], [0.97, 0.5]]),  # the cat no better than the dog: no cat detector
        (2, [[0.95, 0.5], [0.5, 0.5], [0.5, 0.09], [0.7, 0.5]]),
    ), labelled(
        "#2 b",
        (0, [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]),
        (1, [[0.6, 0.5], [0.5, 0.6], [0.5, 0.2], [0.5, 0.5]]),
        (2, [[0.98, 0.5], [0.5, 0.6], [0.5, 0.2], [0.5, 0.5]]),
    )  # fmt: skip
    rows = {row[0]: row[1:] for row in label_table([early, late])}
    assert rows["label"] == [
        "first detected",
        "by layer",
        "held since",
        "best layer",
        "best channel",
        "its AUROC",
        "its excess",
    ]
    assert rows["cat"] == ["2", "#1 a", "2", "#2 b", "5", "0.980", "-"]
    assert rows["dog"] == ["never", "-", "-", "#2 b", "9", "0.600", "-"]
    assert rows["sky"] == ["1", "#1 a", "1", "#1 a", "9 dark", "0.090", "-"]
    assert rows["eyes"] == ["1", "#1 a", "not now", "#1 a", "5", "0.700", "-"], "a concept has no rivals"


def test_of_one_image_no_label_is_detected():
    rows = label_table([labelled("#1 a", (0, [[0.95, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]), images=1)])
    assert rows[1][:4] == ["cat", "too few cells", "-", "-"]
