"""One writer in a directory at a time: two files that grow at once would confuse TensorBoard's slow reading path."""

import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, which locks no directories
    fcntl = None  # type: ignore[assignment]


class Claim:
    """The right to write in a directory, until `end` or the end of the process, however that comes.

    Where the system or the file system knows no locks, everybody has it.

    Attributes:
        end: Gives it up.
        exclusive: Whether nobody else can have it.
        released: Whether `release` has given it up.
    """

    def __init__(self, directory: Path) -> None:
        """Takes it.

        Raises:
            BlockingIOError: if it is taken.
            OSError: if the directory can't be opened.
        """
        self.end: Callable[[], Any] = lambda: None
        self.exclusive = self.released = False
        self.thread = threading.current_thread()
        if fcntl is None:
            return
        handle = os.open(directory, os.O_RDONLY)
        self.end = weakref.finalize(self, os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.end()
            raise
        except OSError:
            pass
        else:
            self.exclusive = True
        _claims.add(self)


_claims: weakref.WeakSet[Claim] = weakref.WeakSet()


def release() -> None:
    """Ends the claims of this thread, and of threads that have ended.

    For the beginning of a training: what the thread trained before is over, if only by an exception that nobody told us
    of, and may be gone on with.
    """
    for claim in list(_claims):
        if claim.thread is threading.current_thread() or not claim.thread.is_alive():
            claim.end()
            claim.released = True


def _release_all() -> None:
    for claim in list(_claims):
        claim.end()


if fcntl is not None:  # a forked child must not hold what its parent has given up
    os.register_at_fork(after_in_child=_release_all)
