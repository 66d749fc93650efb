"""What a file or folder named on the command line holds: rows, classes and where each row is from."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..folders import UnreadableError, left_out_note, read_folder

__all__ = ["Rows", "read"]

LISTED = 10
DELIMITERS = ",;\t"
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Rows:
    """Rows to score.

    Attributes
    ----------
    X : ndarray of shape (n, d) or (n, c, h, w)
        The rows; images of uint8, or floats in [0, 1].
    y : ndarray of shape (n,) or None
        Classes.
    origin : dict of str to list
        At most one column that tells where each row is from: file or line.
    notes : list of str
        What was done that a reader should know.
    """

    X: np.ndarray
    y: np.ndarray | None
    origin: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


def read(args):
    """Read DATA as the options say.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command line.

    Returns
    -------
    Rows

    Raises
    ------
    FileNotFoundError
        There is no such file or folder.
    ValueError
        It can't be read, holds no rows, or an option does not suit it.
    """
    path = Path(args.data)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {args.data!r}.")
    kind = "folder" if path.is_dir() else path.suffix.lower()
    if kind not in ("folder", ".npz", ".csv"):
        raise ValueError(f"{args.data!r} is neither a folder nor a .npz nor a .csv file.")
    _check_options(args, kind)
    if kind == "folder":
        found = read_folder(
            path, size=args.size, grey=args.grey, classes=args.classes, skip_bad=args.skip_bad,
            verbose=not args.quiet,
        )  # fmt: skip
        return Rows(found.X, found.y, {"file": found.names}, list(found.notes))
    rows = _read_npz(path) if kind == ".npz" else _read_csv(path, args.label, args.skip_bad)
    return rows if args.classes is None else _of_classes(rows, args.classes)


def _check_options(args, kind):
    """Refuse options that DATA has no use for, rather than take no notice of them."""
    of_images = [o for o, given in (("--size", args.size), ("--grey", args.grey)) if given]
    if of_images and kind != "folder":
        raise ValueError(f"{of_images[0]} is for a folder of images; {args.data!r} is none.")
    if args.label is not None and kind != ".csv":
        raise ValueError(f"--label is for a .csv; {args.data!r} is none.")
    if args.skip_bad and kind == ".npz":
        raise ValueError("--skip-bad is for images and lines of a .csv, not for a .npz.")


def _of_classes(rows, classes):
    """The rows of some classes."""
    if rows.y is None:
        raise ValueError("--classes needs classes: an array y in a .npz, or --label for a .csv.")
    labels = np.array([str(label) for label in rows.y])
    known = list(dict.fromkeys(labels.tolist()))
    for wanted in classes:
        if wanted not in known:
            some = ", ".join(known[:LISTED]) + ", ..." * (len(known) > LISTED)
            raise ValueError(f"there is no class {wanted!r}; the classes are {some}.")
    keep = np.flatnonzero(np.isin(labels, classes))
    origin = {name: [values[i] for i in keep] for name, values in rows.origin.items()}
    return Rows(rows.X[keep], rows.y[keep], origin, rows.notes)


def _read_npz(path):
    """Arrays X and y, or the first array."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{str(path)!r} can't be read: it is no .npz of NumPy, or a damaged one.")
    try:
        with np.load(path, allow_pickle=False) as file:
            if not file.files:
                raise ValueError("it holds no array")
            name = "X" if "X" in file.files else file.files[0]
            X = file[name]
            y = file["y"] if "y" in file.files and name != "y" else None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        why = str(error).rstrip(".")
        if "pickle" in why:  # NumPy's own words advise to load it all the same, which runs its code
            why = "they hold Python objects: save them as numbers, and classes as numbers or texts"
        raise ValueError(f"{str(path)!r} can't be read as arrays of numbers: {why}.") from error
    notes = [] if name == "X" else [f"the array {name!r} was read: there is none named X"]
    if X.ndim == 3:
        X = X[:, None]
        notes.append("a 3-dimensional array was read as grey images (n, height, width)")
    elif X.ndim == 4 and X.shape[1] not in CHANNELS and X.shape[3] in CHANNELS:
        X = np.moveaxis(X, -1, 1)
        notes.append("images were read as (n, height, width, channels)")
    elif X.ndim not in (2, 4):
        raise ValueError(f"{name} has shape {X.shape}: rows are (n, columns) or images.")
    if X.ndim == 4 and X.dtype.kind in "iu" and X.size and X.min() >= 0 and X.max() <= 255:
        X = X.astype(np.uint8)
    if y is not None and y.shape != (len(X),):
        raise ValueError(f"y has shape {y.shape} for {len(X)} rows: it must hold one class a row.")
    return Rows(X, y, notes=notes)


def _read_csv(path, label, skip_bad):
    """Columns of numbers; lines with a gap in one are bad."""
    names, lines, numbers = _cells(path)
    if label is not None and label not in names:
        raise ValueError(f"--label {label!r} is no column of {str(path)!r}: {', '.join(names)}.")
    width = len(names)
    whole = [line for line in lines if len(line) == width]
    used = [i for i, name in enumerate(names) if name != label and _is_numeric(whole, i)]
    left_out = [name for i, name in enumerate(names) if i not in used and name != label]
    if not used:
        raise ValueError(f"{str(path)!r} has no column of numbers: {', '.join(names)}.")
    bad, good, X = [], [], []
    where = names.index(label) if label is not None else None
    for number, line in zip(numbers, lines, strict=True):
        why = _fault(line, names, used, where)
        if why is None:
            good.append((number, line))
            X.append([float(line[i]) for i in used])
        else:
            bad.append((f"line {number}", why))
    if bad and not (skip_bad and good):
        raise UnreadableError(f"lines of {str(path)!r}", bad, len(lines))
    notes = [f"columns left out, for they hold no numbers: {', '.join(left_out)}"] * bool(left_out)
    notes += [left_out_note(len(bad), len(lines), "lines")] * bool(bad)
    y = None if where is None else np.array([line[where].strip() for _, line in good])
    return Rows(np.array(X), y, {"line": [number for number, _ in good]}, notes)


def _cells(path):
    """Names of the columns, the lines as cells, and the number of each in the file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            delimiter = max(DELIMITERS, key=head.count)
            reader = csv.reader(file, delimiter=delimiter)
            names = [name.strip() for name in next(reader, [])]
            read = [(reader.line_num, line) for line in reader if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{str(path)!r} is no CSV text in UTF-8: {error}.") from error
    if not read:
        raise ValueError(f"{str(path)!r} holds no rows below a line of names.")
    if all(_number(name) is not None for name in names):
        raise ValueError(
            f"{str(path)!r} begins with numbers: its first line must name the columns."
        )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"{str(path)!r} has several columns {twice[0]!r}: rename them.")
    return names, [line for _, line in read], [number for number, _ in read]


def _is_numeric(lines, i):
    """Whether a column is one of numbers: most cells are, so that text among them is a fault."""
    filled = [line[i] for line in lines if line[i].strip()]
    return sum(_number(cell) is not None for cell in filled) > len(filled) / 2


def _number(cell):
    try:
        return float(cell)
    except ValueError:
        return None


def _fault(line, names, used, where):
    """What is wrong with a line, or None."""
    if len(line) != len(names):
        return f"{len(line)} cells for {len(names)} columns"
    for i in used:
        if not line[i].strip():
            return f"column {names[i]!r} is empty"
        number = _number(line[i])
        if number is None or not np.isfinite(number):
            return f"column {names[i]!r} holds {line[i].strip()}"
    if where is not None and not line[where].strip():
        return f"column {names[where]!r} is empty"
    return None
