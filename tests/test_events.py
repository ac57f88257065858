"""Event files: whole records, resumption, and what happens when the disk does not play along."""

import os
import shutil

import numpy as np
import pytest
from reading import events, facts_of, steps_of, with_tensorboards_own_loader

from fm_callback import events as writing


def values(step, shape=(3, 7), facts=b'{"layer":1}'):
    return [
        writing.numbers_value("conv", np.full(shape, step, np.float32), facts),
        writing.maps_value("conv", [b"png"], facts),
    ]


def record(log_dir, steps, facts=b'{"layer":1}'):
    file = writing.open_run(log_dir, steps[0], values(steps[0], facts=facts))
    for step in steps:
        file.write(step, values(step, facts=facts))
    file.close()
    return file.path.parent.name


def test_a_step_is_one_record_and_facts_stand_in_the_first_one_only(tmp_path):
    assert record(tmp_path, [0, 1, 2]) == "feature_maps"
    first, start, *steps = events(tmp_path / "feature_maps")
    assert first.file_version == "brain.Event:2" and start.session_log.status == 1 and start.step == 0
    assert [event.step for event in steps] == [0, 1, 2]
    assert [[value.tag for value in event.summary.value] for event in steps] == [["conv/numbers", "conv/maps"]] * 3
    assert [event.summary.value[0].HasField("metadata") for event in steps] == [True, False, False]


def test_a_run_goes_on_where_the_same_run_left_off(tmp_path):
    assert [record(tmp_path, [0, 1, 2]), record(tmp_path, [2, 3])] == ["feature_maps", "feature_maps"]
    assert [event.step for event in events(tmp_path / "feature_maps") if event.session_log.status] == [0, 2]
    assert {step for step, tag in with_tensorboards_own_loader(tmp_path / "feature_maps") if tag} == {0, 1, 2, 3}


def test_another_run_gets_a_directory_of_its_own_and_a_resumed_one_finds_its_own(tmp_path):
    other = b'{"layer":2}'
    assert record(tmp_path, [0, 1]) == "feature_maps"
    assert record(tmp_path, [0, 1], other) == "feature_maps_2"
    assert record(tmp_path, [0]) == "feature_maps_3", "step 0 again"
    assert record(tmp_path, [2], other) == "feature_maps_2"
    assert record(tmp_path, [2]) == "feature_maps_3", "the newest with the same facts"
    assert record(tmp_path, [2], b"{}") == "feature_maps_4"
    assert steps_of(tmp_path / "feature_maps") == [0, 1], "nothing old is touched"
    assert facts_of(tmp_path / "feature_maps_2")["conv/maps"] == {"layer": 2}


def test_names_of_others_are_not_taken_for_runs(tmp_path):
    (tmp_path / "feature_maps_old").mkdir()
    (tmp_path / "feature_maps_2").mkdir()
    assert record(tmp_path, [0]) == "feature_maps"


def test_a_clock_set_back_does_not_change_the_order(tmp_path):
    record(tmp_path, [0, 1])
    (path,) = (tmp_path / "feature_maps").iterdir()
    path.rename(path.with_name("events.out.tfevents.9999999000.host.1.0"))
    record(tmp_path, [2])
    assert steps_of(tmp_path / "feature_maps") == [0, 1, 2]


def full_disk(path):
    """Makes the next write to an open file stop in the middle of a record: a limit that the system itself enforces."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, limit[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_a_record_that_does_not_fit_is_cut_off_again(tmp_path):
    import signal

    file = writing.open_run(tmp_path, 0, values(0))
    file.write(0, values(0))
    before = file.path.stat().st_size
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    restore = full_disk(file.path)
    try:
        with pytest.raises(OSError):
            file.write(1, values(1))
    finally:
        restore()
        signal.signal(signal.SIGXFSZ, ignored)
    assert file.path.stat().st_size == before
    assert steps_of(tmp_path / "feature_maps") == [0]
    with pytest.raises(ValueError):
        file.write(2, values(2))


def test_a_vanished_directory_is_an_error_not_a_silent_loss(tmp_path):
    file = writing.open_run(tmp_path, 0, values(0))
    file.write(0, values(0))
    shutil.rmtree(tmp_path / "feature_maps")
    with pytest.raises(OSError, match="no longer there"):
        file.write(1, values(1))


def test_files_of_one_process_have_different_names(tmp_path):
    files = [writing.EventFile(tmp_path, 0) for _ in range(3)]
    assert len(os.listdir(tmp_path)) == 3
    for file in files:
        file.close()
