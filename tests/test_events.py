"""Event files: whole records, resumption, and what happens when the disk does not play along."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from reading import events, facts_of, on_both_paths, steps_of, with_tensorboards_own_loader

from fm_callback.write import events as writing
from fm_callback.write.claim import release
from fm_callback.write.events import event_files


def values(step, shape=(3, 7), facts=b'{"layer":1}'):
    return [
        writing.numbers_value("conv", np.full(shape, step, np.float32), facts),
        writing.maps_value("conv", [b"png"], facts),
    ]


#: The same in another process, without TensorFlow.
VALUES = """
import sys
from pathlib import Path
import numpy as np
from fm_callback.write import events
def values(step):
    numbers, facts = np.full((3, 7), step, np.float32), b'{"layer":1}'
    return [events.numbers_value("conv", numbers, facts), events.maps_value("conv", [b"png"], facts)]
"""


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


@contextlib.contextmanager
def no_room_in(path):
    """The next write to an open file stops in the middle of a record: a limit that the system itself enforces."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_record_that_does_not_fit_is_cut_off_again(tmp_path):
    file = writing.open_run(tmp_path, 0, values(0))
    file.write(0, values(0))
    before = file.path.stat().st_size
    with no_room_in(file.path), pytest.raises(OSError):
        file.write(1, values(1))
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


def test_a_first_step_that_does_not_fit_leaves_nothing(tmp_path):
    file = writing.open_run(tmp_path, 0, values(0))
    (begun,) = (tmp_path / "feature_maps").iterdir()
    with no_room_in(begun), pytest.raises(OSError):
        file.write(0, values(0))
    assert list(tmp_path.iterdir()) == []
    assert record(tmp_path, [0]) == "feature_maps"


def test_a_first_step_that_was_cut_off_by_a_kill_takes_no_directory(tmp_path):
    record(tmp_path, [0])
    (path,) = (tmp_path / "feature_maps").iterdir()
    for size in (0, 30, path.stat().st_size - 1):
        os.truncate(path, size)
        assert record(tmp_path, [0, 1]) == "feature_maps"
        assert on_both_paths(tmp_path) == {"feature_maps": {"conv/maps": [0, 1], "conv/numbers": [0, 1]}}
        for other in event_files(tmp_path / "feature_maps")[1:]:
            other.unlink()
        os.truncate(path, 10_000)


def test_files_of_one_process_have_different_names(tmp_path):
    for step in range(3):
        file = writing.EventFile(tmp_path, step)
        file.write(step, values(step))
        file.close()
    assert len(os.listdir(tmp_path)) == 3


def test_a_kill_during_the_first_step_of_a_run_that_goes_on_hides_nothing(tmp_path):
    """A limit on the file's size ends the process in the middle of its write: the slow path would drop older steps."""
    record(tmp_path, [0, 1, 2, 3])
    code = """
import resource, signal
file = events.open_run(Path(sys.argv[1]), 2, values(2))
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
file.write(2, values(2))
"""
    killed = subprocess.run([sys.executable, "-c", VALUES + code, tmp_path])
    assert killed.returncode == -signal.SIGXFSZ
    (cut,) = set((tmp_path / "feature_maps").iterdir()) - set(event_files(tmp_path / "feature_maps"))
    assert cut.stat().st_size == 200
    assert on_both_paths(tmp_path) == {"feature_maps": {key: [0, 1, 2, 3] for key in ("conv/maps", "conv/numbers")}}
    assert record(tmp_path, [2, 3, 4]) == "feature_maps"
    assert on_both_paths(tmp_path) == {"feature_maps": {key: [0, 1, 2, 3, 4] for key in ("conv/maps", "conv/numbers")}}
    assert not cut.exists()


@pytest.mark.parametrize("name", ["link", "link/deeper", "/".join(["n" * 250] * 20)])
def test_a_directory_that_can_not_be_made_raises(name, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(OSError):
        writing.open_run(tmp_path / name, 0, values(0))


def test_of_several_runs_alike_each_goes_on_with_its_own(tmp_path):
    record(tmp_path, [0])
    record(tmp_path, [0])
    for name in ("feature_maps", "feature_maps_2"):
        file = writing.open_run(tmp_path, 1, values(1), tmp_path / name)
        file.write(1, values(1))
        file.close()
        assert file.path.parent.name == name
    assert writing.open_run(tmp_path, 1, values(1), tmp_path / "elsewhere").path.parent.name == "feature_maps_2"


def test_one_file_is_written_in_a_directory(tmp_path):
    record(tmp_path, [0, 1])
    file = writing.open_run(tmp_path, 1, values(1))
    assert file.path.parent.name == "feature_maps"
    with pytest.raises(BlockingIOError):
        writing.EventFile(file.path.parent, 1)
    assert record(tmp_path, [1]) == "feature_maps_2"
    file.close()
    assert record(tmp_path, [1]) == "feature_maps_2", "the newest"


def test_a_run_is_another_with_pictures_and_without(tmp_path):
    record(tmp_path, [0, 1])
    more = [*values(1), writing.image_value("conv", b"png", (1, 1), "")]
    assert writing.open_run(tmp_path, 1, more).path.parent.name == "feature_maps_2"


def test_directories_of_a_thread_that_trains_anew_are_free(tmp_path):
    record(tmp_path, [0, 1])
    interrupted = writing.open_run(tmp_path, 1, values(1))
    other = threading.Thread(target=release)
    other.start()
    other.join()
    with pytest.raises(BlockingIOError):  # another thread's training says nothing
        writing.EventFile(interrupted.path.parent, 1)
    release()
    writing.EventFile(interrupted.path.parent, 1)


def test_a_forked_child_that_outlives_its_parent_holds_nothing(tmp_path):
    code = f"""{VALUES}
import os, time
file = events.open_run(Path(sys.argv[1]), 0, values(0))
file.write(0, values(0))
if os.fork() == 0:
    os.kill(os.getppid(), 9)
    print(os.getpid(), flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    try:
        parent.wait(30)
        assert record(tmp_path, [1]) == "feature_maps"
    finally:
        os.kill(child, 9)


@pytest.mark.parametrize("first", [0, 1])
def test_processes_that_start_at_once_get_a_directory_each(tmp_path, first):
    record(tmp_path, [0, 1])
    code = f"""{VALUES}
print("ready", flush=True)
first = int(input() and sys.argv[2])
file = events.open_run(Path(sys.argv[1]), first, values(first))
for step in range(first, 50):
    file.write(step, values(step))
print(file.path.parent.name, flush=True)
input()
"""
    command = [sys.executable, "-c", code, str(tmp_path), str(first)]
    others = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    names = {other.stdout.readline().strip() for other in others}
    for other in others:
        other.communicate("end\n", timeout=30)
    assert names == {"feature_maps_2", "feature_maps_3", "feature_maps_4" if first == 0 else "feature_maps"}
    found = {run: tags["conv/maps"] for run, tags in on_both_paths(tmp_path).items()}
    assert found.pop("feature_maps") == ([0, 1] if first == 0 else list(range(50)))
    assert list(found.values()) == [list(range(first, 50))] * len(found)
