"""A layer's way through the steps, and the table."""

import numpy as np
import pytest

from fm_callback.format import NUMBERS
from fm_callback.scores.history import LayerHistory, aligned, markdown, table
from fm_callback.scores.measures import summaries

RNG = np.random.default_rng(0)


def numbers(channels):
    return np.tile(np.array([0, 1, 0.5, 0.5, 0.3, 0, 0], np.float32), (channels, 1))


def maps(channels=4):
    return RNG.integers(0, 256, (2, channels, 8, 8), np.uint8)


def test_a_step_is_compared_with_the_one_before_and_with_the_first():
    history, first, second = LayerHistory("conv", (0, 1, 2, 3), 100), maps(), maps()
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
    values = LayerHistory("conv", (0, 1, 2, 3), 100).add(0, maps(), table_of_numbers, {})
    assert values["dead_or_flat"] == 0.5 and values["dormant"] == 0.5


def test_every_summary_has_a_value_and_is_nan_where_it_is_not_defined():
    history = LayerHistory("conv", (0,), 0)
    values = history.add(0, np.zeros((1, 1, 4, 4), np.uint8), np.zeros((1, 7), np.float32), {
        "mask_auroc": np.array([np.nan], np.float32)
    })  # fmt: skip
    assert tuple(values) == summaries((*NUMBERS, "mask_auroc"))
    defined = {name: value for name, value in values.items() if not np.isnan(value)}
    assert defined == {"dead_or_flat": 1.0, "dormant": 1.0}


def scored(name, foreground, *steps):
    history = LayerHistory(name, (5, 9), foreground)
    for step, scores in steps:
        history.add(step, maps(2), numbers(2), {"mask_auroc": np.array(scores, np.float32)})
    return history


def test_the_table_names_the_first_step_the_last_best_channel_and_the_start():
    rows = table(
        [
            scored("#1 a|b", 500, (3, [0.5, 0.6]), (4, [0.2, 0.95]), (5, [0.91, 0.4])),
            scored("#2 c", 500, (3, [0.1, 0.2])),
        ]
    )
    assert rows[1][:6] == ["#1 a|b", "4", "5", "0.600", "0.910", f"{(0.91 + 0.4) / 2:.3f}"]
    assert rows[2][:4] == ["#2 c", "not since 3", "9", "0.200"]
    assert markdown(rows).splitlines()[2].startswith("| #1 a\\|b | 4 | 5 |")
    lines = aligned(rows).splitlines()
    assert len(lines) == 4 and lines[1].startswith("------") and lines[2].index("5 ") == lines[3].index("9 ")


def test_a_training_that_goes_on_does_not_claim_a_first_step():
    rows = table([scored("#1 a", 500, (4, [0.95, 0.5]), (5, [0.95, 0.5]))])
    assert rows[0][3] == "AUROC at step 4" and rows[1][1] == "4 or before"
    assert table([scored("#1 a", 500, (0, [0.1, 0.2]), (1, [0.3, 0.5]))])[1][1] == "never"
    assert table([scored("#1 a", 500, (0, [0.95, 0.5]))])[1][1] == "0"


def test_a_score_on_few_cells_is_not_called_a_mask():
    rows = table([scored("pooled", 1, (0, [1.0, 0.5]))])
    assert rows[1][1] == "too few cells (1)"


def test_without_masks_there_is_no_table():
    assert table([LayerHistory("conv", (0,), 0)]) is None
