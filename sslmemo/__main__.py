"""The command line: ``python -m sslmemo``, or ``sslmemo`` where it is installed."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
