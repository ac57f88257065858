"""Sick trainings are told, and healthy ones are left in peace: on seeds of development, see `benchmarks/clinic.py` for others."""

import pytest

from clinic.patients import PATIENTS, train
from fm_callback import open_log

#: Of these one seed is trained each time, seconds each.
FAST = (
    *("signals", "unet_batch_normalised"),
    *("rate_that_kills_relus", "overflow_in_float16", "filters_that_begin_alike"),
)


def cases():
    for name in PATIENTS:
        for seed in (0, 1, 2):
            marks = [] if name in FAST and seed == 0 else [pytest.mark.slow]
            yield pytest.param(name, seed, marks=marks, id=f"{name}-{seed}")


@pytest.mark.parametrize(("name", "seed"), list(cases()))
def test_what_is_found_is_what_it_has(name, seed, tmp_path):
    train(name, seed, tmp_path)
    found = open_log(tmp_path)[0].findings()
    told = [(each.severity, each.kind, each.headline) for each in found]
    kinds = PATIENTS[name].kinds
    if kinds:
        assert any(each.kind in kinds for each in found), told
    else:
        assert [each for each in told if each[0] != "note"] == []
