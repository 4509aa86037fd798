"""What of a file is on the disk itself by the time that it gets its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class Disk:
    """Listens to what the system is asked to store, and to names that are given.

    Args:
        monkeypatch: by which it listens.
        folder: that it listens to.

    Attributes:
        events: "file" and "folder" for each that was stored, "name" for each name that was given.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.events: list[str] = []
        fsync, replace, link, rename = os.fsync, os.replace, os.link, os.rename

        def stored(file: int) -> None:
            fsync(file)
            about, whole = os.fstat(file), folder.stat()
            same = (about.st_dev, about.st_ino) == (whole.st_dev, whole.st_ino)
            self.events.append("folder" if same else "file")

        def named(way):
            def give(*names, **more):
                way(*names, **more)
                self.events.append("name")

            return give

        monkeypatch.setattr(os, "fsync", stored)
        for name, way in (("replace", replace), ("link", link), ("rename", rename)):
            monkeypatch.setattr(os, name, named(way))


DURABLE = ["file", "name", "folder"]
"""What happens to a file that is there, whole, whenever the power fails."""
