"""Holds back what TensorFlow's C++ code writes while it loads."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the process's standard error to itself, and gives it back only if the block raises.

    TensorFlow reports at import which instructions and drivers it found, before TF_CPP_MIN_LOG_LEVEL is heeded and past
    Python's `sys.stderr`; a reader takes these lines for errors. Hence the file descriptor is turned away.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # for what it writes later
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
