"""What a web server sends in place of video, told by how it begins."""

from __future__ import annotations

import re

_PAGE = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)
_LOOKED_AT = 4096


class AnswerError(ValueError):
    """A web server sends something that is no video, as far as its beginning tells."""


def check_video(head: bytes) -> None:
    """Makes sure that what begins so may be video.

    Args:
        head: what came first.

    Raises:
        AnswerError: it is a page, a list or data; the message says what to do.
    """
    head = head[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf")
    begin = head.lstrip()
    if _PAGE.match(head):
        raise AnswerError(
            "it is a web page, and the stream in it has an address of its own, which the page's "
            "source or the camera's manual names (of pages of video sites `yt-dlp -g ADDRESS` "
            "prints it)"
        )
    if begin.startswith(b"#EXTM3U") and b"#EXT-X-" not in head:
        raise AnswerError(
            "it is a list of addresses (.m3u); look into it with an editor and give one of them"
        )
    if begin.startswith(b"#EXTM3U"):
        raise AnswerError("its list (.m3u8) names no pieces yet; is somebody sending?")
    if begin.startswith((b"{", b"[", b"<?xml")):
        raise AnswerError("the server answers with data (JSON or XML) and no video")
