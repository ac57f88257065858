"""A run's files: whole records, resumption, and what happens when the disk does not play along."""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from reading import events, on_both_paths, with_tensorboards_own_loader
from support.decoding import all_steps, run_facts, stored

from fm_callback.format import NUMBERS, LayerFacts, LayerStep, RunFacts, run_record, step_record
from fm_callback.read.log import open_log
from fm_callback.write import event_copies, png
from fm_callback.write.claim import release
from fm_callback.write.resume import open_run
from fm_callback.write.run_files import RunFiles, event_files, log_files

HERE = str(Path(__file__).parent)
#: The same in another process, without TensorFlow.
CODE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop())
from test_run_files import begun, facts, opened, write
"""


def facts(first_step=0, layer="conv", **options):
    """A run of one layer with three channels of 2x2 cells."""
    conv = LayerFacts(layer, layer, (2, 2, 3), (2, 2), (0, 1, 2), 1, 3, NUMBERS, ("effective_rank",))
    return RunFacts(first_step, (conv,), **options)


def numbers(step, model=0):
    """Those of a model after so many steps: each has its own."""
    return np.full((3, len(NUMBERS)), (1 + step) * 7.3**model, np.float32)


def write(files, step, run=None, model=0):
    """A step; the first one of a file with what the run is."""
    layer = LayerStep([png.encode(np.full((2, 6), step, np.uint8))], numbers(step, model), np.ones(1, np.float32))
    copies = [
        event_copies.image_value("conv", b"png", (1, 1), ""),
        event_copies.scalar_value("effective_rank", "conv", 1.0, "what it is"),
    ]
    return files.write(step, step_record(step, 1.0, [layer]), copies, b"" if run is None else run_record(run))


def opened(log_dir, first_step, model=0, **options):
    """What a training of a model begins with that Keras begins with this step."""
    now = [numbers(first_step, model)]
    return open_run(log_dir, facts(first_step, **options), now, goes_on=first_step > 0)


def record(log_dir, steps, model=0, **options):
    """A training of these steps, of which the first may be there; the run's name."""
    start = opened(log_dir, steps[0], model, **options)
    run = facts(steps[0] + start.is_there, **options)
    for step in steps[start.is_there :]:
        write(start.files, step, run, model)
        run = None
    start.files.close()
    return start.files.directory.name


def begun(log_dir, first_step=0):
    """A run that is being written, with its first step on disk."""
    start = opened(log_dir, first_step)
    write(start.files, first_step + start.is_there, facts(first_step + start.is_there))
    return start.files


def everywhere(log_dir):
    """`{run: steps}` of our log; TensorBoard's copies have the same ones on both of its reading paths."""
    found = {path.name: list(stored(path)) for path in log_dir.iterdir() if log_files(path)}
    both = [{tuple(steps) for steps in tags.values()} for _, tags in sorted(on_both_paths(log_dir).items())]
    assert both == [{tuple(steps)} for _, steps in sorted(found.items())]
    return found


def test_a_step_is_one_record_in_each_file_and_metadata_stands_in_the_first_one_only(tmp_path):
    assert record(tmp_path, [0, 1, 2]) == "feature_maps"
    first, start, *steps = events(tmp_path / "feature_maps")
    assert first.file_version == "brain.Event:2" and start.session_log.status == 1 and start.step == 0
    assert [event.step for event in steps] == [0, 1, 2] == all_steps(tmp_path / "feature_maps")
    tags = ["effective_rank/conv", "feature_maps/conv"]
    assert [[value.tag for value in event.summary.value] for event in steps] == [tags] * 3
    for at, description in enumerate(["what it is", ""]):
        values = [event.summary.value[at] for event in steps]
        assert [value.HasField("metadata") for value in values] == [True, False, False], "the first has it"
        assert values[0].metadata.summary_description == description


def test_a_run_goes_on_where_the_same_run_left_off(tmp_path):
    assert [record(tmp_path, [0, 1, 2]), record(tmp_path, [2, 3])] == ["feature_maps", "feature_maps"]
    assert [event.step for event in events(tmp_path / "feature_maps") if event.session_log.status] == [0, 3]
    assert {step for step, tag in with_tensorboards_own_loader(tmp_path / "feature_maps") if tag} == {0, 1, 2, 3}


def test_another_run_gets_a_directory_of_its_own_and_a_resumed_one_finds_its_own(tmp_path):
    other = {"layer": "another"}
    assert record(tmp_path, [0, 1]) == "feature_maps"
    assert record(tmp_path, [0, 1], **other) == "feature_maps_2"
    assert record(tmp_path, [0]) == "feature_maps_3", "step 0 again"
    assert record(tmp_path, [1, 2], **other) == "feature_maps_2"
    assert record(tmp_path, [1, 2]) == "feature_maps", "the one that holds the model at that step"
    assert record(tmp_path, [2], layer="a third") == "feature_maps_4"
    assert record(tmp_path, [2], model=1) == "feature_maps_5"
    assert all_steps(tmp_path / "feature_maps") == [0, 1, 2] and all_steps(tmp_path / "feature_maps_3") == [0]
    assert run_facts(tmp_path / "feature_maps_2")["layers"][0]["name"] == "another"


def test_names_of_others_are_not_taken_for_runs(tmp_path):
    (tmp_path / "feature_maps_old").mkdir()
    (tmp_path / "feature_maps_2").mkdir()
    assert record(tmp_path, [0]) == "feature_maps"


def test_a_clock_set_back_does_not_change_the_order(tmp_path):
    record(tmp_path, [0, 1])
    for path in (tmp_path / "feature_maps").iterdir():
        path.rename(path.with_name(re.sub(r"\d{10}", "9999999000", path.name)))
    record(tmp_path, [1, 2])
    assert all_steps(tmp_path / "feature_maps") == [0, 1, 2]
    assert everywhere(tmp_path) == {"feature_maps": [0, 1, 2]}


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
    files = begun(tmp_path)
    (path,) = log_files(files.directory)
    before = path.stat().st_size
    with no_room_in(path), pytest.raises(OSError):
        write(files, 1)
    assert path.stat().st_size == before
    assert everywhere(tmp_path) == {"feature_maps": [0]}
    with pytest.raises(ValueError):
        write(files, 2)


def test_a_vanished_directory_is_an_error_not_a_silent_loss(tmp_path):
    files = begun(tmp_path)
    shutil.rmtree(tmp_path / "feature_maps")
    with pytest.raises(OSError, match="no longer there"):
        write(files, 1)


@pytest.mark.parametrize("file", [0, 1], ids=["log", "copies"])
def test_a_first_step_that_does_not_fit_leaves_nothing(tmp_path, file):
    files = opened(tmp_path, 0).files
    (path,) = (tmp_path / "feature_maps").iterdir()
    room = contextlib.nullcontext() if file else no_room_in(path)
    if file:  # somebody takes the name of the copies' file
        (tmp_path / "feature_maps" / f"events.out.tfevents.{path.stem}").mkdir()
    with room, pytest.raises(OSError):
        write(files, 0, facts())
    if file:
        next((tmp_path / "feature_maps").iterdir()).rmdir()
        (tmp_path / "feature_maps").rmdir()
    assert list(tmp_path.iterdir()) == []
    assert record(tmp_path, [0]) == "feature_maps"


def test_a_first_step_that_was_cut_off_by_a_kill_takes_no_directory(tmp_path):
    record(tmp_path, [0])
    (path,) = log_files(tmp_path / "feature_maps")
    (copies,) = event_files(tmp_path / "feature_maps")
    whole = path.read_bytes()
    copies.unlink()  # they are begun when the step is whole
    for size in (0, 30, len(run_record(facts())), len(whole) - 1):
        path.write_bytes(whole[:size])
        assert stored(tmp_path / "feature_maps") == {}
        assert record(tmp_path, [0, 1]) == "feature_maps"
        assert everywhere(tmp_path) == {"feature_maps": [0, 1]}
        assert not path.exists(), "what was left behind is gone"
        for other in (tmp_path / "feature_maps").iterdir():
            other.unlink()


@pytest.mark.parametrize("place", ["run head", "framing of the run", "framing of step 0", "step 0"])
def test_damage_at_the_beginning_is_no_reason_to_delete_or_to_go_on(tmp_path, place):
    """Only a file that ends within its first step was left behind by a kill."""
    record(tmp_path, list(range(10)))
    (path,) = log_files(tmp_path / "feature_maps")
    first = len(run_record(facts()))
    at = {"run head": 40, "framing of the run": 2, "framing of step 0": first + 3, "step 0": first + 200}[place]
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 4
    path.write_bytes(damaged)
    assert record(tmp_path, [0, 1]) == "feature_maps_2", "a training from the start has nothing to do with it"
    assert path.read_bytes() == damaged
    readable = place == "step 0"  # behind damaged framing readers find more steps, a training does not look for any
    assert record(tmp_path, [5, 6]) == ("feature_maps" if readable else "feature_maps_3")
    assert path.read_bytes() == damaged
    if readable:
        assert set(open_log(tmp_path)["feature_maps"].steps) >= {1, 2, 3, 4, 5, 6}


def test_files_of_one_process_have_different_names(tmp_path):
    for step in range(3):
        files = RunFiles(tmp_path, step)
        write(files, step, facts(step))
        files.close()
    assert len(os.listdir(tmp_path)) == 6


def test_no_open_file_is_renamed_and_none_has_a_name_that_passes(tmp_path):
    files = begun(tmp_path)
    names = sorted(os.listdir(files.directory))
    write(files, 1)
    files.close()
    assert sorted(os.listdir(files.directory)) == names


def test_a_kill_during_the_first_step_of_a_run_that_goes_on_hides_nothing(tmp_path):
    """A limit on the files' size ends the process in the middle of its write."""
    record(tmp_path, [0, 1, 2, 3])
    code = """
import resource, signal
files = opened(Path(sys.argv[1]), 2).files
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
write(files, 3, facts(3))
"""
    killed = subprocess.run([sys.executable, "-c", CODE + code, tmp_path, HERE])
    assert killed.returncode == -signal.SIGXFSZ
    *_, cut = log_files(tmp_path / "feature_maps")
    assert cut.stat().st_size == 200
    assert everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 3]}
    assert record(tmp_path, [2, 3, 4]) == "feature_maps"
    assert everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 3, 4]}
    assert not cut.exists()


@pytest.mark.parametrize("name", ["link", "link/deeper", "/".join(["n" * 250] * 20)])
def test_a_directory_that_can_not_be_made_raises(name, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(OSError):
        open_run(tmp_path / name, facts())


def test_of_several_runs_alike_each_goes_on_with_its_own(tmp_path):
    record(tmp_path, [0, 1], model=1)
    record(tmp_path, [0, 1, 2], model=2)
    for model, name in ((1, "feature_maps"), (2, "feature_maps_2"), (1, "feature_maps")):
        assert record(tmp_path, [1, 2], model) == name
    assert record(tmp_path, [1], model=3) == "feature_maps_3"


@pytest.mark.parametrize(
    ("first", "goes_on", "at"),
    [(9, True, 10), (10, True, 10), (12, True, 12), (0, True, 10), (0, False, None)],
)
def test_a_model_that_a_run_ends_with_goes_on_behind_its_last_step(first, goes_on, at, tmp_path):
    """Whose first epoch is counted from 0 begins before what is there; without a first epoch it is another training."""
    record(tmp_path, list(range(11)))
    start = open_run(tmp_path, facts(first), [numbers(10)], goes_on=goes_on)
    assert (start.files.directory.name, start.is_there, start.step) == (
        ("feature_maps", True, at) if goes_on else ("feature_maps_2", False, 0)
    )
    start.files.close()


def test_the_weights_of_the_best_epoch_go_on_behind_the_last_one(tmp_path):
    """As a search promotes trials, while others were written."""
    record(tmp_path, list(range(4)), model=1)
    record(tmp_path, list(range(4)), model=2)
    start = open_run(tmp_path, facts(3), [numbers(2, model=1)], goes_on=True)
    assert (start.files.directory.name, start.step, start.is_there) == ("feature_maps", 3, True)
    write(start.files, 4, facts(4), model=1)
    start.files.close()
    assert everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 3, 4], "feature_maps_2": [0, 1, 2, 3]}


def test_of_two_runs_that_hold_the_model_the_nearer_one_is_gone_on_with(tmp_path):
    """In another precision: the numbers are those of neither run to the last bit."""
    record(tmp_path, [0, 1])
    start = opened(tmp_path, 0)
    for step in (0, 1):
        layer = LayerStep([png.encode(np.zeros((2, 6), np.uint8))], numbers(step) * np.float32(1.02), np.ones(1, "f4"))
        start.files.write(step, step_record(step, 1.0, [layer]), [], run_record(facts()) if step == 0 else b"")
    start.files.close()
    for factor, name in ((1.001, "feature_maps"), (1.019, "feature_maps_2"), (1.2, "feature_maps_3")):
        start = open_run(tmp_path, facts(1), [numbers(1) * np.float32(factor)], goes_on=True)
        assert start.files.directory.name == name
        start.files.close()


def test_one_training_writes_in_a_directory(tmp_path):
    record(tmp_path, [0, 1])
    files = begun(tmp_path, 1)
    assert files.directory.name == "feature_maps"
    with pytest.raises(BlockingIOError):
        RunFiles(files.directory, 1)
    assert in_another_process(tmp_path, 1) == "feature_maps_2"
    files.close()
    assert record(tmp_path, [1]) == "feature_maps_2", "the newest"


def in_another_process(log_dir, first):
    code = f"{CODE}print(begun(Path(sys.argv[1]), {first}).directory.name)"
    return subprocess.run(
        [sys.executable, "-c", code, log_dir, HERE], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


def test_a_run_is_another_with_pictures_and_without(tmp_path):
    record(tmp_path, [0, 1])
    assert record(tmp_path, [1], images=False) == "feature_maps_2"


def test_directories_of_a_thread_that_trains_anew_are_free(tmp_path):
    interrupted = begun(tmp_path, 1)
    other = threading.Thread(target=release)
    other.start()
    other.join()
    with pytest.raises(BlockingIOError):  # another thread's training says nothing
        RunFiles(interrupted.directory, 1)
    release()
    RunFiles(interrupted.directory, 1).close()


def test_a_forked_child_that_outlives_its_parent_holds_nothing(tmp_path):
    code = f"""{CODE}
import os, time
write(begun(Path(sys.argv[1])), 1)
if os.fork() == 0:
    os.kill(os.getppid(), 9)
    print(os.getpid(), flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), HERE], stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    try:
        parent.wait(30)
        assert record(tmp_path, [1]) == "feature_maps"
    finally:
        os.kill(child, 9)


@pytest.mark.parametrize("first", [0, 1])
def test_processes_that_start_at_once_get_a_directory_each(tmp_path, first):
    record(tmp_path, [0, 1])
    code = f"""{CODE}
print("ready", flush=True)
first = int(input() and sys.argv[2])
start = opened(Path(sys.argv[1]), first)
begins = first + start.is_there
for step in range(begins, 50):
    write(start.files, step, facts(begins) if step == begins else None)
print(start.files.directory.name, flush=True)
input()
"""
    command = [sys.executable, "-c", code, str(tmp_path), str(first), HERE]
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
    found = everywhere(tmp_path)
    assert found.pop("feature_maps") == ([0, 1] if first == 0 else list(range(50)))
    assert list(found.values()) == [list(range(first, 50))] * len(found)
