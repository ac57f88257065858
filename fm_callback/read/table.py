"""Columns of equal length."""

from typing import Any

import numpy as np


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
