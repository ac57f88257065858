"""A log that is looked at again when somebody asks, by one thread, and not more often than makes sense."""

import logging
import threading
import time
from collections.abc import Callable

from fm_callback.read.log import Log

#: Seconds between two looks, at least; and so many times as long as a look took.
_PAUSE, _SHARE = 1.0, 4.0
#: So many bytes of a log are verified, so many at a time: damage is told at first sight, and no log is too large for that.
_VERIFIED, _PIECE = 2**30, 2**24


class Watch:
    """Refreshes a log in a thread of its own, the first time at once, and verifies it while nobody asks."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._asked, self._fresh = threading.Event(), threading.Condition()
        self._asked.set()
        self._looks = 0
        self._next = 0.0
        threading.Thread(target=self._look, name="feature_maps", daemon=True).start()

    @property
    def opened(self) -> bool:
        """Whether the log was read once."""
        return self._looks > 0

    def look(self, seconds: float) -> None:
        """Has the log looked at, unless that was just done, and waits so long for it at most."""
        with self._fresh:
            if self.opened and time.monotonic() < self._next:
                return
            looks = self._looks
            self._asked.set()
            self._fresh.wait_for(lambda: self._looks > looks, seconds)

    def _look(self) -> None:
        left = _VERIFIED
        while self._asked.wait():
            began = time.monotonic()
            self._safely(self._log.refresh)
            with self._fresh:
                ended = time.monotonic()
                self._next = ended + max(_PAUSE, _SHARE * (ended - began))
                self._asked.clear()
                self._looks += 1
                self._fresh.notify_all()
            while left > 0 and not self._asked.is_set() and (read := self._safely(lambda: self._log.verify(_PIECE))):
                left -= read

    def _safely(self, read: Callable[[], int]) -> int:
        try:
            return read()
        except Exception:  # a mistake of ours must not end the looking
            logging.getLogger(__name__).exception("the log directory could not be read")
            return 0
