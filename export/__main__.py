"""`python -m export` from a checkout; installed, it is `stream export`."""

from __future__ import annotations

from stream.export.command import main

if __name__ == "__main__":
    main()
