"""One thread behind the training: items in order, one in work and one waiting, and training waits for a bounded time.

Where items come faster than they can be worked on, training waits: a minute in all. From then on it does not wait any more, and a new
item takes the place of the one that is waiting. So the last is never left out, and none is while the work keeps up.

It is what ends a recording, whoever notices the end first:

| what ends | who notices | what happens |
|---|---|---|
| the training | the callback's `on_train_end` calls `close` | what is waiting or kept is worked on; waited for, another minute at most |
| the process, after an interrupt that told callbacks nothing, or with work left | `atexit` calls `close` | the same |
| the callback is garbage, after such an interrupt | `weakref.finalize` in `recorder.py` calls `close`, in whichever thread collects | the same; by the thread itself, without waiting |
| nobody, where the work hangs | `close` has waited for as long as it may | training goes on; the thread does the rest when it can, and ends |
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
    """Calls `work` with submitted items, in order, on one background thread, and at last `finish`.

    After the first error nothing more is done but `finish`. In a forked child, where there is no thread, nothing is done
    at all.

    Attributes:
        error: The first error, or None.
        waited: Seconds that `submit` has waited so far.
        left_out: How many items have given their place to a later one.
    """

    def __init__(
        self, work: Callable[[Item], None], finish: Callable[[], None] = lambda: None, patience: float = 60.0
    ) -> None:
        """Starts the thread.

        Args:
            work: What to do with an item.
            finish: What to do at last.
            patience: For how many seconds all calls of `submit` may wait together, and then `close`.
        """
        self.error: Exception | None = None
        self.waited = 0.0
        self.left_out = 0
        self._work, self._finish, self._patience = work, finish, patience
        self._kept: Item | None = None
        self._closing = False
        self._open = 0  # what was handed over and is not done
        self._done = threading.Condition()
        self._ended = threading.Event()
        self._queue: queue.Queue[Item | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._run, name="fm_callback", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def submit(self, item: Item) -> None:
        """Hands over an item; waits while another one is waiting, then takes its place. After an error does nothing."""
        self._kept = None
        if self.error is None and self._thread.is_alive():
            started = time.monotonic()
            with self._done:
                self._open += 1
            try:
                self._queue.put(item, timeout=max(self._patience - self.waited, 0.0))
            except queue.Full:
                with contextlib.suppress(queue.Empty):  # this thread alone hands over: what it takes out leaves room
                    self._queue.get_nowait()
                    self.left_out += 1
                    self._one_done()
                self._queue.put_nowait(item)
            self.waited += time.monotonic() - started

    def keep(self, item: Item | None) -> None:
        """Takes an item that is worked on only if no other follows. Forgets the one before; None for none."""
        self._kept = item

    def settle(self) -> bool:
        """Waits until all that was handed over is done, as long as `close` may; False if it has waited in vain."""
        with self._done:
            return self._done.wait_for(lambda: not self._open or not self._thread.is_alive(), self._patience)

    def close(self) -> bool:
        """Waits until all that is waiting or kept is done and the thread has ended; False if it has waited in vain.

        Then nothing is given up: the thread ends when all is done, and the end of the process waits for it once more.
        """
        self._closing = True
        if threading.current_thread() is self._thread:  # a garbage collection, in the middle of its work
            return True
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):  # then it is at work, and will see
                self._queue.put_nowait(None)
            # An interrupt of `join` would make a thread that works pass for one that has ended.
            if not self._ended.wait(self._patience):
                return False
            self._thread.join()
        atexit.unregister(self.close)
        return True

    def _run(self) -> None:
        while (item := self._next()) is not None:
            if self.error is None:
                try:
                    self._work(item)
                except Exception as error:
                    self.error = error
            self._one_done()
            del item  # it would live until the next one comes, an epoch later, with what it holds on the device
        try:
            self._finish()
        except Exception as error:
            self.error = self.error or error
        self._ended.set()

    def _one_done(self) -> None:
        with self._done:
            self._open = max(self._open - 1, 0)  # what is kept was never handed over
            self._done.notify_all()

    def _next(self) -> Item | None:
        """The next item; None at the end. Nobody hands over any more once it is closing: then what waits, then what is kept."""
        item = None if self._closing else self._queue.get()
        if item is None:
            with contextlib.suppress(queue.Empty):
                item = self._queue.get_nowait()
        if item is None:
            item, self._kept = self._kept, None
        return item
