"""`python -m kirotrio`, the `kirotrio` script and the frozen executable all begin here."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command line and return the exit code (CONTRACT, Command line)."""
    # What is imported stays, and a start looked for cycles in it for a sixth of its time. The verbs that keep running
    # set the collector up for good (`cli.running`).
    gc.set_threshold(200_000)
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
