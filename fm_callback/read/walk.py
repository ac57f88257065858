"""Which directories below a log directory hold logs of feature maps.

No link is followed: what it leads to inside the log directory is found where it is, and what is outside is nobody's
business here.
"""

import os
import stat
import time
from typing import NamedTuple

from fm_callback.format import SUFFIX

#: A directory that was changed so few seconds before it was listed is listed again: its time of change is not finer than
#: that on every file system.
_FRESH = 3.0
#: And so is one after so many seconds: some that are mounted from elsewhere have no time of change.
_STALE = 30.0


class Listing(NamedTuple):
    """What a directory holds.

    Attributes:
        changed: When it was changed, in nanoseconds.
        until: Up to when, in seconds, that time tells that nothing was changed since.
        directories: Names of the directories in it.
        logs: Names of the logs in it.
        links: Names of the links in it to a directory or a log.
    """

    changed: int
    until: float
    directories: tuple[str, ...]
    logs: tuple[str, ...]
    links: tuple[str, ...]


class Walk:
    """Walks below a directory, again and again; lists only the directories that were changed.

    Attributes:
        top: The real path of the directory.
        outside: Paths, relative to it, of links that lead out of it.
        refused: Directories that may not be read, with the reason.
    """

    def __init__(self, top: str | os.PathLike[str]) -> None:
        self._given = os.fspath(top)
        self.top = os.path.realpath(top)
        self.outside: tuple[str, ...] = ()
        self.refused: tuple[tuple[str, str], ...] = ()
        self._known: dict[str, Listing] = {}

    def __call__(self) -> dict[str, tuple[str, ...]]:
        """The names of the logs, by the path of their directory."""
        self.top = os.path.realpath(self._given)  # it may be a link that was turned, or was not there before
        known: dict[str, Listing] = {}
        outside: list[str] = []
        refused: list[tuple[str, str]] = []
        waiting = [self.top]
        while waiting:
            path = waiting.pop()
            try:
                listing = known[path] = self._listing(path)
            except PermissionError as error:
                refused.append((path, error.strerror or str(error)))
                continue
            except OSError:  # gone
                continue
            waiting += [os.path.join(path, name) for name in listing.directories]
            outside += [link for name in listing.links if self._is_outside(link := os.path.join(path, name))]
        self._known = known
        self.outside = tuple(sorted(os.path.relpath(link, self.top) for link in outside))
        self.refused = tuple(sorted(refused))
        return {path: listing.logs for path, listing in known.items() if listing.logs}

    def _listing(self, path: str) -> Listing:
        status = os.stat(path, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(path)
        before, now = self._known.get(path), time.time()
        if before and before.changed == status.st_mtime_ns and now < before.until:
            return before
        until = now + _STALE if now - status.st_mtime > _FRESH else now
        return Listing(status.st_mtime_ns, until, *_entries(path))

    def _is_outside(self, link: str) -> bool:
        target = os.path.realpath(link)
        inside = target == self.top or target.startswith(os.path.join(self.top, ""))
        return not inside and (os.path.isdir(target) or link.endswith(SUFFIX))


def logs_in(directory: str) -> tuple[str, ...]:
    """Names of the logs in a directory, by its real path; none if it can't be read, or a link has its place."""
    try:
        return _entries(directory)[1] if os.path.realpath(directory) == directory else ()
    except OSError:
        return ()


def _entries(path: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    directories, logs, links = [], [], []
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                if entry.is_symlink():
                    links.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                elif entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False):
                    logs.append(entry.name)
            except OSError:
                continue
    return tuple(directories), tuple(logs), tuple(links)
