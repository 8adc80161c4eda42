"""`python -m kirotrio`, the `kirotrio` script and the frozen executable all begin here."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line and return the exit code (CONTRACT, Command line)."""
    __import__("multiprocessing").freeze_support()  # the first line: a frozen executable starts its children here too

    if sys.argv[1:] == ["extract-document"]:  # how a frozen executable starts the process that reads a document
        from kirotrio.relay.extraction import main as extract

        return extract()

    try:
        from kirotrio.cli.app import kirotrio

        return kirotrio.run(sys.argv[1:])
    except KeyboardInterrupt:  # while still importing
        return 130


if __name__ == "__main__":
    sys.exit(main())
