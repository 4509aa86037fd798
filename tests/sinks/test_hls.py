"""HLS: what a player gets from a folder, and what of other runs is never touched."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import av
import numpy as np
import pytest
from av.stream import Disposition

from stream.errors import SinkError, UsageError
from stream.frame import Chapter, Frame, VideoInfo
from stream.settings.options import OutputOptions
from stream.sinks.hls import HlsSink, _pieces_of
from stream.sources.file import FileSource
from tests.media import make_clip, packets
from tests.sinks.receivers import Received, receive

FAST = OutputOptions(preset="ultrafast")


def _info(*, live: bool) -> VideoInfo:
    return VideoInfo("made", 320, 240, "yuv420p", Fraction(1, 25), Fraction(25), live=live)


def _write(path: Path, frames: int, *, live: bool = False, overwrite: bool = False) -> HlsSink:
    options = OutputOptions(preset="ultrafast", overwrite=overwrite)
    with HlsSink(str(path), _info(live=live), options) as sink:
        for index in range(frames):
            planes = np.full((360, 320), 128, np.uint8)
            planes[:240] = 40 + index % 150
            picture = av.VideoFrame.from_ndarray(planes, "yuv420p")
            sink.write(Frame(picture, index, index, Fraction(1, 25)))
    return sink


def test_a_film_is_whole_with_its_times(tmp_path: Path) -> None:
    playlist = tmp_path / "film.m3u8"
    _write(playlist, 130)
    received = Received()
    receive(str(playlist), received)
    assert [round(at * 25) for at, _ in received.frames] == list(range(130))
    assert [round(luma) for _, luma in received.frames[::50]] == pytest.approx([28, 86, 144], abs=3)
    text = playlist.read_text()
    assert "#EXT-X-PLAYLIST-TYPE:VOD" in text and text.endswith("#EXT-X-ENDLIST\n")
    pieces = re.findall(r"^film-.*\.m4s$", text, re.M)
    assert len(pieces) == 3 and all((tmp_path / piece).is_file() for piece in pieces)


def test_a_live_playlist_offers_the_newest_and_keeps_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.sinks.hls._KEPT", 2)
    playlist = tmp_path / "cam.m3u8"
    _write(playlist, 450, live=True)
    text = playlist.read_text()
    assert "#EXT-X-PROGRAM-DATE-TIME" in text
    # Players stay three of these behind.
    assert "#EXT-X-TARGETDURATION:1\n" in text and text.count("#EXTINF:1.0") == 2
    assert len(re.findall(r"^cam-.*\.m4s$", text, re.M)) == 2
    assert len(list(tmp_path.glob("*.m4s"))) <= 4


def test_another_runs_files_stay_and_the_playlist_is_only_replaced_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    playlist = tmp_path / "film.m3u8"
    _write(playlist, 10)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match="exists already"):
        HlsSink.check(str(playlist), FAST)
    monkeypatch.setattr("stream.sinks.hls.time.strftime", lambda form: "later")
    _write(playlist, 12, overwrite=True)
    after = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert {path for path in before if after[path] != before[path]} == {playlist}
    assert "film-later-00000.m4s" in playlist.read_text()


def test_each_picture_is_shown_at_its_own_time_where_they_come_unevenly(tmp_path: Path) -> None:
    """The first of each piece came up to a sixth of a second early."""
    times = [*range(0, 1000, 20), *range(1000, 7000, 200), *range(7000, 8000, 40)]
    film = make_clip(tmp_path / "in.mkv", frames=220, audio="aac")
    playlist = tmp_path / "film.m3u8"
    with FileSource(film) as source:
        told = replace(source.info, time_base=Fraction(1, 1000), rate=Fraction(30))
        with HlsSink(str(playlist), told, FAST) as sink:
            waiting = iter(times)
            for item in source:
                if not isinstance(item, Frame):
                    sink.write(item)
                elif (at := next(waiting, None)) is not None:
                    sink.write(replace(item, pts=at, time_base=Fraction(1, 1000), duration=None))
    received = Received()
    receive(str(playlist), received)
    assert [at for at, _ in received.frames] == pytest.approx(
        [one / 1000 for one in times], abs=1e-3
    )
    assert len(received.sound) > 300
    assert len(list(tmp_path.glob("*.m4s"))) >= 4


needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


def _fill(folder: Path, *names: str) -> None:
    """Lets files of these names find no room on the disk."""
    for name in names:
        (folder / f"{name}.tmp").symlink_to("/dev/full")


def _read(playlist: Path) -> list[int]:
    """The pictures that a player shows, in 25ths of a second."""
    received = Received()
    receive(str(playlist), received)
    return [round(at * 25) for at, _ in received.frames]


@needs_full
@pytest.mark.parametrize("missing", ["film-later-00001.m4s", "film.m3u8"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_full_disk_is_said_and_leaves_what_is_whole_to_be_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, earlier: bool
) -> None:
    """Nothing was said, and nothing could be played."""
    monkeypatch.setattr("stream.sinks.hls.time.strftime", lambda form: "later")
    playlist = tmp_path / "film.m3u8"
    working = tmp_path / ("film.partial.m3u8" if earlier else "film.m3u8")
    if earlier:
        playlist.write_text("earlier")
    _fill(tmp_path, missing.replace("film.m3u8", working.name))
    pieces = missing.endswith(".m4s")
    saved = f"the first 2.0 s can be played from {working}" if pieces else "nothing was saved"
    words = f"the disk is full, so {playlist} could not be written to the end; {saved}"
    with pytest.raises(SinkError, match=f"^{re.escape(words)}$"):
        _write(playlist, 220, overwrite=True)
    if earlier:
        assert playlist.read_text() == "earlier"
    if pieces:
        assert _read(working) == list(range(50))
        assert working.read_text().endswith("#EXT-X-ENDLIST\n")
    there = {path.name for path in tmp_path.iterdir()} - {playlist.name}
    kept = {"film-later-head.mp4", "film-later-00000.m4s", working.name} if pieces else set()
    assert there == kept - {playlist.name}


@needs_full
def test_a_live_source_goes_on_once_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.sinks.hls.time.strftime", lambda form: "later")
    playlist = tmp_path / "cam.m3u8"
    _fill(tmp_path, "cam-later-00001.m4s")
    sink = _write(playlist, 100, live=True)
    said = f"1 file of {playlist} could not be written (No space left on device)"
    assert said in sink.remarks
    names = [f"cam-later-{at:05d}.m4s" for at in (0, 2, 3)]
    assert sorted(path.name for path in tmp_path.glob("*.m4s")) == names


def test_what_was_begun_can_be_played_whatever_happens(tmp_path: Path) -> None:
    """The playlist came at the end alone."""
    sink = HlsSink(str(tmp_path / "film.m3u8"), _info(live=False), FAST)
    playlist, index = tmp_path / "film.m3u8", 0
    while not (playlist.exists() and "00000.m4s" in playlist.read_text()):
        picture = av.VideoFrame.from_ndarray(np.full((360, 320), 128, np.uint8), "yuv420p")
        sink.write(Frame(picture, index, index, Fraction(1, 25)))
        index += 1
    # A player waits for more behind what there is.
    with av.open(str(playlist)) as begun:
        before = [round(one.time * 25) for one in itertools.islice(begun.decode(video=0), 50)]
    sink.abort()
    assert before == list(range(50))
    assert _read(playlist)[:50] == before
    assert playlist.read_text().endswith("#EXT-X-ENDLIST\n")


def test_a_folder_that_is_not_there_is_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="does not exist"):
        HlsSink.check(str(tmp_path / "none" / "film.m3u8"), FAST)
    with pytest.raises(UsageError, match="do not take what ffv1 encodes"):
        HlsSink.check(str(tmp_path / "film.m3u8"), OutputOptions(codec="ffv1"))


def test_what_becomes_of_sound_is_said_in_words_of_people(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "in.mkv", frames=10, audio="libmp3lame")
    playlist = str(tmp_path / "film.m3u8")
    with FileSource(film) as source, HlsSink(playlist, source.info, FAST) as sink:
        for item in source:
            sink.write(item)
    assert sink.remarks == [
        "stream 1, sound (mp3), is re-encoded with aac: HLS does not hold it as it is"
    ]


def test_what_a_playlist_does_not_hold_is_named(tmp_path: Path) -> None:
    tags = {"title": "A day", "location": "+52.5+13.4/"}
    film = make_clip(tmp_path / "in.mkv", frames=10, subtitles=[(0, 1, "hello")], metadata=tags)
    playlist = tmp_path / "film.m3u8"
    with FileSource(film) as source:
        chapters = tuple(Chapter(Fraction(at), Fraction(at + 1), {}) for at in range(2))
        role = Disposition.comment
        told = replace(source.info, chapters=chapters, track={"language": "fra"}, roles=role)
        with HlsSink(str(playlist), told, FAST) as sink:
            for item in source:
                sink.write(item)
    assert sink.remarks == [
        f"1 further stream is not in {playlist}",
        f"2 chapters are not in {playlist}",
        f"where the film was taken is not in {playlist}, as strangers may receive it",
        "the video's role (comment) is left out: HLS has no place for it",
    ]
    with av.open(str(playlist)) as made:
        picture = made.streams.video[0]
        assert Disposition.comment not in picture.disposition
        # What is in the head of the pieces, FFmpeg takes to be said of the first stream.
        assert {("title", "A day"), ("language", "fra")} <= set(picture.metadata.items())
        assert "+52" not in str([made.metadata, *(one.metadata for one in made.streams)])


def test_sound_whose_packets_carry_headers_is_copied_without_them(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "in.ts", frames=25, audio="aac")
    playlist = tmp_path / "film.m3u8"
    with FileSource(film) as source, HlsSink(str(playlist), source.info, FAST) as sink:
        for item in source:
            sink.write(item)
    assert sink.remarks == []
    given, told = packets(film, "audio"), packets(playlist, "audio")
    # Seven bytes of header, or nine with a check sum.
    stripped = [data[7 if data[1] & 1 else 9 :] for _, data in given]
    assert [data for _, data in told] == stripped
    begun = packets(film, "video")[0][0] - packets(playlist, "video")[0][0]
    for (before, _), (after, _) in zip(given, told, strict=True):
        assert float(after) == pytest.approx(float(before - begun), abs=2e-3)


@pytest.mark.parametrize(
    "name",
    ["a#1", "50%41 off", 'say "hi"', "new\nline", "#comment", "Grüße an ~Ann", "a?b&c=d", "a%v%d"],
)
def test_pieces_are_found_whatever_the_film_is_called(tmp_path: Path, name: str) -> None:
    """Players took `#1` for a place within a piece, and a line's end for the next line."""
    (tmp_path / "50%d").mkdir()
    playlist = tmp_path / "50%d" / f"{name}.m3u8"
    _write(playlist, 60)
    text = playlist.read_text()
    said = [*re.findall(r'URI="([^"]*)"', text), *re.findall(r"^[^#\n].*$", text, re.M)]
    folder = (playlist.parent / "x").as_uri()
    found = {unquote(urlsplit(urljoin(folder, one)).path) for one in said}
    pieces = [path for path in playlist.parent.iterdir() if path != playlist]
    assert found == {path.as_posix() for path in pieces} and len(pieces) == 3
    assert _read(playlist) == list(range(60))


def test_films_whose_names_look_alike_keep_their_pieces_apart() -> None:
    names = ("a b", "a#b", "a_b", "a%b")
    assert len({_pieces_of(Path(f"{name}.m3u8"), "now") for name in names}) == 4
