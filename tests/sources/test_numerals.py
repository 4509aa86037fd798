"""Playlists in a process whose locale writes a comma."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stream.sources import _numerals
from stream.sources._numerals import decimal_points, read_plainly
from tests.media import make_clip

PROGRAM = """
import ctypes, locale, sys
from pathlib import Path
from stream.sources._container import open_container
from stream.sources._numerals import decimal_points, read_plainly
try:
    locale.setlocale(locale.LC_ALL, sys.argv[2])
except locale.Error:
    sys.exit(3)
library = ctypes.CDLL(None)
library.atof.restype = ctypes.c_double
def points():
    while True:
        yield library.atof(b"1.5")
with decimal_points():
    within = library.atof(b"1.5")
with open_container(Path(sys.argv[1])) as container:
    print(library.atof(b"1.5"), within, next(read_plainly(points())), container.duration)
"""


PARTS = (
    *("CTYPE", "COLLATE", "MONETARY", "MESSAGES", "TIME"),
    *("NAME", "ADDRESS", "TELEPHONE", "PAPER", "MEASUREMENT"),
)
COMMA = "".join(f'LC_{part}\ncopy "POSIX"\nEND LC_{part}\n' for part in PARTS) + (
    'LC_NUMERIC\ndecimal_point ","\nthousands_sep "."\ngrouping 3;3\nEND LC_NUMERIC\n'
)
"""A locale that writes numbers as German does; to make all of that takes a second."""


def comma(tmp_path: Path) -> tuple[str, dict[str, str]]:
    """A locale that writes a comma, as far as this machine can have one, and where it is found."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/POSIX").exists():
        return "de_DE.UTF-8", {}
    source, made = tmp_path / "comma", tmp_path / "with_comma"
    source.write_text(f"comment_char %\nescape_char /\n{COMMA}")
    command = ["localedef", "-c", "-i", source, "-f", "ANSI_X3.4-1968", made]
    subprocess.run(command, check=False, capture_output=True, timeout=120)
    return made.name, {"LOCPATH": str(tmp_path)}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locale of a single thread")
def test_lengths_in_a_playlist_are_read_whatever_the_locale(tmp_path):
    clip = make_clip(tmp_path / "part.ts")
    playlist = tmp_path / "in.m3u8"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.500,\n"
        f"{Path(clip).name}\n#EXT-X-ENDLIST\n"
    )
    name, found_in = comma(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(playlist), name],
        env=os.environ | found_in,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if ran.returncode == 3:
        pytest.skip("this machine has no locale with a comma, and cannot make one")
    assert ran.stdout.split() == ["1.0", "1.5", "1.5", "1500000"], ran.stderr


def test_where_numbers_have_points_nothing_is_asked_of_the_system(monkeypatch):
    monkeypatch.setattr(_numerals, "_locales", lambda: pytest.fail("it was asked"))
    with decimal_points():
        pass
    assert list(read_plainly(iter([1, 2]))) == [1, 2]
