"""Ways to tell the user something, which can't hurt the training."""

import contextlib

from fm_callback.capture.warn import warn


def say(text: str, end: str = "\n") -> None:
    """Prints, and lets no trouble with it reach the training: a terminal without these letters, or one that is gone."""
    with contextlib.suppress(OSError, ValueError):
        try:
            print(text, end=end, flush=True)
        except UnicodeEncodeError:
            print(text.encode("ascii", "backslashreplace").decode(), end=end, flush=True)


def warn_or_say(message: str) -> None:
    """Gives a warning; where warnings are errors, prints it."""
    try:
        warn(message)
    except RuntimeWarning:
        say(message)
