"""Films on servers: their end is an end, and what breaks off is read on where it did."""

from __future__ import annotations

import functools
import http.server
import itertools
import socket
import time
from fractions import Fraction
from types import SimpleNamespace

import pytest

from stream.errors import SourceError
from stream.frame import Frame
from stream.sources import network
from stream.sources._film import Extent, Film, _is_round
from stream.sources._pacing import Pacer
from stream.sources.network import NetworkSource, Patience
from tests import media
from tests.sources.parts import answering
from tests.sources.serving import let_go

PATIENT = Patience(opening=60, reading=30, giving_up=60)


def served(film: bytes, habit: set[str]) -> type[http.server.BaseHTTPRequestHandler]:
    """A server of one film that says how large it is, gives parts of it, or breaks off once."""
    asked = itertools.count()

    class Films(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0]
            begin = int(wanted) if "ranges" in habit else 0
            breaks = begin == 0 and ("always" in habit or ("breaks" in habit and not next(asked)))
            self.send_response(206 if "ranges" in habit else 200)
            if "ranges" in habit:
                self.send_header("Content-Range", f"bytes {begin}-{len(film) - 1}/{len(film)}")
                self.send_header("Accept-Ranges", "bytes")
            if "unsized" not in habit:
                self.send_header("Content-Length", str(len(film) - begin))
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                self.wfile.write(film[begin : len(film) // 2 if breaks else None])
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # who reads has let go
            self.close_connection = True

    return Films


@pytest.fixture
def hurried(monkeypatch):
    """Nobody waits for a picture's time or before it is tried again."""
    monkeypatch.setattr(Pacer, "wait", lambda *_: time.perf_counter())
    monkeypatch.setattr(network, "_FIRST_PAUSE", 0.01)


def told(film: bytes, habit: str) -> tuple[list[float], list[float], list[str]]:
    """When the pictures and the packets of sound of a film are that come by http, and remarks."""
    with answering(served(film, set(habit.split()))) as place:
        source = NetworkSource(f"{place}/film", patience=PATIENT)
        pictures, sounds = [], []
        for item in source:
            if isinstance(item, Frame):
                pictures.append(item.pts_seconds)
            else:
                sounds += [float(one.pts * one.time_base) for one in item.packets]
        remarks = source.remarks
        let_go(source)
    return pictures, sounds, remarks


@pytest.mark.parametrize("kind", [".ts", ".mp4", ".mkv"])
def test_a_film_is_shown_once_whatever_its_server_does(tmp_path, hurried, kind):
    clip = media.Clip(
        frames=30,
        audio="aac",
        options={"g": "8", "bf": "2"},
        muxer={"movflags": "faststart"} if kind == ".mp4" else {},
    )
    film = media.make_clip(tmp_path / f"film{kind}", clip).read_bytes()
    whole, sound, _ = told(film, "ranges")
    assert len(whole) == 30
    habits = ["", "breaks", "ranges breaks", *(["unsized", "unsized breaks"] * (kind != ".ts"))]
    for habit in habits:
        pictures, sounds, remarks = told(film, habit)
        assert pictures == pytest.approx(whole), habit
        assert len(set(sounds)) == len(sounds) > 0.9 * len(sound), habit
        assert not any("cut short" in one or "missing" in one for one in remarks), (habit, remarks)
    pictures, _, remarks = told(film, "always")
    assert pictures == pytest.approx(whole[: len(pictures)]) and len(pictures) < 30
    assert any("breaks off there each time" in one for one in remarks), remarks


def test_an_mp4_whose_index_is_out_of_reach_is_said_to_be_one(tmp_path, hurried):
    film = media.make_clip(tmp_path / "film.mp4", frames=300, options={"crf": "1"}).read_bytes()
    assert len(told(film, "ranges")[0]) == 300
    with pytest.raises(SourceError, match="its index is at its end"):
        told(film, "")


def test_what_comes_in_place_of_a_film_is_shown_from_its_beginning(tmp_path, hurried):
    """As of a server of endless streams that has to say how large they are."""
    film, other = (
        media.make_clip(tmp_path / f"{start}.ts", frames=30, start=start).read_bytes()
        for start in (0, 5)
    )
    asked = itertools.count()
    begins = served(film, {"always"})

    class Server(served(other, set())):
        def do_GET(self) -> None:
            (super().do_GET if next(asked) else functools.partial(begins.do_GET, self))()

    with answering(Server) as place:
        source = NetworkSource(f"{place}/film", patience=PATIENT)
        times = [item.pts_seconds for item in source if isinstance(item, Frame)]
        let_go(source)
    assert 30 < len(times) < 60 and source.reconnects == 1
    assert times == sorted(set(times))


def test_round_sizes_are_none():
    for size in (2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 9999999999, 100000000000):
        assert _is_round(size), size
    for size in (1, 255, 4096, 99999999, 632432, 5 << 30, 2_147_483_123):
        assert not _is_round(size), size


def test_a_film_that_ends_before_it_declares_is_read_on_once_and_said_to_be_cut_short():
    film = Film()
    film.began(Extent(b"mark", Fraction(1), Fraction(10), sized=False))
    film.picture(5 * 25, Fraction(1, 25))
    assert not film.is_over(None, broke=False), "perhaps it broke off"
    place = film.place
    assert place is not None and place.seconds == 5
    again = SimpleNamespace(resumed=True, reached=True)
    assert film.is_over(again, broke=False)
    assert film.remarks("film") == [
        "film is cut short: it declares 10.0 seconds; it ended after 4.0 seconds"
    ]
