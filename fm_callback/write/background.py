"""One thread behind the training: items in order, a queue of depth one, bounded patience.

It is what ends a recording, whoever notices the end first:

| what ends | who notices | what happens |
|---|---|---|
| the training | the callback's `on_train_end` calls `close` | what was submitted or kept is worked on; waited for |
| the process, after an interrupt that told callbacks nothing | `atexit` calls `close` | the same |
| the callback is garbage, after such an interrupt | `weakref.finalize` in `recorder.py` calls `close`, in whichever thread collects | the same; by the thread itself, without waiting |
| patience | a full queue | training goes on; the thread ends when it is done with what it is stuck at |
| an error of `work` | the thread | the rest is passed over, `finish` is called; the next `submit` sees `error` |
| a forked child | there is no thread in it | nothing: the parent's work is the parent's |
"""

import atexit
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Background(Generic[Item]):
    """Calls `work` with each submitted item, in order, on one background thread, and at last `finish`.

    A full queue means wait: nothing is dropped, nothing grows. All waits together, at the end included, last at most
    `patience` seconds. After the first error nothing more is done but `finish`. In a forked child, where there is no
    thread, nothing is done at all.

    Attributes:
        error: The first error, or None.
        waited: Seconds that `submit` has waited so far.
    """

    def __init__(
        self, work: Callable[[Item], None], finish: Callable[[], None] = lambda: None, patience: float = 60.0
    ) -> None:
        self.error: Exception | None = None
        self.waited = 0.0
        self._work, self._finish = work, finish
        self._patience = patience
        self._kept: Item | None = None
        self._closing = False
        self._queue: queue.Queue[Item | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._run, name="fm_callback", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def submit(self, item: Item) -> None:
        """Hands over an item; waits while the queue is full. After an error, or when closed, does nothing."""
        self._kept = None
        if self.error is None and self._thread.is_alive():
            self.waited += self._put(item)

    def keep(self, item: Item | None) -> None:
        """Takes an item that is worked on only if no other follows: `close` submits it. Forgets the one before; None for none."""
        self._kept = item

    def close(self) -> None:
        """Waits until all that was submitted, and what is kept, is done and the thread has ended.

        Out of patience, it ends when it is done with the item that it is stuck at.
        """
        if threading.current_thread() is self._thread:  # a garbage collection, in the middle of its work
            self._closing = True
            return
        if self._kept is not None:
            self.submit(self._kept)
        if self._thread.is_alive():
            self._put(None)
            started = time.monotonic()
            self._thread.join(max(self._patience, 0.0))
            self._patience -= time.monotonic() - started
            if self._thread.is_alive():
                self._give_up()
        atexit.unregister(self.close)

    def _put(self, item: Item | None) -> float:
        started = time.monotonic()
        try:
            self._queue.put(item, timeout=max(self._patience, 0.0))
        except queue.Full:
            self._give_up()
        waited = time.monotonic() - started
        self._patience -= waited
        return waited

    def _give_up(self) -> None:
        self.error = self.error or TimeoutError("writing did not keep up: training has waited for it as long as it may")
        with contextlib.suppress(queue.Empty):
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    def _run(self) -> None:
        while (item := self._next()) is not None:
            if self.error is None:
                try:
                    self._work(item)
                except Exception as error:
                    self.error = error
            del item  # it would live until the next one comes, an epoch later, with what it holds on the device
        try:
            self._finish()
        except Exception as error:
            self.error = self.error or error

    def _next(self) -> Item | None:
        """The next item; None at the end. Closed by its own thread, nobody hands over any more: the rest, and what is kept."""
        if not self._closing:
            return self._queue.get()
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            kept, self._kept = self._kept, None
            return kept
