"""HLS: what a player gets from a folder, and what of other runs is never touched."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path, PureWindowsPath

import av
import numpy as np
import pytest
from av.stream import Disposition

from stream.errors import SinkError, UsageError
from stream.frame import Chapter, Frame, VideoInfo
from stream.options import OutputOptions
from stream.sinks.hls import HlsSink, _address, _options
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


def test_ffmpeg_finds_the_folder_of_windows_paths():
    """It looks for `/` alone, and wrote the head into the working folder (C:\\pages, say)."""
    path = PureWindowsPath(r"C:\pages\live.m3u8")
    assert _address(path) == "C:/pages/live.m3u8"
    for live in (True, False):
        options = _options(path, live=live)
        assert re.fullmatch(r"C:/pages/live-\w+-%05d\.m4s", options["hls_segment_filename"])
        assert "\\" not in " ".join(options.values())
