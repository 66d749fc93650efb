"""A table of scores: columns by name, sorted, sliced and written without pandas."""

from __future__ import annotations

import csv

import numpy as np

__all__ = ["LevelFrame", "ScoreTable", "TableFrame"]


class ScoreTable:
    """Columns of equal length, the first of which is the row's number in X.

    Parameters
    ----------
    columns : dict of str to array-like of shape (n_rows,)
        In the order they are shown.

    Attributes
    ----------
    columns : dict of str to ndarray of shape (n_rows,)
        The same as arrays.

    Examples
    --------
    >>> table = ScoreTable({"row": [0, 1, 2], "score": [0.1, 0.3, 0.2]})
    >>> table.sort("score")[:2]["row"].tolist()
    [1, 2]
    """

    def __init__(self, columns):
        self.columns = {name: np.asarray(values) for name, values in columns.items()}

    @classmethod
    def from_rows(cls, names, rows):
        """Make a table of rows.

        Parameters
        ----------
        names : sequence of str
            Of the columns.
        rows : sequence of sequence
            Entries of each row, in the order of the names.

        Returns
        -------
        ScoreTable
            Its columns are empty where there are no rows.
        """
        columns = zip(*rows, strict=True) if rows else ([] for _ in names)
        return cls(dict(zip(names, columns, strict=True)))

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key):
        """A column by name, as an ndarray; rows by slice, mask or positions, as a ScoreTable."""
        if isinstance(key, str):
            if key not in self.columns:
                raise KeyError(f"no column {key!r}; the columns are {', '.join(self.columns)}.")
            return self.columns[key]
        if isinstance(key, (int, np.integer)):
            key = [key]
        return ScoreTable({name: values[key] for name, values in self.columns.items()})

    def sort(self, by="score", ascending=False):
        """Sort the rows by a column, most memorized first by default.

        Parameters
        ----------
        by : str, default="score"
            Name of the column.
        ascending : bool, default=False
            Whether the lowest comes first.

        Returns
        -------
        ScoreTable
            A sorted copy; NaN comes last either way.

        Raises
        ------
        KeyError
            There is no such column.
        """
        values = self[by]
        if values.dtype.kind not in "fiub":
            order = np.argsort(values, kind="stable")
            return self[order if ascending else order[::-1]]
        return self[np.argsort(values if ascending else -values.astype(float), kind="stable")]

    def with_column(self, name, values, position=1):
        """Add a column, such as labels, by default after the row's number.

        Parameters
        ----------
        name : str
            Name of the column, not one that is there already.
        values : array-like of shape (n_rows,)
            One entry a row.
        position : int, default=1
            How many columns come before it.

        Returns
        -------
        ScoreTable
            A copy with the column.

        Raises
        ------
        ValueError
            `values` has another length.
        """
        values = np.asarray(values)
        if len(values) != len(self):
            raise ValueError(f"column {name!r} has {len(values)} entries for {len(self)} rows.")
        if name in self.columns:
            raise ValueError(f"the table has a column {name!r} already: choose another name.")
        items = list(self.columns.items())
        items.insert(position, (name, values))
        return ScoreTable(dict(items))

    def to_frame(self):
        """Give the table as a pandas DataFrame (extra ``[frame]``).

        Returns
        -------
        pandas.DataFrame
            Indexed from 0.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install sslmemo[frame].") from error
        return pandas.DataFrame(self.columns)

    def to_csv(self, path):
        """Write the table as CSV, with all digits and a line of names.

        Parameters
        ----------
        path : str or path
            File to write, in a folder that exists; one that is there is replaced.
        """
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


class TableFrame:
    """DataFrame of a result that has a `table` without parameters."""

    def to_frame(self):
        """Give `table` as a pandas DataFrame (extra ``[frame]``).

        Returns
        -------
        pandas.DataFrame
            The columns of `table`, indexed from 0.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        return self.table().to_frame()


class LevelFrame:
    """DataFrame of a result whose `table` takes a confidence level."""

    def to_frame(self, level=0.95):
        """Give `table` as a pandas DataFrame (extra ``[frame]``).

        Parameters
        ----------
        level : float, default=0.95
            As in `table`.

        Returns
        -------
        pandas.DataFrame
            The columns of `table`, indexed from 0.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        return self.table(level).to_frame()
