"""Command line for those who don't write Python: files in, scores and a report out."""

from __future__ import annotations

import sys

from .arguments import build_parser, in_options

__all__ = ["main"]

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def main(argv=None):
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Words of the command line after the program's name; None takes those of the process.

    Returns
    -------
    int
        0; 2 where the input or an option is wrong, as argparse has it; 1 where training or writing
        failed; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        By argparse: 2 for a wrong command line, 0 after ``--help`` and ``--version``.
    """
    args = build_parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):  # names of files may not suit the terminal
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        from . import commands

        getattr(commands, args.command)(args)
    except KeyboardInterrupt as stop:
        said = [_without_python(str(stop)), _how_to_go_on(args)]
        return _say(INTERRUPTED, "interrupted", " ".join(filter(None, said)))
    except (ImportError, MemoryError) as error:
        return _say(FAILED, "failed", str(error) or "out of memory")
    except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        return _say(BAD_INPUT, "error", _of_file(error))
    except (ValueError, TypeError) as error:
        mend = "\nMend them, or leave them out by --skip-bad."
        if type(error).__name__ == "UnreadableError":  # of files, whatever their names
            return _say(BAD_INPUT, "error", str(error) + mend * (not args.skip_bad))
        return _say(BAD_INPUT, "error", in_options(str(error)))
    except OSError as error:  # a full disk, a folder that can't be written
        return _say(FAILED, "failed", _of_file(error))
    except RuntimeError as error:
        if type(error).__name__ != "TrainingError":
            raise  # an error of the program, whose traceback tells where
        return _say(FAILED, "failed", in_options(str(error)))
    return 0


def _say(code, kind, message):
    print(f"sslmemo: {kind}: {message}", file=sys.stderr)
    return code


def _of_file(error):
    if error.filename is None or error.strerror is None:
        return in_options(str(error))
    return f"{error.filename}: {error.strerror}"


def _without_python(message):
    """How many blocks are finished, without the Python calls that follow in the library's words."""
    return message.partition(" partial_result()")[0]


def _how_to_go_on(args):
    if args.command != "score":
        return "nothing was written."
    if args.memory:
        return "The same command trains the rest only: finished blocks are in --memory."
    return "With --memory FOLDER the same command would go on where it was stopped."
