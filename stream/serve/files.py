"""The page's own files."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

_KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@cache
def page_files() -> dict[str, tuple[bytes, str]]:
    """The page's files by path, with their types: there are no others."""
    found: dict[str, tuple[bytes, str]] = {}
    for one in (resources.files("stream.serve") / "page").iterdir():
        kind = _KINDS.get(f".{one.name.rpartition('.')[2]}")
        if kind is not None:
            found[f"/{one.name}"] = (one.read_bytes(), kind)
    found["/"] = found.pop("/index.html")
    return found


@cache
def page_version() -> str:
    """What tells the files of this version from those of another: pages stay open for months."""
    digest = hashlib.sha256()
    for path, (body, _) in sorted(page_files().items()):
        digest.update(path.encode() + b"\0" + body + b"\0")
    return digest.hexdigest()[:16]
