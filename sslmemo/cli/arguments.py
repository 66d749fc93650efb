"""The commands and their options."""

from __future__ import annotations

import argparse
import math
import re
from fractions import Fraction

from .. import __version__

__all__ = ["OPTION_OF", "build_parser", "in_options"]

# parameters of MemorizationEstimator and its parts, and the options that set them
OPTION_OF = {
    "n_encoders": "--encoders",
    "epochs": "--epochs",
    "encoder": "--encoder",
    "method": "--method",
    "fraction": "--design",
    "n_jobs": "--jobs",
    "random_state": "--seed",
    "memory": "--memory",
    "top_k": "--top",
    "stop_when": "--until-reliability",
    "reliability": "--until-reliability",
    "size": "--size",
}

# in the library's messages: words that are Python's alone, as they are said here
SAID = (
    (r" Pass groups= to decide\.", ""),
    (r"min_blocks=(\d+) blocks", r"\1 blocks"),
    (r"\[Errno -?\d+\] ", ""),
)

DESCRIPTION = """\
Which training samples does a self-supervised encoder memorize, and how sure is that?

  sslmemo cost images/                     how long it will take
  sslmemo score images/ --out scores.csv   train encoders, score every image
"""
EXAMPLES = """\
DATA is one of
  a folder   of images; the names of its subfolders, if any, are the classes
  a .npz     of NumPy: its arrays X and y, or else its first array
  a .csv     with a line of names: columns of numbers are used; --label names the classes
"""


def in_options(message):
    """Put a message of the library into the words of the command line.

    Parameters
    ----------
    message : str
        Of an error or a warning, with parameters of MemorizationEstimator.

    Returns
    -------
    str
        With options in their place; a name that is an English word too is replaced only where it
        clearly is the parameter.
    """
    for python, here in SAID:
        message = re.sub(python, here, message)
    names = "|".join(OPTION_OF)
    clear = "|".join(name for name in OPTION_OF if "_" in name)
    return re.sub(
        rf"(?<!')\b(?:({names})(?==| must| needs)|({clear})\b)",
        lambda found: OPTION_OF[found[1] or found[2]],
        message,
    )


def build_parser():
    """Build the parser of the whole command line: argparse.ArgumentParser."""
    parser = argparse.ArgumentParser(
        prog="sslmemo", description=DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"sslmemo {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("score", "score every row, and write the scores and a report"),
        ("cost", "tell how long `score` will take, from a few real steps"),
    ):
        command = commands.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + ".", epilog=EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        _add_data(command)
        _add_training(command)
        if name == "score":
            _add_output(command)
        command.add_argument(
            "--quiet", action="store_true", help="print warnings and errors alone, without a bar"
        )
    return parser


def _add_data(command):
    data = command.add_argument_group("data")
    data.add_argument("data", metavar="DATA", help="a folder of images, a .npz or a .csv")
    data.add_argument("--label", metavar="COLUMN", help="column of a .csv that holds the classes")
    data.add_argument("--classes", nargs="+", metavar="CLASS", help="read these classes only")
    data.add_argument(
        "--size", type=_whole, metavar="PX",
        help="scale and cut images to PX x PX (default: the size that all have, up to 256, else 32)",
    )  # fmt: skip
    data.add_argument("--grey", action="store_true", help="make images grey")
    data.add_argument(
        "--skip-bad", action="store_true",
        help="leave out images, or lines of a .csv, that can't be read (default: list them and stop)",
    )  # fmt: skip


def _add_training(command):
    training = command.add_argument_group("training")
    training.add_argument(
        "--encoders", type=_whole, default=80, metavar="N",
        help="trainings; more make the scores more certain (default: 80)",
    )  # fmt: skip
    training.add_argument(
        "--design", type=_fraction, default=0.25, metavar="FRACTION",
        help="share of the rows that each encoder is trained on, such as 0.25 or 1/4 (default: 0.25)",
    )  # fmt: skip
    training.add_argument(
        "--epochs", type=_positive, default=100, metavar="N",
        help="passes over its rows (default: 100)",
    )  # fmt: skip
    training.add_argument(
        "--method", default="simclr", metavar="NAME",
        help="self-supervised method: simclr, vicreg, byol, ... (default: simclr)",
    )  # fmt: skip
    training.add_argument(
        "--encoder", default="auto", metavar="NAME",
        help="network: mlp, convnet, resnet18, vit_tiny, ... (default: auto)",
    )  # fmt: skip
    training.add_argument(
        "--until-reliability", type=float, metavar="R",
        help="stop before the last encoder once the scores have this reliability, such as 0.8",
    )  # fmt: skip
    training.add_argument(
        "--memory", metavar="FOLDER",
        help="keep finished trainings here: after a stop the same command trains the rest only",
    )  # fmt: skip
    training.add_argument(
        "--jobs", type=_jobs, default=-1, metavar="N",
        help="processes, -1 for all cores; the scores are the same for any number (default: -1)",
    )  # fmt: skip
    training.add_argument(
        "--seed", type=int, default=0, metavar="N",
        help="of all randomness: the same seed gives the same scores (default: 0)",
    )  # fmt: skip


def _add_output(command):
    output = command.add_argument_group("output")
    output.add_argument(
        "--out", default="scores.csv", metavar="FILE",
        help="table of all rows to write (default: scores.csv)",
    )  # fmt: skip
    output.add_argument(
        "--report",
        metavar="FILE",
        help="one HTML page with pictures to write, to open in a browser, such as report.html",
    )
    output.add_argument(
        "--top", type=_whole, metavar="K",
        help="size of the top set, to which `top_k_probability` refers and of which all rows are "
        "printed (default: 5%% of the rows, 20 of them printed)",
    )  # fmt: skip
    output.add_argument("--force", action="store_true", help="replace files that are there already")


def _whole(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return number


def _positive(text):
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return number


def _jobs(text):
    number = int(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must not be 0: 1 is one process, -1 all cores")
    return number


def _fraction(text):
    try:
        number = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        number = -1
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"must lie strictly between 0 and 1, got {text!r}")
    return number


_whole.__name__ = _jobs.__name__ = "whole number"  # argparse says "invalid whole number value"
