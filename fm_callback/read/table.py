"""Columns of equal length."""

from typing import Any

import numpy as np

from fm_callback.format import printable

#: So many rows are written out, half of them from the beginning; so wide is a line at most.
_ROWS, _WIDTH = 20, 120


class Table(dict[str, np.ndarray]):
    """Numbers by the names of their columns, in order; a pandas DataFrame by `to_pandas`."""

    def to_pandas(self) -> Any:
        """The same as a `pandas.DataFrame`.

        Raises:
            ImportError: if pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: `pip install pandas`, or use the columns as they are") from error
        return pandas.DataFrame(self)

    def __repr__(self) -> str:
        """A table to be read: the first rows and the last, the columns that fit a line, and what is left out."""
        rows = len(next(iter(self.values()), ()))
        half = _ROWS // 2
        shown = [*range(rows)] if rows <= _ROWS else [*range(half), None, *range(rows - half, rows)]
        columns: list[list[str]] = []
        width = 0
        for name, values in self.items():
            texts = [printable(name), *("..." if at is None else _text(values[at]) for at in shown)]
            wide = max(map(len, texts))
            if columns and width + wide > _WIDTH:
                break
            width += wide + 2
            left = values.dtype == object
            columns.append([each.ljust(wide) if left else each.rjust(wide) for each in texts])
        lines = ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]
        more = list(self)[len(columns) :]
        lines += [printable(f"and the columns {', '.join(more)}")] if more else []
        return "\n".join([*lines, f"{rows:,} row{'' if rows == 1 else 's'}, {len(self)} columns"])


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, np.floating) else printable(str(value))
