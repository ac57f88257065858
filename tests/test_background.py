"""The thread behind the training."""

import subprocess
import sys
import threading
import time

from fm_callback.background import Background


def test_everything_is_done_in_order_before_close_returns():
    done = []
    background = Background(lambda item: (time.sleep(0.002), done.append(item)))
    for item in range(50):
        background.submit(item)
    background.close()
    assert done == list(range(50)) and background.error is None


def test_at_most_one_item_waits():
    gate, begun = threading.Event(), []
    background = Background(lambda item: (begun.append(item), gate.wait(10)))
    submitted = []

    def submit():
        for item in range(4):
            background.submit(item)
            submitted.append(item)

    thread = threading.Thread(target=submit)
    thread.start()
    time.sleep(0.3)
    assert begun == [0] and submitted == [0, 1], "one in work, one in the queue, the third waits"
    gate.set()
    thread.join(10)
    background.close()
    assert begun == [0, 1, 2, 3]


def test_after_the_first_error_nothing_more_is_done():
    done = []

    def work(item):
        done.append(item)
        raise OSError(28, f"no space at {item}")

    background = Background(work)
    for item in range(5):
        background.submit(item)
        time.sleep(0.05)
    background.close()
    assert done == [0] and "no space at 0" in str(background.error)


def test_patience_is_bounded_in_all_and_then_nothing_waits():
    gate = threading.Event()
    background = Background(lambda item: gate.wait(30), patience=0.5)
    started = time.monotonic()
    for item in range(20):
        background.submit(item)
    background.close()
    assert time.monotonic() - started < 5
    assert isinstance(background.error, TimeoutError)
    gate.set()


def test_what_was_submitted_is_done_before_the_interpreter_ends():
    code = """
import time
from fm_callback.background import Background
background = Background(lambda item: (time.sleep(.2), print(item, flush=True)))
background.submit("first"); background.submit("second")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("first\nsecond\n", "", 0)


def test_a_closed_one_leaves_no_thread():
    before = threading.active_count()
    for _ in range(5):
        Background(print).close()
    assert threading.active_count() == before
