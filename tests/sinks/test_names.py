"""Tags, languages, titles and chapters are found again in the output, or named as lost."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from stream.sinks._containers import ENDINGS, choose_container
from stream.sinks._names import lost_of_film, lost_of_streams, names_of
from stream.sources._services import broadcast
from stream.sources.file import FileSource
from tests.media import make_clip, make_picture
from tests.sinks.running import fastest, run

FILM = {"title": "A day out", "artist": "Ann", "director": "Bea", "date": "2021-03-04"}
STREAMS = [("video", "eng", "Left camera"), ("audio", "deu", "Ton"), ("audio", "nld", "Geluid")]
PARTS = ["Morning", "Evening"]
ROLES = [
    Disposition.default | Disposition.original,
    Disposition(0),
    Disposition.default | Disposition.comment | Disposition.visual_impaired,
]
TIMECODE = "10:00:00:12"


@pytest.fixture(scope="module")
def named(tmp_path_factory) -> Path:
    """A film that has words of every kind in it."""
    path = tmp_path_factory.mktemp("named") / "in.mkv"
    with av.open(str(path), "w") as container:
        container.metadata.update(FILM)
        container.set_chapters(
            [
                {
                    "id": place,
                    "start": place * 200,
                    "end": place * 200 + 200,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": title},
                }
                for place, title in enumerate(PARTS)
            ]
        )
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height = 64, 48
        sounds = [container.add_stream("ac3", rate=48_000, layout="stereo") for _ in STREAMS[1:]]
        for stream, (_, language, title) in zip([video, *sounds], STREAMS, strict=True):
            stream.metadata.update(language=language, title=title, comment=f"says {language}")
        video.metadata["timecode"] = TIMECODE
        video.disposition = ROLES[0]
        sounds[1].disposition = ROLES[2]
        container.add_attachment("font.ttf", "font/ttf", b"letters")
        for index in range(10):
            picture = make_picture(index, 64, 48, "yuv420p")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(video.encode(picture))
        for sound in sounds:
            for at in range(0, 19200, 1536):
                frame = av.AudioFrame("fltp", "stereo", 1536)
                for plane in frame.planes:
                    plane.update(bytes(plane.buffer_size))
                frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_word_is_found_again_or_named(named, tmp_path, ending):
    path = tmp_path / f"out{ending}"
    remarks = run(named, path).remarks
    said = " ".join(remarks)
    of_film = " ".join(one for one in remarks if one.startswith("the film's"))
    with av.open(str(path)) as container:
        names = {name.lower() for name in container.metadata}
        values = set(container.metadata.values())
        if ending in (".ts", ".mts", ".m2ts"):  # what a programme is called, PyAV does not tell
            values |= {one.name for one in broadcast(container, path)}
        every = list(container.streams)
        streams = [stream for stream in every if stream.type in ("video", "audio")]
        roles = [Disposition(stream.disposition) for stream in streams]
        files = [stream for stream in every if stream.type == "attachment"]
        chapters = [one["metadata"]["title"] for one in container.chapters()]
    for name, value in FILM.items():
        kept = name in names or value in values
        assert kept != (name in of_film), f"{name} is {'kept and named lost' if kept else 'gone'}"
    assert chapters == PARTS or "the film's 2 chapters are left out" in said
    if ending == ".y4m":
        assert len(streams) == 1 and "stream 2, sound, is left out: Y4M holds pictures" in said
        streams = streams[:1]
    for stream, (_, language, title) in zip(streams, STREAMS, strict=len(streams) > 1):
        again = set(stream.metadata.values())
        assert bool(again & {language, {"deu": "ger", "nld": "dut"}.get(language)}) != (
            f"language ({language})" in said
        )
        assert (title in again) != (f"title ({title})" in said)
        assert (f"says {language}" in again) != (f"comment (says {language})" in said)
    assert (TIMECODE in streams[0].metadata.values()) != (f"timecode ({TIMECODE})" in said)
    for place, whose in enumerate(("the video's", "stream 1's", "stream 2's")[: len(streams)]):
        found = re.search(rf"{whose} role \(([^)]*)\)", said)
        lost = set(found[1].replace("chosen by ", "").split(", ")) if found else set()
        wanted = ROLES[place] if place else ROLES[place] & ~Disposition.default
        for role in wanted:
            kept = role in roles[place]
            assert kept != ((role.name or "").replace("_", " ") in lost), (whose, role)
    assert bool(files) != (re.search(r"attachment( font.ttf is|, is) left out", said) is not None)
    if ending == ".mkv":
        assert not any("left out" in one for one in remarks)


def test_what_goes_as_it_is_is_not_spoken_of(tmp_path):
    clip = make_clip(tmp_path / "in.mp4", metadata={"title": "A day"})
    assert run(clip, tmp_path / "out.mp4").remarks == []


@pytest.mark.parametrize(
    ("ending", "language", "kept"),
    [
        (".mov", "deu", "ger"),
        (".mov", "fre", "fra"),
        (".mov", "eng", "eng"),
        (".mp4", "deu", "deu"),
        (".mkv", "en-GB", "en-GB"),
    ],
)
def test_a_language_goes_by_the_code_that_the_container_knows(ending, language, kept):
    tags, lost = names_of(choose_container(Path(f"out{ending}")), "audio", {"language": language})
    assert (tags, lost) == ({"language": kept}, {})


@pytest.mark.parametrize(("ending", "language"), [(".avi", "eng"), (".mp4", "en-GB")])
def test_a_language_without_a_place_is_named(ending, language):
    tags = {"language": language, "ENCODER": "another"}
    kind = choose_container(Path(f"out{ending}"))
    assert names_of(kind, "audio", tags)[1] == {"language": language}


@pytest.mark.parametrize("language", ["", "und"])
def test_no_language_is_nothing_to_lose(language):
    kind = choose_container(Path("out.avi"))
    assert names_of(kind, "audio", {"language": language})[1] == {}


def test_a_long_comment_is_named_by_its_beginning():
    lost = [("stream 1's", {"comment": "word " * 500, "title": "short"})]
    (said,) = lost_of_streams(choose_container(Path("a.avi")), lost)
    assert "comment (word word" in said and "…)" in said and "title (short)" in said
    assert len(said) < 200


@pytest.mark.parametrize("ending", [".mov", ".mp4", ".avi", ".mkv", ".webm", ".ts"])
def test_a_word_that_another_tag_says_too_is_found_again_or_named(ending):
    kind = choose_container(Path(f"a{ending}"))
    one = {"artist": "Ines", "composer": "Ines", "comment": "Ines"}
    told = " ".join(lost_of_film(kind, one, []))
    others = {name: f"{place} Ines" for place, name in enumerate(one)}
    apart = " ".join(lost_of_film(kind, others, []))
    assert told == apart


def test_what_is_lost_is_spoken_of_as_one_or_several():
    kind = choose_container(Path("out.avi"))
    for names, verb in {("lyrics",): "are", ("keywords", "mood"): "are", ("mood",): "is"}.items():
        (told,) = lost_of_film(kind, {name: f"{name} of it" for name in names}, [])
        assert f"the film's {' and '.join(names)} {verb} left out" in told


def test_a_name_too_long_for_a_broadcast_costs_no_film(tmp_path):
    """FFmpeg refused the whole file, and spoke of memory."""
    title = "Ä" * 300
    clip = make_clip(tmp_path / "in.mkv", frames=3, metadata={"title": title, "comment": ""})
    done = run(clip, tmp_path / "out.ts")
    assert done.remarks == ["the film's title is left out: mpegts has no place for it"]
    with av.open(str(tmp_path / "out.ts")) as made:
        assert len(list(made.decode(video=0))) == 3


def test_what_servers_say_of_a_stream_is_not_the_films(tmp_path):
    """Of what came by RTMP it was named as lost: the server, the size, the rate."""
    said = {"title": "A day", "Server": "one", "|RtmpSampleAccess": "true", "displayWidth": "9"}
    clip = make_clip(tmp_path / "in.flv", frames=5, metadata={**said, "level": "", "7.1": "false"})
    done = run(clip, tmp_path / "out.mp4")
    assert done.remarks == []
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert made.metadata["title"] == "A day"
    run(clip, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert {name.lower() for name in made.metadata} == {"title", "encoder"}


@pytest.mark.parametrize("ending", [".mov", ".mp4", ".mkv", ".avi"])
def test_words_are_whole_or_named_however_many(tmp_path, ending):
    """QuickTime says in 16 bits how long a tag is."""
    words = {"comment": "w" * 70_000, "title": "A day out"}
    given = make_clip(tmp_path / "in.mkv", frames=2, metadata=words)
    out = tmp_path / f"out{ending}"
    said = " ".join(run(given, out).remarks)
    with av.open(str(out)) as film:
        told = {name.lower(): value for name, value in film.metadata.items()}
    assert told["title"] == words["title"]
    assert told.get("comment") == (None if ending == ".mov" else words["comment"])
    assert ("the film's comment is left out" in said) == (ending == ".mov")


def test_what_mxf_says_of_its_program_is_not_the_films(tmp_path):
    """A dozen machines' names were called lost, and were untrue of what was written elsewhere."""
    given = make_clip(
        tmp_path / "in.mxf", codec="mpeg2video", size=(720, 576), frames=3, options={}
    )
    with FileSource(given) as source:
        assert "product_name" in source.info.metadata
    for ending in (".mp4", ".mov"):  # which have it at a track
        assert run(given, tmp_path / f"out{ending}").remarks == []
        with av.open(str(tmp_path / f"out{ending}")) as film:
            assert film.streams[0].metadata["timecode"] == "00:00:00:00"
    run(given, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert not [name for name in film.metadata if "product" in name.lower()]


def test_how_two_eyes_pictures_lie_is_kept_or_named(tmp_path):
    """It was said to be lost where it is kept, and WebM refused some ways, and the film with it."""
    whole = make_clip(tmp_path / "whole.mkv", frames=5)
    for way, ending, kept in (
        ("left_right", ".mkv", True),
        ("left_right", ".mp4", False),
        ("block_lr", ".webm", False),
    ):
        path = tmp_path / f"{way}.mkv"
        with av.open(str(whole)) as given, av.open(str(path), "w") as made:
            stream = made.add_stream_from_template(given.streams.video[0])
            stream.metadata["stereo_mode"] = way
            for packet in given.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    made.mux(packet)
        done = run(path, tmp_path / f"out{ending}", preset=fastest(ending))
        named = [one for one in done.remarks if f"the video's stereo_mode ({way}) is left" in one]
        assert len(named) == len(done.remarks) == (not kept), (way, ending)
        with av.open(str(tmp_path / f"out{ending}")) as made:
            assert made.streams.video[0].metadata.get("stereo_mode") == (way if kept else None)
