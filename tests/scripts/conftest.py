"""The benchmark runs where uvloop does."""

import sys

collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []
