"""Sound that comes up within a connection, of which PyAV shows the streams it began with."""

from __future__ import annotations

import io
import itertools
import socket
import threading
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import av
import pytest
from av.container import InputContainer

from stream.errors import SourceError
from stream.frame import Passthrough
from stream.sources._arrivals import Arrivals
from stream.sources._connecting import ChangedError
from stream.sources.network import NetworkSource, Patience
from stream.sources.stream_reader import Ended, Picture, Sound, StreamReader
from tests.sources.serving import let_go, picture, tone

RATE, SECONDS = 25, 6
RISES = SECONDS // 2
KINDS = ["announced", "mpegts", "flv"]
"""How sound comes up: of a stream that was announced and silent; of one that is announced then, as
a table of MPEG-TS says; of one of which nothing is said but by its packets, as in FLV."""


class Cable(io.BytesIO):
    def seekable(self) -> bool:
        return False


@cache
def piece(
    kind: str, first: int, last: int, sound: bool, *, rises: int = 0, place: int = 0
) -> bytes:
    """A sender's seconds from first to last, with a tone from `rises` on if it has sound."""
    file = Cable()
    # Pictures are sent at once, also where sound is still to come.
    with av.open(file, "w", format=kind, container_options={"max_interleave_delta": "1"}) as made:
        fast = {"preset": "ultrafast", "tune": "zerolatency"}
        video = made.add_stream("libx264", rate=RATE, options=fast)
        video.width, video.height, video.pix_fmt, video.gop_size = 64, 48, "yuv420p", RATE
        audio = made.add_stream("aac", rate=44100, layout="mono") if sound else None
        if audio is not None and place:
            audio.id = place
        samples = max(first, rises) * 44100
        for index in range(first * RATE, last * RATE):
            shown = picture(64, 64, index).reformat(64, 48)
            shown.pts, shown.time_base = index, Fraction(1, RATE)
            made.mux(video.encode(shown))
            while audio is not None and samples / 44100 < (index + 1) / RATE:
                made.mux(audio.encode(tone(samples)))
                samples += 1024
        made.mux(video.encode(None))
    return file.getvalue()


def moved() -> bytes:
    """Eight seconds of one sender whose sound moves to another place in MPEG-TS in the second."""
    return piece("mpegts", 0, 2, sound=True) + piece("mpegts", 2, 10, sound=True, place=300)


def rising(kind: str) -> bytes:
    """Six seconds of one sender, with sound from the third on."""
    if kind == "announced":
        return piece("mpegts", 0, SECONDS, sound=True, rises=RISES)
    head = 13 if kind == "flv" else 0
    return piece(kind, 0, RISES, sound=False) + piece(kind, RISES, SECONDS, sound=True)[head:]


def read(data: io.BytesIO, **how) -> tuple[list[object], Ended, StreamReader]:
    reader = StreamReader(
        lambda: av.open(data, options={"probesize": "5000"}),
        lambda error: SourceError(str(error)),
        audio=True,
        paced=lambda container: True,
        **how,
    )
    found: list[object] = []
    while not isinstance(event := reader.events.take(60), Ended):
        found.append(event)
    reader.stop(patience=60)
    return found, event, reader


def count(found: Sequence[object], kind: type) -> int:
    return sum(isinstance(one, kind) for one in found)


@pytest.mark.parametrize("kind", KINDS)
def test_where_sound_comes_up_the_connection_ends_so_that_the_next_one_has_it(kind):
    found, end, reader = read(Cable(rising(kind)), curious=lambda: True)
    assert isinstance(end.cause, ChangedError) and not reader.unread
    # Within the looks that are taken every 32 packets.
    assert RISES * RATE - 2 <= count(found, Picture) <= RISES * RATE + 34
    # Where two sounds are wanted of a source that had them before, it is the same.
    one = read(Cable(rising(kind)), curious=lambda: True, sounds=1)[1]
    assert isinstance(one.cause, ChangedError)


@pytest.mark.parametrize("kind", KINDS)
def test_where_another_connection_is_of_no_use_it_is_read_to_its_end_and_said(kind):
    data = rising(kind)
    kinds = [(Cable(data), lambda: False)]  # asked for too often
    if kind != "flv":
        kinds.append((io.BytesIO(data), lambda: True))  # a file would begin from its beginning
    for sent, curious in kinds:
        found, end, reader = read(sent, curious=curious)
        assert end.error is None and reader.unread
        assert count(found, Picture) == SECONDS * RATE and not count(found, Sound)
        assert reader.opened is not None and reader.opened.finite == sent.seekable()


@pytest.mark.parametrize("kind", KINDS)
def test_what_there_is_from_the_beginning_is_no_arrival(kind):
    container_kind = "mpegts" if kind == "announced" else kind
    asked: list[bool] = []
    data = piece(container_kind, 0, SECONDS, sound=True)
    found, end, reader = read(Cable(data), curious=lambda: asked.append(True) or True)
    assert end.error is None and not asked and not reader.unread
    assert count(found, Sound) > 0.9 * SECONDS * 44100 / 1024
    silent = piece(container_kind, 0, SECONDS, sound=False)
    found, end, reader = read(Cable(silent), curious=lambda: asked.append(True) or True)
    assert end.error is None and not asked and not reader.unread
    assert count(found, Picture) == SECONDS * RATE


def test_sound_that_moves_to_another_stream_is_followed_by_another_connection():
    found, end, reader = read(Cable(moved()), curious=lambda: True, sounds=1)
    assert isinstance(end.cause, ChangedError) and not reader.unread
    assert 2 * RATE < count(found, Picture) < 2 * RATE + 150
    found, end, reader = read(Cable(moved()), curious=lambda: False, sounds=1)
    assert end.error is None and reader.unread and count(found, Picture) == 10 * RATE
    assert 80 < count(found, Sound) < 95


@pytest.mark.parametrize("kind", KINDS)
def test_looking_costs_no_packet(kind):
    def packets(container: InputContainer, looking: bool) -> list[tuple[int | None, int]]:
        video = container.streams.video[0]
        found = Arrivals(container, [video], looking=looking)
        taken = [(one.pts, one.size) for one in itertools.islice(found, SECONDS * RATE)]
        assert found.more == (looking and kind != "announced")
        return taken

    with av.open(Cable(rising(kind)), options={"probesize": "5000"}) as plain:
        expected = packets(plain, looking=False)
    with av.open(Cable(rising(kind)), options={"probesize": "5000"}) as looked:
        assert packets(looked, looking=True) == expected
    assert len(expected) == SECONDS * RATE


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_has_the_sound_that_came_up(kind):
    container = "mpegts" if kind == "announced" else kind
    connections = [rising(kind), piece(container, RISES, RISES + 10, sound=True)]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = f"http://127.0.0.1:{listening.getsockname()[1]}/live"

        def serve() -> None:
            for data in connections:
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    head = b"HTTP/1.0 200 OK\r\nContent-Type: video/x-any\r\n\r\n"
                    try:
                        connection.sendall(head + data)
                    except OSError:
                        continue  # it has heard enough

        server = threading.Thread(target=serve)
        server.start()
        source = NetworkSource(place, patience=Patience(opening=60, reading=30))
        begun = next((one.begun for one in source if isinstance(one, Passthrough)), ())
        source.close()
        let_go(source)
        server.join()
    assert [one.codec_context.name for one in begun] == ["aac"]
