"""What is said when there is nothing by a name."""

import difflib
from typing import Any

#: So many names are listed by a message.
_MOST = 30


class UnknownError(KeyError):
    """There is nothing by that name; the message says what there is."""

    def __str__(self) -> str:
        return str(self.args[0])


def unknown(what: str, key: Any, names: list[str], where: str) -> UnknownError:
    """The error that says what there is, and what was meant."""
    near = difflib.get_close_matches(key, names, n=1) if isinstance(key, str) and len(key) < 1000 else []
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return UnknownError(f"{where} has no {what} {key!r}{hint} It has {len(names)}: {listing(names)}")


def listing(names: list[str]) -> str:
    """The names, if they are not too many."""
    return ", ".join(names[:_MOST]) + (f", ... ({len(names) - _MOST} more)" if len(names) > _MOST else "")
