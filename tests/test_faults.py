"""Each fault is really caused: training ends as without us, what was logged before stays readable, one warning."""

import contextlib
import copy
import errno
import fcntl
import functools
import os
import pickle
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from reading import on_both_paths
from support.decoding import all_steps, log_files, stored
from test_callback import MASKS, X, Y, fit, runs, segmenter

from fm_callback import FeatureMapCallback, tfrecord
from fm_callback.write.background import Background
from fm_callback.write.run_files import RunFiles

EPOCHS = 6


@functools.cache
def compiled():
    model = segmenter(optimizer="sgd")
    return model, model.get_weights()


def untrained():
    """The same model, compiled once, as it was at first."""
    model, weights = compiled()
    model.set_weights(weights)
    model.optimizer.iterations.assign(0)
    keras.utils.set_random_seed(1)
    return model


class Between(keras.callbacks.Callback):
    """A fault starts when step 2 is on disk, and may end when it has done its work."""

    def __init__(self, log_dir, start, end=None):
        super().__init__()
        self.directory, self.start, self.end = log_dir / "feature_maps", start, end

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            wait_for(lambda: 2 in all_steps(self.directory))
            self.start()
        if epoch == 4 and self.end:
            wait_for(lambda: handle_of(self.directory) is None)
            self.end()


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "never so"
        time.sleep(0.005)


def outcome(model, history):
    return [value.tolist() for value in model.get_weights()], history


@pytest.fixture(scope="module")
def unharmed():
    """What a training of `EPOCHS` epochs comes to without us."""
    model = untrained()
    return outcome(model, model.fit(X, Y, batch_size=4, epochs=EPOCHS, verbose=0).history)


def train(log_dir, *callbacks, model=None, kind=FeatureMapCallback, epochs=EPOCHS, **options):
    """A `fit`, what it came to, and the warnings that we gave in it."""
    model = model or untrained()
    ours = kind(X[:2], log_dir, masks=MASKS[:2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0, callbacks=[*callbacks, ours], **options)
    return outcome(model, history.history), our_warnings(caught), model


def our_warnings(caught):
    ours = [each for each in caught if "FeatureMapCallback" in str(each.message)]
    assert all(each.category is RuntimeWarning for each in ours)
    return [str(each.message) for each in ours]


def steps_everywhere(log_dir):
    """`{run: steps}` of our log; TensorBoard's copies have the same ones, on both of its reading paths."""
    found = {path.name: list(stored(path)) for path in sorted(log_dir.glob("feature_maps*")) if path.is_dir()}
    found |= {f"{path.parent.name}/{path.name}": list(stored(path)) for path in sorted(log_dir.glob("*/feature_maps"))}
    copies = on_both_paths(log_dir)
    assert copies.keys() == found.keys()
    for run, tags in copies.items():
        assert {tuple(steps) for tag, steps in tags.items() if "dead_or_flat/" in tag} == {tuple(found[run])}, run
    return found


def files_are_whole(directory):
    for path in directory.iterdir():
        with open(path, "rb") as file:
            size = sum(len(record) + 16 for record in tfrecord.records(file))
        assert 0 < size == path.stat().st_size


# --- The faults. Each is a context manager around a log directory that gives the functions that start and end it.


def system(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


@contextlib.contextmanager
def mounted(directory, *arguments):
    """A file system of its own; skips where mounting is not permitted, which takes root."""
    directory.mkdir(exist_ok=True)
    try:
        system("mount", *arguments, str(directory))
    except OSError as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield
    finally:
        system("umount", "--lazy", str(directory))


@contextlib.contextmanager
def full_disk(directory):
    """Room for half of a step of our log when three have been written, or for 4 kB."""
    filler = directory / "filler"

    def fill():
        room = max(4096, sum(path.stat().st_size for path in directory.glob("feature_maps/*.fmlog")) // 6)
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        os.truncate(filler, filler.stat().st_size - room)

    with mounted(directory, "-t", "tmpfs", "-o", "size=2m", "tmpfs"):
        yield fill, lambda: filler.unlink(missing_ok=True)


@contextlib.contextmanager
def read_only_disk(directory):
    """Whoever has a file open keeps the system from making a disk read-only: only a fault of the disk does that."""
    image = directory.with_suffix(".img")
    with open(image, "wb") as file:
        file.truncate(8 << 20)
    try:
        system("mkfs.ext4", "-q", str(image))
    except OSError as error:
        pytest.skip(str(error))
    with mounted(directory, "-o", "loop", str(image)):
        (directory / "lost+found").rmdir()

        def fail():
            os.sync()
            system("mount", "-o", "remount,abort", str(directory))

        yield fail, lambda: None


@contextlib.contextmanager
def read_only_mount(directory):
    with mounted(directory, "-t", "tmpfs", "-o", "size=2m", "tmpfs"):
        yield (
            lambda: system("mount", "-o", "remount,ro", str(directory)),
            lambda: system("mount", "-o", "remount,rw", str(directory)),
        )


@contextlib.contextmanager
def unwritable_directory(directory):
    """By its permissions; by the flag that forbids changes where we are root, whom permissions do not stop."""
    made = directory / "feature_maps"
    made.mkdir(parents=True)
    changes = ("chattr", "+i"), ("chattr", "-i")
    if os.geteuid() != 0:
        changes = ("chmod", "a-w"), ("chmod", "u+w")
    else:
        try:
            for change in changes:
                system(*change, str(made))
        except OSError as error:
            pytest.skip(str(error))
    start, end = (lambda change=change: system(*change, str(made)) for change in changes)
    try:
        yield start, end
    finally:
        end()


def handle_of(directory):
    """The number under which this process writes the log in a directory, or None."""
    *_, path = log_files(directory)
    handles = [each for each in Path("/proc/self/fd").iterdir() if each.exists() and each.samefile(path)]
    return int(handles[0].name) if handles else None


@contextlib.contextmanager
def stalled_disk(directory):
    """A pipe in the file's place, which passes nothing on until the fault ends: the system blocks whoever writes."""
    flows = threading.Event()
    drains = []

    def start():
        handle = handle_of(directory / "feature_maps")
        disk = os.dup(handle)
        outlet, inlet = os.pipe()
        fcntl.fcntl(inlet, fcntl.F_SETPIPE_SZ, 4096)
        os.dup2(inlet, handle)
        os.close(inlet)

        def drain():
            flows.wait(60)
            while data := os.read(outlet, 4096):
                os.write(disk, data)
            os.close(outlet)
            os.close(disk)

        drains.append(threading.Thread(target=drain))
        drains[0].start()

    try:
        yield start, flows.set
    finally:
        flows.set()
        for thread in drains:
            thread.join(60)


# --- Tests.


@pytest.mark.parametrize(
    ("fault", "ends", "message"),
    [
        (full_disk, False, "No space left on device"),
        (full_disk, True, "No space left on device"),
        (read_only_disk, False, "Read-only file system"),
    ],
    ids=["full", "full-for-a-while", "read-only"],
)
def test_a_disk_that_fails_in_training(fault, ends, message, tmp_path, unharmed):
    with fault(tmp_path / "disk") as (start, end):
        log_dir = tmp_path / "disk"
        result, given, model = train(log_dir, Between(log_dir, start, end if ends else None))
        assert result == unharmed
        assert len(given) == 1 and message in given[0] and str(log_dir / "feature_maps") in given[0]
        files_are_whole(log_dir / "feature_maps")
        assert steps_everywhere(log_dir) == {"feature_maps": [0, 1, 2]}
        if fault is full_disk:
            end()
            train(log_dir, model=model, initial_epoch=EPOCHS, epochs=EPOCHS + 1)
            files_are_whole(log_dir / "feature_maps")
            assert steps_everywhere(log_dir) == {"feature_maps": [0, 1, 2, 6, 7]}


def test_a_disk_that_hangs(tmp_path, unharmed):
    with stalled_disk(tmp_path) as (start, end), patience(0.5):
        before = threading.active_count()
        result, given, model = train(tmp_path, Between(tmp_path, start))
        assert result == unharmed
        assert len(given) == 1 and "did not keep up" in given[0]
        assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1, 2]}
        end()
    wait_for(lambda: threading.active_count() == before)
    train(tmp_path, model=model, initial_epoch=EPOCHS, epochs=EPOCHS + 1)
    assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 3, 6, 7]}, "3 had been on its way"


def test_a_slow_disk_makes_training_wait_and_loses_nothing(tmp_path, unharmed):
    """Step 3 is stuck and 4 in the queue when training comes to step 5."""
    with stalled_disk(tmp_path) as (start, end):
        at_step_5 = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: threading.Timer(0.3, end).start() if epoch == 4 else None
        )
        result, given, _ = train(tmp_path, Between(tmp_path, start), at_step_5)
    assert result == unharmed and given == []
    assert steps_everywhere(tmp_path) == {"feature_maps": list(range(EPOCHS + 1))}


@contextlib.contextmanager
def patience(seconds):
    """For how long training waits in all."""
    start = Background.__init__
    before = start.__defaults__
    start.__defaults__ = (*before[:-1], seconds)
    try:
        yield
    finally:
        start.__defaults__ = before


@contextlib.contextmanager
def slow_disk(monkeypatch, begins, ends, fails=False):
    """Writing stops at a step, until the training has come to another one; a callback that sees to that."""
    write, flows = RunFiles.write, threading.Event()

    def slow(files, step, *rest):
        if step == begins:
            flows.wait(60)
            if fails:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(files, step, *rest)

    monkeypatch.setattr(RunFiles, "write", slow)
    yield keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: flows.set() if epoch == ends else None)


@pytest.mark.parametrize("update_freq", ["epoch", 2])
def test_a_disk_that_is_too_slow_leaves_out_steps_but_not_the_last(update_freq, tmp_path, monkeypatch):
    model, callback = untrained(), FeatureMapCallback(X[:1], tmp_path, update_freq=update_freq)
    with (
        slow_disk(monkeypatch, begins=4, ends=30) as ends,
        patience(0.3),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        model.fit(X, Y, batch_size=8, epochs=40, verbose=0, callbacks=[ends, callback])
    (steps,) = steps_everywhere(tmp_path).values()
    assert steps[:2] == [0, 1 if update_freq == "epoch" else 2] and {4, 40} <= set(steps)
    assert set(steps) & set(range(5, 30)) == set() and len(set(steps) & set(range(30, 40))) > 1, (
        "then it keeps up again"
    )
    (told,) = our_warnings(caught)
    assert "did not keep up" in told and "left out" in told and "log fewer `layers`" in told
    model.fit(X, Y, batch_size=8, initial_epoch=40, epochs=42, verbose=0, callbacks=[callback])
    assert steps_everywhere(tmp_path) == {"feature_maps": [*steps, *([41] if update_freq == "epoch" else []), 42]}


def test_a_slow_disk_that_fails_at_last_ends_the_log_with_the_one_warning(tmp_path, monkeypatch):
    with (
        slow_disk(monkeypatch, begins=4, ends=30, fails=True) as ends,
        patience(0.3),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        untrained().fit(X, Y, epochs=40, verbose=0, callbacks=[ends, FeatureMapCallback(X[:1], tmp_path)])
    slow, full = our_warnings(caught)
    assert "left out" in slow and "No space left on device" in full
    assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 3]}


def test_a_directory_made_unwritable_is_no_loss_to_a_training_that_has_its_file(tmp_path, unharmed):
    with unwritable_directory(tmp_path) as (start, end):
        result, given, _ = train(tmp_path, Between(tmp_path, start))
        end()
    assert result == unharmed and given == []
    assert steps_everywhere(tmp_path) == {"feature_maps": list(range(EPOCHS + 1))}


@pytest.fixture(scope="module")
def unharmed_loop():
    model = untrained()
    return [outcome(model, one_epoch(model, epoch)) for epoch in range(EPOCHS)]


def one_epoch(model, epoch, *callbacks):
    options = {"batch_size": 4, "verbose": 0, "epochs": epoch + 1, "initial_epoch": epoch}
    return model.fit(X, Y, callbacks=list(callbacks), **options).history


def fits_of_one_epoch(callback, unharmed_loop, before=lambda epoch: None):
    """Six of them; the warnings of each."""
    model, given = untrained(), []
    for epoch in range(EPOCHS):
        before(epoch)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = one_epoch(model, epoch, callback)
        assert outcome(model, history) == unharmed_loop[epoch]
        given.append(our_warnings(caught))
    return given


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (full_disk, "No space left on device"),
        (read_only_mount, "Read-only file system"),
    ],
)
def test_a_fault_that_comes_and_goes_between_fits(fault, message, tmp_path, unharmed_loop):
    log_dir = tmp_path / "logs"
    with fault(log_dir) as (start, end):
        callback = FeatureMapCallback(X[:2], log_dir, masks=MASKS[:2])
        given = fits_of_one_epoch(callback, unharmed_loop, lambda epoch: {2: start, 4: end}.get(epoch, lambda: None)())
        assert [len(each) for each in given] == [0, 0, 1, 1, 0, 0]
        assert all(re.search(message, each) and str(log_dir) in each for each in given[2] + given[3])
        files_are_whole(log_dir / "feature_maps")
        assert steps_everywhere(log_dir) == {"feature_maps": [0, 1, 2, 4, 5, 6]}


def test_a_directory_made_unwritable_is_no_loss_to_further_fits_which_go_on_in_the_file(tmp_path, unharmed_loop):
    with unwritable_directory(tmp_path) as (start, end):
        callback = FeatureMapCallback(X[:2], tmp_path, masks=MASKS[:2])
        given = fits_of_one_epoch(callback, unharmed_loop, lambda epoch: {2: start, 4: end}.get(epoch, lambda: None)())
    assert given == [[]] * EPOCHS
    assert steps_everywhere(tmp_path) == {"feature_maps": list(range(EPOCHS + 1))}


@pytest.mark.parametrize("fault", [full_disk, read_only_mount])
def test_a_fault_that_is_there_from_the_start_raises_before_the_first_batch_and_leaves_nothing(fault, tmp_path):
    model = untrained()
    before = model.get_weights()
    with fault(tmp_path / "disk") as (start, end):
        log_dir = tmp_path / "disk" / "logs"
        log_dir.mkdir()
        start()
        with pytest.raises(OSError, match=re.escape(f"FeatureMapCallback can't write to '{log_dir}': ")):
            fit(model, FeatureMapCallback(X[:2], log_dir))
        assert list(log_dir.iterdir()) == []
        assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
        end()
        fit(model, FeatureMapCallback(X[:2], log_dir), epochs=1)
        assert steps_everywhere(log_dir) == {"feature_maps": [0, 1]}


@contextlib.contextmanager
def no_handle_is_free():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def is_open(path):
    """Whether this process has a file open."""
    handles = [handle for handle in Path("/proc/self/fd").iterdir() if handle.exists()]
    return any(handle.samefile(path) for handle in handles)


@pytest.mark.parametrize("renames", ["only what is closed", "nothing"])
def test_a_system_that_renames_and_removes(renames, tmp_path, unharmed, monkeypatch):
    """As Windows does with open files, and mounted buckets with any."""

    def refusing(real, renaming, path, *rest, **options):
        if os.path.lexists(path) and is_open(path):
            raise PermissionError(errno.EACCES, "The file is in use")
        if renaming and renames == "nothing":
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, *rest, **options)

    for name in ("rename", "replace", "unlink", "remove"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, functools.partial(refusing, real, name in ("rename", "replace")))
    result, given, model = train(tmp_path)
    assert result == unharmed and given == []
    train(tmp_path, model=model, initial_epoch=EPOCHS, epochs=EPOCHS + 1)
    assert steps_everywhere(tmp_path) == {"feature_maps": list(range(EPOCHS + 2))}
    assert {path.suffix for path in (tmp_path / "feature_maps").iterdir() if "tfevents" not in path.name} == {".fmlog"}


def test_no_file_handle_is_needed_in_training(tmp_path, unharmed):
    """In our hooks only: TensorFlow's own threads die where they can't open a source of random numbers."""

    class WithoutHandles(FeatureMapCallback):
        def on_epoch_end(self, epoch, logs=None):
            wait_for(lambda: epoch in all_steps(tmp_path / "feature_maps"))
            (path,) = log_files(tmp_path / "feature_maps")
            size = path.stat().st_size
            with no_handle_is_free() if epoch >= 2 else contextlib.nullcontext():
                super().on_epoch_end(epoch, logs)
                wait_for(lambda: path.stat().st_size > size)

    result, given, _ = train(tmp_path, kind=WithoutHandles)
    assert result == unharmed and given == []
    assert steps_everywhere(tmp_path) == {"feature_maps": list(range(EPOCHS + 1))}


def test_no_file_handle_for_a_further_fit(tmp_path, unharmed_loop):
    class WithoutHandles(FeatureMapCallback):
        def on_epoch_begin(self, epoch, logs=None):
            with no_handle_is_free() if epoch in (2, 3) else contextlib.nullcontext():
                super().on_epoch_begin(epoch, logs)

    given = fits_of_one_epoch(WithoutHandles(X[:2], tmp_path, masks=MASKS[:2]), unharmed_loop)
    assert [len(each) for each in given] == [0, 0, 1, 1, 0, 0] and "Too many open files" in given[2][0]
    assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 4, 5, 6]}


def test_a_directory_that_is_removed_while_warnings_are_errors(tmp_path, unharmed, capsys):
    model, callback = untrained(), FeatureMapCallback(X[:2], tmp_path, masks=MASKS[:2])
    removes = Between(tmp_path, lambda: shutil.rmtree(tmp_path / "feature_maps"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(X, Y, batch_size=4, epochs=EPOCHS, verbose=0, callbacks=[removes, callback])
    assert outcome(model, history.history) == unharmed
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "FeatureMapCallback" in line]
    assert "the file is no longer there" in said and str(tmp_path / "feature_maps") in said


def test_a_handle_that_somebody_closes(tmp_path, unharmed):
    class Close(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            wait_for(lambda: EPOCHS in all_steps(tmp_path / "feature_maps"))
            os.close(handle_of(tmp_path / "feature_maps"))

    result, given, _ = train(tmp_path, Close())
    assert result == unharmed
    assert len(given) == 1 and "Bad file descriptor" in given[0]
    assert steps_everywhere(tmp_path) == {"feature_maps": list(range(EPOCHS + 1))}


IN_A_PROCESS = f"""
import atexit, os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import keras
from test_callback import MASKS, X, Y, FeatureMapCallback, fit, segmenter
log_dir = Path(sys.argv[1])
"""


def process(code, log_dir):
    return subprocess.Popen(
        [sys.executable, "-c", IN_A_PROCESS + code, str(log_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_exception_of_the_user_a_forked_child_and_an_interrupt(tmp_path):
    """All that was captured is on disk when the interpreter has ended, and the child has done nothing."""
    code = """
class Breaks(keras.Sequential):
    def train_step(self, data):
        if int(self.optimizer.iterations) == 5:
            raise ZeroDivisionError("the user's own")
        return super().train_step(data)

class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            child = os.fork()
            if child == 0:  # all that is done at exit, with a step held back; TensorFlow hangs in what follows
                atexit._run_exitfuncs()
                os._exit(7)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

model = Breaks(segmenter().layers)
model.compile("sgd", "mse", run_eagerly=True)
try:
    fit(model, FeatureMapCallback(X[:1], log_dir / "a", every=100), epochs=5)
except ZeroDivisionError as error:
    print(error)
segmenter().fit(X, Y, epochs=5, verbose=0, callbacks=[FeatureMapCallback(X[:1], log_dir / "b", every=100), Interrupt()])
"""
    running = process(code, tmp_path)
    said, errors = running.communicate(timeout=120)
    assert said.splitlines() == ["the user's own", "7"] and "KeyboardInterrupt" in errors
    assert "RuntimeWarning" not in errors
    assert all_steps(tmp_path / "a" / "feature_maps") == all_steps(tmp_path / "b" / "feature_maps") == [0, 2]
    assert steps_everywhere(tmp_path) == {"a/feature_maps": [0, 2], "b/feature_maps": [0, 2]}


def killed(log_dir, signal_number, after):
    """Trains in another process until so many steps are on disk and some milliseconds more; those steps."""
    code = "fit(segmenter(), FeatureMapCallback(X[:2], log_dir, masks=MASKS[:2]), epochs=100_000)"
    running = process(code, log_dir)
    directory = log_dir / "feature_maps"
    try:
        wait_for(lambda: len(seen(directory)) >= after or running.poll() is not None, 120)
        time.sleep(random.uniform(0, 0.05))
        steps = seen(directory)
        running.send_signal(signal_number)
        _, errors = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == -signal_number, errors
    return steps


def seen(directory):
    return all_steps(directory) if directory.exists() else []


def trained_again(epochs):
    """The model that `killed` has trained, after so many epochs: what a checkpoint would hold."""
    model = segmenter()
    model.fit(X, Y, batch_size=4, epochs=epochs, verbose=0)
    return model


def resume_and_rerun(log_dir, steps):
    """After a crash: all steps are there; then training goes on before its end, with the same settings and with others, and anew."""
    found = steps_everywhere(log_dir)["feature_maps"]
    assert found == list(range(len(found))) and len(found) >= len(steps)
    first, last = len(found) - 3, len(found) + 1
    model = trained_again(first)
    for options in ({}, {"images": False}, {"channels": 3}):
        callback = FeatureMapCallback(X[:2], log_dir, **{"masks": MASKS[:2]} | options)
        fit(model, callback, initial_epoch=first, epochs=last)
    fit(model, FeatureMapCallback(X[:2], log_dir, masks=MASKS[:2]), epochs=1)
    assert steps_everywhere(log_dir) == {
        "feature_maps": list(range(last + 1)),
        "feature_maps_2": list(range(first, last + 1)),
        "feature_maps_3": list(range(first, last + 1)),
        "feature_maps_4": [0, 1],
    }


def test_sigterm_then_resume_and_rerun(tmp_path):
    resume_and_rerun(tmp_path, killed(tmp_path, signal.SIGTERM, after=6))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_a_fit_ten_times(tmp_path):
    for at in range(10):
        log_dir = tmp_path / str(at)
        log_dir.mkdir()
        steps = killed(log_dir, signal.SIGKILL, after=random.randint(2, 11))
        found = steps_everywhere(log_dir)["feature_maps"]
        assert found == list(range(len(found))) and len(found) >= len(steps)
        first = random.randint(1, len(found) - 1)
        callback = FeatureMapCallback(X[:2], log_dir, masks=MASKS[:2])
        fit(trained_again(first), callback, initial_epoch=first, epochs=first + 2)
        assert steps_everywhere(log_dir) == {"feature_maps": list(range(first + 3))}


def test_an_interrupted_training_is_gone_on_with_in_its_own_process(tmp_path):
    """With another callback, as when a notebook's cell is run again: nobody tells the first that its training is over."""

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    model = untrained()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=5, verbose=0, callbacks=[FeatureMapCallback(X[:1], tmp_path), Interrupt()])
    fit(model, FeatureMapCallback(X[:1], tmp_path), initial_epoch=2, epochs=3)
    assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 3]}


def test_two_callbacks_alike_get_a_directory_each(tmp_path):
    model = untrained()
    for first in (0, 2):
        callbacks = [FeatureMapCallback(X[:1], tmp_path) for _ in range(2)]
        model.fit(X, Y, initial_epoch=first, epochs=first + 2, verbose=0, callbacks=callbacks)
    steps = [0, 1, 2, 3, 4]
    assert steps_everywhere(tmp_path) == {"feature_maps": steps, "feature_maps_2": steps}


def test_two_trainings_in_loops_of_one_epoch_keep_apart(tmp_path):
    models = [segmenter(), segmenter()]
    callbacks = [FeatureMapCallback(X[:1], tmp_path) for _ in models]
    for epoch in range(3):
        for model, callback in zip(models, callbacks, strict=True):
            fit(model, callback, initial_epoch=epoch, epochs=epoch + 1)
    assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 3], "feature_maps_2": [0, 1, 2, 3]}


def test_an_interrupt_while_a_step_is_handed_over_does_not_write_it_twice(tmp_path, monkeypatch):
    submit = Background.submit

    def interrupted(background, item):
        submit(background, item)
        if item.step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Background, "submit", interrupted)
    callback = FeatureMapCallback(X[:1], tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(untrained(), callback, epochs=3)
    callback._close()
    assert all_steps(tmp_path / "feature_maps") == [0, 1, 2]
    assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1, 2]}


def test_a_clock_that_was_set_back(tmp_path):
    """All that it leaves behind is a file of the future."""
    model = fit(untrained(), FeatureMapCallback(X[:1], tmp_path), epochs=3)
    for path in (tmp_path / "feature_maps").iterdir():
        path.rename(path.with_name(re.sub(r"\d{10}", "9999999000", path.name)))
    fit(model, FeatureMapCallback(X[:1], tmp_path), epochs=4, initial_epoch=3)
    assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1, 2, 3, 4]}


def test_a_probe_of_zeros(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(untrained(), FeatureMapCallback(0 * X[:2], tmp_path, masks=MASKS[:2]), epochs=1)
    steps = steps_everywhere(tmp_path)
    assert steps == {"feature_maps": [0, 1]}
    facts, _, values, _ = stored(tmp_path / "feature_maps")[0]["down"]
    table = dict(zip(facts.fields, values.T, strict=True))
    assert (table["low"] == 0).all() and (table["high"] == 0).all() and (table["zeros"] == 1).all()
    assert (table["mask_auroc"] == 0.5).all(), "chance"


def test_a_layer_that_is_gone_raises_before_the_next_fit(tmp_path):
    model = segmenter()
    callback = FeatureMapCallback(X[:1], tmp_path, layers=["up", "head"])
    fit(model, callback, epochs=1)
    model.pop()
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(ValueError, match="no conv layer 'head'"):
        model.fit(X, np.zeros((8, 16, 16, 6)), verbose=0, callbacks=[callback])
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    assert steps_everywhere(tmp_path) == {"feature_maps": [0, 1]}


def test_copies_made_in_the_middle_of_a_training_know_nothing_of_it(tmp_path):
    copies = []

    class Copy(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            ways = copy.deepcopy, copy.copy, lambda each: pickle.loads(pickle.dumps(each))
            copies.extend(way(callback) for way in ways if epoch == 1)

    model, callback = untrained(), FeatureMapCallback(X[:1], tmp_path, update_freq=1)
    model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[Copy(), callback])
    for each in copies:
        fit(model, each, epochs=1)
    assert steps_everywhere(tmp_path) == {"feature_maps": list(range(11))}


def test_a_wrong_configuration_creates_nothing(tmp_path):
    for options in ({"layers": ["dwon"]}, {"channels": [99]}, {"masks": MASKS[:1, :8]}, {"samples": X[:1, :8]}):
        with pytest.raises(ValueError):
            fit(untrained(), FeatureMapCallback(**{"samples": X[:1], "log_dir": tmp_path / "logs"} | options))
    assert runs(tmp_path) == []


def test_a_file_that_has_our_name_is_left_alone(tmp_path):
    for name in ("feature_maps", "feature_maps_2"):
        (tmp_path / name).write_text("notes")
    fit(untrained(), FeatureMapCallback(X[:1], os.fsencode(tmp_path)), epochs=1)
    assert (tmp_path / "feature_maps_2").read_text() == "notes"
    assert steps_everywhere(tmp_path) == {"feature_maps_3": [0, 1]}
