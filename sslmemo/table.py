"""A table of scores: columns by name, sorted, sliced and written without pandas."""

from __future__ import annotations

import csv

import numpy as np

__all__ = ["ScoreTable"]


class ScoreTable:
    """Columns of equal length, the first of which is the row's number in X.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n_rows,)
        In the order they are shown.

    Examples
    --------
    >>> table = ScoreTable({"row": [0, 1, 2], "score": [0.1, 0.3, 0.2]})
    >>> table.sort("score")[:2]["row"].tolist()
    [1, 2]
    """

    def __init__(self, columns):
        self.columns = {name: np.asarray(values) for name, values in columns.items()}

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key):
        """A column by name; rows by slice, mask or positions."""
        if isinstance(key, str):
            if key not in self.columns:
                raise KeyError(f"no column {key!r}; the columns are {', '.join(self.columns)}.")
            return self.columns[key]
        return ScoreTable({name: values[key] for name, values in self.columns.items()})

    def sort(self, by="score", ascending=False):
        """Rows in the order of a column, most memorized first by default; NaN last."""
        values = self[by]
        if values.dtype.kind not in "fiub":
            order = np.argsort(values, kind="stable")
            return self[order if ascending else order[::-1]]
        return self[np.argsort(values if ascending else -values.astype(float), kind="stable")]

    def with_column(self, name, values, position=1):
        """The table with one more column, such as labels, after the row's number."""
        values = np.asarray(values)
        if len(values) != len(self):
            raise ValueError(f"column {name!r} has {len(values)} entries for {len(self)} rows.")
        items = list(self.columns.items())
        items.insert(position, (name, values))
        return ScoreTable(dict(items))

    def to_frame(self):
        """As a pandas DataFrame (extra ``[frame]``), indexed from 0."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install sslmemo[frame].") from error
        return pandas.DataFrame(self.columns)

    def to_csv(self, path):
        """Write as CSV with all digits."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            writer.writerows(zip(*(v.tolist() for v in self.columns.values()), strict=True))

    def __repr__(self):
        shown = min(len(self), 10)
        cells = [[name, *(_cell(v) for v in c[:shown])] for name, c in self.columns.items()]
        widths = [max(map(len, column)) for column in cells]
        lines = [
            "  ".join(column[i].rjust(w) for column, w in zip(cells, widths, strict=True))
            for i in range(shown + 1)
        ]
        more = [f"... {len(self)} rows"] if len(self) > shown else []
        return "\n".join(lines + more)


def _cell(value):
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
