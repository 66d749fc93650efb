"""A folder of images as rows: found, decoded, brought to one size; subfolders are classes."""

from __future__ import annotations

import numbers
import os
import warnings
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ._compat import check_in_range

__all__ = ["ImageFolder", "UnreadableError", "left_out_note", "read_folder"]

ENDINGS = (
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pbm",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
LARGEST_COMMON = 256  # pixels a side: larger images are cut down unless a size is asked for
USUAL_SIZE = 32
LISTED = 10
TRANSPOSED = 5  # EXIF orientations from here on swap width and height
ORIENTATION = 0x0112
# notes of one image and of many
SEVERAL_FRAMES = ("has several frames: the first was read",
                  "have several frames: the first was read")  # fmt: skip
TRANSPARENT = ("is transparent in places: it was laid on white",
               "are transparent in places: they were laid on white")  # fmt: skip
NO_CLASS = "(none)"  # of images beside the folders of the classes


class UnreadableError(ValueError):
    """Some files, or lines of a file, can't be read.

    Parameters
    ----------
    what : str
        What they are, such as ``"images"``.
    bad : list of (str, str)
        Name of each, and why.
    total : int
        How many there are, good and bad.

    Attributes
    ----------
    bad : list of (str, str)
        All of them; the message lists ten.
    """

    def __init__(self, what, bad, total):
        self.bad = bad
        lines = [f"  {name}: {why}" for name, why in bad[:LISTED]]
        if len(bad) > LISTED:
            lines.append(f"  ... and {len(bad) - LISTED} more")
        super().__init__("\n".join([f"{len(bad)} of {total} {what} can't be read:", *lines]))


@dataclass(frozen=True)
class ImageFolder:
    """Images of a folder, all of one size.

    Attributes
    ----------
    X : ndarray of shape (n, c, h, w)
        uint8; or float32 in [0, 1] where some image has more than 8 bits. One channel where all
        images are grey, else three.
    y : ndarray of str, shape (n,), or None
        Class of each: its first subfolder, ``"(none)"`` for an image beside these; None where there
        are no subfolders.
    names : list of str
        Path of each relative to the folder, with ``/``, sorted.
    notes : tuple of str
        What was done that a reader should know.
    """

    X: np.ndarray
    y: np.ndarray | None
    names: list
    notes: tuple = ()


def read_folder(path, *, size=None, grey=False, classes=None, skip_bad=False, verbose=0):
    """Read all images in a folder and its subfolders.

    Transparent images are laid on white, palettes and other colour spaces become RGB, the
    orientation that a camera noted is applied, and of several frames the first is taken. Hidden
    files and folders are left alone.

    Parameters
    ----------
    path : str or path
        The folder.
    size : int, default=None
        Height and width in pixels, at least 1: images are scaled until the shorter side fits and
        cut about the centre. None is the size that all have in common, up to 256 x 256, else 32.
    grey : bool, default=False
        Make all images grey.
    classes : sequence of str, default=None
        Read these classes only.
    skip_bad : bool, default=False
        Leave out files that can't be read, instead of refusing.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    ImageFolder
        The images in the order of their names.

    Raises
    ------
    UnreadableError
        A ValueError that lists the files that can't be read.
    ValueError
        There is no image, or a class is unknown.
    FileNotFoundError, NotADirectoryError
        There is no such folder.
    ImportError
        Pillow is not installed.
    """
    if size is not None:
        check_in_range("size", size, numbers.Integral, 1)
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise ImportError('reading images needs Pillow: pip install "sslmemo[report]".') from error
    folder = Path(path)
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}.")
    if not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is no folder.")
    names, notes = _find(folder)
    names = _of_classes(names, classes)
    bad, tally = {}, Counter()
    if size is None:
        shape, note = _common_size(folder, names, bad)
        notes += note
    else:
        shape = (size, size)
    images = {}
    for name in _bar(names, verbose):
        if name not in bad:
            try:
                images[name] = _decode(folder / name, shape, grey, tally)
            except Exception as error:  # whatever a decoder raises on a broken file
                bad[name] = _reason(error)
    if bad and not (skip_bad and images):
        raise UnreadableError("images", sorted(_spelled(bad)), len(names))
    notes += [left_out_note(len(bad), len(names), "images")] * bool(bad)
    notes += [_told(count, *what) for what, count in tally.items()]
    coloured = sum(len(image) == 3 for image in images.values())
    if 0 < coloured < len(images):
        notes.append(
            f"{coloured} of {len(images)} images {'has' if coloured == 1 else 'have'} colours, so all "
            "have 3 channels (set grey, --grey, to make all grey)"
        )
    names = list(images)
    labels = [_class_of(n) for n in names]
    y = np.array([_clean(label) for label in labels]) if set(labels) != {NO_CLASS} else None
    loose = labels.count(NO_CLASS)
    if y is not None and loose:
        notes.append(_told(loose, f"lies beside the folders of classes: its class is {NO_CLASS!r}",
                           f"lie beside the folders of classes: their class is {NO_CLASS!r}"))  # fmt: skip
    return ImageFolder(_stack(list(images.values())), y, [_clean(n) for n in names], tuple(notes))


def left_out_note(count, total, what):
    """Say how many of a source's images or lines were left out as unreadable: str."""
    return f"{count} of {total} {what} can't be read and {'was' if count == 1 else 'were'} left out"


def _told(count, of_one, of_many):
    return f"1 image {of_one}" if count == 1 else f"{count} images {of_many}"


def _find(folder):
    """Names of all images, and notes about what else lies there."""
    names, others, seen = [], Counter(), set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in files:
            if file.startswith("."):
                continue
            ending = os.path.splitext(file)[1].lower()
            if ending in ENDINGS:
                names.append((Path(root) / file).relative_to(folder).as_posix())
            else:
                others[ending or "without an ending"] += 1
    listed = ", ".join(f"{n} {ending}" for ending, n in others.most_common(5))
    if not names:
        there = f"it holds other files ({listed})" if others else "it is empty"
        raise ValueError(f"no image in {str(folder)!r}: {there}. Read are {', '.join(ENDINGS)}.")
    one = others.total() == 1
    note = f"{others.total()} other {'file was' if one else 'files were'} left alone ({listed})"
    return sorted(names), [note] if others else []


def _class_of(name):
    head, slash, _ = name.partition("/")
    return head if slash else NO_CLASS


def _of_classes(names, classes):
    """Names of the classes asked for."""
    if classes is None:
        return names
    known = {_class_of(n) for n in names}
    for wanted in classes:
        if wanted not in known:
            some = ", ".join(sorted(known)[:LISTED]) + ", ..." * (len(known) > LISTED)
            raise ValueError(f"there is no class {wanted!r}; the classes are {_clean(some)}.")
    return [n for n in names if _class_of(n) in set(classes)]


def _common_size(folder, names, bad):
    """Height and width that all images get, and notes; broken files go into `bad`."""
    from PIL import Image

    sizes = set()
    for name in names:
        try:
            with _quiet(), Image.open(folder / name) as image:
                turned = image.getexif().get(ORIENTATION, 1) >= TRANSPOSED
                sizes.add(image.size if turned else image.size[::-1])
        except Exception as error:  # whatever a decoder raises on a broken file
            bad[name] = _reason(error)
    usual = (USUAL_SIZE, USUAL_SIZE)
    if not sizes:
        return usual, []
    low, high = min(sizes), max(sizes)
    if low == high and max(low) <= LARGEST_COMMON:
        return low, []
    found = f"are {_px(low)}" if low == high else f"differ in size, from {_px(low)} to {_px(high)}"
    return usual, [f"images {found}: scaled and cut to {_px(usual)} (set size, --size)"]


def _px(size):
    return f"{size[1]} x {size[0]} px"


def _decode(path, shape, grey, tally):
    """One image as an array (1 or 3, h, w), uint8, or float32 where it has more than 8 bits."""
    from PIL import Image, ImageOps

    done = set()
    with _quiet(), Image.open(path) as image:
        if getattr(image, "is_animated", False):
            done.add(SEVERAL_FRAMES)
        image.load()
        image = _plain(ImageOps.exif_transpose(image), grey, done)
    if image.size != shape[::-1]:
        image = ImageOps.fit(image, shape[::-1], method=Image.Resampling.BICUBIC)
    pixels = np.array(image)
    tally.update(done)
    if pixels.dtype == np.float32:
        return np.clip(pixels, 0, 1)[None]  # bicubic curves leave the range
    if pixels.ndim == 2:
        return pixels[None]
    if (pixels == pixels[..., :1]).all():
        return pixels[None, ..., 0]  # grey, stored in colour
    return np.moveaxis(pixels, -1, 0)


def _plain(image, grey, done):
    """The image in mode L, RGB or, of values in [0, 1], F."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_unit(np.asarray(image).astype(np.float32), image.mode))
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            done.add(TRANSPARENT)
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    image = image.convert("RGB")
    return image.convert("L") if grey else image


def _unit(values, mode):
    """Values of an image of more than 8 bits, (h, w), scaled to [0, 1]."""
    largest = 1 if mode == "F" else 2**16 - 1
    if not (values.min() >= 0 and values.max() <= largest):  # NaN is neither
        raise ValueError(f"values from {values.min():.4g} to {values.max():.4g}, above {largest}")
    return values / np.float32(largest)


def _stack(images):
    """Arrays (1 or 3, h, w) as one (n, c, h, w); grey ones are repeated beside coloured ones."""
    channels = max(len(i) for i in images)
    images = [np.broadcast_to(i, (channels, *i.shape[1:])) for i in images]
    if any(i.dtype == np.float32 for i in images):
        images = [i if i.dtype == np.float32 else i / np.float32(255) for i in images]
    return np.stack(images)


@contextmanager
def _quiet():
    """No warnings of Pillow about broken notes in files: what can't be read raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _reason(error):
    """Why a file can't be read, on one line and without its path."""
    said = " ".join(str(error).split())
    if type(error).__name__ == "UnidentifiedImageError":
        return "no image, or a damaged one"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return said or type(error).__name__


def _clean(name):
    """A name that can be written as UTF-8, whatever bytes the file system has."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _spelled(bad):
    return [(_clean(name), why) for name, why in bad.items()]


def _bar(names, verbose):
    if not verbose:
        return names
    from tqdm.auto import tqdm

    return tqdm(names, desc="reading images", unit="image", leave=False, delay=1)
