"""`python -m stream_export`: the same as `stream export`."""

from __future__ import annotations

from stream_export.command import main

if __name__ == "__main__":
    main()
