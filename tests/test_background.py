"""The thread behind the training."""

import os
import subprocess
import sys
import threading
import time
import weakref

from fm_callback.write.background import Background


def test_settling_waits_for_what_was_handed_over_and_gives_up_in_time():
    done, gate = [], threading.Event()

    def work(item):
        assert gate.wait(10)
        done.append(item)

    background = Background(work, patience=1.0)
    assert background.settle(), "nothing is on its way"
    background.submit(1)
    assert not background.settle() and not done
    gate.set()
    while not done:
        time.sleep(0.01)
    assert background.settle() and done == [1]
    background.keep(2)
    assert background.settle() and done == [1], "what is kept was not handed over"
    assert background.close() and done == [1, 2] and background.settle()


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
    assert 0.1 < background.waited < 10
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
    assert not background.close()
    assert time.monotonic() - started < 5
    assert background.error is None and background.left_out > 10
    gate.set()
    background._thread.join(10)
    assert background.close()


def test_what_is_too_fast_is_left_out_but_for_the_first_and_the_last():
    done, gate = [], threading.Event()
    background = Background(lambda item: (done.append(item), gate.wait(30)), lambda: done.append("end"), patience=0.3)
    for item in range(100):
        background.submit(item)
    gate.set()
    assert background.close() and background.error is None
    assert done == [0, 99, "end"] and background.left_out == 98


def test_after_a_slow_time_all_are_worked_on_again():
    done, gate = [], threading.Event()
    background = Background(lambda item: (gate.wait(30), done.append(item)), patience=0.3)
    for item in range(10):
        background.submit(item)
    gate.set()
    for item in range(10, 20):
        while len(done) < item - 8:
            time.sleep(0.001)
        background.submit(item)
    background.close()
    assert done == [0, 9, *range(10, 20)]


def test_what_was_submitted_is_done_before_the_interpreter_ends():
    code = """
import time
from fm_callback.write.background import Background
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


def test_what_comes_at_last_comes_after_everything_and_after_an_error_too():
    done = []
    background = Background(done.append, lambda: done.append("last"))
    background.submit(1)
    background.close()
    assert done == [1, "last"]

    def fails(item):
        raise OSError(28, "no space")

    background = Background(fails, lambda: done.append("last again"))
    background.submit(1)
    background.close()
    assert done == [1, "last", "last again"] and background.error.errno == 28


def test_a_thread_that_nobody_waits_for_ends_when_it_has_done_the_last():
    gate, done = threading.Event(), []
    background = Background(lambda item: (gate.wait(30), done.append(item)), lambda: done.append("last"), patience=0.2)
    for item in range(3):
        background.submit(item)
    background.close()
    gate.set()
    background._thread.join(10)
    assert done == [0, 2, "last"] and not background._thread.is_alive()


def test_an_interrupt_while_waiting_leaves_the_rest_to_the_end_of_the_interpreter():
    code = """
import os, signal, threading, time
from fm_callback.write.background import Background
background = Background(lambda item: (time.sleep(1), print(item, flush=True)))
background.submit("first"); background.submit("second")
threading.Timer(.3, os.kill, (os.getpid(), signal.SIGINT)).start()
background.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "first\nsecond\n" and "KeyboardInterrupt" in done.stderr


def test_a_collection_in_its_own_thread_loses_nothing():
    """The owner may be garbage by then, and who collects it closes."""
    done = []

    def work(item):
        if item == 1:
            background.keep(3)
            background.close()
        done.append(item)

    gate = threading.Event()
    background = Background(lambda item: (gate.wait(10), work(item)), lambda: done.append("last"))
    background.submit(1)
    threading.Timer(0.1, gate.set).start()
    background.submit(2)
    background._thread.join(10)
    assert done == [1, 2, 3, "last"] and background.error is None


def test_a_forked_child_neither_works_nor_waits():
    """Its queue may be full, and nobody empties it."""
    gate = threading.Event()
    background = Background(lambda item: gate.wait(30))
    background.submit(1)
    background.submit(2)
    child = os.fork()
    if child == 0:
        try:
            background.submit(3)
            background.close()
        finally:
            os._exit(0)
    end = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    gate.set()
    background.close()
    assert ended == (child, 0) and background.error is None


def test_an_item_that_is_done_is_let_go_before_the_next_one_comes():
    class Item:
        pass

    background = Background(lambda item: None)
    item = Item()
    gone = threading.Event()
    weakref.finalize(item, gone.set)
    background.submit(item)
    del item
    assert gone.wait(10)
    background.close()
