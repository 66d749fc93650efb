"""Any X becomes the same rows; rows are recognised; bad data are refused before training."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from sslmemo.data import RowIndex, as_data


class Dataset:
    """The least that counts as a dataset: items are (row, label)."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], 0


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (20, 3, 6, 5), dtype=np.uint8)


def test_every_container_gives_the_same_rows(pixels, tmp_path):
    floats = (pixels / 255).astype(np.float32)
    mapped = np.memmap(tmp_path / "x", np.uint8, "w+", shape=pixels.shape)
    mapped[:] = pixels
    versions = {
        "uint8": as_data(pixels),
        "float": as_data(floats),
        "memmap": as_data(mapped),
        "tensor": as_data(torch.from_numpy(pixels)),
        "last": as_data(np.moveaxis(pixels, 1, -1), channels="last"),
        "flat": as_data(floats.reshape(20, -1), image_shape=(3, 6, 5)),
        "flat last": as_data(
            np.moveaxis(pixels, 1, -1).reshape(20, -1), image_shape=(6, 5, 3), channels="last"
        ),
        "dataset": as_data(Dataset(pixels)),
        "strided": as_data(np.ascontiguousarray(floats[:, :, ::-1])[:, :, ::-1]),
        "list": as_data(floats.tolist()),
    }
    for name, data in versions.items():
        assert data.shape == (3, 6, 5), name
        np.testing.assert_allclose(data.array(np.arange(20)), floats, atol=1e-7, err_msg=name)
    assert versions["uint8"].fingerprint() == versions["last"].fingerprint()


def test_tables_are_standardised_once(table):
    data = as_data(table)
    rows = data.array(np.arange(60))
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-5)
    later = as_data(table[:3], layout=data.layout, reset=False)
    np.testing.assert_array_equal(later.array([0, 1, 2]), rows[:3])


def test_columns_far_from_zero_keep_their_digits():
    X = 1e9 + np.random.default_rng(0).standard_normal((50, 2))
    rows = as_data(X).array(np.arange(50))
    np.testing.assert_allclose(rows, (X - X.mean(0)) / X.std(0), atol=1e-5)


def test_a_constant_column_stays_finite():
    X = np.random.default_rng(0).standard_normal((10, 3))
    X[:, 1] = 5.0
    assert (as_data(X).array(np.arange(10))[:, 1] == 0).all()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames(table, frame):
    columns = {f"c{i}": table[:, i] for i in range(5)}
    assert as_data(frame(columns)).fingerprint() == as_data(table).fingerprint()


def test_rows_are_found_by_content(table):
    data = as_data(table)
    index = RowIndex(data)
    order = np.array([5, 0, 59, 5])
    again = as_data(table[order], layout=data.layout, reset=False)
    assert (index.copy_of[order] == index.find(again)).all()


@pytest.mark.parametrize(("shift", "known"), [(1e-6, True), (1e-2, False)])
def test_nearby_rows_are_the_same_row(table, shift, known):
    data = as_data(table)
    moved = table + shift * table.std(0)
    found = RowIndex(data).find(as_data(moved, layout=data.layout, reset=False))
    expected = RowIndex(data).copy_of if known else np.full(60, -1)
    assert (found == expected).all()


def test_copies_share_a_number(table):
    index = RowIndex(as_data(np.concatenate([table, table[:2]])))
    assert index.duplicates() == 2
    assert index.copy_of[60] == index.copy_of[0] != index.copy_of[1]


def test_negative_zero_is_zero():
    X = np.array([[0.0, 1.0], [2.0, 3.0], [-0.0, 1.0]])
    assert RowIndex(as_data(X, image_shape=None)).duplicates() == 1


RNG = np.random.default_rng(0)
BAD = {
    "nan": (np.array([[1.0, np.nan], [2, 3]]), {}, "NaN"),
    "infinite": (np.array([[1.0, np.inf], [2, 3]]), {}, "inf"),
    "constant": (np.ones((5, 2)), {}, "constant"),
    "empty": (np.empty((0, 3)), {}, "0 sample"),
    "one row": (np.ones((1, 3)), {}, "1 sample"),
    "text": (np.array([["a", "b"], ["c", "d"]]), {}, "text"),
    "ragged": ([[1.0], [2.0, 3.0]], {}, "ragged"),
    "series": (RNG.random((4, 2, 9)), {}, "not supported yet"),
    "above one": (RNG.random((4, 1, 3, 3)) * 255, {}, "divide by 255"),
    "below zero": (RNG.random((4, 1, 3, 3)) - 0.5, {}, r"\[0, 1\]"),
    "image shape": (RNG.random((4, 10)), {"image_shape": (3, 3)}, "holds 9 values"),
    "image sizes": (RNG.random((4, 9)), {"image_shape": (9,)}, "three sizes"),
    "channels": (RNG.random((4, 9)), {"channels": "middle"}, "'first' or 'last'"),
    "five axes": (RNG.random((4, 2, 2, 2, 2)), {}, "must be"),
    "dataset of series": (Dataset(RNG.random((4, 2, 9))), {}, "must be"),
    "dataset with NaN": (Dataset(np.full((4, 2), np.nan)), {}, "NaN"),
    "short dataset": (Dataset(np.zeros((1, 2))), {}, "at least 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_are_refused(case):
    X, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        as_data(X, **options)


def test_rows_of_another_shape_are_refused(table):
    layout = as_data(table).layout
    with pytest.raises(ValueError, match="rows seen in fit"):
        as_data(table[:, :2], layout=layout, reset=False)
