"""The command line: what files become, what is refused and how, and a run from end to end."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import sslmemo
from sslmemo import MemorizationEstimator
from sslmemo.cli import main
from sslmemo.cli.arguments import OPTION_OF, build_parser, in_options
from sslmemo.cli.rows import read
from sslmemo.designs import Subsample
from sslmemo.folders import UnreadableError, read_folder
from sslmemo.protocols import TrainingError

FAST = ["--encoders", "8", "--epochs", "1", "--jobs", "1"]


def picture(folder, name, pixels, **options):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def images(tmp_path, digits):
    """24 digits as 8 x 8 PNGs in class folders."""
    X, y = digits
    for i in range(24):
        pixels = np.round(X[i, 0] * 255).astype(np.uint8)
        picture(tmp_path / "images", f"{y[i]}/{i:02d}.png", pixels)
    return tmp_path / "images"


def rows_of(*argv):
    return read(build_parser().parse_args(["score", *map(str, argv), "--quiet"]))


def run(*argv):
    return main([str(a) for a in argv])


# images


def test_a_folder_is_its_pixels_and_classes(tmp_path):
    for name, seed in (("b/2.png", 2), ("a/1.png", 1), ("a/deep/3.PNG", 3)):
        picture(tmp_path, name, noise(5, 7, 3, seed=seed))
    found = read_folder(tmp_path)
    assert found.names == ["a/1.png", "a/deep/3.PNG", "b/2.png"]
    assert found.y.tolist() == ["a", "a", "b"]
    assert found.X.shape == (3, 3, 5, 7)
    assert found.X.dtype == np.uint8
    np.testing.assert_array_equal(found.X[0], np.moveaxis(noise(5, 7, 3, seed=1), -1, 0))
    assert found.notes == ()


def test_loose_images_have_no_class_unless_others_do(tmp_path):
    picture(tmp_path, "1.png", noise(4, 4))
    assert read_folder(tmp_path).y is None
    picture(tmp_path, "cat/2.png", noise(4, 4))
    assert read_folder(tmp_path).y.tolist() == ["(none)", "cat"]
    assert read_folder(tmp_path).notes == (
        "1 image lies beside the folders of classes: its class is '(none)'",
    )
    assert read_folder(tmp_path, classes=["(none)"]).names == ["1.png"]


def test_grey_images_have_one_channel_however_they_are_stored(tmp_path):
    grey = noise(4, 4)
    picture(tmp_path, "1.png", grey)
    picture(tmp_path, "2.png", np.repeat(grey[..., None], 3, 2))
    picture(tmp_path, "3.png", Image.fromarray(grey).convert("P"))
    X = read_folder(tmp_path).X
    assert X.shape == (3, 1, 4, 4)
    for image in X:
        np.testing.assert_array_equal(image[0], grey)
    picture(tmp_path, "4.png", noise(4, 4, 3))
    found = read_folder(tmp_path)
    assert [note[:28] for note in found.notes] == ["1 of 4 images has colours, s"]
    assert "--grey" in found.notes[0]
    assert read_folder(tmp_path, grey=True).notes == ()
    X = found.X
    assert X.shape == (4, 3, 4, 4)
    np.testing.assert_array_equal(X[0], np.stack([grey] * 3))
    assert read_folder(tmp_path, grey=True).X.shape == (4, 1, 4, 4)


def test_transparency_is_laid_on_white(tmp_path):
    pixels = np.full((2, 2, 4), 100, np.uint8)
    pixels[..., 3] = [[0, 255], [51, 255]]
    picture(tmp_path, "1.png", pixels)
    found = read_folder(tmp_path)
    assert found.X[0, 0].tolist() == [[255, 100], [round(0.2 * 100 + 0.8 * 255), 100]]
    assert found.notes == ("1 image is transparent in places: it was laid on white",)
    picture(tmp_path, "2.png", pixels)
    notes = read_folder(tmp_path).notes
    assert notes == ("2 images are transparent in places: they were laid on white",)
    (tmp_path / "2.png").unlink()
    pixels[..., 3] = 255
    picture(tmp_path, "1.png", pixels)
    assert read_folder(tmp_path).notes == ()


def test_a_palette_becomes_its_colours(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    picture(tmp_path, "1.gif", image)
    assert read_folder(tmp_path).X[0, :, 0].tolist() == [[255, 0], [0, 0], [0, 255]]


def test_sixteen_bits_are_kept(tmp_path):
    deep = np.array([[0, 300], [40000, 65535]], np.uint16)
    picture(tmp_path, "1.png", deep)
    picture(tmp_path, "2.tif", deep)
    picture(tmp_path, "3.png", np.full((2, 2), 51, np.uint8))
    X = read_folder(tmp_path).X
    assert X.dtype == np.float32
    np.testing.assert_allclose(X[0, 0], deep / 65535, rtol=1e-6)
    np.testing.assert_array_equal(X[0], X[1])
    np.testing.assert_allclose(X[2], 0.2, rtol=1e-6)


def test_orientation_of_a_camera_is_applied(tmp_path):
    wide = np.zeros((16, 32), np.uint8)
    wide[:, :8] = 255  # bright on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: left comes to the top
    picture(tmp_path, "1.jpg", wide, exif=exif)
    X = read_folder(tmp_path).X
    assert X.shape == (1, 1, 32, 16)
    assert X[0, 0, :6].min() > 200
    assert X[0, 0, 10:].max() < 50


def test_sizes_that_differ_become_one_about_the_centre(tmp_path):
    wide = np.zeros((40, 120), np.uint8)
    wide[:, 40:80] = 200  # the square in the middle
    picture(tmp_path, "1.png", wide)
    picture(tmp_path, "2.png", np.full((10, 10), 9, np.uint8))
    found = read_folder(tmp_path)
    assert found.X.shape == (2, 1, 32, 32)
    assert "32 x 32" in found.notes[0]
    assert (found.X[0, 0, 2:-2, 2:-2] == 200).all()
    assert found.X[0].min() > 190
    assert (found.X[1] == 9).all()
    found = read_folder(tmp_path, size=6)
    assert found.X.shape == (2, 1, 6, 6)
    assert found.notes == ()


def test_large_images_are_cut_down_unless_asked_for(tmp_path):
    picture(tmp_path, "1.png", noise(4, 300))
    assert read_folder(tmp_path).X.shape[2:] == (32, 32)
    picture(tmp_path, "1.png", noise(4, 256))
    assert read_folder(tmp_path).X.shape[2:] == (4, 256)


def test_hidden_and_other_files_are_left_alone(tmp_path):
    picture(tmp_path, "1.png", noise(4, 4))
    (tmp_path / "._1.png").write_bytes(b"resource fork")
    (tmp_path / ".cache").mkdir()
    picture(tmp_path, ".cache/9.png", noise(4, 4))
    (tmp_path / "labels.txt").write_text("cat")
    found = read_folder(tmp_path)
    assert found.names == ["1.png"]
    assert found.notes == ("1 other file was left alone (1 .txt)",)


def test_a_link_that_leads_back_ends(tmp_path):
    picture(tmp_path, "a/1.png", noise(4, 4))
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert read_folder(tmp_path).names == ["a/1.png"]


def test_bad_files_are_all_listed_and_left_out_on_demand(tmp_path, capsys):
    good = picture(tmp_path, "good.png", noise(8, 8))
    for i in range(12):
        (tmp_path / f"bad{i:02d}.png").write_bytes(good.read_bytes()[:60] if i else b"")
    with pytest.raises(UnreadableError, match="12 of 13 images can't be read") as caught:
        read_folder(tmp_path)
    assert [name for name, _ in caught.value.bad] == [f"bad{i:02d}.png" for i in range(12)]
    said = str(caught.value)
    assert "bad09.png: " in said
    assert "bad10.png" not in said
    assert said.endswith("and 2 more")
    assert str(tmp_path) not in said
    found = read_folder(tmp_path, skip_bad=True)
    assert found.names == ["good.png"]
    assert found.notes == ("12 of 13 images can't be read and were left out",)
    assert run("cost", tmp_path) == 2
    assert "leave them out by --skip-bad" in capsys.readouterr().err
    good.unlink()
    with pytest.raises(UnreadableError, match="12 of 12"):  # nothing is left to score
        read_folder(tmp_path, skip_bad=True)


def test_float_images_must_lie_in_the_unit_range(tmp_path):
    picture(tmp_path, "1.tif", np.array([[0, 0.5], [1, 0.25]], np.float32))
    assert read_folder(tmp_path).X[0, 0].tolist() == [[0, 0.5], [1, 0.25]]
    picture(tmp_path, "2.tif", np.array([[0, 7], [1, np.nan]], np.float32))
    with pytest.raises(UnreadableError, match="2.tif: values from"):
        read_folder(tmp_path)


def test_classes_are_chosen_before_files_are_read(tmp_path):
    picture(tmp_path, "a/1.png", noise(4, 4))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "broken.png").write_bytes(b"")
    assert read_folder(tmp_path, classes=["a"]).names == ["a/1.png"]
    with pytest.raises(ValueError, match="no class 'c'; the classes are a, b"):
        read_folder(tmp_path, classes=["c"])


# tables and arrays


def test_a_csv_is_its_columns_of_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\ufeffname;age; kind ;height\nann;3;x;1.5\nbob;4;y;-2e1\n", encoding="utf-8")
    rows = rows_of(path, "--label", "kind")
    assert rows.X.tolist() == [[3, 1.5], [4, -20]]
    assert rows.y.tolist() == ["x", "y"]
    assert rows.origin == {"line": [2, 3]}
    assert "name" in rows.notes[0]
    rows = rows_of(path, "--label", "kind", "--classes", "y")
    assert rows.X.tolist() == [[4, -20]]
    assert rows.origin == {"line": [3]}


def test_faulty_lines_of_a_csv_are_listed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,\n5,6,7\n8,inf\n9,ten\n11,12\n")
    with pytest.raises(UnreadableError) as caught:
        rows_of(path)
    assert [name for name, _ in caught.value.bad] == ["line 3", "line 4", "line 5", "line 6"]
    rows = rows_of(path, "--skip-bad")
    assert rows.X.tolist() == [[1, 2], [11, 12]]
    assert rows.origin == {"line": [2, 7]}
    path.write_text("a,b\n1,2\n3,\n11,12\n")
    assert rows_of(path, "--skip-bad").notes == ["1 of 3 lines can't be read and was left out"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3,4\n", "first line must name"),
        ("a,b\n", "no rows"),
        ("", "no rows"),
        ("a,a\n1,2\n", "several columns 'a'"),
        ("a,b\nx,y\n", "no column of numbers"),
    ],
)
def test_a_csv_without_sense_is_refused(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        rows_of(tmp_path / "t.csv")


def test_an_npz_is_its_arrays(tmp_path):
    path, table = tmp_path / "t.npz", np.arange(12.0).reshape(6, 2)
    np.savez(path, other=np.zeros(3), X=table, y=[0, 0, 1, 1, 2, 2])
    rows = rows_of(path, "--classes", "1", "2")
    assert rows.X.tolist() == table[2:].tolist()
    assert rows.y.tolist() == [1, 1, 2, 2]
    np.savez(path, first=noise(6, 8, 9))
    assert rows_of(path).X.shape == (6, 1, 8, 9)
    np.savez(path, noise(6, 8, 9, 3).astype(np.int64))
    rows = rows_of(path)
    assert rows.X.shape == (6, 3, 8, 9)
    assert rows.X.dtype == np.uint8
    np.savez(path, X=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="can't be read") as caught:
        rows_of(path)
    assert "pickle" not in str(caught.value)  # never advised: it runs what the file says
    assert not str(caught.value).endswith("..")
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match="it is no .npz of NumPy, or a damaged one"):
        rows_of(path)
    with open(path, "wb") as file:
        np.save(file, table)
    with pytest.raises(ValueError, match="it is no .npz of NumPy"):
        rows_of(path)


# commands


def test_scores_are_those_of_the_library(images, tmp_path, capsys):
    out = tmp_path / "s.csv"
    assert run("score", images, "--out", out, *FAST, "--top", "3", "--seed", "5") == 0
    found = read_folder(images)
    est = MemorizationEstimator(
        design=Subsample(0.25), n_encoders=8, epochs=1, random_state=5, verbose=0
    ).fit(found.X, found.y)
    with open(out, newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["file"] for line in lines] == found.names
    assert [line["class"] for line in lines] == found.y.tolist()
    np.testing.assert_array_equal([float(x["score"]) for x in lines], est.memorization_scores_)
    np.testing.assert_array_equal(
        [float(x["top_k_probability"]) for x in lines],
        est.result_.table(top_k=3)["top_k_probability"],
    )
    said = capsys.readouterr()
    assert said.out.startswith(est.result_.summary())
    assert "The 3 most memorized" in said.out
    assert "training encoders" in said.err
    assert "1 x 8 x 8" in said.err
    best = lines[int(np.argmax(est.memorization_scores_))]["file"]
    assert said.out.partition("top_k_probability\n")[2].startswith(best)


def test_cost_is_told_and_nothing_written(images, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("cost", images, *FAST) == 0
    assert "8 encoders in 2 blocks on 1 process: about" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["images"]


def test_quiet_says_nothing(images, tmp_path, capsys):
    path = tmp_path / "t.csv"
    rng = np.random.default_rng(0)
    path.write_text("a,b\n" + "\n".join(f"{a},{b}" for a, b in rng.normal(size=(24, 2))))
    assert run("score", path, "--out", tmp_path / "s.csv", *FAST, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "s.csv").read_text().startswith("row,line,score,")


def test_memory_keeps_what_was_trained(images, tmp_path, capsys):
    few = [*FAST, "--memory", tmp_path / "memory"]
    assert run("score", images, "--out", tmp_path / "1.csv", *few) == 0
    assert capsys.readouterr().err.count("training encoders") >= 1
    assert run("score", images, "--out", tmp_path / "2.csv", *few) == 0
    assert "training encoders" not in capsys.readouterr().err  # nor a bar that is full at once
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["missing"], "there is no file or folder 'missing'"),
        (["empty"], "no image in 'empty': it is empty"),
        (["texts"], "it holds other files (1 .txt)"),
        (["texts/a.txt"], "neither a folder nor"),
        (["images", "--out", "none/s.csv"], "there is no folder 'none'"),
        (["images", "--out", "there.csv"], "'there.csv' is there already: --force"),
        (["images", "--out", "texts"], "'texts' is a folder"),
        (["images", "--report", "scores.csv"], "name one file"),
        (["images", "--encoders", "6"], "--encoders=6 is no multiple"),
        (["images", "--method", "simcrl"], "--method='simcrl' is unknown. Did you mean 'simclr'"),
        (["images", "--encoder", "net"], "--encoder='net' is unknown"),
        (["images", "--seed", "-1"], "--seed"),
        (["images", "--memory", "there.csv"], "--memory 'there.csv' is a file: name a folder."),
        (["images", "--report", "r.pdf"], "--report writes HTML: let 'r.pdf' end with .html."),
        (["images", "--encoders", "8", "--until-reliability", ".8"],
         "--until-reliability looks first after 4 blocks, but --encoders=8 are 2 blocks of the "
         "subsample design: raise --encoders."),
        (["images", "--top", "25"], "--top must be at most"),
        (["images", "--until-reliability", "1.5"], "--until-reliability"),
        (["images", "--label", "kind"], "--label is for a .csv"),
        (["images", "--classes", "cat"], "no class 'cat'"),
        (["t.npz", "--size", "8"], "--size is for a folder"),
        (["t.npz", "--skip-bad"], "--skip-bad is for"),
        (["t.npz", "--classes", "1"], "--classes needs classes"),
        (["one"], "1 row, and at least 8 are needed with --design 0.25"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_two(argv, said, images, monkeypatch, capsys):
    monkeypatch.chdir(images.parent)
    for name in ("empty", "texts"):
        os.mkdir(name)
    with open("texts/a.txt", "w") as text, open("there.csv", "w"):
        text.write("a")
    np.savez("t.npz", np.zeros((4, 2)))
    picture(images.parent / "one", "1.png", noise(8, 8))
    assert run("score", *argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("sslmemo: error: ") == 1
    assert said in err
    for python in ("Traceback", "n_encoders", "stop_when", "Errno"):
        assert python not in err
    assert not os.path.exists("scores.csv")


@pytest.mark.parametrize("argv", [[], ["score"], ["score", "x", "--size", "0"], ["judge", "x"],
                                  ["score", "x", "--design", "2"], ["cost", "x", "--out", "y"]])  # fmt: skip
def test_a_wrong_command_line_ends_with_two(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--epochs", "-3", "must be a number above 0, got -3\n"),
        ("--epochs", "nan", "must be a number above 0, got nan\n"),
        ("--epochs", "many", "must be a number above 0, got many\n"),
        ("--jobs", "0", "must not be 0: 1 is one process, -1 all cores"),
        ("--jobs", "two", "invalid whole number value: 'two'"),
    ],
)
def test_a_wrong_number_is_named_as_it_was_typed(option, value, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["score", "x", option, value])
    assert stop.value.code == 2
    assert f"argument {option}: {said}" in capsys.readouterr().err


def test_messages_speak_of_options_alone():
    assert in_options("memory='m' can't be written: [Errno 28] No space left") == (
        "--memory='m' can't be written: No space left"
    )
    assert in_options("copies go together. Pass groups= to decide.") == "copies go together."
    for kept in (
        "images of one size. The method",
        "several columns 'top_k': rename",
        "top_k_probability",
    ):
        assert in_options(kept) == kept


def test_columns_that_one_block_cannot_fill_are_left_out(images, tmp_path, capsys):
    few = ["--encoders", "4", "--epochs", "1", "--jobs", "1"]
    assert run("score", images, "--out", tmp_path / "s.csv", *few) == 0
    out = capsys.readouterr().out
    table = out[out.index("most memorized row") :]
    assert "nan" not in table
    assert table.splitlines()[1].split() == ["file", "class", "score"]
    assert "Unknown from one block of encoders: standard_error, posterior_low" in table
    assert "standard_error" in (tmp_path / "s.csv").read_text().splitlines()[0]


def test_measurements_as_labels_make_no_classes_of_the_report(tmp_path, capsys):
    path, report = tmp_path / "t.csv", tmp_path / "r.html"
    rng = np.random.default_rng(0)
    lines = [f"{a},{b},{c}" for a, b, c in rng.normal(size=(30, 3))]
    path.write_text("a,b,age\n" + "\n".join(lines))
    argv = ["score", path, "--label", "age", "--out", tmp_path / "s.csv", "--report", report]
    assert run(*argv, *FAST) == 0
    err = capsys.readouterr().err
    assert "note: 30 classes of 30 rows group nothing: the report shows none" in err
    assert "warning: the y of fit" not in err
    assert 'id="classes"' not in report.read_text(encoding="utf-8")


def test_a_report_is_written(images, tmp_path, capsys):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    os.rename(images / "0", images / "<b>zero")
    report = tmp_path / "r.html"
    assert run("score", images, "--out", tmp_path / "s.csv", "--report", report, *FAST) == 0
    page = report.read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "images" in page
    assert "zero" in page
    assert "<b>zero" not in page
    assert "r.html: open it in a browser" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_a_report_that_cannot_be_made_is_told_first(missing, images, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    argv = ["score", images, "--out", tmp_path / "s.csv", "--report", tmp_path / "r.html"]
    assert run(*argv) == 1
    err = capsys.readouterr().err
    assert f"--report needs {missing}" in err
    assert 'pip install "sslmemo[report]"' in err
    assert not (tmp_path / "s.csv").exists()


def test_force_replaces(images, tmp_path):
    (tmp_path / "s.csv").write_text("old")
    assert run("score", images, "--out", tmp_path / "s.csv", *FAST, "--quiet", "--force") == 0
    assert (tmp_path / "s.csv").read_text().startswith("row,file,class,score")


def test_a_failed_training_ends_with_one(images, tmp_path, monkeypatch, capsys):
    def fit(self, X, y=None):
        raise TrainingError("loss is not finite: lower epochs=1")

    monkeypatch.setattr(MemorizationEstimator, "fit", fit)
    assert run("score", images, "--out", tmp_path / "s.csv") == 1
    assert "sslmemo: failed: loss is not finite: lower --epochs=1" in capsys.readouterr().err


def test_warnings_are_lines(tmp_path, capsys):
    same = noise(8, 8)
    for i in range(16):
        picture(tmp_path / "i", f"{i}.png", same if i < 2 else noise(8, 8, seed=i))
    assert run("score", tmp_path / "i", "--out", tmp_path / "s.csv", *FAST, "--quiet") == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("warning: ") for line in lines)
    assert any("copies" in line or "copy" in line for line in lines)
    assert not any("groups=" in line for line in lines)


def test_every_renamed_parameter_has_its_option():
    sub = build_parser()._subparsers._group_actions[0].choices["score"]
    known = {option for action in sub._actions for option in action.option_strings}
    assert set(OPTION_OF.values()) <= known


def test_without_pillow_the_extra_is_named(images, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert run("score", images) == 1
    assert 'pip install "sslmemo[report]"' in capsys.readouterr().err


def test_the_module_runs_and_says_its_version():
    slow = "import sys; sys.argv[1:] = ['--version']\n"
    slow += "import runpy\ntry: runpy.run_module('sslmemo', run_name='__main__')\n"
    slow += "except SystemExit as stop: assert stop.code == 0\n"
    slow += "assert not {'torch', 'sklearn', 'PIL', 'numpy'} & set(sys.modules), 'not lazy'"
    done = subprocess.run([sys.executable, "-c", slow], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"sslmemo {sslmemo.__version__}\n"


def test_interrupted_and_gone_on(images, tmp_path):
    memory, out = tmp_path / "memory", tmp_path / "s.csv"
    argv = [sys.executable, "-m", "sslmemo", "score", str(images), "--out", str(out), "--jobs", "1"]
    argv += ["--memory", str(memory), "--encoders", "4000", "--epochs", "1"]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (memory.is_dir() and len(list(memory.rglob("*"))) > 4):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not out.exists()
    assert "blocks are finished" in err
    assert err.rstrip().endswith("finished blocks are in --memory.")
