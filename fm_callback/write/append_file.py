"""A file that grows by whole pieces."""

import contextlib
import os
from pathlib import Path


class AppendFile:
    """A file that is being written: each piece whole or absent, on disk when `append` returns.

    Attributes:
        path: The file. It keeps its name: some systems refuse to rename an open file, some any.
    """

    def __init__(self, path: Path) -> None:
        """Creates the file.

        Raises:
            OSError: if it can't be created, or is there already.
        """
        self.path = path
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115
        self._size = 0

    def reopen(self) -> None:
        """Opens the file again after `close`, to go on where it ends.

        Raises:
            OSError: if it can't be opened, or is not as it was left.
        """
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)), "ab", 0)
        if os.fstat(self._file.fileno()).st_size != self._size:
            self.close()
            raise OSError(f"the file has changed: {self.path}")

    def append(self, piece: bytes) -> int:
        """Appends a piece; returns its length.

        Raises:
            OSError: if it could not be written whole or the file is no longer there. The file then ends with the last
                whole piece, as far as the file system allows, and is closed.
        """
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
            if os.fstat(self._file.fileno()).st_nlink == 0:
                raise FileNotFoundError(f"the file is no longer there: {self.path}")
        except OSError:
            # A cut record followed by good ones would hide them from TensorBoard's readers.
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            with contextlib.suppress(OSError):
                self.close()
            raise
        self._size += len(piece)
        return len(piece)

    def close(self) -> None:
        """Closes the file.

        Raises:
            OSError: if the system says only now that something was not written.
        """
        self._file.close()

    def remove(self) -> None:
        """Closes the file and deletes it."""
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()
